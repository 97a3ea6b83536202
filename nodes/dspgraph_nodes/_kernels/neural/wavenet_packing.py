"""WaveNet's weights, packed for its kernels.

Sigmoid and tanh are computed with powers of 2, so the weights and biases of the gates are multiplied by 2 / ln(2)
before a tanh and by -1 / ln(2) before a sigmoid. The factors of the sums of the residual and the skip connections are
multiplied into their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.conditioning import interpolation, reach
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.packing import contiguous, single
from dspgraph_nodes._kernels.neural.stages import LOG2_E
from dspgraph_nodes._kernels.neural.wavenet_loop import ROOT_HALF, WaveNetWeights


class Upsampling(NamedTuple):
    """The way from frames of features to what they add to the gates of every sample.

    linear: a convolution over frames (`first`), then repetition and smoothing (`taps`, which `table` sums up).
    Otherwise transposed convolutions, each with a bias and ReLU.
    """

    linear: bool
    scales: tuple[int, ...]
    mean: Array  # [bands]
    deviation: Array  # [bands]
    first: Array  # [(2 * context + 1) * bands, bands]; [0, bands] if not linear
    taps: tuple[Array, ...]  # [2 * scale + 1] for each scale; [band taps, scale] if not linear
    biases: Array  # [scales] if not linear
    gates: Array  # [bands, layers * 2 * gate]: what a row adds to all gates
    bias: Array  # [layers * 2 * gate]: the bias of these products
    table: Array  # [kinds, 2 * reach + 1]: see `frame_factors`

    @property
    def hop(self) -> int:
        """Number of samples in a frame."""
        return int(prod(self.scales))

    @property
    def context(self) -> int:
        """Number of frames on either side of a frame that the first convolution reads."""
        return len(self.first) // len(self.mean) // 2

    @property
    def reach(self) -> int:
        """Number of rows before and after the row of a frame on which its samples depend."""
        return int(self.table.shape[1]) // 2

    @property
    def wait(self) -> int:
        """Number of frames after a frame that must be known before its samples are."""
        return self.context + self.reach


class PackedWaveNet(NamedTuple):
    """The packed weights of the frame-rate part and of the sample-rate part."""

    upsampling: Upsampling
    sample: WaveNetWeights


def padded(matrix: Array, rows: Sequence[int] = (), columns: int = 1) -> Array:
    """Return a matrix [rows, columns] with zeros after every part of its rows and of its columns.

    rows: the number of rows in every part; by default all are one part. columns: the number of equal parts of the
    columns. Afterwards every part is a multiple of sixteen long.
    """
    parts = np.split(matrix, np.cumsum(rows)[:-1]) if len(rows) else [matrix]
    tall = np.concatenate([np.pad(part, ((0, -len(part) % WIDTH), (0, 0))) for part in parts])
    split = tall.reshape(len(tall), columns, -1)
    return np.pad(split, ((0, 0), (0, 0), (0, -split.shape[2] % WIDTH))).reshape(len(tall), -1)


def in_blocks(matrix: Array) -> Array:
    """Return the numbers of a matrix [rows, columns] in the order [block, column, row in block], in float32."""
    rows, columns = matrix.shape
    return matrix.reshape(rows // WIDTH, WIDTH, columns).swapaxes(1, 2).astype(np.float32).reshape(-1)


def pack_wavenet(
    arrays: Mapping[str, Array], taps: int, dilations: Sequence[int], skip_factors: Sequence[float],
    scales: tuple[int, ...],
) -> PackedWaveNet:  # fmt: skip
    """Return the packed network.

    arrays: those of a file of weights, by name; taps: of a convolution; dilations, skip_factors: one for every layer;
    scales: the factors of the upsampling.
    """
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    count, levels = len(dilations), wide["first.weight"].shape[1]
    half = len(wide["layers.0.gate.bias"]) // 2
    scale = LOG2_E * np.repeat([2.0, -1.0], half)[:, None]

    def vector(name: str, *rows: int) -> Array:
        return padded(wide[name][:, None], rows)[:, 0]

    residual, skip = len(vector("first.bias")), len(vector("head.0.bias"))
    gate = half + -half % WIDTH
    pieces: list[Array] = []
    layers = np.zeros((count, 6), np.int64)
    ring = 0

    def put(matrix: Array) -> int:
        begin = sum(len(piece) for piece in pieces)
        pieces.append(in_blocks(matrix))
        return begin

    gate_bias, gates, more, out_bias, skip_bias = [], [], [], np.zeros((count, residual)), np.zeros(skip)
    for i, (dilation, factor) in enumerate(zip(dilations, skip_factors, strict=True)):
        name, rows = f"layers.{i}", (taps - 1) * dilation + 1
        layers[i, 0] = put(padded(scale * wide[f"{name}.gate.weight"], (half, half), taps))
        gate_bias.append(padded(scale * wide[f"{name}.gate.bias"][:, None], (half, half)))
        gates.append(padded(scale * wide[f"{name}.condition.weight"], (half, half))[:, : wide["mean"].size])
        bias = wide.get(f"{name}.condition.bias", np.zeros(2 * half))
        more.append(padded(scale * bias[:, None], (half, half)))
        if i + 1 < count:
            layers[i, 1] = put(padded(ROOT_HALF * wide[f"{name}.out.weight"]))
            out_bias[i] = ROOT_HALF * vector(f"{name}.out.bias")
        layers[i, 2] = put(padded(factor * wide[f"{name}.skip.weight"]))
        skip_bias += factor * vector(f"{name}.skip.bias")
        layers[i, 3:] = ring, rows, dilation
        ring += rows * residual
    head = np.array([put(padded(wide[f"head.{k}.weight"])) for k in range(2)])
    head_bias = np.concatenate([vector(f"head.{k}.bias") for k in range(2)])
    sizes = np.array([taps, residual, gate, skip, len(head_bias) - skip, levels])
    sample = WaveNetWeights(
        np.concatenate(pieces), layers, sizes, padded(wide["first.weight"])[:, :levels].T, vector("first.bias"),
        np.concatenate(gate_bias)[:, 0], out_bias.reshape(-1), skip_bias, head_bias, head,
    )  # fmt: skip
    linear, numbers = "stretch.first.weight" in wide, range(len(scales))
    smoothing = tuple(wide[f"stretch.taps.{k}"] if linear else wide[f"stretch.weights.{k}"][0, 0] for k in numbers)
    upsampling = Upsampling(
        linear, scales, wide["mean"], wide["deviation"], _first(wide), smoothing,
        np.array([wide[f"stretch.biases.{k}"][0] for k in numbers if not linear]),
        np.concatenate(gates).T, np.concatenate(more)[:, 0],
        frame_factors(scales, smoothing) if linear else np.ones((1, 1)),
    )  # fmt: skip
    return PackedWaveNet(single(upsampling), contiguous(single(sample)))


def frame_factors(scales: tuple[int, ...], taps: Sequence[Array]) -> Array:
    """Return the factors of neighbouring frames in the samples of a frame: [kinds, 2 * r + 1].

    They are those of the linear upsampling. The samples of frame j are sums over the frames j - r .. j + r. Near both
    ends of a signal, beyond which all counts as 0, the factors differ from those inside. The rows are those of frame j
    of a signal of N frames, in the order (N, j, sample in the frame), for N = 1 .. 2 * r + 1: a longer signal has the
    same kinds of frames.
    """
    hop, r = prod(scales), reach(scales, [len(one) for one in taps])
    found = []
    for frames in range(1, 2 * r + 2):
        matrix = np.pad(interpolation(frames, scales, taps), ((0, 0), (r, r)))
        found += [matrix[j * hop : (j + 1) * hop, j : j + 2 * r + 1] for j in range(frames)]
    return np.concatenate(found)


def _first(wide: Mapping[str, Array]) -> Array:
    weight = wide.get("stretch.first.weight", np.zeros((len(wide["mean"]), 0, 1)))
    return weight.transpose(2, 1, 0).reshape(-1, len(weight))
