"""Causal convolutions of one signal, or of sixteen side by side with the same bits.

The state of a network is an array. A convolution reads the inputs of each of its taps at one place of the state. The
past inputs of a dilated convolution are kept in a ring buffer of (taps - 1) * dilation + 1 rows: a new input
overwrites the oldest row, and no row moves. A dense layer is a convolution with one tap. `exchange` copies the rings of
a signal to a lane of the state and back; `normalise` and `rectify` do what stands between convolutions: a factor and an
offset for each channel, and the leaky ReLU.

A vector has sixteen float32 numbers. For one signal it holds sixteen channels; for sixteen signals the state has a last
axis `lane`, and a vector holds one channel of all signals. Every number is computed by the same operations in the same
order in both forms. Channels are filled up with zeros to multiples of sixteen. A place in the state is the number of a
channel, for sixteen signals too: channel c of lane l is element 16 * c + l of the flattened state. A kernel calls a
stage, such as `rectify`, with the weights and the working memory in place of `code`.

Source: T. Le Paine et al., Fast Wavenet Generation Algorithm, arXiv:1611.09482, 2016 (the rings).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel, part_of_kernel
from dspgraph_nodes._kernels.neural.eight_bits import add_sums, encode_taps
from dspgraph_nodes._kernels.neural.layout import ACCUMULATORS, WIDTH, DotBlocks, DotStack
from dspgraph_nodes._kernels.neural.stages import NetworkCode, network_stage, product_of_many, product_of_one

TOGETHER = 4  # blocks of one signal, or rows of a block of sixteen signals, that are summed at the same time


# ---- weights ---------------------------------------------------------------------------------------------------------


def padded(matrix: Array, rows: Sequence[int] = (), columns: int = 1) -> Array:
    """Return a matrix with rows and columns of zeros inserted, so that the size of every part is a multiple of 16.

    matrix: [number of rows, number of columns]. rows: how many rows each part has; by default all rows are one part.
    columns: into how many parts of equal size the columns are divided. The zeros stand at the end of each part.
    """
    parts = np.split(matrix, np.cumsum(rows)[:-1]) if len(rows) else [matrix]
    tall = np.concatenate([np.pad(part, ((0, -len(part) % WIDTH), (0, 0))) for part in parts])
    split = tall.reshape(len(tall), columns, -1)
    return np.pad(split, ((0, 0), (0, 0), (0, -split.shape[2] % WIDTH))).reshape(len(tall), -1)


def in_blocks(matrix: Array) -> Array:
    """Return the numbers of a matrix in the order [block, column, row in block], flattened, in float32.

    matrix: [rows, columns], where rows is a multiple of 16. A block is sixteen rows.
    """
    rows, columns = matrix.shape
    return matrix.reshape(rows // WIDTH, WIDTH, columns).swapaxes(1, 2).astype(np.float32).reshape(-1)


# ---- products --------------------------------------------------------------------------------------------------------


def products_of_one(together: int) -> Any:
    """Return a vector-code stage that multiplies blocks of sixteen rows of a matrix with inputs of one signal.

        state[y + r] += sum_t sum_k weight[t * columns + k, r] * state[places[t] + k]

    The sum runs over t, then k, both ascending: t counts the taps, k the columns of a tap, r the rows of the matrix.
    together: how many consecutive blocks one call computes. A kernel calls the stage with `net`, `room` (see
    `add_products`) and five numbers: w, where the matrix begins in `weights`; taps, and columns per tap; y, where the
    sums of the whole matrix begin in `state`; block, the number of the first block. The array `places` says where the
    input of each tap begins in `state`.
    """

    def write(code: NetworkCode, w: Any, taps: Any, columns: Any, y: Any, block: Any) -> None:
        b, mul = code.builder, code.builder.mul
        each = code.times(mul(taps, columns), WIDTH)  # numbers in a block
        places = [code.plus(y, code.times(code.plus(block, q), WIDTH)) for q in range(together)]
        begins = [code.plus(w, mul(code.plus(block, q), each)) for q in range(together)]
        sums = [code.variable(code.load("state", place)) for place in places]
        with code.loop(taps) as t:
            x, step = code.element("places", t), code.times(mul(t, columns), WIDTH)
            starts = [code.plus(begin, step) for begin in begins]
            with code.loop(columns) as k:
                value = code.broadcast(code.element("state", code.plus(x, k)))
                for total, start in zip(sums, starts, strict=True):
                    row = code.load("weights", code.plus(start, code.times(k, WIDTH)))
                    b.store(code.fma(row, value, b.load(total)), total)
        for total, place in zip(sums, places, strict=True):
            code.store(b.load(total), "state", place)

    write.__name__ = f"products_of_one_{together}"
    return network_stage(write)


add_products_of_one, add_product_of_one = products_of_one(TOGETHER), products_of_one(1)
add_dots_of_one, add_dots_of_many = product_of_one("m", "", "sums"), product_of_many("m", "", "sums")


@network_stage
def add_product_of_many(code: NetworkCode, w: Any, taps: Any, columns: Any, y: Any, block: Any) -> None:
    """Write vector code that multiplies one block of sixteen rows of a matrix with inputs of sixteen signals.

    The products are added to the sums at y. Formula and numbers are those of `products_of_one`, applied to each lane.
    """
    b, mul = code.builder, code.builder.mul
    begin = code.plus(w, mul(block, code.times(mul(taps, columns), WIDTH)))
    with code.loop(taps) as t:  # one tap of all rows after the other: its inputs and weights fit the nearest cache
        x = code.times(code.element("places", t), WIDTH)
        with code.loop(WIDTH // TOGETHER) as tile:
            row = code.times(tile, TOGETHER)
            first = code.plus(y, code.plus(code.times(block, WIDTH), row))
            places = [code.times(code.plus(first, r), WIDTH) for r in range(TOGETHER)]
            sums = [code.variable(code.load("state", place)) for place in places]
            start = code.plus(code.plus(begin, code.times(mul(t, columns), WIDTH)), row)
            with code.loop(columns) as k:
                within = code.times(k, WIDTH)
                values, at = code.load("state", code.plus(x, within)), code.plus(start, within)
                for r, total in enumerate(sums):
                    weight = code.broadcast(code.element("weights", code.plus(at, r)))
                    b.store(code.fma(weight, values, b.load(total)), total)
            for total, place in zip(sums, places, strict=True):
                code.store(b.load(total), "state", place)


@part_of_kernel
def add_products(net: Any, room: Any, w: int, taps: int, columns: int, y: int, blocks: int) -> None:
    """Multiply a matrix with the inputs of its taps; add the products to the sums at y.

    blocks: the number of blocks of sixteen rows in the matrix.

    net: the packed weights, with the field `weights` for all matrices, in the order of `in_blocks`. room: the working
    memory, with the fields `state`, [1, n] or [1, n, 16], and `places`, [taps] int64, where the input of each tap
    begins in the state. w: where the matrix begins in `weights`. taps, columns: how many taps the matrix has, and
    columns per tap. y: where the sums begin in the state.
    """
    if room.state.ndim == 2:
        whole = blocks - blocks % TOGETHER
        for block in range(0, whole, TOGETHER):
            add_products_of_one(net, room, w, taps, columns, y, block)
        for block in range(whole, blocks):
            add_product_of_one(net, room, w, taps, columns, y, block)
    else:
        for block in range(blocks):
            add_product_of_many(net, room, w, taps, columns, y, block)


@part_of_kernel
def add_products_or_dots(
    net: Any, dots: DotStack, room: Any, w: int, taps: int, columns: int, y: int, blocks: int
) -> None:
    """Do the work of `add_products`, with floats or, if the network is in eight bits, with 8-bit numbers.

    dots: the stack of matrices in eight bits, or `packing.NO_DOTS`. In eight bits w is the number of the matrix's first
    block in this stack, and columns and y are multiples of 16. room: has besides the fields of `add_products` also
    codes, steps and sums, see `rounding_buffers`. The other arguments: as in `add_products`.
    """
    if len(dots.m.where) == 0:
        add_products(net, room, w, taps, columns, y, blocks)
        return
    encode_taps(dots, room, taps, columns)
    if room.state.ndim == 2:
        for group in range(w // ACCUMULATORS, (w + blocks + ACCUMULATORS - 1) // ACCUMULATORS):
            add_dots_of_one(dots, room, group, 0)
        for block in range(blocks):
            add_sums(dots, room, w + block, w + block, y // WIDTH + block)
    else:
        for block in range(blocks):
            add_dots_of_many(dots, room, w + block, block, 0)
            add_sums(dots, room, w + block, block, y // WIDTH + block)


def rounding_buffers(dots: DotStack, state: Array, inputs: int) -> tuple[Array, Array, Array]:
    """Return the arrays codes, steps and sums for `add_products_or_dots`.

    state: that of the network; inputs: the largest number of inputs of a matrix, those of all its taps together. For a
    network with floats the arrays are empty.
    """
    if not isinstance(dots.m, DotBlocks):
        return np.zeros(0, np.uint8), np.zeros(0, np.float32), np.zeros(0, np.int32)
    lanes, many = state.size // state.shape[1], state.ndim == 3
    codes = np.zeros(inputs * lanes, np.int16 if many and len(dots.m.pairs) else np.uint8)
    return codes, np.zeros(WIDTH, np.float32), np.zeros(len(dots.m.start) * lanes, np.int32)


# ---- other stages ----------------------------------------------------------------------------------------------------


@network_stage
def normalise(code: NetworkCode, x: Any, y: Any, first: Any, blocks: Any) -> None:
    """Write vector code that sets state[y + k] to r(norm_factor[first + k] * state[x + k] + norm_offset[first + k]).

    r is the leaky ReLU; k counts the channels of `blocks` blocks of sixteen.
    """
    slope, of_x, of_y = code.broadcast(code.element("slope", 0)), code.times(x, code.each), code.times(y, code.each)
    with code.loop(blocks) as block, code.loop(code.each) as r:
        within = code.times(code.plus(code.times(block, code.each), r), WIDTH)
        at = code.plus(first, code.times(block, WIDTH))
        factor, offset = code.unit("norm_factor", at, r), code.unit("norm_offset", at, r)
        value = code.fma(factor, code.load("state", code.plus(of_x, within)), offset)
        code.store(code.maximum(value, code.mul(slope, value)), "state", code.plus(of_y, within))


@network_stage
def rectify(code: NetworkCode, x: Any, blocks: Any) -> None:
    """Write vector code that applies a leaky ReLU to `blocks` blocks of sixteen channels of the state, in place.

    x: where the first block begins in the state.
    """
    slope, begin = code.broadcast(code.element("slope", 0)), code.times(x, code.each)
    with code.loop(code.times(blocks, code.each)) as k:
        at = code.plus(begin, code.times(k, WIDTH))
        value = code.load("state", at)
        code.store(code.maximum(value, code.mul(slope, value)), "state", at)


@kernel
def exchange(net: Any, rings: Array, state: Array, lane: int, shift: int, load: bool) -> None:
    """Copy the ring buffers of one signal to a lane of the state, or back if `load` is false.

    net: the weights, with the fields `layers` and `sizes` of `wavenet_layout.WaveNetWeights`. rings: [rows of all rings
    * residual], the rings of the signal, each with its oldest row first. state: [n, lanes]. shift: used only for
    copying back: the number of samples that `wavenet_loop.run` has computed since the rings were copied to the state.
    The oldest row of each ring in the state is then its row `shift` modulo its length.
    """
    residual = net.sizes[1]
    for i in range(len(net.layers)):
        begin, rows = net.layers[i, 3], net.layers[i, 4]
        for row in range(rows):
            place, other = begin + row * residual, begin + (row + shift) % rows * residual
            for r in range(residual):
                if load:
                    state[place + r, lane] = rings[place + r]
                else:
                    rings[place + r] = state[other + r, lane]
