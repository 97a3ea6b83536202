"""Benchmark of linear prediction on 4 s of speech, compared with pysptk, whose C code takes one frame per call."""

import numpy as np
import pysptk
import soundfile

from benchmarks.measure import Row, faster, milliseconds
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.envelope.lpc import lpc
from dspgraph_nodes.framing.frame import frame

ORDER, LENGTH, HOP, FRAMES = 25, 512, 80, 794


def rows() -> list[Row]:
    """Measure linear prediction, and return the rows of the table of results.

    `lpc` with all frames in one call, and with one frame per call, is compared with pysptk. `lpc` with all frames is
    also compared with pysptk's C function, called without its wrapper.
    """
    x, _ = soundfile.read(pysptk.util.example_audio_file())
    frames = frame(x, window_values("blackman", "none", LENGTH, x.dtype), HOP, 0)[:FRAMES]
    bare = pysptk.sptk._sptk.lpc
    batch, alone, peer, c = milliseconds(
        [
            lambda: lpc(frames, ORDER),
            lambda: [lpc(frames[k : k + 1], ORDER) for k in range(FRAMES)],
            lambda: [pysptk.lpc(x, ORDER, use_scipy=False) for x in frames],
            lambda: [bare(x, ORDER, 1e-6) for x in frames],
        ]
    )
    expected = np.array([bare(x, ORDER, 1e-6) for x in frames])
    assert np.abs(lpc(frames, ORDER) - expected).max() <= 1e-8 * np.abs(expected).max()
    return [
        faster(f"lpc, {FRAMES} frames of {LENGTH}, order {ORDER}: pysptk", batch, peer, 15),
        faster("lpc, one frame at a time: pysptk", alone, peer, 5),
        faster("lpc: pysptk's bare C function", batch, c, 4),
    ]
