"""The names and shapes of the arrays in a file of FARGAN weights, without torch."""

from __future__ import annotations

from itertools import pairwise

from dspgraph_nodes._kernels.neural.fargan_inputs import PERIOD_COUNT
from dspgraph_nodes.models.fargan.config import SUBFRAMES, Config
from dspgraph_nodes.models.shared.weights import WeightsFormat, layer_shapes


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for every array of a network with this configuration.

    The names are those of the torch module.
    """
    c, ends = config, 2 * config.subframe  # one period of the past, and the last sub-frame
    widths = (c.first, c.gru1, c.gru2, c.gru3)
    found: dict[str, tuple[int, ...]] = {
        "embed_pitch.weight": (PERIOD_COUNT, c.pitch_embedding),
        "frame1.weight": (c.frame_units, c.bands + 2 + c.pitch_embedding),
        "frame2.weight": (c.frame_channels, c.frame_units, 3),
        "frame3.weight": (SUBFRAMES * c.condition, c.frame_channels),
        "first.weight": (c.first, 2 * c.seen),
        "first_gate.weight": (c.first, c.first),
        "skip.weight": (c.skip, sum(widths) + ends),
        "skip_gate.weight": (c.skip, c.skip),
        "last.weight": (c.subframe, c.skip),
    }
    for k, (before, units) in enumerate(pairwise(widths), 1):
        found[f"gru{k}_inputs.weight"] = 3 * units, before + ends
        found[f"gru{k}_states.weight"] = 3 * units, units
        found[f"gru{k}_gate.weight"] = units, units
    return found | layer_shapes("gain", 1, c.condition) | layer_shapes("pitch_gains", 4, c.first)


WEIGHTS = WeightsFormat("fargan", Config, shapes)
"""The layout of a file of FARGAN's weights."""
