"""The vector code of LPCNet's own layers, for one signal or for sixteen side by side; see the module `stages`.

A kernel calls a stage, such as `fetch`, with the weights and the workspace in place of `code`.

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
    """Write vector code that prefetches the numbers of one gate and one block, which a later stage reads.

    The later stage is `sum_of_rows` or, in eight bits, `gates_in_eight_bits`. The tables are larger than the nearest
    cache; a prefetch loads their rows while the processor computes. The numbers of one gate are a line of the cache, 64
    bytes. In eight bits the numbers of all gates of two blocks are in three lines, which are fetched for the first
    block, whose number is even.
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
    last; for the gates r and z they are already in the recurrent sums. In eight bits the stage does nothing; see
    `gates_in_eight_bits`.
    """
    if code.eight_bits:
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


@network_stage
def gates_in_eight_bits(code: NetworkCode, h: Any, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """Write vector code that computes the gates of two blocks of GRU_A, for a network in eight bits.

    The stage does the work of `sum_of_rows` and of `gates`, without storing the numbers between them:

        x_r, x_z = d * h + (scale * y + (table_scale * t + f)),    r, z = 1 / (1 + 2**x)
        c = r * (d * h + (scale * y + bias)) + (table_scale * t + f)

    Every product is added by a fused multiply-add, the innermost first. Here t is the exact sum of 16-bit numbers from
    the tables, f the number of the condition, y the recurrent sum, d the diagonal, h the state. z and c are written to
    `inputs`. h, b0, s0, b1, s1: as in `gates`. For a network with floats the stage does nothing.
    """
    if not code.eight_bits:
        return
    pair = ((b0, s0), (b1, s1))
    names = ("table_scale", "a.scale", "diagonal_a")
    firsts = [[code.times(code.plus(code.times(block, 3), gate), WIDTH) for gate in range(3)] for block, _ in pair]
    weights = [[[code.load(name, row) for name in names] for row in rows] for rows in firsts]  # the same in all lanes
    bias = [code.load("bias_n", rows[2]) for rows in firsts]

    def place(slot: Any, gate: int, within: Any) -> Any:
        return code.plus(code.times(code.plus(code.times(slot, 3), gate), WIDTH * code.each), within)

    with code.loop(code.each) as lane:
        rows = [code.element("places", code.plus(lane, k * code.each)) for k in range(4)]
        within = code.times(lane, WIDTH)
        before = [
            code.load("state", code.plus(h, code.plus(code.times(block, WIDTH * code.each), within)))
            for block, _ in pair
        ]

        def inputs(k: int, gate: int) -> Any:
            row, scale = firsts[k][gate], weights[k][gate][0]
            total = code.load_words("tables", code.plus(rows[1], row))
            for first in rows[2:]:
                total = code.builder.add(total, code.load_words("tables", code.plus(first, row)))
            return code.fma(scale, code.floats(total), code.load("rows_a", code.plus(rows[0], row)))

        def recurrent(k: int, gate: int, start: Any) -> Any:
            at = place(pair[k][1], gate, within)
            _, scale, diagonal = weights[k][gate]
            return code.fma(diagonal, before[k], code.fma(scale, code.floats(code.load_integers("sums_a", at)), start))

        x = [recurrent(k, gate, inputs(k, gate)) for k in range(2) for gate in range(2)]
        r0, z0, r1, z1 = code.four_sigmoids(x)
        for k, (r, z) in enumerate(((r0, z0), (r1, z1))):
            slot = pair[k][1]
            code.store(code.fma(r, recurrent(k, 2, bias[k]), inputs(k, 2)), "inputs", place(slot, 2, within))
            code.store(z, "inputs", place(slot, 1, within))


@network_stage
def two_layers(code: NetworkCode, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """Write vector code that computes the logits of two blocks from the sums v1 and v2 of DualFC's two layers.

        a1 * tanh(v1) + a2 * tanh(v2) = (a1 + a2) - 2 * (a1 * d2 + a2 * d1) / (d1 * d2)

    Here d1 = 1 + 2**x1 and d2 = 1 + 2**x2, with x = 2 * v / ln(2), which the sums contain; a1 and a2 are the factors
    of the layers. In eight bits, tanh is a fraction n / d, and a logit is (a1 * n1 * d2 + a2 * n2 * d1) / (d1 * d2).
    b0, b1: the numbers of the blocks; s0, s1: the slots of `layers` in which their sums are.
    """
    places = [code.times(code.plus(code.times(s, 2), k), WIDTH * code.each) for s in (s0, s1) for k in range(2)]
    if code.eight_bits:
        _two_layers_in_eight_bits(code, (b0, b1), places)
        return
    with code.loop(code.each) as r:
        within = code.times(r, WIDTH)
        d = code.denominators([code.load("layers", code.plus(at, within)) for at in places])
        both = [code.mul(d[0], d[1]), code.mul(d[2], d[3])]
        shared = code.reciprocal(code.mul(*both))
        for k, block in enumerate((b0, b1)):
            at = code.times(block, WIDTH)
            base, a1, a2 = (code.unit("factors", code.plus(at, j * LEVELS), r) for j in range(3))
            top = code.fma(a1, d[2 * k + 1], code.mul(a2, d[2 * k]))
            value = code.fma(top, code.mul(shared, both[1 - k]), base)
            code.store(value, "logits", code.plus(code.times(at, code.each), within))


def _two_layers_in_eight_bits(code: NetworkCode, blocks: tuple[Any, Any], places: list[Any]) -> None:
    """Write the code of `two_layers` for a network in eight bits.

    places: the positions at which the sums begin in `layers`, in the order [block, layer].
    """
    rows = [code.times(code.plus(code.times(block, 2), k), WIDTH) for block in blocks for k in range(2)]
    scales, starts = ([code.load(name, row) for row in rows] for name in ("d.scale", "start_d"))
    factors = [
        code.load("factors", code.plus(code.times(block, WIDTH), j * LEVELS)) for block in blocks for j in range(2)
    ]
    with code.loop(code.each) as lane:
        within = code.times(lane, WIDTH)
        sums = [code.load_integers("layers", code.plus(at, within)) for at in places]
        xs = [code.fma(scale, code.floats(y), start) for scale, y, start in zip(scales, sums, starts, strict=True)]
        parts = code.tanh_fractions(xs)
        n = [code.mul(code.mul(a, y), p) for a, (y, p, _) in zip(factors, parts, strict=True)]
        d = [q for _, _, q in parts]
        tops = [code.fma(n[k], d[k + 1], code.mul(n[k + 1], d[k])) for k in (0, 2)]
        bottoms = [code.mul(d[k], d[k + 1]) for k in (0, 2)]
        shared = code.reciprocal(code.mul(*bottoms))
        for k, block in enumerate(blocks):
            value = code.mul(code.mul(tops[k], bottoms[1 - k]), shared)
            code.store(value, "logits", code.plus(code.times(block, WIDTH * code.each), within))


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
