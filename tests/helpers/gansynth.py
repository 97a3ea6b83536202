"""Small GANSynths with random weights."""

from fractions import Fraction
from typing import Any

import numpy as np
import torch

from dspgraph import Array, Frames, Symbols
from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.gansynth.network import Generator
from dspgraph_nodes.models.gansynth.weights import WEIGHTS, shapes
from helpers.weight_files import shared_file

SMALL = {
    "wide": Config(latent=5, pitches=7, blocks=3, channels=64, most_channels=16, scale="linear", rate=800),
    "tall": Config(latent=4, pitches=3, blocks=2, channels=40, most_channels=10, start_rows=4, start_bins=8, rate=800),
}
"""Two small configurations: pictures with two rows in block 1, and with four. Their channels do not fill a tile of the
kernels, and block 1 of "tall" has 8 bins, fewer than a vector of 16.
"""


def random_weights(config: Config, seed: int = 0) -> dict[str, Array]:
    """Return random weights of a generator, by name: weights from N(0, 1), as at the start of training.

    The biases are from N(0, 0.09): their standard deviation is 0.3.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    return {
        name: (draw.standard_normal(shape) * (0.3 if name.endswith("bias") else 1)).astype(np.float32)
        for name, shape in shapes(config).items()
    }


def gansynth_file(config: Config = SMALL["wide"], seed: int = 0) -> str:
    """Return the path of a file of random weights, which is written once for all tests on this machine."""
    return shared_file(WEIGHTS.content(config, random_weights(config, seed)))


def pictures(config: Config, latent: Array, pitch: Array) -> Array:
    """Return the pictures of notes, [notes * rows, 2, bins], computed by the network in torch, in float64.

    A picture has two channels: log-magnitudes, and instantaneous frequencies as angles. latent: [notes, latent],
    float64; pitch: [notes], integers, 0 for the lowest pitch. The weights are `random_weights(config)`.
    """
    network = Generator(config).double()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in random_weights(config).items()})
    with torch.no_grad():
        found = network(torch.from_numpy(latent), torch.from_numpy(pitch)).numpy()
    rows: Array = found.swapaxes(1, 2).reshape(-1, 2, config.bins)
    return rows


def notes(config: Config, count: int, seed: int = 0) -> dict[str, Any]:
    """Return the inputs of a network for `count` notes: for "latent" and "pitch", the pair (stream, random items).

    The items are [count, latent] and [count], integers from 0 for the lowest pitch.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    rate = Fraction(config.rate, config.hop * config.rows)
    return {
        "latent": (Frames(rate, "latent", config.latent), draw.standard_normal((count, config.latent))),
        "pitch": (Symbols(rate, "pitch", config.pitches), draw.integers(config.pitches, size=count)),
    }


def overrides(config: Config = SMALL["wide"]) -> list[str]:
    """Return the overrides that make the pipeline `gansynth_notes` use a small network.

    config: the configuration of this network.
    """
    return [f"weights={gansynth_file(config)}"]
