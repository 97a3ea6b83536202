"""Audio from A-law codes."""

from typing import Any

import numpy as np

from dspgraph import Array, Audio, Input, Node, Output, ParameterError, State, Symbols


def alaw_decode(codes: Array, dtype: Any = np.float64) -> Array:
    """Return the samples that A-law codes stand for, [n] of `dtype`, full scale +-1. codes: [n], from 0 to 255.

    Raises ValueError that names the first code out of range.
    """
    from dspgraph_nodes._kernels.maths.symbols import check_range

    check_range(codes, 0, 255, "A-law codes")
    plain = codes.astype(np.int64) ^ 0x55
    segment, step = (plain >> 4) & 7, plain & 15
    magnitude = np.where(segment == 0, 16 * step + 8, (16 * step + 264) << np.maximum(segment - 1, 0))
    samples: Array = (np.where(plain & 128, magnitude, -magnitude) / 32768).astype(dtype)
    return samples


class AlawDecode(Node):
    """Expand the A-law codes of telephony (ITU-T G.711) to audio: a code becomes the middle of its quantisation step.

    Source: ITU-T Recommendation G.711, Pulse code modulation (PCM) of voice frequencies, 1988 (tables 1a and 1b).
    """

    codes = Input(Symbols, "alaw")
    y = Output(Audio)

    def streams(self, codes: Symbols) -> tuple[Audio]:
        if codes.size != 256:
            raise ParameterError(f"alaw_decode takes 256 codes; found {codes}: make them with 'alaw_encode'")
        return (Audio(rate=codes.rate, dtype=codes.precision),)

    def start(self, codes: Symbols) -> State:
        return codes.precision

    def step(self, precision: State, codes: Array) -> tuple[State, Array]:
        return precision, alaw_decode(codes, precision)
