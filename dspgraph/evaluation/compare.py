"""Comparing graphs on the same recordings: rendered, measured, and written down with a page to listen to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from dspgraph.diagram.formats import FORMATS
from dspgraph.errors import FileError, RequestError, describe_error
from dspgraph.evaluation import metrics
from dspgraph.evaluation.report import write_page
from dspgraph.evaluation.results import Recording, Results, Score, Variant, write
from dspgraph.evaluation.variants import Choice
from dspgraph.graph import Graph
from dspgraph.io.arrays import SUFFIX as ARRAYS
from dspgraph.io.audio import AUDIO_SUFFIXES, AudioSource, has_file_rate
from dspgraph.rendering.corpus import gather
from dspgraph.rendering.executors.serial import Serial
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Executor, check_same, reader_versions
from dspgraph.rendering.ledger import Ledger, sweep
from dspgraph.rendering.render import render_file
from dspgraph.rendering.result import Rendered
from dspgraph.rendering.system import check_system
from dspgraph.rendering.targets import check_targets, is_inside, make_folder, make_inside
from dspgraph.streams import Array, Audio
from dspgraph.wiring.merge import merge

REFERENCE = "reference"
"""Name of the recordings themselves, which are kept at the rate and with the channels that the graphs take."""

AUDIO, PAGE = "audio", "report.html"

LONGEST = 100
"""Most letters in the name of a folder: an override may hold a path that is longer than a file system takes."""


def compare(
    choices: Sequence[Choice],
    files: Iterable[str | Path],
    out: str | Path,
    title: str,
    about: str = "",
    names: Sequence[str] | None = None,
    *,
    executor: Executor = Serial(),  # noqa: B008 it has no state
    assets: bool = False,
    started: Callable[[int], None] = lambda due: None,
    done: Callable[[Compared], None] = lambda row: None,
) -> Results:
    """Render recordings with all choices, measure the results, and write all of it into the folder `out`.

    files: as `corpus.gather` takes them. names: of metrics, by default all. `audio/` gets what was rendered,
    ledger.jsonl the result of every recording, results.csv and results.json the scores, report.html the page to listen
    to. With `assets`, the sounds and pictures of the page are files beside it instead of parts of it. A choice that
    fails for a recording has a score with its error; the other choices are not affected.

    started: called once with the number of recordings. done: called with the result of each recording as soon as it is
    known. Raises RequestError, before anything is written, for choices and files that cannot be compared, and
    UnknownName for a metric that does not exist.
    """
    check_system()
    metrics.check_names(names or ())
    job = CompareJob(tuple(choices), Path(out), tuple(dict.fromkeys(names or metrics.METRICS)))
    items = gather(files, AUDIO_SUFFIXES, Path(out))
    for item in items:
        if item.path.suffix.lower() == ARRAYS:
            raise RequestError(f"only audio can be compared; found {item.path}: render it to audio first")
    check_targets(items, [{job.audio_file(item, name) for name in job.names} for item in items])
    make_folder(Path(out))
    started(len(items))
    with Ledger(Path(out)) as ledger:
        rows = _run(job, items, ledger, executor, done)
        results = _results(job, items, rows, title, about)
        write(results, Path(out))
        _write_page(job, items, rows, results, assets)
    return results


def _run(
    job: CompareJob, items: Sequence[Item], ledger: Ledger, executor: Executor, done: Callable[[Compared], None]
) -> dict[str, Compared]:
    """Return the result of every recording by id. Each is in the ledger as soon as it is known."""
    rows: dict[str, Compared] = {}
    inputs = {item.id: item for item in items}
    try:
        with closing(executor.run(job, items)) as found:
            for result in found:
                row = job.without_stale_files(inputs[result.id], result)
                rows[row.id] = row
                failed = {"status": "failed", "error": "; ".join(row.errors)} if row.errors else {"status": "done"}
                ledger.append({"id": row.id, "source": row.source, "audio_seconds": row.seconds, **failed})
                done(row)
    finally:
        sweep(job.out)
    return rows


def _results(job: CompareJob, items: Sequence[Item], rows: Mapping[str, Compared], title: str, about: str) -> Results:
    return Results(
        title,
        about,
        [Variant(one.name, one.graph.digest, dict(one.swaps), list(one.overrides)) for one in job.choices],
        [Recording(item.id, str(item.path), rows[item.id].seconds) for item in items],
        [metrics.METRICS[name].metric for name in job.metrics],
        [score for item in items for score in _scores(rows[item.id], job.choices)],
        job.stages,
    )


def _scores(row: Compared, choices: Sequence[Choice]) -> Sequence[Score]:
    """Return the scores of a recording; if it failed as a whole, one with its error for each choice."""
    return row.scores or [Score(row.id, choice.name, {}, row.error) for choice in choices]


def _write_page(
    job: CompareJob, items: Sequence[Item], rows: Mapping[str, Compared], results: Results, assets: bool
) -> None:
    audio = {
        (score.recording, score.variant): job.audio_file(item, score.variant)
        for item in items
        for score in rows[item.id].scores
        if not score.error
    }
    reference = {item.id: job.audio_file(item, REFERENCE) for item in items if not rows[item.id].error}
    graphs = {one.name: FORMATS["svg"](one.graph) for one in job.choices}
    write_page(results, audio, reference, graphs, job.out / PAGE, assets)


# ---- the job --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """The result of one recording in all choices."""

    id: str
    source: str
    seconds: float = 0.0
    scores: tuple[Score, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def errors(self) -> list[str]:
        """The error of the recording, or those of the choices that failed for it."""
        return [self.error] if self.error else [f"{one.variant}: {one.error}" for one in self.scores if one.error]


@dataclass(frozen=True)
class CompareJob:
    """Rendering recordings with several graphs and measuring the results. It is checked when it is made."""

    choices: tuple[Choice, ...]
    out: Path
    metrics: tuple[str, ...]
    reader: Mapping[str, str] = field(default_factory=reader_versions)  # of the process that makes the job

    def __post_init__(self) -> None:
        if not self.choices:
            raise RequestError("one variant or more can be compared; found none")
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise RequestError(
                f"each variant needs a name of its own, other than '{REFERENCE}', which is the recording; found "
                f"{', '.join(twice)} twice: rename one"
            )
        for choice in self.choices:
            for stream in (choice.input, choice.graph.outputs[choice.output]):
                assert isinstance(stream, Audio)
                _check_rate(choice.name, stream)
        _ = self._merged  # its digests are taken here, in the process that makes the job

    # ---- the job of an executor -------------------------------------------------------------------------------------

    @property
    def open_items(self) -> int:
        """The most recordings that are open at the same time."""
        return 1

    def check(self) -> None:
        """Raise RequestError if a graph would not give the same samples as in the process that made the job."""
        check_same(reader_versions(), self.reader)
        for whole, digest in self._merged.values():
            check_same(whole.digest, digest)

    def run(self, items: Iterable[Item]) -> Generator[Compared, None, None]:
        """Render each recording with all graphs, and measure the results."""
        for item in items:
            yield self._compare(item)

    def failed_result(self, item: Item, reason: str) -> Compared:
        """Return the result of a recording whose worker died, or whose time was up."""
        return Compared(item.id, str(item.path), error=f"{item.path}: {reason}")

    # ---- files ------------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The name of the reference and those of the choices."""
        return [REFERENCE, *(choice.name for choice in self.choices)]

    def audio_file(self, item: Item, name: str) -> Path:
        """Return the audio file of a recording for one of `names`."""
        return audio_files(self.out, self.names, item.id)[name]

    def without_stale_files(self, item: Item, row: Compared) -> Compared:
        """Remove all audio files of a recording that failed as a whole: an earlier run has made them."""
        if not row.error:
            return row
        return replace(row, error=row.error + self._remove_stale_files(item, self.names))

    def _remove_stale_files(self, item: Item, names: Iterable[str]) -> str:
        """Remove audio files of an earlier run; return an addition to the error for a file that cannot be removed."""
        for path in (self.audio_file(item, name) for name in names):
            if is_inside(self.out, path.parent):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    return f"; {path}, of an earlier run, cannot be removed: {error.strerror}"
        return ""

    # ---- graphs -----------------------------------------------------------------------------------------------------

    @property
    def stages(self) -> dict[str, int]:
        """The number of stages in all choices (`asked`), and of those that are computed (`computed`)."""
        asked = sum(len(choice.graph.order) for choice in self.choices)
        return {"asked": asked, "computed": sum(len(whole.order) for whole, _ in self._merged.values())}

    @cached_property
    def _single(self) -> dict[str, Graph]:
        """The graph of each choice, with the compared output as its only one, `y`."""
        return {
            choice.name: choice.graph.evolve(outputs={"y": choice.graph.origins[choice.output]})
            for choice in self.choices
        }

    @cached_property
    def _merged(self) -> dict[tuple[str, ...], tuple[Graph, str]]:
        """Groups of choices with equal inputs and seeds, each with one graph for all of them and its digest.

        Stages that several choices of a group share are computed once.
        """
        groups: dict[tuple[object, ...], list[str]] = {}
        for choice in self.choices:
            groups.setdefault((tuple(choice.graph.inputs.items()), choice.graph.seed), []).append(choice.name)
        wholes = {tuple(names): merge([self._single[name] for name in names]) for names in groups.values()}
        return {names: (whole, whole.digest) for names, whole in wholes.items()}

    # ---- one recording ----------------------------------------------------------------------------------------------

    def _compare(self, item: Item) -> Compared:
        stream = max((choice.input for choice in self.choices), key=lambda one: (one.rate, one.channels))
        kept = self._render(Graph({}, {}, {"x": stream}, {REFERENCE: "x"}), item, {REFERENCE: REFERENCE})
        if kept.error:
            return Compared(item.id, str(item.path), error=kept.error)
        rows = self._render_choices(item)
        notes = dict.fromkeys([*kept.notes, *(note for row in rows.values() for note in row.notes)])
        mono = Audio(stream.rate)  # metrics are computed for the mean of the channels
        try:
            reference = AudioSource(self.audio_file(item, REFERENCE), mono).read()
        except FileError as error:
            return Compared(item.id, str(item.path), kept.audio_seconds, error=str(error))
        reference.flags.writeable = False  # all choices are measured against it
        scores = [self._score(item, choice.name, rows[choice.name].error, reference, mono) for choice in self.choices]
        return Compared(item.id, str(item.path), kept.audio_seconds, tuple(scores), tuple(notes))

    def _render_choices(self, item: Item) -> dict[str, Rendered]:
        """Return the results of a recording by choice. If a group fails, its choices are rendered one by one."""
        rows: dict[str, Rendered] = {}
        for names, (whole, _) in self._merged.items():
            together = self._render(whole, item, {f"v{k}/y": name for k, name in enumerate(names)})
            for name in names:
                rows[name] = self._render(self._single[name], item, {"y": name}) if together.error else together
        return rows

    def _render(self, graph: Graph, item: Item, names: Mapping[str, str]) -> Rendered:
        """Render each output of a graph to the file of a choice, by output. After a failure no such file is left."""
        targets = {output: self.audio_file(item, name) for output, name in names.items()}
        try:
            for path in targets.values():
                make_inside(self.out, path.parent)
            row = render_file(graph, item, targets)
        except FileError as error:
            row = Rendered(item.id, item.path, error=str(error))
        if row.error:
            row = replace(row, error=row.error + self._remove_stale_files(item, names.values()))
        return replace(row, notes=tuple(_with_choice_names(note, names) for note in row.notes))

    def _score(self, item: Item, name: str, error: str, reference: Array, stream: Audio) -> Score:
        if error:
            return Score(item.id, name, {}, error)
        try:
            degraded = AudioSource(self.audio_file(item, name), stream).read()
            return Score(item.id, name, metrics.measure(reference, degraded, stream.rate, self.metrics))
        except Exception as failed:  # a metric may be computed by a package that raises anything
            return Score(item.id, name, {}, f"{item.path}: {describe_error(failed)}")


def audio_files(out: Path, names: Sequence[str], id: str) -> dict[str, Path]:
    """Return the audio file of a recording by name, each in a folder with a name that every file system takes."""
    folders: dict[str, str] = {}
    for number, name in enumerate(names):
        plain = re.sub(r"[^\w=.+-]+", "_", name, flags=re.ASCII)[:LONGEST].strip("._") or "variant"
        while plain.lower() in {folder.lower() for folder in folders.values()}:
            plain += f"_{number}"
        folders[name] = plain
    return {name: out / AUDIO / folder / f"{id}.flac" for name, folder in folders.items()}


def _check_rate(name: str, stream: Audio) -> None:
    least, most = metrics.RATES
    if not (has_file_rate(stream) and least <= stream.rate <= most):
        raise RequestError(
            f"{name}: audio to compare has a whole number of samples per second, {least} to {most}; found {stream}"
        )


def _with_choice_names(note: str, names: Mapping[str, str]) -> str:
    """Replace the names of outputs in a note by those of the choices."""
    for output, name in names.items():
        note = note.replace(f"'{output}'", f"'{name}'")
    return note
