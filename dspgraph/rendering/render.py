"""Rendering a corpus with a graph. Every item has a result, even if others fail, and no file is half-written."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Set
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any, cast

from dspgraph.engine.batch import Batch
from dspgraph.engine.profile import Profile
from dspgraph.engine.profiler import Profiler
from dspgraph.errors import DspgraphError, FileError, RequestError, describe_error
from dspgraph.graph import Graph
from dspgraph.io.arrays import SUFFIX as ARRAYS
from dspgraph.io.arrays import ArraySource
from dspgraph.io.atomic import AtomicFile
from dspgraph.io.audio import AUDIO_SUFFIXES, open_item
from dspgraph.io.formats import AudioFormat, audio_format
from dspgraph.live.performance import is_control
from dspgraph.pipeline.file_values import Values, values_in
from dspgraph.pipeline.pipeline import Pipeline
from dspgraph.rendering.by_file import ItemsByFile, JobsByFile, items_by_file, note_graph
from dspgraph.rendering.command import Command
from dspgraph.rendering.corpus import gather
from dspgraph.rendering.executors.serial import Serial
from dspgraph.rendering.inputs import AlignedFiles, control_hint
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Executor, check_same, reader_provenance
from dspgraph.rendering.ledger import Ledger, ledger_line, sweep
from dspgraph.rendering.outputs import OutputFiles
from dspgraph.rendering.result import Rendered
from dspgraph.rendering.resume import earlier_refusal, earlier_result, is_current, other_result
from dspgraph.rendering.sidecar import SIDECAR_SUFFIX, Sidecar, file_stamp, item_settings
from dspgraph.rendering.system import check_system
from dspgraph.rendering.targets import check_outputs, check_targets, is_inside, make_folder, make_inside, output_paths
from dspgraph.streams import Array, Audio


def render(
    graph: Graph | Pipeline,
    files: Iterable[str | Path | Mapping[str, str | Path]],
    out: str | Path,
    suffix: str = ".flac",
    done: Callable[[Rendered], None] = lambda row: None,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    overwrite: bool = True,
    batch: int = 1,
    executor: Executor = Serial(),  # noqa: B008 it has no state
    profiler: Profiler | None = None,
    started: Callable[[int, int], None] = lambda due, cached: None,
    note: Callable[[str], None] = lambda text: None,
    command: Command = Command(),  # noqa: B008 it is immutable
    subtype: str = "",
) -> list[Rendered]:
    """Render files, folders, patterns and manifests (see `corpus.gather`) into the folder `out`.

    For each item, every audio output of the graph is written to an audio file; if there are several, the file name
    contains the name of the output. All other outputs are written to one .npz file. A .json file beside them, the
    sidecar, says what they are and what they were made from. An audio file is rendered by a graph with one input, which
    is audio; an .npz file holds an array for every input of the graph, by name. For a graph with several audio inputs,
    an entry of `files` is a mapping of their names to audio files; the first file decides the duration (see
    `rendering.inputs`).

    graph: a graph, or a `Pipeline`. If inputs of the pipeline are declared with the rate or the channels of the file,
    as in `{audio: file}`, one graph is made for each rate and number of channels in the headers of the files. An item
    has the same outputs and digest as if it was rendered alone with a pipeline that has these numbers. Its
    sidecar differs in the command alone.

    suffix, subtype: the format of the audio files, for instance ".wav" and "PCM_16" (see `formats.audio_format`);
    16-bit samples are dithered. batch: number of items computed together in one process, one step of each at a time.
    executor: where the work is done. Neither `batch` nor `executor` changes a sample. done: called with every result as
    soon as it is known; the results that are kept from an earlier run come first, before `started` is called. started:
    called once, with the number of items to render and the number of items that keep the result of an earlier run. The
    first number includes items that no job can do. note: called with remarks: on files that were left out (see
    `corpus.gather`) and, for a pipeline that takes rates or channels from the files, on its graphs (see
    `by_file.note_graph`). profiler: measures the time and memory of each node; at the end its profile covers all
    processes. command: the command line, for the ledger and the sidecars.

    An item that cannot be rendered has a result with its error; the other items are rendered. If all input files of a
    failed item exist, the outputs that an earlier run has written for that item are removed, so that nothing looks like
    its result. Every new result is appended to `ledger.jsonl` in `out`.

    resume: keep the result of an earlier run for every item that was rendered, or failed, with the same input, graph
    and settings (see `resume.earlier_result`). retry_failed: as `resume`, but render the items again that failed.
    overwrite: whether to replace results of another source, part of a file, graph or format; with False, such results
    raise RequestError, and so do files that no run has recorded, unless `resume` or `retry_failed` is true.

    Returns the results in the order of the items. Raises RequestError, before any item is rendered, for files that the
    graph does not take, for a format that cannot be written, for two items with the same output file, for an output
    that would overwrite an input, for a result that must not be replaced, and for a folder that cannot be written to.
    """
    check_system()
    folder = Path(out)
    if isinstance(graph, Pipeline) and not graph.wanted:
        graph = graph.graph
    if profiler:
        check_profile(graph)
    said: set[str] = set()

    def make(values: Values) -> RenderJob:
        made = graph if isinstance(graph, Graph) else graph.given(values).graph
        if values:
            note_graph(made, values, said, note)
        return RenderJob(made, folder, suffix, batch, profiler, command=command, subtype=subtype)

    wanted = () if isinstance(graph, Graph) else graph.wanted
    work = items_by_file(_gather(graph, files, folder, note), wanted, make)
    for item in work.items:
        work.job(item).check_item(item)
    check_targets(work.items, [work.job(item).all_files(item) for item in work.items])
    make_folder(folder)
    with Ledger(folder) as ledger:
        rows = _earlier_results(work, ledger, retry_failed) if resume or retry_failed else {}
        for row in rows.values():
            done(row)
        due = {item.id: item for item in work.items if item.id not in rows}
        if not overwrite:
            _check_replaced(work, ledger, due.values(), resume or retry_failed, graph)
        in_use = cache(lambda: _files_in_use(work))
        started(len(due), len(rows))
        try:
            with closing(executor.run(JobsByFile(work.jobs), work.due(rows))) as results:
                for result in chain(_refused(work, rows), results):
                    item = due[result.id]
                    row = work.job(item).without_stale_files(item, result, in_use) if result.error else result
                    ledger.append(work.ledger_line(item, work.job(item).ledger_line(item, row)))
                    rows[row.id] = row
                    done(row)
        finally:
            sweep(folder)  # unfinished files of killed workers
    return [rows[item.id] for item in work.items]


def _gather(
    graph: Graph | Pipeline,
    files: Iterable[str | Path | Mapping[str, str | Path]],
    out: Path,
    note: Callable[[str], None],
) -> list[Item]:
    """Return the items that `files` name, as `corpus.gather` does.

    Folders are searched for audio files if `graph` is a pipeline, or if its only input is audio; otherwise for .npz
    files. out, note: as in `corpus.gather`.
    """
    if isinstance(graph, Pipeline):
        names = tuple(graph.document.inputs)
        return gather(files, AUDIO_SUFFIXES, out, note, inputs=names if len(names) > 1 else ())
    several = () if graph.audio_input else tuple(graph.inputs)
    return gather(files, AUDIO_SUFFIXES if graph.audio_input else {ARRAYS}, out, note, inputs=several)


def check_profile(graph: Graph | Pipeline) -> None:
    """Raise RequestError if a pipeline takes rates or channels from the files: it has a graph for each set of these.

    A profile measures one graph only.
    """
    if isinstance(graph, Pipeline) and graph.wanted:
        raise RequestError("a profile is that of one graph, and here each rate of a file has its own: set the rate")


def _refused(work: ItemsByFile[RenderJob], earlier: Mapping[str, Rendered]) -> Iterator[Rendered]:
    """Yield a failed result for every item that no job can do; see `ItemsByFile.refused`.

    work: the items and the jobs of the run. earlier: id of an item -> result of an earlier run; these items are left
    out.
    """
    for item in work.items:
        if item.id not in earlier and (reason := work.refused.get(item.id)):
            yield Rendered(item.id, item.path, error=reason, **file_stamp(item.path)._asdict())


def _earlier_results(work: ItemsByFile[RenderJob], ledger: Ledger, retry_failed: bool) -> dict[str, Rendered]:
    """Return id of an item -> result of an earlier run, for the items whose results are still valid.

    work: the items and the jobs of the run. retry_failed: with True, a failed result is not valid. If a run was killed
    after it wrote the files of an item and before the line in the ledger, that line is written now.
    """
    rows: dict[str, Rendered] = {}
    for item in work.items:
        job = work.job(item)
        line, sidecar = ledger.row(item.id), job.sidecar(item)
        if reason := work.refused.get(item.id):
            if not retry_failed and (failed := earlier_refusal(line, sidecar, reason)):
                rows[item.id] = failed
            continue
        row = earlier_result(line, sidecar, job.output_files(item), retry_failed)
        if row is not None:
            rows[item.id] = row
            if not is_current(line, item, sidecar.settings):
                ledger.append(job.ledger_line(item, row))
    return rows


def _check_replaced(
    work: ItemsByFile[RenderJob],
    ledger: Ledger,
    items: Iterable[Item],
    resuming: bool,
    graph: Graph | Pipeline,
) -> None:
    """Raise RequestError if rendering the items would replace files that this run may not replace.

    A run may not replace results of another source, part of a file, graph or format. If the run does not continue an
    earlier run (resuming is False), it may not replace files that no run has recorded either. work: the items and the
    jobs of the run. items: the items that will be rendered. graph: the graph or pipeline with which the run renders. A
    pipeline may take rates and numbers of channels from the files. A result that it made while a file had other rates
    or channels counts as a result of the same graph, and may be replaced.
    """

    @cache
    def recipe(values: Values) -> str:
        try:
            return graph.given(values).graph.recipe if isinstance(graph, Pipeline) else graph.recipe
        except DspgraphError:
            return ""  # no result can have been made with these values

    def other(item: Item) -> str:
        job = work.job(item)
        line, files, sidecar = ledger.row(item.id), job.output_files(item), job.sidecar(item)

        def is_same(earlier: str) -> bool:
            if item.id not in work.refused and earlier == job.graph.recipe:
                return True
            if isinstance(graph, Graph):
                return False
            values = values_in(graph.wanted, sidecar.earlier_inputs())
            return values is not None and earlier == recipe(values)

        return other_result(line, sidecar, files, is_same, resuming)

    found = [(item.id, reason) for item in items if (reason := other(item))]
    if found:
        id, reason = found[0]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise RequestError(
            f"{ledger.path.parent} holds results of another run, which this run would replace: '{id}'{more}: {reason}: "
            "choose another folder, or give --overwrite to replace them"
        )


def _files_in_use(work: ItemsByFile[RenderJob]) -> Set[Path]:
    """Return the input files of all items of a run, with all links followed, and the output files of these items."""
    found: set[Path] = set()
    for item in work.items:
        found.update((*(Path(os.path.realpath(path)) for path in item.files), *work.job(item).output_files(item)))
    return found


@dataclass(frozen=True)
class RenderJob:
    """The job to render items with a graph into the folder `out`.

    suffix, subtype: the format of audio files. batch: the number of items that are computed together. profiler:
    measures the nodes, if it is given. digest, reader: the digest of the graph, and the versions of the code that reads
    audio files, in the process that made the job; `check` compares them with the digest and versions in the process
    that runs the job. command: the command line that started the run. The constructor raises RequestError for settings
    that are out of bounds, and for an output that cannot be written.
    """

    graph: Graph
    out: Path
    suffix: str = ".flac"
    batch: int = 1
    profiler: Profiler | None = None
    digest: str = ""  # the digest of the graph in the process that made the job
    reader: Mapping[str, str] = field(default_factory=reader_provenance)  # the code of the readers there
    command: Command = Command()  # noqa: RUF009 it is immutable
    subtype: str = ""  # the type of the samples in audio files; "": the default of the suffix

    def __post_init__(self) -> None:
        audio_format(self.suffix, self.subtype)
        if self.batch < 1:
            raise RequestError(f"a batch has at least 1 place; found {self.batch}")
        check_outputs(self.graph)
        if not self.digest:
            object.__setattr__(self, "digest", self.graph.digest)

    # ---- the job of an executor -------------------------------------------------------------------------------------

    @property
    def open_items(self) -> int:
        """The largest number of items that are open at the same time."""
        return self.batch

    def check(self) -> None:
        """Raise RequestError unless `digest` and `reader` would be the same if the job was made in this process."""
        check_same(self.graph.digest, self.digest)
        check_same(reader_provenance(), self.reader)

    def run(self, items: Iterable[Item]) -> Generator[Rendered, None, None]:
        """Yield the result of every item, in the order in which they end. Up to `batch` items are rendered together.

        An item that fails in a batch is rendered again alone, because another item of the batch may be the cause. The
        items must be those that `check_item` accepts.
        """
        open_now: dict[int, _ItemRun] = {}

        def signals() -> Iterator[Iterator[Mapping[str, Array]]]:
            for number, item in enumerate(items):
                open_now[number] = run = self._item_run(item)
                yield self.profiler.blocks(run.blocks()) if self.profiler else run.blocks()

        plan = self.profiler.plan if self.profiler else None
        try:
            for number, part, ended in Batch(self.graph, self.batch, plan).stream(signals()):
                run = open_now[number]
                row = run.fail(part) if isinstance(part, Exception) else run.write(part, ended)
                if row is None:
                    continue
                del open_now[number]
                if row.error and self.batch > 1:
                    (row,) = dataclasses.replace(self, batch=1).run([run.item])
                yield row
        finally:
            for run in open_now.values():
                run.discard()

    def failed_result(self, item: Item, reason: str) -> Rendered:
        """Return the failed result of an item whose worker died or whose timeout expired. reason: what happened."""
        return Rendered(item.id, item.path, error=f"{item.path}: {reason}", **file_stamp(item.path)._asdict())

    def summary(self) -> Profile | None:
        """Return the profile of everything since the last call, and begin an empty one; None without a profiler."""
        return self.profiler.take() if self.profiler else None

    def add_summary(self, value: Profile | None) -> None:
        """Add the profile of a worker process to the profile of this process. Without a profiler, do nothing."""
        if self.profiler and value:
            self.profiler.profile.merge(value)

    # ---- the files of an item ---------------------------------------------------------------------------------------

    def targets(self, item: Item) -> dict[str, Path]:
        """Return name of an output -> file, for all outputs of an item."""
        return output_paths(self.graph, self.out, item.id, self.suffix)

    def output_files(self, item: Item) -> tuple[Path, ...]:
        """Return the output files of an item. A file that several outputs share is named once."""
        return tuple(dict.fromkeys(self.targets(item).values()))

    def all_files(self, item: Item) -> set[Path]:
        """Return the output files of an item and its sidecar."""
        return {*self.output_files(item), self.sidecar(item).path}

    def sidecar(self, item: Item) -> Sidecar:
        """Return the sidecar that this job writes for an item. Its file may exist or not."""
        path = self.out / f"{item.id}{SIDECAR_SUFFIX}"
        return Sidecar(path, item, self.settings(item), self._graph_json, self.command.settings)

    def ledger_line(self, item: Item, row: Rendered) -> dict[str, Any]:
        """Return the line of the ledger for `row`, the result of an item."""
        return ledger_line(item, self.settings(item), self.graph.recipe, row, self.command.line)

    def settings(self, item: Item) -> dict[str, Any]:
        """Return everything on which the outputs depend, except the id of the item and the content of its file."""
        return item_settings(item, self.digest, self.reader, self.form)

    @property
    def form(self) -> AudioFormat:
        """The format of the audio outputs."""
        return audio_format(self.suffix, self.subtype)

    @cached_property
    def _graph_json(self) -> str:
        # Line ends inside strings are escaped in JSON, so that this changes only the indentation.
        return json.dumps(self.graph.description, indent=1).replace("\n", "\n ")

    def without_stale_files(self, item: Item, row: Rendered, in_use: Callable[[], Set[Path]]) -> Rendered:
        """Remove the files that an earlier run has written for an item that has failed now; return the item's result.

        The files are those that the sidecar of the earlier run names, and the sidecar itself. Nothing is removed if an
        input file does not exist: if a disk is not mounted, its old results must not be deleted. Nothing is removed
        either if there is no sidecar of this item, or if a link leads from its folder out of the output folder. If a
        file cannot be removed, the error of the returned result says so.

        row: the failed result. in_use: a function that returns the input and output files of the run. It is called only
        if the sidecar names files that this run would not write for the item. Such a file is kept if it is in use.
        """
        sidecar = self.sidecar(item)
        if row.size < 0 or any(file_stamp(path).size < 0 for path in item.files):
            return row
        if not is_inside(self.out, sidecar.path.parent) or (names := sidecar.files()) is None:
            return row
        own = self.output_files(item)
        try:
            for path in (sidecar.path.with_name(name) for name in sorted(names)):
                if path in own or not {path, Path(os.path.realpath(path))} & in_use():
                    path.unlink(missing_ok=True)
            # The sidecar is removed last: if this process is killed before, it still names the files that remain.
            sidecar.path.unlink(missing_ok=True)
        except OSError as error:
            return dataclasses.replace(
                row, error=f"{row.error}; {error.filename}, of an earlier run, cannot be removed: {error.strerror}"
            )
        return row

    # ---- checks -----------------------------------------------------------------------------------------------------

    def check_item(self, item: Item) -> None:
        """Raise RequestError for an item that the graph does not take. The file of the item is not opened."""
        if item.inputs:
            self._check_inputs(item)
        elif item.path.suffix.lower() == ARRAYS:
            if not item.is_whole_file:
                raise RequestError(
                    f"{item.id}: start, duration and channel are for audio files; {item.path} is not one"
                )
        elif not self.graph.audio_input:
            found = ", ".join(f"{name}: {stream}" for name, stream in self.graph.inputs.items())
            way = f"give it {ARRAYS} files that hold these, not audio"
            if hint := control_hint(name for name, stream in self.graph.inputs.items() if is_control(stream)):
                way = f"{hint}, or {way}"
            elif all(isinstance(stream, Audio) for stream in self.graph.inputs.values()):
                way = f"name the input of each file, as in {next(iter(self.graph.inputs))}={item.path}, or {way}"
            raise RequestError(
                f"an audio file is rendered by a graph with one audio input; this one takes {found}: {way}"
            )

    def _check_inputs(self, item: Item) -> None:
        """Raise RequestError unless the item has a whole file for every input, and every input of the graph is audio.

        The files are not opened.
        """
        given = [name for name, _ in item.inputs]
        other = [name for name, stream in self.graph.inputs.items() if not isinstance(stream, Audio)]
        if set(given) != self.graph.inputs.keys() or len(set(given)) < len(given) or other:
            takes = ", ".join(f"{name}: {stream}" for name, stream in self.graph.inputs.items())
            raise RequestError(
                f"{item.id}: the graph takes {takes}; found files for {', '.join(given)}: give one audio file for each "
                f"input{f', and {ARRAYS} files if one is not audio' if other else ''}"
            )
        if not item.is_whole_file:
            raise RequestError(f"{item.id}: start, duration and channel are for items with one file: leave them out")

    def _item_run(self, item: Item) -> _ItemRun:
        return _ItemRun(self.graph, item, self.targets(item), self.out, self.sidecar(item), self.form)


def render_file(graph: Graph, source: Path | Item, targets: Mapping[str, Path]) -> Rendered:
    """Render one file or item with a graph, and return its result. No sidecar and no line in the ledger is written.

    source: the file or item, which must be one that `RenderJob.check_item` accepts: this is not checked here. targets:
    name of every output -> file, in a folder that exists; older files are replaced, and the suffix decides the format
    of an audio file. All outputs that are not audio have the same file. If rendering fails, nothing is raised: the
    result has the error. Memory does not grow with the length of the input, unless a node needs the whole signal.
    """
    item = source if isinstance(source, Item) else Item(source.stem, source)
    run = _ItemRun(graph, item, targets)
    try:
        for _, part, ended in Batch(graph, 1).stream([run.blocks()]):
            row = run.fail(part) if isinstance(part, Exception) else run.write(part, ended)
    finally:
        run.discard()
    assert row is not None
    return row


class _ItemRun:
    """The rendering of one item: reads the blocks of its input, and writes the blocks of its outputs to `targets`.

    The caller runs the graph: it takes the input from `blocks`, and gives each part of the outputs to `write`, or the
    error to `fail`. out, sidecar: the output folder and the sidecar to write; with None, no sidecar is written. form:
    the format of audio files; by default, the suffix of each target decides.
    """

    def __init__(
        self,
        graph: Graph,
        item: Item,
        targets: Mapping[str, Path],
        out: Path | None = None,
        sidecar: Sidecar | None = None,
        form: AudioFormat | None = None,
    ) -> None:
        self.graph, self.item, self.targets, self.out, self.sidecar = graph, item, targets, out, sidecar
        self.form = form
        self.files: OutputFiles | None = None
        self.failure: Exception | None = None  # an error in `write`, which `blocks` raises before the next block
        self.notes: list[str] = []
        self.begun, self.stamp = time.perf_counter(), file_stamp(item.path)

    def blocks(self) -> Iterator[Mapping[str, Array]]:
        """Yield the blocks of the input file: name of an input -> array. The file is opened for the first block.

        Raises FileError if the file cannot be read, and the error of an earlier call of `write`.
        """
        for block in self._read():
            yield block
            if self.failure:
                raise self.failure

    def _read(self) -> Iterator[Mapping[str, Array]]:
        if self.item.inputs:
            streams = self.graph.inputs
            files = AlignedFiles({name: (path, cast(Audio, streams[name])) for name, path in self.item.inputs})
            self.notes = files.notes
            return files.blocks()
        if self.item.path.suffix.lower() == ARRAYS:
            return ArraySource(self.item.path, self.graph.inputs).blocks()
        assert self.graph.audio_input  # RenderJob.check_item has checked it
        name, stream = self.graph.audio_input
        audio = open_item(self.item, stream)
        self.notes = audio.conversions
        return ({name: block} for block in audio.blocks())

    def write(self, outputs: Mapping[str, Array], ended: bool) -> Rendered | None:
        """Write a block of every output, and return None; after the last block (`ended`), return the result.

        outputs: name of an output -> block.

        Before the result is returned, all files get their final names. If the last block cannot be written, the result
        says that the item failed. If an earlier block cannot be written, None is returned, and `blocks` raises the
        error when its next block is asked for.
        """
        if self.failure:
            return None
        try:
            if self.files is None:
                if self.sidecar and self.out and self.sidecar.path.parent != self.out:
                    make_inside(self.out, self.sidecar.path.parent)
                self.files = OutputFiles(self.graph, self.targets, self.item.id, self.form)
            self.files.write(outputs)
            return self._place(self.files) if ended else None
        except Exception as error:
            if ended:
                return self.fail(error)
            self.failure = error
            return None

    def fail(self, error: Exception) -> Rendered:
        """Return the failed result for an error, and remove the files that have no final name."""
        self.discard()
        message = describe_error(error)
        if isinstance(error, FileError):
            return self._row(error=f"{message}{self.item.missing_hint()}")
        return self._row(error=f"{self.item.path}: {message}")

    def discard(self) -> None:
        """Remove the files that have no final name."""
        if self.files:
            self.files.discard()
            self.files = None

    def _place(self, files: OutputFiles) -> Rendered:
        files.close()
        notes = (*self.notes, *files.notes())
        part = None
        try:
            if self.sidecar:
                part = AtomicFile(self.sidecar.path)
                with part.attempt():
                    part.temporary.write_text(self.sidecar.text(self.stamp, notes, files.describe()), encoding="utf-8")
                    # All files are complete now, under temporary names. The old sidecar is removed before they get
                    # their final names, and the new sidecar gets its name after them: if the process is killed in
                    # between, there is no sidecar that describes the files of another run.
                    self.sidecar.path.unlink(missing_ok=True)
            files.place()
            if part:
                part.place()
        finally:
            if part:
                part.discard()
        self.discard()
        targets = tuple(dict.fromkeys(self.targets.values()))
        return self._row(targets=targets, notes=notes, audio_seconds=files.seconds)

    def _row(self, **fields: Any) -> Rendered:
        seconds = time.perf_counter() - self.begun
        return Rendered(self.item.id, self.item.path, seconds=seconds, **self.stamp._asdict(), **fields)
