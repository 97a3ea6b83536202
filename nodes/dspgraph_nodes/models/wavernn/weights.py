"""The names and shapes of the arrays in a file of WaveRNN weights, without torch."""

from __future__ import annotations

from dspgraph_nodes.models.shared.weights import WeightsFormat, gru_shapes, layer_shapes, norm_shapes
from dspgraph_nodes.models.wavernn.config import Config


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for every array of a network with this configuration.

    The names are those of the torch module.
    """
    c, half, quarter = config, config.units // 2, config.auxiliary // 4
    found: dict[str, tuple[int, ...]] = {}
    for k, width in enumerate(c.widths if c.features else ()):
        found |= layer_shapes(f"conditions.smooth.{k}", 1, 1, width, bias=c.offset)
    if c.kind == "coarse_fine":
        found |= {"input_coarse": (3, half, c.features + 2), "input_fine": (3, half, c.features + 3)}
        found |= {"recurrent": (3 * c.units, c.units), "bias": (3 * c.units,)}
        if c.biases == "two":
            found["recurrent_bias"] = (3 * c.units,)
        for name in ("coarse", "fine"):
            found |= layer_shapes(f"{name}1", c.dense, half) | layer_shapes(f"{name}2", c.levels, c.dense)
        return found
    norms = ["conditions.norm"]
    found |= layer_shapes("conditions.first", c.compute, c.features, 2 * c.pad + 1, bias=False)
    for name in [f"conditions.blocks.{k}" for k in range(c.blocks)]:
        for part in (1, 2):
            found |= layer_shapes(f"{name}.conv{part}", c.compute, c.compute, 1, bias=False)
            norms.append(f"{name}.norm{part}")
    for name in norms:
        found |= norm_shapes(name, c.compute)
    found |= layer_shapes("conditions.last", c.auxiliary, c.compute, 1)
    found |= gru_shapes("gru1", c.units, c.units) | gru_shapes("gru2", c.units + quarter, c.units)
    found |= layer_shapes("input", c.units, 1 + c.features + quarter)
    found |= layer_shapes("dense1", c.dense, c.units + quarter) | layer_shapes("dense2", c.dense, c.dense + quarter)
    return found | layer_shapes("dense3", c.outputs, c.dense)


_MATRICES = {
    "conditions.first.weight": 1, "conditions.last.weight": 1, "conditions.blocks.*.conv?.weight": 1, "input.weight": 1,
    "gru?.weight_*": 1, "dense?.weight": 1, "recurrent": 1, "coarse?.weight": 1, "fine?.weight": 1, "input_*": 2,
}  # fmt: skip
"""The arrays that a file in eight bits has in eight bits, see `WeightsFormat`: all matrices."""

_DIAGONALS = frozenset({"gru1.weight_hh_l0", "gru2.weight_hh_l0", "recurrent"})
"""The recurrent matrices, whose diagonals are kept apart."""

WEIGHTS = WeightsFormat("wavernn", Config, shapes, matrices=_MATRICES, diagonals=_DIAGONALS)
"""The layout of a file of WaveRNN's weights."""
