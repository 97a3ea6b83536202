"""Rendering files with a graph: one row per file, whatever happens to the others, and nothing half-written."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dspgraph.audio_io import SUBTYPES, AudioSink, AudioSource, has_file_rate
from dspgraph.errors import DspgraphError, FileError, RequestError
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

    A file that cannot be rendered, for whatever reason, is a row with its error, never the end of the run. `done` sees
    each row as it is ready. Raises RequestError, before anything is written, for a graph that does not go from one
    audio input to audio, for a format that is not written, for two files that would take the same name, and for a
    folder that cannot be written to.
    """
    if suffix not in SUBTYPES:
        raise RequestError(f"only {' and '.join(SUBTYPES)} are written; found '{suffix}'")
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
            for sink in sinks.values():
                sink.close()  # all of them are whole before the first is put in place
    except Exception as error:  # of any kind: the row is its report
        return Rendered(source, (), error=_told(source, error), seconds=time.perf_counter() - begun)
    notes = [*audio.conversions]
    notes += [
        f"{sink.clipped} samples of '{n}' beyond full scale were clipped" for n, sink in sinks.items() if sink.clipped
    ]
    return Rendered(
        source, tuple(targets), tuple(notes), float(stream.seconds(items)), time.perf_counter() - begun
    )  # fmt: skip


def _told(source: Path, error: Exception) -> str:
    """What went wrong, with the file it went wrong for, and the kind of an error that is none of ours."""
    if isinstance(error, FileError):
        return str(error)
    kind = "" if isinstance(error, DspgraphError) else f"{type(error).__name__}: "
    return f"{source}: {kind}{error}"


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
        if not has_file_rate(stream):
            raise RequestError(
                f"a file has a whole number of samples per second below 2**31; the output '{name}' is {stream}"
            )
        if "/" in name and len(graph.outputs) > 1:
            raise RequestError(f"the output '{name}' is part of a file name: rename it, without '/'")


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
    originals = {os.path.realpath(source) for source in sources}  # unlike resolve, it takes a link to itself
    for paths in targets:
        for target in paths:
            if os.path.realpath(target) in originals:
                raise RequestError(f"{target} would overwrite an input file: choose another folder")


def make_folder(out: Path) -> None:
    """Make a folder that can be written to, or raise RequestError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.NamedTemporaryFile(dir=out, prefix=".").close()
    except OSError as error:
        raise RequestError(
            f"the folder {out} cannot be written to: {error.strerror or error}: choose another"
        ) from None
