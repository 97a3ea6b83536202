"""Rendering corpora with a graph: one row per item, whatever happens to the others, and nothing half-written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dspgraph.engine.batch import Batch
from dspgraph.engine.profiling import Profile
from dspgraph.errors import FileError, RequestError, describe_error
from dspgraph.graph import Graph
from dspgraph.io.arrays import SUFFIX as ARRAYS
from dspgraph.io.arrays import WORDS, ArraySink, ArraySource
from dspgraph.io.atomic import AtomicFile
from dspgraph.io.audio import SUBTYPES, AudioSink, has_file_rate
from dspgraph.rendering.corpus import SUFFIXES, Item, gather
from dspgraph.rendering.job import Executor, Serial
from dspgraph.rendering.ledger import Ledger, sweep
from dspgraph.streams import Array, Audio, stream_to_dict

WORDS_SUFFIX = ".json"
"""Of the file beside every output that says what it is."""


@dataclass(frozen=True)
class Rendered:
    """What became of one item."""

    id: str
    source: Path
    targets: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    audio_seconds: float = 0.0
    seconds: float = 0.0  # from its opening until it was in place
    error: str = ""
    before: bool = False  # it was so before this run
    size: int = -1  # of the input when it was opened, bytes
    mtime_ns: int = -1


def render(
    graph: Graph,
    files: Iterable[str | Path],
    out: str | Path,
    suffix: str = ".flac",
    done: Callable[[Rendered], None] = lambda row: None,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    batch: int = 1,
    executor: Executor = Serial(),  # noqa: B008 it holds nothing
    profile: Profile | None = None,
    started: Callable[[int, int], None] = lambda due, before: None,
) -> list[Rendered]:
    """Render files, folders, patterns and manifests into the folder `out`: see `corpus.gather` for what they may be.

    Audio becomes an audio file (when there are several outputs of it, each its own, with the output in its name), all
    rows and symbols together one .npz file, and a .json file beside them says what they are and where they come from.
    Audio goes to the one audio input of a graph, an .npz file holds every input by name.

    An item that cannot be rendered, for whatever reason, is a row with its error, never the end of the run. `done` sees
    each row as it is ready, `started` how many items are due, and how many are not. `ledger.jsonl` in `out` keeps all
    rows. With `resume`, what was done before under the same digest, from the same input, is not done again, and what
    failed is not tried again but with `retry_failed`. `batch` signals are stepped together. Whoever the executor is,
    the samples are the same. `profile` adds up what each node costs, here, one signal at a time. Gives the rows in the
    order of the items.

    Raises RequestError, before anything is written, for files that the graph does not take, for a format that is not
    written, for two items that would take the same name, and for a folder that cannot be written to.
    """
    work = Rendering(graph, Path(out), suffix, batch, profile)
    if profile and (batch > 1 or not isinstance(executor, Serial)):
        raise RequestError("a profile is of one signal at a time, in this process: drop the batch, and the executor")
    items = gather(files, SUFFIXES if graph.audio_input else {ARRAYS}, Path(out))
    work.check_items(items)
    make_folder(Path(out))
    with Ledger(Path(out)) as ledger:
        rows: dict[str, Rendered] = {}
        if resume or retry_failed:
            rows = {item.id: row for item in items if (row := _before(work, ledger, item, retry_failed)) is not None}
        for row in rows.values():
            done(row)
        due = [item for item in items if item.id not in rows]
        started(len(due), len(rows))
        inputs = {item.id: item for item in due}
        try:
            with closing(executor.run(work, due)) as found:
                for row in found:
                    ledger.append(work.line(inputs[row.id], row))
                    rows[row.id] = row
                    done(row)
        finally:
            sweep(Path(out))  # what a worker that died was writing
    return [rows[item.id] for item in items]


def _before(work: Rendering, ledger: Ledger, item: Item, retry_failed: bool) -> Rendered | None:
    """The row of an item that an earlier run has dealt with, if it need not be dealt with again."""
    line, looked = ledger.rows.get(item.id), _look(item.path)
    if line is None or not work.did(item, line):
        other = line is not None and line.get("source") != os.path.abspath(item.path)  # what is in place may be of that
        if other or (notes := work.in_place(item)) is None:
            return None
        row = Rendered(item.id, item.path, work.placed(item), notes, before=True, **looked._asdict())
        ledger.append(work.line(item, row))
        return row
    if (line.get("size"), line.get("mtime_ns")) != looked:
        return None
    if line["status"] == "failed":
        error = str(line.get("error"))
        return None if retry_failed else Rendered(item.id, item.path, error=error, before=True)
    if not work.is_there(item):
        return None
    known = float(line.get("audio_seconds", 0)), float(line.get("seconds", 0))
    return Rendered(item.id, item.path, work.placed(item), tuple(line.get("notes", ())), *known, before=True)


@dataclass(frozen=True)
class Rendering:
    """What is needed to render items, and to know whether they have been. It is checked when it is made."""

    graph: Graph
    out: Path
    suffix: str = ".flac"
    batch: int = 1
    profile: Profile | None = None
    digest: str = ""  # of the graph, where it was made

    def __post_init__(self) -> None:
        if self.suffix not in SUBTYPES:
            raise RequestError(f"only {', '.join(SUBTYPES)} are written; found '{self.suffix}'")
        if self.batch < 1:
            raise RequestError(f"a batch has at least 1 place; found {self.batch}")
        _check_outputs(self.graph)
        if not self.digest:
            object.__setattr__(self, "digest", self.graph.digest)

    @property
    def width(self) -> int:
        """How many items are open at a time."""
        return self.batch

    def check(self) -> None:
        """Raise RequestError where the graph would not give the same samples as where it was made."""
        check_digest(self.graph, self.digest)

    def rows(self, items: Iterable[Item]) -> Generator[Rendered, None, None]:
        """Each item rendered, `batch` at a time; what fails in a batch is tried alone: others may be to blame."""
        if self.profile:
            yield from (self._profiled(item, self.profile) for item in items)
            return
        open_now: dict[int, _Job] = {}

        def signals() -> Iterator[Iterator[Mapping[str, Array]]]:
            for number, item in enumerate(items):
                open_now[number] = job = _Job(self.graph, item, self.targets(item), self._words(item))
                yield job.blocks()

        try:
            for number, part, ended in Batch(self.graph, self.batch).stream(signals()):
                job = open_now[number]
                row = job.fail(part) if isinstance(part, Exception) else job.write(part, ended)
                if row is None:
                    continue
                del open_now[number]
                if row.error and self.batch > 1:
                    (row,) = dataclasses.replace(self, batch=1).rows([job.item])
                yield row
        finally:
            for job in open_now.values():
                job.discard()

    def _profiled(self, item: Item, profile: Profile) -> Rendered:
        """One item rendered while a watch is held to every node."""
        job = _Job(self.graph, item, self.targets(item), self._words(item))
        try:
            session = profile.session()
            for block in job.blocks():
                job.write(session.push(**block), ended=False)
            row = job.write(session.flush(), ended=True)
        except Exception as error:
            return job.fail(error)
        finally:
            job.discard()
        assert row is not None
        return row

    def lost(self, item: Item, why: str) -> Rendered:
        """The row of an item that ended whoever worked on it."""
        return Rendered(item.id, item.path, error=f"{item.path}: {why}", **_look(item.path)._asdict())

    # ---- what belongs to an item ------------------------------------------------------------------------------------

    def targets(self, item: Item) -> dict[str, Path]:
        """The file of each output: all that is no audio goes into one."""
        audio = [name for name, stream in self.graph.outputs.items() if isinstance(stream, Audio)]
        targets = {}
        for name in self.graph.outputs:
            middle = f".{name}" if name in audio and len(audio) > 1 else ""
            targets[name] = self.out / f"{item.id}{middle}{self.suffix if name in audio else ARRAYS}"
        return targets

    def placed(self, item: Item) -> tuple[Path, ...]:
        """The files of an item, each once."""
        return tuple(dict.fromkeys(self.targets(item).values()))

    def line(self, item: Item, row: Rendered) -> dict[str, Any]:
        """The line of the ledger."""
        told: dict[str, Any] = {"id": item.id, "status": "failed" if row.error else "done"}
        told |= {"error": row.error} if row.error else {"audio_seconds": row.audio_seconds, "notes": row.notes}
        known = {"seconds": round(row.seconds, 6), "size": row.size, "mtime_ns": row.mtime_ns}
        return {**told, **known, "source": os.path.abspath(item.path), **self._constant(item)}

    def did(self, item: Item, line: Mapping[str, Any]) -> bool:
        """Whether a line of the ledger is of this work, done to this item."""
        now = {"source": os.path.abspath(item.path), **self._constant(item)}
        return all(line.get(name) == value for name, value in now.items())

    def is_there(self, item: Item) -> bool:
        """Whether all files of an item are there, and what is said of them."""
        return all(path.is_file() for path in (*self.placed(item), self._words(item).path))

    def in_place(self, item: Item) -> tuple[str, ...] | None:
        """The notes of an item if all its files are there, made by this graph of it, by a run that could not say so."""
        now = {"source": str(item.path), "input": _look(item.path)._asdict(), **self._constant(item)}
        try:
            said = json.loads(self._words(item).path.read_text())
            same = all(said[name] == value for name, value in now.items())
            return tuple(said["notes"]) if same and self.is_there(item) else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def check_items(self, items: Sequence[Item]) -> None:
        """Raise RequestError for items the graph does not take, and for names that meet."""
        for item in items:
            if item.path.suffix.lower() == ARRAYS:
                if not item.whole:
                    raise RequestError(f"{item.id}: parts and channels are of audio files; {item.path} is none")
            elif not self.graph.audio_input:
                found = ", ".join(f"{name}: {stream}" for name, stream in self.graph.inputs.items())
                raise RequestError(
                    f"an audio file is rendered by a graph with one audio input; this one takes {found}: give it "
                    f"{ARRAYS} files that hold these, not {item.path}"
                )
        check_targets(items, [{*self.placed(item), self._words(item).path} for item in items])

    def _words(self, item: Item) -> _Words:
        return _Words(self.out / f"{item.id}{WORDS_SUFFIX}", self.out, self._constant(item), self._told_of_graph)

    def _constant(self, item: Item) -> dict[str, Any]:
        """What is rendered how, without what it is rendered from."""
        part = {
            "start": str(item.start),
            "duration": None if item.duration is None else str(item.duration),
            "channel": item.channel,
        }
        return {"digest": self.digest, "format": self.suffix, **part}

    @cached_property
    def _told_of_graph(self) -> str:
        return json.dumps(self.graph.description, indent=1).replace("\n", "\n ")  # no string in JSON has a line end


def render_file(graph: Graph, source: Path | Item, targets: Mapping[str, Path]) -> Rendered:
    """Render one file or item, each output of the graph to its target; memory stays bounded if the graph streams."""
    job = _Job(graph, source if isinstance(source, Item) else Item(source.stem, source), targets)
    try:
        for _, part, ended in Batch(graph, 1).stream([job.blocks()]):
            row = job.fail(part) if isinstance(part, Exception) else job.write(part, ended)
    finally:
        job.discard()
    assert row is not None
    return row


@dataclass(frozen=True)
class _Words:
    """What is said beside the outputs of an item, and where: the same bytes each time."""

    path: Path
    folder: Path
    constant: Mapping[str, Any]
    graph: str  # the same for all: in JSON once

    def text(self, item: Item, looked: _Looked, notes: Sequence[str], outputs: Mapping[str, Any]) -> str:
        told = {"id": item.id, "source": str(item.path), "input": looked._asdict(), **self.constant}
        told |= {"notes": notes, "outputs": outputs}
        return f'{json.dumps(told, indent=1)[:-2]},\n "graph": {self.graph}\n}}\n'


class _Job:
    """One item on its way through the graph: where its blocks come from, and where its outputs go."""

    def __init__(self, graph: Graph, item: Item, targets: Mapping[str, Path], words: _Words | None = None) -> None:
        self.graph, self.item, self.targets, self.words = graph, item, targets, words
        self.sinks: _Sinks | None = None
        self.failure: Exception | None = None  # of a write, raised where the next block is asked for
        self.notes: list[str] = []
        self.begun, self.looked = time.perf_counter(), _look(item.path)

    def blocks(self) -> Iterator[Mapping[str, Array]]:
        """The blocks of the file, by input; what was done to them on the way is noted."""
        for block in self._read():
            yield block
            if self.failure:
                raise self.failure

    def _read(self) -> Iterator[Mapping[str, Array]]:
        item = self.item
        if item.path.suffix.lower() == ARRAYS:
            return ArraySource(item.path, self.graph.inputs).blocks()
        assert self.graph.audio_input  # looked at when the items were
        name, stream = self.graph.audio_input
        audio = item.open(stream)
        self.notes = audio.conversions
        return ({name: block} for block in audio.blocks())

    def write(self, outputs: Mapping[str, Array], ended: bool) -> Rendered | None:
        """Write a part of the outputs; after the last one put all files in place, and give the row."""
        if self.failure:
            return None
        try:
            if self.sinks is None:
                if self.words and self.words.path.parent != self.words.folder:
                    make_inside(self.words.folder, self.words.path.parent)
                self.sinks = _Sinks(self.graph, self.targets)
            self.sinks.write(outputs)
            return self._place() if ended else None
        except Exception as error:
            if ended:
                return self.fail(error)
            self.failure = error
            return None

    def fail(self, error: Exception) -> Rendered:
        """The row of what could not be rendered, for whatever reason. Nothing half-written stays."""
        self.discard()
        named = isinstance(error, FileError)  # it says of which file it speaks
        return self._row(error=describe_error(error) if named else f"{self.item.path}: {describe_error(error)}")

    def discard(self) -> None:
        if self.sinks:
            self.sinks.discard()
            self.sinks = None

    def _place(self) -> Rendered:
        assert self.sinks
        sinks, files = self.sinks, tuple(dict.fromkeys(self.targets.values()))
        sinks.close()
        notes = (*self.notes, *sinks.notes())
        part = None
        try:
            if self.words:
                part = AtomicFile(self.words.path)
                with part.attempt():
                    text = self.words.text(self.item, self.looked, notes, sinks.describe_outputs())
                    part.temporary.write_text(text, encoding="utf-8")
                    # All is on the disk before the first file is put in place. Nothing is said of them until all are:
                    # whoever is killed in between leaves none that pass for another's.
                    self.words.path.unlink(missing_ok=True)
            sinks.place()
            if part:
                part.place()
        finally:
            if part:
                part.discard()
        self.discard()
        return self._row(targets=files, notes=notes, audio_seconds=sinks.seconds)

    def _row(self, **known: Any) -> Rendered:
        seconds = time.perf_counter() - self.begun
        return Rendered(self.item.id, self.item.path, seconds=seconds, **self.looked._asdict(), **known)


class _Sinks:
    """Where the outputs of a graph go: all of them are whole before the first is put in place."""

    def __init__(self, graph: Graph, targets: Mapping[str, Path]) -> None:
        self.outputs, self.targets = dict(sorted(graph.outputs.items())), targets  # as in the digest: by name
        self.audio: dict[str, AudioSink] = {}
        self.arrays: ArraySink | None = None
        self._hashes = {name: hashlib.sha256() for name in self.outputs}
        self._counts = dict.fromkeys(self.outputs, 0)
        try:
            for name, stream in self.outputs.items():
                if isinstance(stream, Audio):
                    self.audio[name] = AudioSink(self.targets[name], stream)
            if rows := {name: stream for name, stream in self.outputs.items() if name not in self.audio}:
                self.arrays = ArraySink(self.targets[next(iter(rows))], rows)
        except BaseException:
            self.discard()
            raise

    def write(self, outputs: Mapping[str, Array]) -> None:
        for name, block in outputs.items():
            if name in self.audio:
                self.audio[name].write(block)
            elif self.arrays:
                self.arrays.write(name, block)
            self._hashes[name].update(np.ascontiguousarray(block).data)
            self._counts[name] += len(block)

    def close(self) -> None:
        """Bring all of them to the disk, before the first is put in place."""
        for sink in self._all():
            sink.close()

    def place(self) -> None:
        """Put all of them in place."""
        for sink in self._all():
            sink.place()

    def discard(self) -> None:
        """Leave nothing behind."""
        for sink in self._all():
            sink.discard()

    def _all(self) -> Iterator[AudioSink | ArraySink]:
        yield from self.audio.values()
        if self.arrays:
            yield self.arrays

    @property
    def seconds(self) -> float:
        """How long the longest output is."""
        return max(float(stream.seconds(self._counts[name])) for name, stream in self.outputs.items())

    def describe_outputs(self) -> dict[str, Any]:
        """Every output: its file, its stream, how many items it has, and the hash of these as they were computed."""
        return {
            name: {
                "file": self.targets[name].name,
                **stream_to_dict(stream),
                "items": self._counts[name],
                "sha256": self._hashes[name].hexdigest(),
            }
            for name, stream in self.outputs.items()
        }

    def notes(self) -> Iterator[str]:
        for name, sink in self.audio.items():
            if sink.clipped:
                yield f"{sink.clipped} samples of '{name}' beyond full scale were clipped"


def check_digest(graph: Graph, digest: str) -> None:
    """Raise RequestError where a graph is not the one it was where its digest was taken."""
    if graph.digest != digest:
        raise RequestError(
            "other code or other weights here than where the run was started: another version of dspgraph, of a "
            "plugin, of numpy, numba, scipy, soxr, torch or pysptk: install the same everywhere"
        )


def check_targets(items: Sequence[Item], each: Sequence[Set[Path]]) -> None:
    """Raise RequestError where the files of two items meet, or one of them is an input."""
    counts = Counter(path for paths in each for path in paths)
    if met := [path for path, count in counts.items() if count > 1]:
        target = min(met)
        same = [item for item, paths in zip(items, each, strict=True) if target in paths]
        if all(item == same[0] for item in same):
            raise RequestError(f"{same[0].path} is named {len(same)} times: name it once")
        more = f" and {len(same) - 3} more" if len(same) > 3 else ""
        found = f"{' and '.join(str(item.path) for item in same[:3])}{more}"
        raise RequestError(f"{found} would both be written to {target}: rename one or render them apart")
    originals = {os.path.realpath(item.path) for item in items}  # unlike resolve, it takes a link to itself
    folders = {parent: os.path.realpath(parent) for parent in {path.parent for paths in each for path in paths}}
    for paths in each:
        for target in sorted(paths):
            true = os.path.join(folders[target.parent], target.name)
            if (os.path.realpath(true) if os.path.islink(true) else true) in originals:
                raise RequestError(f"{target} would overwrite an input file: choose another folder")


class _Looked(NamedTuple):
    """By these a file is known again; -1 where there is none."""

    size: int
    mtime_ns: int


def _look(path: Path) -> _Looked:
    try:
        status = path.stat()
    except OSError:
        return _Looked(-1, -1)
    return _Looked(status.st_size, status.st_mtime_ns)


def _check_outputs(graph: Graph) -> None:
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


def make_inside(out: Path, folder: Path) -> None:
    """Make a folder in the folder of the outputs; FileError where a link leads out of it."""
    if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(out)):
        raise FileError(f"{folder} leads out of {out}, through a link: nothing is written there")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {folder} cannot be made: {error.strerror or error}") from None


def make_folder(out: Path) -> None:
    """Make a folder that can be written to, or raise RequestError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()  # it has no name: whoever is killed here leaves nothing
    except OSError as error:
        raise RequestError(
            f"the folder {out} cannot be written to: {error.strerror or error}: choose another"
        ) from None
