"""WaveRNN passes every check of models, in each of its kinds."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from dspgraph import Array, load
from dspgraph.testing import MODEL_CHECKS, ModelExample
from dspgraph.testing.models import ModelFeatures
from dspgraph_nodes._kernels.neural.quantisation import dequantised
from dspgraph_nodes._kernels.neural.wavernn_synthesis import WaveRNNState, synthesise
from dspgraph_nodes.models.shared.layers import exact, rounded_inputs
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.network import Split, network
from dspgraph_nodes.models.wavernn.packing import packed
from dspgraph_nodes.models.wavernn.training import Settings, train
from dspgraph_nodes.models.wavernn.weights import WEIGHTS
from helpers.speech import speech
from helpers.wavernn import SMALL, random_weights, run

pytestmark = pytest.mark.training

PRESETS = {"categorical": "wavernn-small", "mixture": "wavernn-small-mixture", "one bias": "wavernn-small-split"}

UNSEEN = {
    "categorical": frozenset({"components", "biases"}),
    "mixture": frozenset({"bits", "biases"}),
    "one bias": frozenset({"components", "auxiliary", "compute", "blocks", "pad"}),
}
"""Name of a network in SMALL -> fields of the configuration on which its arrays do not depend.

`example` adds the fields on which the arrays of no network depend.
"""


def frames(config: Config, count: int, seed: int) -> ModelFeatures:
    draw = np.random.Generator(np.random.Philox(key=seed))
    return {"mel": 2 * draw.random((count, config.features)) - 1}


def write(config: Config, path: Path, seed: int) -> None:
    WEIGHTS.write(path, config, random_weights(config, seed))


def inputs(config: Config, drawn: Array) -> Array:
    """Return the inputs [n, d] of the network: for every sample the one before it, and its own coarse half, if any.

    They are numbers from -1 to 1; d is 1, or 3 for the kind coarse_fine. drawn: the draws of the network: samples [n]
    for the kind mixture, levels [n], or pairs (coarse half, fine half) [n, 2] of whole numbers.
    """
    values = (
        drawn.reshape(len(drawn), -1)
        if config.kind == "mixture"
        else drawn.reshape(len(drawn), -1) / ((config.levels - 1) / 2) - 1
    )
    start = np.array(config.first_halves if config.kind == "coarse_fine" else (0.0,))
    before = np.concatenate((start[None], values[:-1]))
    found: Array = np.concatenate((before, values[:, :1]), axis=1) if config.kind == "coarse_fine" else before
    return found


def forward(path: Path, given: ModelFeatures, drawn: Array, eight_bits: bool = False) -> Array:
    """Return the outputs [n, outputs] of the network in torch, teacher-forced.

    path: the file of weights; given: "mel", [frames, features], to which zeros are added as context; drawn: the draws
    that the network reads, as for `inputs`; eight_bits: whether its matrices and the inputs of their products are
    rounded to eight bits.
    """
    config, arrays = WEIGHTS.read(path)
    model, rounded = network(config).eval(), WEIGHTS.in_eight_bits(arrays) if eight_bits else {}
    arrays |= {name: dequantised(one) for name, one in rounded.items()}
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)
    read = rounded_inputs if eight_bits else exact
    known = torch.from_numpy(np.pad(given["mel"], ((config.context, config.context), (0, 0)))).float()[None]
    x = torch.from_numpy(inputs(config, drawn)).float()[None]
    with torch.no_grad():
        y, _ = model(known, x if isinstance(model, Split) else x[..., 0], None, read)
    found: Array = y[0].numpy()
    return found


def forced(path: Path, given: ModelFeatures, drawn: Array, lanes: int, eight_bits: bool = False) -> Array:
    config, arrays = WEIGHTS.read(path)
    net = packed(config, arrays, eight_bits)
    known = np.pad(given["mel"], ((config.context, config.context), (0, 0)))
    return run(net, known, np.full((len(drawn), net.draws), 0.5), inputs(config, drawn), lanes)[1]


def generate(
    path: Path, signals: Sequence[ModelFeatures], seeds: Sequence[int], cut: int | None, tap: bool,
    eight_bits: bool = False,
) -> list[tuple[Array, Array | None]]:  # fmt: skip
    config, arrays = WEIGHTS.read(path)
    net = packed(config, arrays, eight_bits)
    states = [WaveRNNState(net, np.random.Generator(np.random.Philox(key=seed))) for seed in seeds]
    longest = max(len(one["mel"]) for one in signals)
    pieces: list[list[tuple[Array, Array]]] = [[] for _ in signals]
    for begin in [*range(0, longest, cut or longest), longest]:
        end = begin + (cut or longest)
        segments = [
            state.push(net, one["mel"][begin:end], last=begin == longest)
            for state, one in zip(states, signals, strict=True)
        ]
        for piece, found in zip(pieces, synthesise(net, segments, 1.0, tap), strict=True):
            piece.append(found)
    both = [tuple(np.concatenate(part) for part in zip(*piece, strict=True)) for piece in pieces]
    return [
        ((drawn[:, :2] if net.drawn == 2 else drawn[:, 0]).astype(np.float64), rows if tap else None)
        for drawn, rows in both
    ]


def cumulative(config: Config, parameters: Array, drawn: Array) -> tuple[Array, Array]:
    """Return the probability of values below each sample, and of values up to it, [n] each, or [n, 2] for halves.

    For the kind mixture, whose values are continuous, both are the same between -1 and 1.

    parameters: [n, outputs], the outputs of the network; drawn: the samples, levels or halves that were drawn, as for
    `inputs`.
    """
    wide = parameters.astype(np.float64)
    if config.kind == "mixture":
        w, mean, scale = np.split(wide, 3, axis=1)
        p = np.exp(w) / np.exp(w).sum(axis=1, keepdims=True)
        ends = (p / (1 + np.exp(np.clip((mean - drawn[:, None]) / np.exp(scale), -50, 50)))).sum(axis=1)
        return np.where(drawn <= -1, 0.0, ends), np.where(drawn >= 1, 1.0, ends)
    halves = wide.reshape(len(wide), -1, config.levels)
    p = np.exp(halves - halves.max(axis=-1, keepdims=True))
    ends = np.cumsum(p / p.sum(axis=-1, keepdims=True), axis=-1)
    at = drawn.astype(int).reshape(len(wide), -1, 1)
    above = np.take_along_axis(ends, at, -1)[..., 0]
    below = np.where(at[..., 0] > 0, np.take_along_axis(ends, np.maximum(at - 1, 0), -1)[..., 0], 0.0)
    return (below, above) if config.kind == "coarse_fine" else (below[:, 0], above[:, 0])


def toy(preset: str, out: Path, steps: int, resume: bool) -> Path:
    settings = Settings(
        preset=preset, units=32, dense=16, batch=4, frames=2, augment=0, steps=steps, validate_every=steps,
        learning_rate=1e-2, device="cpu", threads=1,
    )  # fmt: skip
    features = load("mel_features")
    return train({"a": speech()[16000:22000]}, lambda x: features(speech=x), out, settings, resume)


def example(name: str) -> ModelExample:
    config = SMALL[name]
    if config.kind == "coarse_fine":
        config = config.replace(pad=0)  # the check takes a 0 in place of another number for a fault
    return ModelExample(
        model="wavernn",
        write=partial(write, config),
        read=lambda path: WEIGHTS.read(path)[1],
        features=partial(frames, config),
        forward=forward,
        generate=generate,
        cumulative=partial(cumulative, config),
        train=partial(toy, PRESETS[name]),
        forced=forced,
        unseen=UNSEEN[name] | {"rate", "input", "mulaw", "start"},
    )


def in_eight_bits(name: str) -> ModelExample:
    return replace(
        example(name),
        forward=partial(forward, eight_bits=True),
        generate=partial(generate, eight_bits=True),
        forced=partial(forced, eight_bits=True),
        # A number near the edge between two steps may be rounded otherwise in torch. Here only the mixture has such
        # numbers; its outputs have a standard deviation of 2. Measured: 0.032. The next test is stricter.
        tolerance=0.05 if name == "mixture" else 1e-4,
    )


@pytest.mark.parametrize("name", PRESETS)
def test_in_eight_bits_nearly_all_rows_are_those_of_torch(name: str, tmp_path: Path) -> None:
    """The outputs of kernel and torch agree to 1e-5 in over 80 % of the rows.

    In the others, a number near the edge between two steps is rounded otherwise. The median difference from outputs
    without rounding is above 1e-3.
    """
    one = in_eight_bits(name)
    path, features = one.weights(tmp_path), one.features(12, 0)
    drawn = one.one(path, one.features(12, 1), 1)[0]
    error = np.abs(forced(path, features, drawn, 1, True) - one.forward(path, features, drawn)).max(axis=1)
    assert np.mean(error < 1e-5) > 0.8  # measured: 0.87 for the mixture, 1 for the others
    assert np.median(np.abs(forward(path, features, drawn) - one.forward(path, features, drawn))) > 1e-3


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "one bias" else [pytest.mark.slow]) for kind in PRESETS]
)
@pytest.mark.parametrize("check", MODEL_CHECKS)
def test_wavernn_passes(check: str, kind: str, tmp_path: Path) -> None:
    MODEL_CHECKS[check](example(kind), tmp_path)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "one bias" else [pytest.mark.slow]) for kind in PRESETS]
)
@pytest.mark.parametrize("check", [check for check in MODEL_CHECKS if check not in ("resume_exact", "loss_falls")])
def test_wavernn_in_eight_bits_passes(check: str, kind: str, tmp_path: Path) -> None:
    MODEL_CHECKS[check](in_eight_bits(kind), tmp_path)
