"""A training run of the WaveNet autoencoder: both networks learn together to predict the samples of crops.

The encoder reads a crop, and the decoder predicts each of its samples from the encoding and from the samples before.
Before and after a crop both networks read silence, as in the published program. There the crops have 12 frames, a batch
has 32 of them, and the learning rate falls from 2e-4 to 2e-5 in 200,000 batches.

Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
arXiv:1704.01279; magenta, models/nsynth/wavenet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import TrainingSettings, of_config
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, PRESETS, Config
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder
from dspgraph_nodes.models.wavenet_autoencoder.packing import packed_decoder, packed_encoder
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS

__all__ = ["PIPELINE", "Settings", "train"]

PIPELINE = "samples"


class Settings(TrainingSettings, frozen=True, extra="forbid"):
    """The settings of a training run."""

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
    batch: int = Field(8, ge=1, description="crops in a batch")
    frames: int = Field(12, ge=1, description="frames in a crop")
    augment: int = Field(0, ge=0, le=1000, description="copies of each recording, with a random filter and level")
    ema: float = Field(
        0.9999,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is saved; 0: the last weights are saved",
    )

    @property
    def overrides(self) -> tuple[str, ...]:
        """The values of the variables of the pipeline."""
        return (f"rate={self.config.rate}",)


class LevelCrops:
    """Crops of recordings whose signals are levels. An index is (epoch, place), as in `Crops`.

    An item has one tensor: the levels of a crop, [frames * hop] int64. frames: the number of frames in a crop. In every
    epoch the crops begin at other frames, as in `Crops` with `beyond` set to half a crop.
    """

    def __init__(self, recordings: list[TrainingRecording], frames: int, seed: int) -> None:
        self.recordings, self.frames = recordings, frames
        self.crops = Crops([one.frames for one in recordings], frames, 0, seed, beyond=frames // 2)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor]:
        k, first = self.crops.at(*index)
        one = self.recordings[k]
        return (torch.from_numpy(one.signal[one.hop * first : one.hop * (first + self.frames)].copy()),)


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return what the training loop needs: data, losses and validation."""
    config: Config = settings.config

    def prepare(samples: Array) -> TrainingRecording:
        levels = floor_levels(np.asarray(features(samples)["samples"]))
        return TrainingRecording(levels[: len(levels) // config.hop * config.hop], {}, config.hop)

    training, validation = (
        LevelCrops(part, settings.frames, settings.seed) for part in split(recordings, prepare, settings, config.hop)
    )
    order = BatchOrder(len(training), settings.batch, settings.seed)
    weights = sum(one.numel() for one in WaveNetAutoencoder(config).parameters())
    return trainer.Task(
        network=lambda: WaveNetAutoencoder(config),
        batch=lambda number: stacked([training[index] for index in order[number]]),
        losses=_losses,
        validate=lambda model: mean_figures(
            validation, partial(figures_of, model), next(model.parameters()).device, settings.batch
        ),
        save=partial(save, WEIGHTS),
        load=partial(load, WEIGHTS, WaveNetAutoencoder),
        fingerprint=fingerprint(one.signal for part in (training, validation) for one in part.recordings),
        summary=f"{len(training)} crops of {settings.frames} frames for training, {len(validation)} for validation; "
        f"{weights} weights",
        ends=("encoder.first", "decoder.first", "decoder.head.1"),
        audio=partial(_audio, validation.recordings[0], settings),
    )  # fmt: skip


train = partial(trainer.train, task)
"""Train both networks: see `trainer.train`.

recordings: samples [n], full scale +-1, at the rate of the configuration, by name.
"""


def figures_of(model: WaveNetAutoencoder, levels: Tensor) -> dict[str, Tensor]:
    """Return the mean of -ln P of the samples, in nats, as "loss". levels: [crops, frames * hop] int64."""
    return {"loss": cross_entropy(model(levels).reshape(-1, MULAW_LEVELS), levels.reshape(-1))}


def _losses(model: WaveNetAutoencoder, batch: tuple[Tensor]) -> Iterator[Mapping[str, Tensor]]:
    yield figures_of(model, *batch)


def _audio(recording: TrainingRecording, settings: Settings, path: Path) -> dict[str, tuple[Array, int]]:
    """Return a recording, encoded and decoded with a file of weights."""
    config, arrays = WEIGHTS.read(path)
    frames = max(1, round(settings.audio * config.rate / config.hop))
    half, encoder = MULAW_LEVELS // 2, packed_encoder(config, arrays)
    z = EncoderState(encoder).push(encoder, (recording.signal[: frames * config.hop] - half) / half, last=True)
    return {"validation": (speech(packed_decoder(config, arrays), z, rng(settings.seed))[0], config.rate)}
