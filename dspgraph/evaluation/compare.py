"""Comparison of graphs: all render the same recordings, metrics measure the results, and a page plays the results."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from dspgraph.diagram.formats import FORMATS
from dspgraph.errors import FileError, RequestError, describe_error
from dspgraph.evaluation import metrics
from dspgraph.evaluation.compared import Compared, compared_line, earlier_compared
from dspgraph.evaluation.listening import ANCHOR, REFERENCE
from dspgraph.evaluation.metrics import F0_RANGE
from dspgraph.evaluation.report import write_page
from dspgraph.evaluation.results import JSON as RESULTS
from dspgraph.evaluation.results import TABLE, Metric, Recording, Results, Score, Variant, earlier_results, write
from dspgraph.evaluation.variants import Choice, NoGraph, OpenChoice
from dspgraph.graph import Graph
from dspgraph.io.arrays import SUFFIX as ARRAYS
from dspgraph.io.audio import AUDIO_SUFFIXES, AudioSource
from dspgraph.io.formats import audio_format, has_file_rate
from dspgraph.pipeline.file_values import Values, describe_values
from dspgraph.rendering.by_file import ItemsByFile, JobsByFile, items_by_file, note_graph
from dspgraph.rendering.command import Command
from dspgraph.rendering.corpus import gather
from dspgraph.rendering.executors.serial import Serial
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Executor, check_same, code_provenance, reader_provenance
from dspgraph.rendering.ledger import Ledger, is_comparison, sweep
from dspgraph.rendering.render import render_file
from dspgraph.rendering.result import Rendered
from dspgraph.rendering.sidecar import FileStamp, file_stamp, item_settings
from dspgraph.rendering.system import check_system
from dspgraph.rendering.targets import check_targets, is_inside, make_folder, make_inside
from dspgraph.streams import Array, Audio
from dspgraph.wiring.merge import merge

AUDIO, PAGE = "audio", "report.html"

_SUFFIX = ".flac"
"""The suffix of the audio files."""

LONGEST = 100
"""Largest number of characters that the name of a folder takes from the name of a choice, which may contain a path."""


def compare(
    choices: Sequence[Choice | OpenChoice],
    files: Iterable[str | Path],
    out: str | Path,
    title: str,
    about: str = "",
    names: Sequence[str] | None = None,
    *,
    f0_range: tuple[float, float] = F0_RANGE,
    metric_files: Sequence[str | Path] = (),
    executor: Executor = Serial(),  # noqa: B008 it has no state
    assets: bool = False,
    overwrite: bool = True,
    resume: bool = False,
    started: Callable[[int, int], None] = lambda due, cached: None,
    done: Callable[[Compared], None] = lambda row: None,
    note: Callable[[str], None] = lambda text: None,
    command: Command = Command(),  # noqa: B008 it is immutable
) -> Results:
    """Render recordings with all choices, measure the results, write them into the folder `out`, and return them.

    The folder gets the rendered sounds in `audio/`, the result of every recording in ledger.jsonl, the scores in
    results.csv and results.json, and the page in report.html. A choice that fails for a recording has a score with the
    error; the other choices are not affected.

    choices: graphs; for an `OpenChoice`, one graph is made for each rate and number of channels in the headers of the
    files. files: as `corpus.gather` takes them. title, about: name and description of the pipeline, for the page.
    names: the names of the metrics; by default, and if it is empty, all, also those of `metric_files`. f0_range: lowest
    and highest pitch that metrics of pitch look for, Hz. metric_files: Python files with more metrics (see
    `metrics.known`). executor: where the work is done. assets: write the sounds and pictures of the page to files
    beside it, not into the page. overwrite: whether the results of any other run in `out` may be replaced; with False,
    RequestError is raised if a variant, a recording or a metric of another comparison, or a result of `render`, would
    be lost. resume: keep the audio and the scores of an earlier run for each recording that had no error, if the file,
    the graphs and the metrics are the same (see `compared.earlier_compared`); the results are those of a run that
    compares all. started: called once, with the number of recordings to compare and the number of recordings that keep
    their results. done: called with the result of each recording as soon as it is known. note: called with remarks: on
    files that were left out (see `corpus.gather`) and, for an `OpenChoice`, on its graphs (see `by_file.note_graph`).
    command: the command line, for the ledger, the results and the page.

    Raises RequestError, before anything is rendered, for choices and files that cannot be compared and for results that
    must not be replaced, and UnknownName for a metric that does not exist.
    """
    check_system()
    metrics.check_names(names or (), metric_files)
    metrics.check_f0_range(f0_range)
    wanted = tuple(dict.fromkeys(names or metrics.known(metric_files)))
    own = tuple(Path(os.path.realpath(path)) for path in metric_files)
    items = gather(files, AUDIO_SUFFIXES, Path(out), note)
    for item in items:
        if item.path.suffix.lower() == ARRAYS:
            raise RequestError(f"only audio can be compared; found {item.path}: render it to audio first")

    said: set[str] = set()

    def make(values: Values) -> CompareJob:
        given = tuple(one.given(values) if isinstance(one, OpenChoice) else one for one in choices)
        for choice, one in zip(choices, given, strict=True):
            if isinstance(choice, OpenChoice) and isinstance(one, Choice):
                note_graph(one.graph, values, said, note)
        return CompareJob(given, Path(out), wanted, f0_range, own)

    from_file = [one for choice in choices if isinstance(choice, OpenChoice) for one in choice.pipeline.wanted]
    work = items_by_file(items, from_file, make)
    _check_choices(work)
    check_targets(work.items, [{*work.job(item).audio_files(item).values()} for item in work.items])
    make_folder(Path(out))
    with Ledger(Path(out)) as ledger:
        if not overwrite:
            _check_replaced(work, {choice.name: choice.recipe for choice in choices}, ledger)
        rows = _earlier_rows(work, ledger) if resume else {}
        for row in rows.values():
            done(row)
        started(len(items) - len(rows), len(rows))
        rows |= _run(work, rows, ledger, executor, done, command)
        results = _results(work, choices, rows, title, about, command)
        write(results, Path(out))
        _write_page(work, rows, results, assets)
    return results


def _check_choices(work: ItemsByFile[CompareJob]) -> None:
    """Raise RequestError for a choice that has no graph for any recording. work: the recordings and jobs.

    If no recording can be read, it is not known which graphs there would be, and nothing is raised.
    """
    if len(work.refused) == len(work.items):
        return
    for same in zip(*(job.choices for job in work.jobs.values()), strict=True):
        without = [one for one in same if isinstance(one, NoGraph)]
        if len(without) == len(same):
            raise RequestError(f"'{without[0].name}' cannot be compared: {without[0].reason}")


def _check_replaced(work: ItemsByFile[CompareJob], now: Mapping[str, str], ledger: Ledger) -> None:
    """Raise RequestError if results of an earlier run in the output folder would be lost.

    An earlier comparison may be replaced if this comparison has all its recordings (ids, from the same files), variants
    (names, with the same recipes) and metrics. Variants whose recipe was not stored are not looked at. Results of
    `render`, and files of other programs with the names of results, may not be replaced. work: the recordings and jobs
    of this comparison. now: name of a choice -> its recipe. ledger: of the output folder.
    """
    items, job = work.items, work.any_job
    known = earlier_results(job.out / RESULTS)
    if known is None:
        for path in (job.out / name for name in (RESULTS, TABLE, PAGE)):
            if os.path.lexists(path):
                raise RequestError(f"{path} is not the result of a comparison: choose another folder, or move it away")
    recordings, variants, metric_names = known or ([], {}, [])
    lost = [f"the variant '{name}'" for name, recipe in variants.items() if recipe not in ("", now.get(name))]
    lost += [f"the metric '{name}'" for name in metric_names if name not in job.metrics]
    lost += [f"the recording '{id}'" for id in recordings if id not in {item.id for item in items}]
    for item in items:
        row = ledger.row(item.id) or {}
        source = row.get("source")
        if row and not is_comparison(row):
            lost.append(f"'{item.id}', which was rendered and not compared")
        elif item.id in recordings and source not in (None, os.path.abspath(item.path)):
            lost.append(f"the recording '{item.id}' of {source}")
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise RequestError(
            f"{job.out} holds the results of another run, which this comparison would replace: {lost[0]}{more}: choose "
            "another folder, or give --overwrite to replace them"
        )


def _earlier_rows(work: ItemsByFile[CompareJob], ledger: Ledger) -> dict[str, Compared]:
    """Return id of a recording -> result of an earlier run, for the recordings that need not be compared again."""
    found = (
        earlier_compared(ledger.row(item.id), item, work.job(item).settings(item), work.job(item).audio_files(item))
        for item in work.items
        if item.id not in work.refused
    )
    return {row.id: row for row in found if row is not None}


def _run(
    work: ItemsByFile[CompareJob],
    earlier: Mapping[str, Compared],
    ledger: Ledger,
    executor: Executor,
    done: Callable[[Compared], None],
    command: Command,
) -> dict[str, Compared]:
    """Compare the recordings that have no earlier result. Return id -> result, for these recordings only.

    earlier: id of a recording -> earlier result. As soon as a new result is known, audio files of earlier runs are
    removed for the choices that failed, the result is appended to the ledger, and `done` is called with it. A recording
    for which no graph can be made has a failed result.
    """
    out = work.any_job.out
    items = [item for item in work.items if item.id not in earlier]
    rows: dict[str, Compared] = {}
    inputs = {item.id: item for item in items}
    # Files that exist before the run, and that no line of the ledger names, were not made by dspgraph: they are kept.
    older = {item.id: _files_of_earlier_runs(ledger, item) for item in items}
    foreign = {
        path
        for item in items
        for path in work.job(item).audio_files(item).values()
        if str(path.relative_to(out)) not in older[item.id] and os.path.lexists(path)
    }
    try:
        with closing(executor.run(JobsByFile(work.jobs), work.due(earlier))) as found:
            for result in chain(_refused(work), found):
                item, job = inputs[result.id], work.job(inputs[result.id])
                row = job.without_stale_files(item, result, foreign)
                rows[row.id] = row
                written = {str(job.audio_file(item, name).relative_to(out)) for name in row.audio}
                kept = sorted(name for name in older[row.id] | written if os.path.lexists(out / name))
                line = work.ledger_line(item, compared_line(item, job.settings(item), row, job.audio_files(item)))
                said = {"command": command.line} if command.line else {}
                ledger.append({**line, "files": kept, **said})
                done(row)
    finally:
        sweep(out)
    return rows


def _refused(work: ItemsByFile[CompareJob]) -> Iterator[Compared]:
    """Yield a failed result for each recording for which no graph can be made.

    The reason may be its rate, its number of channels, or a file that cannot be read.
    """
    for item in work.items:
        if reason := work.refused.get(item.id):
            yield Compared(item.id, str(item.path), error=reason, input_exists=file_stamp(item.path).size >= 0)


def _files_of_earlier_runs(ledger: Ledger, item: Item) -> set[str]:
    """Return the audio files of a recording that earlier comparisons have written, as the ledger lists them.

    Paths are relative to the output folder.
    """
    files = (ledger.row(item.id) or {}).get("files")
    return {name for name in files if isinstance(name, str)} if isinstance(files, list) else set()


def _results(
    work: ItemsByFile[CompareJob],
    choices: Sequence[Choice | OpenChoice],
    rows: Mapping[str, Compared],
    title: str,
    about: str,
    command: Command,
) -> Results:
    job = work.any_job
    graphs = [_graphs(work, choice.name) for choice in choices]
    digests = [_digest({graph.digest for graph in each}) for each in graphs]
    return Results(
        title,
        about,
        [
            Variant(one.name, digest, dict(one.swaps), list(one.overrides), one.recipe)
            for one, digest in zip(choices, digests, strict=True)
        ],
        [Recording(item.id, str(item.path), rows[item.id].seconds) for item in work.items],
        job.described,
        [score for item in work.items for score in _scores(rows[item.id], job.choices)],
        job.stages if all(one.stages == job.stages for one in work.jobs.values()) else {},
        command.settings,
    )


def _graphs(work: ItemsByFile[CompareJob], name: str) -> list[Graph]:
    """Return the graphs of the choice `name`, one for each job that has a graph for it."""
    return [choice.graph for job in work.jobs.values() for choice in job.made if choice.name == name]


def _digest(digests: Set[str]) -> str:
    """Return the digest of a variant: that of its graph or, if it has several graphs or none, a hash of their digests.

    digests: the digests of its graphs. A variant has several graphs if files have different rates or numbers of
    channels, and none if no graph can be made for any file that can be read.
    """
    if len(digests) == 1:
        return next(iter(digests))
    return hashlib.sha256(json.dumps(sorted(digests)).encode()).hexdigest()


def _scores(row: Compared, choices: Sequence[Choice | NoGraph]) -> Sequence[Score]:
    """Return one score for each choice. If the recording failed as a whole, every score has the error."""
    return row.scores or [Score(row.id, choice.name, {}, row.error) for choice in choices]


def _write_page(work: ItemsByFile[CompareJob], rows: Mapping[str, Compared], results: Results, assets: bool) -> None:
    items, job = work.items, work.any_job
    audio = {
        (score.recording, score.variant): job.audio_file(item, score.variant)
        for item in items
        for score in rows[item.id].scores
        if not score.error
    }
    reference = {item.id: job.audio_file(item, REFERENCE) for item in items if not rows[item.id].error}
    graphs = {one.name: FORMATS["svg"](found[0]) for one in job.choices if (found := _graphs(work, one.name))}
    write_page(results, audio, reference, graphs, job.out / PAGE, assets)


# ---- the job --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompareJob:
    """The job to render recordings with several graphs and to measure the results.

    choices: the graphs, with their names; a choice without a graph for these recordings gets a score with the reason,
    and one choice at least has a graph. out: the folder for audio and results. metrics: the names of the metrics.
    f0_range: the range of the pitch in Hz. metric_files: Python files with more metrics. reader: the versions of the
    code that reads audio files, in the process that made the job. Making the job raises RequestError if the choices
    cannot be compared.
    """

    choices: tuple[Choice | NoGraph, ...]
    out: Path
    metrics: tuple[str, ...]
    f0_range: tuple[float, float] = F0_RANGE
    metric_files: tuple[Path, ...] = ()
    reader: Mapping[str, str] = field(default_factory=reader_provenance)  # where the job was made

    def __post_init__(self) -> None:
        if not self.choices:
            raise RequestError("a comparison needs at least one variant; found none")
        twice = [name for name, count in Counter([*self.names, ANCHOR]).items() if count > 1]
        if twice:
            raise RequestError(
                f"each variant needs a name of its own, other than '{REFERENCE}' and '{ANCHOR}' (of blind tests); "
                f"found {', '.join(twice)} twice: rename one"
            )
        if not self.made:
            raise RequestError("; ".join(f"'{name}' cannot be compared: {why}" for name, why in self._without.items()))
        for choice in self.made:
            for stream in (choice.input, choice.graph.outputs[choice.output]):
                assert isinstance(stream, Audio)
                _check_rate(choice.name, stream)
        _ = self._merged, self.described  # computed now, in the process that makes the job

    # ---- the job of an executor -------------------------------------------------------------------------------------

    @property
    def open_items(self) -> int:
        """The largest number of recordings that are open at the same time."""
        return 1

    def check(self) -> None:
        """Raise RequestError if this process would not get the same results as the process that made the job."""
        check_same(reader_provenance(), self.reader)
        check_same(metrics.descriptions(self.metrics, self.f0_range, self.metric_files), self.described)
        for whole, digest in self._merged.values():
            check_same(whole.digest, digest)

    def run(self, items: Iterable[Item]) -> Generator[Compared, None, None]:
        """Yield the result of every recording, rendered with all graphs and measured. Errors are in the results."""
        for item in items:
            yield self._compare(item)

    def failed_result(self, item: Item, reason: str) -> Compared:
        """Return the failed result of a recording whose worker died or whose timeout expired. reason: what happened."""
        exists = file_stamp(item.path).size >= 0
        return Compared(item.id, str(item.path), error=f"{item.path}: {reason}", input_exists=exists)

    @cached_property
    def made(self) -> list[Choice]:
        """The choices that have a graph."""
        return [choice for choice in self.choices if isinstance(choice, Choice)]

    @cached_property
    def _without(self) -> dict[str, str]:
        """Name of a choice that has no graph -> the reason."""
        return {choice.name: choice.reason for choice in self.choices if isinstance(choice, NoGraph)}

    @cached_property
    def described(self) -> list[Metric]:
        """The descriptions of the metrics. The settings of a metric from a user's own file have a hash of its code."""
        return metrics.descriptions(self.metrics, self.f0_range, self.metric_files)

    def settings(self, item: Item) -> dict[str, Any]:
        """Return everything on which the result of an item depends, except the content of its input file."""
        return item_settings(item, self.digest, self.reader, audio_format(_SUFFIX))

    @cached_property
    def digest(self) -> str:
        """A hash of all choices, and of the metrics with their code.

        Of a choice it has the name, the graph and the name of the output, or the name and why there is no graph.
        """
        graphs = [[choice.name, choice.graph.digest, choice.output] for choice in self.made]
        code = code_provenance("dspgraph.evaluation.metrics")
        text = json.dumps([graphs, *self._without.items(), [asdict(metric) for metric in self.described], code])
        return hashlib.sha256(text.encode()).hexdigest()

    # ---- files ------------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The names under which sounds are written: REFERENCE, then the names of the choices.

        Copies of the recordings are written under REFERENCE, at the highest sample rate that a choice takes, with the
        largest number of channels that a choice takes at this rate.
        """
        return [REFERENCE, *(choice.name for choice in self.choices)]

    def audio_file(self, item: Item, name: str) -> Path:
        """Return the audio file of the recording `item` under `name`: REFERENCE, or the name of a choice."""
        return _audio_file(self.out, self._folders[name], item.id)

    def audio_files(self, item: Item) -> dict[str, Path]:
        """Return name -> audio file of the recording `item`, for REFERENCE and the names of all choices."""
        return audio_files(self.out, self.names, item.id)

    @cached_property
    def _folders(self) -> dict[str, str]:
        return _folders(self.names)

    def without_stale_files(self, item: Item, row: Compared, foreign: Set[Path]) -> Compared:
        """Remove the audio files of earlier runs for the choices that failed; return the result of the recording.

        If the recording failed as a whole, the files of all choices and of the reference are removed. Nothing is
        removed if the input file does not exist: if a disk is not mounted, its old results must not be deleted. If a
        file cannot be removed, the error of its choice (or of the recording) in the returned result says so too. row:
        the result, which is not changed. foreign: files that no comparison has written; they are kept.
        """
        if not row.input_exists:
            return row
        failed = [name for name in self.names if name not in row.audio]
        added = {name: self._remove(path) for name in failed if (path := self.audio_file(item, name)) not in foreign}
        if row.error:
            return replace(row, error=row.error + next(filter(None, added.values()), ""))
        scores = (replace(one, error=one.error + added.get(one.variant, "")) for one in row.scores)
        return replace(row, scores=tuple(scores))

    def _remove(self, path: Path) -> str:
        """Remove an earlier audio file, if it exists. Return "", or the end of an error message if that fails.

        A file to which a link leads out of the output folder is not removed; the result is then "" too.
        """
        if is_inside(self.out, path.parent):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                return f"; {path}, of an earlier run, cannot be removed: {error.strerror}"
        return ""

    # ---- graphs -----------------------------------------------------------------------------------------------------

    @property
    def stages(self) -> dict[str, int]:
        """The number of stages of all graphs ("asked"), and the number of stages that are computed ("computed").

        A stage is a node of a graph that runs. If several choices share a stage, "asked" counts it once for each of
        them, and "computed" counts it once.
        """
        asked = sum(len(choice.graph.order) for choice in self.made)
        return {"asked": asked, "computed": sum(len(whole.order) for whole, _ in self._merged.values())}

    @cached_property
    def _single(self) -> dict[str, Graph]:
        """Name of a choice -> its graph with one output only, called `y`: the output that is compared."""
        return {
            choice.name: choice.graph.evolve(outputs={"y": choice.graph.origins[choice.output]}) for choice in self.made
        }

    @cached_property
    def _merged(self) -> dict[tuple[str, ...], tuple[Graph, str]]:
        """Names of choices that have equal inputs and seeds -> (one merged graph of these choices, its digest).

        Stages that several choices share are computed once in the merged graph. Its outputs are "v0/y", "v1/y" ..., in
        the order of the names. Choices without a graph are left out.
        """
        groups: dict[tuple[object, ...], list[str]] = {}
        for choice in self.made:
            groups.setdefault((tuple(choice.graph.inputs.items()), choice.graph.seed), []).append(choice.name)
        wholes = {tuple(names): merge([self._single[name] for name in names]) for names in groups.values()}
        return {names: (whole, whole.digest) for names, whole in wholes.items()}

    # ---- one recording ----------------------------------------------------------------------------------------------

    def _compare(self, item: Item) -> Compared:
        stream = max((choice.input for choice in self.made), key=lambda one: (one.rate, one.channels))
        kept = self._render(Graph({}, {}, {"x": stream}, {REFERENCE: "x"}), item, {REFERENCE: REFERENCE})
        if kept.error:
            return Compared(item.id, str(item.path), error=kept.error, input_exists=kept.size >= 0)
        rows = self._render_choices(item)
        notes = dict.fromkeys([*kept.notes, *(note for row in rows.values() for note in row.notes)])
        mono = Audio(stream.rate)  # metrics are computed for the mean of the channels
        try:
            reference = AudioSource(self.audio_file(item, REFERENCE), mono).read()
        except FileError as error:
            return Compared(item.id, str(item.path), kept.audio_seconds, error=str(error))
        reference.flags.writeable = False  # it is shared: no metric may change it
        errors = {name: row.error for name, row in rows.items()}
        errors |= {
            name: f"{item.path} ({describe_values(item.values)}): {reason}" for name, reason in self._without.items()
        }
        scores = [self._score(item, one.name, errors[one.name], reference, mono) for one in self.choices]
        audio = (REFERENCE, *(name for name, row in rows.items() if not row.error))
        exists = all(row.size >= 0 for row in rows.values())
        stamp = FileStamp(kept.size, kept.mtime_ns)
        known = kept.audio_seconds, tuple(scores), tuple(notes)
        return Compared(item.id, str(item.path), *known, audio=audio, input_exists=exists, stamp=stamp)

    def _render_choices(self, item: Item) -> dict[str, Rendered]:
        """Render one recording with all graphs; return name of a choice -> result, for the choices that have a graph.

        Choices whose graphs are merged are rendered together, and share one result. If this fails, each of them is
        rendered alone.
        """
        rows: dict[str, Rendered] = {}
        for names, (whole, _) in self._merged.items():
            together = self._render(whole, item, {f"v{k}/y": name for k, name in enumerate(names)})
            for name in names:
                rows[name] = self._render(self._single[name], item, {"y": name}) if together.error else together
        return rows

    def _render(self, graph: Graph, item: Item, names: Mapping[str, str]) -> Rendered:
        """Render a recording with a graph into audio files, and return the result, which has the error if it fails.

        names: name of an output of the graph -> name of the choice (or REFERENCE) to whose audio file the output is
        written.
        """
        targets = {output: self.audio_file(item, name) for output, name in names.items()}
        try:
            for path in targets.values():
                make_inside(self.out, path.parent)
            row = render_file(graph, item, targets)
        except FileError as error:
            row = Rendered(item.id, item.path, error=str(error), **file_stamp(item.path)._asdict())
        return replace(row, notes=tuple(_with_choice_names(note, names) for note in row.notes))

    def _score(self, item: Item, name: str, error: str, reference: Array, stream: Audio) -> Score:
        if error:
            return Score(item.id, name, {}, error)
        try:
            degraded = AudioSource(self.audio_file(item, name), stream).read()
            found = metrics.evaluate(
                reference, degraded, stream.rate, self.metrics, f0_range=self.f0_range, files=self.metric_files
            )
            return Score(item.id, name, found.values, reasons=found.reasons)
        except Exception as failed:  # a metric may be computed by a package that raises anything
            return Score(item.id, name, {}, f"{item.path}: {describe_error(failed)}")


def audio_files(out: Path, names: Sequence[str], id: str) -> dict[str, Path]:
    """Return name -> audio file of the recording `id`. names: REFERENCE and all names of choices, in their order.

    out: the output folder of the comparison.
    """
    return {name: _audio_file(out, folder, id) for name, folder in _folders(names).items()}


def _audio_file(out: Path, folder: str, id: str) -> Path:
    return out / AUDIO / folder / f"{id}{_SUFFIX}"


def _folders(names: Iterable[str]) -> dict[str, str]:
    """Return name -> name of a folder that every file system allows. Different names have different folders.

    Characters that are not allowed become "_", and a long name is cut. A number is added if another name has the same
    folder, also if only upper and lower case differ.
    """
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for number, name in enumerate(names):
        plain = re.sub(r"[^\w=.+-]+", "_", name, flags=re.ASCII)[:LONGEST].strip("._") or "variant"
        while plain.lower() in taken:
            plain += f"_{number}"
        folders[name] = plain
        taken.add(plain.lower())
    return folders


def _check_rate(name: str, stream: Audio) -> None:
    least, most = metrics.RATES
    if not (has_file_rate(stream) and least <= stream.rate <= most):
        raise RequestError(
            f"{name}: audio to compare has a whole number of samples per second, {least} to {most}; found {stream}"
        )


def _with_choice_names(note: str, names: Mapping[str, str]) -> str:
    """Return a note about a merged graph, with the names of choices in place of the names of outputs.

    Only names in single quotes are replaced. names: name of an output of the graph -> name of the choice.
    """
    for output, name in names.items():
        note = note.replace(f"'{output}'", f"'{name}'")
    return note
