"""The pipeline `wavenet_phones`: its statistics of the mixtures fit the samples that were drawn from them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from scipy.special import expit, softmax

from dspgraph import Array, load
from dspgraph.cli.main import main
from helpers.speech import speech
from helpers.wavenets import tiny, wavenet_file

NETWORK = {"bands": 80, "scales": (16, 16), "rate": 16000, "gain": 3.0, "preemphasis": 0.6}
"""The sizes of a network for the features of the pipeline, whose samples have a gain and pre-emphasis."""


def choices() -> list[str]:
    return [f"weights={wavenet_file(tiny(**NETWORK))}", "gain=3", "coef=0.6", "points=8"]


@pytest.fixture(scope="module")
def outputs() -> dict[str, Array]:
    return load("wavenet_phones", choices())(speech=speech()[8000:24000])


def test_looking_inside_changes_no_sample(outputs: dict[str, Array]) -> None:
    plain = load("wavenet", choices()[:1])(speech=speech()[8000:24000])
    np.testing.assert_array_equal(outputs["speech"], plain["speech"])


def test_every_sample_was_drawn_from_the_row_beside_it(outputs: dict[str, Array]) -> None:
    """The distribution function of row t at sample t is uniformly distributed: Kolmogorov-Smirnov test, p > 0.001.

    The error of the predicted mean is not correlated with this mean: the correlation times the root of the number of
    samples is below 4 standard deviations. With the row of the next sample it is above 10.
    """
    speech, (logits, means, log_scales) = outputs["speech"], np.split(outputs["distribution"], 3, axis=1)
    seen = 3 * (speech - 0.6 * np.concatenate([[0], speech[:-1]]))
    weights = softmax(logits, axis=1)
    u = np.sort((weights * expit((seen[:, None] - means) / np.exp(log_scales))).sum(axis=1))
    steps = (np.arange(len(u)) + 0.5) / len(u)
    assert np.abs(u - steps).max() * np.sqrt(len(u)) < 1.95
    mean = (weights * means).sum(axis=1)

    def correlation(shift: int) -> float:
        return float(abs(np.corrcoef(np.roll(seen, shift) - mean, mean)[0, 1])) * float(np.sqrt(len(seen)))

    assert correlation(0) < 4
    assert correlation(1) > 10


def test_the_histogram_of_drawn_components_is_the_exact_one(outputs: dict[str, Array]) -> None:
    """The histograms of drawn log-scales and of all log-scales by weight differ by less than 0.05.

    The measure is the total variation distance, in bins of 0.1 nats. The output `expected` of a sample is the mean of
    its log-scales by weight; its mean over all samples is nearly that of the drawn log-scales.
    """
    logits, _, log_scales = np.split(outputs["distribution"], 3, axis=1)
    weights = softmax(logits, axis=1)
    edges = np.arange(-9, 3, 0.1)
    exact = np.histogram(log_scales, edges, weights=weights)[0] / len(weights)
    found = np.histogram(outputs["drawn"], edges)[0] / len(weights)
    assert abs(exact.sum() - 1) < 1e-9
    assert 0.5 * np.abs(found - exact).sum() < 0.05
    np.testing.assert_allclose(outputs["expected"][:, 0], (weights * log_scales).sum(axis=1), atol=1e-12)
    assert abs(outputs["drawn"].mean() - outputs["expected"].mean()) < 0.05


@pytest.mark.thorough
def test_render_and_plot_make_a_phone_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", speech()[8000:16000], 16000)
    Path("a.lab").write_text("0 1250000 sil\n1250000 3000000 aa\n3000000 5000000 s\n")
    options = [word for choice in choices() for word in ("-s", choice)]
    rendered = CliRunner().invoke(main, ["render", "wavenet_phones", "a.wav", "-o", "out", *options])
    assert rendered.exit_code == 0, rendered.output
    plotted = CliRunner().invoke(main, ["plot", "out", "--phones", "a.lab", "-o", "study.png"])
    assert plotted.exit_code == 0, plotted.output
    with open("study.csv", newline="") as file:
        samples = {row["phone"]: int(row["samples"]) for row in csv.DictReader(file)}
    assert samples == {"aa": 2800, "s": 3200, "sil": 2000}
    by_name = CliRunner().invoke(
        main, ["plot", "out/a.npz", "--phones", "a.lab", "--stream", "deviation", "-o", "d.png"]
    )
    assert by_name.exit_code == 0, by_name.output
