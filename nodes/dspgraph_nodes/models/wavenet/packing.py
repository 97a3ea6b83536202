"""WaveNet's weights, packed for its kernels.

Sigmoid and tanh are computed with powers of 2, so the weights and biases of the gates are multiplied by 2 / ln(2)
before a tanh and by -1 / ln(2) before a sigmoid. The factors of the sums of the residual and the skip connections are
multiplied into their weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.conditioning import interpolation, reach
from dspgraph_nodes._kernels.neural.convolution import in_blocks, padded
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.packing import contiguous, single
from dspgraph_nodes._kernels.neural.stages import LOG2_E
from dspgraph_nodes._kernels.neural.wavenet_layout import (
    ROOT_HALF,
    PackedWaveNet,
    Upsampling,
    WaveNetForm,
    WaveNetWeights,
)
from dspgraph_nodes._kernels.signal.mulaw import even_levels, even_samples, mulaw_decode, mulaw_encode
from dspgraph_nodes.models.wavenet.config import Config


def packed(config: Config, arrays: Mapping[str, Array]) -> PackedWaveNet:
    """Return a network as the kernels use it. arrays: those of a file of weights, by name."""
    c, wide, half = config, {name: array.astype(np.float64) for name, array in arrays.items()}, config.gate // 2
    scale = LOG2_E * np.repeat([2.0, -1.0], half)[:, None]

    def vector(name: str) -> Array:
        return padded(wide[name][:, None])[:, 0]

    residual, skip, gate = (count + -count % WIDTH for count in (c.residual, c.skip, half))
    pieces: list[Array] = []
    layers = np.zeros((c.layers, 6), np.int64)

    def put(matrix: Array) -> int:
        begin = sum(len(piece) for piece in pieces)
        pieces.append(in_blocks(matrix))
        return begin

    gate_bias, gates, out_bias, skip_bias = [], [], np.zeros((c.layers, residual)), np.zeros(skip)
    ring = 0
    for i, (dilation, factor) in enumerate(zip(c.dilations, c.skip_factors, strict=True)):
        name, rows = f"layers.{i}", (c.kernel - 1) * dilation + 1
        layers[i, 0] = put(padded(scale * wide[f"{name}.gate.weight"], (half, half), c.kernel))
        bias = wide[f"{name}.gate.bias"] + wide.get(f"{name}.condition.bias", 0)
        gate_bias.append(padded(scale * bias[:, None], (half, half)))
        gates.append(padded(scale * wide[f"{name}.condition.weight"], (half, half))[:, : c.bands])
        if i + 1 < c.layers:
            layers[i, 1] = put(padded(ROOT_HALF * wide[f"{name}.out.weight"]))
            out_bias[i] = ROOT_HALF * vector(f"{name}.out.bias")
        layers[i, 2] = put(padded(factor * wide[f"{name}.skip.weight"]))
        skip_bias += factor * vector(f"{name}.skip.bias")
        layers[i, 3:] = ring, rows, dilation
        ring += rows * residual
    head = np.array([put(padded(wide[f"head.{k}.weight"])) for k in range(2)])
    last_bias = np.concatenate((skip_bias, *(vector(f"head.{k}.bias") for k in range(2))))
    inputs = wide["first.weight"].shape[1]
    sample = WaveNetWeights(
        np.concatenate(pieces), layers, np.array([c.kernel, residual, gate, skip, len(last_bias) - 2 * skip]),
        padded(wide["first.weight"])[:, :inputs].T, vector("first.bias"), np.concatenate(gate_bias)[:, 0],
        out_bias.reshape(-1), last_bias, head,
    )  # fmt: skip
    upsampling = _upsampling(c, wide, np.concatenate(gates).T)
    centres = level_samples(c) if c.kind == "categorical" else np.zeros(0)
    form = WaveNetForm(
        c.width, 1 if len(centres) else c.components + 1, -math.inf if c.draw_floor is None else c.draw_floor, centres,
        c.emphasis,
    )  # fmt: skip
    return PackedWaveNet(single(upsampling), contiguous(single(sample)), form)


def _upsampling(config: Config, wide: Mapping[str, Array], gates: Array) -> Upsampling:
    c, numbers, of_signal = config, range(len(config.scales)), (wide["mean"], wide["deviation"])
    if c.upsampling == "stretch":
        table = frame_factors(c.scales, [wide[f"stretch.taps.{k}"] for k in numbers])
        first = wide["stretch.first.weight"].transpose(2, 1, 0).reshape(-1, c.bands)
        return Upsampling(True, c.hop, c.context, c.wait, *of_signal, first, (), np.zeros(0), gates, table)
    taps = tuple(wide[f"stretch.weights.{k}"][0, 0] for k in numbers)
    biases = np.array([wide[f"stretch.biases.{k}"][0] for k in numbers])
    first, table = np.zeros((0, c.bands)), np.ones((1, 1))
    return Upsampling(False, c.hop, 0, 0, *of_signal, first, taps, biases, gates, table)


def frame_factors(scales: Sequence[int], taps: Sequence[Array]) -> Array:
    """Return the factors by which neighbouring frames add up to the samples of a frame: [kinds * hop, 2 * r + 1].

    The upsampling is linear: the samples of frame j are sums over the frames j - r .. j + r. Near both ends of a
    signal, beyond which all counts as 0, the factors differ from those inside. So there is a kind of frame for every
    frame j of a signal of N frames, N = 1 .. 2 * r + 1; the frames of a longer signal are of the kinds of N = 2 * r +
    1. Rows have the order (N, j, sample in the frame).
    """
    hop, r = math.prod(scales), reach(scales, [len(one) for one in taps])
    found = []
    for frames in range(1, 2 * r + 2):
        matrix = np.pad(interpolation(frames, scales, taps), ((0, 0), (r, r)))
        found += [matrix[j * hop : (j + 1) * hop, j : j + 2 * r + 1] for j in range(frames)]
    return np.concatenate(found)


def level_samples(config: Config) -> Array:
    """Return the sample, from -1 to 1, of every mu-law level, [levels] float64."""
    centred = config.mulaw == "centred"
    return mulaw_decode(np.arange(config.levels), config.levels) if centred else even_samples(config.levels)


def levels_of(samples: Array, config: Config) -> Array:
    """Return the mu-law level of every sample, [n] int64. samples: [n] float64, from -1 to 1."""
    return (mulaw_encode if config.mulaw == "centred" else even_levels)(samples, config.levels)
