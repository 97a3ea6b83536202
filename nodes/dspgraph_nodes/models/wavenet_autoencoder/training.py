"""A training run of the WaveNet autoencoder: both networks learn together to predict the samples of crops.

The encoder reads a crop, and the decoder predicts each of its samples from the encoding and from the samples before.
Before and after a crop both networks read silence, as in the published program. In that program a crop has 12 frames, a
batch has 32 crops, and the learning rate falls from 2e-4 to 2e-5 in 200,000 batches. If the decoder reads a pitch,
which the published one does not, every recording needs a label "pitch".

Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
arXiv:1704.01279; magenta, models/nsynth/wavenet.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.two_sided import EncoderState
from dspgraph_nodes._kernels.neural.wavenet_synthesis import speech
from dspgraph_nodes._kernels.signal.mulaw import floor_levels
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.config import ModelConfig
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    Crops,
    FeatureFunction,
    TrainingRecording,
    fingerprint,
    mean_figures,
    rng,
    split,
    stacked,
)
from dspgraph_nodes.models.shared.labels import NoteLabels, known_pitches, left_out
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import TrainingSettings, of_config
from dspgraph_nodes.models.shared.trainer import Report, Task
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, PRESETS, Config
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder
from dspgraph_nodes.models.wavenet_autoencoder.packing import frames_read, packed_decoder, packed_encoder
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS

__all__ = ["LABELS", "PIPELINE", "Settings", "train"]

PIPELINE = "samples"
LABELS = ("pitch",)


class Settings(TrainingSettings, frozen=True, extra="forbid"):
    """The settings of a training run of the WaveNet autoencoder."""

    PRESETS: ClassVar[Mapping[str, ModelConfig]] = PRESETS

    preset: str = Field("wavenet_autoencoder-small", description=f"sizes of the networks: {', '.join(PRESETS)}")
    layers: int | None = of_config(Config, "layers")
    stacks: int | None = of_config(Config, "stacks")
    encoder: int | None = of_config(Config, "encoder")
    latent: int | None = of_config(Config, "latent")
    width: int | None = of_config(Config, "width")
    skip: int | None = of_config(Config, "skip")
    hop: int | None = of_config(Config, "hop")
    rate: int | None = of_config(Config, "rate")
    lowest: int | None = of_config(Config, "lowest")
    pitches: int | None = of_config(Config, "pitches")
    batch: int = Field(8, ge=1, description="crops in a batch")
    frames: int = Field(12, ge=1, description="frames in a crop")
    augment: int = Field(0, ge=0, le=1000, description="copies of each recording, with a random filter and level")
    ema: float = Field(
        0.9999,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is saved; 0: the last weights are saved",
    )
    information: float = Field(
        0.0,
        ge=0,
        description="weight, in the loss, of the information in the encoding: a large weight keeps the encoding from "
        "repeating the pitch that the decoder is given; 0: as published",
    )

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides for the pipeline `samples`, such as "rate=16000", that fit the configuration."""
        return (f"rate={self.config.rate}",)


class LevelCrops:
    """Crops of recordings whose signals are mu-law levels, for training and validation.

    An index is (epoch, place), as in `Crops`. An item has two tensors: the levels of a crop, [frames * hop] int64, and
    the pitch of the recording, one number (see `recording_of`). frames: the number of frames in a crop. In every epoch
    the crops begin at other frames, as in `Crops` with `beyond` set to half a crop.
    """

    def __init__(self, recordings: list[TrainingRecording], frames: int, seed: int) -> None:
        self.recordings, self.frames = recordings, frames
        self.crops = Crops([one.frames for one in recordings], frames, 0, seed, beyond=frames // 2)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor]:
        k, first = self.crops.at(*index)
        one = self.recordings[k]
        levels = one.signal[one.hop * first : one.hop * (first + self.frames)]
        return torch.from_numpy(levels.copy()), torch.tensor(one.features["pitch"][first])


def recording_of(samples: Array, pitch: int, hop: int) -> TrainingRecording:
    """Convert samples to a recording for training: its signal has the mu-law levels of all whole frames.

    samples: [n], full scale +-1; pitch: semitones above the network's lowest pitch; every frame gets it as its feature
    "pitch". hop: samples in a frame.
    """
    levels = floor_levels(samples)
    frames = len(levels) // hop
    return TrainingRecording(levels[: frames * hop], {"pitch": np.full(frames, pitch)}, hop)


def task(labels: NoteLabels, settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> Task:
    """Return the `Task` of a training run of the WaveNet autoencoder: its network, batches, losses and validation.

    recordings: samples [n], by name; labels: of each recording, see `train`; features: the function that computes the
    pipeline of the model, whose output is the samples.
    """
    config: Config = settings.config
    known = dict.fromkeys(recordings, 0)
    if config.pitches:
        known = known_pitches(recordings, labels, config.lowest, config.pitches)

    def prepare(name: str, samples: Array) -> TrainingRecording:
        return recording_of(np.asarray(features(samples)["samples"]), known[name], config.hop)

    kept = {name: recordings[name] for name in known}
    training, validation = (
        LevelCrops(part, settings.frames, settings.seed) for part in split(kept, prepare, settings, config.hop)
    )
    order = BatchOrder(len(training), settings.batch, settings.seed)
    figures = partial(figures_of, settings.information)
    weights = sum(one.numel() for one in WaveNetAutoencoder(config).parameters())
    return Task(
        network=lambda: WaveNetAutoencoder(config),
        batch=lambda number: stacked([training[index] for index in order[number]]),
        losses=lambda model, batch: iter([figures(model, *batch)]),
        validate=lambda model: mean_figures(
            validation, partial(figures, model), next(model.parameters()).device, settings.batch
        ),
        figures=("information",),
        save=partial(save, WEIGHTS),
        load=partial(load, WEIGHTS, WaveNetAutoencoder),
        fingerprint=fingerprint(
            array for part in (training, validation) for one in part.recordings
            for array in (one.signal, one.features["pitch"])
        ),
        summary=f"{len(training)} crops of {settings.frames} frames for training, {len(validation)} for validation"
        f"{left_out(len(recordings) - len(kept))}; {weights} weights",
        ends=("encoder.first", "decoder.first", "decoder.head.1"),
        audio=partial(_audio, validation.recordings[0], settings),
    )  # fmt: skip


def train(
    recordings: Mapping[str, Array],
    features: FeatureFunction,
    out: Path,
    settings: Settings,
    resume: bool = False,
    progress: bool = False,
    report: Report = lambda line: None,
    init: Path | None = None,
    labels: NoteLabels | None = None,
) -> Path:
    """Train both networks: see `trainer.train`.

    recordings: samples [n], full scale +-1, at the rate of the configuration, by name; labels: the pitch of each
    recording, a MIDI number, which is needed only if the setting `pitches` is above 0.
    """
    given = {name: {} for name in recordings} if labels is None else labels
    return trainer.train(partial(task, given), recordings, features, out, settings, resume, progress, report, init)


def figures_of(
    weight: float, model: WaveNetAutoencoder, levels: Tensor, pitch: Tensor | None = None
) -> dict[str, Tensor]:
    """Return "loss", in nats per sample, and "information", the mean information in a frame of the encoding, in nats.

    The loss is the mean of -ln P of the samples plus `weight` times the information per sample. The information in a
    frame z is the divergence of N(z, 1) from N(0, 1), sum(z**2) / 2. With a weight above 0 the decoder reads z + e
    instead of z in training, where e is drawn from N(0, 1).

    levels: [crops, frames * hop] int64; pitch: [crops], semitones above the network's lowest pitch.

    Source: D. P. Kingma and M. Welling, Auto-Encoding Variational Bayes, ICLR 2014, arXiv:1312.6114.
    """
    z = model.encoder(levels)
    read = z + torch.randn_like(z) if weight and model.training else z
    logits = model.decoded(read, levels, pitch)
    surprise = cross_entropy(logits.reshape(-1, MULAW_LEVELS), levels.reshape(-1))
    information = (z**2).sum(-1).mean() / 2
    return {"loss": surprise + weight * information / model.config.hop, "information": information}


def _audio(recording: TrainingRecording, settings: Settings, path: Path) -> dict[str, tuple[Array, int]]:
    """Return {"validation": (samples, rate)}: the start of a recording, encoded and decoded with a file of weights.

    path: the file. The setting `audio` is the number of seconds.
    """
    config, arrays = WEIGHTS.read(path)
    frames = max(1, round(settings.audio * config.rate / config.hop))
    half, encoder = MULAW_LEVELS // 2, packed_encoder(config, arrays)
    z = EncoderState(encoder).push(encoder, (recording.signal[: frames * config.hop] - half) / half, last=True)
    rows = frames_read(z, recording.features["pitch"][0], config)
    return {"validation": (speech(packed_decoder(config, arrays), rows, rng(settings.seed))[0], config.rate)}
