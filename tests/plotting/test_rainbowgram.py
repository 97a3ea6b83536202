"""Rainbowgrams: the colours, and the places of the rows of a picture."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib import colormaps
from numpy.testing import assert_allclose

from dspgraph import Audio, Graph, RequestError, load
from dspgraph.plotting.rainbowgram import column_frequencies, file_rainbowgram, rainbow, rainbowgram
from helpers.toys import ToyScale


def test_a_mask_darkens_what_is_faint() -> None:
    """The brightness is 1 at the largest magnitude, 1/2 at 35 dB below it, and 0 from 70 dB below it on."""
    decibels = np.array([[0, -35, -69.999, -70, -90]])
    magnitude = decibels * np.log(10) / 20 + 3
    colours = rainbow(magnitude, np.full((1, 5), 0.2))
    assert colours.shape == (5, 1, 3)
    full = colormaps["rainbow"](0.6)[:3]
    assert_allclose(colours[:, 0], np.outer([1, 0.5, 0.001 / 70, 0, 0], full), atol=1e-12)
    assert colours[3].max() < 1e-12
    assert not colours[4].any()


def test_the_hue_runs_through_the_rainbow_from_minus_pi_to_pi() -> None:
    colours = rainbow(np.zeros((1, 9)), np.linspace(-1, 1, 9)[None])[:, 0]
    assert_allclose(colours, colormaps["rainbow"](np.linspace(0, 1, 9))[:, :3])


def test_the_octaves_of_a_rainbowgram_stand_at_their_rows() -> None:
    frequencies = 65.4 * 2 ** (np.arange(240) / 40)
    figure = rainbowgram(np.zeros((9, 240)), np.zeros((9, 240)), frequencies, 2.5, "a")
    (axis,) = figure.axes
    assert_allclose(axis.get_yticks()[:6], 40 * np.arange(6) + 0.5)  # in the middle of rows 0, 40, 80 ...
    assert [text.get_text() for text in axis.get_yticklabels()] == ["65.4", "130.8", "261.6", "523.2", "1046", "2093"]
    (image,) = axis.images
    assert tuple(image.get_extent()) == (0, 2.5, 0, 240)
    assert image.origin == "lower"


def test_equally_spaced_rows_are_centred_on_their_frequency() -> None:
    figure = rainbowgram(np.zeros((9, 513)), np.zeros((9, 513)), np.linspace(0, 8000, 513), 2.5, "a")
    assert_allclose(figure.axes[0].images[0].get_extent(), (0, 2.5, -7.8125, 8007.8125))


@pytest.mark.parametrize("variant", ["constant_q", "stft"])
def test_the_loudest_column_of_a_tone_has_its_frequency(variant: str) -> None:
    """The loudest column of a tone of 1 kHz has this frequency, to half a step between columns."""
    graph = load("rainbowgram", swap={"spectrum": variant})
    tone = np.sin(2 * np.pi * 1000 / 16000 * np.arange(16000))
    frequencies = column_frequencies(graph, "magnitude")
    magnitude = graph(speech=tone)["magnitude"]
    assert frequencies.shape == magnitude.shape[1:]
    loudest = int(magnitude[len(magnitude) // 2].argmax())
    step = frequencies[loudest + 1] - frequencies[loudest]
    assert abs(frequencies[loudest] - 1000) <= 0.51 * step


def test_a_graph_without_a_frequency_axis_is_refused() -> None:
    graph = Graph({"end": ToyScale()}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})
    with pytest.raises(RequestError, match="no node before the output 'y' has frequencies for its columns"):
        column_frequencies(graph, "y")


def test_the_rows_of_a_file_follow_the_variant(tmp_path: Path) -> None:
    """The frequency axis is that of the variant.

    That of the constant-Q transform has octaves from 65.4 Hz on; that of the STFT ends half a bin above 8 kHz.
    """
    soundfile.write(tmp_path / "a.wav", np.sin(2 * np.pi * 440 / 16000 * np.arange(8000)), 16000)
    octaves, linear = (
        file_rainbowgram(tmp_path / "a.wav", {"spectrum": variant}).axes[0] for variant in ("constant_q", "stft")
    )
    assert [text.get_text() for text in octaves.get_yticklabels()][:2] == ["65.41", "130.8"]
    assert_allclose(linear.images[0].get_extent()[2:], (-7.8125, 8007.8125))
