"""Benchmark of performances: CPU time per quantum of three pipelines, of a swap, and memory over an hour of signal."""

import gc
import time
import tracemalloc

import numpy as np
import soundfile

from benchmarks.measure import Row
from dspgraph import Array, Graph, Performance, Swap, load
from dspgraph.io.audio import example_speech

QUANTA = (160, 80, 40)  # samples at 16 kHz: 10, 5 and 2.5 ms


def rows() -> list[Row]:
    """Measure performances, and return the rows of the table of results."""
    clip, _ = soundfile.read(str(example_speech()))
    found = []
    for name, swap, most in (
        ("lpc_vocoder", {"excitation": "residual"}, 0.3),
        ("lpc_vocoder", {}, 0.6),
        ("mcep_mlsa", {}, 2.0),
    ):
        graph = load(name, swap=swap)
        for quantum in QUANTA:
            times = _times(Performance(graph), np.resize(clip, 16000 * 8), quantum)
            label = " ".join([name, *(f"{slot}={variant}" for slot, variant in swap.items())])
            row = f"performance: {label}, {quantum / 16:g} ms, mean (worst {max(times):.2f} ms)"
            mean = float(np.mean(times))
            found.append(Row(row, mean, float("nan"), "ms", mean, f"< {most:g} ms", mean < most))
    return [*found, _swap_row(clip), _memory_row(clip)]


def _times(performance: Performance, x: Array, quantum: int) -> list[float]:
    """Push x in blocks of `quantum` samples; return the CPU times of the pushes in ms, without the first quarter."""
    times = []
    for at in range(0, len(x) - quantum, quantum):
        begin = time.process_time()
        performance.push(speech=x[at : at + quantum])
        times.append(1e3 * (time.process_time() - begin))
    return times[len(times) // 4 :]


def _swap_row(clip: Array) -> Row:
    graphs: list[Graph] = [load("lpc_vocoder", swap={"excitation": name}) for name in ("residual", "whisper")]
    performance, x, worst = Performance(graphs[0]), np.resize(clip, 16000 * 20), []
    for k in range(1, 40):
        performance.add(Swap(graphs[k % 2], at=k / 2))
    times = []
    for at in range(0, len(x), 160):
        begin = time.process_time()
        performance.push(speech=x[at : at + 160])
        times.append(1e3 * (time.process_time() - begin))
    worst = [max(times[50 * k : 50 * k + 2]) for k in range(4, 40)]  # the quantum of each swap
    mean = float(np.median(worst))
    return Row("performance: lpc_vocoder, the quantum of a swap", mean, float("nan"), "ms", mean, "< 6 ms", mean < 6)


def _memory_row(clip: Array) -> Row:
    """Measure how much memory grows from the first minute to the end of an hour of signal, and return the row.

    clip: speech; its first second is pushed again and again.
    """
    performance, block = Performance(load("lpc_vocoder")), clip[:16000]
    for _ in range(60):
        performance.push(speech=block)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(3540):
        performance.push(speech=block)
    gc.collect()
    grown = (tracemalloc.get_traced_memory()[0] - before) / 2**20
    tracemalloc.stop()
    return Row(
        "performance: memory that an hour of signal adds", grown, float("nan"), "MiB", grown, "< 1 MiB", grown < 1
    )
