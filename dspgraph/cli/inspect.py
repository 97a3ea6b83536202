"""The commands that inspect pipelines and nodes: `show`, `check`, `pipelines`, `nodes` and `schema`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dspgraph.cli.completion import complete_nodes
from dspgraph.cli.options import PATH, RealNumber, StrictCommand, change_options, pipeline_options, plugin_option
from dspgraph.cli.output import echo, print_notes, print_tables
from dspgraph.errors import FileError, RequestError

if TYPE_CHECKING:
    from dspgraph.node import Node


@click.command(cls=StrictCommand)
@pipeline_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "dot", "svg"]),
    default="text",
    show_default=True,
    help="Format of the graph.",
)
@click.option(
    "--file", type=PATH, help="An audio file, for inputs that have its rate or channels; without it: 48000 Hz, mono."
)
def show(
    pipeline: str,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    form: str,
    file: Path | None,
) -> None:
    """Show the graph of PIPELINE, its streams and its latency.

    The text names the variants of every slot, every stream, the latency and the nodes that cause it, and the nodes that
    need the whole signal before they produce anything.
    """
    from dspgraph.diagram.formats import FORMATS
    from dspgraph.pipeline.file_values import nominal
    from dspgraph.pipeline.pipeline import Pipeline

    described = Pipeline(pipeline, overrides, swaps, plugins)
    if file and not described.wanted:
        raise RequestError(f"no input of '{described.name}' has the rate or the channels of a file: leave out --file")
    if described.wanted:
        described = described.for_file(file) if file else described.given(nominal(described.wanted))
    drawn = FORMATS[form](described.graph)
    if form == "text":
        echo(f"{described.name}: {described.document.about}")
        for slot, choices in described.slots.items():
            echo(f"--swap {slot}= {' | '.join(choices)}")
        for path in described.from_file.values():
            echo(f"{described.source.place(path)}: that of the file")
        click.echo()
    click.echo(drawn)
    print_notes(described.graph)


@click.command(cls=StrictCommand, options_metavar="[OPTIONS]")
@click.argument("names", nargs=-1, metavar="PIPELINE [FILE] | --files FILE...")
@click.option("--files", "law_of_files", is_flag=True, help="Check how audio files are read, in place of a pipeline.")
@change_options
@click.option(
    "--seconds",
    type=RealNumber(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Length of the part of FILE that is used.",
)
@click.option("--variants", "every", is_flag=True, help="Check every variant of every slot too.")
def check(
    names: tuple[str, ...],
    law_of_files: bool,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    seconds: float,
    every: bool,
) -> None:
    """Check that PIPELINE gives the same samples however it is run.

    The graph is run on the whole signal, on blocks of many sizes, from a snapshot taken midway and in a batch: all must
    give the same samples, bit for bit. An error names the first node and the first sample that differ.

    FILE is an audio file or, as for `render`, a .npz file. Without it a short recording of speech is used.

    With --files, check that audio files give the same samples however they are read: in blocks of many sizes, in parts,
    or from start to end. FILES are as for `render`.
    """
    if law_of_files:
        _check_files(names)
        return
    if not 1 <= len(names) <= 2:
        raise click.UsageError(f"check takes a pipeline and at most one file, or --files and files; found {len(names)}")
    pipeline, *file = (PATH.convert(name, None, None) for name in names)
    _check_pipeline(str(pipeline), file[0] if file else None, overrides, swaps, plugins, seconds, every)


def _check_pipeline(
    pipeline: str,
    file: Path | None,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    seconds: float,
    every: bool,
) -> None:
    from dspgraph.io.audio import example_speech
    from dspgraph.pipeline.pipeline import load, variants
    from dspgraph.testing.recording import check_recording

    choices = [swaps | swap for swap in variants(pipeline)] if every else [swaps]
    for swap in choices:
        graph = load(pipeline, overrides, swap, plugins, file or example_speech())
        check_recording(graph, file, seconds)
        name = ", ".join(f"{slot}={variant}" for slot, variant in swap.items())
        echo(f"{pipeline}{f' ({name})' if name else ''}: the cut changes nothing")


def _check_files(names: tuple[str, ...]) -> None:
    """Check that audio files give the same samples however they are read (law 2), and print a line for each.

    names: files, folders, patterns or manifests. A file that breaks the law or cannot be read has a line on stderr. All
    others are checked too; then the program ends with the exit code 1. Raises UsageError if `names` is empty.
    """
    from dspgraph.io.audio import AUDIO_SUFFIXES
    from dspgraph.rendering.corpus import gather
    from dspgraph.testing import check_file

    if not names:
        raise click.UsageError("--files needs at least one file")
    failed = False
    items = gather(names, AUDIO_SUFFIXES, note=lambda text: echo(f"note: {text}", err=True))
    for path in dict.fromkeys(item.path for item in items):
        try:
            echo(f"{path}: {check_file(path)}: the cut changes nothing")
        except FileError as error:
            echo(f"failed: {error}", err=True)
            failed = True
    if failed:
        sys.exit(1)


@click.command(cls=StrictCommand)
def pipelines() -> None:
    """List all pipelines, each with its purpose and slots.

    They come with dspgraph or with an installed package. `dspgraph show NAME` shows one, with its variants.
    """
    from dspgraph.pipeline.pipeline import summaries

    tables: dict[str, list[tuple[str, str, str]]] = {"dspgraph": []}
    for one in summaries():
        slots = f"slots: {', '.join(one.slots)}" if one.slots else ""
        tables.setdefault(one.pack, []).append((one.name, one.about, slots))
    print_tables(tables)


@click.command(cls=StrictCommand)
@click.argument("name", required=False, shell_complete=complete_nodes)
@plugin_option
def nodes(name: str | None, plugins: tuple[str, ...]) -> None:
    """List all nodes, or explain the node NAME.

    The explanation gives what the node computes, its ports and its parameters.
    """
    from dspgraph import registry

    if name is not None:
        _explain(registry.find(name, plugins))
        return
    found = sorted(registry.nodes(plugins).values(), key=lambda one: (one.domain, one.name))
    domains = dict.fromkeys(one.domain for one in found)
    print_tables({domain: [(one.name, one.summary()) for one in found if one.domain == domain] for domain in domains})


def _explain(kind: type[Node]) -> None:
    import inspect

    from dspgraph.parameters import parameter_rule

    ports = [(port.name, f"in, {port}{', any number' if port.many else ''}") for port in kind.inputs]
    ports += [(port.name, f"out, {port}") for port in kind.outputs]
    rules = [(name, parameter_rule(kind, name), field.description or "") for name, field in kind.model_fields.items()]
    click.echo(f"{kind.type_name}\n\n{inspect.getdoc(kind) or ''}\n")
    print_tables({"ports": ports} | ({"parameters": rules} if rules else {}))


@click.command(cls=StrictCommand)
@plugin_option
def schema(plugins: tuple[str, ...]) -> None:
    """Print the JSON Schema of pipeline files, for editors.

    It describes every node and every parameter, so that an editor can complete and check them.
    """
    from dspgraph.pipeline.schema import schema as pipeline_schema

    click.echo(json.dumps(pipeline_schema(plugins), indent=2))
