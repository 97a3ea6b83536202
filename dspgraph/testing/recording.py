"""The laws of a graph, checked on a file instead of arrays."""

from __future__ import annotations

from pathlib import Path

from dspgraph.graph import Graph
from dspgraph.io.arrays import SUFFIX, ArraySource
from dspgraph.io.audio import AudioSource, example_speech
from dspgraph.streams import to_fraction
from dspgraph.testing.example import example_signals
from dspgraph.testing.laws import check_graph


def check_recording(graph: Graph, path: Path | None = None, seconds: float = 1.0) -> None:
    """Check a graph against the laws on the first `seconds` of a file; raise LawError at the first difference.

    An audio file is read for the inputs that are audio; the other inputs get numbers that fit their streams. A .npz
    file holds every input. Without a file, a recording of speech that comes with a library is read.
    """
    path = path or example_speech()
    if path.suffix.lower() == SUFFIX:
        signals = next(ArraySource(path, graph.inputs).blocks(to_fraction(seconds)))
    else:
        signals = example_signals(graph, lambda stream: AudioSource(path, stream).read(), seconds)
    check_graph(graph, signals)
