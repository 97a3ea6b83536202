"""Benchmark of the time that programs take to start: wall-clock time, and the CPU time of short renders.

The CPU time of a render is that of a fresh process whose kernels are compiled already: imports, the loading of kernels,
analysis and synthesis of four seconds of speech, and the file. Most of it is numba's import, with scipy.linalg, which
numba imports to look for BLAS, and numpy.f2py, which scipy imports.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pysptk
import soundfile

from benchmarks.bench_lpcnet import random_arrays
from benchmarks.measure import Row, below
from dspgraph_nodes.models.lpcnet.config import Config
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS


def seconds(*arguments: str) -> float:
    """Return the time in seconds that Python needs to run with these arguments: the median of seven runs.

    The time of a run of Python that does nothing is subtracted from each.
    """

    def one(*words: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        return time.perf_counter() - begin

    return median(one(*arguments) - one("-c", "") for _ in range(7))


def render_seconds(speech: Path, pipeline: str, *options: str) -> float:
    """Return the CPU time in seconds of a fresh process that renders a file: the median of five runs.

    speech: the file; options: more arguments of `dspgraph render`.
    """

    def one() -> float:
        before = os.times()
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, "-m", "dspgraph", "render", pipeline, str(speech), "-o", out, *options]
            subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    return median([one() for _ in range(6)][1:])  # the first run compiles what is not compiled yet


def rows() -> list[Row]:
    """Measure the start of programs, and return the rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        speech, weights = Path(folder) / "speech.wav", Path(folder) / "weights.safetensors"
        x, rate = soundfile.read(pysptk.util.example_audio_file())
        soundfile.write(speech, np.resize(x, 4 * rate), rate)
        WEIGHTS.write(weights, Config(), random_arrays(Config()))
        of_lpcnet = ("lpcnet", "--set", f"weights={weights}")
        return [
            below("import dspgraph", seconds("-c", "import dspgraph"), 0.3, "s"),
            below("dspgraph nodes", seconds("-m", "dspgraph", "nodes"), 1.5, "s"),
            below("render lpc_vocoder, 4 s, CPU time", render_seconds(speech, "lpc_vocoder"), 1.5, "s"),
            below("render lpcnet, 4 s, CPU time", render_seconds(speech, *of_lpcnet), 1.5, "s"),
        ]
