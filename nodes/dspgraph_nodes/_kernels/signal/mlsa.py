"""The MLSA filter, sample by sample: a product of two exponentials of simple filters, each by a Pade approximation."""

from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import Code, stage

_WIDTH = 8  # copies of a basic filter in one vector; at most five are used

# exp(F) = (sum_l p_l * F**l) / (sum_l p_l * (-F)**l), l = 0 .. L, p_0 = 1: the p_1 .. p_L of each order L. The error is
# at most 0.24 dB for |F| <= 4.5 (L = 4), and 0.28 dB for |F| <= 6 (L = 5).
PADE = {
    4: (0.4999273, 0.1067005, 0.01170221, 0.0005656279),
    5: (0.4999391, 0.1107098, 0.01369984, 0.0009564853, 0.00003041721),
}


def initial_state(order: int, sections: int = 1) -> list[tuple[Array, Array]]:
    """Return the state of `sections` MLSA filters before the first sample: a pair of arrays for each.

    The first array, [2, 8], holds the inputs of the basic filters, one sample late: row 0 for exp(b[1] * Phi_1), row 1
    for exp(sum over m > 1 of b[m] * Phi_m). The second array, [1 + order, 8], holds the outputs of the basic filters:
    row 0 Phi_1 of the first exponential, row m Phi_m of the second. A Pade approximation of order L uses the first L
    columns. order: that of the mel-cepstrum; 0 counts as 1.
    """
    return [(np.zeros((2, _WIDTH)), np.zeros((1 + max(order, 1), _WIDTH))) for _ in range(sections)]


@stage("source", "e", "b", "sums", width=_WIDTH)
def _cascade(code: Code, count: Any, alpha: Any) -> None:
    """Write vector code that passes one sample through the basic filters Phi_m and adds up their outputs e[m].

    sums[j] = sum of b[m] * e[m, j], m = 2 .. count - 1 ascending. e: [count, 8], updated in place except for row 0; b:
    [count]; sums: [8], overwritten; count: the order of the mel-cepstrum plus 1; alpha: the coefficient of the all-pass
    filter; source: [8], the input of the first basic filter, one sample late.

        e[1] <- (1 - alpha**2) * source + alpha * e[1],    e[m] <- (e[m - 1] + alpha * e[m]) - alpha * (new e[m - 1])

    e[m] depends on e[m - 1], so only the columns j can be computed at once: the copies of the filters in one Pade
    approximation. Product and sum are rounded separately, so that machines with and without a fused multiply-add give
    the same bits.
    """
    load, store = code.builder.load, code.builder.store
    warp = code.broadcast(alpha)
    gain = code.sub(code.constant(1), code.mul(warp, warp))
    was = code.load("e", _WIDTH)
    now = code.add(code.mul(gain, code.load("source", 0)), code.mul(warp, was))
    code.store(now, "e", _WIDTH)
    old, new, total = (code.variable(start) for start in (was, now, code.constant(0)))
    with code.loop(count, start=2) as m:
        at = code.times(m, _WIDTH)
        was = code.load("e", at)
        ahead = code.add(load(old), code.mul(warp, was))
        now = code.sub(ahead, code.mul(warp, load(new)))
        code.store(now, "e", at)
        term = code.mul(code.broadcast(code.element("b", m)), now)
        store(code.add(load(total), term), total)
        store(was, old)
        store(now, new)
    code.store(load(total), "sums", 0)


@kernel
def mlsa(x: Array, b: Array, up: int, down: int, alpha: float, pade: Array, sources: Array, e: Array, y: Array) -> None:
    """Filter x by exp(sum_m b[m] * Phi_m(z)), m = 1 .. order, and write the result to y [n]; all arrays are float64.

    x: [n], already multiplied by the gain exp(b[0]); y may be x. b: [frames + 1, order + 1], rows b[0..order]. There
    are up / down frames per sample: the coefficients of sample n lie on the line from row floor(n * up / down) to the
    next row. alpha: the constant of the all-pass. pade: the coefficients p_1 .. p_L of the Pade approximation. sources,
    e: one pair of `initial_state`, updated in place.
    """
    frames, width, order = len(b) - 1, b.shape[1], len(e) - 1
    stages = len(pade)
    first, second = sources[0], sources[1]
    one = e[0]
    now, terms = np.zeros(max(width, 2)), np.empty(_WIDTH)
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
        # exp(b[1] * Phi_1)
        for j in range(_WIDTH):
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
        # exp(sum over m > 1 of b[m] * Phi_m)
        _cascade(second, e, now, terms, order + 1, alpha)
        even, odd = 0.0, 0.0
        for j in range(0, stages, 2):
            odd += pade[j] * terms[j]
        for j in range(1, stages, 2):
            even += pade[j] * terms[j]
        for j in range(1, stages):
            second[j] = terms[j - 1]
        second[0] = value + (odd - even)
        y[n] = second[0] + (odd + even)
