"""Weights of neural networks, packed for the kernels.

* Matrices are stored in pieces of sixteen rows and one column, those of 8-bit numbers in pieces of four columns; pieces
with only zeros are left out. This form suits dense matrices, and those that are sparse in blocks.
* The kernels compute sigmoid and tanh with powers of 2. The weights and biases before a sigmoid are therefore
multiplied by -1 / ln(2), and those before a tanh by 2 / ln(2). A weighted sum is then x, where it would have been v:

    sigmoid(v) = 1 / (1 + 2**x),  x = -v / ln(2)        tanh(v) = 1 - 2 / (1 + 2**x),  x = 2 * v / ln(2)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.simd import converts_halves, dot_paths
from dspgraph_nodes._kernels.neural.layout import (
    ACCUMULATORS,
    DOT_BLOCKS,
    OFFSET,
    WIDTH,
    AffineLayer,
    Blocks,
    DotBlocks,
    DotStack,
    EightBitMatrix,
    Matrix,
    NoBlocks,
    RecurrentWeights,
    ScaledBlocks,
)
from dspgraph_nodes._kernels.neural.quantisation import LARGEST_CODE, EightBits, with_dequantised
from dspgraph_nodes._kernels.neural.stages import LOG2_E

Tree = TypeVar("Tree", bound=tuple[Any, ...])

DOTS = 4  # columns of a piece of 8-bit numbers, whose products with four numbers one instruction adds
NORM_EPSILON = 1e-5  # added to the variance in a batch normalisation
HUGE_PAGE = 2**21  # bytes
LINE = 64  # bytes of a line of the processor's cache
PADDING = np.zeros(WIDTH, np.float32)  # after the bias of a layer: the bias of the blocks that only fill a group


def blocks(matrix: Array, parts: int = 1, first: int = 0) -> Blocks:
    """Return a matrix as blocks of sixteen rows, without the pieces that are all zero.

    matrix: [rows, columns], where rows is a multiple of 16. parts: the number of equal parts into which the columns are
    divided; each part has its own sums, those of part k from row k * rows of the product on. first: the column number
    that is stored for the first column.
    """
    weights, *others = _blocks(matrix.astype(np.float32, copy=False), 1, parts, first)
    return Blocks(weights[..., 0], *others)


def dot_blocks(matrix: Array, scale: Array, path: str, parts: int = 1, first: int = 0) -> DotBlocks:
    """Return a matrix of 8-bit numbers in blocks of sixteen rows and four columns.

    matrix: [rows, columns] int8, where rows is a multiple of 16 and columns of 4; scale: the factor of each row; path:
    a name in `DOT_BLOCKS`; parts, first: as in `blocks`, where `first` is a multiple of 4.
    """
    weights, columns, steps, places, where = _blocks(matrix, DOTS, parts, first)
    start = np.zeros(parts * len(matrix) + WIDTH, np.int32)
    if path == "vnni":
        for group, q in np.ndindex(places.shape):
            sums = weights[steps[group] : steps[group + 1], q].sum(axis=(0, 2), dtype=np.int32)
            start[places[group, q] : places[group, q] + WIDTH] = -OFFSET * sums
    split = np.ascontiguousarray(weights.reshape(len(weights), ACCUMULATORS, WIDTH, 2, 2).swapaxes(2, 3), np.int16)
    pairs = split if path == "avx2" else split[:0]
    return DOT_BLOCKS[path](weights, columns, steps, places, where, start, scale.astype(np.float32), pairs)


def dot_stack(matrices: Sequence[Array], path: str) -> DotStack:
    """Return several matrices as one stack of 8-bit numbers.

    matrices: [rows, columns] each, where columns is a multiple of 16. Every row is a factor times whole numbers, of
    which the largest in magnitude is 127, or a row of zeros. The matrices are filled up with rows of zeros to multiples
    of 64. path: as in `dot_blocks`.
    """
    made = []
    for matrix in matrices:
        tall = np.pad(matrix.astype(np.float64), ((0, -len(matrix) % (ACCUMULATORS * WIDTH)), (0, 0)))
        scale = np.abs(tall).max(axis=1) / LARGEST_CODE
        made.append(dot_blocks(np.rint(tall / np.where(scale == 0, 1, scale)[:, None]).astype(np.int8), scale, path))
    counts = [(one.steps[-1], len(one.places), len(one.scale)) for one in made]
    firsts = np.cumsum([(0, 0, 0), *counts], axis=0)  # of each matrix: its first step, group and row
    both = list(zip(made, firsts, strict=False))
    blocks = DOT_BLOCKS[path](
        weights=np.concatenate([one.weights for one in made]),
        columns=np.concatenate([one.columns for one in made]),
        steps=np.concatenate([*(one.steps[:-1] + step for one, (step, _, _) in both), firsts[-1, :1]]),
        places=np.concatenate([one.places + row for one, (_, _, row) in both]),
        where=np.concatenate([one.where + np.array([group, 0, 0]) for one, (_, group, _) in both]),
        start=np.concatenate([*(one.start[: len(one.scale)] for one in made), made[-1].start[-WIDTH:]]),
        scale=np.concatenate([one.scale for one in made]),
        pairs=np.concatenate([one.pairs for one in made]),
    )
    return DotStack(blocks)


NO_DOTS = DotStack(NoBlocks(np.zeros((0, 3), np.int64)))
"""The stack of a network with floats."""


def _blocks(matrix: Array, piece: int, parts: int, first: int) -> tuple[Array, Array, Array, Array, Array]:
    """Divide a matrix into pieces of sixteen rows; return weights, columns, steps, places and where, as in `Blocks`.

    weights: [steps, 4, 16, piece]. where: [parts * rows / 16, 3]. If `piece` is above 1, every group has an even
    number of steps, as in `DotBlocks`. piece: how many columns of the matrix a piece has. The number of a piece in
    `columns` is (first + its first column) / piece. The other arguments: as in `blocks`.
    """
    height, width = len(matrix), matrix.shape[1] // piece
    split = matrix.reshape(height // WIDTH, WIDTH, width, piece).swapaxes(1, 2)
    kept = (split != 0).any(axis=(2, 3))
    first //= piece
    found = []
    for part in range(parts):
        within = np.zeros(width, bool)
        within[part * width // parts : (part + 1) * width // parts] = True
        for block in range(height // WIDTH):
            found.append((part * height + block * WIDTH, block * WIDTH, np.flatnonzero(kept[block] & within)))
    found.sort(key=lambda one: -len(one[2]))  # so that the blocks of a group have about the same number of pieces
    found += [(parts * height, 0, np.zeros(0, np.int64))] * (
        -len(found) % ACCUMULATORS
    )  # padding: its sums are not read
    groups = [found[k : k + ACCUMULATORS] for k in range(0, len(found), ACCUMULATORS)]
    more = piece > 1  # pieces of several columns: an even number of steps, see `DotBlocks`
    steps = np.cumsum([0] + [len(group[0][2]) + more * len(group[0][2]) % 2 for group in groups])
    weights = np.zeros((steps[-1], ACCUMULATORS, WIDTH, piece), matrix.dtype)
    columns = np.full((steps[-1], ACCUMULATORS), first, np.uint16)
    where = np.zeros((parts * height // WIDTH + 1, 3), np.int64)
    for g, group in enumerate(groups):
        for q, (place, row, own) in enumerate(group):
            part_of_steps = slice(steps[g], steps[g] + len(own))
            weights[part_of_steps, q] = split[row // WIDTH, own]
            columns[part_of_steps, q] = first + own
            where[place // WIDTH] = g, q, len(own)
    places = np.array([[place for place, _, _ in group] for group in groups])
    return weights, columns, steps, places, where[:-1]


def by_blocks(values: Array, parts: int = 3) -> Array:
    """Return float32 values with the last axis reordered from [part, unit] to [block, part, unit in block].

    parts: the number of parts, for instance the three gates of a GRU. A block is sixteen units; the number of units in
    a part is a multiple of 16.
    """
    *outer, width = values.shape
    split = values.reshape(*outer, parts, width // parts // WIDTH, WIDTH)
    return np.ascontiguousarray(split.swapaxes(-3, -2).reshape(*outer, width), np.float32)


class PackedGru(NamedTuple):
    """The weights of a GRU, multiplied by the factors for powers of 2 that the module `packing` describes.

    inner: [3 * units, inputs] float64, the input weights, with rows in the order [gate, unit]. All other arrays are
    float32, with rows in the order [block, gate, unit]. recurrent: without the diagonals, which are in `diagonal`.
    bias: of the inputs and, for the gates r and z, also of the state. recurrent_bias: that of gate n.
    """

    inner: Array  # [3 * units, inputs]: the weights of the inputs, gates r, z, n
    recurrent: Array  # [3 * units, units]: the recurrent weights, with zeros on the diagonals
    bias: Array  # [3 * units]: the bias of the inputs; for r and z plus the recurrent bias
    recurrent_bias: Array  # [3 * units]: the recurrent bias of gate n; 0 for r and z
    diagonal: Array  # [3 * units]: the diagonals of the recurrent weights


def packed_gru(wide: Mapping[str, Array], name: str) -> PackedGru:
    """Return the packed GRU `name` of torch (gates r, z, n). wide: the arrays of a file of weights, in float64."""
    units = wide[f"{name}.weight_hh_l0"].shape[1]
    scale = LOG2_E * np.repeat([-1.0, -1.0, 2.0], units)
    inner, own = (scale[:, None] * wide[f"{name}.weight_{kind}_l0"] for kind in ("ih", "hh"))
    bias, recurrent_bias = (scale * wide[f"{name}.bias_{kind}_l0"] for kind in ("ih", "hh"))
    bias[: 2 * units] += recurrent_bias[: 2 * units]
    recurrent_bias[: 2 * units] = 0
    square = own.reshape(3, units, units)
    diagonal = np.diagonal(square, axis1=1, axis2=2).reshape(-1)
    own = np.where(np.eye(units, dtype=bool), 0, square).reshape(3 * units, units)
    return PackedGru(inner, *(by_blocks(one.T).T for one in (own, bias, recurrent_bias, diagonal)))


def gate_rows(numbers: Array) -> Array:
    """Scale an array that has one number per row of a GRU, such as a bias, and put it into the order of `by_blocks`.

    Each number is multiplied by the factor of its gate: -log2(e) for r and z, 2 * log2(e) for n. numbers: [3 * units]
    in the order [gate, unit]. Returns [3 * units] float32.
    """
    scale: Array = by_blocks(LOG2_E * np.repeat([-1.0, -1.0, 2.0], len(numbers) // 3) * numbers)
    return scale


def packed_recurrent(
    wide: Mapping[str, Array], name: str, scale: Array | None = None, path: str = ""
) -> tuple[Array, Array, RecurrentWeights]:
    """Return (input matrix, bias, recurrent weights) of a GRU, scaled as the module describes it.

    The matrix is [inputs, 3 * units], the bias [3 * units], both float64 in the order [block, gate, unit].

    wide: the arrays of a file of weights, in float64. name: the name of the GRU in this file. scale: [3 * units], the
    scales of the rows of the recurrent matrix if it has 8-bit numbers; path: as in `packed_matrix`.
    """
    gru = packed_gru(wide, name)
    rows = None if scale is None else gate_rows(scale)
    own = RecurrentWeights(packed_matrix(gru.recurrent, gru.recurrent_bias, rows, path), gru.diagonal)
    return by_blocks(gru.inner.T).astype(np.float64), gru.bias.astype(np.float64), own


def norm_factors(wide: Mapping[str, Array], norm: str) -> tuple[Array, Array]:
    """Return the factor and the offset, both [channels], that the batch normalisation `norm` applies to each channel.

    wide: the arrays of a file of weights, in float64.
    """
    factor = wide[f"{norm}.weight"] / np.sqrt(wide[f"{norm}.running_var"] + NORM_EPSILON)
    return factor, wide[f"{norm}.bias"] - wide[f"{norm}.running_mean"] * factor


def normalised_layer(wide: Mapping[str, Array], name: str, norm: str) -> AffineLayer:
    """Return one layer that has the same result as the layer `name` followed by the batch normalisation `norm`.

    Its arrays are float64. wide: the arrays of a file of weights, in float64. name: the name of a dense layer or a
    convolution, which has no bias. The inputs of a convolution have the order [tap, input].
    """
    factor, bias = norm_factors(wide, norm)
    flat = wide[f"{name}.weight"].swapaxes(1, -1).reshape(len(factor), -1)
    return AffineLayer((flat * factor[:, None]).T, bias)


def packed_layer(wide: Mapping[str, Array], name: str) -> Matrix:
    """Return the packed layer `name`, whose activation is tanh: a dense layer, or a convolution in time.

    wide: the arrays of a file of weights, in float64: weight [outputs, inputs] or [outputs, inputs, taps], and bias
    [outputs]. The columns of a convolution have the order [tap, input]: all inputs of the first tap come first.
    """
    weight = wide[f"{name}.weight"]
    flat = weight.swapaxes(1, -1).reshape(len(weight), -1)
    return packed_matrix(2 * LOG2_E * flat, 2 * LOG2_E * wide[f"{name}.bias"])


@overload
def packed_matrix(weight: Array, bias: Array) -> Matrix: ...


@overload
def packed_matrix(weight: Array, bias: Array, scale: Array | None, path: str = "") -> Matrix | EightBitMatrix: ...


def packed_matrix(weight: Array, bias: Array, scale: Array | None = None, path: str = "") -> Matrix | EightBitMatrix:
    """Return a packed layer; rows of zeros fill it up to a multiple of 16. weight: [rows, columns]; bias: [rows].

    scale: [rows], for a layer with 8-bit numbers: each row of the weights is its scale times whole numbers from -127 to
    127. The number of columns is then a multiple of 16. path: the instructions for the products of 8-bit numbers, a
    name in `compile.simd.DOT_PATHS`; by default the fastest that the machine has.
    """
    more = -len(weight) % WIDTH
    filled, start = np.pad(weight, ((0, more), (0, 0))), np.concatenate((bias, np.zeros(more), PADDING))
    if scale is None:
        return Matrix(blocks(filled.astype(np.float32)), start.astype(np.float32))
    factors = np.pad(scale.astype(np.float64), (0, more))
    codes = np.rint(filled / np.where(factors == 0, np.inf, factors)[:, None]).astype(np.int8)
    inputs = np.array([weight.shape[1] // WIDTH])
    return EightBitMatrix(dot_blocks(codes, factors, path or dot_paths()[0]), start.astype(np.float32), inputs)


class LayerPacker:
    """A packer of the layers of a network: with floats or, if it is in eight bits, with 8-bit numbers.

    arrays: the arrays of a file of weights, by name; eight: all matrices in eight bits, by name; empty for floats;
    path: as in `packed_matrix`. The attribute `wide`: all arrays in float64; those in `eight` are the rounded ones.
    """

    def __init__(self, arrays: Mapping[str, Array], eight: Mapping[str, EightBits], path: str = "") -> None:
        rounded = with_dequantised(arrays, eight)
        self.wide = {name: array.astype(np.float64) for name, array in rounded.items()}
        self._eight, self._path = eight, path

    def scale(self, name: str) -> Array | None:
        """Return the scales of the rows of a matrix; None if the network has floats.

        name: the full name of the matrix in the file of weights, for instance "dense1.weight".
        """
        return self._eight[name].scale if self._eight else None

    def dense(self, name: str, inputs: int | None = None) -> Matrix | EightBitMatrix:
        """Return the packed dense layer `name`, whose weights are not scaled for a sigmoid or tanh.

        inputs: keep only this many inputs, the first ones, with a bias of zeros; in eight bits a multiple of 16. None:
        keep all inputs and the bias.
        """
        weight, bias = self.wide[f"{name}.weight"][:, :inputs], self.wide[f"{name}.bias"]
        return packed_matrix(
            weight, bias if inputs is None else np.zeros(len(bias)), self.scale(f"{name}.weight"), self._path
        )

    def gates(self, name: str, matrix: Array) -> Matrix | EightBitMatrix:
        """Return a layer without bias, from inputs to the gates of a GRU.

        matrix: [inputs, 3 * units], as `recurrent` returns it, or its rows for some inputs; name: the name in the file
        of the matrix from which `recurrent` made it.
        """
        scale = self.scale(name)
        rows = None if scale is None else gate_rows(scale)
        return packed_matrix(matrix.T, np.zeros(matrix.shape[1]), rows, self._path)

    def recurrent(
        self, name: str, given: Mapping[str, Array] | None = None, matrix: str = ""
    ) -> tuple[Array, Array, RecurrentWeights]:
        """Return what `packed_recurrent` returns for a GRU.

        name: the name of the GRU. For a GRU whose arrays have other names in the file than in torch: given: its arrays
        in float64, by the names that torch would give them, for instance "gru.weight_ih_l0" if `name` is "gru"; matrix:
        the name of its recurrent matrix in the file.
        """
        return packed_recurrent(given or self.wide, name, self.scale(matrix or f"{name}.weight_hh_l0"), self._path)


def scaled_matrix(weight: Array, bias: Array, scale: Array) -> Matrix:
    """Return the packed layer that computes scale * (W x + bias); the factor `scale` is not multiplied into W.

    weight: W, [rows, columns]; bias, scale: [rows]. See `ScaledBlocks`.
    """
    plain = packed_matrix(weight, scale * bias)
    m = plain.m
    factors = np.zeros(len(plain.start), np.float32)
    factors[: len(scale)] = scale
    with np.errstate(over="ignore"):  # numbers beyond float16 become infinite, and so are not exact
        halves = m.weights.astype(np.float16)
    exact = converts_halves() and bool((halves == m.weights).all())
    alone = halves.view(np.int16) if exact else m.weights
    return Matrix(ScaledBlocks(m.weights, m.columns, m.steps, m.places, m.where, factors, alone), plain.start)


def single(tree: Tree) -> Tree:
    """Return a copy of nested tuples in which all arrays but those of signed integers are float32 and contiguous.

    Unsigned integers become float32 too, so a tree with `Blocks` must not be given. Arrays that need no change are
    shared with the argument.
    """
    kept = [one if one.dtype.kind == "i" else np.ascontiguousarray(one, np.float32) for one in _leaves(tree)]
    rebuilt: Tree = _rebuilt(tree, iter(kept))
    return rebuilt


def contiguous(tree: Tree, align: int = HUGE_PAGE) -> Tree:
    """Return a copy of nested tuples of arrays in which all arrays stand one after the other in one piece of memory.

    The piece begins at a multiple of `align` bytes, and each array at a multiple of `LINE`.
    By default, the operating system can use huge pages; the processor then needs less time to translate addresses.
    """
    arrays = list(_leaves(tree))
    sizes = [-(-array.nbytes // LINE) * LINE for array in arrays]
    memory = np.empty(sum(sizes) + 2 * align, np.uint8)
    begin = -memory.ctypes.data % align
    copies = []
    for array, size in zip(arrays, sizes, strict=True):
        copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        copies.append(copy)
        begin += size
    rebuilt: Tree = _rebuilt(tree, iter(copies))
    return rebuilt


def _leaves(tree: Any) -> Iterator[Array]:
    """Yield the arrays in nested tuples, in order. Other values are skipped. tree: a tuple, an array or other value."""
    if isinstance(tree, tuple):
        for inner in tree:
            yield from _leaves(inner)
    elif isinstance(tree, np.ndarray):
        yield tree


def _rebuilt(tree: Any, arrays: Iterator[Array]) -> Any:
    """Return a copy of the nested tuples `tree`, with its arrays replaced, in order, by those of `arrays`."""
    if isinstance(tree, tuple):
        inner = [_rebuilt(one, arrays) for one in tree]
        return type(tree)(*inner) if hasattr(tree, "_fields") else tuple(inner)
    return next(arrays) if isinstance(tree, np.ndarray) else tree
