"""The rounding of a layer's inputs to eight bits, and the conversion of its sums to floats, for inputs of any size.

The inputs x of a product are rounded to whole numbers q from -127 to 127, with a step of their own for every product
and signal:

    q = round(127 * x / m),    y = scale * (m / 127) * sum q w + start,    m = max |x|, at least 2**-100

Halves are rounded to even. The sums of q w are whole numbers. So the result is the same by every path of
`compile.simd.DOT_PATHS`, for one signal and for sixteen. If an x is NaN or infinite, every y is NaN. The stages are
parts of `layers.apply_layer` and of `convolution.add_products_or_dots`, which call them with the matrix and the buffers
in place of `code`. They do nothing if the matrix has floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.quantisation import LARGEST_CODE, LEAST_LARGEST
from dspgraph_nodes._kernels.neural.stages import NetworkCode, network_stage

Place = Callable[[Any], Any]
"""A function from the number of a piece of inputs to the position at which it begins."""


@network_stage
def encode_inputs(code: NetworkCode, x: Any) -> None:
    """Write vector code that rounds the inputs of a layer to `codes` and writes their steps m / 127 to `steps`.

    x: where the inputs begin in `state`; they have the same positions in `codes`. Of sixteen signals, `codes` are in
    the order [block, lane, unit].
    """
    if code.path("m"):
        _encode(code, 1, code.element("inputs", 0), lambda _: x, lambda _: x)


@network_stage
def encode_taps(code: NetworkCode, taps: Any, columns: Any) -> None:
    """Write vector code that rounds the inputs of all taps of a convolution to `codes`, with one step for all.

    taps, columns: how many taps there are, and inputs per tap, a multiple of 16. The inputs of tap t begin at places[t]
    in `state`, for sixteen signals at places[t] * 16. They are written to `codes` one tap after the other. `codes` and
    `steps` are as in `encode_inputs`.
    """
    if code.path("m"):
        blocks, wide = code.builder.udiv(columns, columns.type(WIDTH)), code.times(columns, code.each)
        _encode(
            code, taps, blocks, lambda t: code.times(code.element("places", t), code.each),
            lambda t: code.builder.mul(t, wide),
        )  # fmt: skip


def _encode(code: NetworkCode, taps: Any, blocks: Any, source: Place, target: Place) -> None:
    """Write the code of `encode_inputs` and `encode_taps`, which writes to `codes` and `steps`.

    taps: how many pieces of the state are read; blocks: the blocks of sixteen inputs in each; source, target: where
    piece number t begins in `state` and in `codes`, with the factor 16 for sixteen signals. The largest |x| is found by
    the bits of the numbers, as integers: the order is the same, and NaN counts as larger than infinity.
    """
    builder, least, magnitude = code.builder, int(np.float32(LEAST_LARGEST).view(np.int32)), code.integer(2**31 - 1)

    def larger(a: Any, b: Any) -> Any:
        return builder.select(builder.icmp_signed(">", a, b), a, b)

    top = code.variable(code.integer(least))
    with code.loop(taps) as t:
        begin = source(t)
        with code.loop(code.times(blocks, code.each)) as k:
            value = code.load("state", code.plus(begin, code.times(k, WIDTH)))
            size = builder.and_(builder.bitcast(value, code.integers), magnitude)
            builder.store(larger(size, builder.load(top)), top)
    found = builder.load(top)
    largest = builder.bitcast(found if code.many else code.across(larger, found), code.vector)
    code.store(code.mul(largest, code.constant(1 / LARGEST_CODE)), "steps", 0)
    factor = code.reciprocal(largest)
    with code.loop(taps) as t:
        begin, to = source(t), target(t)
        with code.loop(blocks) as block:
            at = code.times(block, WIDTH * code.each)
            places = [code.plus(at, r * WIDTH) for r in range(code.each)]
            rows = [code.mul(code.load("state", code.plus(begin, place)), factor) for place in places]
            for place, row in zip(places, code.transposed(rows) if code.many else rows, strict=True):
                code.store_in_eight_bits(row, code.plus(to, place))


@network_stage
def decode_sums(code: NetworkCode, block: Any) -> None:
    """Write vector code that writes scale * step * y + start to `out`, for block number `block` of sixteen rows.

    y are the sums of whole numbers; of sixteen signals, they are in the order [block, lane, unit]. step: that of the
    rounded inputs, one for each signal.
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


@network_stage
def add_sums(code: NetworkCode, block: Any, sums: Any, y: Any) -> None:
    """Write vector code that adds scale * step * sums to the state, for one block of rows of a matrix.

    block: the number of the block of rows; sums: the number of the block of the array `sums` that holds the whole
    numbers of these rows, for sixteen signals in the order [block, lane, unit]; y: the number of the block of the state
    to which the products are added.
    """
    if not code.path("m"):
        return
    scale, found = code.load("m.scale", code.times(block, WIDTH)), []
    for r in range(code.each):
        factor = code.mul(scale, code.broadcast(code.element("steps", r)))
        place = code.plus(code.times(sums, WIDTH * code.each), r * WIDTH)
        found.append(code.mul(factor, code.floats(code.load_integers("sums", place))))
    for r, values in enumerate(code.transposed(found) if code.many else found):
        place = code.plus(code.times(y, WIDTH * code.each), r * WIDTH)
        code.store(code.add(code.load("state", place), values), "state", place)
