"""Rendering files with a graph: one row per file, whatever happens to the others, and nothing half-written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dspgraph.audio_io import AudioSink, AudioSource
from dspgraph.errors import DspgraphError, RequestError
from dspgraph.graph import Graph
from dspgraph.streams import Audio, Stream


@dataclass(frozen=True)
class Rendered:
    """What became of one file."""

    source: Path
    targets: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    audio_seconds: float = 0.0
    seconds: float = 0.0
    error: str = ""


def render(
    graph: Graph,
    files: Iterable[str | Path],
    out: str | Path,
    suffix: str = ".flac",
    done: Callable[[Rendered], None] = lambda row: None,
) -> list[Rendered]:
    """Render every file into the folder `out`, named as the input (and the output, when there are several).

    A file that cannot be read is a row with its error, never the end of the run. `done` sees each row as it is ready.
    Raises RequestError, before anything is written, for a graph that does not go from one audio input to audio, for
    two files that would take the same name, and for a folder that cannot be written to.
    """
    sources = [Path(file) for file in files]
    _check_graph(graph)
    targets = [_targets(graph, source, Path(out), suffix) for source in sources]
    _check_targets(sources, targets)
    make_folder(Path(out))
    rows = []
    for source, paths in zip(sources, targets, strict=True):
        rows.append(render_file(graph, source, paths))
        done(rows[-1])
    return rows


def render_file(graph: Graph, source: Path, targets: Sequence[Path]) -> Rendered:
    """Render one file, one target per output of the graph; memory stays bounded if the graph streams."""
    begun = time.perf_counter()
    (name, stream), = graph.inputs.items()  # fmt: skip
    assert isinstance(stream, Audio)
    try:
        audio = AudioSource(source, stream)
        session, items = graph.session(), 0
        with ExitStack() as stack:
            sinks = {
                output: stack.enter_context(AudioSink(target, _audio(given)))
                for (output, given), target in zip(graph.outputs.items(), targets, strict=True)
            }
            for block in audio.blocks():
                items += len(block)
                for output, samples in session.push(**{name: block}).items():
                    sinks[output].write(samples)
            for output, samples in session.flush().items():
                sinks[output].write(samples)
    except DspgraphError as error:
        return Rendered(source, (), error=str(error), seconds=time.perf_counter() - begun)
    notes = [*audio.conversions]
    notes += [
        f"{sink.clipped} samples of '{n}' beyond full scale were clipped" for n, sink in sinks.items() if sink.clipped
    ]
    return Rendered(
        source, tuple(targets), tuple(notes), float(stream.seconds(items)), time.perf_counter() - begun
    )  # fmt: skip


def _audio(stream: Stream) -> Audio:
    assert isinstance(stream, Audio)
    return stream


def _check_graph(graph: Graph) -> None:
    if len(graph.inputs) != 1 or not all(isinstance(stream, Audio) for stream in graph.inputs.values()):
        found = ", ".join(f"{name}: {stream}" for name, stream in graph.inputs.items())
        raise RequestError(f"files are rendered by a graph with one audio input; this one takes {found}")
    for name, stream in graph.outputs.items():
        if not isinstance(stream, Audio):
            raise RequestError(
                f"audio files are written; the output '{name}' is {stream}: let the pipeline end in audio"
            )
        if stream.rate.denominator != 1:
            raise RequestError(f"a file has a whole number of samples per second; the output '{name}' is {stream}")


def _targets(graph: Graph, source: Path, out: Path, suffix: str) -> tuple[Path, ...]:
    if len(graph.outputs) == 1:
        return (out / f"{source.stem}{suffix}",)
    return tuple(out / f"{source.stem}.{output}{suffix}" for output in graph.outputs)


def _check_targets(sources: Sequence[Path], targets: Sequence[tuple[Path, ...]]) -> None:
    for target, count in Counter(path for paths in targets for path in paths).items():
        if count > 1:
            same = [str(source) for source, paths in zip(sources, targets, strict=True) if target in paths]
            raise RequestError(
                f"{' and '.join(same)} would both be written to {target}: rename one or render them apart"
            )
    originals = {source.resolve() for source in sources}
    for paths in targets:
        for target in paths:
            if target.resolve() in originals:
                raise RequestError(f"{target} would overwrite an input file: choose another folder")


def make_folder(out: Path) -> None:
    """Make a folder that can be written to, or raise RequestError."""
    probe = out / ".dspgraph.part"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RequestError(
            f"the folder {out} cannot be written to: {error.strerror or error}: choose another"
        ) from None
