"""Windows of dynamic features: (l, u, coefficients) reaches l frames back and u ahead."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Window = tuple[int, int, Sequence[float] | Array]
Windows = tuple[Literal["static", "delta", "delta_delta"] | tuple[float, ...], ...]
"""Windows as a parameter: names, or an odd number of coefficients around the frame itself."""

SUFFIX = "+delta"  # of the kind of rows that have dynamic features beside them

_NAMED = {"static": (1.0,), "delta": (-0.5, 0.0, 0.5), "delta_delta": (1.0, -2.0, 1.0)}


def spelled(windows: Windows) -> list[Window]:
    """Every window as (l, u, coefficients); ValueError where the first is not static, or one has no middle."""
    rows = [_NAMED[window] if isinstance(window, str) else window for window in windows]
    if not rows or rows[0] != (1.0,):
        raise ValueError(f"begins with {list(rows[0]) if rows else 'nothing'}; the first window must be static")
    for row in rows:
        if len(row) % 2 == 0:
            raise ValueError(f"has {list(row)}; a window has an odd number of coefficients, the middle one for now")
        if not any(row):
            raise ValueError(f"has {list(row)}; a window has a coefficient that is not 0")
    return [(len(row) // 2, len(row) // 2, row) for row in rows]


def reach(windows: Sequence[Window]) -> tuple[int, int]:
    """Frames that the windows together reach back and ahead."""
    return max(back for back, _, _ in windows), max(ahead for _, ahead, _ in windows)


def valid(x: Array, windows: Sequence[Window]) -> Array:
    """The features of the frames whose windows lie whole inside x: sum_k c[l + k] x[t + k], k ascending, in float64.

    x: [n, D]. Returns [n - back - ahead, windows D], window by window.
    """
    back, ahead = reach(windows)
    count, width = max(0, len(x) - back - ahead), x.shape[1]
    features = np.zeros((count, len(windows), width))
    for w, (left, _, coefficients) in enumerate(windows):
        for k, c in enumerate(coefficients):
            if c:
                begin = back - left + k
                features[:, w] += float(c) * x[begin : begin + count].astype(np.float64)
    return features.reshape(count, len(windows) * width)


def dynamic(x: Array, windows: Sequence[Window]) -> Array:
    """The same for every frame, x zero outside: [n, windows D]."""
    back, ahead = reach(windows)
    padded = np.zeros((back + len(x) + ahead, x.shape[1]), x.dtype)
    padded[back : back + len(x)] = x
    return valid(padded, windows)
