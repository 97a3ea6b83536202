"""Rendering with a pipeline that takes rates or numbers of channels from the files: one graph and job for each set."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, Generic, TypeVar

from dspgraph.errors import DspgraphError, FileError
from dspgraph.graph import Graph
from dspgraph.pipeline.file_values import Values, Wanted, describe_values, nominal, read_header, values_of
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Job, JobWithSummary, R
from dspgraph.wiring.provenance import computed_imports_note

J = TypeVar("J", bound=Job[Any])

_HEADERS = 1024
"""The number of files whose rate and channels are remembered, so that each file is read once for all its parts."""


@dataclass(frozen=True)
class JobsByFile(Generic[R]):
    """Several jobs as one job: each item is done by the job for its `Item.values`. The jobs share the workers.

    jobs: values (rates and channels of files) -> job, one or more. A batch has only items that follow each other and
    have the same values; `ItemsByFile.due` sorts the items accordingly.
    """

    jobs: Mapping[Values, Job[R]]

    @property
    def open_items(self) -> int:
        """The largest number of items that are open at the same time: that of the job with the largest batch."""
        return max(job.open_items for job in self.jobs.values())

    def check(self) -> None:
        """Raise RequestError if this process would not get the same results as the process that made the jobs."""
        for job in self.jobs.values():
            job.check()

    def run(self, items: Iterable[Item]) -> Generator[R, None, None]:
        """Yield the result of every item. There must be a job for the values of each item."""
        for values, group in groupby(items, key=lambda item: item.values):
            yield from self.jobs[values].run(group)

    def failed_result(self, item: Item, reason: str) -> R:
        """Return the failed result of an item whose worker died or whose timeout expired. reason: what happened."""
        return self.jobs[item.values].failed_result(item, reason)

    def summary(self) -> Any:
        """Return the summary of the job; None if there are several jobs, or if the only job is no `JobWithSummary`."""
        job = self._only()
        return job.summary() if job else None

    def add_summary(self, value: Any) -> None:
        """Add `value`, a summary of another process, to the job.

        Ignore it if there are several jobs, or if the only job is no `JobWithSummary`.
        """
        if job := self._only():
            job.add_summary(value)

    def _only(self) -> JobWithSummary | None:
        job = next(iter(self.jobs.values()))
        return job if len(self.jobs) == 1 and isinstance(job, JobWithSummary) else None


@dataclass(frozen=True)
class ItemsByFile(Generic[J]):
    """The items of a run and the jobs that do them.

    items: all items, in their order, with their `values` (rates and channels of files); () for a file that cannot be
    read. jobs: values -> job, one or more. refused: id of an item -> the reason why no job can do this item: its file
    cannot be read, or no graph can be made for its rate and channels.
    """

    items: Sequence[Item]
    jobs: Mapping[Values, J]
    refused: Mapping[str, str]

    @property
    def any_job(self) -> J:
        """The first job, for properties that all jobs have in common, such as the names of outputs."""
        return next(iter(self.jobs.values()))

    def job(self, item: Item) -> J:
        """Return the job of an item; for a refused item, which has no job of its own, the first of all jobs."""
        return self.jobs.get(item.values, self.any_job)

    def ledger_line(self, item: Item, line: dict[str, Any]) -> dict[str, Any]:
        """Return a line of the ledger for an item; the line of a refused item gets "" as its digest and recipe.

        line: the line as a job has made it, which is not changed.
        """
        return {**line, "digest": "", "recipe": ""} if item.id in self.refused else line

    def due(self, skipped: Iterable[str]) -> list[Item]:
        """Return the items that are still to be done, sorted by job; items of one job keep their order.

        skipped: the ids of items to leave out, because an earlier run has done them. Refused items are left out too.
        """
        left_out = {*skipped, *self.refused}
        order = {values: number for number, values in enumerate(self.jobs)}
        return sorted((one for one in self.items if one.id not in left_out), key=lambda item: order[item.values])


def items_by_file(items: Sequence[Item], wanted: Sequence[Wanted], make: Callable[[Values], J]) -> ItemsByFile[J]:
    """Return items with the rates and channels of their files, and one job for each set of rates and channels.

    wanted: the numbers that the pipelines take from files; if it is empty, no file is opened, and one job does all
    items. make: a function that returns the job for a set of rates and channels.

    If a file cannot be read, or no job can be made for its rate and channels, the item is refused, and the others are
    done. If no file can be read, the only job is that for 48000 Hz and 1 channel, and no item is left for it. Raises
    the first error of `make` if no job can be made at all, and RequestError for an item with an .npz file or without a
    file for one of the inputs. An item without `inputs` has its `path` as the file of every input.
    """
    if not wanted:
        return ItemsByFile(items, {(): make(())}, {})
    everything = tuple(dict.fromkeys(wanted))
    jobs: dict[Values, J] = {}
    faults: dict[Values, DspgraphError] = {}
    refused: dict[str, str] = {}
    known: dict[Values, Values] = {}  # items with equal values share one tuple, because there may be a million items
    read = lru_cache(_HEADERS)(read_header)
    found = []
    for item in items:
        files = dict(item.inputs) or {one.input: item.path for one in everything}
        try:
            values = values_of(everything, files, item.channel, read)
        except FileError as error:
            refused[item.id] = f"{error}{item.missing_hint()}"
            found.append(item)
            continue
        values = known.setdefault(values, values)
        if values not in jobs and values not in faults:
            try:
                jobs[values] = make(values)
            except DspgraphError as error:
                faults[values] = error
        if values in faults:
            refused[item.id] = f"{item.path} ({describe_values(values)}): {faults[values]}"
        found.append(replace(item, values=values))
    if not jobs:
        for fault in faults.values():
            raise fault
        jobs[()] = make(nominal(everything))  # no file can be read; the job says which results are older ones
    return ItemsByFile(found, jobs, refused)


def note_graph(graph: Graph, values: Values, said: set[str], note: Callable[[str], None]) -> None:
    """Call `note` with remarks on a graph: likely mistakes in parameters, and imports by computed names, each once.

    values: the rates and channels for which the graph was made; a remark on parameters begins with them. said: the
    remarks that were made before; they are left out, and new ones are added to this set.
    """
    found = [f"{describe_values(values)}: {sentence}" for sentence in graph.advice]
    found.append(computed_imports_note({type(graph.nodes[name]) for name in graph.order}))
    for sentence in found:
        if sentence and sentence not in said:
            said.add(sentence)
            note(sentence)
