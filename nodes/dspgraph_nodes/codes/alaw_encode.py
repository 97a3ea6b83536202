"""A-law codes."""

import numpy as np

from dspgraph import Array, Audio, Input, Node, Output, State, Symbols, require_mono

_SEGMENT_ENDS = np.array(
    [31, 63, 127, 255, 511, 1023, 2047]
)  # largest 12-bit magnitude of every segment except the last


def alaw_encode(x: Array) -> Array:
    """Return the A-law codes of samples, [n] int64, from 0 to 255. x: [n], full scale +-1; samples beyond are clipped.

    Raises ValueError that names the first NaN.
    """
    if np.isnan(x).any():
        raise ValueError(f"NaN has no A-law code; item {int(np.argmax(np.isnan(x)))} is NaN")
    sample = np.clip(np.floor(x.astype(np.float64) * 32768 + 0.5), -32768, 32767).astype(np.int64) >> 3
    magnitude = np.where(sample < 0, -sample - 1, sample)
    segment = np.searchsorted(_SEGMENT_ENDS, magnitude)
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
    return np.asarray(code ^ np.where(sample < 0, 0x55, 0xD5), np.int64)


class AlawEncode(Node):
    """Quantise audio to the 8-bit A-law codes of telephony (ITU-T G.711).

    A sample is rounded to 16 bits, of which only the 13 highest are used. A code has eight bits: a sign, three bits for
    one of eight segments, each twice as wide as the segment below it (the first two are equal), and four bits for the
    position in the segment. Even bits are inverted. `alaw_decode` expands the codes.

    Source: ITU-T Recommendation G.711, Pulse code modulation (PCM) of voice frequencies, 1988 (tables 1a and 1b).
    """

    x = Input(Audio)
    codes = Output(Symbols, "alaw")

    def streams(self, x: Audio) -> tuple[Symbols]:
        require_mono(x, self)
        return (Symbols(rate=x.rate, kind="alaw", size=256, precision=x.dtype),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, alaw_encode(x)
