"""Linear prediction of 4 s of speech beside pysptk's C code, frame by frame as pysptk takes it."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pysptk
import soundfile

from dspgraph_nodes._kernels.windows import taper
from dspgraph_nodes.envelope.lpc import lpc
from dspgraph_nodes.framing.frame import frame

ORDER, LENGTH, HOP, FRAMES = 25, 512, 80, 794


def milliseconds(runs: list[Callable[[], object]], repeats: int = 15) -> list[float]:
    """The median CPU time of each run; they take turns, so that a busy machine slows all of them."""
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(repeats + 1):  # the first turn compiles and warms up
        for run, found in zip(runs, times, strict=True):
            begin = time.process_time()
            run()
            if repeat:
                found.append(1e3 * (time.process_time() - begin))
    return [median(found) for found in times]


def rows() -> list[tuple[str, float, float, str]]:
    """Name, our milliseconds, the peer's, and the ratio that is promised."""
    x, _ = soundfile.read(pysptk.util.example_audio_file())
    frames = frame(x, taper("blackman", "none", LENGTH, x.dtype), HOP, 0)[:FRAMES]
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
    size = f"{FRAMES} frames of {LENGTH}, order {ORDER}"
    return [
        (f"lpc, {size}", batch, peer, ">= 12x"),
        (f"lpc, {size}, one at a time", alone, peer, ">= 5x"),
        (f"lpc, {size}, without pysptk's Python", batch, c, ">= 4x"),
    ]


if __name__ == "__main__":
    for name, ours, theirs, target in rows():
        print(f"{name}: {ours:.2f} ms, pysptk {theirs:.2f} ms: {theirs / ours:.1f}x ({target})")
