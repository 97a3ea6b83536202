"""The rounding of a layer's inputs to eight bits, and of its sums back to floats, for layers with any inputs.

The inputs x of a product are rounded to whole numbers q from -127 to 127, with a step of their own for every product
and signal:

    q = round(127 * x / m),    y = scale * (m / 127) * sum q w + start,    m = max |x|, at least 2**-100

Halves are rounded to even. The sums of q w are whole numbers. So the result is the same by every path of
`compile.simd.DOT_PATHS`, for one signal and for sixteen. The stages are parts of `layers.apply_layer`, and do nothing
if the matrix of a layer has floats.
"""

from __future__ import annotations

from typing import Any

from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.quantisation import LARGEST_CODE, LEAST_LARGEST
from dspgraph_nodes._kernels.neural.stages import NetworkCode, network_stage


@network_stage
def encode_inputs(code: NetworkCode, x: Any) -> None:
    """Write vector code that rounds the inputs of a layer to `codes` and writes their steps m / 127 to `steps`.

    x: where the inputs begin in `state`; they have the same positions in `codes`. Of sixteen signals, `codes` are in
    the order [block, lane, unit].
    """
    if not code.path("m"):
        return
    blocks, top = code.element("inputs", 0), code.variable(code.constant(LEAST_LARGEST))
    with code.loop(code.times(blocks, code.each)) as k:
        value = code.load("state", code.plus(x, code.times(k, WIDTH)))
        size = code.maximum(value, code.sub(code.constant(0), value))
        code.builder.store(code.maximum(size, code.builder.load(top)), top)
    largest = code.builder.load(top)
    largest = largest if code.many else code.across(code.maximum, largest)
    code.store(code.mul(largest, code.constant(1 / LARGEST_CODE)), "steps", 0)
    factor = code.reciprocal(largest)
    with code.loop(blocks) as block:
        at = code.plus(x, code.times(block, WIDTH * code.each))
        rows = [code.mul(code.load("state", code.plus(at, r * WIDTH)), factor) for r in range(code.each)]
        for r, row in enumerate(code.transposed(rows) if code.many else rows):
            code.store_in_eight_bits(row, code.plus(at, r * WIDTH))


@network_stage
def decode_sums(code: NetworkCode, block: Any) -> None:
    """Write vector code that writes scale * step * y + start to `out`, for one block of rows of the matrix.

    y are the sums of whole numbers; of sixteen signals, they are in the order [block, lane, unit].
    """
    if not code.path("m"):
        return
    row, at = code.times(block, WIDTH), code.times(block, WIDTH * code.each)
    scale, start = code.load("m.scale", row), code.load("start", row)
    found = []
    for r in range(code.each):
        factor = code.mul(scale, code.broadcast(code.element("steps", r)))
        sums = code.floats(code.load_integers("y", code.plus(at, r * WIDTH)))
        found.append(code.fma(factor, sums, start))
    for r, values in enumerate(code.transposed(found) if code.many else found):
        code.store(values, "out", code.plus(at, r * WIDTH))
