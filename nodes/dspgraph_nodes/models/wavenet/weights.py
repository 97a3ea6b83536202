"""The names and shapes of the arrays in a file of WaveNet weights."""

from __future__ import annotations

from dspgraph_nodes.models.shared.weights import WeightsFormat, layer_shapes
from dspgraph_nodes.models.wavenet.config import Config


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for every array of a network with this configuration.

    The names are those of the torch module.
    """
    c = config
    found: dict[str, tuple[int, ...]] = {"mean": (c.bands,), "deviation": (c.bands,)}
    if c.upsampling == "stretch":
        found["stretch.first.weight"] = (c.bands, c.bands, 2 * c.context + 1)
        found.update({f"stretch.taps.{k}": (2 * s + 1,) for k, s in enumerate(c.scales)})
    else:
        for k, s in enumerate(c.scales):
            found[f"stretch.weights.{k}"], found[f"stretch.biases.{k}"] = (1, 1, c.band_taps, s), (1,)

    found |= layer_shapes("first", c.residual, 1 if c.kind == "mixture" else c.levels)
    for i in range(c.layers):
        found |= layer_shapes(f"layers.{i}.gate", c.gate, c.kernel * c.residual)
        found |= layer_shapes(f"layers.{i}.condition", c.gate, c.bands, bias=c.condition_bias)
        found |= layer_shapes(f"layers.{i}.skip", c.skip, c.gate // 2)
        if i < c.layers - 1:  # nothing reads the output of the last layer
            found |= layer_shapes(f"layers.{i}.out", c.residual, c.gate // 2)
    return found | layer_shapes("head.0", c.skip, c.skip) | layer_shapes("head.1", c.width, c.skip)


WEIGHTS = WeightsFormat("wavenet", Config, shapes, matrices={"layers.*.weight": 1})
"""The layout of a file of weights. A file in eight bits has the matrices of the layers in eight bits."""
