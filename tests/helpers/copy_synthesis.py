"""Training of a neural vocoder on one recording, and the distance of its copy, beside that of Griffin-Lim's copy."""

import csv
from collections.abc import Sequence
from pathlib import Path

import soundfile
from click.testing import CliRunner

from dspgraph import Array, load
from dspgraph.cli.main import main
from dspgraph.evaluation.metrics import measure

RATE = 16000


def trained(model: str, x: Array, folder: Path, settings: Sequence[str], *more: str) -> tuple[Path, float]:
    """Run `dspgraph train`, and return the file of weights, and the loss of the last validation in nats per sample.

    model: its name, such as "wavernn". x: the recording, [n], at 16 kHz. folder: a new folder for the data and the
    results. settings: texts NAME=VALUE; more: further arguments of the command. Raises AssertionError if the command
    fails.
    """
    (folder / "data").mkdir(parents=True)
    soundfile.write(folder / "data" / "x.wav", x, RATE)
    words = [word for one in settings for word in ("-s", one)]
    result = CliRunner().invoke(
        main, ["train", model, "--data", f"{folder}/data", "-o", f"{folder}/run", *words, *more]
    )
    assert result.exit_code == 0, result.output
    with open(folder / "run" / "logs" / "metrics.csv") as file:
        loss = float(list(csv.DictReader(file))[-1]["validation_loss"])
    return folder / "run" / "weights.safetensors", loss


def distances(model: str, x: Array, weights: Path, temperature: float) -> tuple[float, float]:
    """Return the distances from x, by the metric `lsd` in dB, of the copies of a model and of Griffin-Lim.

    Both copies are made by the pipeline `mel_vocoder`, from the same mel bands. model: a variant of its slot
    `vocoder`, such as "wavernn"; x: [n], at 16 kHz; weights: the file of the model; temperature: that of its draws.
    """
    given = [f"{model}={weights}", f"vocoder.temperature={temperature}"]
    found = []
    for graph in (load("mel_vocoder", given, {"vocoder": model}), load("mel_vocoder")):
        distance = measure(x, graph(speech=x)["speech"], RATE, ["lsd"])["lsd"]
        assert distance is not None
        found.append(distance)
    return found[0], found[1]
