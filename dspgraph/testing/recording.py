"""Check the laws on a graph whose input comes from a file, instead of arrays."""

from __future__ import annotations

from pathlib import Path

from dspgraph.graph import Graph
from dspgraph.io.arrays import SUFFIX, ArraySource
from dspgraph.io.audio import AudioSource, example_speech
from dspgraph.streams import to_fraction
from dspgraph.testing.example import example_signals
from dspgraph.testing.laws import check_graph


def check_recording(graph: Graph, path: Path | None = None, seconds: float = 1.0) -> None:
    """Check a graph on the first `seconds` of a file, as `check_graph` does. Raises LawError at the first difference.

    path: an .npz file with an array for every input, or an audio file for all audio inputs, which is converted to the
    rate and the channels of each; None for a recording of speech that comes with pysptk. With an audio file, inputs of
    frames and symbols get random numbers. A shorter file is used as a whole. Raises FileError for a file that cannot be
    read or does not fit the inputs, and SignalError for a signal that `check_signal` refuses.
    """
    path = path or example_speech()
    if path.suffix.lower() == SUFFIX:
        signals = next(ArraySource(path, graph.inputs).blocks(to_fraction(seconds)))
    else:
        signals = example_signals(graph, lambda stream: AudioSource(path, stream).read(), seconds)
    check_graph(graph, signals)
