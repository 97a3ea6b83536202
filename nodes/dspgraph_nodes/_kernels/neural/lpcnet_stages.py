"""The vector code of LPCNet's own layers, for one signal or for sixteen side by side; see the module `stages`.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import Any

from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes._kernels.neural.sampling import categorical
from dspgraph_nodes._kernels.neural.stages import (
    NetworkCode,
    gates,
    network_stage,
    product_of_many,
    product_of_one,
    sum_of_parts_of,
)


@network_stage
def fetch(code: NetworkCode, block: Any, gate: Any) -> None:
    """Write vector code that prefetches the numbers of one gate and one block, which `sum_of_rows` reads later.

    The tables are larger than the nearest cache; a prefetch loads them while the processor computes. The numbers of one
    gate are a line of the cache, 64 bytes. In eight bits the numbers of all gates of two blocks are in three lines,
    which are fetched for the first block, whose number is even.
    """
    lanes = WIDTH if code.many else 1
    if code.eight_bits:
        at = code.plus(code.times(block, 3 * WIDTH), code.times(gate, 32))
        with code.when_even(block):
            for row in range(lanes, 4 * lanes):
                code.prefetch("tables", code.plus(code.element("places", row), at))
        return
    at = code.times(code.plus(code.times(block, 3), gate), WIDTH)
    for row in range(lanes, 4 * lanes):
        code.prefetch("tables", code.plus(code.element("places", row), at))


@network_stage
def sum_of_rows(code: NetworkCode, block: Any, slot: Any) -> None:
    """Write vector code that adds up what the three codes of a sample add to the gates of one block of GRU_A.

    The sum (t0 + t1) + t2, with a row of each table at the positions `places`, is written to slot number `slot` of the
    array `inputs`. A slot is the place of one block in an array. For gate n the numbers of the condition are added
    last; for the gates r and z they are already in the recurrent sums. In eight bits see `_add_words`.
    """
    if code.eight_bits:
        _add_words(code, block, slot)
        return

    def row(k: int, lane: int, at: Any) -> Any:
        first = code.element("places", k * (WIDTH if code.many else 1) + lane)
        return code.load("tables" if k else "rows_a", code.plus(first, at))

    def summed(gate: int, lane: int) -> Any:
        at = code.plus(code.times(block, 3 * WIDTH), gate * WIDTH)
        total = code.add(code.add(row(1, lane, at), row(2, lane, at)), row(3, lane, at))
        return code.add(total, row(0, lane, at)) if gate == 2 else total

    for gate in range(3):
        to = code.plus(code.times(slot, 3 * WIDTH), gate * WIDTH)
        if code.many:
            for r, values in enumerate(code.transposed([summed(gate, lane) for lane in range(WIDTH)])):
                code.store(values, "inputs", code.times(code.plus(to, r), WIDTH))
        else:
            code.store(summed(gate, 0), "inputs", to)


def _add_words(code: NetworkCode, block: Any, slot: Any) -> None:
    """Write the code of `sum_of_rows` for a network in eight bits.

    The tables then have 16-bit integers, whose sum is exact. The numbers of the condition are added for all gates. The
    recurrent sums of the block, in `sums_a`, become floats.
    """
    with code.loop(code.each) as lane:
        rows = [code.element("places", code.plus(lane, k * code.each)) for k in range(4)]
        for gate in range(3):
            row = code.plus(code.times(block, 3 * WIDTH), gate * WIDTH)
            to = code.plus(code.times(code.plus(code.times(slot, 3), gate), WIDTH * code.each), code.times(lane, WIDTH))
            total = code.load_words("tables", code.plus(rows[1], row))
            for first in rows[2:]:
                total = code.builder.add(total, code.load_words("tables", code.plus(first, row)))
            sums, condition = code.load_integers("sums_a", to), code.load("rows_a", code.plus(rows[0], row))
            code.store(code.fma(code.load("table_scale", row), code.floats(total), condition), "inputs", to)
            code.store(code.fma(code.load("a.scale", row), code.floats(sums), code.load("bias_n", row)), "sums_a", to)


@network_stage
def two_layers(code: NetworkCode, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """Write vector code that computes the logits of two blocks from the sums v1 and v2 of DualFC's two layers.

        a1 * tanh(v1) + a2 * tanh(v2) = (a1 + a2) - 2 * (a1 * d2 + a2 * d1) / (d1 * d2)

    Here d1 = 1 + 2**x1 and d2 = 1 + 2**x2, with x = 2 * v / ln(2), which the sums contain; a1 and a2 are the factors
    of the layers. In eight bits, tanh is a fraction n / d, and a logit is (a1 * n1 * d2 + a2 * n2 * d1) / (d1 * d2).
    b0, b1: the numbers of the blocks; s0, s1: the slots of `layers` in which their sums are.
    """
    with code.loop(code.each) as r:
        within = code.times(r, WIDTH)
        places = [code.plus(code.times(s, 2), k) for s in (s0, s1) for k in range(2)]
        rows = [code.times(code.plus(code.times(block, 2), k), WIDTH) for block in (b0, b1) for k in range(2)]

        def x(at: Any, row: Any) -> Any:
            place = code.plus(code.times(at, WIDTH * code.each), within)
            return code.sums("d", "layers", place, row, r, lambda: code.unit("start_d", row, r))

        xs = [x(at, row) for at, row in zip(places, rows, strict=True)]
        if code.eight_bits:
            parts = code.tanh_fractions(xs)
            for k, block in enumerate((b0, b1)):
                at = code.times(block, WIDTH)
                (y1, p1, d1), (y2, p2, d2) = parts[2 * k : 2 * k + 2]
                a1, a2 = (code.load("factors", code.plus(at, j * LEVELS)) for j in range(2))
                first, second = code.mul(code.mul(a1, y1), p1), code.mul(code.mul(a2, y2), p2)
                top = code.fma(first, d2, code.mul(second, d1))
                code.store(code.div(top, code.mul(d1, d2)), "logits", code.plus(code.times(at, code.each), within))
            return
        d = code.denominators(xs)
        both = [code.mul(d[0], d[1]), code.mul(d[2], d[3])]
        shared = code.reciprocal(code.mul(*both))
        for k, block in enumerate((b0, b1)):
            at = code.times(block, WIDTH)
            base, a1, a2 = (code.unit("factors", code.plus(at, j * LEVELS), r) for j in range(3))
            top = code.fma(a1, d[2 * k + 1], code.mul(a2, d[2 * k]))
            value = code.fma(top, code.mul(shared, both[1 - k]), base)
            code.store(value, "logits", code.plus(code.times(at, code.each), within))


product_a_of_one = product_of_one("a", "start_a", "sums_a")
product_b_of_one = product_of_one("b", "start_b", "parts_b")
product_c_of_one = product_of_one("c", "start_c", "sums_b")
product_d_of_one = product_of_one("d", "start_d", "layers")
product_a_of_many = product_of_many("a", "start_a", "sums_a", by_lane=True)
product_b_of_many = product_of_many("b", "start_b", "parts_b")
product_c_of_many = product_of_many("c", "start_c", "sums_b")
product_d_of_many = product_of_many("d", "start_d", "layers")
gates_a = gates("a")
gates_b = gates("b", "c", "start_c")
sum_of_parts = sum_of_parts_of("parts_b", "condition_b", "b")
draw = categorical(LEVELS)
