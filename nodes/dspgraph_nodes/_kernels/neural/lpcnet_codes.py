"""LPCNet's mu-law codes: 256 levels over the range of 16-bit samples."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal import mulaw

LEVELS = 256
PEAK = 32768.0  # full scale of 16-bit samples: the scale inside the network
SILENT_CODE = LEVELS // 2  # the code of a zero sample


def encode(x: Array) -> Array:
    """Return the codes 0..255 of samples in 16-bit scale."""
    return mulaw.mulaw_encode(np.asarray(x, np.float64), LEVELS, PEAK)


def decode(codes: Array) -> Array:
    """Return the samples, in 16-bit scale, of codes 0..255."""
    return mulaw.mulaw_decode(codes, LEVELS, PEAK)


def edges() -> Array:
    """Return the 255 samples at which one code ends and the next begins, in ascending order."""
    return mulaw.code_edges(LEVELS, PEAK, "float64")[1:-1]


def centres() -> Array:
    """Return the sample of each of the 256 codes, in ascending order."""
    return decode(np.arange(LEVELS))
