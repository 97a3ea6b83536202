"""A WaveNet in the form that its kernels use, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavenet_packing import PackedWaveNet, pack_wavenet
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetForm
from dspgraph_nodes._kernels.signal.mulaw import mulaw_decode, mulaw_encode
from dspgraph_nodes.models.wavenet.config import Config


def packed(config: Config, arrays: Mapping[str, Array]) -> tuple[PackedWaveNet, WaveNetForm]:
    """Return the packed network and the form of its samples. arrays: those of a file of weights, by name."""
    network = pack_wavenet(arrays, config.kernel, config.dilations, config.skip_factors, config.scales)
    mixture = config.kind == "mixture"
    floor = -math.inf if config.draw_floor is None else config.draw_floor
    centres = np.zeros(0) if mixture else level_samples(config)
    numbers = config.components + 1 if mixture else 1
    return network, WaveNetForm(config.width, numbers, floor, centres, config.gain, config.preemphasis)


def level_samples(config: Config) -> Array:
    """Return the sample, from -1 to 1, of every mu-law level, [levels] float64."""
    if config.mulaw == "centred":
        return mulaw_decode(np.arange(config.levels), config.levels)
    mu = config.levels - 1
    f = 2 * np.arange(config.levels) / mu - 1
    samples: Array = np.sign(f) * np.expm1(np.abs(f) * math.log1p(mu)) / mu
    return samples


def levels_of(samples: Array, config: Config) -> Array:
    """Return the mu-law level of every sample, [n] int64. samples: [n] float64, from -1 to 1."""
    if config.mulaw == "centred":
        return mulaw_encode(samples, config.levels)
    mu = config.levels - 1
    f = np.sign(samples) * np.log1p(mu * np.abs(samples)) / math.log1p(mu)
    levels: Array = np.floor((f + 1) / 2 * mu + 0.5).astype(np.int64)
    return levels
