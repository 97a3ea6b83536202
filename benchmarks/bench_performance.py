"""Benchmark of performances: the CPU time of a quantum in three graphs, that of a quantum with a swap, and memory.

The memory is measured over an hour of signal. Objects that only the garbage collector can free are counted too.
"""

import gc
import time
import tracemalloc
from fractions import Fraction

import numpy as np
import soundfile

from benchmarks.measure import Row
from dspgraph import Array, Graph, Performance, Swap, load
from dspgraph.io.audio import example_speech
from dspgraph.live.device import OUT, DeviceFormat
from dspgraph.live.engine import Engine, Setup
from dspgraph.live.performance import finite_latency
from dspgraph.live.ports import DevicePort

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
    return [*found, *_swap_rows(clip), _garbage_row(clip), _memory_row(clip)]


def _times(performance: Performance, x: Array, quantum: int) -> list[float]:
    """Push x [n] in blocks of `quantum` samples; return the CPU times of the pushes in ms, without the first quarter.

    At the end of x, 1 to `quantum` samples are left out. performance: has one input, `speech`.
    """
    times = []
    for at in range(0, len(x) - quantum, quantum):
        begin = time.process_time()
        performance.push(speech=x[at : at + quantum])
        times.append(1e3 * (time.process_time() - begin))
    return times[len(times) // 4 :]


def _swap_rows(clip: Array) -> list[Row]:
    """Return two rows: the CPU time of a quantum in which a prepared swap happens, and that of preparing the swap.

    clip: [n], speech at 16 kHz, which is repeated.
    """
    graphs: list[Graph] = [load("lpc_vocoder", swap={"excitation": name}) for name in ("residual", "whisper")]
    performance, x, prepared = Performance(graphs[0]), np.resize(clip, 16000 * 20), []
    for k in range(1, 40):
        graph = load("lpc_vocoder", swap={"excitation": ("residual", "whisper")[k % 2]})
        begin = time.process_time()
        performance.prepare(graphs[-1], graph)
        prepared.append(1e3 * (time.process_time() - begin))
        graphs.append(graph)
        performance.add(Swap(graph, at=k / 2))
    times = []
    for at in range(0, len(x), 160):
        begin = time.process_time()
        performance.push(speech=x[at : at + 160])
        times.append(1e3 * (time.process_time() - begin))
    swaps = float(np.median([max(times[50 * k : 50 * k + 2]) for k in range(30, 40)]))  # those that are kept prepared
    ready = float(np.median(prepared))
    name = "performance: lpc_vocoder, the quantum of a swap that was prepared"
    return [
        Row(name, swaps, float("nan"), "ms", swaps, "< 3 ms", swaps < 3),
        Row("performance: lpc_vocoder, the preparation", ready, float("nan"), "ms", ready, "< 20 ms", ready < 20),
    ]


def _garbage_row(clip: Array) -> Row:
    """Return the row about garbage: how many objects `gc.collect` finds after ten minutes of signal.

    The garbage collector is off during these minutes, and on afterwards. clip: [n], speech at 16 kHz, whose first 2 s
    are repeated.
    """
    performance = Performance(load("lpc_vocoder", swap={"excitation": "residual"}))

    def run(quanta: int) -> None:
        for at in range(quanta):
            first = 160 * (at % 200)
            performance.push(speech=clip[first : first + 160])

    run(2000)  # the rehearsal: numba leaves some garbage where it loads kernels
    gc.collect()
    gc.disable()
    run(60000)
    garbage = gc.collect()
    gc.enable()
    name = "performance: garbage of ten minutes in quanta of 10 ms"
    return Row(name, garbage, float("nan"), "objects", garbage, "0", garbage == 0)


def _memory_row(clip: Array) -> Row:
    """Return the row about memory: how much a live graph's memory grows in the last 59 minutes of an hour of signal.

    The engine runs without a device, as fast as it can. clip: [n], speech at 16 kHz, whose first 0.5 s is repeated.
    """
    graph, port = load("lpc_vocoder"), DevicePort()
    latency = finite_latency(graph)
    setup = Setup(graph, {"speech": port}, {"speech": port}, Fraction(1, 2), 2, latency)
    form = DeviceFormat(Fraction(16000), 8000, 1, {"speech": (0,), OUT + "speech": (0,)}, "")
    engine, block = Engine(setup, form, lambda *_: None), clip[:8000, None].astype(np.float32)

    def run(minutes: int) -> None:
        for _ in range(120 * minutes):
            engine.exchange.swap(block)
            engine.serve(engine.exchange.waiting(wait=False) or [])

    run(1)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    run(59)
    gc.collect()
    grown = (tracemalloc.get_traced_memory()[0] - before) / 2**20
    tracemalloc.stop()
    name = "live: memory that an hour of signal adds, in virtual time"
    return Row(name, grown, float("nan"), "MiB", grown, "< 1 MiB", grown < 1)
