"""LPCNet's weights as its kernels read them.

What an embedding adds to the gates is a table, one row per code; matrices stand in blocks of sixteen rows and one
column, and blocks of zeros are left out. Rows that lead into an exponential have its scale, so that

    sigmoid(v) = 1 / (1 + 2**x),    x = -v / ln 2        tanh(v) = 1 - 2 / (1 + 2**x),    x = 2 v / ln 2

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, centres, edges
from dspgraph_nodes._kernels.neural.lpcnet_loop import CHAINS, LANES, LOG2_E, Blocks, Matrix, SampleNetwork

Array = NDArray[Any]
Tree = TypeVar("Tree", bound=tuple[Any, ...])

HUGE_PAGE = 2**21


class FrameNetwork(NamedTuple):
    """What makes a condition of the features, and of the condition what it adds to the gates."""

    pitch: Array  # [256, width]
    conv1: Matrix
    conv2: Matrix
    dense1: Matrix
    dense2: Matrix
    gates_a: Matrix
    gates_b: Matrix


class Network(NamedTuple):
    """All of it."""

    frame: FrameNetwork
    sample: SampleNetwork


def blocks(matrix: Array, parts: int = 1, first: int = 0) -> Blocks:
    """A matrix [rows, columns] in blocks; rows a multiple of 16. Columns are numbered from `first` on.

    With several parts the columns are divided among them, and the sums of part k begin at row k * rows.
    """
    height, width = matrix.shape
    kept = np.abs(matrix).reshape(height // LANES, LANES, width).max(axis=1) > 0
    found = []
    for part in range(parts):
        within = np.zeros(width, bool)
        within[part * width // parts : (part + 1) * width // parts] = True
        for block in range(height // LANES):
            found.append((part * height + block * LANES, block * LANES, np.flatnonzero(kept[block] & within)))
    found.sort(key=lambda one: -len(one[2]))  # blocks of a group are of about one length
    found += [(parts * height, 0, np.zeros(0, np.int64))] * (-len(found) % CHAINS)  # sums that nobody reads
    groups = [found[k : k + CHAINS] for k in range(0, len(found), CHAINS)]
    steps = np.cumsum([0] + [len(group[0][2]) for group in groups])
    weights = np.zeros((steps[-1], CHAINS, LANES), np.float32)
    columns = np.full((steps[-1], CHAINS), first, np.uint16)
    where = np.zeros((parts * height // LANES + 1, 2), np.int64)
    for g, group in enumerate(groups):
        for q, (place, row, own) in enumerate(group):
            part_of_steps = slice(steps[g], steps[g] + len(own))
            weights[part_of_steps, q] = matrix[row : row + LANES, own].T
            columns[part_of_steps, q] = first + own
            where[place // LANES] = g, q
    places = np.array([[place for place, _, _ in group] for group in groups])
    return Blocks(weights, columns, steps, places, where[:-1])


def by_blocks(values: Array, parts: int = 3) -> Array:
    """The last axis, [part, unit] in one, as [block, part, unit], in float32."""
    *outer, width = values.shape
    split = values.reshape(*outer, parts, width // parts // LANES, LANES)
    return np.ascontiguousarray(split.swapaxes(-3, -2).reshape(*outer, width), np.float32)


def fold(arrays: Mapping[str, Array]) -> Network:
    """The network of `models.lpcnet`, from its arrays by name: gates r, z, n, weights [out, in]."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    embedding, room = wide["embed.weight"], np.zeros(LANES, np.float32)

    def layer(name: str) -> Matrix:
        weight = wide[f"{name}.weight"]
        flat = weight.swapaxes(1, -1).reshape(len(weight), -1)  # of a convolution, tap by tap
        return matrix(2 * LOG2_E * flat, 2 * LOG2_E * wide[f"{name}.bias"])

    def matrix(weight: Array, bias: Array) -> Matrix:
        return Matrix(blocks(weight.astype(np.float32)), np.append(bias.astype(np.float32), room))

    def gru(name: str) -> tuple[Array, ...]:
        units = wide[f"{name}.weight_hh_l0"].shape[1]
        scale = LOG2_E * np.repeat([-1.0, -1.0, 2.0], units)
        inner, own = (scale[:, None] * wide[f"{name}.weight_{kind}_l0"] for kind in ("ih", "hh"))
        bias, recurrent = (scale * wide[f"{name}.bias_{kind}_l0"] for kind in ("ih", "hh"))
        bias[: 2 * units] += recurrent[: 2 * units]
        recurrent[: 2 * units] = 0
        square = own.reshape(3, units, units)
        diagonal = np.diagonal(square, axis1=1, axis2=2).reshape(-1)
        own = np.where(np.eye(units, dtype=bool), 0, square).reshape(3 * units, units)
        return inner, *(by_blocks(one.T).T for one in (own, bias, recurrent, diagonal))

    inner_a, own_a, bias_a, bias_n, diagonal_a = gru("gru_a")
    inner_b, own_b, bias_b, start_c, diagonal_b = gru("gru_b")
    size, units = embedding.shape[1], own_a.shape[1]
    tables = np.stack([matmul(embedding, inner_a[:, k * size : (k + 1) * size].T) for k in range(3)])
    level = np.arange(LEVELS).reshape(LANES, LANES).T.reshape(-1)  # place 16 b + m has level 16 m + b
    layers = by_blocks(2 * LOG2_E * wide["dual_fc.kernel"][:, level].reshape(2 * LEVELS, -1).T, 2).T
    bias_d = by_blocks(2 * LOG2_E * wide["dual_fc.bias"][:, level].reshape(-1), 2)
    a1, a2 = wide["dual_fc.factor"][:, level]
    frame = FrameNetwork(
        pitch=arrays["embed_pitch.weight"],
        conv1=layer("conv1"),
        conv2=layer("conv2"),
        dense1=layer("dense1"),
        dense2=layer("dense2"),
        gates_a=matrix(by_blocks(inner_a[:, 3 * size :].T).T, bias_a),
        gates_b=matrix(by_blocks(inner_b[:, units:].T).T, bias_b),
    )
    sample = SampleNetwork(
        tables=by_blocks(tables),
        bias_n=bias_n,
        diagonal_a=diagonal_a,
        diagonal_b=diagonal_b,
        start_b=np.zeros(CHAINS * len(bias_b) + LANES, np.float32),
        start_c=np.append(start_c, room),
        start_d=np.append(bias_d, room),
        a=blocks(own_a),
        b=blocks(by_blocks(inner_b[:, :units].T).T, CHAINS),
        c=blocks(own_b, 1, units),
        d=blocks(layers, 1, units),
        factors=np.stack((a1 + a2, -2 * a1, -2 * a2)).astype(np.float32),
        edges=edges().copy(),
        centres=centres(),
    )
    return together(Network(frame, sample))


def together(tree: Tree) -> Tree:
    """The same arrays, one behind the other in one piece of memory: the processor then finds them in fewer steps.

    A large piece begins on a huge page, which the system gives to large arrays where it can.
    """
    found: list[Array] = []

    def collect(one: Any) -> None:
        if isinstance(one, tuple):
            for inner in one:
                collect(inner)
        else:
            found.append(one)

    collect(tree)
    sizes = [-(-array.nbytes // 64) * 64 for array in found]
    memory = np.empty(sum(sizes) + 2 * HUGE_PAGE, np.uint8)
    at = -memory.ctypes.data % HUGE_PAGE
    moved = []
    for array, size in zip(found, sizes, strict=True):
        copy = memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        moved.append(copy)
        at += size
    copies = iter(moved)

    def rebuild(one: Any) -> Any:
        return type(one)(*map(rebuild, one)) if isinstance(one, tuple) else next(copies)

    rebuilt: Tree = rebuild(tree)
    return rebuilt
