"""The commands `weights list`, `weights convert`, `weights half`, `weights quantise` and `weights show`."""

from __future__ import annotations

from pathlib import Path

import click

from dspgraph.cli.options import PATH, StrictCommand
from dspgraph.cli.output import echo, print_tables
from dspgraph.errors import FileError


@click.group()
def weights() -> None:
    """List, convert, show or compress files of the weights of models."""


@weights.command("list", cls=StrictCommand)
def list_weights() -> None:
    """List the weights that come with dspgraph, and check the sha256 of each against its card.

    It is an error if the sha256 of a file is not the one on its card.
    """
    from dspgraph.training.weights import shipped_weights

    found = shipped_weights()
    rows = [
        (
            one.pipeline,
            f"{one.description.model}, {one.description.count} weights in {one.description.precision}, "
            f"{one.size / 1e6:.2f} MB, sha256 {one.digest}",
        )
        for one in found
    ]
    print_tables({"weights of pipelines": rows})
    for one in found:
        if not one.intact:
            raise FileError(
                f"the weights of {one.pipeline} have the sha256 {one.digest}; expected {one.expected}, as their card "
                "says: install dspgraph again"
            )


@weights.command(cls=StrictCommand)
@click.argument("checkpoint", type=PATH)
@click.option("-o", "--out", required=True, help="File to write, OUT.safetensors.", type=PATH)
@click.option("--model", help="Name of the model; by default the one whose layout the checkpoint has.")
@click.option(
    "--config", "settings", help="JSON file with values that are not in the checkpoint, such as stacks.", type=PATH
)
def convert(checkpoint: Path, out: Path, model: str | None, settings: Path | None) -> None:
    """Convert CHECKPOINT, the weights of a published program, to a file that nodes read.

    CHECKPOINT is a file of torch, safetensors, numpy (.npz) or HDF5, or the index of a checkpoint of TensorFlow.
    Nothing in it is executed. Values that it does not contain are taken from --config or, if they are not there either,
    assumed to be as published; each assumed value is printed.
    """
    from dspgraph.training.conversion import convert_weights

    found = convert_weights(checkpoint, out, model, settings)
    echo(f"weights of {found.model}")
    for value in found.untold:
        echo(f"note: neither the checkpoint nor --config has this value, so it is assumed: {value}", err=True)
    click.echo(out)


@weights.command(cls=StrictCommand)
@click.argument("file", type=PATH)
@click.option("-o", "--out", required=True, help="File to write, OUT.safetensors.", type=PATH)
def half(file: Path, out: Path) -> None:
    """Write the weights of FILE with numbers of 16 bits (float16): half the size. Nodes read both kinds of files."""
    from dspgraph.training.weights import write_half

    write_half(file, out)
    click.echo(out)


@weights.command(cls=StrictCommand)
@click.argument("file", type=PATH)
@click.option("-o", "--out", required=True, help="File to write, OUT.safetensors.", type=PATH)
def quantise(file: Path, out: Path) -> None:
    """Write the weights of FILE with matrices in eight bits: a quarter of the size.

    Every row of a matrix has a scale of its own. The errors of each matrix are printed: the root of the mean square,
    relative to that of the weights, and the largest error, relative to the largest weight. A node with the parameter
    precision=int8 gives the same samples with FILE and with OUT, for instance in the pipeline lpcnet with
    -s weights=OUT -s lpcnet.precision=int8, where lpcnet is the name of the node.
    """
    from dspgraph.training.weights import write_eight_bits

    errors = write_eight_bits(file, out)
    size = f"{out.stat().st_size / file.stat().st_size:.0%} of the size of {file.name}"
    rows = [(name, f"{mean:.2%}, at most {worst:.2%}") for name, (mean, worst) in errors.items()]
    print_tables({"errors": rows, "file": [(str(out), size)]})


@weights.command(cls=StrictCommand)
@click.argument("file", type=PATH)
def show(file: Path) -> None:
    """Show the model, the configuration and the arrays of a FILE of weights."""
    from dspgraph.training.weights import describe_weights

    found = describe_weights(file)
    print_tables(
        {
            f"weights of {found.model}": [(name, str(value)) for name, value in found.config.items()],
            f"{len(found.shapes)} arrays, {found.count} weights in {found.precision}": [
                (name, str(list(shape))) for name, shape in found.shapes.items()
            ],
        }
    )
