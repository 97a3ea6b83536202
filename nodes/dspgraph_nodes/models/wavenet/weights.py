"""The arrays of a WaveNet in a file of weights."""

from __future__ import annotations

from dspgraph_nodes.models.shared.weights import WeightsFormat
from dspgraph_nodes.models.wavenet.config import Config


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a network, by the name that torch gives the array."""
    c = config
    found: dict[str, tuple[int, ...]] = {"mean": (c.bands,), "deviation": (c.bands,)}
    if c.upsampling == "stretch":
        found["stretch.first.weight"] = (c.bands, c.bands, 2 * c.context + 1)
        found.update({f"stretch.taps.{k}": (2 * s + 1,) for k, s in enumerate(c.scales)})
    else:
        for k, s in enumerate(c.scales):
            found[f"stretch.weights.{k}"], found[f"stretch.biases.{k}"] = (1, 1, c.band_taps, s), (1,)

    def add(name: str, inputs: int, outputs: int, bias: bool = True) -> None:
        found[f"{name}.weight"] = (outputs, inputs)
        if bias:
            found[f"{name}.bias"] = (outputs,)

    add("first", 1 if c.kind == "mixture" else c.levels, c.residual)
    for i in range(c.layers):
        add(f"layers.{i}.gate", c.kernel * c.residual, c.gate)
        add(f"layers.{i}.condition", c.bands, c.gate, c.condition_bias)
        add(f"layers.{i}.skip", c.gate // 2, c.skip)
        if i < c.layers - 1:  # nothing reads the output of the last layer
            add(f"layers.{i}.out", c.gate // 2, c.residual)
    add("head.0", c.skip, c.skip)
    add("head.1", c.skip, c.width)
    return found


WEIGHTS = WeightsFormat("wavenet", Config, shapes)
"""The layout of a file of weights."""
