"""The command `render`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from dspgraph.cli.options import (
    PATH,
    StrictCommand,
    WholeNumber,
    executor_options,
    overwrite_option,
    pipeline_options,
    quiet_option,
    recorded_command,
)
from dspgraph.cli.output import Reporter, print_notes, print_tables
from dspgraph.errors import DspgraphError

if TYPE_CHECKING:
    from dspgraph.engine.profile import Profile
    from dspgraph.rendering.job import Executor

AUDIO_FORMATS = (
    "flac", "wav", "ogg", "flac:PCM_24", "flac:PCM_16", "wav:FLOAT", "wav:PCM_24", "wav:PCM_16", "ogg:VORBIS"
)  # fmt: skip
"""The values of `--format`. They repeat `io.formats.FORMAT_NAMES`, whose import would also import numpy."""

_NOT_WITH_EVENTS = {"taps", "jobs", "executor", "address", "timeout", "batch", "resume", "retry_failed"}
_NOT_WITH_EVENTS |= {"profiled", "as_json"}
"""Parameters that have no meaning for a performance: it is one file, rendered in this process."""


@click.command(cls=StrictCommand)
@pipeline_options
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, help="Folder for the results.", type=PATH)
@click.option(
    "--format",
    "name",
    type=click.Choice(AUDIO_FORMATS, case_sensitive=False),
    metavar="FORMAT",
    default="flac",
    show_default=True,
    help="Format of audio files: flac (24 bits), wav (floats), ogg (Vorbis), or a format with its kind of samples: "
    "flac:PCM_16, flac:PCM_24, wav:PCM_16, wav:PCM_24, wav:FLOAT. Samples of 16 bits get TPDF dither, others none.",
)
@click.option(
    "--tap",
    "taps",
    multiple=True,
    metavar="STREAM",
    help="Write this stream too: NODE, or NODE.OUTPUT; `show` lists them. Repeatable.",
)
@click.option(
    "--events",
    metavar="FILE",
    type=PATH,
    help="Move controls, swap variants and play sounds as the lines of this file say; for one recording of each input.",
)
@executor_options
@click.option(
    "--batch",
    type=WholeNumber(1),
    default=1,
    show_default=True,
    help="Number of files computed together in one process.",
)
@click.option(
    "--resume", is_flag=True, help="Continue an earlier run: skip the files that are done and those that failed."
)
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Continue an earlier run: skip the files that are done, retry those that failed.",
)
@overwrite_option
@click.option(
    "--profile",
    "profiled",
    is_flag=True,
    help="Print the time and memory that each node takes, and whether this machine could run it live.",
)
@quiet_option
@click.option("--log-json", "as_json", is_flag=True, help="Print a line of JSON for each file instead of text.")
def render(
    pipeline: str,
    files: tuple[Path, ...],
    out: Path,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    name: str,
    taps: tuple[str, ...],
    events: Path | None,
    executor: Executor,
    batch: int,
    resume: bool,
    retry_failed: bool,
    overwrite: bool,
    profiled: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Render FILES with PIPELINE.

    PIPELINE is the name of a shipped pipeline (`dspgraph pipelines` lists them) or a .yaml file.

    FILES are audio files, folders, quoted patterns (`**` matches folders within folders) or manifests. A manifest is a
    .jsonl or .csv file with the fields path, id, start, end or duration, and channel; a manifest of NeMo; cuts of
    lhotse (.jsonl or .jsonl.gz); NSynth's examples.json; or a Kaldi file wav.scp or segments. Paths in it are relative
    to its folder. An audio file is fed to the one audio input of the pipeline. A .npz file holds an array for every
    input.

    For a pipeline with several audio inputs, write NAME=FILE for each: `a=speech.wav b=noise.wav`, or give a manifest
    with a column for each input. The first file decides the duration: the others are cut, or silence is added to them.

    For every file, OUT gets an audio file for each output that is audio, one .npz file with all other outputs, and a
    .json file that records where they come from. The file ledger.jsonl in OUT records which files are done and which
    failed, for --resume.

    With --events, OUT gets the audio of a performance: as long as the recording, and late by the latency. A line of the
    file of events is {"at": 1.5, "set": "volume", "value": 0.3, "over": 0.5}, {"at": 2, "swap": {"SLOT": "VARIANT"}},
    {"at": 3, "play": "INPUT", "file": "music.wav"} or {"at": 4, "stop": "INPUT"}.
    """
    from dspgraph.engine.profiler import Profiler
    from dspgraph.pipeline.pipeline import Pipeline
    from dspgraph.rendering.inputs import with_named_files
    from dspgraph.rendering.render import check_profile
    from dspgraph.rendering.render import render as render_files

    suffix, _, subtype = name.partition(":")
    if events is not None:
        _render_events(events, pipeline, (overrides, swaps, plugins), files, out, name, overwrite)
        return
    described = Pipeline(pipeline, overrides, swaps, plugins).tap(*taps)
    if not described.wanted:
        print_notes(described.graph)
    if profiled:
        check_profile(described)
    profiler = Profiler(described.graph) if profiled else None
    with Reporter(as_json, quiet) as report:
        try:
            render_files(
                described,
                with_named_files(files, described.document.inputs, described.controls),
                out,
                f".{suffix}",
                report.row,
                resume=resume,
                retry_failed=retry_failed,
                overwrite=overwrite,
                batch=batch,
                executor=executor,
                profiler=profiler,
                started=report.started,
                note=report.note,
                command=recorded_command("files"),
                subtype=subtype,
            )
        except KeyboardInterrupt as stop:
            stop.add_note("finished files are kept: the same command with --resume continues")
            raise
        except SystemExit as end:
            raise DspgraphError(
                f"a node or a plugin ended the program (exit code {end.code}); finished files are kept"
            ) from None
    report.end()
    if profiler:
        _print_profile(profiler.profile, as_json)
    failed, every = report.counts["failed"], sum(report.counts.values())
    if failed:
        click.echo(f"dspgraph: {failed} of {every} files failed; the reasons are printed above", err=True)
        sys.exit(1)


def _render_events(
    events: Path,
    pipeline: str,
    given: tuple[tuple[str, ...], dict[str, str], tuple[str, ...]],
    files: tuple[Path, ...],
    out: Path,
    form: str,
    overwrite: bool,
) -> None:
    """Render files as a performance with the events in the file `events`, and print the paths of the written files.

    Notes are printed to stderr. given: the overrides, swaps and plugins of the pipeline. files: a recording of each
    input, as FILE or NAME=FILE. out: the folder for the results. form: the format of the files, such as "wav" or
    "wav:PCM_16". Raises UsageError if the command has an option in _NOT_WITH_EVENTS.
    """
    from dspgraph.rendering.performing import EventFile, render_events

    context = click.get_current_context()
    others = [
        option.opts[-1]
        for option in context.command.params
        if option.name in _NOT_WITH_EVENTS and context.get_parameter_source(option.name) is not ParameterSource.DEFAULT
    ]
    if others:
        raise click.UsageError(
            "--events takes one recording of each input, and no option for many files, for measuring or for taps; "
            f"found {', '.join(others)}"
        )
    suffix, _, subtype = form.partition(":")
    read = EventFile(events, pipeline, *given, files)

    def note(sentence: str) -> None:
        click.echo(f"note: {sentence}", err=True)

    for path in render_events(read, out, f".{suffix}", subtype, overwrite, note):
        click.echo(path)


def _print_profile(profile: Profile, as_json: bool) -> None:
    """Print a profile as a table and a verdict. as_json: print to stderr, because JSON goes to stdout."""
    print_tables({"profile": profile.table()}, err=as_json)
    click.echo(profile.verdict(), err=as_json)
