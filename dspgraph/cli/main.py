"""The command line: the group of all commands, which also handles their errors.

Exit codes: 0, all was done; 1, some files failed, a node broke a law, or the output cannot be printed; 2, the request
cannot be carried out; 128 + n, the signal number n stopped the program: 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import Any

import click

from dspgraph._version import __version__
from dspgraph.cli.compare import compare, score
from dspgraph.cli.demo import demo
from dspgraph.cli.info import info
from dspgraph.cli.inspect import check, nodes, pipelines, schema, show
from dspgraph.cli.listen import listen
from dspgraph.cli.live import devices, live, play
from dspgraph.cli.notes import notes
from dspgraph.cli.plot import plot
from dspgraph.cli.process import complain, open_standard_streams, report_stop, report_system_error, signals_raised
from dspgraph.cli.render import render
from dspgraph.cli.train import train
from dspgraph.cli.weights import weights
from dspgraph.errors import MESSAGE_LETTERS, TRACEBACK, DspgraphError, LawError, describe_error
from dspgraph.rendering.system import numpy_warnings_hidden
from dspgraph.shown import escaped, shortened


class _Group(click.Group):
    """A group of commands that turns every error of dspgraph or of the system into one message and an exit code.

    There is no traceback without --traceback.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        open_standard_streams()
        os.environ["MPLBACKEND"] = "agg"  # opens no window; an unknown name in the user's environment would be an error
        try:
            with signals_raised(), numpy_warnings_hidden():
                return super().main(*args, **kwargs)
        except OSError as error:
            sys.exit(report_system_error(error))

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # the name of a file may be invalid as text
        try:
            return super().invoke(ctx)
        except DspgraphError as error:
            complain(describe_error(error))
            ctx.exit(1 if isinstance(error, LawError) else 2)
        except (MemoryError, RecursionError) as error:  # those that no other code has caught
            complain(describe_error(error))
            ctx.exit(2)
        except KeyboardInterrupt as stop:
            ctx.exit(report_stop(stop))
        except click.UsageError as error:  # its message may quote a very long argument
            raise click.UsageError(
                shortened(escaped(error.format_message()), MESSAGE_LETTERS), error.ctx or ctx
            ) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
@click.option("--traceback", is_flag=True, help="Print the traceback of every error, for the authors of nodes.")
@click.pass_context
def main(ctx: click.Context, traceback: bool) -> None:
    """Describe vocoders as graphs of small stages, render recordings with them, and compare the results.

    `dspgraph COMMAND --help` explains a command.
    """
    if traceback:
        os.environ[TRACEBACK] = "1"
        warnings.simplefilter("default", RuntimeWarning)  # those of numpy
        ctx.call_on_close(lambda: os.environ.pop(TRACEBACK, None))


COMMANDS = (
    demo,
    render,
    live,
    play,
    devices,
    compare,
    listen,
    score,
    show,
    check,
    pipelines,
    nodes,
    schema,
    plot,
    notes,
    train,
    weights,
    info,
)

for command in COMMANDS:
    main.add_command(command)
