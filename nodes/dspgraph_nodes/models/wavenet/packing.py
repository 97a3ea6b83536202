"""WaveNet's weights, packed for its kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.neural.conditioning import interpolation, reach
from dspgraph_nodes._kernels.neural.gated_layers import LayersForm, pack_layers
from dspgraph_nodes._kernels.neural.packing import contiguous, single
from dspgraph_nodes._kernels.neural.quantisation import with_dequantised
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet, Upsampling, WaveNetForm
from dspgraph_nodes._kernels.signal.mulaw import even_levels, even_samples, mulaw_decode, mulaw_encode
from dspgraph_nodes.models.wavenet.config import Config
from dspgraph_nodes.models.wavenet.weights import WEIGHTS

ROOT_HALF = 0.5**0.5
"""Factor of the sum of a layer's input and its result."""


def packed(config: Config, arrays: Mapping[str, Array], eight_bits: bool = False, path: str = "") -> PackedWaveNet:
    """Return a network in the form that the kernels use. arrays: all arrays of a file of weights, by name.

    eight_bits: whether the matrices of the layers are rounded to eight bits, and their products in the loop over
    samples are computed with 8-bit numbers. path: with `eight_bits`, the instructions for these products, a name in
    `compile.simd.DOT_PATHS`; by default the fastest that the machine has.
    """
    c, path = config, (path or dot_paths()[0]) if eight_bits else ""
    if path:
        arrays = with_dequantised(arrays, WEIGHTS.in_eight_bits(arrays))
    layers = LayersForm(c.kernel, c.dilations, c.skip_factors, ROOT_HALF)
    sample, gates, dots = pack_layers(layers, arrays, arrays["first.weight"].astype(np.float64).T, path)
    upsampling = _upsampling(c, {name: array.astype(np.float64) for name, array in arrays.items()}, gates)
    centres = level_samples(c) if c.kind == "categorical" else np.zeros(0)
    form = WaveNetForm(
        c.width, 1 if len(centres) else c.components + 1, -math.inf if c.draw_floor is None else c.draw_floor, centres,
        c.emphasis,
    )  # fmt: skip
    return PackedWaveNet(single(upsampling), contiguous(single(sample)), form, contiguous(dots))


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
    """Return the factors with which linear upsampling adds up frames, [kinds * hop, 2 * r + 1].

    A row has the factors for one sample of a frame j: the sample is a weighted sum of the frames j - r .. j + r.
    Frames beyond the ends of the signal count as 0, so the factors near the ends differ from those in the middle. A
    kind stands for frame j of a signal with N frames: there is one for each N = 1 .. 2 * r + 1 and j = 0 .. N - 1. A
    longer signal uses the kinds of N = 2 * r + 1. The rows are ordered by N, then j, then sample in the frame.

    scales: the upsampling factors. taps: the smoothing filter after each of them, with an odd number of taps.
    """
    hop, r = math.prod(scales), reach(scales, [len(one) for one in taps])
    found = []
    for frames in range(1, 2 * r + 2):
        matrix = np.pad(interpolation(frames, scales, taps), ((0, 0), (r, r)))
        found += [matrix[j * hop : (j + 1) * hop, j : j + 2 * r + 1] for j in range(frames)]
    return np.concatenate(found)


def level_samples(config: Config) -> Array:
    """Return the samples, from -1 to 1, that the mu-law levels stand for: [levels] float64."""
    centred = config.mulaw == "centred"
    return mulaw_decode(np.arange(config.levels), config.levels) if centred else even_samples(config.levels)


def levels_of(samples: Array, config: Config) -> Array:
    """Return the mu-law level of every sample, [n] int64. samples: [n] float64, from -1 to 1."""
    return (mulaw_encode if config.mulaw == "centred" else even_levels)(samples, config.levels)
