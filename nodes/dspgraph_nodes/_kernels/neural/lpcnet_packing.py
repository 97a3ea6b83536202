"""LPCNet's weights, packed for its kernels.

* The embeddings are multiplied with the input matrix of GRU_A in advance. The result is a table for each of the three
  codes of a sample, with the numbers that every value of the code adds to the gates.
* Matrices have the form that the module `packing` describes. Weights before a sigmoid or tanh are scaled as described
  there.
* Of a network in eight bits, the matrices of the loop over samples have the form `DotBlocks`, and the tables have
  16-bit integers. Reading the tables takes much of the time of a sample, for they are larger than the near caches.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.layout import ACCUMULATORS, WIDTH, Blocks, DotBlocks, Matrix
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, centres, edges
from dspgraph_nodes._kernels.neural.lpcnet_layout import SampleNetwork
from dspgraph_nodes._kernels.neural.packing import (
    PADDING,
    blocks,
    by_blocks,
    contiguous,
    dot_blocks,
    gate_rows,
    packed_gru,
    packed_layer,
    packed_matrix,
)
from dspgraph_nodes._kernels.neural.quantisation import LARGEST_CODE, EightBits, with_dequantised
from dspgraph_nodes._kernels.neural.sampling import level_order
from dspgraph_nodes._kernels.neural.stages import LOG2_E

LARGEST_SUM = 32764
"""The largest sum of three numbers, one from each table, before they are rounded to int16; rounding adds up to 1.5."""


class FrameNetwork(NamedTuple):
    """The packed weights of the frame-rate network, which computes the condition of each frame from its features.

    The layers gates_a and gates_b compute from the condition what it adds to the gates of GRU_A and GRU_B.
    """

    pitch: Array  # [256, width]: the embedding of the pitch
    conv1: Matrix
    conv2: Matrix
    dense1: Matrix
    dense2: Matrix
    gates_a: Matrix
    gates_b: Matrix


class Network(NamedTuple):
    """The packed weights of LPCNet: the frame-rate network and the sample-rate network."""

    frame: FrameNetwork
    sample: SampleNetwork


def pack_weights(
    arrays: Mapping[str, Array], eight: Mapping[str, EightBits] = MappingProxyType({}), path: str = ""
) -> Network:
    """Return LPCNet's weights, packed for the kernels.

    arrays: the arrays of a file of weights, by name; the gates of the GRUs are in the order r, z, n. eight: all
    matrices in eight bits, by name, for a network in eight bits. The products of the recurrent matrix of GRU_A, of
    GRU_B's matrix for the state of GRU_A, of the recurrent matrix of GRU_B and of DualFC are then computed with 8-bit
    numbers, and all other products with these weights in float32. path: the instructions for the products of 8-bit
    numbers, a name in `compile.simd.DOT_PATHS`; by default the fastest that the machine has. All paths give the same
    results.
    """
    arrays = with_dequantised(arrays, eight)
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    embedding = wide["embed.weight"]
    gru_a, gru_b = packed_gru(wide, "gru_a"), packed_gru(wide, "gru_b")
    size, units = embedding.shape[1], gru_a.recurrent.shape[1]
    tables = np.stack([matmul(embedding, gru_a.inner[:, k * size : (k + 1) * size].T) for k in range(3)])
    words, table_scale = _in_words(by_blocks(tables)) if eight else (by_blocks(tables), np.zeros(0, np.float32))
    frame = FrameNetwork(
        pitch=arrays["embed_pitch.weight"],
        conv1=packed_layer(wide, "conv1"),
        conv2=packed_layer(wide, "conv2"),
        dense1=packed_layer(wide, "dense1"),
        dense2=packed_layer(wide, "dense2"),
        gates_a=packed_matrix(by_blocks(gru_a.inner[:, 3 * size :].T).T, gru_a.bias),
        gates_b=packed_matrix(by_blocks(gru_b.inner[:, units:].T).T, gru_b.bias),
    )
    layers, bias_d, factors = _dual_fc(wide, bool(eight))

    def packed(
        name: str, matrix: Array, rows: Callable[[Array], Array], parts: int = 1, first: int = 0
    ) -> Blocks | DotBlocks:
        """Return a matrix in blocks: of 8-bit numbers for a network in eight bits, otherwise of floats.

        name: the name of the matrix in `eight`. rows: `gate_rows` or `_dual_rows`, whichever was applied to the rows
        of `matrix`; it is applied to the scales of the 8-bit numbers too. parts, first: as in `blocks`.
        """
        if not eight:
            return blocks(matrix, parts, first)
        scale = rows(eight[name].scale.astype(np.float64))
        codes = np.rint(matrix / np.where(scale == 0, np.inf, scale)[:, None]).astype(np.int8)
        return dot_blocks(codes, scale / LARGEST_CODE, path or dot_paths()[0], parts, first)

    sample = SampleNetwork(
        tables=words,
        table_scale=table_scale,
        bias_n=gru_a.recurrent_bias,
        diagonal_a=gru_a.diagonal,
        diagonal_b=gru_b.diagonal,
        start_b=np.zeros(ACCUMULATORS * len(gru_b.bias) + WIDTH, np.float32),
        start_c=np.append(gru_b.recurrent_bias, PADDING),
        start_d=np.append(bias_d, PADDING),
        a=packed("gru_a.weight_hh_l0", gru_a.recurrent, gate_rows),
        b=packed("gru_b.weight_ih_l0", by_blocks(gru_b.inner[:, :units].T).T, gate_rows, ACCUMULATORS),
        c=packed("gru_b.weight_hh_l0", gru_b.recurrent, gate_rows, 1, units),
        d=packed("dual_fc.kernel", layers, _dual_rows, 1, units),
        factors=factors,
        edges=edges().copy(),
        centres=centres(),
    )
    return contiguous(Network(frame, sample))


def _in_words(tables: Array) -> tuple[Array, Array]:
    """Return tables [3, 256, width] as int16 numbers and the scale of each column, [width] float32.

    The scale is so large that the sum of a number of each table fits into 16 bits.
    """
    scale = (np.abs(tables.astype(np.float64)).max(axis=1).sum(axis=0) / LARGEST_SUM).astype(np.float32)
    return np.rint(tables / np.where(scale == 0, np.inf, scale)).astype(np.int16), scale


def _dual_rows(numbers: Array) -> Array:
    """Multiply an array of one number per row of DualFC by 2 * log2(e), the factor of tanh, and reorder it.

    numbers: [2, 256], [layer, level], for example a bias. Returns [512] float32 in the order [block, layer, level in
    block], with the levels in the order of `level_order`.
    """
    rows: Array = by_blocks(2 * LOG2_E * numbers[:, level_order(LEVELS)].reshape(-1), 2)
    return rows


def _dual_fc(wide: Mapping[str, Array], eight: bool) -> tuple[Array, Array, Array]:
    """Return the matrix and the bias of both layers of DualFC, and the array `factors` of `SampleNetwork`.

    The rows of matrix and bias have the order [block, layer, level], with levels in the order of `level_order`. wide:
    the arrays of a file of weights, in float64. eight: whether the network is in eight bits.
    """
    level = level_order(LEVELS)
    layers = by_blocks(2 * LOG2_E * wide["dual_fc.kernel"][:, level].reshape(2 * LEVELS, -1).T, 2).T
    bias = by_blocks(2 * LOG2_E * wide["dual_fc.bias"][:, level].reshape(-1), 2)
    a1, a2 = wide["dual_fc.factor"][:, level]
    factors = (a1, a2) if eight else (a1 + a2, -2 * a1, -2 * a2)
    return layers, bias, np.stack(factors).astype(np.float32)
