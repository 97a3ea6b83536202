"""The vector code of LPCNet: of one signal, or of sixteen side by side with the same bits.

Numbers stand in vectors of sixteen floats, written out through llvmlite, so that one source serves every width of
vector there is. Of one signal a vector holds sixteen units; of sixteen signals (arrays [unit, lane] in place of [unit])
it holds one unit of them all. Every value is the same sequence of operations in both forms: a sum has one order, a
multiply-add is the fused one, and nothing is left to the optimiser. So a lane has the bits its signal has alone, and a
machine without fused multiply-adds gives them too, slowly.

The quotients of two units (four for the gates) share one division. Beyond abs(x) = 30 sigmoid and tanh of x / ln 2 are
at their ends to the last bit of float32, and no product of four denominators overflows.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import Any

from numba import types

from dspgraph_nodes._kernels.compile.simd import Code, stage
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes._kernels.neural.lpcnet_layout import ACCUMULATORS, WIDTH

LOG2_E = 1.4426950408889634
END = 30.0  # of an exponent of a gate; see above
LEAST = -126.0  # of an exponent of a probability: the least float32 of full precision


class NetworkCode(Code):
    """Code of a stage for one signal, whose vectors hold sixteen units, or for sixteen, whose vectors hold one unit."""

    @property
    def many(self) -> bool:
        """True for sixteen signals."""
        return self.dimensions["state"] == 3

    @property
    def each(self) -> int:
        """Vectors that hold a block of sixteen units."""
        return WIDTH if self.many else 1

    def unit(self, name: str, at: Any, r: Any) -> Any:
        """Return the weights of the units from `at` on; of sixteen signals, that of unit `at + r` for all of them."""
        return self.broadcast(self.element(name, self.plus(at, r))) if self.many else self.load(name, at)

    def denominators(self, xs: list[Any]) -> list[Any]:
        """Return 1 + 2**x of several vectors, x held within -30 and 30."""
        held = [self.minimum(x, self.constant(END)) for x in xs]
        held = [self.maximum(x, self.constant(-END)) for x in held]
        return [self.add(value, self.constant(1)) for value in self.exp2(held)]


network_stage = stage("net", "workspace", width=WIDTH, dtype=types.float32, code=NetworkCode)
"""A stage that a kernel calls with two named tuples of arrays: the weights it reads and what it writes to."""


def product_of_one(matrix: str, start: str, y: str) -> Any:
    """Four blocks of sixteen rows, side by side: y[p + r] = start[p + r] + sum_k w[k, r] x[column k], k ascending."""

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
    """One block of sixteen rows for sixteen signals; its sums go to a slot of y."""

    def write(code: NetworkCode, block: Any, slot: Any, x: Any) -> None:
        b = code.builder
        group, q = (code.element(f"{matrix}.where", code.plus(code.times(block, 2), k)) for k in range(2))
        first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
        rows = [code.plus(code.times(block, WIDTH), r) for r in range(WIDTH)]
        if start == "start_a":  # every lane has its own
            sums = [code.variable(code.load(start, code.times(row, WIDTH))) for row in rows]
        else:
            sums = [code.variable(code.broadcast(code.element(start, row))) for row in rows]
        with code.loop(code.minus(end, first)) as k:
            step = code.plus(code.times(code.plus(first, k), ACCUMULATORS), q)
            column = code.position(code.element(f"{matrix}.columns", step))
            values = code.load("state", code.plus(x, code.times(column, WIDTH)))
            for r, total in enumerate(sums):
                weight = code.element(f"{matrix}.weights", code.plus(code.times(step, WIDTH), r))
                b.store(code.fma(code.broadcast(weight), values, b.load(total)), total)
        for r, total in enumerate(sums):
            code.store(b.load(total), y, code.times(code.plus(code.times(slot, WIDTH), r), WIDTH))

    write.__name__ = f"product_of_many_{matrix}"
    return network_stage(write)


@network_stage
def tanh_in_place(code: NetworkCode, first: Any) -> None:
    """Write tanh of v = x ln 2 / 2 of sixteen values, in place."""
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.fma(code.constant(-2), code.reciprocal(d), code.constant(1)), "y", first)


# Gates stand block by block, [block, gate, unit] or [block, gate, unit, lane]: sixteen units of r, of z, of n. What the
# stages of one step hand each other stands in slots of that form. One signal has a slot for every block; sixteen, whose
# slots are sixteen times as large, have two, for the two blocks at work, which stay close to the processor.
# Numbers called h and new are where the states of a GRU begin, before the step and after it.


@network_stage
def fetch(code: NetworkCode, block: Any, gate: Any) -> None:
    """Prefetch a gate of a block of the rows of tables that are summed next: they are far away, and there is time."""
    lanes = WIDTH if code.many else 1
    at = code.times(code.plus(code.times(block, 3), gate), WIDTH)
    for row in range(lanes, 4 * lanes):
        code.prefetch("tables", code.plus(code.element("places", row), at))


@network_stage
def sum_of_rows(code: NetworkCode, block: Any, slot: Any) -> None:
    """Write (t0 + t1) + t2 of a block, and for the gate n + condition."""

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
    """Write ((y0 + y1) + (y2 + y3)) + condition of a block, the parts of y `rows` rows apart."""
    with code.loop(3 * code.each) as r:
        at = code.plus(code.times(block, 3 * WIDTH * code.each), code.times(r, WIDTH))
        parts = [code.load("parts_b", code.plus(at, code.times(rows, k * code.each))) for k in range(ACCUMULATORS)]
        both = code.add(code.add(parts[0], parts[1]), code.add(parts[2], parts[3]))
        code.store(code.add(both, code.load("condition_b", at)), "inputs", at)


def gates(name: str) -> Any:
    """The gates of two blocks of a GRU, which share divisions: z and g_n + r (y_n + d_n h), in the places of g.

        r = s(g_r + (y_r + d_r h)),    z = s(g_z + (y_z + d_z h))
    """  # fmt: skip

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
    """Write the new state of two blocks: t + z (h - t), t the tanh of what the gates have left in g."""
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
    """Write a1 tanh(v1) + a2 tanh(v2) = (a1 + a2) - 2 (a1 d2 + a2 d1) / (d1 d2), d = 1 + 2**x, of two blocks."""
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
    """Write the level whose part of the distribution a number u from 0 to 1 falls in.

    Level 16 m + b stands at place 16 b + m of the logits, so that the sums over b are those of sixteen blocks of
    sixteen levels. With q the weights above the threshold and F(i) = (q of the blocks before) + (q in the block up to
    i), both summed in ascending order, the level is the number of i with F(i) <= u F(255).
    """
    (_draw_of_many if code.many else _draw_of_one)(code, code.broadcast(threshold))


def _weights(code: NetworkCode, xs: list[Any], top: Any, scale: Any) -> list[Any]:
    """Return 2**((x - top) scale) of several vectors of logits."""
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
    rows = WIDTH * WIDTH  # from one place 16 b to the next, in numbers
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
