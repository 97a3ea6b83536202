"""The decoder of the WaveNet autoencoder passes every check of models, and so does the training of both networks."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from dspgraph import Array
from dspgraph.testing import MODEL_CHECKS, ModelExample
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, synthesise_wavenet
from dspgraph_nodes._kernels.signal.mulaw import floor_samples
from dspgraph_nodes.models.wavenet_autoencoder.config import Config
from dspgraph_nodes.models.wavenet_autoencoder.packing import frames_read, packed_decoder
from dspgraph_nodes.models.wavenet_autoencoder.training import Settings, train
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS
from helpers.autoencoders import NORMALISED, PITCHED, TINY, logits_in_torch, random_arrays, settings_of
from helpers.speech import speech

pytestmark = pytest.mark.training

Features = Mapping[str, Array]


def write(config: Config, path: Path, seed: int) -> None:
    WEIGHTS.write(path, config, random_arrays(config, seed))


def drawn_frames(config: Config, count: int, seed: int) -> Features:
    z = np.random.Generator(np.random.Philox(key=seed)).standard_normal((count, config.latent))
    return {"z": frames_read(z, seed % 3, config)}


def levels(samples: Array) -> Array:
    found: Array = np.abs(samples[:, None] - floor_samples()).argmin(axis=1)
    return found


def generate(
    path: Path, signals: Sequence[Features], seeds: Sequence[int], cut: int | None, tap: bool
) -> list[tuple[Array, Array | None]]:
    network = packed_decoder(*WEIGHTS.read(path))
    states = [WaveNetState(network, np.random.Generator(np.random.Philox(key=seed))) for seed in seeds]
    longest = max(len(one["z"]) for one in signals)
    pieces: list[list[tuple[Array, Array]]] = [[] for _ in signals]
    for begin in range(0, longest, cut or longest):
        block = slice(begin, begin + (cut or longest))
        segments = [state.push(network, one["z"][block]) for state, one in zip(states, signals, strict=True)]
        for piece, found in zip(pieces, synthesise_wavenet(network, segments), strict=True):
            piece.append(found)
    joined = [[np.concatenate(parts) for parts in zip(*piece, strict=True)] for piece in pieces]
    return [(levels(samples), parameters if tap else None) for samples, parameters in joined]


def forced(path: Path, features: Features, samples: Array, lanes: int) -> Array:
    network = packed_decoder(*WEIGHTS.read(path))
    segments = []
    for _ in range(lanes):
        segment = WaveNetState(network, np.random.default_rng(0)).push(network, features["z"], last=True)
        segments.append(segment._replace(forced=samples.astype(float)))
    return synthesise_wavenet(network, segments, many=2)[0][1]


def forward(path: Path, features: Features, samples: Array) -> Array:
    return logits_in_torch(*WEIGHTS.read(path), features["z"], np.append(128, samples[:-1]))


def below_and_up_to(parameters: Array, samples: Array) -> tuple[Array, Array]:
    p = softmax(parameters.astype(np.float64), axis=1)
    up_to, own = (np.take_along_axis(one, samples[:, None], 1)[:, 0] for one in (np.cumsum(p, axis=1), p))
    return up_to - own, up_to


def trained(config: Config, out: Path, steps: int, resume: bool) -> Path:
    settings = Settings(
        **settings_of(config), information=1.0 if config.pitches else 0.0, batch=2, frames=10, steps=steps,
        validate_every=1000, learning_rate=1e-2, ema=0.9, device="cpu", threads=1,
    )  # fmt: skip
    recordings, labels = {"a": speech()[16000:20000]}, {"a": {"pitch": "1"}}
    return train(recordings, lambda x: {"samples": x}, out, settings, resume, labels=labels)


def example(config: Config) -> ModelExample:
    unseen = {"rate", "hop", "lowest", "least_dilation", *([] if config.pitches else ["pitches"])}
    return ModelExample(
        "wavenet_autoencoder", write=partial(write, config), read=lambda path: WEIGHTS.read(path)[1],
        features=partial(drawn_frames, config), forward=forward, generate=generate, cumulative=below_and_up_to,
        train=partial(trained, config), forced=forced, unseen=frozenset(unseen), draws=4000,
        fall=0.15 if config.pitches else 0.3,  # with noise in the encoding it falls by 0.215 in 20 batches
    )  # fmt: skip


EXAMPLES = {"plain": example(TINY), "pitched": example(PITCHED), "normalised": example(NORMALISED)}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "plain" else [pytest.mark.slow]) for kind in EXAMPLES]
)
@pytest.mark.parametrize("name", MODEL_CHECKS)
def test_the_wavenet_autoencoder_passes(name: str, kind: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](EXAMPLES[kind], tmp_path)
