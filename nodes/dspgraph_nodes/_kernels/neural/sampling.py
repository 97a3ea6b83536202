"""Draws from distributions of neural networks, for one signal or for sixteen side by side, with the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.stages import NetworkCode, network_stage

LEAST = -126.0  # lower limit of the exponents of probabilities: 2**-126 is the smallest normal float32


def level_order(levels: int) -> Array:
    """Return the level at each place of the logits, [levels]: level per * m + b is at place 16 * b + m.

    per = levels / 16 is the number of levels in each of sixteen blocks; m counts the blocks, b the levels of a block.
    levels: a multiple of 64.
    """
    order: Array = np.arange(levels).reshape(WIDTH, levels // WIDTH).T.reshape(-1)
    return order


def categorical(levels: int) -> Any:
    """Return a stage that draws one of `levels` levels from the distribution of logits, and writes it to `drawn`.

        p(i) = 2**((logit(i) - highest logit) * sharp),    q(i) = max(0, p(i) - threshold * sum of all p)

    The level is the number of i with F(i) <= u * F(levels - 1), where u is the random number, and F(i) is the sum of
    q(0) to q(i): the sum of all blocks of levels before, plus the sum within the block, both in ascending order. There
    are sixteen blocks of equally many levels.

    The arrays of the workspace are: `logits` [levels], in the order of `level_order`, which the draw of sixteen signals
    overwrites; `sharp` [lanes]; `number` [lanes], u; `drawn` [lanes] int64; and `work` [16], for sixteen signals alone.
    For sixteen signals `logits` and `work` have a last axis `lane`. A kernel calls the stage with one number: the
    threshold, float32. levels: a multiple of 64. A vector holds level b of all sixteen blocks, so the sums within the
    blocks are sums of vectors.
    """
    if levels % (4 * WIDTH):
        raise ValueError(f"levels is {levels}; it must be a multiple of {4 * WIDTH}")
    per = levels // WIDTH

    def write(code: NetworkCode, threshold: Any) -> None:
        (_draw_of_many if code.many else _draw_of_one)(code, code.broadcast(threshold), per)

    write.__name__ = f"categorical_{levels}"
    return network_stage(write)


def _weights(code: NetworkCode, xs: list[Any], top: Any, scale: Any) -> list[Any]:
    """Return 2**((x - top) * scale) for each of several vectors x of logits; exponents below -126 count as -126."""
    return code.exp2([code.maximum(code.mul(code.sub(x, top), scale), code.constant(LEAST)) for x in xs])


def _draw_of_one(code: NetworkCode, threshold: Any, per: int) -> None:
    b, zero, scale = code.builder, code.constant(0), code.broadcast(code.element("sharp", 0))
    x = [code.load("logits", j * WIDTH) for j in range(per)]
    top = x[0]
    for value in x[1:]:
        top = code.maximum(value, top)
    top = code.across(code.maximum, top)
    p = [value for j in range(0, per, 4) for value in _weights(code, x[j : j + 4], top, scale)]
    total = zero
    for value in p:
        total = code.add(total, value)
    floor = code.mul(threshold, code.across(code.add, total))
    within, f = zero, []
    for value in p:
        within = code.add(within, code.maximum(code.sub(value, floor), zero))
        f.append(within)
    before, end = zero, code.number(0)
    for m in range(WIDTH):
        before = code.insert(before, end, m)
        end = code.add(end, code.extract(within, m))
    goal = code.broadcast(code.mul(code.element("number", 0), end))
    count = code.integer(0)
    for value in f:
        count = b.sub(count, code.where_at_most(code.add(before, value), goal))
    count = code.across(b.add, count)
    b.store(code.position(code.extract(count, 0)), code.address("drawn", 0))


def _draw_of_many(code: NetworkCode, threshold: Any, per: int) -> None:
    b, zero, scale = code.builder, code.constant(0), code.load("sharp", 0)
    rows = WIDTH * WIDTH  # distance from place 16 * b of the logits to place 16 * (b + 1), in numbers
    top = code.variable(code.load("logits", 0))
    with code.loop(WIDTH * per) as j:
        b.store(code.maximum(code.load("logits", code.times(j, WIDTH)), b.load(top)), top)
    highest = b.load(top)
    with code.loop(WIDTH) as m:
        at, total = code.times(m, WIDTH), zero
        for j in range(0, per, 4):
            four = [code.plus(at, (j + k) * rows) for k in range(4)]
            p = _weights(code, [code.load("logits", place) for place in four], highest, scale)
            for place, value in zip(four, p, strict=True):
                code.store(value, "logits", place)
                total = code.add(total, value)
        code.store(total, "work", at)
    totals = [code.load("work", m * WIDTH) for m in range(WIDTH)]
    for step in (8, 4, 2, 1):
        totals = [code.add(totals[m], totals[m + step]) for m in range(step)]
    floor = code.mul(threshold, totals[0])
    before = code.variable(zero)
    with code.loop(WIDTH) as m:
        within, start = zero, b.load(before)
        for j in range(per):
            place = code.plus(code.times(m, WIDTH), j * rows)
            within = code.add(within, code.maximum(code.sub(code.load("logits", place), floor), zero))
            f = code.add(start, within)
            code.store(f, "logits", place)
        b.store(f, before)
    goal = code.mul(code.load("number", 0), b.load(before))
    count = code.variable(code.integer(0))
    with code.loop(WIDTH * per) as j:
        at_most = code.where_at_most(code.load("logits", code.times(j, WIDTH)), goal)
        b.store(b.sub(b.load(count), at_most), count)
    found = b.load(count)
    for lane in range(WIDTH):
        b.store(code.position(code.extract(found, lane)), code.address("drawn", lane))
