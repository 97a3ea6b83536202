"""A WaveNet in the form that its kernels use, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavenet_packing import PackedWaveNet, pack_wavenet
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetForm
from dspgraph_nodes._kernels.signal.mulaw import even_levels, even_samples, mulaw_decode, mulaw_encode
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
    centred = config.mulaw == "centred"
    return mulaw_decode(np.arange(config.levels), config.levels) if centred else even_samples(config.levels)


def levels_of(samples: Array, config: Config) -> Array:
    """Return the mu-law level of every sample, [n] int64. samples: [n] float64, from -1 to 1."""
    return (mulaw_encode if config.mulaw == "centred" else even_levels)(samples, config.levels)
