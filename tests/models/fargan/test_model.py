"""FARGAN passes every check of models. It draws nothing: its outputs are the samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from dspgraph import Array
from dspgraph.testing import MODEL_CHECKS, ModelExample
from dspgraph_nodes._kernels.neural.fargan_layout import pack_fargan
from dspgraph_nodes._kernels.neural.fargan_synthesis import FarganState, synthesise
from dspgraph_nodes.models.fargan.network import FARGAN
from dspgraph_nodes.models.fargan.training import Settings, train
from dspgraph_nodes.models.fargan.weights import WEIGHTS
from dspgraph_nodes.models.shared.modules import load
from helpers.fargan import SMALL, fargan_arrays, fargan_features, in_torch
from helpers.speech import speech
from helpers.utterances import features as features_of_speech

pytestmark = pytest.mark.training

Features = Mapping[str, Array]
NAMES = ("cepstrum", "pitch", "correlation")


def generate(
    path: Path, signals: Sequence[Features], seeds: Sequence[int], cut: int | None, tap: bool
) -> list[tuple[Array, Array | None]]:
    network = pack_fargan(WEIGHTS.read(path)[1])
    states = [FarganState(network, np.float32) for _ in signals]
    longest = max(len(one["pitch"]) for one in signals)
    pieces: list[list[Array]] = [[] for _ in signals]
    for begin in range(0, longest, cut or longest):
        segments = [
            state.push(network, *(one[name][begin : begin + (cut or longest)] for name in NAMES))
            for state, one in zip(states, signals, strict=True)
        ]
        for piece, found in zip(pieces, synthesise(network.subframe, segments), strict=True):
            piece.append(found)
    for piece, found in zip(pieces, synthesise(network.subframe, [one.flush(network) for one in states]), strict=True):
        piece.append(found)
    samples = [np.concatenate(piece).reshape(-1) for piece in pieces]
    return [(one, one[:, None] if tap else None) for one in samples]


def forward(path: Path, given: Features, samples: Array) -> Array:
    with torch.no_grad():
        network: FARGAN = load(WEIGHTS, FARGAN, path)
        return in_torch(network, given["cepstrum"], given["pitch"], given["correlation"], samples)[:, None]


def forced(path: Path, given: Features, samples: Array, lanes: int) -> Array:
    network = pack_fargan(WEIGHTS.read(path)[1])
    rows, size = samples.reshape(-1, SMALL.subframe), SMALL.subframe
    states = [FarganState(network, np.float32) for _ in range(lanes)]
    first = [state.push(network, *(given[name] for name in NAMES)) for state in states]
    made: list[Array] = []
    for segments in (first, [state.flush(network) for state in states]):
        begin = sum(len(one) for one in made)
        count = len(segments[0].numbers)
        told = [one._replace(forced=rows[begin : begin + count]) for one in segments]
        made.append(synthesise(network.subframe, told)[-1])
    assert np.concatenate(made).shape == (len(rows), size)
    return np.concatenate(made).reshape(-1, 1)


def trained(out: Path, steps: int, resume: bool) -> Path:
    settings = Settings(
        preset="fargan-small", frame_units=16, frame_channels=16, condition=16, first=32, gru1=16, gru2=16, gru3=16,
        skip=16, batch=12, frames=8, augment=1, long_share=0.1, steps=steps, validate_every=1000, learning_rate=1e-2,
        warm_up=2, finish=0, ema=0.9, device="cpu", threads=1,
    )  # fmt: skip
    return train({"a": speech()[16000:24000]}, features_of_speech, out, settings, resume)


EXAMPLE = ModelExample(
    "fargan",
    write=lambda path, seed: WEIGHTS.write(path, SMALL, fargan_arrays(SMALL, seed)),
    read=lambda path: WEIGHTS.read(path)[1],
    features=fargan_features,
    forward=forward,
    generate=generate,
    cumulative=None,
    train=trained,
    forced=forced,
    deterministic=True,
    unseen=frozenset({"rate"}),
    tolerance=1e-5,
    draws=2000,
    steps=20,
    fall=0.1,  # measured 0.18
)


@pytest.mark.parametrize("name", MODEL_CHECKS)
def test_fargan_passes(name: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](EXAMPLE, tmp_path)
