"""Causal convolutions of one signal, or of sixteen side by side with the same bits.

The state of a network is an array. A convolution reads the inputs of each of its taps at one place of the state. The
past inputs of a dilated convolution are kept in a ring buffer of (taps - 1) * dilation + 1 rows: a new input
overwrites the oldest row, and no row moves. A dense layer is a convolution with one tap.

A vector has sixteen float32 numbers. For one signal it holds sixteen channels; for sixteen signals arrays have a last
axis `lane`, and a vector holds one channel of all signals. Every number is computed by the same operations in the same
order in both forms. Channels are filled up with zeros to multiples of sixteen.

Source: T. Le Paine et al., Fast Wavenet Generation Algorithm, arXiv:1611.09482, 2016 (the rings).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import part_of_kernel
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.stages import NetworkCode, network_stage

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

    The sum runs over t, then k, both ascending: t counts the taps, k the columns of a tap, r the rows. together: the
    number of blocks. A kernel calls the stage with five numbers: w, where the matrix begins in `weights`; taps, and
    columns per tap; y, where the sums begin in `state`; block, the number of the first block. The array `places` says
    where the input of each tap begins in `state`.
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
