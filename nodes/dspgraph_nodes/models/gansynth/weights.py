"""The names and shapes of the arrays in a file of GANSynth weights, without torch."""

from __future__ import annotations

from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.shared.weights import WeightsFormat


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for every array of a generator with this configuration.

    The names are those that torch gives the arrays.
    """
    found: dict[str, tuple[int, ...]] = {}

    def add(name: str, inputs: int, outputs: int, kernel: tuple[int, int]) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = (outputs, inputs, *kernel), (outputs,)

    for block in range(1, config.blocks + 1):
        name, width = f"blocks.{block - 1}", config.width(block)
        if block == 1:
            add(f"{name}.conv0", config.latent + config.pitches, width, (config.start_rows, config.start_bins))
        else:
            add(f"{name}.conv0", config.width(block - 1), width, (3, 3))
        add(f"{name}.conv1", width, width, (3, 3))
        add(f"{name}.picture", width, 2, (1, 1))
    return found


WEIGHTS = WeightsFormat(
    "gansynth",
    Config,
    shapes,
    "'dspgraph weights convert' converts the weights of published checkpoints",
    frozenset({"form", "latent_means", "latent_deviations"}),
)
"""The layout of a file of weights."""
