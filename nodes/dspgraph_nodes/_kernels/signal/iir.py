"""All-pole filters, their inverse filters, and a one-pole filter; every sum runs from the oldest term to the newest."""

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def one_pole(x: Array, coef: float, y: Array) -> None:
    """Filter with one pole: write y[n + 1] = x[n] + coef * y[n] to y[1:], for each channel on its own.

    x: [n, channels]; y: [n + 1, channels], where y[0], the output before x[0], is given.
    """
    count, channels = x.shape
    for n in range(count):
        for c in range(channels):
            y[n + 1, c] = x[n, c] + coef * y[n, c]


@kernel
def frame_start(frame: int, up: int, down: int) -> int:
    """Return the number j of the first sample of a frame: the smallest j with floor(j * up / down) >= frame.

    There are up / down frames per sample.
    """
    return (frame * down + up - 1) // up


@kernel
def all_pole(x: Array, lpc: Array, up: int, down: int, y: Array) -> None:
    """Filter with an all-pole filter: write y[order + n] = gain * x[n] - sum_k a[k] * y[order + n - k] to y[order:].

    x: [n]. lpc: a row (gain, a[1..order]) for every frame, with up / down frames per sample; sample n uses row floor(n
    * up / down), or the last row. y: [order + n]; its first `order` values, the outputs before x[0], are given.
    """
    count, frames, order = len(x), len(lpc), lpc.shape[1] - 1
    for f in range(frames):
        gain = lpc[f, 0]
        oldest_first = lpc[f, 1:][::-1].copy()
        end = count if f == frames - 1 else min(count, frame_start(f + 1, up, down))
        for n in range(frame_start(f, up, down), end):
            past = y[n : n + order]
            fed_back = y.dtype.type(0)
            for k in range(order):
                fed_back += oldest_first[k] * past[k]
            y[n + order] = gain * x[n] - fed_back


@kernel
def all_zero(x: Array, lpc: Array, up: int, down: int, tiny: float, e: Array) -> None:
    """Write e[n] = (x[order + n] + sum_k a[k] * x[order + n - k]) / gain to e; 0 where gain <= tiny.

    This is the inverse of `all_pole`.

    x: [order + n], where the first `order` values are the samples before the first residual. e: [n]. lpc, up, down: as
    in `all_pole`.
    """
    count, frames, order = len(e), len(lpc), lpc.shape[1] - 1
    for f in range(frames):
        gain = lpc[f, 0]
        begin = min(count, frame_start(f, up, down))
        end = count if f == frames - 1 else min(count, frame_start(f + 1, up, down))
        out = e[begin:end]
        out[:] = 0
        if not gain > tiny:
            continue
        for k in range(order, 0, -1):
            a, past = lpc[f, k], x[order + begin - k : order + end - k]
            for n in range(end - begin):
                out[n] += a * past[n]
        now = x[order + begin : order + end]
        for n in range(end - begin):
            out[n] = (now[n] + out[n]) / gain
