"""How long a user waits for the first sign of life, in seconds of the clock."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from benchmarks.measure import Row, below


def seconds(*arguments: str) -> float:
    """The median of seven runs of Python with these arguments, less that of Python doing nothing."""

    def one(*words: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        return time.perf_counter() - begin

    return median(one(*arguments) - one("-c", "") for _ in range(7))


def rows() -> list[Row]:
    """The start-up part of the table."""
    return [
        below("import dspgraph", seconds("-c", "import dspgraph"), 0.3, "s"),
        below("dspgraph nodes", seconds("-m", "dspgraph", "nodes"), 1.5, "s"),
    ]
