"""Frames with their neighbours, and interpolation of frames, for networks that make samples from frames."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


def check_finite(rows: Array, model: str, name: str = "the features") -> None:
    """Raise ValueError, with the number of the first such row, if `rows` has a number that is NaN or infinite.

    rows: [n, width], one row per frame. model, name: words for the message: which model takes the rows, and what they
    are.
    """
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ValueError(f"{model} takes finite numbers; frame {int(np.argmin(finite))} of {name} has others")


# ---- the frames around a frame --------------------------------------------------------------------------------------


class FrameWindows:
    """A buffer that joins each frame of one signal with its neighbours, as soon as the later ones have arrived.

    context: the number of neighbours on each side. width: how many numbers a frame has. repeat: whether the missing
    neighbours at the two ends of the signal are copies of the first and of the last frame; otherwise they are zeros.
    """

    def __init__(self, context: int, width: int, repeat: bool = False) -> None:
        self.context, self.repeat = context, repeat
        self.known = np.zeros((0 if repeat else context, width), np.float32)
        self.done = 0  # number of frames whose windows have been returned

    def push(self, frames: Array, last: bool = False) -> Array:
        """Add frames [n, width]; return the windows [m, 2 * context + 1, width] that are now complete, in float32.

        last: whether the signal ends after these frames; then the windows of all remaining frames are returned.
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
    """Return the windows of all rows that have `context` neighbours on each side: [m, 2 * context + 1, width].

    rows: [n, width]. A window is a row together with its neighbours, in order. m is n - 2 * context, or 0.
    """
    first = np.arange(max(0, len(rows) - 2 * context))
    windows: Array = rows[first[:, None] + np.arange(2 * context + 1)]
    return windows


def unwound(windows: Array) -> Array:
    """Return the rows [m + 2 * context, width] from which `in_windows` made the windows.

    windows: [m, 2 * context + 1, width], of consecutive rows. If m is 0, there are no rows: [0, width].
    """
    first: Array = windows[0] if len(windows) else windows[:, 0]
    return np.concatenate((first, windows[1:, -1]))


def joined(windows: Array) -> Array:
    """Return windows [m, 2 * context + 1, width] as rows [m, (2 * context + 1) * width]."""
    count, span, width = windows.shape
    return windows.reshape(count, span * width)


# ---- linear upsampling ----------------------------------------------------------------------------------------------


def reach(factors: Sequence[int], widths: Sequence[int]) -> int:
    """Return how many frames on each side of a frame its samples depend on, if frames are upsampled in steps.

    factors, widths: step k repeats every item factors[k] times and smooths the result with a filter of widths[k] taps.
    """
    samples = 0  # before and after the span of a frame
    for factor, width in zip(factors, widths, strict=True):
        samples = samples * factor + width // 2
    return -(-samples // prod(factors))


def interpolation(frames: int, factors: Sequence[int], filters: Sequence[Array]) -> Array:
    """Return the matrix that interpolates the frames of a signal to its samples: [frames * hop, frames] float64.

    frames: the number of frames. Step k repeats every item factors[k] times and then applies the filter h = filters[k]:
    y[t] = sum_j h[j] * x[t + j - len(h) // 2], where x is 0 beyond both ends. hop is the product of all factors.
    """
    rows = np.eye(frames)
    for factor, taps in zip(factors, filters, strict=True):
        count, edge = len(rows) * factor, len(taps) // 2
        long = np.pad(np.repeat(rows, factor, axis=0), ((edge, edge), (0, 0)))
        rows = np.sum([weight * long[k : k + count] for k, weight in enumerate(taps)], axis=0)
    return rows
