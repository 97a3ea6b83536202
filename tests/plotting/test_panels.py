"""Panels: each stream is drawn at its times and in its units."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose

from dspgraph import Audio, FileError, Frames, Graph, RequestError, Symbols, UnknownName, load
from dspgraph.io.arrays import ArraySink
from dspgraph.plotting.panels import Panel, draw_panels, file_panels, rendered_panels
from helpers.speech import speech
from helpers.toys import ToyEnergy


def test_a_pitch_is_drawn_over_the_spectrogram_with_gaps_where_there_is_none() -> None:
    pitch = Panel("f0", Frames(100, "f0", 1, Fraction(1, 50)), np.array([[100.0], [0], [120], [130]]))
    figure = draw_panels([pitch], "a$b", Panel("speech", Audio(16000), speech()[8000:16000]))
    axis = figure.axes[0]
    (line,) = axis.lines
    assert_allclose(np.asarray(line.get_xdata()), [0.02, 0.03, 0.04, 0.05])
    assert_allclose(np.asarray(line.get_ydata()), [100, np.nan, 120, 130])
    assert len(axis.images) == 1
    assert axis.get_ylim() == (0, 1500)
    assert (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) == ("a$b", "s", "f0 [Hz]")
    assert not draw_panels([pitch], "alone").axes[0].images


@pytest.mark.parametrize(
    ("kind", "rows", "drawn"),
    [
        ("power", [[1.0, 100], [0, 1e-3]], [[0, 20], [-60, -30]]),
        ("magnitude", [[1.0, 10], [1e-30, 0.1]], [[0, 20], [-60, -20]]),
        ("mel", [[1.0, 10], [0, 0.1]], [[0, 10], [-70, -10]]),
        ("mel", [[-1.0, 10], [0, 0.1]], [[-1, 10], [0, 0.1]]),  # logarithms already
        ("spectrum", [[1j, 10], [0, 0.1]], [[0, 20], [-60, -20]]),
    ],
)
def test_spectra_are_drawn_in_decibels_down_to_80_below_the_largest(
    kind: str, rows: list[list[complex]], drawn: list[list[float]]
) -> None:
    array = np.array(rows)
    stream = Frames(10, kind, 2, Fraction(1, 20), array.dtype)
    axis = draw_panels([Panel("rows", stream, array, np.array([0.0, 500]))], "").axes[0]
    (image,) = axis.images
    assert_allclose(np.asarray(image.get_array()), np.transpose(drawn))
    assert_allclose(image.get_extent(), (0, 0.2, -250, 750))  # rows of 0.1 s around their centres, bins of 500 Hz
    assert axis.get_ylabel() == "rows [Hz]"


def test_columns_that_are_not_equally_spaced_have_marks_at_their_frequencies() -> None:
    bands = np.geomspace(100, 6400, 7)
    axis = draw_panels([Panel("q", Frames(10, "constant_q", 7), np.ones((3, 7)), bands)], "").axes[0]
    assert [mark.get_text() for mark in axis.get_yticklabels()] == ["100", "200", "400", "800", "1600", "6400"]


def test_wide_rows_without_frequencies_are_an_image_and_narrow_ones_are_lines() -> None:
    wide, narrow = Frames(10, "wave", 41), Frames(10, "lpc", 17)
    figure = draw_panels([Panel("wide", wide, np.ones((3, 41))), Panel("narrow", narrow, np.ones((3, 17)))], "")
    assert [(len(axis.images), len(axis.lines)) for axis in figure.axes[:2]] == [(1, 0), (0, 17)]


def test_symbols_and_audio_are_drawn_at_their_times() -> None:
    codes = Panel("codes", Symbols(8, "mulaw", 256), np.array([3, 5]))
    stereo = Panel("x", Audio(4, 2), np.array([[1.0, 2], [3, 4]]))
    above, below = draw_panels([codes, stereo], "").axes
    assert_allclose(np.array(above.lines[0].get_xydata(), float), np.array([[0, 3], [0.125, 5]]))
    assert [np.asarray(line.get_ydata()).tolist() for line in below.lines] == [[1, 3], [2, 4]]
    with pytest.raises(FileError, match="the stream 'codes' has no items"):
        draw_panels([Panel("codes", codes.stream, np.zeros(0, int))], "")


def test_a_pipeline_gives_the_streams_of_its_stages_and_their_frequencies(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech()[8000:16000], 16000)
    graph = load("mel_features")
    panels, heard = rendered_panels(graph, tmp_path / "a.wav", [])
    assert [panel.name for panel in panels] == list(graph.outputs)
    (found,), heard = rendered_panels(graph, tmp_path / "a.wav", ["spectrum"])
    assert found.frequencies is not None
    assert len(found.frequencies) == found.array.shape[1]
    assert heard.array.tobytes() == soundfile.read(tmp_path / "a.wav", dtype=heard.array.dtype.name)[0].tobytes()
    with pytest.raises(UnknownName, match="did you mean 'spectrum'"):
        rendered_panels(graph, tmp_path / "a.wav", ["spectrun"])
    silent = Graph({"e": ToyEnergy()}, {"e.frames": "rows"}, {"rows": Frames(100, "wave", 4)}, {"y": "e.level"})
    with pytest.raises(RequestError, match="the pipeline has no audio input"):
        rendered_panels(silent, tmp_path / "a.wav", [])


def test_the_streams_of_a_file_are_chosen_by_name(tmp_path: Path) -> None:
    streams = {"f0": Frames(100, "f0", 1), "codes": Symbols(8, "mulaw", 256)}
    with ArraySink(tmp_path / "a.npz", streams) as sink:
        sink.write("f0", np.full((4, 1), 100.0))
        sink.write("codes", np.array([1, 2]))
    assert {panel.name: panel.stream for panel in file_panels(tmp_path / "a.npz", [])} == streams
    (one,) = file_panels(tmp_path / "a.npz", ["codes"])
    assert one.array.tolist() == [1, 2]
    with pytest.raises(RequestError, match="a.npz has no stream 'f1'; there are: codes, f0"):
        file_panels(tmp_path / "a.npz", ["f1"])
