"""The layout of weights and buffers of neural networks in the kernels.

The kernels compute one signal, or sixteen signals side by side. A *lane* is the place of one signal among those that
are computed side by side: there are 1 or 16 lanes.

The rows of a matrix are divided into *blocks* of sixteen, and the units of a layer likewise. The order [block, gate,
unit] of an axis means: first the sixteen numbers of gate r for the units 0..15, then those of gate z, then those of
gate n; then the numbers of the three gates for the units 16..31, and so on.
"""

from __future__ import annotations

from typing import NamedTuple

from dspgraph_nodes._kernels.arrays import Array

WIDTH = 16  # number of rows in a block, of numbers in a vector, of signals computed side by side
ACCUMULATORS = 4  # blocks in a group; multiply-adds of four independent sums can overlap, those of one sum cannot


class Blocks(NamedTuple):
    """A sparse matrix, stored in pieces of sixteen rows and one column. Pieces with only zeros are left out.

    All pieces with the same sixteen rows form a block, and four blocks form a group. A kernel multiplies a group in
    steps; a step takes one piece of each of the four blocks. Steps are stored in the order of reading. Blocks with
    fewer pieces than others in their group are filled up with pieces of zeros, and the last group with empty blocks.

    weights: [steps, 4, 16]. columns: [steps, 4], the column of each piece. steps: [groups + 1], where each group
    begins. places: [groups, 4], the first row of each block. where: [rows / 16, 3], the group of each block, its
    place in it, and the number of its own pieces.
    """

    weights: Array  # [steps, 4, 16]
    columns: Array  # [steps, 4] uint16: the column of each piece
    steps: Array  # [groups + 1]: the first step of each group, and the number of all steps
    places: Array  # [groups, 4]: the first row of each block of a group
    where: Array  # [rows / 16, 3]: the group of every block, its place 0..3 in that group, and its number of pieces


class ScaledBlocks(NamedTuple):
    """A matrix as in `Blocks`, whose rows are multiplied by factors after the sums: scale * (W x) + start.

    The weights W have the same values as in the file of weights; the factor `scale` is not multiplied into them. If all
    of them are exact in 16-bit floats, and the machine can convert these, the product for one signal reads them in this
    form: it is half as long, and reading takes most of the time.
    """

    weights: Array  # [steps, 4, 16], as in `Blocks`
    columns: Array
    steps: Array
    places: Array
    where: Array
    scale: Array  # [rows + 16]: the factor of each row
    alone: Array  # [steps, 4, 16] int16: the bits of `weights` as 16-bit floats; or the weights themselves, in float32


class DotBlocks(NamedTuple):
    """A sparse matrix of 8-bit numbers, in pieces of sixteen rows and four columns, in the same order as `Blocks`.

    The subclass decides which instructions compute the products with a vector. The vector, with elements v from -1 to
    1, is given as the 8-bit numbers round(127 * v), which `NetworkCode.store_in_eight_bits` in the module `stages`
    computes. So each sum of products is a whole number; multiplied by scale[i], it is the result for row i. Larger
    vectors: see `EightBitMatrix`.
    """

    weights: Array  # [steps, 4, 16, 4] int8, -127 .. 127
    columns: Array  # [steps, 4] uint16: the first column of each piece, divided by four
    steps: Array  # [groups + 1]: as in `Blocks`; every group has an even number of steps
    places: Array  # [groups, 4]: as in `Blocks`
    where: Array  # [rows / 16, 3]: as in `Blocks`
    start: Array  # [rows + 16] int32: the numbers with which the sums begin
    scale: Array  # [rows]: the factor of each row
    pairs: Array  # [steps, 4, 2, 16, 2] int16: `weights` by pairs of columns, for sixteen signals by AVX2; or empty


class VnniBlocks(DotBlocks):
    """8-bit blocks whose products are computed by AVX-512 VNNI: the path "vnni" of `compile.simd.DOT_PATHS`."""


class Avx2Blocks(DotBlocks):
    """8-bit blocks whose products are computed by AVX2: the path "avx2" of `compile.simd.DOT_PATHS`."""


class PlainBlocks(DotBlocks):
    """8-bit blocks whose products every machine can compute: the path "plain" of `compile.simd.DOT_PATHS`."""


DOT_BLOCKS: dict[str, type[DotBlocks]] = {"vnni": VnniBlocks, "avx2": Avx2Blocks, "plain": PlainBlocks}
"""The class of 8-bit blocks for each path in `compile.simd.DOT_PATHS`."""

OFFSET = 128
"""The number that is added to the 8-bit numbers of a vector for the path vnni, which takes unsigned bytes."""


class Matrix(NamedTuple):
    """A dense layer without its activation. m: the matrix; start: [rows + 16], the bias, followed by zeros."""

    m: Blocks | ScaledBlocks
    start: Array  # [rows + 16]: the bias, then zeros for the blocks that only fill a group


class EightBitMatrix(NamedTuple):
    """A dense layer as in `Matrix`, whose matrix has 8-bit numbers; its inputs may be of any size.

    The inputs x of every product are rounded to s * q, where q are whole numbers from -127 to 127, and s is max |x| /
    127, computed anew for each product and signal.
    """

    m: DotBlocks
    start: Array  # [rows + 16] float32: the bias, then zeros
    inputs: Array  # [1] int64: how many blocks of sixteen inputs there are


class NoBlocks(NamedTuple):
    """A matrix without blocks, which stands in the place of `DotBlocks` in a network with floats."""

    where: Array  # [0, 3]


class DotStack(NamedTuple):
    """Several matrices of 8-bit numbers, one below the other.

    Each is filled up with rows of zeros to a multiple of 64, so that each begins with a new group (see `Blocks`). m:
    all the matrices. The columns of each matrix count from 0. In a network with floats, m is `NoBlocks`.
    """

    m: DotBlocks | NoBlocks


class RecurrentWeights(NamedTuple):
    """The recurrent weights of a GRU, with rows in the order [block, gate, unit].

    They are multiplied by the factors for powers of 2 that the module `packing` describes.
    """

    matrix: Matrix | EightBitMatrix  # without the diagonals; its bias is the recurrent bias of gate n, 0 for r and z
    diagonal_b: Array  # [3 * units]: the diagonals of the matrices of the three gates


class AffineLayer(NamedTuple):
    """A layer that is applied to frames: y = x @ matrix + bias.

    matrix: [inputs, outputs]; bias: [outputs], both float32 (float64 before `packing.single`).
    """

    matrix: Array  # [inputs, outputs] float32
    bias: Array  # [outputs] float32


class LayerBuffers(NamedTuple):
    """The memory for one call of a layer: its input `state` and its output `y`.

    A call computes one input vector (for instance that of one frame), or sixteen side by side. For sixteen, the last
    axis of both arrays is the number of the vector.
    """

    state: Array  # [1, inputs] or [1, inputs, 16]
    y: Array  # [outputs + 16] or [outputs + 16, 16]; the last 16 outputs belong to blocks that only fill a group


class EightBitBuffers(NamedTuple):
    """The memory for one call of a layer with 8-bit numbers: that of `LayerBuffers`, and its whole numbers.

    For sixteen signals, codes and y have the order [block, lane, unit in block]; state and out have [unit, lane].
    """

    state: Array  # as in `LayerBuffers`
    codes: Array  # the inputs in 8-bit numbers, with the positions of `state` (int16 for `pairs`)
    steps: Array  # [16] float32: what a difference of 1 in `codes` stands for, of each lane; all equal for one signal
    y: Array  # [outputs + 16] or [outputs + 16, 16] int32: the sums of whole numbers
    out: Array  # the output, as `y` in `LayerBuffers`


class Schedule(NamedTuple):
    """The rows of the inputs (one row per frame) that each lane uses, and for how many samples.

    rows, ends: [lanes], the first and the last row. waits: [lanes], the number of samples that use the first row. hop:
    the number of samples that use each row between the first and the last.
    """

    rows: Array  # [lanes]: the first row
    ends: Array  # [lanes]: the last row, which is used for all samples that remain
    waits: Array  # [lanes]: number of samples for which the first row is used
    hop: int  # number of samples for which each row between the first and the last is used
