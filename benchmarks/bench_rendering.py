"""Benchmark of rendering many short files: time and memory, in one process, in two processes, and in batches of 16."""

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
"""Numbers of files: of all files; of the files that are rendered before the memory is first read; of the files for
`alone`.
"""


MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""The folder for all files. It is in memory, if possible, because the speed of a disk changes from minute to minute."""


def make_clips(folder: Path, files: int = FILES) -> None:
    """Write `files` WAV files of 1 to 3 s to a folder, cut from real speech at random places."""
    speech, rate = soundfile.read(str(example_speech()), dtype="int16")
    draw = np.random.Generator(np.random.Philox(key=1))
    for k in range(files):
        length = int(draw.integers(rate, 3 * rate))
        begin = int(draw.integers(0, len(speech) - length))
        soundfile.write(folder / f"{k:04}.wav", speech[begin : begin + length], rate)


def measured(clips: str, jobs: str, batch: str) -> dict[str, float]:
    """Render all files of a folder with lpc_vocoder, and return the time and the peak memory of this process.

    clips: the folder; jobs: the number of processes; batch: the size of a batch; both numbers as text. In the result,
    wall and cpu are the wall-clock time and the CPU time in seconds; files is the number of files; early and late are
    the peak memory in MiB after `EARLY` files and after the last file. CPU time and memory of workers do not count.
    """
    graph, peaks = load("lpc_vocoder"), []

    def done(row: Rendered) -> None:
        assert not row.error, row.error
        peaks.append(peak())

    executor: Executor = Processes(int(jobs)) if int(jobs) > 1 else Serial()
    first = sorted(Path(clips).iterdir())[:1]
    with tempfile.TemporaryDirectory(dir=MEMORY) as out:
        render(graph, first, Path(out) / "warm")  # compiles the kernels, so that this time is not measured
        wall, cpu = time.perf_counter(), time.process_time()
        render(graph, [clips], Path(out) / "all", done=done, executor=executor, batch=int(batch))
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return {**spent, "files": len(peaks), "early": peaks[min(EARLY, len(peaks)) - 1], "late": peaks[-1]}


def alone(clips: str) -> float:
    """Return the CPU time of rendering files minus that of calling the graph on their samples, in ms per file.

    The graph is that of lpc_vocoder. clips: the folder of the files, of which at most the first `ALONE` are used.
    """
    graph = load("lpc_vocoder")
    (stream,) = graph.inputs.values()
    assert isinstance(stream, Audio)
    files = sorted(Path(clips).iterdir())[:ALONE]
    signals: list[Array] = [np.concatenate(list(AudioSource(path, stream).blocks())) for path in files]
    with tempfile.TemporaryDirectory(dir=MEMORY) as out:
        graph(speech=signals[0])
        render(graph, files[:1], Path(out) / "warm")
        times = [time.process_time()]
        for part in range(5):  # graph and rendering take turns, so that a busy machine slows both
            graphs = [graph(speech=signal) for signal in signals[part::5]]
            times.append(time.process_time())
            render(graph, files[part::5], Path(out) / str(part))
            times.append(time.process_time())
            del graphs
    spent = np.diff(times)
    return 1e3 * float(spent[1::2].sum() - spent[::2].sum()) / len(files)


def _elsewhere(*call: str) -> dict[str, float]:
    """Call `measured` with these arguments in a new process, whose memory no other run has used; return its result."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_rendering", *call], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rows(files: int = FILES) -> list[Row]:
    """Measure rendering of `files` files, and return the rows of the table of results.

    One and two processes are compared by wall-clock time, because two processes save no CPU time.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        make_clips(Path(folder), files)
        serial, both, batch = (_elsewhere(folder, jobs, n) for jobs, n in (("1", "1"), ("2", "1"), ("1", "16")))
        spent = alone(folder)
    many = f"{files} clips through lpc_vocoder"
    return [
        faster(f"{many}: two processes, one", 1e3 * both["wall"], 1e3 * serial["wall"], 1.6),
        # Batches make networks faster, but not the nodes of lpc_vocoder. The promise is that they are not much slower.
        faster(f"{many}: batch 16, 1 (CPU)", 1e3 * batch["cpu"], 1e3 * serial["cpu"], 0.7),
        below("rendering a clip, less the graph's own work (CPU)", spent, 3, "ms"),
        at_most(f"{many}: peak at the end, after {EARLY}", serial["late"], serial["early"], 1.05, "MiB"),
        at_most(f"{many}: same, batch 16", batch["late"], batch["early"], 1.05, "MiB"),
    ]


def main(arguments: Sequence[str]) -> None:
    """Print the result of `measured` as JSON, which `_elsewhere` reads. arguments: those of `measured`."""
    print(json.dumps(measured(*arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
