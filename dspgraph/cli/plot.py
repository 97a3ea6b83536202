"""The command `plot`."""

from __future__ import annotations

from pathlib import Path

import click

from dspgraph.cli.options import PATH, swap_pairs
from dspgraph.cli.output import echo
from dspgraph.errors import RequestError


@click.command()
@click.argument("file", type=PATH)
@click.option(
    "--rainbowgram",
    "rainbow",
    is_flag=True,
    help="Draw the log magnitude as brightness and the instantaneous frequency as hue.",
)
@click.option("--spectrogram", "plain", is_flag=True, help="Draw the magnitude, at the sample rate of the file.")
@click.option(
    "--distribution",
    "weights",
    metavar="WEIGHTS",
    help="Draw the distribution that a trained model predicts for every sample, and its entropy.",
    type=PATH,
)
@click.option(
    "-o", "--out", help="File of the picture. Default: the name of FILE with .png, in this folder.", type=PATH
)
@click.option(
    "--swap",
    "swaps",
    multiple=True,
    metavar="SLOT=VARIANT",
    help="Put a variant into a slot of the pipeline `rainbowgram`.",
)
def plot(
    file: Path, rainbow: bool, plain: bool, weights: Path | None, out: Path | None, swaps: tuple[str, ...]
) -> None:
    """Draw the sound of FILE as a PNG picture.

    Choose one picture: a rainbowgram, computed by the pipeline of that name; a spectrogram; or the distribution that a
    trained model predicts for every sample, with the true levels and the entropy.
    """
    if rainbow + plain + (weights is not None) != 1:
        raise RequestError("plot draws one picture: give --rainbowgram or --spectrogram or --distribution WEIGHTS")
    if not rainbow and swaps:
        what = "a spectrogram" if plain else "the picture of a distribution"
        raise RequestError(f"--swap changes the pipeline of --rainbowgram; {what} has none: drop it")
    target = out or Path(f"{file.stem}.png")
    if target.suffix.lower() != ".png":
        raise RequestError(f"{target}: pictures are written as .png: name it {target.with_suffix('.png').name}")
    from dspgraph.plotting.canvas import save

    if weights is not None:
        from dspgraph.plotting.distribution import distribution
        from dspgraph.training.run import distribution as predict

        figure = distribution(*predict(weights, file), file.name)
    elif rainbow:
        from dspgraph.plotting.rainbowgram import file_rainbowgram

        figure = file_rainbowgram(file, swap_pairs(swaps))
    else:
        from dspgraph.plotting.spectrogram import file_spectrogram

        figure = file_spectrogram(file)
    echo(str(save(figure, target)))
