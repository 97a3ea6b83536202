"""Output of the commands, as text for people or as JSON for programs: tables, a line for each file, a progress bar."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Self

import click

from dspgraph.shown import escaped, shortened

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

    from dspgraph.evaluation.results import Results
    from dspgraph.rendering.result import Rendered
    from dspgraph.wiring.wiring import Wiring

WIDE = 10_000
"""Width in characters of text that does not go to a terminal. It is so large that no line is folded."""

NARROW = 40
"""Least width in characters of text at a terminal. The environment variable COLUMNS may be 0 or 1, which is wrong."""


def _columns() -> int:
    """Return the width of tables, characters: that of the terminal, at least NARROW; WIDE if stdout is no terminal."""
    return max(NARROW, get_terminal_size().columns) if sys.stdout.isatty() else WIDE


def echo(line: str, err: bool = False) -> None:
    """Print one line, in which control characters are escaped. err: print to stderr."""
    click.echo(escaped(line), err=err)


def print_tables(tables: Mapping[str, Sequence[Sequence[str]]], err: bool = False) -> None:
    """Print tables, each under its title. At a terminal long cells are folded; otherwise every row is one line.

    tables: title -> rows of cells. err: print to stderr.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=_columns(), highlight=False)
    names = max((len(row[0]) for rows in tables.values() for row in rows), default=0)
    with console.capture() as drawn:
        for title, rows in tables.items():
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(no_wrap=True, min_width=names + 2, style="cyan")
            for row in rows:
                table.add_row(*(Text(escaped(cell)) for cell in (f"  {row[0]}", *row[1:])))
            console.print(Text(escaped(title), style="bold"))
            console.print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()), err=err)


def print_advice(*graphs: Wiring) -> None:
    """Print notes to stderr about parameters of graphs that are likely to be mistakes, each note once."""
    for sentence in dict.fromkeys(sentence for graph in graphs for sentence in graph.advice):
        echo(f"note: {sentence}", err=True)


def print_notes(graph: Wiring) -> None:
    """Print notes about a graph to stderr: parameters that are likely to be mistakes, and imports by computed names.

    A module is imported by a computed name in `import_module(name)`. The digest of a graph does not cover such modules.
    """
    from dspgraph.wiring.provenance import computed_imports_note

    print_advice(graph)
    if sentence := computed_imports_note({type(graph.nodes[name]) for name in graph.order}):
        click.echo(f"note: {sentence}", err=True)


class Reporter:
    """The printer of the progress of a run: a line for each finished item and, at a terminal, a progress bar below.

    as_json: print lines of JSON, without a progress bar. quiet: no notes and no progress bar, and of the text only the
    lines of failures, without the totals. Use it in a `with` statement: call `started`, then `row` for each item; after
    the block call `end`.
    """

    def __init__(self, as_json: bool, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        self.counts = {"done": 0, "failed": 0, "cached": 0}
        self.seconds = 0.0
        self._begun = time.perf_counter()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def started(self, due: int, cached: int) -> None:
        """Show a progress bar if the output is text, not quiet, stderr is a terminal, and at least two items are due.

        due: number of items to render. cached: number of items that keep the result of an earlier run; it is not shown.
        """
        if due < 2 or self.as_json or self.quiet or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True, highlight=False)
        shown = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
        columns = (*shown, TimeRemainingColumn(compact=True))
        self._bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
        self._bar.add_task("render", total=due, rate="")
        self._bar.start()

    def row(self, row: Rendered) -> None:
        """Count the result of one item, and print its line.

        In text output, an item that an earlier run has rendered without an error has no line; if quiet, only failures
        have one.
        """
        if self.as_json:
            click.echo(json.dumps(_machine(row)))
        elif row.error or not (row.cached or self.quiet):
            self.say(_sentence(row), bool(row.error))
        self.count("failed" if row.error else "cached" if row.cached else "done", row.audio_seconds)

    def count(self, kind: str, seconds: float) -> None:
        """Count one item, and advance the progress bar. kind: "done", "failed" or "cached" (done in an earlier run).

        The progress bar does not count items of the kind "cached". seconds: the length of the item's audio, which the
        totals leave out if the kind is "cached".
        """
        self.counts[kind] += 1
        self.seconds += 0.0 if kind == "cached" else seconds
        if self._bar and kind != "cached":
            self._bar.update(
                self._bar.task_ids[0],
                advance=1,
                rate=f"{self.seconds / (time.perf_counter() - self._begun):.3g} x real time",
            )

    def end(self) -> None:
        """Print the totals: with `as_json` as JSON to stdout, otherwise as text to stderr.

        The text is printed only if not quiet and if there was more than one item.
        """
        counts, seconds = self.counts, time.perf_counter() - self._begun
        if self.as_json:
            click.echo(json.dumps({**counts, "audio_seconds": self.seconds, "seconds": seconds}))
        elif sum(counts.values()) > 1 and not self.quiet:
            known = f", {counts['cached']} were done before" if counts["cached"] else ""
            speed = f", {self.seconds / seconds:.3g} times real time" if counts["done"] else ""
            click.echo(f"{counts['done']} rendered in {seconds:.1f} s{speed}{known}", err=True)

    def note(self, text: str) -> None:
        """Print "note: " and a text, for instance about files that were left out, to stderr, unless quiet."""
        if not self.quiet:
            self.say(f"note: {text}", failed=True)

    def say(self, text: str, failed: bool) -> None:
        """Print a line to stderr if `failed`, else to stdout; above the progress bar if both are at the terminal.

        Characters that cannot be printed, which the name of a file may contain, are escaped.
        """
        if self._bar and (failed or sys.stdout.isatty()):  # the line and the progress bar go to the same terminal
            self._bar.console.print(escaped(text), markup=False, emoji=False, soft_wrap=True)
        else:
            echo(text, err=failed)


def _sentence(row: Rendered) -> str:
    if row.error:
        return f"failed{' before' if row.cached else ''}: {row.error}"
    notes = f" ({'; '.join(row.notes)})" if row.notes else ""
    return f"{', '.join(map(str, row.targets))}{notes}"


def _machine(row: Rendered) -> dict[str, Any]:
    """Return the result of an item as plain data for JSON."""
    common = {
        "id": row.id,
        "source": str(row.source),
        "status": "failed" if row.error else "done",
        "cached": row.cached,
    }
    if row.error:
        return {**common, "error": row.error}
    files = {"targets": list(map(str, row.targets)), "notes": list(row.notes)}
    return {**common, **files, "audio_seconds": row.audio_seconds, "seconds": row.seconds}


def print_means(results: Results) -> None:
    """Print the mean of every metric, one row for each variant, sorted by the first metric, best first.

    The best mean of a metric has a star. If a mean is over fewer recordings than the others, the number of recordings
    stands before it in brackets. At a terminal, several tables are printed if one table would be too wide.
    """
    due, known = len(results.recordings), max(mean.n for mean in results.means())
    head = [f"means of {known if known == due else f'{known} of {due}'} recordings"] if due > 1 else []
    head += ["* the best"] if len(results.variants) > 1 else []
    if head:
        click.echo(f"{', '.join(head)}:")
    room, first = _columns(), 0
    while first < len(results.metrics):
        last = first + 1
        while last < len(results.metrics) and _width(_means_table(results, first, last + 1, known)) <= room:
            last += 1
        click.echo(_drawn(_means_table(results, first, last, known)))
        first = last


def print_missing_values(results: Results) -> None:
    """Print a sentence to stderr for each metric that has no value for some recordings, if the reason is known."""
    for sentence in results.missing_values():
        echo(sentence, err=True)


def _means_table(results: Results, first: int, last: int, known: int) -> Table:
    """Return the table of the means of `results.metrics[first:last]`.

    known: the largest number of recordings in a mean.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=0, pad_edge=False, header_style="")
    table.add_column(no_wrap=True)
    for metric in results.metrics[first:last]:
        name = [line.replace(" ", "") for line in wrap(metric.name.replace("_", "_ "), 10)]
        table.add_column(Text("\n".join([*name, *([f"({metric.unit})"] if metric.unit else [])])), justify="right")
        table.add_column()  # the stars
    rows = dict(zip((variant.name for variant in results.variants), results.table(), strict=True))
    for variant in results.ranking(results.metrics[0].name):
        cells: list[str] = []
        for cell in rows[variant][first:last]:
            count = f"({cell.mean.n}) " if 0 < cell.mean.n < known else ""
            cells += [f" {count}{cell.text or '-'}", "*" if cell.best else " "]
        table.add_row(*map(Text, [f"  {shortened(escaped(variant), 80)}", *cells]))
    return table


def _width(table: Table) -> int:
    from rich.console import Console

    return Console(width=WIDE).measure(table).maximum


def _drawn(table: Table) -> str:
    from rich.console import Console

    console = Console(width=WIDE, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    return "\n".join(line.rstrip() for line in drawn.get().splitlines())
