"""LPCNet's mu-law codes: whole numbers 0..255 for samples from -32768 to 32768."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal import mulaw

LEVELS = 256
PEAK = 32768.0  # full scale of 16-bit samples; inside LPCNet all samples have this scale
SILENT_CODE = LEVELS // 2  # the code of a zero sample


def encode(x: Array) -> Array:
    """Return the code, 0..255, of each sample. x: [n], 16-bit scale; samples beyond +-32768 are clipped."""
    return mulaw.mulaw_encode(np.asarray(x, np.float64), LEVELS, PEAK)


def decode(codes: Array) -> Array:
    """Return the sample, in 16-bit scale, of each code. codes: [n], 0..255."""
    return mulaw.mulaw_decode(codes, LEVELS, PEAK)


def edges() -> Array:
    """Return the edges between the codes, in 16-bit scale, ascending, [255] float64: code c + 1 begins at edge c.

    The array is read-only.
    """
    return mulaw.code_edges(LEVELS, PEAK, "float64")[1:-1]


def centres() -> Array:
    """Return the samples [256] of the codes 0, 1 ... 255, in 16-bit scale."""
    return decode(np.arange(LEVELS))
