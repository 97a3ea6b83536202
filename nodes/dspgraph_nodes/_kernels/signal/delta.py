"""Delta windows, and the dynamic features that they compute from a trajectory.

A window (l, u, coefficients) has a coefficient for each frame, from l frames before the present one to u frames after
it.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array

DeltaWindow = tuple[int, int, Sequence[float] | Array]
DeltaWindows = tuple[Literal["static", "delta", "delta_delta"] | tuple[float, ...], ...]
"""The windows as a node parameter: names, or tuples of coefficients, whose middle one is for the frame itself."""

DELTA_SUFFIX = "+delta"  # the kind of rows with static and dynamic features ends so: "mcep+delta"

_NAMED = {"static": (1.0,), "delta": (-0.5, 0.0, 0.5), "delta_delta": (1.0, -2.0, 1.0)}


def parse_windows(windows: DeltaWindows) -> list[DeltaWindow]:
    """Convert the windows of a node parameter to a list of (l, u, coefficients), where l = u.

    Raises ValueError if the first window is not static, or if a window has an even number of coefficients or only
    zeros. The message lacks its subject, the name of the parameter, which the caller puts before it.
    """
    rows = [_NAMED[window] if isinstance(window, str) else window for window in windows]
    if not rows or rows[0] != (1.0,):
        raise ValueError(f"begins with {list(rows[0]) if rows else 'nothing'}; the first window must be static")
    for row in rows:
        if len(row) % 2 == 0:
            raise ValueError(
                f"has {list(row)}; a window has an odd number of coefficients, the middle one for the frame itself"
            )
        if not any(row):
            raise ValueError(f"has {list(row)}; a window needs a coefficient that is not 0")
    return [(len(row) // 2, len(row) // 2, row) for row in rows]


def window_context(windows: Sequence[DeltaWindow]) -> tuple[int, int]:
    """Return (back, ahead): how many frames before and after the present one the windows reach."""
    return max(back for back, _, _ in windows), max(ahead for _, ahead, _ in windows)


def valid_delta_features(x: Array, windows: Sequence[DeltaWindow]) -> Array:
    """Return the features, in float64, of the frames whose windows lie inside x: [n - back - ahead, windows * D].

    x: [n, D]. A window (l, u, c) gives frame t the feature sum_k c[l + k] * x[t + k], k = -l .. u ascending. The D
    features of the first window come first, then those of the second, and so on. (back, ahead) is the result of
    `window_context`.
    """
    back, ahead = window_context(windows)
    count, width = max(0, len(x) - back - ahead), x.shape[1]
    features = np.zeros((count, len(windows), width))
    for w, (left, _, coefficients) in enumerate(windows):
        for k, c in enumerate(coefficients):
            if c:
                begin = back - left + k
                features[:, w] += float(c) * x[begin : begin + count].astype(np.float64)
    return features.reshape(count, len(windows) * width)


def delta_features(x: Array, windows: Sequence[DeltaWindow]) -> Array:
    """Return the features of every frame, in float64: [n, windows * D], ordered as those of `valid_delta_features`.

    x: [n, D]; before its first frame and after its last it counts as zero.
    """
    back, ahead = window_context(windows)
    padded = np.zeros((back + len(x) + ahead, x.shape[1]), x.dtype)
    padded[back : back + len(x)] = x
    return valid_delta_features(padded, windows)
