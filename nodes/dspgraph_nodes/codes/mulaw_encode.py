"""mu-law companding."""

import math

from dspgraph import Array, Audio, Field, Input, Node, Output, ParameterError, State, Symbols, require_mono
from dspgraph_nodes._kernels.signal.mulaw import mulaw_encode


class MulawEncode(Node):
    """Quantise audio with mu-law companding: fine steps near silence, coarse steps near full scale.

        c = clip(floor(h + h * sgn(x) * ln(1 + mu * |x| / peak) / ln(1 + mu) + 1/2), 0, levels - 1)
        h = levels / 2,    mu = levels - 1

    A sample of 0 is exactly code h, -peak is code 0, and +peak is the last code, levels - 1; samples beyond +-peak are
    clipped. If `mulaw_decode` expands a code with the same peak, encoding the result gives the code again.

    Source: A. van den Oord et al., "WaveNet: A Generative Model for Raw Audio", arXiv:1609.03499, 2016; that one code
    stands for exactly 0 is taken from LPCNet (xiph/LPCNet), where the peak is 32768.
    """

    x = Input(Audio)
    codes = Output(Symbols, "mulaw")

    levels: int = Field(256, ge=2, le=65536, description="number of codes, a power of two")
    peak: float = Field(1.0, ge=1e-6, le=1e6, description="amplitude of full scale")

    def streams(self, x: Audio) -> tuple[Symbols]:
        require_mono(x, self)
        if self.levels & (self.levels - 1):
            nearest = 1 << round(math.log2(self.levels))
            raise ParameterError(f"mulaw_encode.levels is {self.levels}; it must be a power of two: take {nearest}")
        return (Symbols(rate=x.rate, kind="mulaw", size=self.levels, precision=x.dtype),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, mulaw_encode(x, self.levels, self.peak)
