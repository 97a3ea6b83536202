"""Train WaveNet on one recording until it knows the waveform by heart, and compare its copy with that of Griffin-Lim.

python examples/learn_one_clip_by_heart.py [FILE] [--batches N] [--out FOLDER]

Both make speech from the same mel bands, which have no phases. Two random signals with the same spectrum differ by 8 dB
in log-spectral distance. So a network that is nearer than Griffin-Lim must know the waveform, and it must not lose its
place in the waveform while it reads its own samples. The training takes about 20 minutes on one core of a CPU. A run
that was stopped goes on if the same command is given again.
"""

import argparse
import csv
import time
from pathlib import Path

import soundfile

from dspgraph import load
from dspgraph.evaluation.metrics import measure
from dspgraph.io.audio import example_speech
from dspgraph.training.run import train

BATCHES = 5600
SETTINGS = {
    "kind": "mixture", "layers": "12", "stacks": "2", "residual": "48", "gate": "96", "skip": "48",
    "preemphasis": "0.9", "gain": "2.8", "upsampling_start": "random", "read_noise": "24", "optimizer": "muon",
    "learning_rate": "0.002", "halve_every": "1100", "ema": "0.99", "batch": "1", "frames": "20",
    "validate_every": "200", "device": "cpu", "threads": "1",
}  # fmt: skip
"""The settings of the training.

`read_noise`: the network reads the recording with noise, and so learns to come back to it from its own errors.
`upsampling_start`: with random filters it sees where in a frame a sample is. `preemphasis`: in the distance, weak high
bands count as much as strong low bands.
"""
TEMPERATURE = 0.1  # the network is sure; its draws would only add noise


def learn(file: Path, out: Path, batches: int, **settings: str) -> Path:
    """Train WaveNet on a recording, or continue this training, and return the path of the weights.

    out: the folder of all files; settings: settings that replace those of `SETTINGS`.
    """
    run = out / "run"
    resume = (run / "checkpoint.ckpt").is_file()
    return train("wavenet", file, run, {**SETTINGS, **settings, "steps": str(batches)}, resume, report=print)


def likelihood(out: Path) -> float:
    """Return the last negative log-likelihood of the recording, in nats per sample of 16 bits."""
    with open(out / "run" / "logs" / "metrics.csv") as file:
        return [float(row["validation_loss"]) for row in csv.DictReader(file) if row["validation_loss"]][-1]


def distances(file: Path, weights: Path) -> dict[str, float]:
    """Return the log-spectral distances of two copies from the recording, dB, by name."""
    x, rate = soundfile.read(file)
    copies = {
        "griffin_lim": load("mel_vocoder")(speech=x)["speech"],
        "wavenet": load("wavenet", [f"weights={weights}", f"temperature={TEMPERATURE}"])(speech=x)["speech"],
    }
    return {name: measure(x, copy, rate, ["lsd"])["lsd"] or 0.0 for name, copy in copies.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=example_speech())
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--out", type=Path, default=Path("one_clip_by_heart"))
    given = parser.parse_args()
    begin = time.process_time()
    weights = learn(given.file, given.out, given.batches)
    print(f"{likelihood(given.out):.2f} nats per sample after {(time.process_time() - begin) / 60:.1f} CPU minutes")
    for name, distance in distances(given.file, weights).items():
        print(f"{name}: {distance:.2f} dB from the recording")


if __name__ == "__main__":
    main()
