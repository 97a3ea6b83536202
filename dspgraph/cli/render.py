"""The command `render`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dspgraph.cli.options import PATH, executor_options, pipeline_options
from dspgraph.cli.output import Reporter, print_tables
from dspgraph.errors import DspgraphError

if TYPE_CHECKING:
    from dspgraph.rendering.job import Executor


@click.command()
@pipeline_options
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, help="Folder for the results.", type=PATH)
@click.option(
    "--format", "suffix", type=click.Choice(["flac", "wav", "ogg"]), default="flac", show_default=True, help="Of audio."
)
@executor_options
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Signals stepped together.")
@click.option("--resume", is_flag=True, help="Leave what is done, and what failed, as it is: go on where a run ended.")
@click.option("--retry-failed", is_flag=True, help="Go on, and try again what failed.")
@click.option("--profile", "profiled", is_flag=True, help="What each node costs, and whether it would run live here.")
@click.option("--log-json", "as_json", is_flag=True, help="A line of JSON for each item, for machines.")
def render(
    pipeline: str,
    files: tuple[Path, ...],
    out: Path,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    suffix: str,
    executor: Executor,
    batch: int,
    resume: bool,
    retry_failed: bool,
    profiled: bool,
    as_json: bool,
) -> None:
    """Render FILES with PIPELINE (a shipped name or a .yaml file).

    FILES are audio files, folders, patterns (quoted, ** goes into folders) and manifests: .jsonl or .csv with id, path,
    start, duration, channel; wav.scp, segments. Audio goes to the one audio input of a pipeline; .npz files hold every
    input by name. What comes out as audio is written as such, everything else into one .npz file, beside each a .json
    file that says where it comes from, and in ledger.jsonl what became of each.
    """
    from dspgraph.engine.profiling import Profile
    from dspgraph.pipeline.pipeline import load
    from dspgraph.rendering.render import render as render_files

    graph = load(pipeline, overrides, swaps, plugins)
    profile = Profile(graph) if profiled else None
    with Reporter(as_json) as report:
        try:
            render_files(
                graph,
                files,
                out,
                f".{suffix}",
                report.row,
                resume=resume,
                retry_failed=retry_failed,
                batch=batch,
                executor=executor,
                profile=profile,
                started=report.started,
            )
        except KeyboardInterrupt:
            click.echo("dspgraph: interrupted; what is done is kept: the same with --resume goes on", err=True)
            sys.exit(130)
        except SystemExit as end:
            raise DspgraphError(
                f"a node or a plugin ended the program (exit code {end.code}); what is done is kept"
            ) from None
    report.end()
    if profile:
        print_tables({"profile": profile.table()}, err=as_json)
        click.echo(profile.verdict(), err=as_json)
    failed, every = report.counts["failed"], sum(report.counts.values())
    if failed:
        click.echo(f"dspgraph: {failed} of {every} failed; the reasons stand above", err=True)
        sys.exit(1)
