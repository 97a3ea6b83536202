"""The range of a pitch tracker, and the wider range in which it searches.

If the pitch of a voice lies near or beyond an end of the range in which a tracker searches, the tracker often finds a
multiple or a fraction of the pitch, or the end itself. So trackers search in a wider range than the wanted one. If they
find a pitch at or beyond an end of the wanted range, the frame is unvoiced.
"""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

SEARCH_MARGIN = 1.2
"""The search ends at the highest wanted pitch times this; that of DIO begins at the lowest pitch divided by this."""

HIGHEST_CHECKED = 1250.0
"""A subharmonic is replaced by a pitch up to this one, in Hz, or up to the end of the search if that is higher."""


def highest_checked(high: float) -> float:
    """Return the highest pitch, Hz, by which a subharmonic is replaced. high: the upper end of the wanted range, Hz."""
    return max(HIGHEST_CHECKED, SEARCH_MARGIN * high)


def drop_outside(f0: Array, low: float, high: float) -> Array:
    """Return the pitch [n], in Hz, where a pitch that is not above low and below high is replaced by 0 (unvoiced)."""
    return np.where((f0 > low) & (f0 < high), f0, np.zeros_like(f0))
