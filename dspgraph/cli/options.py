"""Options that several commands share."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dspgraph.cli.completion import complete_pipelines, complete_settings, complete_swaps
from dspgraph.errors import ParameterError, RequestError
from dspgraph.shown import shown

if TYPE_CHECKING:
    from dspgraph.rendering.command import Command
    from dspgraph.rendering.job import Executor


class StrictCommand(click.Command):
    """A command that refuses an option given twice, unless the option is a flag or repeatable.

    Without this class, click would take the last value and ignore the others silently.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments as the base class does. Raises UsageError for an option that is given twice."""
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        for option, count in Counter(given).items():
            if isinstance(option, click.Option) and count > 1 and not (option.multiple or option.is_flag):
                raise click.UsageError(f"{option.opts[-1]} is given {count} times: give it once", ctx)
        return super().parse_args(ctx, args)


class _Path(click.Path):
    """A path given by the user. An empty text is refused: it usually comes from a shell variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty path names nothing: is a variable of the shell not set?", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Path(path_type=Path)


def exact_number(text: str) -> Fraction:
    """Return the exact number that a text stands for: 1/100 for "0.01", 1/3 for "1/3".

    Spaces around the number are ignored. Unlike Python's `float`, this function refuses "1_0", digits of other scripts,
    and "nan". Raises ParameterError as `to_fraction` does.
    """
    from dspgraph.streams import to_fraction

    return to_fraction(text.strip())


class WholeNumber(click.IntRange):
    """A whole number given by the user."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number. Refuse a text that is no whole number (see `exact_number`), and a number out of bounds.

        Texts such as "4.0", "8/2" and "1e3" are whole numbers too.
        """
        try:
            number = exact_number(str(value))
        except ParameterError:
            number = Fraction(1, 2)
        if number.denominator != 1:
            self.fail(f"{shown(value)} is not a whole number such as 4", param, ctx)
        return super().convert(int(number), param, ctx)


class RealNumber(click.FloatRange):
    """A number given by the user."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number as a float. Refuse a text that is no number (see `exact_number`), and one out of bounds."""
        try:
            return super().convert(float(exact_number(str(value))), param, ctx)
        except ParameterError as error:
            self.fail(str(error), param, ctx)


plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    help="Load the nodes of your own Python file. The file is run. Repeatable.",
)


def _f0_range(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Return the two numbers of a text LOW,HIGH, or None without the option. Raises RequestError for other texts.

    Whether the range makes sense is not checked.
    """
    if value is None:
        return None
    try:
        low, high = map(exact_number, value.split(","))
    except (ValueError, ParameterError):
        raise RequestError(f"--f0-range {shown(value)}: write LOW,HIGH in Hz, for instance 40,1000") from None
    return float(low), float(high)


f0_range_option = click.option(
    "--f0-range",
    metavar="LOW,HIGH",
    callback=_f0_range,
    help="Lowest and highest pitch in Hz that log_f0_rmse and voicing_error look for. Default: 40,1000.",
)


metric_option = click.option(
    "--metric",
    "metric_files",
    multiple=True,
    metavar="FILE",
    type=PATH,
    help="Add the metrics of your own Python file. The file is run. Repeatable.",
)


def pipeline_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument PIPELINE and the options that change it: `--set`, `--swap` and `--plugin`.

    The command gets them as `pipeline`, a text, and as the arguments that `change_options` lists.
    """
    return click.argument("pipeline", shell_complete=complete_pipelines)(change_options(command))


def change_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that change a pipeline: `--set`, `--swap` and `--plugin`.

    The command gets them as the arguments `overrides` and `plugins`, tuples of texts, and `swaps`, slot -> variant.
    """

    @click.option(
        "-s",
        "--set",
        "overrides",
        multiple=True,
        metavar="NODE.PARAMETER=VALUE",
        shell_complete=complete_settings,
        help="Set a parameter of a node, or a variable of the pipeline by VAR=VALUE. Repeatable.",
    )
    @click.option(
        "--swap",
        "swaps",
        multiple=True,
        metavar="SLOT=VARIANT",
        shell_complete=complete_swaps,
        help="Put a variant into a slot; `show` lists both. Repeatable.",
    )
    @plugin_option
    @wraps(command)
    def wrapped(**options: Any) -> None:
        from dspgraph.pipeline.overrides import swap_pairs

        options["swaps"] = swap_pairs(options["swaps"])
        command(**options)

    return wrapped


def executor_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose where the work is done: `--jobs`, `--executor`, `--address` and `--timeout`.

    The command gets one argument for all of them, `executor`: an `Executor`.
    """

    @click.option(
        "-j",
        "--jobs",
        type=WholeNumber(1),
        help="Number of workers. Default: 1, or every core with --executor process or ray.",
    )
    @click.option(
        "--executor",
        type=click.Choice(["serial", "process", "ray"]),
        help="Work in this process, in worker processes or on Ray. Default: process with --jobs, else serial.",
    )
    @click.option("--address", help="Address of a running Ray cluster, or `auto`. Default: start Ray on this machine.")
    @click.option(
        "--timeout",
        type=RealNumber(min=0, min_open=True),
        metavar="SECONDS",
        help="Give up a file that takes longer, counted from its opening; compiling counts. The other files are done "
        "as usual.",
    )
    @wraps(command)
    def wrapped(
        jobs: int | None, executor: str | None, address: str | None, timeout: float | None, **options: Any
    ) -> None:
        command(executor=_executor(executor, jobs, address, timeout), **options)

    return wrapped


quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but what failed.")

overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace results in OUT of other recordings, or of another pipeline, swap or setting.",
)

_HOW = {"out", "executor", "jobs", "address", "timeout", "batch", "resume", "retry_failed", "profiled", "as_json"}
_HOW |= {"assets", "overwrite", "quiet"}
"""Parameters of commands that decide where and how a result is made, but do not change the result."""

_MOST_FILES = 20
"""The largest number of files that a recorded command line names."""


def recorded_command(*without: str) -> Command:
    """Return the command that the user gave as two texts: with all arguments, and with those that determine a result.

    without: names of further parameters to leave out of the second text. `render` leaves out "files": the sidecar of a
    result names its own file.
    """
    from dspgraph.rendering.command import Command

    ctx = click.get_current_context()
    return Command(_command_line(ctx, set()), _command_line(ctx, _HOW | set(without)))


def _command_line(ctx: click.Context, without: Collection[str]) -> str:
    """Return a command as text for a shell: its arguments, then the options that the user gave.

    Values that are not from the command line, such as defaults, are left out. Of more than 20 files, the first 20 and
    the number of the others are named. without: names of further parameters to leave out.
    """
    words = ["dspgraph", ctx.info_name or ""]
    for parameter in sorted(ctx.command.params, key=lambda one: isinstance(one, click.Option)):
        name = parameter.name or ""
        if name in without or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[name]
        texts = [str(one) for one in (value if isinstance(value, tuple) else (value,))]
        if not isinstance(parameter, click.Option):
            more = [f"... {len(texts) - _MOST_FILES} more files"] if len(texts) > _MOST_FILES else []
            words += texts[:_MOST_FILES] + more
        elif parameter.is_flag:
            words.append(parameter.opts[0])
        else:
            words += [word for text in texts for word in (parameter.opts[0], text)]
    return shlex.join(words)


def _executor(name: str | None, jobs: int | None, address: str | None, timeout: float | None) -> Executor:
    """Return the executor for the values of --executor (name), --jobs, --address and --timeout.

    Raises RequestError if --address or --jobs contradicts the executor.
    """
    from dspgraph.rendering.executors.process import Processes
    from dspgraph.rendering.executors.ray import Ray
    from dspgraph.rendering.executors.serial import Serial

    if address is not None and name != "ray":
        raise RequestError(f"--address {address} is the address of a Ray cluster: give --executor ray too")
    if name == "ray":
        return Ray(jobs, address, timeout)
    if name == "process" or (name is None and jobs not in (None, 1)):
        return Processes(jobs, timeout)
    if jobs not in (None, 1):
        raise RequestError(f"--executor serial has one worker; found --jobs {jobs}: drop one of the two options")
    return Serial(timeout)
