"""Measurement: CPU time, runs in turns, medians."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table: the figure of dspgraph, that of a peer, and the promise about their ratio."""

    name: str
    ours: float
    peer: float
    unit: str
    figure: float
    target: str
    met: bool


def milliseconds(runs: list[Callable[[], object]], repeats: int = 15) -> list[float]:
    """Return the median CPU time of each run, ms. The runs take turns, so that a busy machine slows all of them."""
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(repeats + 1):  # the first turn compiles and warms up
        for run, found in zip(runs, times, strict=True):
            begin = time.process_time()
            run()
            if repeat:
                found.append(1e3 * (time.process_time() - begin))
    return [median(found) for found in times]


def peak() -> float:
    """Return the peak memory of this process, MiB. `ru_maxrss` would include the process that started it."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def faster(name: str, ours: float, peer: float, least: float) -> Row:
    """Return a row that promises to be `least` times as fast as the peer (both in ms)."""
    return Row(name, ours, peer, "ms", peer / ours, f">= {least:g} x", peer / ours >= least)


def at_most(name: str, ours: float, peer: float, most: float, unit: str = "ms") -> Row:
    """Return a row that promises to take at most `most` times what the peer takes."""
    return Row(name, ours, peer, unit, ours / peer, f"<= {most:g} x", ours / peer <= most)


def below(name: str, ours: float, most: float, unit: str) -> Row:
    """Return a row that promises a figure of at most `most`."""
    return Row(name, ours, float("nan"), unit, ours, f"<= {most:g} {unit}", ours <= most)
