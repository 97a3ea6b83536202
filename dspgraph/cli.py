"""The command line. Exit codes: 0 done; 1 some files failed, or a law is broken; 2 the request itself was wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dspgraph import __version__
from dspgraph.errors import DspgraphError, LawError, RequestError

if TYPE_CHECKING:
    from dspgraph.graph import Graph
    from dspgraph.rendering import Rendered


class _Group(click.Group):
    """A group whose commands end in one clear message, never in a traceback, when the request was wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DspgraphError as error:
            click.echo(f"dspgraph: {error}", err=True)
            ctx.exit(1 if isinstance(error, LawError) else 2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Vocoders as graphs of small stages, where the cut changes nothing."""


def _pipeline_options(command: Callable[..., None]) -> Callable[..., None]:
    """PIPELINE and what may be changed in it, the same for every command that takes one."""

    @click.argument("pipeline")
    @click.option("-s", "--set", "overrides", multiple=True, metavar="NODE.PARAMETER=VALUE", help="Or VAR=VALUE.")
    @click.option("--swap", "swaps", multiple=True, metavar="SLOT=VARIANT", help="Put a variant into a slot.")
    @click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="A Python file with nodes of your own.")
    @wraps(command)
    def wrapped(**options: Any) -> None:
        options["swaps"] = dict(_pair(swap) for swap in options["swaps"])
        command(**options)

    return wrapped


def _pair(swap: str) -> tuple[str, str]:
    slot, equals, variant = swap.partition("=")
    if not equals:
        raise RequestError(f"--swap {swap}: write SLOT=VARIANT, for instance excitation=residual")
    return slot, variant


# ---- commands -------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--out", default="demo", show_default=True, help="Folder for the files.", type=click.Path(path_type=Path))
def demo(out: Path) -> None:
    """Resynthesise a real recording with every excitation of `lpc_vocoder`, to listen to and to look at."""
    from dspgraph.audio_io import example_speech
    from dspgraph.figures import spectrograms
    from dspgraph.pipeline import Pipeline, load
    from dspgraph.rendering import make_folder, render_file

    clip = example_speech()
    pictures = {"original": clip}
    make_folder(out)
    click.echo(f"lpc_vocoder on {clip.name}:")
    ((slot, choices),) = Pipeline("lpc_vocoder").variants.items()
    for name in choices:
        graph = load("lpc_vocoder", swap={slot: name})
        row = render_file(graph, clip, [out / f"{name}.flac"])
        if row.error:
            raise DspgraphError(row.error)
        pictures[name] = row.targets[0]
        click.echo(f"  {name:15} {row.targets[0]}  ({row.audio_seconds:.2f} s in {row.seconds:.2f} s)")
    click.echo(f"  {'spectrograms':15} {spectrograms(pictures, out / 'spectrograms.png')}")


@main.command()
@_pipeline_options
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, help="Folder for the results.", type=click.Path(path_type=Path))
@click.option("--format", "suffix", type=click.Choice(["flac", "wav"]), default="flac", show_default=True)
def render(
    pipeline: str,
    files: tuple[Path, ...],
    out: Path,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    suffix: str,
) -> None:
    """Render audio FILES with PIPELINE (a shipped name or a .yaml file)."""
    from dspgraph.pipeline import load
    from dspgraph.rendering import render as render_files

    graph = load(pipeline, overrides, swaps, plugins)
    rows = render_files(graph, files, out, f".{suffix}", _report)
    failed = sum(bool(row.error) for row in rows)
    if failed:
        click.echo(f"dspgraph: {failed} of {len(rows)} files failed; the reasons stand above", err=True)
        sys.exit(2 if failed == len(rows) else 1)


def _report(row: Rendered) -> None:
    if row.error:
        click.echo(f"failed: {row.error}", err=True)
        return
    notes = f" ({'; '.join(row.notes)})" if row.notes else ""
    click.echo(f"{', '.join(map(str, row.targets))}{notes}")


@main.command()
@_pipeline_options
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "dot", "svg"]), default="text", show_default=True
)
def show(pipeline: str, overrides: tuple[str, ...], swaps: dict[str, str], plugins: tuple[str, ...], form: str) -> None:
    """Show the graph of PIPELINE: streams, latency and who causes it, and which nodes hold the whole signal."""
    from dspgraph.describe import FORMATS
    from dspgraph.pipeline import Pipeline

    described = Pipeline(pipeline, overrides, swaps, plugins)
    if form == "text":
        click.echo(f"{described.name}: {described.document.about}")
        for slot, choices in described.variants.items():
            click.echo(f"--swap {slot}= {' | '.join(choices)}")
        click.echo()
    click.echo(FORMATS[form](described.graph))


@main.command()
@_pipeline_options
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--seconds", default=1.0, show_default=True, help="How much of the file to use.")
@click.option("--variants", "every", is_flag=True, help="Check every variant too.")
def check(
    pipeline: str,
    file: Path | None,
    overrides: tuple[str, ...],
    swaps: dict[str, str],
    plugins: tuple[str, ...],
    seconds: float,
    every: bool,
) -> None:
    """Check that no cut changes a sample of PIPELINE, whole and cut, copied midway and in company.

    Without FILE a short recording of speech is used. Names the first node and the first sample that differ.
    """
    from dspgraph.pipeline import load, variants

    choices = [swaps | swap for swap in variants(pipeline)] if every else [swaps]
    for swap in choices:
        _check_one(load(pipeline, overrides, swap, plugins), file, seconds)
        name = ", ".join(f"{slot}={variant}" for slot, variant in swap.items())
        click.echo(f"{pipeline}{f' ({name})' if name else ''}: the cut changes nothing")


def _check_one(graph: Graph, file: Path | None, seconds: float) -> None:
    from dspgraph.audio_io import AudioSource, example_speech
    from dspgraph.testing import check_graph, example_signals

    path = file or example_speech()
    check_graph(graph, example_signals(graph, lambda stream: AudioSource(path, stream).read(), seconds))


@main.command()
@click.argument("name", required=False)
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="A Python file with nodes of your own.")
def nodes(name: str | None, plugins: tuple[str, ...]) -> None:
    """List the nodes, or explain the node NAME: what it does, its ports and its parameters."""
    from dspgraph import discover

    if name is None:
        found = discover.nodes(plugins)
        width = max(map(len, found), default=0)
        for domain in sorted({one.domain for one in found.values()}):
            click.echo(click.style(domain, bold=True))
            for one in sorted((one for one in found.values() if one.domain == domain), key=lambda one: one.name):
                click.echo(f"  {one.name:{width}}  {one.summary()}")
        return
    from dspgraph.describe import explain

    click.echo(explain(discover.find(name, plugins)))


@main.command()
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="A Python file with nodes of your own.")
def schema(plugins: tuple[str, ...]) -> None:
    """Print the JSON Schema of pipeline files, with every node and parameter, for editors."""
    from dspgraph.document import schema as pipeline_schema

    click.echo(json.dumps(pipeline_schema(plugins), indent=2))
