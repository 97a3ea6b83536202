"""Pairs of nodes that are inverse to each other, wired together.

The nodes are found by name, and a test runs only if both nodes of its pair are there.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Audio, Frames, Graph, Stream, registry
from helpers.prediction import predictors
from helpers.speech import speech

HANN = {"length": 320, "hop": 160}

PAIRS: list[tuple[str, dict[str, Any], str, dict[str, Any], float]] = [
    ("preemphasis", {"coef": 0.97}, "deemphasis", {"coef": 0.97}, 1e-14),  # 1 / (1 - 0.97) = 33 roundings of 1.1e-16
    # Frames: a few roundings; no two frames cancel.
    ("frame", HANN, "overlap_add", {"hop": 160}, 1e-14),
    ("frame", {**HANN, "length": 1024, "norm": "power"}, "overlap_add", {"hop": 160, "norm": "power"}, 1e-14),
    ("frame", {**HANN, "length": 401, "window": "blackman"}, "overlap_add", {"hop": 160, "window": "blackman"}, 1e-14),
    ("frame", {**HANN, "window": "hamming", "centre": 160}, "overlap_add", {"hop": 160, "window": "hamming"}, 1e-14),
    ("frame", {**HANN, "window": "vorbis"}, "overlap_add", {"hop": 160, "window": "vorbis"}, 1e-14),
    ("frame", {**HANN, "centre": 1}, "overlap_add", {"hop": 160}, 1e-14),  # the last frame alone carries the end
    ("frame", {**HANN, "length": 160, "window": "boxcar"}, "overlap_add", {"hop": 160, "window": "boxcar"}, 1e-14),
    # Spectra: the weight of a sample at the edge is a square; measured below 1e-14.
    ("stft", {"n_fft": 512, "hop": 160}, "istft", {"hop": 160}, 1e-12),
    ("stft", {"n_fft": 1024, "hop": 256, "length": 801, "window": "blackman"},
     "istft", {"hop": 256, "length": 801, "window": "blackman"}, 1e-12),
    ("stft", {"n_fft": 512, "hop": 160, "centre": 1}, "istft", {"hop": 160}, 1e-12),
    ("stft", {"n_fft": 512, "hop": 384, "window": "hamming"}, "istft", {"hop": 384, "window": "hamming"}, 1e-12),
    # An orthonormal transform of rows of 256 samples, there and back.
    ("mdct", {"bins": 256}, "inverse_mdct", {}, 1e-14),
    ("mdct", {"bins": 160, "window": "vorbis"}, "inverse_mdct", {"window": "vorbis"}, 1e-14),
    ("pqmf", {}, "inverse_pqmf", {}, 1e-3),  # its filters are nearly perfect; measured 5.4e-4
    ("inverse_filter", {}, "allpole", {}, 1e-12),  # measured 3e-14
]  # fmt: skip
BY_RATE = {"inverse_filter"}
"""First nodes of the pairs that compute something from the rate: where a row of the predictor begins."""

EDGES = {"pqmf": 62}
"""First node of a pair -> the number of samples at each end that the pair does not give back: the reach of its filters.
"""

HERE = [
    (*pair, rate)
    for pair in PAIRS
    for rate in ([16000, 22050, 44100] if pair[0] in BY_RATE else [22050])
    if {pair[0], pair[2]} <= registry.nodes().keys()
]


@pytest.mark.parametrize("n", [1, 160, 3333, 50_000])
@pytest.mark.parametrize(("first", "does", "second", "undoes", "tolerance", "rate"), HERE)
def test_a_pair_gives_the_signal_back(
    first: str, does: dict[str, Any], second: str, undoes: dict[str, Any], tolerance: float, n: int, rate: int
) -> None:
    nodes = {"first": registry.find(first)(**does), "second": registry.find(second)(**undoes)}
    inputs: dict[str, Stream] = {"speech": Audio(rate)}
    wires = {f"first.{nodes['first'].inputs[0].name}": "speech", f"second.{nodes['second'].inputs[0].name}": "first"}
    signals = {"speech": speech()[9000 : 9000 + n]}
    for name, node in nodes.items():
        if any(port.name == "lpc" for port in node.inputs):
            inputs["lpc"] = Frames(100, "lpc", 17)
            wires[f"{name}.lpc"] = "lpc"
            signals["lpc"] = predictors(16, 160)[: inputs["lpc"].count(Fraction(n, rate))]
    found = Graph(nodes, wires, inputs, {"speech": "second"})(**signals)["speech"]
    inner = slice(EDGES.get(first, 0), max(0, n - EDGES.get(first, 0)))
    assert_allclose(found[inner], signals["speech"][inner], rtol=0, atol=tolerance * np.abs(speech()).max())
