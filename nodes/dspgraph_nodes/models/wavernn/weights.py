"""WaveRNN's weights in files, without torch."""

from __future__ import annotations

from dspgraph_nodes.models.shared.weights import WeightsFormat
from dspgraph_nodes.models.wavernn.config import Config


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a network, by the name that torch gives the array."""
    c = config
    found: dict[str, tuple[int, ...]] = {}
    for k, width in enumerate(c.widths if c.features else ()):
        found[f"conditions.smooth.{k}.weight"] = (1, 1, width)
        if c.offset:
            found[f"conditions.smooth.{k}.bias"] = (1,)
    if c.kind == "coarse_fine":
        return found | _split_shapes(c)
    norms = ["conditions.norm"]
    found["conditions.first.weight"] = (c.compute, c.features, 2 * c.pad + 1)
    for k in range(c.blocks):
        for half in (1, 2):
            found[f"conditions.blocks.{k}.conv{half}.weight"] = (c.compute, c.compute, 1)
            norms.append(f"conditions.blocks.{k}.norm{half}")
    for name in norms:
        found |= {f"{name}.{kind}": (c.compute,) for kind in ("weight", "bias", "running_mean", "running_var")}
    found["conditions.last.weight"] = (c.auxiliary, c.compute, 1)
    found["conditions.last.bias"] = (c.auxiliary,)
    quarter = c.auxiliary // 4
    for name, inputs in (("gru1", c.units), ("gru2", c.units + quarter)):
        found |= {f"{name}.weight_ih_l0": (3 * c.units, inputs), f"{name}.weight_hh_l0": (3 * c.units, c.units)}
        found |= {f"{name}.bias_{kind}_l0": (3 * c.units,) for kind in ("ih", "hh")}
    for name, inputs, outputs in (
        ("input", 1 + c.features + quarter, c.units),
        ("dense1", c.units + quarter, c.dense),
        ("dense2", c.dense + quarter, c.dense),
        ("dense3", c.dense, c.outputs),
    ):
        found |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
    return found


def _split_shapes(c: Config) -> dict[str, tuple[int, ...]]:
    half = c.units // 2
    found: dict[str, tuple[int, ...]] = {
        "input_coarse": (3, half, c.features + 2),
        "input_fine": (3, half, c.features + 3),
        "recurrent": (3 * c.units, c.units),
        "bias": (3 * c.units,),
    }
    if c.biases == "two":
        found["recurrent_bias"] = (3 * c.units,)
    for name in ("coarse", "fine"):
        for layer, inputs, outputs in ((1, half, c.dense), (2, c.dense, c.levels)):
            found |= {f"{name}{layer}.weight": (outputs, inputs), f"{name}{layer}.bias": (outputs,)}
    return found


WEIGHTS = WeightsFormat("wavernn", Config, shapes)
"""The layout of a file of WaveRNN's weights."""
