"""Small FARGANs with random weights, features for them, and their samples computed by torch."""

import numpy as np
import torch
from torch import Tensor

from dspgraph import Array
from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY, frame_inputs, periods
from dspgraph_nodes.models.fargan.config import SUBFRAMES, Config
from dspgraph_nodes.models.fargan.network import FARGAN, places
from dspgraph_nodes.models.fargan.weights import WEIGHTS, shapes
from helpers.weight_files import shared_file

SMALL = Config(
    pitch_embedding=3, frame_units=16, frame_channels=32, condition=16, first=32, gru1=48, gru2=16, gru3=32, skip=16,
    hop=40, rate=4000,
)  # fmt: skip
"""A small network. Its GRUs have 3, 1 and 2 blocks of 16 units; its sub-frames have 10 samples, which is no multiple of
the length of a vector.
"""


def fargan_arrays(config: Config = SMALL, seed: int = 0) -> dict[str, Array]:
    """Return random weights of a FARGAN, by name: weights from N(0, 2 / inputs), biases of standard deviation 0.3."""
    draw = np.random.Generator(np.random.Philox(key=seed))
    found = {}
    for name, shape in shapes(config).items():
        scale = 0.3 if len(shape) == 1 else np.sqrt(2) / np.sqrt(np.prod(shape[1:]))
        found[name] = (scale * draw.standard_normal(shape)).astype(np.float32)
    return found


def fargan_file(config: Config = SMALL, seed: int = 0) -> str:
    """Return the path of a file of random weights, which is written once for all tests on this machine."""
    return shared_file(WEIGHTS.content(config, fargan_arrays(config, seed)))


def fargan_features(count: int, seed: int = 0, bands: int = 18) -> dict[str, Array]:
    """Return random features of `count` frames: "cepstrum" [count, bands], "pitch" and "correlation" [count, 1].

    Pitch and correlation have the ranges that they have in speech; the cepstrum is uniform from -1 to 1. bands: the
    number of coefficients of a cepstrum.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    return {
        "cepstrum": 2 * draw.random((count, bands)) - 1,
        "pitch": (draw.integers(66, 511, (count, 1)) - 200) / 100,
        "correlation": draw.random((count, 1)) - 0.5,
    }


def in_torch(network: FARGAN, cepstrum: Array, pitch: Array, correlation: Array, given: Array | None = None) -> Array:
    """Return the samples [n * hop] of a signal before de-emphasis, computed by the network in torch.

    It is called within `torch.no_grad()`; the samples have the dtype of the network's weights. Sample k belongs to the
    same time as sample k of the node's output. The first and the last frame are repeated beyond the ends of the signal.
    cepstrum: [n, bands]; pitch, correlation: [n, 1]; given: [n * hop], true samples that later sub-frames read as their
    past; None: they read the samples that the network makes.
    """
    size = network.config.subframe
    period = torch.from_numpy(np.pad(periods(pitch[:, 0]), 1, mode="edge"))
    dtype = network.first.weight.dtype
    inputs = torch.from_numpy(np.pad(frame_inputs(cepstrum, pitch[:, 0], correlation[:, 0]), ((1, 1), (0, 0)), "edge"))
    rows = of_subframes(network.condition(inputs[None].to(dtype), period[None])[0])
    around = of_subframes(period[1:-1].repeat_interleave(SUBFRAMES))
    states, made = network.start(torch.zeros(1, MEMORY, dtype=dtype)), []
    for k in range(len(rows)):
        samples, states = network.subframe(rows[k : k + 1], places(around[k : k + 1], size), states)
        made.append(samples)
        true = samples if given is None else torch.from_numpy(given[None, k * size : (k + 1) * size]).to(dtype)
        states = states._replace(memory=torch.cat((states.memory[:, size:], true), 1))
    found: Array = torch.cat(made, 1)[0].numpy()
    return found


def of_subframes(rows: Tensor) -> Tensor:
    """Return rows two sub-frames earlier: row k of the result is row k + 2 of `rows`, [sub-frames] or [sub-frames, n].

    The first two rows, which lie before the signal, are left out. The last row is added twice, so the number of rows
    stays the same.
    """
    return torch.cat((rows[2:], rows[-1:], rows[-1:]))
