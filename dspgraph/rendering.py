"""Rendering files with a graph: one row per file, whatever happens to the others, and nothing half-written."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dspgraph.array_io import SUFFIX as ARRAYS
from dspgraph.array_io import WORDS, ArraySink, ArraySource
from dspgraph.audio_io import SUBTYPES, AudioSink, AudioSource, has_file_rate
from dspgraph.errors import DspgraphError, FileError, RequestError
from dspgraph.graph import Graph
from dspgraph.streams import Array, Audio


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
    """Render every file into the folder `out`, named as the input.

    Audio becomes an audio file (when there are several outputs of it, each its own, with the output in its name), all
    rows and symbols together one .npz file. An audio file goes to the one audio input of a graph, an .npz file holds
    every input by name.

    A file that cannot be rendered, for whatever reason, is a row with its error, never the end of the run. `done` sees
    each row as it is ready. Raises RequestError, before anything is written, for files that the graph does not take,
    for a format that is not written, for two files that would take the same name, and for a folder that cannot be
    written to.
    """
    if suffix not in SUBTYPES:
        raise RequestError(f"only {' and '.join(SUBTYPES)} are written; found '{suffix}'")
    sources = [Path(file) for file in files]
    _check_graph(graph, sources)
    targets = [_targets(graph, source, Path(out), suffix) for source in sources]
    _check_targets(sources, targets)
    make_folder(Path(out))
    rows = []
    for source, paths in zip(sources, targets, strict=True):
        rows.append(render_file(graph, source, paths))
        done(rows[-1])
    return rows


def render_file(graph: Graph, source: Path, targets: Mapping[str, Path]) -> Rendered:
    """Render one file, each output of the graph to its target; memory stays bounded if the graph streams."""
    begun = time.perf_counter()
    try:
        blocks, notes = _opened(graph, source)
        session = graph.session()
        with _Sinks(graph, targets) as sinks:
            for block in blocks:
                sinks.write(session.push(**block))
            sinks.write(session.flush())
            sinks.close()
    except Exception as error:  # of any kind: the row is its report
        return Rendered(source, (), error=_told(source, error), seconds=time.perf_counter() - begun)
    assert session.flow.end is not None
    placed, seconds = tuple(dict.fromkeys(targets.values())), float(session.flow.end)
    return Rendered(source, placed, (*notes, *sinks.notes()), seconds, time.perf_counter() - begun)


def _opened(graph: Graph, source: Path) -> tuple[Iterator[Mapping[str, Array]], list[str]]:
    """The blocks of a file, by input, and what was done to them on the way."""
    if source.suffix.lower() == ARRAYS:
        return ArraySource(source, graph.inputs).blocks(), []
    ((name, stream),) = graph.inputs.items()
    assert isinstance(stream, Audio)
    audio = AudioSource(source, stream)
    return ({name: block} for block in audio.blocks()), audio.conversions


class _Sinks:
    """Where the outputs of a graph go: all of them are whole before the first is put in place."""

    def __init__(self, graph: Graph, targets: Mapping[str, Path]) -> None:
        self.audio: dict[str, AudioSink] = {}
        self.arrays: ArraySink | None = None
        self.outputs, self.targets = graph.outputs, targets

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name, stream in self.outputs.items():
                if isinstance(stream, Audio):
                    self.audio[name] = stack.enter_context(AudioSink(self.targets[name], stream))
            if rows := {name: stream for name, stream in self.outputs.items() if name not in self.audio}:
                self.arrays = stack.enter_context(ArraySink(self.targets[next(iter(rows))], rows))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def write(self, outputs: Mapping[str, Array]) -> None:
        for name, block in outputs.items():
            if name in self.audio:
                self.audio[name].write(block)
            elif self.arrays:
                self.arrays.write(name, block)

    def close(self) -> None:
        """Bring all of them to the disk, before the first is put in place."""
        for sink in self.audio.values():
            sink.close()
        if self.arrays:
            self.arrays.close()

    def notes(self) -> Iterator[str]:
        for name, sink in self.audio.items():
            if sink.clipped:
                yield f"{sink.clipped} samples of '{name}' beyond full scale were clipped"


def _told(source: Path, error: Exception) -> str:
    """What went wrong, with the file it went wrong for, and the kind of an error that is none of ours."""
    if isinstance(error, FileError):
        return str(error)
    kind = "" if isinstance(error, DspgraphError) else f"{type(error).__name__}: "
    return f"{source}: {kind}{error}"


def _check_graph(graph: Graph, sources: Sequence[Path]) -> None:
    takes = list(graph.inputs.values())
    if not (len(takes) == 1 and isinstance(takes[0], Audio)):
        for source in sources:
            if source.suffix.lower() != ARRAYS:
                found = ", ".join(f"{name}: {stream}" for name, stream in graph.inputs.items())
                raise RequestError(
                    f"an audio file is rendered by a graph with one audio input; this one takes {found}: give it "
                    f"{ARRAYS} files that hold these, not {source}"
                )
    audio = [name for name, stream in graph.outputs.items() if isinstance(stream, Audio)]
    for name, stream in graph.outputs.items():
        if isinstance(stream, Audio) and not has_file_rate(stream):
            raise RequestError(
                f"a file has a whole number of samples per second below 2**31; the output '{name}' is {stream}"
            )
        if "/" in name and (name not in audio or len(audio) > 1):
            raise RequestError(f"the output '{name}' is part of a file name: rename it, without '/'")
        if name == WORDS and name not in audio:
            raise RequestError(f"the output '{name}' has a name that {ARRAYS} files keep for themselves: rename it")


def _targets(graph: Graph, source: Path, out: Path, suffix: str) -> dict[str, Path]:
    """The file of each output: all that is no audio goes into one."""
    audio = [name for name, stream in graph.outputs.items() if isinstance(stream, Audio)]
    targets = {}
    for name in graph.outputs:
        middle = f".{name}" if name in audio and len(audio) > 1 else ""
        targets[name] = out / f"{source.stem}{middle}{suffix if name in audio else ARRAYS}"
    return targets


def _check_targets(sources: Sequence[Path], targets: Sequence[Mapping[str, Path]]) -> None:
    each = [set(named.values()) for named in targets]
    for target, count in Counter(path for paths in each for path in paths).items():
        if count > 1:
            same = [str(source) for source, paths in zip(sources, each, strict=True) if target in paths]
            raise RequestError(
                f"{' and '.join(same)} would both be written to {target}: rename one or render them apart"
            )
    originals = {os.path.realpath(source) for source in sources}  # unlike resolve, it takes a link to itself
    for paths in each:
        for target in sorted(paths):
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
