"""How everything here is measured: CPU time, runs taking turns, medians."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table: what we take, what the peer takes, and the ratio that was promised."""

    name: str
    ours: float
    peer: float
    unit: str
    figure: float
    target: str
    met: bool


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


def peak() -> float:
    """MiB this process has taken at its most; `ru_maxrss` would count the one that started it."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def faster(name: str, ours: float, peer: float, least: float) -> Row:
    """We promise to be `least` times as fast as the peer (both in milliseconds)."""
    return Row(name, ours, peer, "ms", peer / ours, f">= {least:g} x", peer / ours >= least)


def at_most(name: str, ours: float, peer: float, most: float, unit: str = "ms") -> Row:
    """We promise to take at most `most` times what the peer takes."""
    return Row(name, ours, peer, unit, ours / peer, f"<= {most:g} x", ours / peer <= most)


def below(name: str, ours: float, most: float, unit: str) -> Row:
    """We promise an absolute figure."""
    return Row(name, ours, float("nan"), unit, ours, f"<= {most:g} {unit}", ours <= most)
