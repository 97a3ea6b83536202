"""The command `demo`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dspgraph.cli.options import PATH, StrictCommand, overwrite_option
from dspgraph.cli.output import echo, print_means
from dspgraph.errors import DspgraphError

if TYPE_CHECKING:
    from dspgraph.graph import Graph


@click.command(cls=StrictCommand)
@click.option("--out", default="demo", show_default=True, help="Folder for the results.", type=PATH)
@click.option("--weights", help="Weights of a trained model, which is then compared too.", type=PATH)
@overwrite_option
def demo(out: Path, weights: Path | None, overwrite: bool) -> None:
    """Resynthesise a recording; write a page to listen to.

    The recording is a sentence of real speech. It is rendered by the pipeline `lpc_vocoder` with each of its
    excitations, and by the networks whose weights come with dspgraph. OUT gets the audio, the page report.html and a
    picture with all spectrograms.
    """
    from dspgraph.evaluation.compare import PAGE, audio_files, compare
    from dspgraph.evaluation.listening import REFERENCE
    from dspgraph.evaluation.variants import Choice, choices
    from dspgraph.io.audio import example_speech
    from dspgraph.pipeline.pipeline import Pipeline, load
    from dspgraph.pipeline.shipped import VOCODER, VOCODER_SLOT
    from dspgraph.plotting.spectrogram import spectrograms
    from dspgraph.training.weights import model_of

    each = choices(VOCODER, vary=[VOCODER_SLOT])
    models = {name: Choice(name, graph) for name, graph in _voices()}
    if weights:
        model, overrides = model_of(weights), [f"weights={weights}"]
        models[model] = Choice(model, load(model, overrides), overrides=overrides)
    found = [*each, *models.values()]
    clip = example_speech()
    echo(f"{', '.join([VOCODER, *models])} on {clip.name}:")
    results = compare(found, [clip], out, VOCODER, Pipeline(VOCODER).document.about, overwrite=overwrite)
    errors = [score.error for score in results.scores if score.error]
    if errors:
        raise DspgraphError(errors[0])
    print_means(results)
    pictures = audio_files(out, [REFERENCE, *(choice.name for choice in found)], clip.stem)
    echo(f"  spectrograms  {spectrograms(pictures, out / 'spectrograms.png')}")
    echo(f"  to listen to  {out / PAGE}")


def _voices() -> Iterator[tuple[str, Graph]]:
    """Yield (name, graph) of the shipped pipelines whose only input is audio and whose weights lie beside them."""
    from dspgraph.pipeline.pipeline import load
    from dspgraph.registry import shipped_pipelines

    for name, path in shipped_pipelines().items():
        if path.with_suffix(".safetensors").is_file() and (graph := load(name)).audio_input:
            yield name, graph
