"""Make notes
==========

Make notes by formulas, and a manifest with their pitches: training data for GANSynth or a WaveNet autoencoder.

::

    python examples/make_notes.py FOLDER [--count N] [--seed S] [--rate HZ] [--lowest P] [--highest P]

Each note is a file FOLDER/notes/NUMBER.wav of 4 s. The manifest FOLDER/notes.jsonl has the columns id, path, pitch
(MIDI number), timbre and velocity.
"""

import argparse
import json
from pathlib import Path

from dspgraph import Audio
from dspgraph.io.atomic import write_whole
from dspgraph.io.audio import AudioSink
from dspgraph_nodes.models.shared.notes import HIGHEST_PITCH, LOWEST_PITCH, made_note


def make_notes(folder: Path, count: int, seed: int, rate: int, lowest: int, highest: int) -> Path:
    """Write notes and their manifest, and return the path of the manifest.

    folder: the folder that gets notes/ and notes.jsonl; files that exist are replaced; count: the number of notes; the
    other arguments are those of `made_note`.
    """
    (folder / "notes").mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(count):
        note, name = made_note(seed, index, rate, lowest, highest), f"{index:06d}"
        with AudioSink(folder / "notes" / f"{name}.wav", Audio(rate)) as file:
            file.write(note.samples)
        labels = {"pitch": note.pitch, "timbre": note.timbre, "velocity": note.velocity}
        lines.append(json.dumps({"id": name, "path": f"notes/{name}.wav", **labels}) + "\n")
    return write_whole(folder / "notes.jsonl", "".join(lines).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=610, help="610: each pitch twice in each timbre")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=int, default=16000)
    parser.add_argument("--lowest", type=int, default=LOWEST_PITCH)
    parser.add_argument("--highest", type=int, default=HIGHEST_PITCH)
    given = parser.parse_args()
    print(make_notes(given.folder, given.count, given.seed, given.rate, given.lowest, given.highest))


if __name__ == "__main__":
    main()
