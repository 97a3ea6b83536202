"""Draws from distributions over levels, for one signal or for sixteen side by side, with the same bits.

`categorical` makes vector code for a fixed number of levels, with a sharpened distribution whose small probabilities
are set to 0. `draw_class` draws from the softmax of any number of levels.
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.stages import LOG2_E, NetworkCode, network_stage

LEAST = -126.0  # lower limit of the exponents of probabilities: 2**-126 is the smallest normal float32


def level_order(levels: int) -> Array:
    """Return which level stands at each place of the logits, [levels]: level per * m + b is at place 16 * b + m.

    The levels are divided into sixteen blocks of per = levels / 16; m is the number of the block, b the place of the
    level in it. So the levels at place b of all blocks stand side by side. levels: a multiple of 64.
    """
    order: Array = np.arange(levels).reshape(WIDTH, levels // WIDTH).T.reshape(-1)
    return order


def categorical(levels: int) -> Any:
    """Return a vector-code stage that draws one of `levels` levels by their logits and writes it to `drawn`.

        p(i) = 2**(logit(i) * sharp - highest logit * sharp),    q(i) = max(0, p(i) - threshold * sum of all p)

    The drawn level is the number of i with F(i) <= u * F(levels - 1). u is the random number, from 0 up to, not
    including, 1, and F(i) = q(0) + ... + q(i), computed as the sum of all previous blocks plus the sum within the block
    of i. There are sixteen blocks of equally many levels. Exponents of 2 below -126 count as -126.

    The arrays of the workspace are, besides `state`: `logits` [levels], in the order of `level_order`, each replaced by
    its q; `sharp` [lanes], log2(e) times a factor; `number` [lanes], u; `drawn` [lanes] int64; `total` [lanes], which
    gets the sum of all q; and `work` [16], which only sixteen signals need. For sixteen signals `logits` and `work`
    have a last axis `lane`; in eight bits the order of `logits` is [b, lane, m], with b and m of `level_order`. A
    kernel calls the stage with one number: the threshold, float32, 0 to keep all levels. levels: a multiple of 64. A
    vector holds level b of all sixteen blocks, so the sums within the blocks are sums of vectors. For sixteen signals
    in float32, it holds one level of all signals.
    """
    if levels % (4 * WIDTH):
        raise ValueError(f"levels is {levels}; it must be a multiple of {4 * WIDTH}")
    per = levels // WIDTH

    def write(code: NetworkCode, threshold: Any) -> None:
        floor = code.broadcast(threshold)
        draw_of = _draw_by_level if code.many and not code.eight_bits else _draw_by_signal
        draw_of(code, floor, per)

    write.__name__ = f"categorical_{levels}"
    return network_stage(write)


def _weights(code: NetworkCode, xs: list[Any], top: Any, scale: Any) -> list[Any]:
    """Write vector code that computes 2**(x * scale - top) of several vectors x of logits; return the results.

    Exponents below -126 count as -126. top: the largest x times scale, a vector as scale is.
    """
    exponents = [code.fma(x, scale, code.builder.fneg(top)) for x in xs]
    return code.exp2([code.maximum(exponent, code.constant(LEAST)) for exponent in exponents], code.series)


def _sum_of_four(code: NetworkCode, four: list[Any]) -> Any:
    return code.add(code.add(four[0], four[1]), code.add(four[2], four[3]))


def _running_sums(code: NetworkCode, values: list[Any]) -> list[Any]:
    """Write vector code for the sums of the first 1, 2 .. of several vectors of numbers >= 0; return these sums.

    The vectors of each four are added one after the other, and the sum of all fours before is added last. So no sum is
    smaller than the one before, and a vector of zeros does not change the sum.
    """
    sums: list[Any] = []
    for j in range(0, len(values), 4):
        four = list(accumulate(values[j : j + 4], code.add))
        sums += [code.add(sums[-1], value) for value in four] if j else four
    return sums


def _draw_by_signal(code: NetworkCode, threshold: Any, per: int) -> None:
    """Write the code of `categorical` with vectors of one signal each.

    threshold: a vector that holds the threshold in every element; per: the number of levels in a block. Of sixteen
    signals, the probabilities of all are computed before the first draw: the instructions wait for each other, and the
    processor is faster if it can work on several signals at once.
    """
    b, zero = code.builder, code.constant(0)

    def place(lane: Any, j: int) -> Any:
        return code.times(code.plus(lane, j * code.each), WIDTH)

    with code.loop(code.each) as lane:
        scale = code.broadcast(code.element("sharp", lane))
        x = [code.load("logits", place(lane, j)) for j in range(per)]
        tops = x[:4]
        for j in range(4, per):
            tops[j % 4] = code.maximum(x[j], tops[j % 4])
        top = code.maximum(code.maximum(tops[0], tops[1]), code.maximum(tops[2], tops[3]))
        top = code.mul(code.across(code.maximum, top), scale)
        fours = [_weights(code, x[j : j + 4], top, scale) for j in range(0, per, 4)]
        total = reduce(code.add, [_sum_of_four(code, four) for four in fours])
        floor = code.mul(threshold, code.across(code.add, total))
        for j, value in enumerate(chain.from_iterable(fours)):
            code.store(code.maximum(code.sub(value, floor), zero), "logits", place(lane, j))
    with code.loop(code.each) as lane:
        f = _running_sums(code, [code.load("logits", place(lane, j)) for j in range(per)])
        before, end = zero, code.number(0)
        for m in range(WIDTH):
            before = code.insert(before, end, m)
            end = code.add(end, code.extract(f[-1], m))
        b.store(end, code.address("total", lane))
        goal = code.broadcast(code.mul(code.element("number", lane), end))
        counts = [code.integer(0)] * 4
        for j, value in enumerate(f):
            counts[j % 4] = b.sub(counts[j % 4], code.where_at_most(code.add(before, value), goal))
        count = code.across(b.add, reduce(b.add, counts))
        b.store(code.position(code.extract(count, 0)), code.address("drawn", lane))


def _draw_by_level(code: NetworkCode, threshold: Any, per: int) -> None:
    """Write the code of `categorical` with vectors of one level of sixteen signals each.

    threshold, per: as in `_draw_by_signal`.
    """
    b, zero, scale = code.builder, code.constant(0), code.load("sharp", 0)
    rows = WIDTH * WIDTH  # distance from place 16 * b of the logits to place 16 * (b + 1), in numbers
    top = code.variable(code.load("logits", 0))
    with code.loop(WIDTH * per) as j:
        b.store(code.maximum(code.load("logits", code.times(j, WIDTH)), b.load(top)), top)
    highest = code.mul(b.load(top), scale)
    with code.loop(WIDTH) as m:
        at, fours = code.times(m, WIDTH), []
        for j in range(0, per, 4):
            four = [code.plus(at, (j + k) * rows) for k in range(4)]
            p = _weights(code, [code.load("logits", place) for place in four], highest, scale)
            for place, value in zip(four, p, strict=True):
                code.store(value, "logits", place)
            fours.append(_sum_of_four(code, p))
        code.store(reduce(code.add, fours), "work", at)
    totals = [code.load("work", m * WIDTH) for m in range(WIDTH)]
    for step in (8, 4, 2, 1):
        totals = [code.add(totals[m], totals[m + step]) for m in range(step)]
    floor = code.mul(threshold, totals[0])
    before = code.variable(zero)
    with code.loop(WIDTH) as m:
        q = []
        for j in range(per):
            place = code.plus(code.times(m, WIDTH), j * rows)
            q.append(code.maximum(code.sub(code.load("logits", place), floor), zero))
            code.store(q[-1], "logits", place)
        b.store(code.add(b.load(before), _running_sums(code, q)[-1]), before)
    total = b.load(before)
    code.store(total, "total", 0)
    goal = code.mul(code.load("number", 0), total)
    b.store(zero, before)
    count = code.variable(code.integer(0))
    with code.loop(WIDTH) as m:
        start = b.load(before)
        q = [code.load("logits", code.plus(code.times(m, WIDTH), j * rows)) for j in range(per)]
        f = [code.add(start, value) for value in _running_sums(code, q)]
        for value in f:
            b.store(b.sub(b.load(count), code.where_at_most(value, goal)), count)
        b.store(f[-1], before)
    found = b.load(count)
    for lane in range(WIDTH):
        b.store(code.position(code.extract(found, lane)), code.address("drawn", lane))


# ---- a softmax of any number of levels ------------------------------------------------------------------------------


class SoftmaxBuffers(NamedTuple):
    """The buffers for draws from a softmax of logits.

    state: an array by whose shape a stage knows whether it computes one signal or sixteen. y: the exponentials.
    scales, tops: log2(e) / temperature, and the largest logit of each lane. totals, goals, chosen: for each lane a
    sum of exponentials, the sum at which the level is drawn, and this level.
    """

    state: Array  # [1, n] or [1, n, 16]: its shape tells whether there are 1 or 16 lanes; its numbers are not read
    y: Array  # level k of lane l at k * lanes + l; with room for a multiple of 16 numbers
    scales: Array  # [16]: factors before exponentials
    tops: Array  # [16]: the largest logits
    totals: Array  # [16] float64: sums of exponentials
    goals: Array  # [16] float64: the sums at which a level is drawn
    chosen: Array  # [16] int64: the drawn levels


def softmax_buffers(state: Array, levels: int, lanes: int) -> SoftmaxBuffers:
    """Return buffers for draws of one of `levels` levels. lanes: 1 or 16; state: as in `SoftmaxBuffers`."""
    (scales, tops), (totals, goals) = np.zeros((2, WIDTH), np.float32), np.zeros((2, WIDTH))
    y, chosen = np.zeros(levels * lanes + WIDTH, np.float32), np.zeros(WIDTH, np.int64)
    return SoftmaxBuffers(state, y, scales, tops, totals, goals, chosen)


@network_stage
def _exponentials(code: NetworkCode, count: Any) -> None:
    """Write vector code that replaces the first `count` vectors x of y by 2**(x * scale - top * scale).

    scale and top are the numbers of each lane in `scales` and `tops`. Exponents below -126 count as -126.
    """
    top, scale = (
        code.load(name, 0) if code.many else code.broadcast(code.element(name, 0)) for name in ("tops", "scales")
    )
    top = code.mul(top, scale)
    with code.loop(count) as k:
        at = code.times(k, WIDTH)
        code.store(_weights(code, [code.load("y", at)], top, scale)[0], "y", at)


@kernel
def _exponentiate(buffers: SoftmaxBuffers, logits: Array, levels: int, temperature: float) -> None:
    """Write e**((x - largest x) / temperature) to buffers.y, for the first `levels` logits x of each lane.

    logits: [levels or more, lanes]. Results below 2**-126 are raised to it. The buffers `scales` and `tops` are
    overwritten.
    """
    y, tops, lanes = buffers.y, buffers.tops, logits.shape[1]
    for lane in range(lanes):
        tops[lane] = logits[0, lane]
    for k in range(levels):
        for lane in range(lanes):
            y[k * lanes + lane] = logits[k, lane]
            tops[lane] = max(tops[lane], logits[k, lane])
    buffers.scales.fill(LOG2_E / temperature)
    _exponentials(buffers, buffers, (levels * lanes + WIDTH - 1) // WIDTH)


@kernel
def draw_class(
    buffers: SoftmaxBuffers, logits: Array, levels: int, temperature: float, numbers: Array, drawn: Array, shares: Array
) -> None:
    """Draw a level of every lane from softmax(logits / temperature).

    The drawn level is the number of k with F(k) <= u * F(levels - 1), where F(k) is the sum of the exponentials of the
    levels 0 .. k.

    buffers: from `softmax_buffers`, for as many lanes and at least as many levels; overwritten. logits: [levels or
    more, lanes], not changed; numbers: u, [lanes], from 0 up to, not including, 1. drawn: [lanes] float64, overwritten
    with the levels; shares: [lanes], multiplied in place by the probabilities of the drawn levels.
    """
    lanes = len(drawn)
    _exponentiate(buffers, logits, levels, temperature)
    y, total, goal, chosen = buffers.y, buffers.totals, buffers.goals, buffers.chosen
    for lane in range(lanes):
        total[lane], goal[lane], chosen[lane] = 0.0, 0.0, 0
    for k in range(levels):
        for lane in range(lanes):
            goal[lane] += y[k * lanes + lane]
    for lane in range(lanes):
        goal[lane] *= numbers[lane]
    for k in range(levels):
        for lane in range(lanes):
            total[lane] += y[k * lanes + lane]
            chosen[lane] += total[lane] <= goal[lane]
    for lane in range(lanes):
        drawn[lane] = chosen[lane]
        shares[lane] *= y[chosen[lane] * lanes + lane] / total[lane]


def probabilities(logits: Array, levels: int, temperature: float) -> None:
    """Replace every group of `levels` logits by softmax(logits / temperature), in place.

    logits: [n, groups * levels] float32, contiguous.
    """
    rows = logits.reshape(-1, levels)
    _normalise(softmax_buffers(np.zeros((1, 0), np.float32), levels, 1), rows, rows[..., None], temperature)


@kernel
def _normalise(buffers: SoftmaxBuffers, rows: Array, columns: Array, temperature: float) -> None:
    y, levels = buffers.y, rows.shape[1]
    for n in range(len(rows)):
        _exponentiate(buffers, columns[n], levels, temperature)
        total = 0.0
        for k in range(levels):
            total += y[k]
        for k in range(levels):
            rows[n, k] = y[k] / total
