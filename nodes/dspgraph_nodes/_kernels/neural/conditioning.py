"""Windows and interpolation of frames of features, for networks that generate samples from frames."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


def check_finite(rows: Array, model: str, name: str = "the features") -> None:
    """Raise ValueError that names the first frame with a number that is not finite.

    rows: [n, width], one row per frame; model: the name of the model that takes the rows; name: a word for the rows.
    Both are for the message.
    """
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ValueError(f"{model} takes finite numbers; frame {int(np.argmin(finite))} of {name} has others")


# ---- the frames around a frame --------------------------------------------------------------------------------------


class FrameWindows:
    """The frames of one signal that wait for the frames after them.

    context: number of frames on each side of a frame that are needed with it; width: how many numbers a frame has;
    repeat: whether the frames before and after the signal are its first and its last frame; otherwise they are zeros.
    """

    def __init__(self, context: int, width: int, repeat: bool = False) -> None:
        self.context, self.repeat = context, repeat
        self.known = np.zeros((0 if repeat else context, width), np.float32)
        self.done = 0  # number of frames whose windows have been returned

    def push(self, frames: Array, last: bool = False) -> Array:
        """Add frames [n, width]; return the windows [m, 2 * context + 1, width] of the frames that are now determined.

        last: whether the signal ends after these frames.
        """
        before = frames[:1] if self.repeat and not len(self.known) else frames[:0]
        known = np.concatenate([self.known, *[before] * self.context, frames]).astype(np.float32)
        if last:
            end = known[-1:] if self.repeat else np.zeros_like(known, shape=(1, known.shape[1]))
            known = np.concatenate([known, *[end] * self.context])
        windows = in_windows(known, self.context)
        self.known, self.done = known[len(windows) :], self.done + len(windows)
        return windows


def in_windows(rows: Array, context: int) -> Array:
    """Return the windows, [m, 2 * context + 1, width], of all rows that have `context` rows on each side.

    A window is the row with these rows around it.
    """
    first = np.arange(max(0, len(rows) - 2 * context))
    windows: Array = rows[first[:, None] + np.arange(2 * context + 1)]
    return windows


def unwound(windows: Array) -> Array:
    """Return the rows from which `in_windows` made these windows; no rows if there are no windows."""
    first: Array = windows[0] if len(windows) else windows[:, 0]
    return np.concatenate((first, windows[1:, -1]))


def joined(windows: Array) -> Array:
    """Return every window as a single row, its rows one after the other: [m, (2 * context + 1) * width]."""
    count, span, width = windows.shape
    return windows.reshape(count, span * width)


# ---- linear upsampling ----------------------------------------------------------------------------------------------


def reach(factors: Sequence[int], widths: Sequence[int]) -> int:
    """Return the number of frames on each side of a frame on which the samples of the frame depend.

    Stage k repeats every item factors[k] times and smooths the result with widths[k] taps.
    """
    samples = 0  # before and after the span of a frame
    for factor, width in zip(factors, widths, strict=True):
        samples = samples * factor + width // 2
    return -(-samples // prod(factors))


def interpolation(frames: int, factors: Sequence[int], filters: Sequence[Array]) -> Array:
    """Return the matrix [frames * hop, frames] that interpolates the frames of a signal to its samples, in float64.

    Each stage repeats every item `factor` times, then y[t] = sum_k filter[k] * x[t + k - len(filter) // 2], where x is
    0 before the first item and after the last.
    """
    rows = np.eye(frames)
    for factor, taps in zip(factors, filters, strict=True):
        count, edge = len(rows) * factor, len(taps) // 2
        long = np.pad(np.repeat(rows, factor, axis=0), ((edge, edge), (0, 0)))
        rows = np.sum([weight * long[k : k + count] for k, weight in enumerate(taps)], axis=0)
    return rows
