"""LPCNet's loop, sample by sample: of one signal, or of sixteen side by side with the same bits.

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

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped
from numba.extending import intrinsic
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel

Array = NDArray[Any]
cgutils: Any = untyped

LANES = 16  # rows in a block, numbers in a vector
CHAINS = 4  # blocks in a group: their sums grow at the same time, for one alone would wait for each multiply-add to end
LEVELS = 256
LIMIT = 32768.0  # of a sample: the codes end there, and a loop that goes beyond no longer hears itself and grows
LOG2_E = 1.4426950408889634

END = 30.0  # of an exponent of a gate; see above
LEAST = -126.0  # of an exponent of a probability: the least float32 of full precision

# 2**r, r from -1/2 to 1/2: 1 + r (c[0] + r (c[1] + ...)), relative error 9.2e-8, the least there is with five terms.
SERIES = (0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.001326472731307149)
SCALE = np.float32(LOG2_E)
ROUND = 1.5 * 2**23  # added to a float32, it leaves the nearest whole number in the lowest bits


# ---- what the kernels read ------------------------------------------------------------------------------------------
# All that compiled code depends on stands in this file: numba looks here alone for whether it is still the same.


class Blocks(NamedTuple):
    """A matrix in blocks of sixteen rows and one column, those of zeros left out, in the order they are used.

    Four blocks of rows make a group, and a step of it is a column of each: one signal takes all four at a time.
    """

    weights: Array  # [steps, 4, 16]
    columns: Array  # [steps, 4] uint16
    steps: Array  # [groups + 1]: where the steps of a group begin
    places: Array  # [groups, 4]: the first row of each of its blocks
    where: Array  # [rows / 16, 2]: the group of every block of rows, and its place in it


class Matrix(NamedTuple):
    """A layer without its activation."""

    m: Blocks
    start: Array  # [rows + 16]: the bias, and room for sums that nobody reads


class SampleNetwork(NamedTuple):
    """What turns the codes of a sample, and what the condition adds to the gates, into a distribution.

    The rows of a GRU stand block by block, [block, gate, unit]: sixteen units of the gate r, of z, of n.
    """

    tables: Array  # [3, 256, 3 gru_a]: what the codes of signal, prediction and excitation add to the gates of GRU_A
    bias_n: Array  # [3 gru_a]: the recurrent bias of the gate n; the recurrent sums of r and z begin with the condition
    diagonal_a: Array  # [3 gru_a]: of the recurrent weights
    diagonal_b: Array
    start_b: Array  # [4 3 gru_b + 16]
    start_c: Array  # [3 gru_b + 16]
    start_d: Array  # [512 + 16]
    a: Blocks  # recurrent weights of GRU_A but the diagonals
    b: Blocks  # from GRU_A to GRU_B, in four parts of the columns
    c: Blocks  # recurrent weights of GRU_B but the diagonals
    d: Blocks  # both layers behind GRU_B, [block, layer, unit]
    factors: Array  # [3, 256]: a1 + a2, -2 a1, -2 a2
    edges: Array  # [255] float64: code c is from edge c - 1 up to edge c
    centres: Array  # [256] float64: samples of the codes


class Given(NamedTuple):
    """What is known of every frame, one row after the other."""

    rows_a: Array  # [rows, 3 gru_a]: what the conditions add to the gates
    rows_b: Array  # [rows, 3 gru_b]
    lpc: Array  # [rows, order] float64
    sharpness: Array  # [rows]: what logits are multiplied by


class Columns(NamedTuple):
    """Room for a layer, of one row or of sixteen."""

    state: Array  # [1, inputs] or [1, inputs, row]
    y: Array  # [outputs + 16] or [outputs + 16, row]


class Room(NamedTuple):
    """What the stages of a step hand each other, [numbers] or [numbers, lane]."""

    state: Array  # [2, gru_a + gru_b]: of both GRUs; a step goes from one to the other
    start_a: Array  # [3 gru_a + 16]: what the recurrent sums begin with
    condition_b: Array
    inputs: Array  # slots
    sums_a: Array  # slots
    parts_b: Array
    sums_b: Array  # slots
    layers: Array  # slots
    logits: Array
    work: Array
    places: Array  # [4] int64: where the rows begin that are summed
    sharp: Array  # [lanes]
    number: Array  # [lanes]: from 0 to 1
    drawn: Array  # [lanes] int64
    rows_a: Array  # that of what is given


def room(net: SampleNetwork, rows_a: Array, lanes: int) -> Room:
    """Room for the steps of one signal, or of sixteen."""
    a, b, many = len(net.bias_n), len(net.diagonal_b), lanes > 1
    slots = max(6 * LANES, b) if many else max(a, b)
    layers = 4 * LANES if many else 2 * LEVELS
    sizes = (a + LANES, b, slots, slots + LANES, CHAINS * b + LANES, b + LANES, layers + LANES, LEVELS, LANES)
    width = (LANES,) if many else ()
    made: list[Array] = [np.zeros((2, (a + b) // 3, *width), np.float32)]
    made += [np.zeros((n, *width), np.float32) for n in sizes]
    made += [np.zeros((4, *width), np.int64), *np.zeros((2, lanes), np.float32), np.zeros(lanes, np.int64), rows_a]
    return Room._make(made)


# ---- vector code ----------------------------------------------------------------------------------------------------

REAL, WHOLE, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR, WHOLES = ir.VectorType(REAL, LANES), ir.VectorType(WHOLE, LANES)


class Code:
    """Vector code being written: the arrays it may use, by name, and what is done with sixteen numbers at a time."""

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any) -> None:
        self.context, self.builder = context, builder
        self.arrays: dict[str, Any] = {}
        for kind, value in zip(kinds, values, strict=True):
            if isinstance(kind, types.NamedTuple):
                self._name(kind, value, "")
        self.numbers = [value for kind, value in zip(kinds, values, strict=True) if isinstance(kind, types.Number)]

    def _name(self, kind: Any, value: Any, where: str) -> None:
        for k, (name, one) in enumerate(zip(kind.fields, kind.types, strict=True)):
            inner = self.builder.extract_value(value, k)
            if isinstance(one, types.NamedTuple):
                self._name(one, inner, f"{name}.")
            else:
                self.arrays[where + name] = self.context.make_array(one)(self.context, self.builder, inner).data
                if name == "state":
                    self.many = one.ndim == 3

    @property
    def each(self) -> int:
        """Vectors that hold a block of sixteen units."""
        return LANES if self.many else 1

    def constant(self, value: float) -> Any:
        return ir.Constant(VECTOR, [float(np.float32(value))] * LANES)

    def times(self, a: Any, n: int) -> Any:
        return self.builder.mul(a, ir.Constant(LONG, n))

    def plus(self, a: Any, b: Any) -> Any:
        return self.builder.add(a, ir.Constant(LONG, b) if isinstance(b, int) else b)

    def place(self, name: str, at: Any) -> Any:
        """The address of an element of an array."""
        return self.builder.gep(self.arrays[name], [ir.Constant(LONG, at) if isinstance(at, int) else at])

    def load(self, name: str, at: Any) -> Any:
        return self.builder.load(self.builder.bitcast(self.place(name, at), VECTOR.as_pointer()), align=4)

    def store(self, value: Any, name: str, at: Any) -> None:
        self.builder.store(value, self.builder.bitcast(self.place(name, at), VECTOR.as_pointer()), align=4)

    def element(self, name: str, at: Any) -> Any:
        return self.builder.load(self.place(name, at))

    def unit(self, name: str, at: Any, r: Any) -> Any:
        """What the units from `at` on have of a weight: of sixteen signals, unit `at + r` of all of them."""
        return self.spread(self.element(name, self.plus(at, r))) if self.many else self.load(name, at)

    def spread(self, value: Any) -> Any:
        """A number in all sixteen places."""
        one = self.builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.Constant(WHOLE, 0))
        return self.shuffle(one, one, [0] * LANES)

    def shuffle(self, a: Any, b: Any, order: list[int]) -> Any:
        return self.builder.shuffle_vector(a, b, ir.Constant(WHOLES, order))

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b)

    def inverse(self, a: Any) -> Any:
        return self.builder.fdiv(self.constant(1), a)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once."""
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.v{LANES}f32"), [a, b, c]
        )

    def least(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def most(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def powers(self, xs: list[Any]) -> list[Any]:
        """2**x of several vectors, step by step for all of them: each step waits for the last. x within +-126."""
        rounded = [self.add(x, self.constant(ROUND)) for x in xs]
        whole = [self.sub(value, self.constant(ROUND)) for value in rounded]
        rs = [self.sub(x, value) for x, value in zip(xs, whole, strict=True)]
        series = [self.constant(SERIES[-1])] * len(xs)
        for factor in (*SERIES[-2::-1], 1.0):
            series = [self.fma(value, r, self.constant(factor)) for value, r in zip(series, rs, strict=True)]
        places = ir.Constant(WHOLES, [23] * LANES)
        exponents = [self.builder.shl(self.builder.bitcast(value, WHOLES), places) for value in rounded]
        both = zip(series, exponents, strict=True)
        sums = [self.builder.add(self.builder.bitcast(value, WHOLES), exponent) for value, exponent in both]
        return [self.builder.bitcast(value, VECTOR) for value in sums]

    def denominators(self, xs: list[Any]) -> list[Any]:
        """1 + 2**x, x held within -30 and 30."""
        held = [self.least(x, self.constant(END)) for x in xs]
        held = [self.most(x, self.constant(-END)) for x in held]
        return [self.add(value, self.constant(1)) for value in self.powers(held)]

    def across(self, join: Callable[[Any, Any], Any], a: Any) -> Any:
        """All sixteen numbers joined, in every place: each with the one 8, 4, 2 and 1 places on."""
        for step in (8, 4, 2, 1):
            a = join(a, self.shuffle(a, a, [(m + step) % LANES for m in range(LANES)]))
        return a

    def turned(self, rows: list[Any]) -> list[Any]:
        """Sixteen vectors, rows and columns exchanged."""
        low = [m // 2 + LANES * (m % 2) for m in range(LANES)]
        high = [8 + place for place in low]
        for _ in range(4):
            pairs = [(rows[m], rows[m + 8]) for m in range(8)]
            rows = [self.shuffle(a, b, order) for a, b in pairs for order in (low, high)]
        return rows

    def variable(self, value: Any) -> Any:
        """A place in memory, which the compiler turns into a register."""
        return cgutils.alloca_once_value(self.builder, value)

    @contextmanager
    def loop(self, count: Any) -> Iterator[Any]:
        count = ir.Constant(LONG, count) if isinstance(count, int) else count
        with cgutils.for_range(self.builder, count) as loop:
            yield loop.index


def stage(write: Callable[..., None]) -> Any:
    """A piece of a kernel, from a function that writes its code: called there with named tuples of arrays and numbers.

    The arrays are borrowed: handed from function to function they would be counted, and that takes its time.
    """

    def typed(typingctx: Any, *kinds: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            code = Code(context, builder, signature.args, args)
            write(code, *code.numbers)
            return context.get_dummy_value()

        return types.void(*kinds), build

    names = ["typingctx", "net", "room", *list(inspect.signature(write).parameters)[1:]]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    typed.__name__, typed.__doc__ = write.__name__, write.__doc__
    vars(typed)["__signature__"] = inspect.Signature(parameters)
    return intrinsic(typed)


def product_of_one(matrix: str, start: str, y: str) -> Any:
    """Four blocks of sixteen rows, side by side: y[p + r] = start[p + r] + sum_k w[k, r] x[column k], k ascending."""

    def write(code: Code, group: Any, x: Any) -> None:
        b = code.builder
        first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
        places = [code.element(f"{matrix}.places", code.plus(code.times(group, CHAINS), q)) for q in range(CHAINS)]
        sums = [code.variable(code.load(start, place)) for place in places]
        with code.loop(b.sub(end, first)) as k:
            step = code.plus(first, k)
            four = code.place(f"{matrix}.columns", code.times(step, CHAINS))
            four = b.load(b.bitcast(four, LONG.as_pointer()), align=2)
            for q, total in enumerate(sums):
                column = b.and_(b.lshr(four, ir.Constant(LONG, 16 * q)), ir.Constant(LONG, 0xFFFF))
                row = code.load(f"{matrix}.weights", code.plus(code.times(step, CHAINS * LANES), q * LANES))
                value = code.spread(code.element("state", code.plus(x, column)))
                b.store(code.fma(row, value, b.load(total)), total)
        for total, place in zip(sums, places, strict=True):
            code.store(b.load(total), y, place)

    write.__name__ = f"product_of_one_{matrix}"
    return stage(write)


def product_of_many(matrix: str, start: str, y: str) -> Any:
    """One block of sixteen rows for sixteen signals; its sums go to a slot of y."""

    def write(code: Code, block: Any, slot: Any, x: Any) -> None:
        b = code.builder
        group, q = (code.element(f"{matrix}.where", code.plus(code.times(block, 2), k)) for k in range(2))
        first, end = (code.element(f"{matrix}.steps", code.plus(group, k)) for k in range(2))
        rows = [code.plus(code.times(block, LANES), r) for r in range(LANES)]
        if start == "start_a":  # every lane has its own
            sums = [code.variable(code.load(start, code.times(row, LANES))) for row in rows]
        else:
            sums = [code.variable(code.spread(code.element(start, row))) for row in rows]
        with code.loop(b.sub(end, first)) as k:
            step = code.plus(code.times(code.plus(first, k), CHAINS), q)
            column = b.zext(code.element(f"{matrix}.columns", step), LONG)
            values = code.load("state", code.plus(x, code.times(column, LANES)))
            for r, total in enumerate(sums):
                weight = code.element(f"{matrix}.weights", code.plus(code.times(step, LANES), r))
                b.store(code.fma(code.spread(weight), values, b.load(total)), total)
        for r, total in enumerate(sums):
            code.store(b.load(total), y, code.times(code.plus(code.times(slot, LANES), r), LANES))

    write.__name__ = f"product_of_many_{matrix}"
    return stage(write)


@stage
def _tanh(code: Code, first: Any) -> None:
    """tanh of v = x ln 2 / 2 of sixteen values, in place."""
    (d,) = code.denominators([code.load("y", first)])
    code.store(code.fma(code.constant(-2), code.inverse(d), code.constant(1)), "y", first)


# Gates stand block by block, [block, gate, unit] or [block, gate, unit, lane]: sixteen units of r, of z, of n. What the
# stages of one step hand each other stands in slots of that form. One signal has a slot for every block; sixteen, whose
# slots are sixteen times as large, have two, for the two blocks at work, which stay close to the processor.
# Numbers called h and new are where the states of a GRU begin, before the step and after it.


@stage
def _fetch(code: Code, block: Any, gate: Any) -> None:
    """Ask for a gate of a block of the rows of tables that are summed next: they are far away, and there is time."""
    lanes, byte = (LANES if code.many else 1), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, WHOLE, WHOLE, WHOLE])
    fetch = cgutils.get_or_insert_function(code.builder.module, kind, "llvm.prefetch.p0")
    read, near, data = (ir.Constant(WHOLE, value) for value in (0, 2, 1))
    at = code.times(code.plus(code.times(block, 3), gate), LANES)
    for row in range(lanes, 4 * lanes):
        line = code.builder.bitcast(code.place("tables", code.plus(code.element("places", row), at)), byte)
        code.builder.call(fetch, [line, read, near, data])


@stage
def _sum_of_rows(code: Code, block: Any, slot: Any) -> None:
    """(t0 + t1) + t2 of a block, and for the gate n + condition."""

    def row(k: int, lane: int, at: Any) -> Any:
        first = code.element("places", k * (LANES if code.many else 1) + lane)
        return code.load("tables" if k else "rows_a", code.plus(first, at))

    def summed(gate: int, lane: int) -> Any:
        at = code.plus(code.times(block, 3 * LANES), gate * LANES)
        total = code.add(code.add(row(1, lane, at), row(2, lane, at)), row(3, lane, at))
        return code.add(total, row(0, lane, at)) if gate == 2 else total

    for gate in range(3):
        to = code.plus(code.times(slot, 3 * LANES), gate * LANES)
        if code.many:
            for r, values in enumerate(code.turned([summed(gate, lane) for lane in range(LANES)])):
                code.store(values, "inputs", code.times(code.plus(to, r), LANES))
        else:
            code.store(summed(gate, 0), "inputs", to)


@stage
def _sum_of_parts(code: Code, rows: Any, block: Any) -> None:
    """((y0 + y1) + (y2 + y3)) + condition of a block, the parts of y `rows` rows apart."""
    with code.loop(3 * code.each) as r:
        at = code.plus(code.times(block, 3 * LANES * code.each), code.times(r, LANES))
        parts = [code.load("parts_b", code.plus(at, code.times(rows, k * code.each))) for k in range(CHAINS)]
        both = code.add(code.add(parts[0], parts[1]), code.add(parts[2], parts[3]))
        code.store(code.add(both, code.load("condition_b", at)), "inputs", at)


def gates(name: str) -> Any:
    """The gates of two blocks of a GRU, which share divisions: z and g_n + r (y_n + d_n h), in the places of g.

        r = s(g_r + (y_r + d_r h)),    z = s(g_z + (y_z + d_z h))
    """  # fmt: skip

    def write(code: Code, h: Any, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
        with code.loop(code.each) as r:
            within = code.times(r, LANES)

            def place(slot: Any, gate: int) -> Any:
                return code.plus(code.times(code.plus(code.times(slot, 3), gate), LANES * code.each), within)

            def recurrent(block: Any, slot: Any, gate: int) -> Any:
                d = code.unit(f"diagonal_{name}", code.times(code.plus(code.times(block, 3), gate), LANES), r)
                before = code.load("state", code.plus(h, code.plus(code.times(block, LANES * code.each), within)))
                return code.fma(d, before, code.load(f"sums_{name}", place(slot, gate)))

            pair = ((b0, s0), (b1, s1))
            x = [code.add(code.load("inputs", place(s, k)), recurrent(b, s, k)) for b, s in pair for k in range(2)]
            inner = [(code.load("inputs", place(s, 2)), recurrent(b, s, 2)) for b, s in pair]
            r0, z0, r1, z1 = code.denominators(x)
            both0, both1 = code.mul(r0, z0), code.mul(r1, z1)
            shared = code.inverse(code.mul(both0, both1))
            for slot, opened, closing, other, (g, y) in ((s0, r0, z0, both1, inner[0]), (s1, r1, z1, both0, inner[1])):
                quotient = code.mul(shared, other)
                code.store(code.fma(code.mul(quotient, closing), y, g), "inputs", place(slot, 2))
                code.store(code.mul(quotient, opened), "inputs", place(slot, 1))

    write.__name__ = f"gates_{name}"
    return stage(write)


@stage
def _update(code: Code, h: Any, new: Any, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """The new state of two blocks: t + z (h - t), t the tanh of what the gates have left in g."""
    with code.loop(code.each) as r:
        within = code.times(r, LANES)

        def left(slot: Any, gate: int) -> Any:
            return code.load(
                "inputs", code.plus(code.times(code.plus(code.times(slot, 3), gate), LANES * code.each), within)
            )

        z, d = [left(s0, 1), left(s1, 1)], code.denominators([left(s0, 2), left(s1, 2)])
        shared = code.inverse(code.mul(*d))
        for k, block in enumerate((b0, b1)):
            at = code.plus(code.times(block, LANES * code.each), within)
            t = code.fma(code.constant(-2), code.mul(shared, d[1 - k]), code.constant(1))
            value = code.fma(z[k], code.sub(code.load("state", code.plus(h, at)), t), t)
            code.store(value, "state", code.plus(new, at))


@stage
def _two_layers(code: Code, b0: Any, s0: Any, b1: Any, s1: Any) -> None:
    """a1 tanh(v1) + a2 tanh(v2) = (a1 + a2) - 2 (a1 d2 + a2 d1) / (d1 d2), d = 1 + 2**x, of two blocks."""
    with code.loop(code.each) as r:
        within = code.times(r, LANES)
        places = [code.plus(code.times(s, 2), k) for s in (s0, s1) for k in range(2)]
        d = code.denominators(
            [code.load("layers", code.plus(code.times(at, LANES * code.each), within)) for at in places]
        )
        both = [code.mul(d[0], d[1]), code.mul(d[2], d[3])]
        shared = code.inverse(code.mul(*both))
        for k, block in enumerate((b0, b1)):
            at = code.times(block, LANES)
            base, a1, a2 = (code.unit("factors", code.plus(at, j * LEVELS), r) for j in range(3))
            top = code.fma(a1, d[2 * k + 1], code.mul(a2, d[2 * k]))
            value = code.fma(top, code.mul(shared, both[1 - k]), base)
            code.store(value, "logits", code.plus(code.times(at, code.each), within))


@stage
def _draw(code: Code, threshold: Any) -> None:
    """The level whose part of the distribution a number u from 0 to 1 falls in; see `distribution`.

    Level 16 m + b stands at place 16 b + m of the logits, so that the sums over b are those of sixteen blocks of
    sixteen levels. With q the weights above the threshold and F(i) = (q of the blocks before) + (q in the block up to
    i), both summed in ascending order, the level is the number of i with F(i) <= u F(255).
    """
    b, zero = code.builder, code.constant(0)
    threshold = code.spread(threshold)
    scale = code.load("sharp", 0) if code.many else code.spread(code.element("sharp", 0))

    def weights(xs: list[Any], top: Any) -> list[Any]:
        return code.powers([code.most(code.mul(code.sub(x, top), scale), code.constant(LEAST)) for x in xs])

    def up_to(f: Any, goal: Any, count: Any) -> Any:
        return b.sub(count, b.sext(b.fcmp_ordered("<=", f, goal), WHOLES))

    if not code.many:
        x = [code.load("logits", j * LANES) for j in range(LANES)]
        top = x[0]
        for value in x[1:]:
            top = code.most(value, top)
        top = code.across(code.most, top)
        p = [value for j in range(0, LANES, 4) for value in weights(x[j : j + 4], top)]
        total = zero
        for value in p:
            total = code.add(total, value)
        floor = code.mul(threshold, code.across(code.add, total))
        within, f = zero, []
        for value in p:
            within = code.add(within, code.most(code.sub(value, floor), zero))
            f.append(within)
        before, end = zero, ir.Constant(REAL, 0.0)
        for m in range(LANES):
            at = ir.Constant(WHOLE, m)
            before = b.insert_element(before, end, at)
            end = b.fadd(end, b.extract_element(within, at))
        goal = code.spread(b.fmul(code.element("number", 0), end))
        count = ir.Constant(WHOLES, [0] * LANES)
        for value in f:
            count = up_to(code.add(before, value), goal, count)
        count = code.across(b.add, count)
        b.store(b.zext(b.extract_element(count, ir.Constant(WHOLE, 0)), LONG), code.place("drawn", 0))
        return

    rows = LANES * LANES  # from one place 16 b to the next, in numbers
    top = code.variable(code.load("logits", 0))
    with code.loop(LEVELS) as j:
        b.store(code.most(code.load("logits", code.times(j, LANES)), b.load(top)), top)
    highest = b.load(top)
    with code.loop(LANES) as m:
        at, total = code.times(m, LANES), zero
        for j in range(0, LANES, 4):
            four = [code.plus(at, (j + k) * rows) for k in range(4)]
            for place, p in zip(four, weights([code.load("logits", place) for place in four], highest), strict=True):
                code.store(p, "logits", place)
                total = code.add(total, p)
        code.store(total, "work", at)
    totals = [code.load("work", m * LANES) for m in range(LANES)]
    for step in (8, 4, 2, 1):
        totals = [code.add(totals[m], totals[m + step]) for m in range(step)]
    floor = code.mul(threshold, totals[0])
    before = code.variable(zero)
    with code.loop(LANES) as m:
        within, start = zero, b.load(before)
        for j in range(LANES):
            place = code.plus(code.times(m, LANES), j * rows)
            within = code.add(within, code.most(code.sub(code.load("logits", place), floor), zero))
            f = code.add(start, within)
            code.store(f, "logits", place)
        b.store(f, before)
    goal = code.mul(code.load("number", 0), b.load(before))
    count = code.variable(ir.Constant(WHOLES, [0] * LANES))
    with code.loop(LEVELS) as j:
        b.store(up_to(code.load("logits", code.times(j, LANES)), goal, b.load(count)), count)
    found = b.load(count)
    for lane in range(LANES):
        b.store(b.zext(b.extract_element(found, ir.Constant(WHOLE, lane)), LONG), code.place("drawn", lane))


_product_a_of_one = product_of_one("a", "start_a", "sums_a")
_product_b_of_one = product_of_one("b", "start_b", "parts_b")
_product_c_of_one = product_of_one("c", "start_c", "sums_b")
_product_d_of_one = product_of_one("d", "start_d", "layers")
_product_a_of_many = product_of_many("a", "start_a", "sums_a")
_product_b_of_many = product_of_many("b", "start_b", "parts_b")
_product_c_of_many = product_of_many("c", "start_c", "sums_b")
_product_d_of_many = product_of_many("d", "start_d", "layers")
_product_m_of_one = product_of_one("m", "start", "y")
_product_m_of_many = product_of_many("m", "start", "y")
_gates_a, _gates_b = gates("a"), gates("b")


# ---- the loop -------------------------------------------------------------------------------------------------------


@kernel
def run_layer(matrix: Matrix, one: Columns, many: Columns, x: Array, y: Array, tanh: bool) -> None:
    """y = x times a matrix, plus its bias, and its tanh if asked for: sixteen rows at a time, the rest one by one."""
    rows, whole = len(x), len(x) - len(x) % LANES
    xs, ys, x_one, y_one = many.state[0], many.y, one.state[0], one.y
    for n in range(0, whole, LANES):
        for r in range(LANES):
            for k in range(len(xs)):
                xs[k, r] = x[n + r, k]
        for block in range(len(matrix.m.where)):
            _product_m_of_many(matrix, many, block, block, 0)
        for r in range(LANES):
            for m in range(y.shape[1]):
                y[n + r, m] = ys[m, r]
    for n in range(whole, rows):
        x_one[:] = x[n]
        for group in range(len(matrix.m.places)):
            _product_m_of_one(matrix, one, group, 0)
        y[n] = y_one[: y.shape[1]]
    if tanh:
        flat = y.reshape(-1)
        part = Columns(one.state, flat)
        for first in range(0, len(flat), LANES):
            _tanh(matrix, part, first)


@kernel
def _level(edges: Array, x: float) -> int:
    """The mu-law code of a sample: how many of the 255 edges are not above it."""
    at, step = 0, LEVELS // 2
    while step:
        at += step * (edges[at + step - 1] <= x)
        step >>= 1
    return at


@kernel
def _pair(k: int, count: int) -> tuple[int, int]:
    """The blocks of pair k of `count` blocks: the last of an odd number is a pair with itself."""
    half = count // 2
    return (k, k + half) if k < half else (count - 1, count - 1)


@kernel
def _lay_ready(net: SampleNetwork, given: Given, room: Room, row: int, lane: int, lanes: int) -> None:
    """Another frame for a lane."""
    start, condition = room.start_a.reshape(-1), room.condition_b.reshape(-1)
    for i in range(given.rows_b.shape[1]):
        condition[i * lanes + lane] = given.rows_b[row, i]
    for i in range(given.rows_a.shape[1]):
        start[i * lanes + lane] = net.bias_n[i] if i // LANES % 3 == 2 else given.rows_a[row, i]
    room.sharp[lane] = given.sharpness[row] * SCALE


@kernel
def run(
    net: SampleNetwork,
    given: Given,
    room: Room,
    rows: Array,
    ends: Array,
    waits: Array,
    hop: int,
    threshold: float,
    numbers: Array,
    signal: Array,
    codes: Array,
    forced: Array,
    logits: Array,
    states: Array,
) -> None:
    """signal [order + n, lane] from its first `order` samples on; numbers: [n, lane]; codes: [lane, 3].

    Lane l goes through the rows rows[l] to ends[l] of what is given, the first for waits[l] samples, each other for
    `hop`, the last to the end. Where codes are forced, [n, lane, 3], the network hears those, and the logits
    [n, 256 lanes] and states of GRU_B [n, gru_b lanes] are kept.
    """  # fmt: skip
    (count, lanes), order, width = numbers.shape, given.lpc.shape[1], len(net.bias_n)
    blocks_a, blocks_b, blocks_d = width // (3 * LANES), len(net.diagonal_b) // (3 * LANES), LEVELS // LANES
    groups, one = len(net.a.places), room.logits.ndim == 1
    edges, centres, lpc, places = net.edges, net.centres, given.lpc, room.places.reshape(4, -1)
    number, drawn, outcome, state = room.number, room.drawn, room.logits, room.state.reshape(2, -1)
    row, left, taps, prediction = rows - 1, np.zeros(lanes, np.int64), np.zeros((order, lanes)), np.empty(lanes)
    h, new, own = 0, state.shape[1], width // 3 * lanes  # where the states begin, and in them that of GRU_B
    for n in range(count):
        for lane in range(lanes):
            if left[lane] == 0 and row[lane] < ends[lane]:
                left[lane] = waits[lane] if n == 0 else hop
                row[lane] += 1
                for k in range(order):
                    taps[k, lane] = lpc[row[lane], k]
                _lay_ready(net, given, room, row[lane], lane, lanes)
            left[lane] -= 1
            number[lane] = numbers[n, lane]
        if one:
            total = 0.0
            for k in range(order):
                total -= taps[k, 0] * signal[n + order - 1 - k, 0]
            prediction[0] = total
        else:
            prediction[:] = 0.0
            for k in range(order):
                a, s = taps[k], signal[n + order - 1 - k]
                for lane in range(lanes):
                    prediction[lane] -= a[lane] * s[lane]
        for lane in range(lanes):
            codes[lane, 1] = _level(edges, prediction[lane])
            if n < len(forced):
                codes[lane] = forced[n, lane]
            places[0, lane] = row[lane] * width
            for k in range(3):
                places[k + 1, lane] = (k * LEVELS + codes[lane, k]) * width

        if one:  # each stage for all blocks: the way through one is long, and there is much to overlap
            for group in range(groups):
                for block in range(group, blocks_a, groups):
                    for gate in range(3):
                        _fetch(net, room, block, gate)
                _product_a_of_one(net, room, group, h)
            for k in range((blocks_a + 1) // 2):
                b0, b1 = _pair(k, blocks_a)
                _sum_of_rows(net, room, b0, b0)
                _sum_of_rows(net, room, b1, b1)
                _gates_a(net, room, h, b0, b0, b1, b1)
            for k in range((blocks_a + 1) // 2):
                b0, b1 = _pair(k, blocks_a)
                _update(net, room, h, new, b0, b0, b1, b1)
            for group in range(len(net.b.places)):
                _product_b_of_one(net, room, group, new)
            for group in range(len(net.c.places)):
                _product_c_of_one(net, room, group, h)
        else:  # all stages for two blocks, then for the next: what they hand on stays close
            for gate in range(3):
                for block in _pair(0, blocks_a):
                    _fetch(net, room, block, gate)
            for k in range((blocks_a + 1) // 2):
                b0, b1 = _pair(k, blocks_a)
                next0, next1 = _pair(k + 1, blocks_a)
                for gate in range(3):
                    _fetch(net, room, next0, gate)
                    _product_a_of_many(net, room, 3 * b0 + gate, gate, h)
                    _fetch(net, room, next1, gate)
                    _product_a_of_many(net, room, 3 * b1 + gate, 3 + gate, h)
                _sum_of_rows(net, room, b0, 0)
                _sum_of_rows(net, room, b1, 1)
                _gates_a(net, room, h, b0, 0, b1, 1)
                _update(net, room, h, new, b0, 0, b1, 1)
            for block in range(len(net.b.where)):
                _product_b_of_many(net, room, block, block, new)
            for block in range(len(net.c.where)):
                _product_c_of_many(net, room, block, block, h)
        for k in range((blocks_b + 1) // 2):
            b0, b1 = _pair(k, blocks_b)
            _sum_of_parts(net, room, len(net.diagonal_b), b0)
            _sum_of_parts(net, room, len(net.diagonal_b), b1)
            _gates_b(net, room, h + own, b0, b0, b1, b1)
            _update(net, room, h + own, new + own, b0, b0, b1, b1)
        if one:
            for group in range(len(net.d.places)):
                _product_d_of_one(net, room, group, new)
            for k in range(blocks_d // 2):
                b0, b1 = _pair(k, blocks_d)
                _two_layers(net, room, b0, b0, b1, b1)
        else:
            for k in range(blocks_d // 2):
                b0, b1 = _pair(k, blocks_d)
                for layer in range(2):
                    _product_d_of_many(net, room, 2 * b0 + layer, layer, new)
                    _product_d_of_many(net, room, 2 * b1 + layer, 2 + layer, new)
                _two_layers(net, room, b0, 0, b1, 1)

        if n < len(logits):
            logits[n] = outcome.reshape(-1)
            states[n] = state[new // state.shape[1], own:]
        _draw(net, room, np.float32(threshold))
        for lane in range(lanes):
            x = min(max(prediction[lane] + centres[drawn[lane]], -LIMIT), LIMIT)
            signal[order + n, lane] = x
            codes[lane, 0], codes[lane, 2] = _level(edges, x), drawn[lane]
        h, new = new, h
    if count % 2:
        state[0] = state[1]
