"""The MLSA filter, sample by sample: two cascades of basic filters under Pade's approximation of the exponential."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel

Array = NDArray[Any]

LANES = 8  # basic filters side by side in one vector: five at the most are used

# exp(F) = sum_l p_l F**l / sum_l p_l (-F)**l, l = 0 .. L, for an F on the unit circle; p_1 .. p_L of every L there is.
PADE = {
    4: (0.4999273, 0.1067005, 0.01170221, 0.0005656279),
    5: (0.4999391, 0.1107098, 0.01369984, 0.0009564853, 0.00003041721),
}


def resting(order: int, sections: int = 1) -> list[tuple[Array, Array]]:
    """The state of so many filters of this order that have heard nothing.

    Of each, the basic filters' inputs [2, LANES], one sample late, of exp(b[1] Phi_1) and of exp(sum b[m] Phi_m,
    m > 1); and the outputs Phi_m [1 + order, LANES]: row 0 those of the first, row m those of the second.
    """
    return [(np.zeros((2, LANES)), np.zeros((1 + max(order, 1), LANES))) for _ in range(sections)]


@intrinsic
def _cascade(typingctx: Any, source: Any, e: Any, b: Any, count: Any, alpha: Any, sums: Any) -> Any:
    """One sample of LANES basic filters: sums[j] = sum of b[m] e[m, j] over m = 2 .. count - 1, m ascending, where

        e[1] <- (1 - alpha**2) source + alpha e[1],    e[m] <- (e[m - 1] + alpha e[m]) - alpha e[m - 1, new]

    Along m every term waits for the one before: only the filters of one Pade approximation can go side by side, which
    a compiler does not find. Product and sum are rounded apart, so that machines with fused multiply-add agree.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(array: int, at: Any) -> Any:
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            return builder.gep(data, [at])

        def vector_at(array: int, at: Any) -> Any:
            return builder.bitcast(pointer(array, at), vector.as_pointer())

        def load(array: int, at: Any) -> Any:
            return builder.load(vector_at(array, at), align=8)

        def everywhere(value: Any) -> Any:
            first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))

        _, _, _, count, alpha, _ = args
        vector = ir.VectorType(ir.DoubleType(), LANES)
        index = count.type
        lanes, zero, one = (ir.Constant(index, value) for value in (LANES, 0, 1))
        warp = everywhere(alpha)
        gain = everywhere(builder.fsub(ir.Constant(ir.DoubleType(), 1.0), builder.fmul(alpha, alpha)))
        was = load(1, lanes)
        now = builder.fadd(builder.fmul(gain, load(0, zero)), builder.fmul(warp, was))
        builder.store(now, vector_at(1, lanes), align=8)
        old, new, total = (
            cgutils.alloca_once_value(builder, start)  # type: ignore[no-untyped-call]
            for start in (was, now, ir.Constant(vector, None))
        )
        with cgutils.for_range_slice(builder, ir.Constant(index, 2), count, one, inc=True) as (m, _):
            at = builder.mul(m, lanes)
            was = load(1, at)
            ahead = builder.fadd(builder.load(old), builder.fmul(warp, was))
            now = builder.fsub(ahead, builder.fmul(warp, builder.load(new)))
            builder.store(now, vector_at(1, at), align=8)
            term = builder.fmul(everywhere(builder.load(pointer(2, m))), now)
            builder.store(builder.fadd(builder.load(total), term), total)
            builder.store(was, old)
            builder.store(now, new)
        builder.store(builder.load(total), vector_at(5, zero), align=8)
        return context.get_dummy_value()

    return types.void(source, e, b, count, alpha, sums), build


@kernel
def mlsa(x: Array, b: Array, up: int, down: int, alpha: float, pade: Array, sources: Array, e: Array, y: Array) -> None:
    """y = exp(sum_m b[m] Phi_m(z)) x, m = 1 .. order, all float64; `sources` and `e` are the state, changed.

    x: [n], with the gain exp(b[0]) in it. b: rows [frames + 1, width]; sample n stands at n * up / down, up / down
    frames per sample, and its coefficients on the line from row floor(n * up / down) to the next.
    """
    frames, width, order = len(b) - 1, b.shape[1], len(e) - 1
    stages = len(pade)
    first, second = sources[0], sources[1]
    one = e[0]
    now, terms = np.zeros(max(width, 2)), np.empty(LANES)
    gain = 1 - alpha * alpha
    at, frame = 0, 0
    was = -1
    for n in range(len(x)):
        if frame != was:
            was = frame
            row, following = b[min(frame, frames - 1)], b[min(frame, frames - 1) + 1]
        part = at / down
        for m in range(width):
            now[m] = row[m] + (following[m] - row[m]) * part
        at += up
        while at >= down:
            at -= down
            frame += 1
        # exp(b[1] Phi_1)
        for j in range(LANES):
            one[j] = gain * first[j] + alpha * one[j]
            terms[j] = now[1] * one[j]
        even, odd = 0.0, 0.0
        for j in range(0, stages, 2):
            odd += pade[j] * terms[j]
        for j in range(1, stages, 2):
            even += pade[j] * terms[j]
        for j in range(1, stages):
            first[j] = terms[j - 1]
        first[0] = x[n] + (odd - even)
        value = first[0] + (odd + even)
        # exp(sum over m > 1 of b[m] Phi_m)
        _cascade(second, e, now, order + 1, alpha, terms)  # type: ignore[call-arg]  # numba adds the context
        even, odd = 0.0, 0.0
        for j in range(0, stages, 2):
            odd += pade[j] * terms[j]
        for j in range(1, stages, 2):
            even += pade[j] * terms[j]
        for j in range(1, stages):
            second[j] = terms[j - 1]
        second[0] = value + (odd - even)
        y[n] = second[0] + (odd + even)
