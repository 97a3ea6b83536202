"""Rainbowgrams: spectrograms whose brightness shows the magnitude, and whose hue shows how fast the phase advances."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dspgraph.errors import RequestError
from dspgraph.graph import Graph
from dspgraph.pipeline.pipeline import load
from dspgraph.pipeline.shipped import RAINBOWGRAM
from dspgraph.plotting.canvas import label, new_figure, row_edges
from dspgraph.plotting.spectrogram import read_audible
from dspgraph.streams import Array, Audio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANGE = 70.0
"""The range of a rainbowgram in dB, from its brightest point down to black."""


def file_rainbowgram(file: Path, swaps: Mapping[str, str]) -> Figure:
    """Draw the rainbowgram of an audio file, computed by the pipeline `rainbowgram`. swaps: slot -> variant.

    Raises FileError if the file cannot be read, or if all of its samples are 0, and UnknownName for a slot or variant
    that the pipeline does not have.
    """
    graph = load(RAINBOWGRAM, swap=swaps)
    ((name, stream),) = graph.inputs.items()
    assert isinstance(stream, Audio)
    rows = graph(**{name: read_audible(file, stream)})
    magnitude = rows["magnitude"]
    seconds = float(len(magnitude) / graph.outputs["magnitude"].rate)
    return rainbowgram(magnitude, rows["advance"], column_frequencies(graph, "magnitude"), seconds, file.name)


def column_frequencies(graph: Graph, output: str) -> Array:
    """Return the frequency in Hz of each column of an output of a graph, as `known_frequencies` does.

    Raises RequestError if no node knows them.
    """
    frequencies = known_frequencies(graph, output)
    if frequencies is None:
        raise RequestError(
            f"no node before the output '{output}' has frequencies for its columns: give one the method `frequencies`"
        )
    return frequencies


def known_frequencies(graph: Graph, output: str) -> Array | None:
    """Return the frequency in Hz of each column of an output of a graph, or None if no node knows them.

    output: the name of the output. The node that gives the output is asked first, by `Node.frequencies`. If it returns
    None, the nodes before it are asked, the nearest first. The stream of an earlier node can have another number of
    columns than the output; the result then has that number of elements.
    """
    names = [graph.origins[output].rpartition(".")[0]]
    for name in names:  # the loop appends to the list: the nearest nodes come first
        if name in graph.nodes:
            frequencies = graph.nodes[name].frequencies(*graph.bindings[name].takes)
            if frequencies is not None:
                return frequencies
            names += [origin.rpartition(".")[0] for _, origin in graph.sources(name)]
    return None


def rainbowgram(magnitude: Array, advance: Array, frequencies: Array, seconds: float, title: str) -> Figure:
    """Draw a rainbowgram of `seconds` seconds.

    magnitude: [n, bins], natural logarithms. advance: [n, bins], the advance of the phase from row to row, divided by
    pi, from -1 to 1. frequencies: [bins], the centres of the bins in Hz. If the first centre is above 0 Hz, the centres
    must be geometrically spaced, and the axis has a mark at every octave. Otherwise they must be equally spaced.
    """
    figure = new_figure(9, 4.8)
    axis = figure.subplots()
    octaves = frequencies[0] > 0
    low, high = (0.0, float(len(frequencies))) if octaves else row_edges(frequencies)
    axis.imshow(rainbow(magnitude, advance), origin="lower", aspect="auto", extent=(0, seconds, low, high))
    if octaves:
        periods = np.arange(0, np.log2(frequencies[-1] / frequencies[0]) + 1e-9)
        places = np.interp(periods, np.log2(frequencies / frequencies[0]), np.arange(len(frequencies)) + 0.5)
        axis.set_yticks(places, [f"{frequencies[0] * 2**octave:.4g}" for octave in periods])
    label(axis, title)
    return figure


def rainbow(magnitude: Array, advance: Array) -> Array:
    """Return the colours [bins, n, 3] of a rainbowgram: red, green and blue from 0 to 1.

    magnitude, advance: as in `rainbowgram`. The hue goes from violet at the advance -1 to red at 1. The brightness is 1
    at the largest magnitude and falls linearly in dB to 0 at 70 dB below. Source: the NSynth notebook of J. Engel et
    al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017.
    """
    from matplotlib import colormaps

    decibels = 20 / np.log(10) * (magnitude - magnitude.max())
    brightness = np.clip(decibels / RANGE + 1, 0, 1)
    hue = colormaps["rainbow"]((advance + 1) / 2)[..., :3]
    colours: Array = (hue * brightness[..., None]).swapaxes(0, 1)
    return colours
