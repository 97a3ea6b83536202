"""The commands `dspgraph listen ...`, which read the answers of listeners to blind tests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dspgraph.cli.options import PATH, StrictCommand
from dspgraph.cli.output import echo, print_tables

if TYPE_CHECKING:
    from dspgraph.evaluation.listening import Summary
    from dspgraph.evaluation.statistics import Estimate


@click.group()
def listen() -> None:
    """Bring the answers of listeners to blind tests together.

    The page of a comparison, report.html, has the tests: MUSHRA, ABX and preference. Each listener downloads a file of
    answers there.
    """


@listen.command(cls=StrictCommand)
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", help="Write the results to this CSV file too.", type=PATH)
@click.option("--all-listeners", is_flag=True, help="Keep listeners of MUSHRA who score the hidden reference low.")
def merge(files: tuple[Path, ...], out: Path | None, all_listeners: bool) -> None:
    """Print the results of the tests whose answers are in FILES.

    MUSHRA: the mean score of each sound, with its 95 % interval of Student's t over the listeners, or over the
    recordings if there is one listener. As ITU-R BS.1534 recommends, a listener who gives the hidden reference less
    than 90 in more than 15 % of the trials is left out. ABX: the right answers of each pair, with a binomial test.
    Preference: the share of a sound, with its exact binomial interval and test. All p-values are corrected for the
    number of pairs.
    """
    from dspgraph.evaluation.listening import read_answers, summarise
    from dspgraph.io.atomic import write_whole
    from dspgraph.io.tables import csv_bytes

    found = summarise(read_answers(files), screened=not all_listeners)
    if out:
        write_whole(out, csv_bytes(_cells(found)))
    echo(f"{_count(len(found.listeners), 'listeners')}: {', '.join(found.listeners)}")
    for listener, reason in found.left_out.items():
        echo(f"left out of MUSHRA: {listener} {reason} (BS.1534; --all-listeners keeps all)")
    if found.open:
        echo(f"note: {found.open} answers were not given", err=True)
    print_tables({title: rows for title, rows in _tables(found).items() if rows})


def _tables(found: Summary) -> dict[str, list[tuple[str, ...]]]:
    """Return the tables to print: the title of each table -> its rows, as texts. A test without results has no rows."""
    over = found.mushra[0].over if found.mushra else ""
    return {
        f"MUSHRA: mean score, 95 % interval over the {over}": [
            (
                one.sound,
                f"{one.mean.value:.1f}",
                _interval(one.mean, 1),
                _count(one.mean.n, over),
            )
            for one in found.mushra
        ],
        "MUSHRA: differences over the recordings, p of the t-test and of Wilcoxon's test": [
            (
                f"{one.a} - {one.b}",
                f"{one.difference.value:.1f}",
                _interval(one.difference, 1),
                _p(one.t),
                _p(one.wilcoxon),
            )
            for one in found.tests
        ],
        "ABX: right answers, p of guessing": [
            (" / ".join(one.sounds), f"{one.right} of {one.share.n}", _interval(one.share, 2), _p(one.p))
            for one in found.abx
        ],
        "Preference: answers for the first sound, p of no preference": [
            (
                " / ".join(one.sounds),
                f"{one.first} of {one.share.n}",
                _interval(one.share, 2),
                _p(one.p),
                f"{one.none} without a preference",
            )
            for one in found.preference
        ],
    }


def _count(n: int, what: str) -> str:
    return f"{n} {what if n != 1 else what.removesuffix('s')}"


def _interval(one: Estimate, decimals: int) -> str:
    return "no interval" if math.isnan(one.low) else f"{one.low:.{decimals}f} to {one.high:.{decimals}f}"


def _p(value: float) -> str:
    return "p -" if math.isnan(value) else "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _cells(found: Summary) -> Iterator[tuple[str | float | None, ...]]:
    """Yield the rows of the CSV file of the results: first the names of the columns, then a row for each sound or pair.

    A number that does not exist is an empty cell.
    """
    yield "test", "a", "b", "value", "low", "high", "n", "p", "p_wilcoxon"
    for one in found.mushra:
        yield "mushra", one.sound, None, *_numbers(one.mean), None, None
    for test in found.tests:
        yield "mushra", test.a, test.b, *_numbers(test.difference), _number(test.t), _number(test.wilcoxon)
    for kind, pairs in (("abx", found.abx), ("preference", found.preference)):
        for pair in pairs:
            yield kind, *pair.sounds, *_numbers(pair.share), _number(pair.p), None


def _numbers(one: Estimate) -> tuple[float | None, ...]:
    return _number(one.value), _number(one.low), _number(one.high), one.n


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
