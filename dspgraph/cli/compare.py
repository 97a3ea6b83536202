"""The commands `compare` and `score`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dspgraph.cli.completion import complete_metrics, complete_slots
from dspgraph.cli.options import (
    PATH,
    StrictCommand,
    executor_options,
    f0_range_option,
    metric_option,
    overwrite_option,
    pipeline_options,
    quiet_option,
    recorded_command,
)
from dspgraph.cli.output import Reporter, echo, print_advice, print_means, print_missing_values, print_tables

if TYPE_CHECKING:
    from dspgraph.rendering.job import Executor


@click.command(cls=StrictCommand)
@pipeline_options
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, help="Folder for the results.", type=PATH)
@click.option(
    "--vary",
    help="Compare all combinations of the variants of these slots.",
    metavar="SLOT,SLOT",
    shell_complete=complete_slots,
)
@click.option(
    "--metrics", "names", help="Compute these metrics only.", metavar="NAME,NAME", shell_complete=complete_metrics
)
@metric_option
@f0_range_option
@click.option("--assets", is_flag=True, help="Store sounds and pictures in files beside the page instead of inside it.")
@click.option(
    "--resume",
    is_flag=True,
    help="Continue an earlier run: keep audio and scores of the recordings that are done; compare the others.",
)
@overwrite_option
@executor_options
@quiet_option
def compare(
    pipeline: str,
    files: tuple[Path, ...],
    out: Path,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    vary: str | None,
    names: str | None,
    metric_files: tuple[Path, ...],
    f0_range: tuple[float, float] | None,
    assets: bool,
    resume: bool,
    overwrite: bool,
    executor: Executor,
    quiet: bool,
) -> None:
    """Compare variants of PIPELINE on FILES, by metrics and by ear.

    Without options, every variant of every slot is compared, one slot at a time. --vary compares all combinations of
    some slots, `--swap SLOT=VARIANT,VARIANT` some variants of one slot, `-s NAME=VALUE,VALUE` several values of a
    parameter. Stages that several variants share are computed once. OUT gets the audio, results.csv, results.json and
    report.html, a page to listen to.
    """
    from dspgraph.evaluation.compare import PAGE
    from dspgraph.evaluation.compare import compare as compare_choices
    from dspgraph.evaluation.compared import Compared
    from dspgraph.evaluation.metrics import F0_RANGE
    from dspgraph.evaluation.variants import Choice, choices
    from dspgraph.pipeline.pipeline import Pipeline

    slots = None if vary is None else [slot.strip() for slot in vary.split(",")]
    found = choices(pipeline, overrides, swaps, plugins, slots)
    print_advice(*(choice.graph for choice in found if isinstance(choice, Choice)))
    described = Pipeline(pipeline, (), None, plugins)
    with Reporter(as_json=False, quiet=quiet) as report:

        def report_row(row: Compared) -> None:
            for error in row.errors:
                report.say(f"failed: {error}", failed=True)
            if row.notes and not (row.cached or quiet):
                report.say(f"{row.id}: {'; '.join(row.notes)}", failed=False)
            report.count("failed" if row.errors else "cached" if row.cached else "done", row.seconds)

        try:
            results = compare_choices(
                found,
                files,
                out,
                described.name,
                described.document.about,
                [name.strip() for name in names.split(",")] if names is not None else None,
                f0_range=f0_range or F0_RANGE,
                metric_files=metric_files,
                executor=executor,
                assets=assets,
                resume=resume,
                overwrite=overwrite,
                started=report.started,
                done=report_row,
                note=report.note,
                command=recorded_command(),
            )
        except KeyboardInterrupt as stop:
            stop.add_note("finished recordings are kept: the same command with --resume continues")
            raise
    report.end()
    if not quiet:
        print_means(results)
        print_missing_values(results)
        echo(f"  to listen to  {out / PAGE}")
        intervals = " with 95 % confidence intervals" if len(results.recordings) > 1 else ""
        echo(f"  in numbers    {out / 'results.csv'}, and results.json{intervals}")
    failed = {score.recording for score in results.scores if score.error}
    if failed:
        click.echo(
            f"dspgraph: {len(failed)} of {len(results.recordings)} recordings failed for at least one variant",
            err=True,
        )
        sys.exit(1)


@click.command(cls=StrictCommand)
@click.argument("reference", type=PATH)
@click.argument("degraded", type=PATH)
@metric_option
@f0_range_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the settings and versions of all metrics.")
def score(
    reference: Path,
    degraded: Path,
    metric_files: tuple[Path, ...],
    f0_range: tuple[float, float] | None,
    as_json: bool,
) -> None:
    """Measure by every metric how far DEGRADED is from REFERENCE.

    Both are audio files of the same sentence. A metric without a value has a '-'; if the metric gives a reason, the
    reason is printed to stderr.
    """
    from dspgraph.evaluation import metrics

    found, measured, notes = metrics.score(reference, degraded, f0_range or metrics.F0_RANGE, metric_files)
    values, reasons = measured.values, measured.reasons
    if as_json:
        rows = [{**asdict(one), "value": values[one.name], "reason": reasons.get(one.name, "")} for one in found]
        click.echo(json.dumps({"metrics": rows, "notes": notes}, indent=1))
        return
    for note in (*notes, *(f"{name} has no value: {reason}" for name, reason in reasons.items())):
        echo(note, err=True)
    shown = [(values[one.name], one) for one in found]
    lines = [(one.name, "-" if value is None else f"{value:.4g} {one.unit}".strip(), one.about) for value, one in shown]
    print_tables({f"{degraded} compared with {reference}": lines})
