"""Train LPCNet on one clip
========================

Train LPCNet on one recording and resynthesise that recording, on a CPU, in minutes.

::

    python examples/train_lpcnet_on_one_clip.py [FILE] [--batches N] [--out FOLDER]

A network trained on a recording of a few seconds can synthesise only this recording. The example shows how training
works, not how good LPCNet sounds.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np

from dspgraph import load
from dspgraph.io.audio import example_speech
from dspgraph.rendering.render import render_file
from dspgraph.training.run import distribution, train

SETTINGS = {
    "preset": "lpcnet-small", "device": "cpu", "threads": "1", "batch": "44", "frames": "9", "updates": "18",
    "noise_scale": "3", "clean_share": "0.25", "augment": "1", "learning_rate": "0.004", "decay": "0.0003",
    "clip": "0.5", "ema": "0.998", "sparse_start": "20", "sparse_end": "120", "sparse_every": "10",
    "validate_every": "120",
}  # fmt: skip
"""The settings of the training.

One copy of the recording with random changes (`augment`) and three times the published noise (`noise_scale`) are used,
because without them the network overfits and its speech has clicks.
"""
BATCHES = 840


def learn(file: Path, out: Path, batches: int, resume: bool = False) -> Path:
    """Train LPCNet on a recording, and return the path of the weights.

    file: the recording; out: the folder of all files: the recording is copied into its folder data, and every recording
    there is learnt; the results are in its folder run. batches: the number of all batches, also of those before a
    resumption; resume: whether the training in `out` is continued.
    """
    data = out / "data"
    data.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, data)
    return train("lpcnet", data, out / "run", {**SETTINGS, "steps": str(batches)}, resume, report=print)


def gain(weights: Path, file: Path) -> float:
    """Return the mean log-likelihood ratio of a network to a fixed distribution, on a recording, in nats per sample.

    The network predicts each code of the recording from the true samples before it. The fixed distribution is the best
    possible one: the relative frequencies of the codes in the recording. weights: the file of the network; file: the
    recording.
    """
    expected, codes, _ = distribution(weights, file)
    share = np.bincount(codes) / len(codes)
    return float(np.log(expected[np.arange(len(codes)), codes] / share[codes]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=example_speech())
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--out", type=Path, default=Path("lpcnet_on_one_clip"))
    given = parser.parse_args()
    weights = learn(given.file, given.out, given.batches, (given.out / "run" / "checkpoint.ckpt").is_file())
    print(f"{gain(weights, given.file):.2f} nats below the best fixed distribution")
    graph = load("lpcnet", [f"weights={weights}"])
    row = render_file(graph, given.file, dict.fromkeys(graph.outputs, given.out / f"{given.file.stem}.flac"))
    print(row.error or f"{row.targets[0]}: {row.audio_seconds:.1f} s of audio in {row.seconds:.1f} s")
    print(f"see it: dspgraph plot {given.file} --distribution {weights}")


if __name__ == "__main__":
    main()
