"""LPCNet's weights, packed for its kernels.

* The embeddings are multiplied with the input matrix of GRU_A in advance. The result is a table for each of the three
  codes of a sample, with the numbers that every value of the code adds to the gates.
* Matrices are stored in pieces of sixteen rows and one column; pieces with only zeros are left out.
* The kernels compute sigmoid and tanh with powers of 2. The weights and biases before a sigmoid are therefore
  multiplied by -1 / ln(2), those before a tanh by 2 / ln(2). The weighted sum is then x instead of v:

    sigmoid(v) = 1 / (1 + 2**x),  x = -v / ln(2)        tanh(v) = 1 - 2 / (1 + 2**x),  x = 2 * v / ln(2)

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, centres, edges
from dspgraph_nodes._kernels.neural.lpcnet_layout import ACCUMULATORS, WIDTH, Blocks, Matrix, SampleNetwork
from dspgraph_nodes._kernels.neural.lpcnet_stages import LOG2_E

Tree = TypeVar("Tree", bound=tuple[Any, ...])

HUGE_PAGE = 2**21  # bytes
PADDING = np.zeros(WIDTH, np.float32)  # behind the bias of a layer: the bias of the blocks that only fill a group


class FrameNetwork(NamedTuple):
    """The weights of the frame-rate network, which computes the condition of each frame from features.

    gates_a and gates_b then compute the numbers that the condition adds to the gates of GRU_A and GRU_B.
    """

    pitch: Array  # [256, width]: the embedding of the pitch
    conv1: Matrix
    conv2: Matrix
    dense1: Matrix
    dense2: Matrix
    gates_a: Matrix
    gates_b: Matrix


class Network(NamedTuple):
    """The packed weights of the frame-rate network and of the sample-rate network."""

    frame: FrameNetwork
    sample: SampleNetwork


def blocks(matrix: Array, parts: int = 1, first: int = 0) -> Blocks:
    """Return a matrix in blocks of sixteen rows.

    matrix: [rows, columns], where rows is a multiple of 16; parts: the number of parts into which the columns are
    divided; first: the number that is stored for the first column. Each part has sums of its own; the sums of part k
    begin at row k * rows of the result of the product.
    """
    height, width = matrix.shape
    kept = np.abs(matrix).reshape(height // WIDTH, WIDTH, width).max(axis=1) > 0
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
    steps = np.cumsum([0] + [len(group[0][2]) for group in groups])
    weights = np.zeros((steps[-1], ACCUMULATORS, WIDTH), np.float32)
    columns = np.full((steps[-1], ACCUMULATORS), first, np.uint16)
    where = np.zeros((parts * height // WIDTH + 1, 2), np.int64)
    for g, group in enumerate(groups):
        for q, (place, row, own) in enumerate(group):
            part_of_steps = slice(steps[g], steps[g] + len(own))
            weights[part_of_steps, q] = matrix[row : row + WIDTH, own].T
            columns[part_of_steps, q] = first + own
            where[place // WIDTH] = g, q
    places = np.array([[place for place, _, _ in group] for group in groups])
    return Blocks(weights, columns, steps, places, where[:-1])


def by_blocks(values: Array, parts: int = 3) -> Array:
    """Return the values in float32, with the last axis reordered from [part, unit] to [block, part, unit in block]."""
    *outer, width = values.shape
    split = values.reshape(*outer, parts, width // parts // WIDTH, WIDTH)
    return np.ascontiguousarray(split.swapaxes(-3, -2).reshape(*outer, width), np.float32)


def pack_weights(arrays: Mapping[str, Array]) -> Network:
    """Return the packed network. arrays: the arrays of a file of weights, by name; gates in the order r, z, n."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    embedding = wide["embed.weight"]
    gru_a, gru_b = _gru(wide, "gru_a"), _gru(wide, "gru_b")
    size, units = embedding.shape[1], gru_a.recurrent.shape[1]
    tables = np.stack([matmul(embedding, gru_a.inner[:, k * size : (k + 1) * size].T) for k in range(3)])
    frame = FrameNetwork(
        pitch=arrays["embed_pitch.weight"],
        conv1=_layer(wide, "conv1"),
        conv2=_layer(wide, "conv2"),
        dense1=_layer(wide, "dense1"),
        dense2=_layer(wide, "dense2"),
        gates_a=_matrix(by_blocks(gru_a.inner[:, 3 * size :].T).T, gru_a.bias),
        gates_b=_matrix(by_blocks(gru_b.inner[:, units:].T).T, gru_b.bias),
    )
    layers, bias_d, factors = _dual_fc(wide)
    sample = SampleNetwork(
        tables=by_blocks(tables),
        bias_n=gru_a.recurrent_bias,
        diagonal_a=gru_a.diagonal,
        diagonal_b=gru_b.diagonal,
        start_b=np.zeros(ACCUMULATORS * len(gru_b.bias) + WIDTH, np.float32),
        start_c=np.append(gru_b.recurrent_bias, PADDING),
        start_d=np.append(bias_d, PADDING),
        a=blocks(gru_a.recurrent),
        b=blocks(by_blocks(gru_b.inner[:, :units].T).T, ACCUMULATORS),
        c=blocks(gru_b.recurrent, 1, units),
        d=blocks(layers, 1, units),
        factors=factors,
        edges=edges().copy(),
        centres=centres(),
    )
    return contiguous(Network(frame, sample))


class _GRU(NamedTuple):
    """The weights of a GRU, multiplied by the constants of their powers of 2 (see above).

    The rows of `inner` have the order [gate, unit], those of all other arrays [block, gate, unit].
    """

    inner: Array  # [3 * units, inputs]: the weights of the inputs, gates r, z, n
    recurrent: Array  # [3 * units, units]: the recurrent weights, with zeros on the diagonals
    bias: Array  # [3 * units]: the bias of the inputs; for r and z plus the recurrent bias
    recurrent_bias: Array  # [3 * units]: the recurrent bias of gate n; 0 for r and z
    diagonal: Array  # [3 * units]: the diagonals of the recurrent weights


def _gru(wide: Mapping[str, Array], name: str) -> _GRU:
    units = wide[f"{name}.weight_hh_l0"].shape[1]
    scale = LOG2_E * np.repeat([-1.0, -1.0, 2.0], units)
    inner, own = (scale[:, None] * wide[f"{name}.weight_{kind}_l0"] for kind in ("ih", "hh"))
    bias, recurrent_bias = (scale * wide[f"{name}.bias_{kind}_l0"] for kind in ("ih", "hh"))
    bias[: 2 * units] += recurrent_bias[: 2 * units]
    recurrent_bias[: 2 * units] = 0
    square = own.reshape(3, units, units)
    diagonal = np.diagonal(square, axis1=1, axis2=2).reshape(-1)
    own = np.where(np.eye(units, dtype=bool), 0, square).reshape(3 * units, units)
    return _GRU(inner, *(by_blocks(one.T).T for one in (own, bias, recurrent_bias, diagonal)))


def _dual_fc(wide: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Return the matrix and the bias of both layers of DualFC, and `factors` of `SampleNetwork`.

    The rows have the order [block, layer, level], where the levels of a block are those that `draw` describes.
    """
    level = np.arange(LEVELS).reshape(WIDTH, WIDTH).T.reshape(-1)  # place 16 * b + m has level 16 * m + b
    layers = by_blocks(2 * LOG2_E * wide["dual_fc.kernel"][:, level].reshape(2 * LEVELS, -1).T, 2).T
    bias = by_blocks(2 * LOG2_E * wide["dual_fc.bias"][:, level].reshape(-1), 2)
    a1, a2 = wide["dual_fc.factor"][:, level]
    return layers, bias, np.stack((a1 + a2, -2 * a1, -2 * a2)).astype(np.float32)


def _layer(wide: Mapping[str, Array], name: str) -> Matrix:
    """Return the packed layer `name`, whose activation is tanh.

    The columns of a convolution have the order [tap, input]: all inputs of the first tap come first.
    """
    weight = wide[f"{name}.weight"]
    flat = weight.swapaxes(1, -1).reshape(len(weight), -1)
    return _matrix(2 * LOG2_E * flat, 2 * LOG2_E * wide[f"{name}.bias"])


def _matrix(weight: Array, bias: Array) -> Matrix:
    return Matrix(blocks(weight.astype(np.float32)), np.append(bias.astype(np.float32), PADDING))


def contiguous(tree: Tree) -> Tree:
    """Return a copy of nested tuples of arrays, with all arrays one behind the other in one piece of memory.

    The piece begins at a multiple of 2 MiB, so that the operating system can use huge pages for it. The processor then
    needs less time to translate addresses.
    """
    arrays = list(_leaves(tree))
    sizes = [-(-array.nbytes // 64) * 64 for array in arrays]
    memory = np.empty(sum(sizes) + 2 * HUGE_PAGE, np.uint8)
    begin = -memory.ctypes.data % HUGE_PAGE
    copies = []
    for array, size in zip(arrays, sizes, strict=True):
        copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        copies.append(copy)
        begin += size
    rebuilt: Tree = _rebuilt(tree, iter(copies))
    return rebuilt


def _leaves(tree: Any) -> Iterator[Array]:
    """Yield the arrays in nested tuples, in order."""
    if isinstance(tree, tuple):
        for inner in tree:
            yield from _leaves(inner)
    else:
        yield tree


def _rebuilt(tree: Any, arrays: Iterator[Array]) -> Any:
    """Return nested tuples like `tree`, with the given arrays in place of its own, in order."""
    return type(tree)(*(_rebuilt(inner, arrays) for inner in tree)) if isinstance(tree, tuple) else next(arrays)
