"""Compare representations of notes
================================

Compare the representations of notes that a GANSynth can learn: a page to listen to, and a table as in the paper.

::

    python examples/compare_representations.py FOLDER [--batches N] [--notes N]

The data set consists of notes that are made by formulas; they are the "real" notes here. A generator is trained on them
by regression for each representation: log magnitudes with instantaneous frequencies (if), with phases (phase), in mel
bands (mel), or with half the bins in twice the rows (plain). The first three have the high frequency resolution that
the paper calls "+H"; plain does not. All measures are taken from the sounds. FOLDER/compare.html has notes of each
generator beside the real ones, FOLDER/table.md the table.

The columns are those of table 1 of J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, except for
the scores of listeners. The classifier is our own, so that its scores cannot be compared with those of the paper.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dspgraph import Array, Audio, load
from dspgraph.evaluation.report.page import write_page
from dspgraph.evaluation.results import Metric, Recording, Results, Score, Variant
from dspgraph.io.atomic import write_whole
from dspgraph.io.audio import AudioSink
from dspgraph_nodes._kernels.neural.gansynth_generator import generate, pack
from dspgraph_nodes.models.gansynth.data import NotePictures, note_pictures, sound, timbre_latent
from dspgraph_nodes.models.gansynth.judge import Judge, normalised, small, spectra
from dspgraph_nodes.models.gansynth.training import PIPELINE, Settings, train
from dspgraph_nodes.models.gansynth.weights import WEIGHTS
from dspgraph_nodes.models.shared.data import FeatureFunction
from dspgraph_nodes.models.shared.diversity import frechet_distance, inception_score, mean_entropy
from dspgraph_nodes.models.shared.notes import MadeNote, heard_pitch, made_note, pitch_figures

REPRESENTATIONS: dict[str, dict[str, Any]] = {
    "if": {},
    "phase": {"form": "phase"},
    "mel": {"scale": "mel"},
    "plain": {"start_rows": 4, "start_bins": 8},
}
COLUMNS = "NDB / bins | FID by our classifier | IS by our classifier | right pitches | median cents | pitch entropy"
HEARD = 12  # notes on the page, at least, if there are so many


def settings_for(name: str, batches: int) -> Settings:
    """Return the settings of a training run by regression, on the CPU.

    name: the representation, a key of REPRESENTATIONS. batches: the number of batches of the run.
    """
    return Settings(
        preset="gansynth-small", kind="regression", steps=batches, validate_every=batches, learning_rate=2e-3,
        ema=0.99, threads=1, device="cpu", **REPRESENTATIONS[name],
    )  # fmt: skip


def features_for(settings: Settings) -> FeatureFunction:
    """Return a function from samples [n] to the outputs of the pipeline, name -> array, with the settings of a run.

    The samples are at the rate of the settings.
    """
    graph = load(PIPELINE, settings.overrides)
    return lambda samples: graph(speech=samples)


class Table:
    """The rows of the table: measures of the sounds of a generator, compared with the real notes.

    notes: the real notes, on which a classifier of pitches is trained (see `Judge`). settings: settings of a run; the
    pipeline analyses all sounds with them, also those of other representations.
    """

    def __init__(self, notes: list[MadeNote], settings: Settings) -> None:
        self.config, self.features = settings.config, features_for(settings)
        self.judge = Judge(self.pictures(notes, [one.samples for one in notes]), self.config, 0, len(notes))
        self.real = self.log_probabilities(notes, [one.samples for one in notes])

    def pictures(self, notes: list[MadeNote], sounds: list[Array]) -> NotePictures:
        """Return the pictures of sounds [n], labelled with the pitches and timbres of the notes that they imitate.

        The pictures are not normalised. There is one sound for each note, in the same order.
        """
        labels = {str(k): {"pitch": str(one.pitch), "timbre": one.timbre} for k, one in enumerate(notes)}
        return note_pictures(dict(zip(labels, sounds, strict=True)), labels, self.features, self.config)

    def log_probabilities(self, notes: list[MadeNote], sounds: list[Array]) -> Array:
        """Return the log probabilities of the pitches, [notes, pitches], by the classifier of `Judge`, for some sounds.

        sounds: one sound [n] for each note in `notes`, which it imitates.
        """
        shown = normalised(self.pictures(notes, sounds), self.config)
        return np.log(np.maximum(self.judge.classifier.probabilities(spectra(shown, self.config)), 1e-12))

    def row(self, name: str, notes: list[MadeNote], sounds: list[Array]) -> str:
        """Return the row `name` of the table, as text: the measures of sounds, in the order of COLUMNS.

        sounds: one sound [n] for each note in `notes`, which it imitates.
        """
        log = self.log_probabilities(notes, sounds)
        bins = self.judge.bins.different(small(normalised(self.pictures(notes, sounds), self.config)))
        heard = pitch_figures(sounds, self.config.rate, [one.pitch for one in notes])
        return (
            f"| {name} | {bins:.2f} | {frechet_distance(self.real, log):.0f} | {inception_score(np.exp(log)):.1f} | "
            f"{heard['right_pitches']:.2f} | {heard['cents']:.0f} | {mean_entropy(np.exp(log)):.2f} |"
        )


def sounds_of(weights: Path, notes: list[MadeNote]) -> list[Array]:
    """Return for each note the sound that a generator makes from its pitch and the latent vector of its timbre.

    weights: the file of the generator, which was trained by regression on the same timbres. Each sound has the length
    of a picture, hop * rows samples.
    """
    config, arrays = WEIGHTS.read(weights)
    network = pack(arrays)
    pictures = [generate(network, timbre_latent(one.timbre, config), one.pitch - config.lowest) for one in notes]
    return [sound(one, config) for one in pictures]


def page(folder: Path, notes: list[MadeNote], sounds: dict[str, list[Array]], rate: int, rows: list[str]) -> Path:
    """Write a page to listen to some notes: the real ones, as references, and those of each generator.

    Return the path of the page. Of many notes, only every so many is on the page; no two of these may have the same
    timbre and pitch. folder: an existing folder, which gets the page compare.html and the folder sounds. notes: the
    real notes, which are cut to the length of the sounds. sounds: name of a representation -> the sounds that its
    generator made, one for each note, all of the same length. rate: in Hz. rows: the head and the rows of the table,
    which the page shows as text.
    """
    chosen = range(0, len(notes), max(1, len(notes) // HEARD))
    ids = {k: f"{notes[k].timbre} {notes[k].pitch}" for k in chosen}

    def file(name: str, k: int, samples: Array) -> Path:
        path = folder / "sounds" / f"{name}_{k}.flac"
        path.parent.mkdir(exist_ok=True)
        with AudioSink(path, Audio(rate)) as out:
            out.write(np.clip(samples, -1, 1))
        return path

    length = len(next(iter(sounds.values()))[0])
    reference = {ids[k]: file("real", k, notes[k].samples[:length]) for k in chosen}
    audio = {(ids[k], name): file(name, k, made[k]) for name, made in sounds.items() for k in chosen}
    heard = {(name, k): heard_pitch(made[k], rate) for name, made in sounds.items() for k in chosen}
    scores = [
        Score(ids[k], name, {"cents": 100 * abs(pitch - notes[k].pitch) if pitch else None})
        for (name, k), pitch in heard.items()
    ]
    results = Results(
        "gansynth_notes", "Notes of generators that learnt different representations. " + " ".join(rows),
        [Variant(name, "", {"representation": name}) for name in sounds],
        [Recording(ids[k], "made", length / rate) for k in chosen],
        [Metric("cents", "cents", "lower", "distance of the heard pitch from the wanted one", "1")], scores,
    )  # fmt: skip
    return write_page(results, audio, reference, {}, folder / "compare.html")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--notes", type=int, default=180, help="180: each of 36 pitches once in each timbre")
    given = parser.parse_args()
    torch.set_num_threads(1)
    first = settings_for("if", given.batches)
    c = first.config
    notes, others = (
        [made_note(seed, k, c.rate, c.lowest, c.lowest + c.pitches - 1) for k in range(given.notes)] for seed in (0, 1)
    )
    table = Table(notes, first)
    labels = {str(k): {"pitch": str(one.pitch), "timbre": one.timbre} for k, one in enumerate(notes)}
    recordings = {str(k): one.samples for k, one in enumerate(notes)}
    head = f"| | {COLUMNS} |"
    length = c.hop * c.rows
    rows = [table.row("other real notes", others, [one.samples[:length] for one in others])]
    sounds: dict[str, list[Array]] = {}
    for name in REPRESENTATIONS:
        settings = settings_for(name, given.batches)
        weights = train(
            recordings, features_for(settings), given.folder / name, settings, report=lambda line: None, labels=labels
        )
        sounds[name] = sounds_of(weights, notes)
        rows.append(table.row(name, notes, sounds[name]))
    text = "\n".join([head, "|---" * (head.count("|") - 1) + "|", *rows]) + "\n"
    write_whole(given.folder / "table.md", text.encode())
    print(text)
    print(page(given.folder, notes, sounds, c.rate, [head, *rows]))


if __name__ == "__main__":
    main()
