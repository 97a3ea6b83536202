"""Conversion of sampling rates by rational factors, with a bank of Kaiser-windowed sinc filters."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import Code, stage

_PASS = 0.913  # end of the pass band, relative to the lower of the two Nyquist frequencies; the stop band begins at 1
_ATTENUATION = 127.0  # dB in the formulas of the design; the filters reach 126.5 dB
_BETA = 0.1102 * (_ATTENUATION - 8.7)
_HALF = (_ATTENUATION - 7.95) / (2.285 * math.pi * (1 - _PASS)) / 2  # half length, in samples of the lower rate

_WIDTH = 8  # numbers in a vector; a machine with shorter vectors splits it, with the same result
_VECTORS = 4  # independent sums, so that no addition waits for the one before it
_BLOCK = _WIDTH * _VECTORS


def half_width(up: int, down: int) -> int:
    """Return how many input samples on each side of an output sample contribute to it.

    up / down is the factor by which the sampling rate is multiplied.
    """
    return math.ceil(_HALF * max(1.0, down / up))


def width(up: int, down: int) -> int:
    """Return the number of taps in a row of `bank`: 2 * half_width(up, down), rounded up to whole blocks of 32."""
    return -(-2 * half_width(up, down) // _BLOCK) * _BLOCK


@lru_cache(maxsize=8)
def bank(up: int, down: int, dtype: str) -> Array:
    """Return the filter bank for the factor up / down: [up, width], read-only, one row of taps for each phase.

    Row p computes the output sample that lies p / up input samples after the input sample q. The last tap,
    h(p / up - w), is for the input sample q + w, the tap before it, h(p / up - w + 1), for q + w - 1, and so on, where
    w = half_width(up, down).

        h(t) = f * sinc(f * t) * I0(beta * sqrt(1 - (t / w)**2)) / I0(beta) for |t| < w

        f = (1 + pass) / 2 * min(1, up / down)

    Here pass = 0.913 is the end of the pass band, and beta = 13.04. dtype: the name of the dtype.
    """
    w = half_width(up, down)
    offsets = np.arange(up)[:, None] + up * (np.arange(width(up, down))[::-1] - w)
    f = (1 + _PASS) / 2 * min(1.0, up / down)
    t = offsets / up
    taps = f * sinc(f * t) * (_i0((_BETA / 2) ** 2 * (1 - (t / w) ** 2)) / _i0((_BETA / 2) ** 2))
    taps[np.abs(offsets) >= w * up] = 0
    taps = np.ascontiguousarray(taps, dtype)
    taps.flags.writeable = False
    return taps


def sinc(v: Array) -> Array:
    """Return sin(pi * v) / (pi * v) without numpy's sine, whose last bit depends on the machine."""
    nearest = np.rint(v)
    x = np.pi * (v - nearest)
    series = np.ones_like(x)
    for k in range(20, 0, -2):  # 1 - x**2 / (2 * 3) * (1 - x**2 / (4 * 5) * (1 - ...
        series = 1 - x * x / (k * (k + 1)) * series
    sine = x * series * (1 - 2 * (nearest % 2))
    return np.where(v == 0, 1.0, sine / np.where(v == 0, 1.0, np.pi * v))


def _i0(z: Any) -> Any:
    """Return sum_k z**k / k!**2, the modified Bessel function I0(2 * sqrt(z)), with the same bits on every machine."""
    series = 1.0
    for k in range(40, 0, -1):
        series = 1 + z / (k * k) * series
    return series


@stage("a", "b", width=_WIDTH, returns=True)
def _dot(code: Code, i: Any, j: Any, blocks: Any) -> Any:
    """Write vector code for the sum of a[i + n] * b[j + n] over n = 0 .. _BLOCK * blocks - 1; return the sum.

    a, b: contiguous arrays; i, j: the positions of their first elements that are used.

    Products with the same n % _BLOCK are summed with n ascending, then these sums are added pairwise. Product and sum
    are rounded separately, so that machines with and without a fused multiply-add give the same bits.
    """
    sums = [code.variable(code.constant(0)) for _ in range(_VECTORS)]
    with code.loop(blocks) as block:
        begin = code.times(block, _BLOCK)
        left, right = code.plus(i, begin), code.plus(j, begin)
        for k, total in enumerate(sums):
            product = code.mul(
                code.load("a", code.plus(left, k * _WIDTH)), code.load("b", code.plus(right, k * _WIDTH))
            )
            code.builder.store(code.add(code.builder.load(total), product), total)
    first, second, third, fourth = (code.builder.load(total) for total in sums)
    return code.pairwise_sum(code.add(code.add(first, second), code.add(third, fourth)))


@kernel
def resample(x: Array, start: int, phase: int, up: int, down: int, taps: Array, y: Array) -> None:
    """Resample x [channels, samples] to up / down times its sampling rate; write the result to y [channels, n].

    The first output sample is the inner product of x[:, start : start + width] and row `phase` of the taps; each
    further output sample lies down / up input samples later. x must have all samples that y needs, which is not
    checked. phase: from 0 to up - 1; taps: the result of `bank`, [up, width].
    """
    rows, length = taps.shape
    flat = taps.reshape(rows * length)
    step, rest = down // up, down % up
    for channel in range(len(y)):
        source, target = x[channel], y[channel]
        at, p = start, phase
        for k in range(len(target)):
            target[k] = _dot(source, flat, at, p * length, length // _BLOCK)
            at += step
            p += rest
            if p >= up:
                p -= up
                at += 1


@dataclass
class ResampleState:
    """The state of a conversion of the sampling rate.

    up, down: the rate is multiplied by up / down. before, after: how many input samples an output sample needs before
    and after it. x: the input that is still needed, [channels, n]. at: the index, in the whole input, of the first
    sample of x. given: how many output samples were returned so far.
    """

    up: int  # up / down is the rate of the output over that of the input, in lowest terms
    down: int
    before: int  # number of input samples needed before the position of an output sample; `after`: needed after it
    after: int
    x: Array  # [channels, n]
    at: int  # number of the input sample in x[:, 0]; below 0 for the zeros before the signal
    given: int = 0  # output samples so far


def resample_start(up: int, down: int, channels: int, dtype: Any) -> ResampleState:
    """Return the state before the first sample, for a resampling by the factor up / down.

    channels: the number of channels; dtype: the dtype of the signal.
    """
    after = half_width(up, down)
    before = width(up, down) - after - 1
    return ResampleState(up, down, before, after, np.zeros((channels, before), dtype), -before)


def resample_step(held: ResampleState, x: Array) -> Array:
    """Add input samples x [channels, n]; return the output samples [channels, m] that are now determined.

    held: the state, updated in place. To get the rest at the end of the signal, add `held.after` zeros.
    """
    up, down = held.up, held.down
    held.x = np.concatenate((held.x, x), axis=1)
    end = held.at + held.x.shape[1] - held.after  # no output at or after this input sample can be computed yet
    until = max(0, -(-end * up // down))
    y = np.empty((len(held.x), until - held.given), held.x.dtype)
    first, phase = divmod(held.given * down, up)
    resample(held.x, first - held.before - held.at, phase, up, down, bank(up, down, held.x.dtype.name), y)
    needed = until * down // up - held.before
    held.x, held.at, held.given = held.x[:, needed - held.at :].copy(), needed, until
    return y
