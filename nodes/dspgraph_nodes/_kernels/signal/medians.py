"""Running medians."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


def running_medians(x: Array, length: int) -> Array:
    """Return the medians of every `length` consecutive rows, column by column: [max(0, n - length + 1), width].

    x: [n, width], real; length: odd.
    """
    if len(x) < length:
        return x[:0]
    windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)
    medians: Array = np.partition(windows, length // 2, axis=-1)[..., length // 2]
    return medians
