"""The packed form of a WaveRNN, which its kernels use."""

from __future__ import annotations

from collections.abc import Mapping

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavernn_packing import WaveRNNForm, WaveRNNWeights, pack
from dspgraph_nodes.models.wavernn.config import Config


def packed(config: Config, arrays: Mapping[str, Array]) -> WaveRNNWeights:
    """Return a network as the kernels use it. arrays: those of a file of weights, by name."""
    c = config
    form = WaveRNNForm(c.factors, c.context, c.pad, c.blocks, c.first_halves, c.mulaw, c.input == "decibels")
    return pack(arrays, form)
