"""The packed form of a GANSynth, which its kernels use."""

from __future__ import annotations

from collections.abc import Mapping

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.gansynth_generator import PackedGenerator, pack
from dspgraph_nodes.models.gansynth.config import Config


def packed(config: Config, arrays: Mapping[str, Array]) -> PackedGenerator:
    """Return a generator as the kernels use it. arrays: those of a file of weights, by name."""
    return pack(arrays, config.pitches)
