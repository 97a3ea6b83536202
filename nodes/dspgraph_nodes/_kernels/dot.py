"""The dot product that every FIR filter is made of, in vectors and in one fixed order."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8  # numbers in a vector; a machine with shorter ones takes them in parts, to the same result
VECTORS = 4  # sums that grow side by side, so that none waits for the one before
BLOCK = LANES * VECTORS


@intrinsic
def dot(typingctx: Any, a: Any, i: Any, b: Any, j: Any, blocks: Any) -> Any:
    """sum of a[i + n] * b[j + n] over n = 0 .. BLOCK * blocks - 1; a and b are contiguous arrays of one dtype.

    Lane n % BLOCK is summed with n ascending, then the lanes pairwise. Product and sum are rounded apart, so that
    machines with and without fused multiply-add agree. Nothing checks the bounds.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = context.get_data_type(a.dtype)
        vector = ir.VectorType(number, LANES)
        align = a.dtype.bitwidth // 8

        def pointer(array: int, at: Any) -> Any:
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            return builder.gep(data, [at])

        def part(total: Any, width: int, first: int) -> Any:
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(first, first + width)))
            return builder.shuffle_vector(total, ir.Constant(total.type, ir.Undefined), lanes)

        pointers = pointer(0, args[1]), pointer(2, args[3])
        zero = ir.Constant(vector, None)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(VECTORS)]  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, args[4]) as loop:
            begin = builder.mul(loop.index, ir.Constant(loop.index.type, BLOCK))
            for k, place in enumerate(sums):
                at = builder.add(begin, ir.Constant(begin.type, k * LANES))
                left, right = (
                    builder.load(builder.bitcast(builder.gep(data, [at]), vector.as_pointer()), align=align)
                    for data in pointers
                )
                builder.store(builder.fadd(builder.load(place), builder.fmul(left, right)), place)
        first, second, third, fourth = (builder.load(place) for place in sums)
        total = builder.fadd(builder.fadd(first, second), builder.fadd(third, fourth))
        width = LANES
        while width > 1:
            width //= 2
            total = builder.fadd(part(total, width, 0), part(total, width, width))
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return a.dtype(a, types.intp, b, types.intp, types.intp), build
