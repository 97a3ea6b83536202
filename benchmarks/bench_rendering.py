"""Rendering many short files: what it costs beside the graph's own work, in one process and in two, and its memory."""

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
from dspgraph.rendering.render import Rendered
from dspgraph.streams import Array, Audio

FILES, EARLY, ALONE = 2000, 200, 500
"""How many are rendered; after how many memory is looked at first; how many the graph does by itself, to compare."""


MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where the files are: what a disk takes for them is another thing from one minute to the next."""


def make_clips(folder: Path, files: int = FILES) -> None:
    """Clips of 1 to 3 s, as sentences are, cut from real speech here and there."""
    speech, rate = soundfile.read(str(example_speech()), dtype="int16")
    draw = np.random.Generator(np.random.Philox(key=1))
    for k in range(files):
        length = int(draw.integers(rate, 3 * rate))
        begin = int(draw.integers(0, len(speech) - length))
        soundfile.write(folder / f"{k:04}.wav", speech[begin : begin + length], rate)


def measured(clips: str, jobs: str, batch: str) -> dict[str, float]:
    """What a run takes: seconds, CPU seconds of this process alone, MiB at the peak early and late."""
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
    """CPU milliseconds for a file, less those of the graph's own work on the same samples."""
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
    """In a process of its own, whose memory nobody else has used."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_rendering", *call], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rows(files: int = FILES) -> list[Row]:
    """The part of rendering in the table. Seconds by the clock count here: two processes are there to save them."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        make_clips(Path(folder), files)
        serial, both, batch = (_elsewhere(folder, jobs, n) for jobs, n in (("1", "1"), ("2", "1"), ("1", "16")))
        spent = alone(folder)
    many = f"{files} clips through lpc_vocoder"
    return [
        faster(f"{many}: two processes, one", 1e3 * both["wall"], 1e3 * serial["wall"], 1.6),
        # Batch is there for what is made for it, as networks are; these nodes gain nothing, and must not lose much.
        faster(f"{many}: batch 16, 1 (CPU)", 1e3 * batch["cpu"], 1e3 * serial["cpu"], 0.7),
        below("rendering a clip, less the graph's own work (CPU)", spent, 3, "ms"),
        at_most(f"{many}: peak at the end, after {EARLY}", serial["late"], serial["early"], 1.05, "MiB"),
        at_most(f"{many}: same, batch 16", batch["late"], batch["early"], 1.05, "MiB"),
    ]


def main(arguments: Sequence[str]) -> None:
    """One run, for `rows`."""
    print(json.dumps(measured(*arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
