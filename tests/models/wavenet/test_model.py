"""WaveNet passes every check of models, with a mixture of logistics and with mu-law levels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from dspgraph import Array
from dspgraph.testing import MODEL_CHECKS, ModelExample
from dspgraph_nodes._kernels.neural.quantisation import dequantised
from dspgraph_nodes._kernels.neural.wavenet_layout import WaveNetForm
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, synthesise_wavenet
from dspgraph_nodes.models.shared.layers import exact, rounded_inputs
from dspgraph_nodes.models.wavenet.config import Config
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.packing import packed
from dspgraph_nodes.models.wavenet.training import Settings, train
from dspgraph_nodes.models.wavenet.weights import WEIGHTS
from helpers.speech import speech
from helpers.wavenets import LEVELS, MIXTURE, TRANSPOSED, random_arrays

pytestmark = pytest.mark.training

Features = Mapping[str, Array]


def write(config: Config, path: Path, seed: int) -> None:
    WEIGHTS.write(path, config, random_arrays(config, seed))


def drawn_features(config: Config, frames: int, seed: int) -> Features:
    return {"mel": np.random.Generator(np.random.Philox(key=seed)).standard_normal((frames, config.bands))}


def seen(samples: Array, form: WaveNetForm) -> Array:
    """Return samples as the network reads them: unchanged for a mixture, their levels for a softmax."""
    return np.abs(samples[:, None] - form.centres).argmin(axis=1) if len(form.centres) else samples


def generate(
    path: Path, signals: Sequence[Features], seeds: Sequence[int], cut: int | None, tap: bool, eight_bits: bool = False
) -> list[tuple[Array, Array | None]]:
    network = packed(*WEIGHTS.read(path), eight_bits)
    states = [WaveNetState(network, np.random.Generator(np.random.Philox(key=seed))) for seed in seeds]
    longest = max(len(one["mel"]) for one in signals)
    pieces: list[list[tuple[Array, Array]]] = [[] for _ in signals]
    blocks = [slice(begin, begin + (cut or longest)) for begin in range(0, longest, cut or longest)]
    for block in [*blocks, slice(longest, None)]:
        end = block.stop is None
        segments = [state.push(network, one["mel"][block], end) for state, one in zip(states, signals, strict=True)]
        for piece, found in zip(pieces, synthesise_wavenet(network, segments), strict=True):
            piece.append(found)
    joined = [[np.concatenate(parts) for parts in zip(*piece, strict=True)] for piece in pieces]
    return [(seen(samples, network.form), parameters if tap else None) for samples, parameters in joined]


def forced(path: Path, features: Features, samples: Array, lanes: int, eight_bits: bool = False) -> Array:
    network = packed(*WEIGHTS.read(path), eight_bits)
    segments = []
    for _ in range(lanes):
        state = WaveNetState(network, np.random.default_rng(0))
        segment = state.push(network, features["mel"], last=True)
        segments.append(segment._replace(forced=samples.astype(float)))
    return synthesise_wavenet(network, segments, many=2)[0][1]


def forward(path: Path, features: Features, samples: Array, eight_bits: bool = False) -> Array:
    """Return the outputs [n, width] of the network in torch, teacher-forced.

    path: the file of weights; features: "mel", [frames, bands], whose ends are repeated as context; samples: [n], n =
    frames * hop, the samples, or the levels for a softmax, that the network reads one sample later; eight_bits: whether
    its matrices and the inputs of their products are rounded to eight bits.
    """
    config, arrays = WEIGHTS.read(path)
    rounded = WEIGHTS.in_eight_bits(arrays) if eight_bits else {}
    arrays |= {name: dequantised(one) for name, one in rounded.items()}
    model, read = WaveNet(config).eval(), rounded_inputs if eight_bits else exact
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    wide = np.pad(features["mel"], ((config.context,) * 2, (0, 0)), mode="edge")
    given = np.append(config.levels // 2 if config.kind == "categorical" else 0.0, samples[:-1])
    previous = torch.from_numpy(given)
    with torch.no_grad():
        c = model.condition(torch.from_numpy(wide).float()[None])
        kind = torch.int64 if config.kind == "categorical" else torch.float32
        found: Array = model(c, previous.to(kind)[None], None, read)[0].numpy()
    return found


def below_and_up_to(config: Config, parameters: Array, samples: Array) -> tuple[Array, Array]:
    """Return the probability of values below each sample, [n], and of values up to it, [n].

    For a mixture, whose values are continuous, both are the same between -1 and 1; draws from it are limited to that
    range. parameters: [n, width], those of the distribution of each sample; samples: as `seen` returns them.
    """
    wide = parameters.astype(np.float64)
    if config.kind == "categorical":
        ends = np.cumsum(softmax(wide, axis=1), axis=1)
        up_to = np.take_along_axis(ends, samples[:, None], 1)[:, 0]
        return up_to - np.take_along_axis(softmax(wide, axis=1), samples[:, None], 1)[:, 0], up_to
    logits, means, log_scales = np.split(wide, 3, axis=1)
    if config.draw_floor is not None:
        log_scales = np.maximum(log_scales, config.draw_floor)
    f = (softmax(logits, axis=1) * expit((samples[:, None] - means) * np.exp(-log_scales))).sum(axis=1)
    return np.where(samples <= -1, 0, f), np.where(samples >= 1, 1, f)


def bands(samples: Array) -> dict[str, Array]:
    frames = -(-len(samples) // 256)
    rows = np.pad(samples, (0, 256 * frames - len(samples))).reshape(frames, 256)[:, :240].reshape(frames, 80, 3)
    return {"mel": np.log(1e-3 + np.abs(rows).sum(axis=2))}


def trained(kind: Any, out: Path, steps: int, resume: bool) -> Path:
    settings = Settings(
        kind=kind, layers=4, stacks=2, residual=8, gate=16, skip=8, components=2, batch=2, frames=3, steps=steps,
        validate_every=1000, learning_rate=1e-2, ema=0.9, device="cpu", threads=1,
    )  # fmt: skip
    return train({"a": speech()[16000:24000]}, bands, out, settings, resume)


def example(config: Config, unseen: set[str]) -> ModelExample:
    return ModelExample(
        "wavenet",
        write=partial(write, config),
        read=lambda path: WEIGHTS.read(path)[1],
        features=partial(drawn_features, config),
        forward=forward,
        generate=generate,
        cumulative=partial(below_and_up_to, config),
        train=partial(trained, config.kind),
        forced=forced,
        unseen=frozenset({"rate", *unseen}),
        draws=4000,
        steps=20,
        fall=0.3,
    )


EXAMPLES = {
    "mixture": example(MIXTURE, {"levels"}),
    "categorical": example(LEVELS, {"components"}),
    "transposed": example(TRANSPOSED, {"levels", "context"}),
}


def in_eight_bits(kind: str) -> ModelExample:
    return replace(
        EXAMPLES[kind],
        forward=partial(forward, eight_bits=True),
        generate=partial(generate, eight_bits=True),
        forced=partial(forced, eight_bits=True),
        # A number near the edge between two steps may be rounded otherwise in torch. Measured: 0.0056 at the most. The
        # next test is stricter.
        tolerance=0.01,
    )


@pytest.mark.parametrize("kind", EXAMPLES)
def test_in_eight_bits_nearly_all_rows_are_those_of_torch(kind: str, tmp_path: Path) -> None:
    """The outputs of kernel and torch agree to 1e-5 in over 90 % of the rows.

    In the others, a number near the edge between two steps is rounded otherwise. The median difference from outputs
    without rounding is above 1e-4.
    """
    one = in_eight_bits(kind)
    path, features = one.weights(tmp_path), one.features(12, 0)
    samples = one.one(path, one.features(12, 1), 1)[0]
    error = np.abs(forced(path, features, samples, 1, True) - one.forward(path, features, samples)).max(axis=1)
    assert np.mean(error < 1e-5) > 0.9  # measured: 0.96 to 0.99
    assert np.median(np.abs(forward(path, features, samples) - one.forward(path, features, samples))) > 1e-4


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "mixture" else [pytest.mark.slow]) for kind in EXAMPLES]
)
@pytest.mark.parametrize("name", MODEL_CHECKS)
def test_wavenet_passes(name: str, kind: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](EXAMPLES[kind], tmp_path)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "mixture" else [pytest.mark.slow]) for kind in EXAMPLES]
)
@pytest.mark.parametrize("name", [check for check in MODEL_CHECKS if check not in ("resume_exact", "loss_falls")])
def test_wavenet_in_eight_bits_passes(name: str, kind: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](in_eight_bits(kind), tmp_path)
