"""The vector code of neural networks, for one signal or for sixteen side by side, with the same bits.

A stage is a piece of vector code that a kernel calls. A vector has sixteen float32 numbers; LLVM divides it among the
registers of the machine. For one signal, a vector holds sixteen units. For sixteen signals, arrays are [unit, lane] in
place of [unit], and a vector holds one unit of all sixteen signals. Each number is computed by the same operations in
both forms: the order of every sum is fixed, multiply-adds are fused, and the compiler may not change the order. So a
signal gets the same bits alone and among others. A machine without fused multiply-adds gives the same bits too, but
slowly.

Division is slow, so several quotients share one: 1 / d0 = d1 * (1 / (d0 * d1)) and 1 / d1 = d0 * (1 / (d0 * d1)). The
exponents x in 1 + 2**x are limited to -30 .. 30. This changes a sigmoid or tanh by 2e-9 at most, and the product of
four such denominators, below 2**121, does not overflow. In eight bits a fraction of polynomials takes the place of a
sigmoid or tanh: it has fewer steps that wait for each other, and its error is small beside the rounding of a state.

A matrix may have 8-bit numbers (`layout.DotBlocks`). Its products then read the array `codes` of the workspace: the
state in 8-bit numbers, which `encode_state` and `update_state` write, in the order of `state`. Sums are whole numbers,
in arrays of int32, and become floats where they are read: scale * sum + start. In such a network a vector always holds
sixteen units of one signal, also for sixteen signals: the arrays are then [block, lane, unit in block]. Layers whose
inputs may have any size differ: their `state` stays [unit, lane], and the module `eight_bits` writes `codes`.

A stage reads and writes arrays of two named tuples, `net` (the weights) and `workspace`, by their names. Every stage
needs the array `state` of the workspace: [rows, units], or [rows, units, lane] for sixteen signals; it tells the two
forms apart. A position in an array is an index of the flattened array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import SERIES, SHORT_SERIES, Code, stage
from dspgraph_nodes._kernels.neural.layout import ACCUMULATORS, DOT_BLOCKS, OFFSET, WIDTH

LOG2_E = 1.4426950408889634
END = 30.0  # limit of the exponents in a sigmoid or tanh; see above

# In eight bits, tanh(x * ln(2) / 2) is x * (t0 + s * (t1 + s)) / (b0 + s * (b1 + s * b2)), where s = x**2, for x from
# -TANH_END to TANH_END; x beyond an end counts as this end. The error is 4.5e-5 at most, and no value is larger than 1.
TANH_TOP, TANH_BOTTOM, TANH_END = (106126.914, 1296.0852), (306276.97, 15981.6455, 55.76104), 14.484658
TILE = 4  # rows whose sums stay in registers together: for sixteen signals, 8 of the 16 registers of AVX2


class NetworkCode(Code):
    """A writer of vector code that knows whether a stage is compiled for one signal or for sixteen signals."""

    @property
    def many(self) -> bool:
        """True if the code is for sixteen signals."""
        return self.dimensions["state"] == 3

    @property
    def each(self) -> int:
        """The number of vectors that hold a block of sixteen units: 1 for one signal, 16 for sixteen signals."""
        return WIDTH if self.many else 1

    @property
    def eight_bits(self) -> str:
        """The `path` of the products with matrices of 8-bit numbers in this network; "" if it has no such matrix."""
        return next((path for path, kind in DOT_BLOCKS.items() if kind in self.tuples.values()), "")

    def store_in_eight_bits(self, h: Any, at: Any) -> None:
        """Write a vector of states h, from -1 to 1, to `codes`, from position `at` on.

        The numbers are round(127 * h), halves to even, plus `OFFSET` for the path vnni.
        """
        found = self.rounded(self.mul(h, self.constant(127)))
        found = self.builder.xor(found, self.integer(OFFSET)) if self.eight_bits == "vnni" else found
        self.store_integers(self.narrow(found, self.bits["codes"]), "codes", at)

    @property
    def series(self) -> tuple[float, ...]:
        """The coefficients of powers of 2 in a draw. In eight bits the short series is enough."""
        return SHORT_SERIES if self.eight_bits else SERIES

    def unit(self, name: str, at: Any, r: Any) -> Any:
        """Return a vector of weights from the array `name`.

        It holds the weights of the sixteen units from `at` on; if a vector holds one unit of sixteen signals, it is the
        weight of unit `at + r` sixteen times.
        """
        by_unit = self.many and not self.eight_bits
        return self.broadcast(self.element(name, self.plus(at, r))) if by_unit else self.load(name, at)

    def path(self, matrix: str) -> str:
        """Return how the products of a matrix are computed: a name in `DOT_BLOCKS` for 8-bit numbers, "" for floats."""
        return next((path for path, kind in DOT_BLOCKS.items() if self.tuples.get(matrix) is kind), "")

    def sums(self, matrix: str, y: str, at: Any, row: Any, r: Any, start: Callable[[], Any]) -> Any:
        """Return the sixteen sums of products from position `at` of the array y on, as a vector of floats.

        matrix, y: names of arrays. row, r: the row of the matrix to which the sums belong, as `at` and r in `unit`.
        start: a function that returns the vector to add to the sums of a matrix of 8-bit numbers; the sums of a matrix
        of floats contain this vector already.
        """
        if not self.path(matrix):
            return self.load(y, at)
        return self.fma(self.unit(f"{matrix}.scale", row, r), self.floats(self.load_integers(y, at)), start())

    def denominators(self, xs: list[Any]) -> list[Any]:
        """Return 1 + 2**x for each of several vectors x, with x limited to -30 .. 30."""
        held = [self.minimum(x, self.constant(END)) for x in xs]
        held = [self.maximum(x, self.constant(-END)) for x in held]
        return [self.add(value, self.constant(1)) for value in self.exp2(held)]

    def tanh_fractions(self, xs: list[Any]) -> list[tuple[Any, Any, Any]]:
        """Return (y, p, q) with y * p / q = tanh(x * ln(2) / 2) for each of several vectors x.

        y is x limited to -TANH_END .. TANH_END. This is the approximation for eight bits, see `TANH_TOP`. Each step is
        done for all vectors before the next.
        """
        held = [self.minimum(x, self.constant(TANH_END)) for x in xs]
        held = [self.maximum(x, self.constant(-TANH_END)) for x in held]
        squares = [self.mul(x, x) for x in held]
        tops = [self.add(square, self.constant(TANH_TOP[1])) for square in squares]
        t0, (b0, b1, b2) = self.constant(TANH_TOP[0]), map(self.constant, TANH_BOTTOM)
        bottoms = [self.fma(square, b2, b1) for square in squares]
        tops = [self.fma(top, square, t0) for top, square in zip(tops, squares, strict=True)]
        bottoms = [self.fma(bottom, square, b0) for bottom, square in zip(bottoms, squares, strict=True)]
        return list(zip(held, tops, bottoms, strict=True))

    def tanh_of_pairs(self, xs: list[Any]) -> list[Any]:
        """Return tanh(x * ln(2) / 2) of an even number of vectors x. Two of them share one division."""
        if self.eight_bits:
            parts = self.tanh_fractions(xs)
            shared = [self.reciprocal(self.mul(parts[k][2], parts[k + 1][2])) for k in range(0, len(xs), 2)]
            tops = [self.mul(self.mul(y, p), parts[k ^ 1][2]) for k, (y, p, _) in enumerate(parts)]
            return [self.mul(top, shared[k // 2]) for k, top in enumerate(tops)]
        d = self.denominators(xs)
        shared = [self.reciprocal(self.mul(d[k], d[k + 1])) for k in range(0, len(d), 2)]
        quotients = [self.mul(shared[k // 2], d[k ^ 1]) for k in range(len(d))]
        return [self.fma(self.constant(-2), quotient, self.constant(1)) for quotient in quotients]

    def four_sigmoids(self, xs: list[Any]) -> list[Any]:
        """Return 1 / (1 + 2**x) of four vectors x, in eight bits. They share one division.

        They are (1 - tanh(x * ln(2) / 2)) / 2.
        """
        parts = self.tanh_fractions(xs)
        tops = [self.fma(self.builder.fneg(y), p, q) for y, p, q in parts]
        q = [part[2] for part in parts]
        pairs = [self.mul(q[0], q[1]), self.mul(q[2], q[3])]
        shared = self.div(self.constant(0.5), self.mul(*pairs))
        others = [self.mul(shared, pair) for pair in reversed(pairs)]
        return [self.mul(self.mul(top, q[k ^ 1]), others[k // 2]) for k, top in enumerate(tops)]


network_stage = stage("net", "workspace", width=WIDTH, dtype=types.float32, code=NetworkCode)
"""Decorator that makes a stage of a function `write(code, *numbers)`, which writes the code of the stage.

A kernel calls the stage with two named tuples of arrays (the weights and a workspace), followed by the numbers.
"""


def product_of_one(matrix: str, start: str, y: str) -> Any:
    """Return a stage that multiplies one group (four blocks of sixteen rows) of a matrix with an input of one signal.

        y[p + r] = start[p + r] + sum_k w[k, r] * state[x + column[k]],   k ascending,   r = 0 .. 15

    Here p is the first row of a block, k counts the pieces of the block, w[k] is a piece (sixteen numbers), and
    column[k] is the column of the piece in the matrix. matrix, start, y: the names of the arrays. A kernel calls the
    stage with two numbers: `group`, the number of the group, and `x`, the position in `state` at which the input of the
    matrix begins.

    For a matrix of 8-bit numbers, w[k, r] * state[...] is a sum of four products with numbers of `codes`; the sums,
    which y (int32) gets, begin with the matrix's own `start`. The sums of `layout.ScaledBlocks` begin with 0; at the
    end y = scale * sum + start. If the weights have no matrix of this name, the stage does nothing.
    """

    def write(code: NetworkCode, group: Any, x: Any) -> None:
        if path := code.path(matrix):
            _dots_of_one(code, path, matrix, y, group, x)
            return
        if f"{matrix}.steps" not in code.arrays:  # a network with floats, whose matrices are elsewhere
            return
        b = code.builder
        first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
        places = [
            code.element(f"{matrix}.places", code.plus(code.times(group, ACCUMULATORS), q)) for q in range(ACCUMULATORS)
        ]
        scaled = f"{matrix}.scale" in code.arrays
        sums = [code.variable(code.constant(0) if scaled else code.load(start, place)) for place in places]
        weights = f"{matrix}.alone" if scaled else f"{matrix}.weights"
        load = code.load_halves if code.bits[weights] == 16 else code.load
        with code.loop(code.minus(end, first)) as k:
            step = code.plus(first, k)
            columns = code.four_positions(f"{matrix}.columns", code.times(step, ACCUMULATORS))
            for q, (total, column) in enumerate(zip(sums, columns, strict=True)):
                row = load(weights, code.plus(code.times(step, ACCUMULATORS * WIDTH), q * WIDTH))
                value = code.broadcast(code.element("state", code.plus(x, column)))
                b.store(code.fma(row, value, b.load(total)), total)
        for total, place in zip(sums, places, strict=True):
            found = b.load(total)
            if scaled:
                found = code.fma(code.load(f"{matrix}.scale", place), found, code.load(start, place))
            code.store(found, y, place)

    write.__name__ = f"product_of_one_{matrix}"
    return network_stage(write)


def product_of_many(matrix: str, start: str, y: str, by_lane: bool = False) -> Any:
    """Return a stage that multiplies one block of sixteen rows of a matrix with inputs of sixteen signals.

    For each signal the sums are computed as by `product_of_one`, for every kind of matrix, in the same order. matrix,
    start, y: the names of the arrays; by_lane: whether `start` is [rows, lane], with numbers of its own for each lane,
    not [rows]. A kernel calls the stage with three numbers: `block`, the number of the block; `slot`: the sums are
    written to the rows 16 * slot .. 16 * slot + 15 of y; `x`, the position in `state` at which the input of the matrix
    begins.
    """

    def write(code: NetworkCode, block: Any, slot: Any, x: Any) -> None:
        if path := code.path(matrix):
            _dots_of_many(code, path, matrix, y, block, slot, x)
            return
        if f"{matrix}.steps" not in code.arrays:  # a network with floats, whose matrices are elsewhere
            return
        b = code.builder
        group, q = (code.element(f"{matrix}.where", code.plus(code.times(block, 3), k)) for k in range(2))
        first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
        rows = [code.plus(code.times(block, WIDTH), r) for r in range(WIDTH)]

        def begin(row: Any) -> Any:
            return code.load(start, code.times(row, WIDTH)) if by_lane else code.broadcast(code.element(start, row))

        scaled = f"{matrix}.scale" in code.arrays
        sums = [code.variable(code.constant(0) if scaled else begin(row)) for row in rows]
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
                found = b.load(total)
                if scaled:
                    factor = code.broadcast(code.element(f"{matrix}.scale", rows[tile + r]))
                    found = code.fma(factor, found, begin(rows[tile + r]))
                code.store(found, y, code.times(code.plus(code.times(slot, WIDTH), tile + r), WIDTH))

    write.__name__ = f"product_of_many_{matrix}"
    return network_stage(write)


def _dots_of_one(code: NetworkCode, path: str, matrix: str, y: str, group: Any, x: Any) -> None:
    """Write the code of a stage `product_of_one` whose matrix has 8-bit numbers. path: see `NetworkCode.path`."""
    b = code.builder
    first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
    places = [
        code.element(f"{matrix}.places", code.plus(code.times(group, ACCUMULATORS), q)) for q in range(ACCUMULATORS)
    ]
    sums = [code.variable(code.load_integers(f"{matrix}.start", place)) for place in places]
    if path == "vnni":  # the sums of every second step: eight independent sums overlap. AVX2 lacks registers for them
        sums += [code.variable(code.integer(0)) for _ in places]
    with code.loop(b.lshr(code.minus(end, first), first.type(1))) as k:
        for half in range(2):
            step = code.times(code.plus(code.plus(first, code.times(k, 2)), half), ACCUMULATORS)
            columns = code.four_positions(f"{matrix}.columns", step)
            for q, column in enumerate(columns):
                total = sums[(half * ACCUMULATORS + q) % len(sums)]
                weights = code.load_bytes(f"{matrix}.weights", code.times(code.plus(step, q), 4 * WIDTH))
                values = code.spread_bytes("codes", code.plus(x, code.times(column, 4)))
                b.store(code.add_dots(path, b.load(total), values, weights), total)
    for q, place in enumerate(places):
        found = b.load(sums[q])
        for other in sums[ACCUMULATORS + q :: ACCUMULATORS]:
            found = b.add(found, b.load(other))
        code.store_integers(found, y, place)


def _dots_of_many(code: NetworkCode, path: str, matrix: str, y: str, block: Any, slot: Any, x: Any) -> None:
    """Write the code of a stage `product_of_many` whose matrix has 8-bit numbers. path: see `NetworkCode.path`."""
    b, lanes = code.builder, WIDTH if path == "vnni" else TILE
    group, q, pieces = (code.element(f"{matrix}.where", code.plus(code.times(block, 3), k)) for k in range(3))
    first = code.element(f"{matrix}.steps", group)
    start = code.load_integers(f"{matrix}.start", code.times(block, WIDTH))
    for lane in range(0, WIDTH, lanes):
        sums = [code.variable(start) for _ in range(lanes)]
        with code.loop(pieces) as k:
            step = code.plus(code.times(code.plus(first, k), ACCUMULATORS), q)
            column = code.position(code.element(f"{matrix}.columns", step))
            by_pairs, width = path == "avx2", 2 if path == "avx2" else 4
            name = f"{matrix}.pairs" if by_pairs else f"{matrix}.weights"
            parts = [code.plus(code.times(step, 4 * WIDTH), j * WIDTH) for j in range(0, 4, width)]
            weights = [code.load_bytes(name, part) for part in parts]
            of_block, within = b.and_(column, column.type(-4)), b.and_(column, column.type(3))
            at = code.plus(x, code.times(code.plus(code.times(of_block, WIDTH), within), 4))
            for k, total in enumerate(sums):
                for j, part in zip(range(0, 4, width), weights, strict=True):
                    values = code.spread_bytes("codes", code.plus(at, WIDTH * (lane + k) + j))
                    found = b.load(total)
                    b.store(
                        code.add_pairs(found, values, part) if by_pairs else code.add_dots(path, found, values, part),
                        total,
                    )
        for k, total in enumerate(sums):
            code.store_integers(b.load(total), y, code.times(code.plus(code.times(slot, WIDTH), lane + k), WIDTH))


@network_stage
def encode_state(code: NetworkCode, h: Any, block: Any) -> None:
    """Write vector code that writes the state of one block of sixteen units to `codes`, see `store_in_eight_bits`.

    h: the position at which the state begins. For a network without 8-bit numbers the stage does nothing.
    """
    if code.eight_bits:
        with code.loop(code.each) as r:
            at = code.plus(h, code.plus(code.times(block, WIDTH * code.each), code.times(r, WIDTH)))
            code.store_in_eight_bits(code.load("state", at), at)


@network_stage
def tanh_in_place(code: NetworkCode, first: Any) -> None:
    """Write vector code that replaces sixteen numbers x of `y`, from `first` on, by tanh(x * ln(2) / 2)."""
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.fma(code.constant(-2), code.reciprocal(d), code.constant(1)), "y", first)


# A block is sixteen units of a GRU. The numbers of gates have the order [block, gate, unit] or, for sixteen signals,
# [block, gate, unit, lane]. A *slot* is the place of a block in an array that one stage writes and another one reads.
# For one signal there is a slot for every block. For sixteen signals a slot is sixteen times as large, so GRU_A and
# DualFC of LPCNet use only two slots, for the two blocks that are being computed: two slots fit the cache. LPCNet's
# GRU_B and the GRUs of other networks have a slot for every block. h and new are positions in `state`: the state of a
# GRU before the step begins at h, its state after the step at new. b0 and b1 are the numbers of two blocks, s0 and s1
# the numbers of their slots.


def sum_of_parts_of(parts: str, condition: str, matrix: str = "") -> Any:
    """Return a stage that writes ((y0 + y1) + (y2 + y3)) + condition to `inputs`, for one block of a GRU.

    y0 .. y3 are partial sums in the array `parts`: those of y0 begin at row 0, those of y1 at row `rows`, and so on.
    condition: the name of the array of numbers that are added last; it has the order of `inputs`. matrix: the name of
    the matrix, if it may have 8-bit numbers; the sum of the parts is then multiplied by its scale before the condition
    is added. A kernel calls the stage with two numbers: `rows` and the number of the block, which is also the number of
    its slot.
    """

    def write(code: NetworkCode, rows: Any, block: Any) -> None:
        with code.loop(3 * code.each) as r:
            at = code.plus(code.times(block, 3 * WIDTH * code.each), code.times(r, WIDTH))
            places = [code.plus(at, code.times(rows, k * code.each)) for k in range(ACCUMULATORS)]
            last = code.load(condition, at)
            if code.path(matrix):
                total = code.load_integers(parts, places[0])
                for place in places[1:]:
                    total = code.builder.add(total, code.load_integers(parts, place))
                gate = code.builder.and_(r, r.type(-WIDTH)) if code.many else code.times(r, WIDTH)
                scale = code.load(f"{matrix}.scale", code.plus(code.times(block, 3 * WIDTH), gate))
                code.store(code.fma(scale, code.floats(total), last), "inputs", at)
            else:
                y = [code.load(parts, place) for place in places]
                both = code.add(code.add(y[0], y[1]), code.add(y[2], y[3]))
                code.store(code.add(both, last), "inputs", at)

    write.__name__ = f"sum_of_{parts}"
    return network_stage(write)


def gates(name: str, matrix: str = "", start: str = "") -> Any:
    """Return a stage that computes the gates of two blocks, of sixteen units each, of a GRU.

    name: the last part of the names of its arrays, sums_<name> and diagonal_<name>. matrix: the name of the recurrent
    matrix, if its sums in sums_<name> may be whole numbers; start: the name of the array that is then added to scale *
    sum. Without `matrix`, the stage does nothing in a network with 8-bit numbers. A kernel calls the stage with five
    numbers, in the order h, b0, s0, b1, s1: h, where the old state begins in `state`; b0 and b1, the numbers of the two
    blocks; s0 and s1, their slots in `inputs` and in the array of the recurrent sums.

        r = 1 / (1 + 2**(g_r + (y_r + d_r * h))),    z = 1 / (1 + 2**(g_z + (y_z + d_z * h)))
        c = g_n + r * (y_n + d_n * h)

    Here g are the sums of the inputs, y the recurrent sums, d the diagonals of the recurrent weights, h the state. r
    and z are sigmoids, because their weights contain the factor -1 / ln(2). In `inputs`, z replaces g_z, and c replaces
    g_n. The four quotients, r and z of two blocks, share one division.
    """

    def write(code: NetworkCode, h: Any, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
        if code.eight_bits and not code.path(matrix):  # the sums are whole numbers, which another stage reads
            return
        with code.loop(code.each) as r:
            within = code.times(r, WIDTH)

            def place(slot: Any, gate: int) -> Any:
                return code.plus(code.times(code.plus(code.times(slot, 3), gate), WIDTH * code.each), within)

            def recurrent(block: Any, slot: Any, gate: int) -> Any:
                row = code.times(code.plus(code.times(block, 3), gate), WIDTH)
                d = code.unit(f"diagonal_{name}", row, r)
                before = code.load("state", code.plus(h, code.plus(code.times(block, WIDTH * code.each), within)))
                sums = code.sums(matrix, f"sums_{name}", place(slot, gate), row, r, lambda: code.unit(start, row, r))
                return code.fma(d, before, sums)

            def gate(block: Any, slot: Any, k: int) -> Any:
                return code.add(code.load("inputs", place(slot, k)), recurrent(block, slot, k))

            pair = ((b0, s0), (b1, s1))
            x = [gate(b, s, k) for b, s in pair for k in range(2)]
            inner = [(code.load("inputs", place(s, 2)), recurrent(b, s, 2)) for b, s in pair]
            if code.eight_bits:
                r0, z0, r1, z1 = code.four_sigmoids(x)
            else:
                r0, z0, r1, z1 = code.denominators(x)
                both0, both1 = code.mul(r0, z0), code.mul(r1, z1)
                shared = code.reciprocal(code.mul(both0, both1))
                q0, q1 = code.mul(shared, both1), code.mul(shared, both0)
                r0, z0, r1, z1 = code.mul(q0, z0), code.mul(q0, r0), code.mul(q1, z1), code.mul(q1, r1)
            for slot, opened, closed, (g, y) in ((s0, r0, z0, inner[0]), (s1, r1, z1, inner[1])):
                code.store(code.fma(opened, y, g), "inputs", place(slot, 2))
                code.store(closed, "inputs", place(slot, 1))

    write.__name__ = f"gates_{name}"
    return network_stage(write)


@network_stage
def update_state(code: NetworkCode, h: Any, new: Any, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """Write vector code that computes the new GRU state of two blocks: t + z * (h - t), t = tanh(c * ln(2) / 2).

    z and c are the values that `gates` wrote to `inputs`; h is the old state. In eight bits the new state is also
    written to `codes`. h, new: where the old and the new states begin in `state`. b0, b1: the numbers of the blocks;
    s0, s1: their slots.
    """
    count = 2 if code.eight_bits and code.many else 1  # vectors of each block that are computed together
    with code.loop(code.each // count) as k:
        parts = [
            (slot, block, code.times(code.plus(code.times(k, count), j), WIDTH))
            for j in range(count)
            for slot, block in ((s0, b0), (s1, b1))
        ]

        def left(slot: Any, gate: int, within: Any) -> Any:
            at = code.times(code.plus(code.times(slot, 3), gate), WIDTH * code.each)
            return code.load("inputs", code.plus(at, within))

        t = code.tanh_of_pairs([left(slot, 2, within) for slot, _, within in parts])
        for value, (slot, block, within) in zip(t, parts, strict=True):
            at = code.plus(code.times(block, WIDTH * code.each), within)
            before = code.load("state", code.plus(h, at))
            after = code.fma(left(slot, 1, within), code.sub(before, value), value)
            code.store(after, "state", code.plus(new, at))
            if code.eight_bits:
                code.store_in_eight_bits(after, code.plus(new, at))


@kernel
def pair_of(k: int, count: int) -> tuple[int, int]:
    """Return the two blocks that are computed together as pair number k of `count` blocks.

    They are k and k + count // 2. If count is odd, the last pair is the last block twice. For a k after the last pair,
    too, both are the last block.
    """
    half = count // 2
    return (k, k + half) if k < half else (count - 1, count - 1)


@kernel
def neighbours(k: int, count: int) -> tuple[int, int]:
    """Return the two blocks that are computed together as pair number k of `count` blocks in eight bits: 2k, 2k + 1.

    If count is odd, the last pair is the last block twice. For a k after the last pair, too, both are the last block.
    """
    return min(2 * k, count - 1), min(2 * k + 1, count - 1)
