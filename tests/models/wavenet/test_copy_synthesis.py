"""WaveNet, trained on half a second of speech, makes a copy that is nearer than Griffin-Lim's."""

import csv
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from dspgraph import Array, load
from dspgraph.cli.main import main
from dspgraph.evaluation.metrics import measure
from helpers.speech import speech

SETTINGS = [
    "kind=categorical", "gain=3", "preemphasis=0.9", "layers=12", "stacks=2", "context=4", "upsampling_start=random",
    "read_noise=24", "optimizer=muon", "learning_rate=0.004", "decay=0.008", "ema=0.98", "augment=0", "batch=4",
    "frames=16", "steps=280", "validate_every=280", "threads=1", "device=cpu",
]  # fmt: skip
"""Settings of the command in docs/wavenet.md."""


def distance(samples: Array, copy: Array) -> float:
    """Return the distance of a copy by the metric `lsd`, in dB."""
    found = measure(samples, copy, 16000, ["lsd"])["lsd"]
    assert found is not None
    return found


@pytest.mark.slow
def test_half_a_second_is_copied_better_than_by_griffin_lim(tmp_path: Path) -> None:
    x, data, out = speech()[16000:24000], tmp_path / "data", tmp_path / "run"
    data.mkdir()
    soundfile.write(data / "half.wav", x, 16000)
    words = [word for one in SETTINGS for word in ("-s", one)]
    result = CliRunner().invoke(main, ["train", "wavenet", "--data", str(data), "-o", str(out), *words])
    assert result.exit_code == 0, result.output
    with open(out / "logs" / "metrics.csv") as file:
        loss = float(list(csv.DictReader(file))[-1]["validation_loss"])
    given = [f"wavenet={out / 'weights.safetensors'}", "vocoder.temperature=0.2"]
    found = distance(x, load("mel_vocoder", given, {"vocoder": "wavenet"})(speech=x)["speech"])
    griffin_lim = distance(x, load("mel_vocoder")(speech=x)["speech"])
    print(f"{loss:.3f} nats; distances in dB: WaveNet {found:.2f}, Griffin-Lim {griffin_lim:.2f}")
    assert loss < 1.5  # measured 1.09 nats per sample; 256 levels of equal probability have 5.55
    assert found < griffin_lim  # measured 7.22 < 7.57, after about 4 CPU minutes
