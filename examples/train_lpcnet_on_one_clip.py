"""From one recording to weights to its resynthesis, on a CPU, in minutes.

python examples/train_lpcnet_on_one_clip.py [FILE] [--batches N] [--out FOLDER]

A network that has heard four seconds only knows these: it shows how training goes, not how a trained voice sounds.
"""

import argparse
import shutil
from pathlib import Path

from dspgraph import load
from dspgraph.audio_io import example_speech
from dspgraph.rendering import render_file
from dspgraph.training import train

SETTINGS = {
    "preset": "lpcnet-small", "device": "cpu", "threads": "1", "batch": "66", "frames": "6", "updates": "30",
    "clean": "0.4", "augment": "0", "learning_rate": "0.004", "decay": "0.0003", "validate_every": "10",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=example_speech())
    parser.add_argument("--batches", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("lpcnet_on_one_clip"))
    given = parser.parse_args()
    data = given.out / "data"
    data.mkdir(parents=True, exist_ok=True)
    shutil.copy(given.file, data)
    resume = (given.out / "run" / "checkpoint.ckpt").is_file()
    settings = {**SETTINGS, "steps": str(given.batches)}
    weights = train("lpcnet", data, given.out / "run", settings, resume, report=print)
    graph = load("lpcnet", [f"weights={weights}"])
    row = render_file(graph, given.file, dict.fromkeys(graph.outputs, given.out / f"{given.file.stem}.flac"))
    print(row.error or f"{row.targets[0]}: {row.audio_seconds:.1f} s of audio in {row.seconds:.1f} s")
    print(f"see it: dspgraph plot {given.file} --excitation {weights}")


if __name__ == "__main__":
    main()
