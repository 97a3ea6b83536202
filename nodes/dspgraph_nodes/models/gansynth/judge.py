"""Measures of the notes that a generator makes: their pitch, and their diversity in comparison with the data."""

from __future__ import annotations

import numpy as np
import torch

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.gansynth.data import NotePictures, sound
from dspgraph_nodes.models.gansynth.losses import scaled
from dspgraph_nodes.models.shared.data import rng
from dspgraph_nodes.models.shared.diversity import Classifier, VoronoiBins, inception_score
from dspgraph_nodes.models.shared.notes import PITCH_FIGURES, pitch_figures

JUDGED = (*PITCH_FIGURES, "different_bins", "classifier_score")
"""The names of the figures of `Judge.figures`."""

_MOST_NOTES = 1000  # real notes that made notes are compared with
_MOST_BINS = 50  # as in the paper on GANSynth
_NOTES_PER_BIN = 10
_READ = 64  # real notes that are read at a time: the pictures of 1000 notes of the published size have 1 GB
_PIXELS = (16, 128)  # the largest size of the pictures from which the bins are made


class Judge:
    """Measures of made notes, in comparison with real notes.

    Made notes are those of a generator. real: the notes for training, of which at most 1000 are used, drawn at random;
    config: the configuration of the generator; seed: seed of the draws; made: the number of made notes that are judged
    at a time. There is one bin for every 10 real notes that are used or, if the made notes are fewer, for every 10 made
    notes; but at least 2 bins, or 1 for a single real note, and at most 50. With more bins, even a bin without any made
    note would not differ significantly from the real notes. The bins are `VoronoiBins` of the log magnitudes, averaged
    to pictures of at most 16 x 128 pixels. The classifier finds the pitch in the mean log magnitudes of all rows, and
    is trained on the real notes.
    """

    def __init__(self, real: NotePictures, config: Config, seed: int, made: int) -> None:
        self.config = config
        places = rng(seed, 6).permutation(len(real))[:_MOST_NOTES].tolist()
        parts = (normalised(real[places[k : k + _READ]], config) for k in range(0, len(places), _READ))
        seen, heard = zip(*((small(part), spectra(part, config)) for part in parts), strict=True)
        bins = min(_MOST_BINS, max(2, min(len(places), made) // _NOTES_PER_BIN), len(places))
        self.bins = VoronoiBins.of(np.concatenate(seen), bins, seed)
        self.classifier = Classifier.of(np.concatenate(heard), real.pitch[places].numpy(), config.pitches)

    def figures(self, pictures: Array, pitch: Array) -> dict[str, float]:
        """Return measures of made notes, by name: those that `pitch_figures` returns, and two others.

        different_bins: see `VoronoiBins.different`. classifier_score: the `inception_score` of the classifier.
        pictures: [notes, 2, rows, bins], normalised; pitch: [notes], the wanted pitches in semitones above the lowest.
        """
        return {
            **heard_figures(pictures, pitch, self.config),
            "different_bins": self.bins.different(small(pictures)),
            "classifier_score": inception_score(self.classifier.probabilities(spectra(pictures, self.config))),
        }


def normalised(notes: NotePictures, config: Config) -> Array:
    """Return the pictures of real notes, scaled like those that the generator makes and clipped to -1 .. 1.

    The result is [notes, 2, rows, bins].
    """
    found: Array = scaled(notes.pictures, config).clamp(-1, 1).numpy()
    return found


def small(pictures: Array) -> Array:
    """Return the log magnitudes of pictures [notes, 2, rows, bins], averaged to fewer pixels, as rows [notes, pixels].

    The averaged pictures have at most 16 x 128 pixels.
    """
    size = min(_PIXELS[0], pictures.shape[2]), min(_PIXELS[1], pictures.shape[3])
    reduced = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(pictures[:, :1]), size)
    found: Array = reduced.flatten(1).numpy()
    return found


def spectra(pictures: Array, config: Config) -> Array:
    """Return the mean of the log magnitudes of all rows of pictures [notes, 2, rows, bins]: [notes, bins], in nats.

    pictures: normalised. The mean over the bins is subtracted, so that the level of a note does not matter.
    """
    nats = pictures[:, 0].mean(1) / config.magnitude[0]
    found: Array = nats - nats.mean(1, keepdims=True)
    return found


def heard_figures(pictures: Array, pitch: Array, config: Config) -> dict[str, float]:
    """Return the `pitch_figures` of the sounds of pictures [notes, 2, rows, bins], normalised.

    pitch: [notes], the wanted pitches in semitones above the lowest.
    """
    return pitch_figures(
        [sound(one, config) for one in pictures], config.rate, [config.lowest + int(one) for one in pitch]
    )
