"""Rational sample rate conversion by a bank of Kaiser-windowed sincs."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.dot import BLOCK, dot
from dspgraph_nodes._kernels.jit import kernel

Array = NDArray[Any]

PASS = 0.913  # of the lower of the two Nyquist frequencies; the stop band begins at 1
ATTENUATION = 127.0  # dB, of the design: 126.5 come out
BETA = 0.1102 * (ATTENUATION - 8.7)
HALF = (ATTENUATION - 7.95) / (2.285 * math.pi * (1 - PASS)) / 2  # samples of the lower rate


def half_width(up: int, down: int) -> int:
    """Samples on either side of an output sample that it is made of."""
    return math.ceil(HALF * max(1.0, down / up))


def width(up: int, down: int) -> int:
    """Taps in a row of the bank: a whole number of blocks."""
    return -(-2 * half_width(up, down) // BLOCK) * BLOCK


@lru_cache(maxsize=8)
def bank(up: int, down: int, dtype: str) -> Array:
    """One row of taps per phase: [up, width].

    Row p makes the sample that lies p / up of an input period after sample q, from samples up to q + w where w =
    half_width. Its last tap is h(p / up - w), the one before it h(p / up - w + 1), and so on, with

        h(t) = f sinc(f t) I0(beta sqrt(1 - (t / w)**2)) / I0(beta) for |t| < w,    f = (1 + PASS) / 2 min(1, up / down)
    """
    w = half_width(up, down)
    offsets = np.arange(up)[:, None] + up * (np.arange(width(up, down))[::-1] - w)
    t = offsets / up
    f = (1 + PASS) / 2 * min(1.0, up / down)
    taps = f * np.sinc(f * t) * np.i0(BETA * np.sqrt(np.maximum(0, 1 - (t / w) ** 2))) / np.i0(BETA)
    taps[np.abs(offsets) >= w * up] = 0
    taps = np.ascontiguousarray(taps, dtype)
    taps.flags.writeable = False
    return taps


@kernel
def resample(x: Array, start: int, phase: int, up: int, down: int, taps: Array, y: Array) -> None:
    """Fill y [channels, n]: the first from x[:, start : start + width] and row `phase`, each next one down / up on."""
    rows, length = taps.shape
    flat = taps.reshape(rows * length)
    step, rest = down // up, down % up
    for channel in range(len(y)):
        source, target = x[channel], y[channel]
        at, p = start, phase
        for k in range(len(target)):
            target[k] = dot(source, at, flat, p * length, length // BLOCK)  # type: ignore[call-arg]  # adds the context
            at += step
            p += rest
            if p >= up:
                p -= up
                at += 1
