"""Predictors of the test recording, computed with scipy, for the tests of filters."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import solve_toeplitz
from scipy.signal import get_window

from dspgraph import Array
from helpers.speech import speech


def predictors(order: int, hop: int, n: int | None = None) -> Array:
    """Return predictors of the first n samples of the recording: rows (gain, a[1..order]), one for every `hop` samples.

    Row k is computed from a Hann window of two hops around the middle of hop k, which has the norm 1. A silent window
    has gain 0 and coefficients 0. n: by default the length of the recording.
    """
    x = speech(n)
    window = get_window("hann", 2 * hop)
    padded = np.pad(x, (hop // 2, 2 * hop))
    frames = sliding_window_view(padded, 2 * hop)[: len(x) : hop] * (window / np.linalg.norm(window))
    rows = []
    for frame in frames:
        r = np.correlate(frame, frame, "full")[2 * hop - 1 : 2 * hop + order]
        a = -solve_toeplitz(r[:-1], r[1:]) if r[0] else np.zeros(order)
        rows.append([np.sqrt(r[0] + a @ r[1:]), *a])
    return np.array(rows)
