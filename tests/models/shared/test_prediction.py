"""Predicted distributions of WaveNet and WaveRNN: they are those from which samples are drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax

from dspgraph import Array, Frames, Graph, Node, load
from dspgraph.cli.main import main
from dspgraph.training.contract import prediction
from dspgraph_nodes.models.shared.prediction import mixture_level_of, mixture_levels
from dspgraph_nodes.neural.wavenet import Wavenet
from dspgraph_nodes.neural.wavernn import Wavernn
from helpers.speech import speech
from helpers.wavenets import tiny, wavenet_file
from helpers.wavernn import SMALL, wavernn_file

MEL: dict[str, Any] = {"rate": 16000, "factors": (16, 16), "widths": (33, 33), "features": 80}
NETWORKS: dict[str, dict[str, Callable[[], str]]] = {
    "wavenet": {
        "mixture": lambda: wavenet_file(tiny(bands=80, scales=(16, 16), rate=16000)),
        "categorical": lambda: wavenet_file(tiny(bands=80, scales=(16, 16), rate=16000, kind="categorical")),
    },
    "wavernn": {
        "categorical": lambda: wavernn_file(SMALL["categorical"].replace(**MEL)),
        "mixture": lambda: wavernn_file(SMALL["mixture"].replace(**MEL)),
        "coarse_fine": lambda: wavernn_file(SMALL["two biases"].replace(**MEL)),
    },
}
EVERY = [(model, kind) for model, kinds in NETWORKS.items() for kind in kinds]


def drawn(node: Node, rows: Array) -> tuple[Array, Array]:
    """Return the samples [n] that a node draws for mel bands, and the distributions from which they were drawn.

    The distributions are the rows [n, width] of the port `distribution`. rows: [frames, 80], 62.5 frames per second.
    """
    stream = Frames("125/2", "log_mel", 80)
    graph = Graph({"v": node}, {"v.features": "mel"}, {"mel": stream}, {"y": "v.y", "rows": "v.distribution"})
    found = graph(mel=rows)
    return found["y"], found["rows"]


@pytest.mark.parametrize(("model", "kind"), EVERY)
def test_on_speech_that_was_drawn_it_is_the_distribution_of_the_draws(model: str, kind: str) -> None:
    """Teacher-forced with samples that it drew itself, the network gives the same rows as when it drew them.

    A row of a mixture is compared as the probabilities of 256 levels; of the kind coarse_fine, only the coarse half.
    The level of each drawn sample has a probability above 0, and there are more than 10 different levels.
    """
    weights = NETWORKS[model][kind]()
    mel = load("mel_features")(speech=speech()[16000:17024])["mel"]
    node = Wavenet(weights=weights) if model == "wavenet" else Wavernn(weights=weights)
    y, expected = drawn(node, mel)
    rows, levels, rate = prediction(model).distribution(Path(weights), y, lambda samples: {"mel": mel})
    assert (len(rows), len(levels), rate) == (1024, 1024, 16000)
    assert_allclose(rows.sum(axis=1), 1, atol=1e-4)
    if kind == "mixture":
        expected = mixture_levels(torch.from_numpy(expected.astype(np.float32))).numpy()
    assert_allclose(rows, expected[:, : rows.shape[1]], atol=2e-4)
    assert np.take_along_axis(rows, levels[:, None], 1).min() > 0
    assert len(np.unique(levels)) > 10


@pytest.mark.parametrize(("model", "kind"), EVERY)
def test_there_is_a_row_for_every_sample_of_a_recording(model: str, kind: str) -> None:
    """The recording has a click at sample 700 of 1000: there the level differs from silence, and nowhere before."""
    x = np.zeros(1000)
    x[700] = 0.9
    features = load("mel_features")
    rows, levels, _ = prediction(model).distribution(Path(NETWORKS[model][kind]()), x, lambda y: features(speech=y))
    assert (len(rows), len(levels)) == (1000, 1000)
    assert np.flatnonzero(levels != levels[0])[0] == 700


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("wavenet", lambda: wavenet_file(tiny(bands=80, scales=(16, 8), rate=16000))),
        ("wavenet", lambda: wavenet_file(tiny(bands=40, scales=(16, 16), rate=16000))),
        ("wavernn", lambda: wavernn_file(SMALL["categorical"].replace(**{**MEL, "rate": 22050}))),
        ("wavernn", lambda: wavernn_file(SMALL["categorical"].replace(**{**MEL, "features": 40}))),
    ],
)
def test_weights_for_other_features_are_refused(model: str, file: Any) -> None:
    with pytest.raises(ValueError, match="holds a network with .*; the features of mel_features have "):
        prediction(model).distribution(Path(file()), speech()[:1000], lambda y: load("mel_features")(speech=y))


def test_the_levels_of_a_mixture_have_the_probabilities_of_their_intervals() -> None:
    draw = np.random.default_rng(0)
    parameters = np.concatenate(
        (draw.normal(0, 1, (5, 3)), draw.uniform(-1, 1, (5, 3)), draw.uniform(-6, 0, (5, 3))), 1
    )
    found = mixture_levels(torch.from_numpy(parameters)).numpy()
    logits, means, log_scales = (each[:, None] for each in np.split(parameters, 3, 1))
    edges = ((np.arange(257) - 0.5) / 255 * 2 - 1)[:, None]
    edges[0], edges[-1] = -np.inf, np.inf
    below = (softmax(logits, -1) * expit((edges - means) / np.exp(log_scales))).sum(-1)
    assert_allclose(found, np.diff(below, axis=1), atol=1e-6)  # the centres are float32
    centres = torch.linspace(-1, 1, 256)
    assert_array_equal(mixture_level_of(centres), np.arange(256))
    assert_array_equal(mixture_level_of(torch.tensor([-2.0, -1.0, 0.9999, 2.0])), [0, 0, 255, 255])


def test_plot_draws_it(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", speech()[16000:18000], 16000)
    for model in NETWORKS:
        weights = NETWORKS[model]["mixture"]()
        command = ["plot", str(tmp_path / "clip.wav"), "--distribution", weights, "-o", str(tmp_path / f"{model}.png")]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        assert (tmp_path / f"{model}.png").stat().st_size > 10_000
