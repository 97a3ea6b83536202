"""Benchmark of pYIN on 4 s of speech at 16 kHz, 200 frames a second, against librosa.

In librosa, the length of the frames and the range of the pitch are the same.
"""

import librosa
import numpy as np
import soundfile

from benchmarks.measure import Row, faster, milliseconds
from dspgraph import Array, Audio, Graph
from dspgraph.io.audio import example_speech
from dspgraph_nodes.pitch.pyin import Pyin

LOW, HIGH, HOP, LENGTH = 62.0, 400.0, 80, 640
MARGIN = 1.2  # the node searches beyond both ends of the range by this factor


def rows() -> list[Row]:
    """Measure pYIN, and return the row of the table of results."""
    x, rate = soundfile.read(str(example_speech()))
    node = Pyin(hop=HOP, f0_min=LOW, f0_max=HIGH, periods=LENGTH / rate * LOW)
    graph = Graph({"pitch": node}, {"pitch.x": "x"}, {"x": Audio(rate)}, {"f0": "pitch"})

    def peer() -> Array:
        f0, _, _ = librosa.pyin(x, fmin=LOW / MARGIN, fmax=HIGH * MARGIN, sr=rate, frame_length=LENGTH, hop_length=HOP)
        found: Array = np.where((f0 > LOW) & (f0 < HIGH), f0, 0.0)
        return found

    ours, theirs = graph(x=x)["f0"][:, 0], peer()[: len(x) // HOP]
    both = (ours > 0) & (theirs > 0)
    # Each frame of librosa is half a hop from ours, and librosa's path sees the whole signal. Measured: 0.018 and
    # 5.4 cents.
    assert np.mean((ours > 0) != (theirs > 0)) < 0.05
    assert np.median(np.abs(np.log2(ours[both] / theirs[both]))) < 20 / 1200
    mine, other = milliseconds([lambda: graph(x=x), peer], repeats=5)
    return [faster("pitch: pYIN, 4 s, f64", mine, other, 20)]
