"""The command line. Exit codes: 0 done; 1 some files failed, or a law is broken; 2 the request itself was wrong."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from dspgraph._version import __version__
from dspgraph.cli.compare import compare, score
from dspgraph.cli.demo import demo
from dspgraph.cli.inspect import check, nodes, schema, show
from dspgraph.cli.plot import plot
from dspgraph.cli.render import render
from dspgraph.cli.train import train
from dspgraph.errors import DspgraphError, LawError


class _Group(click.Group):
    """A group whose commands end in one clear message, never in a traceback, when the request was wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a file's name need not be text
        try:
            return super().invoke(ctx)
        except DspgraphError as error:
            click.echo(f"dspgraph: {error}", err=True)
            ctx.exit(1 if isinstance(error, LawError) else 2)
        except KeyboardInterrupt:
            click.echo("dspgraph: interrupted", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Vocoders as graphs of small stages, where the cut changes nothing."""


for command in (demo, render, compare, score, show, check, plot, train, nodes, schema):
    main.add_command(command)
