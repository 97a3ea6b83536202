"""The range of a pitch tracker, and the wider range in which it searches.

Near the ends of the range that it searches, a tracker takes a multiple or a fraction of the pitch for the pitch, or the
end itself; and for a voice beyond an end it often does so. So trackers search in a wider range, and a pitch at or
beyond an end of the wanted range is dropped: the frame is unvoiced.
"""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

SEARCH_MARGIN = 1.2
"""The search ends at the highest pitch times this, and begins at the lowest pitch divided by this."""

HIGHEST_CHECKED = 1250.0
"""Up to this pitch, in Hz, a voice is told from its subharmonics."""


def highest_checked(high: float) -> float:
    """Return the highest pitch that is told from its subharmonics, Hz; high: the end of the wanted range."""
    return max(HIGHEST_CHECKED, SEARCH_MARGIN * high)


def drop_outside(f0: Array, low: float, high: float) -> Array:
    """Return the pitch [n], in Hz, with 0 (unvoiced) for a pitch that is not above low and below high."""
    return np.where((f0 > low) & (f0 < high), f0, np.zeros_like(f0))
