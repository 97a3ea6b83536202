"""Figures of streams: one panel for each stream, one below the other, with a common axis of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dspgraph.errors import FileError, RequestError, suggest
from dspgraph.graph import Graph
from dspgraph.io.arrays import read_arrays
from dspgraph.plotting.canvas import label, new_figure, row_edges
from dspgraph.plotting.rainbowgram import known_frequencies
from dspgraph.plotting.spectrogram import draw_spectrogram, read_audible
from dspgraph.streams import Array, Audio, Stream, Symbols

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

RANGE_DB = 80.0
"""The range in dB that the colours of an image show, from the largest value down."""

MOST_LINES = 40
"""The largest number of columns of frames that are drawn as lines. Wider frames, and spectra, are drawn as an image."""

_TOP = 1500.0
"""The highest frequency in Hz of the spectrogram behind a pitch, unless 1.2 times the highest pitch is higher."""


@dataclass(frozen=True)
class Panel:
    """A stream to draw.

    array: the items of the stream. frequencies: the frequency of each column in Hz; None if columns have none.
    Frequencies are ignored if there are more or fewer of them than columns.
    """

    name: str
    stream: Stream
    array: Array
    frequencies: Array | None = None


def file_panels(file: Path, names: Sequence[str]) -> list[Panel]:
    """Return one panel for each stream of an .npz file that `render` wrote.

    names: the names of the streams to draw; if empty, all streams of the file. Raises FileError for a file that cannot
    be read or does not describe its streams, and RequestError for a stream that it does not have.
    """
    stored = read_arrays(file)
    for name in names:
        if name not in stored:
            raise RequestError(f"{file} has no stream '{name}'; {suggest(name, stored)}")
    return [Panel(name, *stored[name]) for name in names or stored]


def rendered_panels(graph: Graph, file: Path, names: Sequence[str]) -> tuple[list[Panel], Panel]:
    """Run a graph on an audio file. Return panels for streams of the graph, and the panel of the graph's input.

    names: names of outputs, names of nodes, or "node.port"; if empty, the outputs of the graph. The file is converted
    to the rate and channels of the input. Raises RequestError for a graph that has several inputs, or one that is not
    audio, UnknownName for a stream that does not exist, and FileError for a file that cannot be read or is silent.
    """
    found = graph.audio_input
    if found is None:
        raise RequestError("the pipeline has no audio input, so no recording can be drawn with it: give an .npz file")
    name, stream = found
    wanted = list(names) or list(graph.outputs)
    tapped = graph.tap(*(one for one in names if one not in graph.outputs))
    samples = read_audible(file, stream)
    rows = tapped(samples)
    panels = [Panel(one, tapped.outputs[one], rows[one], known_frequencies(tapped, one)) for one in wanted]
    return panels, Panel(name, stream, samples)


def draw_panels(panels: Sequence[Panel], title: str, speech: Panel | None = None) -> Figure:
    """Draw panels, one or more, one below the other.

    Audio is drawn as lines, and so is pitch: column 0 of frames of the kind "f0", in Hz. A line of pitch has gaps where
    the pitch is 0, and lies over the spectrogram of `speech`, a panel of audio, if that is given. Frames of two or more
    columns are drawn as an image if they are spectra (complex, or with a frequency for each column) or have more than
    MOST_LINES columns: in dB, or unchanged if some values are negative. Other frames are drawn as lines, and symbols as
    steps. Raises FileError if a stream has no items.
    """
    for panel in panels:
        if not len(panel.array):
            raise FileError(f"the stream '{panel.name}' has no items: there is nothing to draw")
    figure = new_figure(9, 0.6 + 2.4 * len(panels))
    rows = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(rows, panels, strict=True):
        _draw_panel(figure, axis, panel, speech)
    rows[0].set_title(title.encode(errors="replace").decode(), parse_math=False)
    rows[-1].set_xlabel("s")
    return figure


def _draw_panel(figure: Figure, axis: Axes, panel: Panel, speech: Panel | None) -> None:
    stream, array = panel.stream, panel.array
    kind, times = getattr(stream, "kind", ""), stream.times(len(array))
    axis.margins(x=0)
    label(axis, "", "", f"{panel.name} [Hz]" if kind == "f0" else panel.name)
    if kind == "f0":
        _draw_pitch(axis, times, array[:, 0], speech)
    elif isinstance(stream, Symbols):
        axis.step(times, array, where="post", linewidth=0.8)
    elif _is_image(panel):
        figure.colorbar(_draw_rows(axis, panel, times), ax=axis)
    else:
        axis.plot(times, array, linewidth=0.7)


def _is_image(panel: Panel) -> bool:
    """Return whether a panel is drawn as an image: its rows are spectra, or have more than MOST_LINES columns.

    Audio, and frames of one column, are never drawn as an image. The stream of the panel must not be symbols.
    """
    width = panel.array.shape[-1]
    if isinstance(panel.stream, Audio) or width == 1:
        return False
    return panel.array.dtype.kind == "c" or width > MOST_LINES or _has_frequencies(panel)


def _has_frequencies(panel: Panel) -> bool:
    """Return whether `panel.frequencies` has a frequency for each column of the array.

    The frequencies may come from an earlier node of the graph whose stream has another number of columns.
    """
    return panel.frequencies is not None and len(panel.frequencies) == panel.array.shape[1]


def _draw_pitch(axis: Axes, times: Array, pitch: Array, speech: Panel | None) -> None:
    if speech is not None:
        samples = speech.array if speech.array.ndim == 1 else speech.array.mean(axis=1)
        image = draw_spectrogram(axis, samples, float(speech.stream.rate))
        loudest = float(np.max(image.get_array()))  # type: ignore[arg-type]  # a drawn image has an array
        image.set_clim(loudest - RANGE_DB, loudest)
    axis.plot(times, np.where(pitch > 0, pitch, np.nan), color="cyan" if speech else None, linewidth=1.6)
    axis.set_ylim(0, max(_TOP if speech else 0.0, 1.2 * float(pitch.max()), 1.0))


def _draw_rows(axis: Axes, panel: Panel, times: Array) -> AxesImage:
    values = _decibels(panel.array, getattr(panel.stream, "kind", ""))
    half = float(1 / panel.stream.rate) / 2
    frequencies, (low, high) = panel.frequencies, (0.0, float(values.shape[1]))
    if frequencies is not None and _has_frequencies(panel):
        axis.set_ylabel(f"{panel.name} [Hz]")
        if np.allclose(np.diff(frequencies, 2), 0, atol=1e-6 * frequencies[-1]):
            low, high = row_edges(frequencies)
        else:
            places = np.linspace(0, len(frequencies) - 1, min(6, len(frequencies))).astype(int)
            axis.set_yticks(places + 0.5, [f"{frequencies[place]:.0f}" for place in places])
    extent = (times[0] - half, times[-1] + half, low, high)
    return axis.imshow(values.T, cmap="magma", origin="lower", aspect="auto", extent=extent, interpolation="nearest")


def _decibels(array: Array, kind: str) -> Array:
    """Return rows in dB; values more than 80 dB below the largest are raised to this limit.

    An array with negative numbers is returned unchanged. array: [n, width]. kind: the kind of the frames. Complex rows,
    and rows of the kind "magnitude", are taken for amplitudes; all other rows are taken for powers.
    """
    if array.dtype.kind != "c" and array.min() < 0:
        return array
    factor = 20 if array.dtype.kind == "c" or kind == "magnitude" else 10
    levels = factor * np.log10(np.maximum(np.abs(array), 1e-20))
    shown: Array = np.maximum(levels, levels.max() - RANGE_DB)
    return shown
