"""Measurement of CPU time and memory, and the rows of the table of results."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One row of the table: a number measured for dspgraph, the same for a peer (another program), and a promise.

    ours, peer: the measured numbers, in `unit`; peer is NaN if there is no peer. figure: the number that the promise is
    about, such as the ratio of ours and peer. target: the promise, as text. met: whether the promise is kept.
    """

    name: str
    ours: float
    peer: float
    unit: str
    figure: float
    target: str
    met: bool


def milliseconds(runs: list[Callable[[], object]], repeats: int = 15) -> list[float]:
    """Return the median CPU time of each function in this process, ms.

    runs: the functions; repeats: how often each is measured. Each is called once more before that, to compile kernels.
    The functions take turns, so that a busy machine slows all of them.
    """
    times: list[list[float]] = [[] for _ in runs]
    for repeat in range(repeats + 1):  # the first turn compiles the kernels and is not counted
        for run, found in zip(runs, times, strict=True):
            begin = time.process_time()
            run()
            if repeat:
                found.append(1e3 * (time.process_time() - begin))
    return [median(found) for found in times]


def peak() -> float:
    """Return the peak resident memory of this process so far, in MiB.

    The function reads VmHWM, because `ru_maxrss` can be the peak of the process that started this one.
    """
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def faster(name: str, ours: float, peer: float, least: float) -> Row:
    """Return a row with the promise that ours is at least `least` times as fast as the peer.

    ours, peer: times, ms: usually CPU times.
    """
    return Row(name, ours, peer, "ms", peer / ours, f">= {least:g} x", peer / ours >= least)


def at_most(name: str, ours: float, peer: float, most: float, unit: str = "ms") -> Row:
    """Return a row with the promise that `ours` is at most `most` times `peer`, the number to compare with.

    unit: of both numbers.
    """
    return Row(name, ours, peer, unit, ours / peer, f"<= {most:g} x", ours / peer <= most)


def below(name: str, ours: float, most: float, unit: str) -> Row:
    """Return a row with the promise that the measured number `ours` is at most `most`. There is no peer."""
    return Row(name, ours, float("nan"), unit, ours, f"<= {most:g} {unit}", ours <= most)
