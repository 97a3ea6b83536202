"""The vector code of LPCNet, for one signal or for sixteen side by side; its results are the same, bit for bit.

A vector has sixteen float32 numbers, whatever the width of the machine's own vectors: LLVM divides it among registers.
For one signal, a vector holds sixteen units. For sixteen signals, arrays are [unit, lane] in place of [unit], and a
vector holds one unit of all sixteen signals. Each number is computed by the same operations in both forms: the order of
every sum is fixed, multiply-adds are fused, and the compiler may not change the order. So a signal gets the same bits
alone and among others. A machine without fused multiply-adds gives the same bits too, but slowly.

Division is slow, so several quotients share one: 1 / d0 = d1 * (1 / (d0 * d1)) and 1 / d1 = d0 * (1 / (d0 * d1)). The
exponents x in 1 + 2**x are limited to -30 .. 30. This changes a sigmoid or tanh by 2e-9 at most, and the product of
four such denominators, below 2**121, does not overflow.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import Any

from numba import types

from dspgraph_nodes._kernels.compile.simd import Code, stage
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes._kernels.neural.lpcnet_layout import ACCUMULATORS, WIDTH

LOG2_E = 1.4426950408889634
END = 30.0  # limit of the exponents in a sigmoid or tanh; see above
TILE = 4  # rows whose sums stay in registers together: for sixteen signals, 8 of the 16 registers of AVX2
LEAST = -126.0  # lower limit of the exponents of probabilities: 2**-126 is the smallest normal float32


class NetworkCode(Code):
    """The code of a stage, written either for one signal or for sixteen signals."""

    @property
    def many(self) -> bool:
        """Whether the code is for sixteen signals."""
        return self.dimensions["state"] == 3

    @property
    def each(self) -> int:
        """Number of vectors that a block of sixteen units takes: 1 for one signal, 16 for sixteen signals."""
        return WIDTH if self.many else 1

    def unit(self, name: str, at: Any, r: Any) -> Any:
        """Return a vector of weights from the array `name`.

        For one signal it holds the weights of the sixteen units from `at` on, for sixteen signals the weight of unit
        `at + r` sixteen times.
        """
        return self.broadcast(self.element(name, self.plus(at, r))) if self.many else self.load(name, at)

    def denominators(self, xs: list[Any]) -> list[Any]:
        """Return 1 + 2**x for each of several vectors x, with x limited to -30 .. 30."""
        held = [self.minimum(x, self.constant(END)) for x in xs]
        held = [self.maximum(x, self.constant(-END)) for x in held]
        return [self.add(value, self.constant(1)) for value in self.exp2(held)]


network_stage = stage("net", "workspace", width=WIDTH, dtype=types.float32, code=NetworkCode)
"""Decorator that makes a stage of a function `write(code, *numbers)`, which writes the code of the stage.

A kernel calls the stage with two named tuples of arrays (the weights and a workspace), followed by the numbers.
"""


def product_of_one(matrix: str, start: str, y: str) -> Any:
    """Return a stage that multiplies one group (four blocks of sixteen rows) of a matrix with the state of one signal.

        y[p + r] = start[p + r] + sum_k w[k, r] * state[x + column[k]],   k ascending,   r = 0 .. 15

    Here p is the first row of a block, k counts the pieces of the block, w[k] is a piece (sixteen numbers), and
    column[k] is the column of the piece in the matrix. matrix, start, y: the names of the arrays. A kernel calls the
    stage with two numbers: `group`, the number of the group, and `x`, the position in `state` at which the input of the
    matrix begins.
    """

    def write(code: NetworkCode, group: Any, x: Any) -> None:
        b = code.builder
        first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
        places = [
            code.element(f"{matrix}.places", code.plus(code.times(group, ACCUMULATORS), q)) for q in range(ACCUMULATORS)
        ]
        sums = [code.variable(code.load(start, place)) for place in places]
        with code.loop(code.minus(end, first)) as k:
            step = code.plus(first, k)
            columns = code.four_positions(f"{matrix}.columns", code.times(step, ACCUMULATORS))
            for q, (total, column) in enumerate(zip(sums, columns, strict=True)):
                row = code.load(f"{matrix}.weights", code.plus(code.times(step, ACCUMULATORS * WIDTH), q * WIDTH))
                value = code.broadcast(code.element("state", code.plus(x, column)))
                b.store(code.fma(row, value, b.load(total)), total)
        for total, place in zip(sums, places, strict=True):
            code.store(b.load(total), y, place)

    write.__name__ = f"product_of_one_{matrix}"
    return network_stage(write)


def product_of_many(matrix: str, start: str, y: str) -> Any:
    """Return a stage that multiplies one block of sixteen rows of a matrix with the states of sixteen signals.

    For each signal the sums are computed by the formula of `product_of_one`, in the same order. matrix, start, y: the
    names of the arrays. A kernel calls the stage with three numbers: `block`, the number of the block; `slot`: the sums
    are written to the rows 16 * slot .. 16 * slot + 15 of y; `x`, the position in `state` at which the input of the
    matrix begins.
    """

    def write(code: NetworkCode, block: Any, slot: Any, x: Any) -> None:
        b = code.builder
        group, q = (code.element(f"{matrix}.where", code.plus(code.times(block, 2), k)) for k in range(2))
        first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
        rows = [code.plus(code.times(block, WIDTH), r) for r in range(WIDTH)]
        if start == "start_a":  # every lane begins with numbers of its own
            sums = [code.variable(code.load(start, code.times(row, WIDTH))) for row in rows]
        else:
            sums = [code.variable(code.broadcast(code.element(start, row))) for row in rows]
        for tile in range(0, WIDTH, TILE):
            part = sums[tile : tile + TILE]
            with code.loop(code.minus(end, first)) as k:
                step = code.plus(code.times(code.plus(first, k), ACCUMULATORS), q)
                column = code.position(code.element(f"{matrix}.columns", step))
                values = code.load("state", code.plus(x, code.times(column, WIDTH)))
                for r, total in enumerate(part):
                    weight = code.element(f"{matrix}.weights", code.plus(code.times(step, WIDTH), tile + r))
                    b.store(code.fma(code.broadcast(weight), values, b.load(total)), total)
            for r, total in enumerate(part):
                code.store(b.load(total), y, code.times(code.plus(code.times(slot, WIDTH), tile + r), WIDTH))

    write.__name__ = f"product_of_many_{matrix}"
    return network_stage(write)


@network_stage
def tanh_in_place(code: NetworkCode, first: Any) -> None:
    """Replace sixteen numbers x, from position `first` of y on, by tanh(x * ln(2) / 2)."""
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.fma(code.constant(-2), code.reciprocal(d), code.constant(1)), "y", first)


# The numbers of gates have the order [block, gate, unit] or, for sixteen signals, [block, gate, unit, lane]. A *slot*
# is the place of one block in an array that one stage writes and another stage reads. For one signal there is a slot
# for every block. For sixteen signals a slot is sixteen times as large, so GRU_A and DualFC use only two slots, for the
# two blocks that are being computed: two slots fit the cache. GRU_B is small and has a slot for every block. h and new
# are positions in `state`: the state of a GRU before the step begins at h, its state after the step at new. b0 and b1
# are the numbers of two blocks, s0 and s1 the numbers of their slots.


@network_stage
def fetch(code: NetworkCode, block: Any, gate: Any) -> None:
    """Prefetch the numbers of one gate of one block from the rows of `tables` that `sum_of_rows` reads later.

    The tables do not fit the nearest cache; a prefetch loads them while the processor computes.
    """
    lanes = WIDTH if code.many else 1
    at = code.times(code.plus(code.times(block, 3), gate), WIDTH)
    for row in range(lanes, 4 * lanes):
        code.prefetch("tables", code.plus(code.element("places", row), at))


@network_stage
def sum_of_rows(code: NetworkCode, block: Any, slot: Any) -> None:
    """Write (t0 + t1) + t2 to `slot` of `inputs`: t0, t1, t2 are the numbers of `block` in a row of each table.

    `places` gives the three rows. For gate n the condition is added last. For the gates r and z it is already in the
    recurrent sums.
    """

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
def sum_of_parts(code: NetworkCode, rows: Any, block: Any) -> None:
    """Write ((y0 + y1) + (y2 + y3)) + condition to `inputs`, for the block number `block` of GRU_B.

    y0 .. y3 are the partial sums in `parts_b`: those of y0 begin at row 0, those of y1 at row `rows`, and so on.
    """
    with code.loop(3 * code.each) as r:
        at = code.plus(code.times(block, 3 * WIDTH * code.each), code.times(r, WIDTH))
        parts = [code.load("parts_b", code.plus(at, code.times(rows, k * code.each))) for k in range(ACCUMULATORS)]
        both = code.add(code.add(parts[0], parts[1]), code.add(parts[2], parts[3]))
        code.store(code.add(both, code.load("condition_b", at)), "inputs", at)


def gates(name: str) -> Any:
    """Return a stage that computes the gates of two blocks of a GRU; name: "a" or "b".

        r = 1 / (1 + 2**(g_r + (y_r + d_r * h))),    z = 1 / (1 + 2**(g_z + (y_z + d_z * h)))
        c = g_n + r * (y_n + d_n * h)

    Here g are the sums of the inputs, y the recurrent sums, d the diagonals of the recurrent weights, h the state. r
    and z are sigmoids, because their weights contain the factor -1 / ln(2). In `inputs`, z replaces g_z, and c replaces
    g_n. The four quotients, r and z of two blocks, share one division.
    """

    def write(code: NetworkCode, h: Any, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
        with code.loop(code.each) as r:
            within = code.times(r, WIDTH)

            def place(slot: Any, gate: int) -> Any:
                return code.plus(code.times(code.plus(code.times(slot, 3), gate), WIDTH * code.each), within)

            def recurrent(block: Any, slot: Any, gate: int) -> Any:
                d = code.unit(f"diagonal_{name}", code.times(code.plus(code.times(block, 3), gate), WIDTH), r)
                before = code.load("state", code.plus(h, code.plus(code.times(block, WIDTH * code.each), within)))
                return code.fma(d, before, code.load(f"sums_{name}", place(slot, gate)))

            pair = ((b0, s0), (b1, s1))
            x = [code.add(code.load("inputs", place(s, k)), recurrent(b, s, k)) for b, s in pair for k in range(2)]
            inner = [(code.load("inputs", place(s, 2)), recurrent(b, s, 2)) for b, s in pair]
            r0, z0, r1, z1 = code.denominators(x)
            both0, both1 = code.mul(r0, z0), code.mul(r1, z1)
            shared = code.reciprocal(code.mul(both0, both1))
            for slot, opened, closing, other, (g, y) in ((s0, r0, z0, both1, inner[0]), (s1, r1, z1, both0, inner[1])):
                quotient = code.mul(shared, other)
                code.store(code.fma(code.mul(quotient, closing), y, g), "inputs", place(slot, 2))
                code.store(code.mul(quotient, opened), "inputs", place(slot, 1))

    write.__name__ = f"gates_{name}"
    return network_stage(write)


@network_stage
def update_state(code: NetworkCode, h: Any, new: Any, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """Write the new state of two blocks: t + z * (h - t), where t = 1 - 2 / (1 + 2**c) = tanh(c * ln(2) / 2).

    `gates` has written z and c to `inputs`.
    """
    with code.loop(code.each) as r:
        within = code.times(r, WIDTH)

        def left(slot: Any, gate: int) -> Any:
            return code.load(
                "inputs", code.plus(code.times(code.plus(code.times(slot, 3), gate), WIDTH * code.each), within)
            )

        z, d = [left(s0, 1), left(s1, 1)], code.denominators([left(s0, 2), left(s1, 2)])
        shared = code.reciprocal(code.mul(*d))
        for k, block in enumerate((b0, b1)):
            at = code.plus(code.times(block, WIDTH * code.each), within)
            t = code.fma(code.constant(-2), code.mul(shared, d[1 - k]), code.constant(1))
            value = code.fma(z[k], code.sub(code.load("state", code.plus(h, at)), t), t)
            code.store(value, "state", code.plus(new, at))


@network_stage
def two_layers(code: NetworkCode, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """Write the logits of two blocks, from the sums x1 and x2 of the layers of DualFC.

        a1 * tanh(v1) + a2 * tanh(v2) = (a1 + a2) - 2 * (a1 * d2 + a2 * d1) / (d1 * d2)

    Here d1 = 1 + 2**x1 and d2 = 1 + 2**x2, with x = 2 * v / ln(2); a1 and a2 are the factors of the layers.
    """
    with code.loop(code.each) as r:
        within = code.times(r, WIDTH)
        places = [code.plus(code.times(s, 2), k) for s in (s0, s1) for k in range(2)]
        d = code.denominators(
            [code.load("layers", code.plus(code.times(at, WIDTH * code.each), within)) for at in places]
        )
        both = [code.mul(d[0], d[1]), code.mul(d[2], d[3])]
        shared = code.reciprocal(code.mul(*both))
        for k, block in enumerate((b0, b1)):
            at = code.times(block, WIDTH)
            base, a1, a2 = (code.unit("factors", code.plus(at, j * LEVELS), r) for j in range(3))
            top = code.fma(a1, d[2 * k + 1], code.mul(a2, d[2 * k]))
            value = code.fma(top, code.mul(shared, both[1 - k]), base)
            code.store(value, "logits", code.plus(code.times(at, code.each), within))


@network_stage
def draw(code: NetworkCode, threshold: Any) -> None:
    """Draw a level (an excitation code) from the distribution of the logits, and write it to `drawn`.

        p(i) = 2**((logit(i) - highest logit) * sharp),    q(i) = max(0, p(i) - threshold * sum of all p)

    The level is the number of i with F(i) <= u * F(255), where u is the random number, and F(i) is the sum of q(0) to
    q(i): the sum of all blocks of sixteen levels before, plus the sum within the block, both in ascending order.

    Level 16 * m + b is at place 16 * b + m of the logits. A vector then holds level b of all sixteen blocks, and the
    sums within the blocks are sums of vectors.
    """
    (_draw_of_many if code.many else _draw_of_one)(code, code.broadcast(threshold))


def _weights(code: NetworkCode, xs: list[Any], top: Any, scale: Any) -> list[Any]:
    """Return 2**((x - top) * scale) for each of several vectors x of logits; exponents below -126 count as -126."""
    return code.exp2([code.maximum(code.mul(code.sub(x, top), scale), code.constant(LEAST)) for x in xs])


def _draw_of_one(code: NetworkCode, threshold: Any) -> None:
    b, zero, scale = code.builder, code.constant(0), code.broadcast(code.element("sharp", 0))
    x = [code.load("logits", j * WIDTH) for j in range(WIDTH)]
    top = x[0]
    for value in x[1:]:
        top = code.maximum(value, top)
    top = code.across(code.maximum, top)
    p = [value for j in range(0, WIDTH, 4) for value in _weights(code, x[j : j + 4], top, scale)]
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


def _draw_of_many(code: NetworkCode, threshold: Any) -> None:
    b, zero, scale = code.builder, code.constant(0), code.load("sharp", 0)
    rows = WIDTH * WIDTH  # distance from place 16 * b of the logits to place 16 * (b + 1), in numbers
    top = code.variable(code.load("logits", 0))
    with code.loop(LEVELS) as j:
        b.store(code.maximum(code.load("logits", code.times(j, WIDTH)), b.load(top)), top)
    highest = b.load(top)
    with code.loop(WIDTH) as m:
        at, total = code.times(m, WIDTH), zero
        for j in range(0, WIDTH, 4):
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
        for j in range(WIDTH):
            place = code.plus(code.times(m, WIDTH), j * rows)
            within = code.add(within, code.maximum(code.sub(code.load("logits", place), floor), zero))
            f = code.add(start, within)
            code.store(f, "logits", place)
        b.store(f, before)
    goal = code.mul(code.load("number", 0), b.load(before))
    count = code.variable(code.integer(0))
    with code.loop(LEVELS) as j:
        at_most = code.where_at_most(code.load("logits", code.times(j, WIDTH)), goal)
        b.store(b.sub(b.load(count), at_most), count)
    found = b.load(count)
    for lane in range(WIDTH):
        b.store(code.position(code.extract(found, lane)), code.address("drawn", lane))


product_a_of_one = product_of_one("a", "start_a", "sums_a")
product_b_of_one = product_of_one("b", "start_b", "parts_b")
product_c_of_one = product_of_one("c", "start_c", "sums_b")
product_d_of_one = product_of_one("d", "start_d", "layers")
product_a_of_many = product_of_many("a", "start_a", "sums_a")
product_b_of_many = product_of_many("b", "start_b", "parts_b")
product_c_of_many = product_of_many("c", "start_c", "sums_b")
product_d_of_many = product_of_many("d", "start_d", "layers")
product_m_of_one = product_of_one("m", "start", "y")
product_m_of_many = product_of_many("m", "start", "y")
gates_a, gates_b = gates("a"), gates("b")
