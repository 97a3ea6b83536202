"""Overlap-add."""

from typing import Any

from numpy.typing import NDArray

from dspgraph_nodes._kernels.jit import kernel

Array = NDArray[Any]


@kernel
def add_frames(frames: Array, window: Array, hop: int, total: Array, weight: Array) -> None:
    """Add row k of `frames` [n, length] to `total`, and `window` to `weight`, from sample k * hop on, k ascending."""
    count, length = frames.shape
    for k in range(count):
        frame, t, w = frames[k], total[k * hop : k * hop + length], weight[k * hop : k * hop + length]
        for i in range(length):
            t[i] += frame[i]
            w[i] += window[i]
