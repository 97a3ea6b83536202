"""The weights of FARGAN that come with dspgraph: their file, its card, and the speech that they make."""

import re
from hashlib import sha256

import numpy as np
import pytest

from dspgraph import Array, load
from dspgraph.registry import shipped_pipelines
from dspgraph.testing import check_graph
from dspgraph_nodes.models.fargan.config import PRESETS
from dspgraph_nodes.models.fargan.weights import WEIGHTS
from helpers.speech import speech

VOICE = shipped_pipelines()["fargan"].with_suffix(".safetensors")
CARD = VOICE.with_suffix(".md")


def distance(x: Array, y: Array) -> float:
    """Return the RMS difference of the log spectra of x and y, in dB, over frames of 160 samples side by side.

    Values more than 60 dB below the largest one of x count as 60 dB below it. x, y: [n], equally long.
    """
    frames = [np.abs(np.fft.rfft(one[: len(one) // 160 * 160].reshape(-1, 160) * np.hanning(160))) for one in (x, y)]
    floor = 1e-3 * frames[0].max()
    a, b = (20 * np.log10(np.maximum(one, floor)) for one in frames)
    return float(np.sqrt(((a - b) ** 2).mean()))


def test_the_file_is_small_and_holds_the_published_sizes() -> None:
    assert VOICE.stat().st_size < 1.7e6
    config, arrays = WEIGHTS.read(VOICE)
    assert config == PRESETS["fargan"]
    assert all((array == array.astype(np.float16)).all() for array in arrays.values())


def test_the_card_is_of_this_file() -> None:
    card = CARD.read_text(encoding="utf-8")
    (told,) = re.findall(r"\b[0-9a-f]{64}\b", card)
    assert told == sha256(VOICE.read_bytes()).hexdigest()
    for name in ("Allison Smith", "June Wallack", "Carlo Flora", "Maxim Topal", "Shmyrev", "CC-BY-SA"):
        assert name in card, name


def test_it_speaks_what_it_is_given_and_nothing_else() -> None:
    """The output is nearer to the speech than a whisper is, and as loud as the speech to within 3 dB.

    The whisper is white noise through the LPC filters of the same speech. The output is at least 3 dB nearer than
    itself moved by half a second. It has no outbursts: its peak is below 1.5 times that of the speech.
    """
    x = speech()
    y = load("fargan")(speech=x)["speech"]
    assert len(y) == len(x)
    whisper = load("bark_lpc_vocoder", (), {"excitation": "whisper"})(speech=x)["speech"]
    assert distance(x, y) < distance(x, whisper)
    assert distance(x, y) < distance(x, np.roll(y, 8000)) - 3
    assert abs(10 * np.log10((y**2).mean() / (x**2).mean())) < 3
    assert np.abs(y).max() < 1.5 * np.abs(x).max()


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_stays_quiet(level: float) -> None:
    x = level * np.random.default_rng(0).standard_normal(8000)
    y = load("fargan")(speech=x)["speech"]
    assert np.sqrt((y**2).mean()) < 1e-3


def test_no_cut_changes_it() -> None:
    check_graph(load("fargan"), {"speech": speech()[8000:10000]})


def test_it_is_a_variant_of_the_vocoder_on_the_same_features() -> None:
    x = speech()[8000:24000]
    plain = load("fargan")(speech=x)["speech"]
    swapped = load("bark_lpc_vocoder", (), {"synth": "fargan"})(speech=x)["speech"]
    limit = 1.9 * np.abs(x).max()
    assert np.abs(plain).max() < limit
    np.testing.assert_allclose(swapped, plain, rtol=0, atol=1e-9)
