"""mu-law companding."""

import math

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, Symbols


def mulaw_encode(x: Array, levels: int = 256, peak: float = 1.0) -> Array:
    """Codes c = clip(floor(h + h sgn(x) ln(1 + mu |x| / peak) / ln(levels) + 1/2), 0, levels - 1).

    Here h = levels / 2 and mu = levels - 1. x: [n], float32 or float64; beyond +-peak it clips. Returns [n] int64.
    Silence is code h, +peak the last code, -peak code 0. Raises ValueError for a NaN.
    """
    half, mu = levels // 2, levels - 1
    magnitude = np.minimum(np.abs(x), x.dtype.type(peak)) * x.dtype.type(mu / peak)
    code = np.log1p(magnitude)  # not log(1 + .): at 65536 levels the first code is 5e-9 of the peak
    code *= x.dtype.type(half / math.log(levels))
    code = np.copysign(code, x)
    code += x.dtype.type(half + 0.5)
    np.floor(code, out=code)
    np.clip(code, 0, levels - 1, out=code)
    if np.isnan(code).any():
        raise ValueError(f"NaN has no mu-law code; item {int(np.argmax(np.isnan(code)))} is NaN")
    return code.astype(np.int64)


class MulawEncode(Node):
    """Quantise audio with mu-law companding: fine steps near silence, coarse ones near full scale.

        c = clip(floor(h + h sgn(x) ln(1 + mu |x| / peak) / ln(1 + mu) + 1/2), 0, levels - 1)
        h = levels / 2,    mu = levels - 1

    Silence is code h. With 256 levels +peak is 255, half a step inside the scale, and -peak is 0. `mulaw_decode` gives
    a value back for every code, and encoding that value gives the code again.

    Source: A. van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016, section 2.2; the rounding onto
    a code that is exactly zero is LPCNet's (J.-M. Valin and J. Skoglund, "LPCNet: Improving Neural Speech Synthesis
    Through Linear Prediction", ICASSP 2019), whose samples have peak 32768.
    """

    x = Input(Audio)
    codes = Output(Symbols, "mulaw")

    levels: int = Field(256, ge=2, le=65536, description="number of codes, a power of two")
    peak: float = Field(1.0, gt=0.0, description="amplitude of full scale")

    def streams(self, x: Audio) -> tuple[Symbols]:
        if x.channels > 1:
            raise ParameterError(f"mulaw_encode takes one channel; found {x}: put a mono 'mix' before it")
        if self.levels & (self.levels - 1):
            nearest = 1 << round(math.log2(self.levels))
            raise ParameterError(f"mulaw_encode.levels is {self.levels}; it must be a power of two: take {nearest}")
        return (Symbols(rate=x.rate, kind="mulaw", size=self.levels),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, mulaw_encode(x, self.levels, self.peak)
