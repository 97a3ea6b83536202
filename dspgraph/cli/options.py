"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dspgraph.errors import RequestError

if TYPE_CHECKING:
    from dspgraph.rendering.job import Executor


class _Path(click.Path):
    """A path given by the user. An empty one is refused: it comes from a shell variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty path names nothing: is a variable not set?", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Path(path_type=Path)

plugin_option = click.option(
    "--plugin", "plugins", multiple=True, metavar="FILE", help="A Python file with nodes of your own."
)


def pipeline_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument PIPELINE and the options that change it: `--set`, `--swap` and `--plugin`."""

    @click.argument("pipeline")
    @click.option("-s", "--set", "overrides", multiple=True, metavar="NODE.PARAMETER=VALUE", help="Or VAR=VALUE.")
    @click.option("--swap", "swaps", multiple=True, metavar="SLOT=VARIANT", help="Put a variant into a slot.")
    @plugin_option
    @wraps(command)
    def wrapped(**options: Any) -> None:
        options["swaps"] = swap_pairs(options["swaps"])
        command(**options)

    return wrapped


def executor_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose where the work is done: `--jobs`, `--executor` and `--address`."""

    @click.option("-j", "--jobs", type=click.IntRange(1), help="Processes at a time; all cores with --executor alone.")
    @click.option("--executor", type=click.Choice(["serial", "process", "ray"]), help="process, if there are --jobs.")
    @click.option("--address", help="Of a Ray cluster, or auto; without it one is started here.")
    @wraps(command)
    def wrapped(jobs: int | None, executor: str | None, address: str | None, **options: Any) -> None:
        command(executor=_executor(executor, jobs, address), **options)

    return wrapped


def swap_pairs(swaps: Sequence[str]) -> dict[str, str]:
    """Return slot -> variant of every SLOT=VARIANT; raise RequestError for one that is not so written."""
    pairs: dict[str, str] = {}
    for swap in swaps:
        slot, equals, variant = swap.partition("=")
        if not equals:
            raise RequestError(f"--swap {swap}: write SLOT=VARIANT, for instance excitation=residual")
        if slot in pairs:
            raise RequestError(f"--swap {slot}={pairs[slot]} and --swap {swap}: one slot takes one variant: drop one")
        pairs[slot] = variant
    return pairs


def _executor(name: str | None, jobs: int | None, address: str | None) -> Executor:
    from dspgraph.rendering.executors import Processes, Ray
    from dspgraph.rendering.job import Serial

    if address is not None and name != "ray":
        raise RequestError("--address is of a Ray cluster: give --executor ray too")
    if name == "ray":
        return Ray(jobs, address)
    if name == "process" or (name is None and jobs not in (None, 1)):
        return Processes(jobs)
    if jobs not in (None, 1):
        raise RequestError(f"--executor serial is one job; found --jobs {jobs}: drop one of them")
    return Serial()
