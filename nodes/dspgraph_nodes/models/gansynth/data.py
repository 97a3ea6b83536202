"""The training data of GANSynth, pictures of notes with their pitches and timbres, and the sound of such pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.gansynth import GansynthLayout, Normaliser
from dspgraph_nodes._kernels.signal.overlap_add import add_rows
from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.shared.data import FeatureFunction, rng
from dspgraph_nodes.models.shared.labels import NoteLabels, pitch_label


@dataclass(frozen=True)
class NotePictures:
    """The pictures of notes, with their labels.

    pictures: [notes, 2, rows, bins], log magnitude (for the scale "mel", log power) in nats, and angle in half turns (1
    is pi radians). pitch: [notes], semitones above the lowest pitch of the network. timbres: the name of the timbre of
    each note; "" if the manifest does not say it.
    """

    pictures: Tensor
    pitch: Tensor
    timbres: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.timbres)

    def __getitem__(self, places: Sequence[int]) -> NotePictures:
        """Return the notes with these indices, in this order."""
        rows = torch.tensor(list(places), dtype=torch.int64)
        return NotePictures(self.pictures[rows], self.pitch[rows], tuple(self.timbres[k] for k in places))


def note_pictures(
    recordings: Mapping[str, Array], labels: NoteLabels, features: FeatureFunction, config: Config
) -> NotePictures:
    """Return the pictures and labels of recorded notes, in the order of the recordings.

    recordings: samples [n], by name, at the rate of the configuration, at least one; labels: the pitch, which must be
    one of the network (this is not checked), and, if known, the timbre of each recording; features: the function that
    computes the pipeline `gansynth_features` with the overrides of the configuration. Raises RequestError as
    `pitch_label` does.
    """
    pictures = [picture(samples, features, config) for samples in recordings.values()]
    pitch = [pitch_label(name, labels[name]) - config.lowest for name in recordings]
    timbres = tuple(labels[name].get("timbre", "") for name in recordings)
    return NotePictures(torch.from_numpy(np.stack(pictures)), torch.tensor(pitch), timbres)


def picture(samples: Array, features: FeatureFunction, config: Config) -> Array:
    """Return the picture of the beginning of a note, [2, rows, bins] float32: magnitude in nats, angle in half turns.

    A half turn is pi radians. The picture is not normalised; with the scale "mel" its first channel has the logarithms
    of powers. samples: [n]; they begin after `config.silence` rows of silence. A note that is shorter than the picture
    is followed by silence, and the end of a longer one is left out. features: as in `note_pictures`.
    """
    clip = np.zeros(config.hop * config.rows)
    begin = config.hop * config.silence
    part = samples[: len(clip) - begin]
    clip[begin : begin + len(part)] = part
    found = features(clip)
    return np.stack([found["magnitude"], found["angle"]]).astype(np.float32)


def sound(picture: Array, config: Config) -> Array:
    """Return the sound of a picture, [hop * rows] samples, as the pipeline `gansynth_notes` makes it.

    picture: [2, rows, bins], normalised, as the generator returns it.
    """
    normaliser = Normaliser(config.magnitude, config.angle)
    layout = GansynthLayout(config.bins, config.drop, config.scale, config.form, normaliser, config.rate)
    y = np.zeros(layout.hop * (config.rows - 1) + layout.n_fft)
    add_rows(layout.synthesise(picture[0], picture[1], np.zeros(config.bins)), layout.synthesis_window(), layout.hop, y)
    return y[len(y) - layout.hop * config.rows :]


def timbre_latent(timbre: str, config: Config) -> Array:
    """Return the latent vector [latent] that stands for a timbre in training by regression.

    Its numbers are drawn from N(0, 1) by a generator whose seed is the name of the timbre. The training multiplies them
    by the setting `latent_scale`.
    """
    return rng(*timbre.encode()).standard_normal(config.latent)
