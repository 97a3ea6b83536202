"""The command `train`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dspgraph.cli.options import PATH, StrictCommand
from dspgraph.cli.output import print_tables
from dspgraph.errors import RequestError


@click.command(cls=StrictCommand)
@click.argument("model")
@click.option("--data", help="Recordings of any sample rate: a folder or, as for `render`, a manifest.", type=PATH)
@click.option("-o", "--out", help="Folder for the weights, checkpoints and logs.", type=PATH)
@click.option(
    "-s",
    "--set",
    "given",
    multiple=True,
    metavar="SETTING=VALUE",
    help="Change a setting of the training; --settings lists them. Repeatable.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue from the last checkpoint in OUT; the final weights are the same as without the interruption.",
)
@click.option("--init", help="Begin with the weights of this file, of a network of the same sizes.", type=PATH)
@click.option(
    "--settings", "listed", is_flag=True, help="List the settings of MODEL and their defaults, and do nothing else."
)
def train(
    model: str,
    data: Path | None,
    out: Path | None,
    given: tuple[str, ...],
    resume: bool,
    init: Path | None,
    listed: bool,
) -> None:
    """Train MODEL on recordings, and write its weights.

    MODEL is the name of the node that runs the model. If there is no such model, the error names a similar model, or
    all models.
    """
    from dspgraph.rendering.system import check_working_directory
    from dspgraph.training import run as training

    check_working_directory("torch cannot be loaded without it")
    if listed:
        rows = [
            (name, f"default {default}" if default else "", text) for name, default, text in training.settings(model)
        ]
        print_tables({f"settings of {model}": rows})
        return
    if data is None or out is None:
        raise RequestError("train needs recordings and a folder for the weights: give --data FOLDER and --out FOLDER")
    chosen: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise RequestError(f"-s {one}: expected SETTING=VALUE; --settings lists the settings")
        if name in chosen:
            raise RequestError(f"-s {name}={chosen[name]} and -s {one}: a setting has one value: drop one of them")
        chosen[name] = value
    click.echo(training.train(model, data, out, chosen, resume, sys.stderr.isatty(), click.echo, init))
