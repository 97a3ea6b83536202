"""WaveRNN, trained on half a second of speech, makes a copy that is nearer than Griffin-Lim's."""

import csv
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from dspgraph import Array, load
from dspgraph.cli.main import main
from dspgraph.evaluation.metrics import measure
from helpers.speech import speech

BOTH = [
    "bits=8", "gain=3", "preemphasis=0.9", "optimizer=muon", "clip=1", "augment=0", "batch=16", "frames=4",
    "threads=1", "device=cpu",
]  # fmt: skip
FIRST = [
    "upsampling_start=random", "read_noise=24", "learning_rate=0.004", "decay=0.003", "ema=0.99", "steps=350",
    "validate_every=350",
]  # fmt: skip
SECOND = [
    "read_noise=64", "muon_rate=0.01", "learning_rate=0.002", "decay=0.004", "ema=0.98", "steps=250",
    "validate_every=250",
]  # fmt: skip
"""Settings of the commands in docs/wavernn.md."""


def trained(data: Path, out: Path, settings: list[str], *more: str) -> tuple[Path, float]:
    """Run `dspgraph train wavernn`, and return the file of weights, and the loss in the last validation."""
    words = [word for one in [*BOTH, *settings] for word in ("-s", one)]
    result = CliRunner().invoke(main, ["train", "wavernn", "--data", str(data), "-o", str(out), *words, *more])
    assert result.exit_code == 0, result.output
    with open(out / "logs" / "metrics.csv") as file:
        loss = float(list(csv.DictReader(file))[-1]["validation_loss"])
    return out / "weights.safetensors", loss


def distance(samples: Array, copy: Array) -> float:
    """Return the distance of a copy by the metric `lsd`, in dB."""
    found = measure(samples, copy, 16000, ["lsd"])["lsd"]
    assert found is not None
    return found


@pytest.mark.slow
def test_half_a_second_is_copied_better_than_by_griffin_lim(tmp_path: Path) -> None:
    x, data = speech()[16000:24000], tmp_path / "data"
    data.mkdir()
    soundfile.write(data / "half.wav", x, 16000)
    first, _ = trained(data, tmp_path / "first", FIRST)
    weights, loss = trained(data, tmp_path / "second", SECOND, "--init", str(first))
    given = [f"wavernn={weights}", "vocoder.temperature=0.15"]
    found = distance(x, load("mel_vocoder", given, {"vocoder": "wavernn"})(speech=x)["speech"])
    griffin_lim = distance(x, load("mel_vocoder")(speech=x)["speech"])
    print(f"{loss:.3f} nats; distances in dB: WaveRNN {found:.2f}, Griffin-Lim {griffin_lim:.2f}")
    assert loss < 1.2  # measured 0.82 nats per sample; 256 levels of equal probability have 5.55
    assert found < griffin_lim  # measured 6.79 < 7.57, after about 8 CPU minutes
