"""The range of a pitch tracker, and the wider range in which it searches.

If the pitch of a voice lies near an end of the range in which a tracker searches, or outside this range, the tracker
often finds a multiple or a fraction of the pitch, or the end itself. So trackers search in a wider range than the
wanted one, and frames whose pitch is not inside the wanted range are unvoiced.
"""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

SEARCH_MARGIN = 1.2
"""RAPT, Harvest, DIO and pYIN search up to the highest wanted pitch times this, as far as the rate allows.

DIO and pYIN also search down to the lowest wanted pitch divided by this.
"""

HIGHEST_CHECKED = 1250.0
"""Hz. A pitch that replaces a subharmonic is at most this, or at most the end of the search if that is higher."""


def highest_checked(high: float) -> float:
    """Return the highest pitch in Hz that may replace a subharmonic. high: the upper end of the wanted range, Hz."""
    return max(HIGHEST_CHECKED, SEARCH_MARGIN * high)


def drop_outside(f0: Array, low: float, high: float) -> Array:
    """Return a copy of the pitch f0 [n], Hz, with 0 (unvoiced) for every pitch outside low < pitch < high."""
    return np.where((f0 > low) & (f0 < high), f0, np.zeros_like(f0))
