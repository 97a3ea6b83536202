"""Vector code for kernels. No other file writes LLVM instructions.

A *stage* is a piece of a kernel that works on vectors of a fixed number of floats, 8 or 16. LLVM divides a vector among
the registers of the machine, so that the same source works on every machine. The results have the same bits everywhere:
the terms of a sum are added in the order in which they are written; a product and a sum are rounded separately, except
in `fma`; a machine without fused multiply-adds computes `fma` in software, which is slow. Sums of whole numbers are
exact, so products of 8-bit numbers may use the instructions that a machine has, see `DOT_PATHS`. The bounds of arrays
are not checked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped
from numba.core import config
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

cgutils: Any = untyped

INT8, INT16, INT32, INT64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
BYTES, WORDS, HALF = (ir.VectorType(kind, n) for kind, n in ((INT8, 32), (INT16, 16), (INT32, 8)))  # 256 bits

DOT_PATHS = {"vnni": {"avx512f", "avx512vnni"}, "avx2": {"avx2"}, "plain": set[str]()}
"""Ways to compute sums of products of 8-bit numbers, the fastest first: name -> features that the processor must have.

vnni: VPDPBUSD of AVX-512 VNNI; avx2: VPMADDUBSW or VPMADDWD of AVX2; plain: products and sums of 32-bit numbers, on
every machine.
All give the same whole numbers.
"""


@cache
def converts_halves() -> bool:
    """Return whether the processor of `_features` has instructions that convert 16-bit floats (F16C)."""
    return "f16c" in _features()


@cache
def dot_paths() -> tuple[str, ...]:
    """Return the names in `DOT_PATHS` that the processor of `_features` can run, the fastest first."""
    return tuple(name for name, needed in DOT_PATHS.items() if needed <= _features())


def _features() -> set[str]:
    """Return the features of the processor for which numba compiles, by their names in LLVM, such as "avx2".

    These are the ones in the environment variable NUMBA_CPU_FEATURES if it is set. Otherwise they are those of this
    machine, without AVX where numba turns it off: by NUMBA_ENABLE_AVX=0, or by default for some old processors.
    """
    given = config.CPU_FEATURES  # type: ignore[attr-defined]  # numba makes it from the environment
    text: str = get_host_cpu_features() if given is None else given  # type: ignore[no-untyped-call]
    return {word[1:] for word in text.split(",") if word.startswith("+")}


# 2**r = 1 + r * (c[0] + r * (c[1] + ...)) for r from -1/2 to 1/2. The relative error is 9.2e-8 at most, with the three
# coefficients of the short series 1.02e-4; no other five or three coefficients have a smaller maximum.
SERIES = (0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.001326472731307149)
SHORT_SERIES = (0.69328293, 0.24221096, 0.05500893)
ROUND = 1.5 * 2**23  # a float32 plus this has the nearest whole number in its lowest bits


class Code:
    """A writer of the vector code of a stage.

    Most methods add instructions and return the value that these will compute. An array is given by a name, see
    `add_arrays`. A position is the number of an element in the array read as one-dimensional (C order). The type `Any`
    stands for a value in LLVM: a vector, a number or a position. The position of an element may be a Python number too.

    dtype: numba's type of the elements of a vector, float32 or float64 (the attribute `dtype` is numpy's); width: their
    number. A vector without further words is such a vector; a vector of integers has `width` integers of 32 bits.
    Arithmetic is on vectors of floats, except where a method says otherwise. context, builder: the objects of numba
    and llvmlite by which the stage is compiled.
    """

    def __init__(self, context: Any, builder: Any, dtype: Any, width: int) -> None:
        self.context, self.builder, self.width = context, builder, width
        self.dtype = as_dtype(dtype)
        self.vector = ir.VectorType(context.get_data_type(dtype), width)
        self.integers = ir.VectorType(INT32, width)
        self.arrays: dict[str, Any] = {}
        self.dimensions: dict[str, int] = {}
        self.bits: dict[str, int] = {}
        self.tuples: dict[str, type] = {}

    def add_arrays(self, name: str, kind: Any, value: Any) -> None:
        """Register an array under `name`: its data, its number of axes, and the bits of one of its numbers.

        For a named tuple, register each of its arrays under `name` followed by the field's name, without a dot between
        them. Names of nested fields are joined by dots: if `name` is "" and the field `a` is a named tuple with the
        array `weights`, this array is registered as "a.weights", and the class of this tuple in `tuples` as "a". All
        fields are arrays or named tuples. kind: the type in numba; value: the array or tuple in LLVM.
        """
        if not isinstance(kind, types.BaseNamedTuple):
            self.arrays[name] = self.context.make_array(kind)(self.context, self.builder, value).data
            self.dimensions[name], self.bits[name] = kind.ndim, as_dtype(kind.dtype).itemsize * 8
            return
        named: Any = kind  # a tuple of numba, which does not declare these attributes
        for k, (field, inner) in enumerate(zip(named.fields, named.types, strict=True)):
            nested = isinstance(inner, types.BaseNamedTuple)
            if nested:
                self.tuples[f"{name}{field}"] = inner.instance_class
            self.add_arrays(f"{name}{field}{'.' if nested else ''}", inner, self.builder.extract_value(value, k))

    # ---- positions, loads and stores --------------------------------------------------------------------------------

    def times(self, a: Any, n: int) -> Any:
        """Return the position a * n. a: a position in LLVM; n: a Python number."""
        return self.builder.mul(a, ir.Constant(INT64, n))

    def plus(self, a: Any, b: Any) -> Any:
        """Return the position a + b. b may be a Python number."""
        return self.builder.add(a, ir.Constant(INT64, b) if isinstance(b, int) else b)

    def minus(self, a: Any, b: Any) -> Any:
        """Return the position a - b. b may be a Python number."""
        return self.builder.sub(a, ir.Constant(INT64, b) if isinstance(b, int) else b)

    def address(self, name: str, at: Any) -> Any:
        """Return the address of the element at position `at` of the array `name`."""
        return self.builder.gep(self.arrays[name], [ir.Constant(INT64, at) if isinstance(at, int) else at])

    def element(self, name: str, at: Any) -> Any:
        """Return the element at position `at` of the array `name`: a single number, not a vector."""
        return self.builder.load(self.address(name, at))

    def four_positions(self, name: str, at: Any) -> list[Any]:
        """Return four neighbouring elements of an array of unsigned 16-bit integers, converted to positions.

        Return them as a list. They are read by one load. name: the name of the array; at: the position of the first.
        """
        address = self.builder.bitcast(self.address(name, at), INT64.as_pointer())
        four = self.builder.load(address, align=2)
        shifted = [self.builder.lshr(four, ir.Constant(INT64, 16 * k)) for k in range(4)]
        return [self.builder.and_(value, ir.Constant(INT64, 0xFFFF)) for value in shifted]

    def when_even(self, a: Any) -> Any:
        """Return a context manager: the code written in its `with` block runs only if the position a is even."""
        return self.builder.if_then(self.builder.not_(self.builder.trunc(a, ir.IntType(1))))

    def position(self, value: Any) -> Any:
        """Return an unsigned integer of less than 64 bits, converted to a position, which has 64 bits."""
        return self.builder.zext(value, INT64)

    def load(self, name: str, at: Any) -> Any:
        """Return the vector that begins at position `at` of the array `name`, whose elements are of `dtype`."""
        return self.builder.load(self._vector_at(name, at), align=self.dtype.itemsize)

    def load_halves(self, name: str, at: Any) -> Any:
        """Return a vector of 16-bit floats from memory, converted to float32.

        name: an array of 16-bit integers that holds the bits of the floats; at: the position of the first one.
        """
        halves = ir.VectorType(ir.HalfType(), self.width)
        address = self.builder.bitcast(self.address(name, at), halves.as_pointer())
        return self.builder.fpext(self.builder.load(address, align=2), self.vector)

    def store(self, value: Any, name: str, at: Any) -> None:
        """Write a vector to the array `name`, whose elements are of `dtype`, from position `at` on."""
        self.builder.store(value, self._vector_at(name, at), align=self.dtype.itemsize)

    def _vector_at(self, name: str, at: Any) -> Any:
        return self.builder.bitcast(self.address(name, at), self.vector.as_pointer())

    def load_integers(self, name: str, at: Any) -> Any:
        """Return the vector of integers that begins at position `at` of the array `name` of 32-bit integers."""
        address = self.builder.bitcast(self.address(name, at), self.integers.as_pointer())
        return self.builder.load(address, align=4)

    def load_words(self, name: str, at: Any) -> Any:
        """Return the vector of 16-bit integers that begins at position `at` of the array `name` of such integers."""
        words = ir.VectorType(INT16, self.width)
        return self.builder.load(self.builder.bitcast(self.address(name, at), words.as_pointer()), align=2)

    def store_integers(self, value: Any, name: str, at: Any) -> None:
        """Write a vector of integers to the array `name`, from position `at` on.

        The array has integers of as many bits as those of the vector.
        """
        address = self.builder.bitcast(self.address(name, at), value.type.as_pointer())
        self.builder.store(value, address, align=value.type.element.width // 8)

    def load_bytes(self, name: str, at: Any) -> Any:
        """Return a vector of 32-bit integers, each of which is four neighbouring bytes of the array `name`.

        The elements of the array have 8 or 16 bits. at: the position of the element with which the first integer
        begins, at an address that is a multiple of 4; the other integers follow without a gap.
        """
        address = self.builder.bitcast(self.address(name, at), self.integers.as_pointer())
        return self.builder.load(address, align=4)

    def spread_bytes(self, name: str, at: Any) -> Any:
        """Return a vector of 32-bit integers that are all equal: the four bytes of the array `name` from `at` on.

        The elements of the array have 8 or 16 bits. at: the position of the element with which the four bytes begin, at
        an address that is a multiple of 4.
        """
        four = self.builder.load(self.builder.bitcast(self.address(name, at), INT32.as_pointer()), align=4)
        return self.spread_integer(four)

    def spread_integer(self, value: Any) -> Any:
        """Return a vector in which every element is `value`, a single 32-bit integer in LLVM."""
        one = self.builder.insert_element(ir.Constant(self.integers, ir.Undefined), value, ir.Constant(INT32, 0))
        return self.shuffle(one, one, [0] * self.width)

    def prefetch(self, name: str, at: Any) -> None:
        """Ask the processor to load one element into its cache, because it will be read later.

        name: the name of the array; at: the position of the element.
        """
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32])
        fetch = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        read, near, data = (ir.Constant(INT32, value) for value in (0, 2, 1))
        self.builder.call(fetch, [self.builder.bitcast(self.address(name, at), byte), read, near, data])

    def variable(self, value: Any) -> Any:
        """Return the address of a new variable that first holds `value`. The compiler keeps it in a register.

        Read and write it with `builder.load` and `builder.store`.
        """
        return cgutils.alloca_once_value(self.builder, value)

    @contextmanager
    def loop(self, end: Any, start: int = 0) -> Iterator[Any]:
        """Write a loop that repeats the vector code of the `with` block for each position from `start` up to `end`.

        `end` itself is not a position of the loop. The value of the `with` statement is the position, an integer in
        LLVM. end: such an integer, or a Python number.
        """
        end = ir.Constant(INT64, end) if isinstance(end, int) else end
        begin = ir.Constant(INT64, start) if start else None
        with cgutils.for_range(self.builder, end, start=begin) as loop:
            yield loop.index

    # ---- numbers in vectors -----------------------------------------------------------------------------------------

    def constant(self, value: float) -> Any:
        """Return a vector in which every element is the Python number `value`."""
        return ir.Constant(self.vector, [float(self.dtype.type(value))] * self.width)

    def number(self, value: float) -> Any:
        """Return the Python number `value` as a single number in LLVM, not a vector."""
        return ir.Constant(self.vector.element, float(self.dtype.type(value)))

    def integer(self, value: int) -> Any:
        """Return a vector in which every element is the 32-bit integer `value`."""
        return ir.Constant(self.integers, [value] * self.width)

    def broadcast(self, value: Any) -> Any:
        """Return a vector in which every element is `value`, which is a single number in LLVM."""
        one = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), value, ir.Constant(INT32, 0))
        return self.shuffle(one, one, [0] * self.width)

    def shuffle(self, a: Any, b: Any, order: list[int]) -> Any:
        """Return a vector of chosen elements of a and b.

        order: for each element of the result, its index in the elements of a followed by those of b.
        """
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, len(order)), order))

    def extract(self, a: Any, k: int) -> Any:
        """Return element k of the vector a."""
        return self.builder.extract_element(a, ir.Constant(INT32, k))

    def insert(self, a: Any, value: Any, k: int) -> Any:
        """Return the vector a with element k replaced by `value`."""
        return self.builder.insert_element(a, value, ir.Constant(INT32, k))

    def add(self, a: Any, b: Any) -> Any:
        """Return a + b, element by element."""
        return self.builder.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        """Return a - b, element by element."""
        return self.builder.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        """Return a * b, element by element."""
        return self.builder.fmul(a, b)

    def div(self, a: Any, b: Any) -> Any:
        """Return a / b, element by element."""
        return self.builder.fdiv(a, b)

    def reciprocal(self, a: Any) -> Any:
        """Return 1 / a, element by element."""
        return self.div(self.constant(1), a)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, element by element, rounded once."""
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.v{self.width}f{8 * self.dtype.itemsize}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def minimum(self, a: Any, b: Any) -> Any:
        """Return the smaller of a and b, element by element. The result is b where a or b is NaN."""
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        """Return the larger of a and b, element by element. The result is b where a or b is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def where_at_most(self, a: Any, b: Any) -> Any:
        """Return a vector of integers: -1 where a <= b, otherwise 0, also where a or b is NaN."""
        return self.builder.sext(self.builder.fcmp_ordered("<=", a, b), self.integers)

    def exp2(self, xs: list[Any], series: tuple[float, ...] = SERIES) -> list[Any]:
        """Return an approximation of 2**x for each of several vectors x of float32, which must be from -126 to 126.

        series: the coefficients, `SERIES` or `SHORT_SERIES`. Each step of the computation needs the result of the
        previous step, for which a processor would have to wait. Therefore each step is done for all vectors before the
        next step.
        """
        rounded = [self.add(x, self.constant(ROUND)) for x in xs]
        whole = [self.sub(value, self.constant(ROUND)) for value in rounded]
        rs = [self.sub(x, value) for x, value in zip(xs, whole, strict=True)]
        values = [self.constant(series[-1])] * len(xs)
        for factor in (*series[-2::-1], 1.0):
            values = [self.fma(value, r, self.constant(factor)) for value, r in zip(values, rs, strict=True)]
        exponents = [
            self.builder.shl(self.builder.bitcast(value, self.integers), self.integer(23)) for value in rounded
        ]
        both = zip(values, exponents, strict=True)
        sums = [self.builder.add(self.builder.bitcast(value, self.integers), exponent) for value, exponent in both]
        return [self.builder.bitcast(value, self.vector) for value in sums]

    # ---- 8-bit numbers ----------------------------------------------------------------------------------------------

    def floats(self, a: Any) -> Any:
        """Return a vector of integers as floats. In float32, integers above 2**24 or below -2**24 are rounded."""
        return self.builder.sitofp(a, self.vector)

    def rounded(self, a: Any) -> Any:
        """Return a vector of integers whose lowest 16 bits are those of round(a), for float32 from -2**15 to 2**15 - 1.

        Halves are rounded to the even integer. For NaN, the lowest 16 bits are 0. Higher bits have no meaning.
        """
        return self.builder.bitcast(self.add(a, self.constant(ROUND)), self.integers)

    def narrow(self, a: Any, bits: int) -> Any:
        """Return a vector of the lowest bits of each element of a vector of integers. bits: 8 or 16."""
        return self.builder.trunc(a, ir.VectorType(ir.IntType(bits), self.width))

    def add_dots(self, path: str, total: Any, values: Any, weights: Any) -> Any:
        """Return total + sum_j values[j] * weights[j] for each element, where j = 0 .. 3 counts its four bytes.

        total: a vector of integers; values, weights: as `load_bytes` returns them. Weights are signed, -127 .. 127.
        Values are v, -127 .. 127. path: which instructions are used, a name in `DOT_PATHS`; those of "vnni" and "avx2"
        need vectors of 16 integers. The instruction of "vnni" takes unsigned values: give it v + 128, and subtract 128
        times the sum of the weights from the result.
        """
        if path == "vnni":
            kind = ir.FunctionType(self.integers, [self.integers] * 3)
            name = "llvm.x86.avx512.vpdpbusd.512"
            return self.builder.call(
                cgutils.get_or_insert_function(self.builder.module, kind, name), [total, values, weights]
            )
        return self.builder.add(total, (self._dots_by_avx2 if path == "avx2" else self._dots)(values, weights))

    def _dots(self, values: Any, weights: Any) -> Any:
        total = self.integer(0)
        for j in range(4):
            byte = [self.builder.shl(a, self.integer(24 - 8 * j)) for a in (values, weights)]
            wide = [self.builder.ashr(a, self.integer(24)) for a in byte]
            total = self.builder.add(total, self.builder.mul(*wide))
        return total

    def _dots_by_avx2(self, values: Any, weights: Any) -> Any:
        """Return for each element the sum of the products of its four bytes, by instructions of AVX2.

        values, weights: as in `add_dots`. A product is computed as |v| * (w * sign(v)). The instruction VPMADDUBSW
        keeps the sum of two products in 16 bits; it is at most 2 * 127**2 < 2**15, so it never saturates.
        """
        b, found = self.builder, []
        for v, w in zip(self._halves(values, BYTES), self._halves(weights, BYTES), strict=True):
            negative = b.icmp_signed("<", v, ir.Constant(BYTES, [0] * 32))
            size = b.select(negative, b.sub(ir.Constant(BYTES, [0] * 32), v), v)
            pairs = self._avx2("pmadd.ub.sw", WORDS, size, self._avx2("psign.b", BYTES, w, v))
            found.append(self._avx2("pmadd.wd", HALF, pairs, ir.Constant(WORDS, [1] * 16)))
        return self.shuffle(found[0], found[1], list(range(16)))

    def add_pairs(self, total: Any, values: Any, weights: Any) -> Any:
        """Return total + values[0] * weights[0] + values[1] * weights[1] for each element, by VPMADDWD of AVX2.

        total: a vector of 16 integers; values, weights: vectors of 16 integers with two signed 16-bit numbers in each.
        With 16-bit numbers a product takes half of the instructions that `add_dots` needs for 8-bit numbers.
        """
        both = zip(self._halves(values, WORDS), self._halves(weights, WORDS), strict=True)
        found = [self._avx2("pmadd.wd", HALF, v, w) for v, w in both]
        return self.builder.add(total, self.shuffle(found[0], found[1], list(range(16))))

    def _halves(self, a: Any, kind: Any) -> list[Any]:
        """Return the two halves of a vector of sixteen integers, as vectors of another type with 256 bits."""
        parts = (self.shuffle(a, a, list(range(first, first + 8))) for first in (0, 8))
        return [self.builder.bitcast(part, kind) for part in parts]

    def _avx2(self, name: str, result: Any, *arguments: Any) -> Any:
        """Return the result of an instruction of AVX2.

        name: its name in LLVM without the beginning "llvm.x86.avx2."; result: the type of the result.
        """
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        called = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.x86.avx2.{name}")
        return self.builder.call(called, arguments)

    # ---- across a vector --------------------------------------------------------------------------------------------

    def across(self, join: Callable[[Any, Any], Any], a: Any) -> Any:
        """Join all elements of a, for instance to their sum; return a vector in which every element is the result.

        Of sixteen elements, each is joined with the element 8 places further on (modulo 16), the results with those 4
        places further on, then 2, then 1. join: takes two vectors and joins them element by element. a: a vector of
        floats or of integers, as `join` takes them.
        """
        step = self.width
        while step > 1:
            step //= 2
            a = join(a, self.shuffle(a, a, [(m + step) % self.width for m in range(self.width)]))
        return a

    def pairwise_sum(self, a: Any) -> Any:
        """Return the sum of the elements of a vector, a single number.

        The second half of the vector is added to the first, then the second half of the result to its first, and so on.
        """
        width = self.width
        while width > 1:
            width //= 2
            halves = (list(range(first, first + width)) for first in (0, width))
            a = self.add(*(self.shuffle(a, ir.Constant(a.type, ir.Undefined), half) for half in halves))
        return self.extract(a, 0)

    def transposed(self, rows: list[Any]) -> list[Any]:
        """Return the rows of the transpose of a square matrix.

        rows: the rows of the matrix, as many as a vector has elements.
        """
        half = self.width // 2
        low = [m // 2 + self.width * (m % 2) for m in range(self.width)]
        high = [half + place for place in low]
        for _ in range(self.width.bit_length() - 1):
            pairs = [(rows[m], rows[m + half]) for m in range(half)]
            rows = [self.shuffle(a, b, order) for a, b in pairs for order in (low, high)]
        return rows


def stage(
    *arrays: str, width: int, dtype: Any = None, returns: bool = False, code: Callable[..., Code] = Code
) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that turns a function `write(code, *numbers)` into a stage that a kernel can call.

    `write` runs while numba compiles a kernel. It writes the instructions of the stage by the methods of `code`; its
    numbers are LLVM values. A kernel calls the stage with all arrays first, then the numbers. arrays: the names by
    which `write` knows the arrays; a named tuple of arrays counts as one of them, and its fields keep their names. The
    names of the fields of several tuples must differ. width: the number of elements of a vector. dtype: numba's type of
    an element; by default that of the first array, which then must not be a named tuple. returns: whether the stage
    returns the result of `write`, a number of this dtype, or nothing. code: the class of the object `code`.

    A stage avoids the time that numba needs to count references to arrays which one function passes to another.
    """

    def decorate(write: Callable[..., Any]) -> Any:
        def typed(typingctx: Any, *kinds: Any) -> Any:
            number = dtype or kinds[0].dtype

            def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                written = code(context, builder, number, width)
                for name, kind, value in zip(arrays, signature.args, args, strict=False):
                    written.add_arrays("" if isinstance(kind, types.BaseNamedTuple) else name, kind, value)
                result = write(written, *args[len(arrays) :])
                return result if returns else context.get_dummy_value()

            return (number if returns else types.void)(*kinds), build

        names = ["typingctx", *arrays, *list(inspect.signature(write).parameters)[1:]]
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        typed.__name__, typed.__doc__ = write.__name__, write.__doc__
        vars(typed)["__signature__"] = inspect.Signature(parameters)
        return intrinsic(typed)

    return decorate
