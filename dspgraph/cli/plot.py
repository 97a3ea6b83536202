"""The command `plot`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce, wraps
from pathlib import Path
from typing import Any

import click

from dspgraph.cli.options import PATH, StrictCommand
from dspgraph.cli.output import echo
from dspgraph.errors import ParameterError, RequestError


def _number(ctx: click.Context, param: click.Parameter, value: str | None) -> Fraction:
    """Return the value of --offset in seconds as a fraction, such as 768/22050; 0 without the option.

    Raises RequestError for a text that is no number.
    """
    from dspgraph.streams import to_fraction

    try:
        return to_fraction(value or 0)
    except ParameterError as error:
        raise RequestError(f"--offset: {error}") from None


def phone_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of `--phones`; the command gets their values as one dictionary `phones`.

    Its keys are phone, tier, utterance and form (texts, None if not given), offset (a fraction) and folds (a tuple).
    """
    options = [
        click.option(
            "--phone", metavar="LABEL", help="The phone whose distribution is drawn. Default: the one that varies most."
        ),
        click.option("--tier", metavar="NAME", help="The tier of a TextGrid. Default: the tier of phones."),
        click.option("--utterance", metavar="NAME", help="The utterance of a .ctm or .mlf file. Default: as FILE."),
        click.option(
            "--alignment-format",
            "form",
            metavar="FORMAT",
            help="The format: htk (also labels in seconds), mlf, festival, ctm, gentle, textgrid, audacity or timit. "
            "Default: from the content and the suffix.",
        ),
        click.option(
            "--offset",
            metavar="SECONDS",
            callback=_number,
            help="Seconds added to every time of the alignment, for instance 768/22050.",
        ),
        click.option(
            "--fold",
            "folds",
            multiple=True,
            metavar="PART",
            help="Take a part of the labels away: `position` (_B _I _E _S) or `stress` (digits). Repeatable.",
        ),
    ]
    names = ("phone", "tier", "utterance", "form", "offset", "folds")

    @wraps(command)
    def wrapped(**given: Any) -> None:
        command(phones={name: given.pop(name) for name in names}, **given)

    return reduce(lambda inner, option: option(inner), reversed(options), wrapped)


@click.command(cls=StrictCommand)
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
    "--phones",
    "alignment",
    metavar="ALIGNMENT",
    help="Draw how often each phone has each scale, and the distribution of one phone. FILE is an .npz file with the "
    "mixtures of logistics that a model predicts, or a folder of such files. ALIGNMENT says when each phone is spoken: "
    "it is a file, or a folder with a file for each recording. The numbers are written beside the picture, as .csv.",
    type=PATH,
)
@click.option(
    "--pipeline",
    metavar="PIPELINE",
    help="Draw streams that this pipeline computes from FILE, below each other: its outputs, or those of --stream.",
)
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="NAME",
    help="The stream to draw: with --pipeline NODE or NODE.OUTPUT, else a stream in the .npz file FILE. Default: all "
    "outputs, all streams in FILE, or with --phones the only one of a fitting kind. Repeatable.",
)
@phone_options
@click.option(
    "-o", "--out", help="File of the picture. Default: the name of FILE with .png, in this folder.", type=PATH
)
@click.option(
    "--swap",
    "swaps",
    multiple=True,
    metavar="SLOT=VARIANT",
    help="Put a variant into a slot of the pipeline: of --pipeline, or of `rainbowgram`.",
)
def plot(
    file: Path,
    rainbow: bool,
    plain: bool,
    weights: Path | None,
    alignment: Path | None,
    pipeline: str | None,
    streams: tuple[str, ...],
    phones: dict[str, Any],
    out: Path | None,
    swaps: tuple[str, ...],
) -> None:
    """Draw the sound of FILE, or streams, as a PNG picture.

    Choose one picture: a rainbowgram, computed by the pipeline of that name; a spectrogram; the streams of any
    pipeline, such as the pitch over a spectrogram; the distribution that a trained model predicts for every sample,
    with the true levels and the entropy; or the scales of such distributions phone by phone. If FILE is an .npz file
    that `render` wrote, its streams are drawn.
    """
    others = (weights is not None) + (alignment is not None) + (pipeline is not None)
    stored = file.suffix.lower() == ".npz" and not (rainbow or plain or others)
    if rainbow + plain + others + stored != 1:
        raise RequestError(
            "plot draws one picture: give --rainbowgram or --spectrogram or --pipeline PIPELINE or --distribution "
            "WEIGHTS or --phones ALIGNMENT, or an .npz file"
        )
    if swaps and not (rainbow or pipeline):
        what = "a spectrogram" if plain else "an .npz file" if stored else "the picture of a distribution"
        raise RequestError(f"--swap changes the pipeline of --rainbowgram or --pipeline; {what} has none: drop it")
    if streams and (rainbow or plain or weights):
        raise RequestError("--stream belongs to --pipeline, to --phones, or to an .npz file: drop it")
    if alignment is not None and len(streams) > 1:
        raise RequestError(f"--phones draws one stream; found --stream {' --stream '.join(streams)}: give one of them")
    if alignment is None and (given := [name for name, value in phones.items() if value]):
        option = {"form": "alignment-format", "folds": "fold"}.get(given[0], given[0])
        raise RequestError(f"--{option} belongs to --phones ALIGNMENT: drop it")
    target = out or Path(f"{file.resolve().name if file.is_dir() else file.stem}.png")
    if target.suffix.lower() != ".png":
        raise RequestError(f"{target}: pictures are written as .png: name it {target.with_suffix('.png').name}")
    from dspgraph.pipeline.overrides import swap_pairs
    from dspgraph.plotting.canvas import save

    study = None
    if weights is not None:
        from dspgraph.plotting.distribution import distribution
        from dspgraph.training.run import distribution as predict

        figure = distribution(*predict(weights, file), file.name)
    elif alignment is not None:
        from dspgraph.plotting.phone_files import study_files
        from dspgraph.plotting.phones import phone_heat_map

        phone = phones.pop("phone")
        study = study_files(file, alignment, stream=next(iter(streams), None), **phones)
        for sentence in study.notes:
            echo(f"note: {sentence}", err=True)
        figure = phone_heat_map(study, file.name, phone)
    elif pipeline is not None:
        from dspgraph.pipeline.pipeline import load
        from dspgraph.plotting.panels import draw_panels, rendered_panels

        panels, speech = rendered_panels(load(pipeline, swap=swap_pairs(swaps), file=file), file, streams)
        figure = draw_panels(panels, file.name, speech)
    elif stored:
        from dspgraph.plotting.panels import draw_panels, file_panels

        figure = draw_panels(file_panels(file, streams), file.name)
    elif rainbow:
        from dspgraph.plotting.rainbowgram import file_rainbowgram

        figure = file_rainbowgram(file, swap_pairs(swaps))
    else:
        from dspgraph.plotting.spectrogram import file_spectrogram

        figure = file_spectrogram(file)
    table = target.with_suffix(".csv")
    for path in [target, table] if study else [target]:
        if path.exists():
            echo(f"note: {path} was there, and is replaced", err=True)
    echo(str(save(figure, target)))
    if study:
        echo(str(study.write(table)))
