"""Benchmark of the peak memory for rendering one hour of audio, relative to one minute, each in a new process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.measure import Row, at_most
from dspgraph.io.audio import example_speech

CODE = """
import sys
from benchmarks.measure import peak
from dspgraph import load, render
(row,) = render(load("lpc_vocoder", [], {"excitation": "residual"}), [sys.argv[1]], sys.argv[2])
assert not row.error, row.error
print(peak())
"""


def needed(folder: Path, minutes: int) -> float:
    """Return the peak memory, MiB, of a new process that renders a file of `minutes` minutes block by block.

    folder: where the file is written, and deleted again; the results stay in its subfolder `out`.
    """
    clip, rate = soundfile.read(str(example_speech()), dtype="int16")
    path = folder / f"{minutes}.wav"
    with soundfile.SoundFile(str(path), "w", rate, 1, "PCM_16") as file:
        minute = np.resize(clip, 60 * rate)
        for _ in range(minutes):
            file.write(minute)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path), str(folder / "out")], capture_output=True, text=True, check=True
    )
    path.unlink()
    return float(done.stdout)


def rows() -> list[Row]:
    """Measure the memory for rendering a minute and an hour, and return the row of the table of results."""
    with tempfile.TemporaryDirectory() as folder:
        needed(Path(folder), 1)  # compiles the kernels, so that this memory is not measured
        minute, hour = needed(Path(folder), 1), needed(Path(folder), 60)
    return [at_most("one hour through lpc_vocoder (residual), one minute", hour, minute, 1.2, "MiB")]
