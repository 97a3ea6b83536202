"""Benchmark of the wall-clock time that a program takes to start."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from benchmarks.measure import Row, below


def seconds(*arguments: str) -> float:
    """Return the time in seconds that Python needs to run with these arguments: the median of seven runs.

    The time of a run of Python that does nothing is subtracted from each.
    """

    def one(*words: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        return time.perf_counter() - begin

    return median(one(*arguments) - one("-c", "") for _ in range(7))


def rows() -> list[Row]:
    """Measure the start of programs, and return the rows of the table of results."""
    return [
        below("import dspgraph", seconds("-c", "import dspgraph"), 0.3, "s"),
        below("dspgraph nodes", seconds("-m", "dspgraph", "nodes"), 1.5, "s"),
    ]
