"""Rendering many short files, in one process and in two: the time beside that of the graph itself, and the memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.measure import Row, at_most, below, faster, peak
from dspgraph import load, render
from dspgraph.io.audio import AudioSource, example_speech
from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.executors.serial import Serial
from dspgraph.rendering.job import Executor
from dspgraph.rendering.result import Rendered
from dspgraph.streams import Array, Audio

FILES, EARLY, ALONE = 2000, 200, 500
"""Files rendered; files after which the memory is first measured; files that the graph renders alone."""


MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""The folder of the files is in memory, because the time that a disk takes changes from minute to minute."""


def make_clips(folder: Path, files: int = FILES) -> None:
    """Write clips of 1 to 3 s, cut from real speech at random places."""
    speech, rate = soundfile.read(str(example_speech()), dtype="int16")
    draw = np.random.Generator(np.random.Philox(key=1))
    for k in range(files):
        length = int(draw.integers(rate, 3 * rate))
        begin = int(draw.integers(0, len(speech) - length))
        soundfile.write(folder / f"{k:04}.wav", speech[begin : begin + length], rate)


def measured(clips: str, jobs: str, batch: str) -> dict[str, float]:
    """Return the seconds of a run, the CPU seconds of this process, and the peak memory early and late, MiB."""
    graph, peaks = load("lpc_vocoder"), []

    def done(row: Rendered) -> None:
        assert not row.error, row.error
        peaks.append(peak())

    executor: Executor = Processes(int(jobs)) if int(jobs) > 1 else Serial()
    first = sorted(Path(clips).iterdir())[:1]
    with tempfile.TemporaryDirectory(dir=MEMORY) as out:
        render(graph, first, Path(out) / "warm")  # compiles
        wall, cpu = time.perf_counter(), time.process_time()
        render(graph, [clips], Path(out) / "all", done=done, executor=executor, batch=int(batch))
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {**spent, "files": len(peaks), "early": peaks[min(EARLY, len(peaks)) - 1], "late": peaks[-1]}


def alone(clips: str) -> float:
    """Return the CPU milliseconds per file, minus those of the graph on the same samples."""
    graph = load("lpc_vocoder")
    (stream,) = graph.inputs.values()
    assert isinstance(stream, Audio)
    files = sorted(Path(clips).iterdir())[:ALONE]
    signals: list[Array] = [np.concatenate(list(AudioSource(path, stream).blocks())) for path in files]
    with tempfile.TemporaryDirectory(dir=MEMORY) as out:
        graph(speech=signals[0])
        render(graph, files[:1], Path(out) / "warm")
        times = [time.process_time()]
        for part in range(5):  # in turns, so that a busy machine slows both
            graphs = [graph(speech=signal) for signal in signals[part::5]]
            times.append(time.process_time())
            render(graph, files[part::5], Path(out) / str(part))
            times.append(time.process_time())
            del graphs
    spent = np.diff(times)
    return 1e3 * float(spent[1::2].sum() - spent[::2].sum()) / len(files)


def _elsewhere(*call: str) -> dict[str, float]:
    """Measure in a new process, whose memory no other run has used."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_rendering", *call], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rows(files: int = FILES) -> list[Row]:
    """Return the rows about rendering. Two processes are compared by the clock, because they save no CPU time."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        make_clips(Path(folder), files)
        serial, both, batch = (_elsewhere(folder, jobs, n) for jobs, n in (("1", "1"), ("2", "1"), ("1", "16")))
        spent = alone(folder)
    many = f"{files} clips through lpc_vocoder"
    return [
        faster(f"{many}: two processes, one", 1e3 * both["wall"], 1e3 * serial["wall"], 1.6),
        # A batch serves nodes that are made for it, such as networks; these nodes gain nothing and must not lose much.
        faster(f"{many}: batch 16, 1 (CPU)", 1e3 * batch["cpu"], 1e3 * serial["cpu"], 0.7),
        below("rendering a clip, less the graph's own work (CPU)", spent, 3, "ms"),
        at_most(f"{many}: peak at the end, after {EARLY}", serial["late"], serial["early"], 1.05, "MiB"),
        at_most(f"{many}: same, batch 16", batch["late"], batch["early"], 1.05, "MiB"),
    ]


def main(arguments: Sequence[str]) -> None:
    """Print the figures of one run as JSON, for `rows`."""
    print(json.dumps(measured(*arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
