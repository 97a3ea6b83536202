"""A training run of WaveNet.

Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016; the defaults of the
settings are those of the program wavenet_vocoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, synthesise_wavenet
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.config import ModelConfig
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    Crops,
    FeatureFunction,
    TrainingRecording,
    fingerprint,
    rng,
    split,
    stacked,
    validation_batches,
)
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import TrainingSettings, of_config
from dspgraph_nodes.models.wavenet.config import PRESETS, Config
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.packing import levels_of, packed
from dspgraph_nodes.models.wavenet.weights import WEIGHTS

__all__ = ["PIPELINE", "Settings", "train"]

PIPELINE = "mel_features"
TRAINING_RATE = 16000  # Hz, of the recordings that the pipeline takes


class Settings(TrainingSettings):
    """The settings of a training run."""

    PRESETS: ClassVar[Mapping[str, ModelConfig]] = PRESETS

    preset: str = Field("wavenet-small", description=f"sizes of the network: {' or '.join(PRESETS)}")
    kind: Literal["mixture", "categorical"] | None = of_config(Config, "kind")
    layers: int | None = of_config(Config, "layers")
    stacks: int | None = of_config(Config, "stacks")
    residual: int | None = of_config(Config, "residual")
    gate: int | None = of_config(Config, "gate")
    skip: int | None = of_config(Config, "skip")
    components: int | None = of_config(Config, "components")
    gain: float | None = of_config(Config, "gain")
    preemphasis: float | None = of_config(Config, "preemphasis")
    batch: int = Field(8, ge=1, description="chunks in a batch")
    frames: int = Field(40, ge=1, description="frames of 16 ms in a chunk")
    augment: int = Field(
        0, ge=0, description="copies of each recording, with a random filter and level, added to the recordings"
    )
    ema: float = Field(
        0.9999,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is saved; 0: the last weights are saved",
    )
    halve_every: int = Field(
        200_000, ge=1, description="updates after which the learning rate is halved, again and again"
    )

    @property
    def config(self) -> Config:
        """The configuration of the network: that of the preset, except the fields that are given, and the rate."""
        found: Config = super().config
        return found.replace(rate=TRAINING_RATE)


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return what the training loop needs: data, losses and validation."""
    config = settings.config

    def prepare(samples: Array) -> TrainingRecording:
        return prepared(samples, features, config)

    training, validation = split(recordings, prepare, settings, config.hop, config.context)
    chunks, clean = WaveNetChunks(training, settings, config), WaveNetChunks(validation, settings, config)
    order = BatchOrder(len(chunks), settings.batch, settings.seed)
    size = sum(one.numel() for one in WaveNet(config).parameters())
    rows = np.concatenate([one.features["mel"] for one in training]).astype(np.float64)
    spread = rows.std(axis=0)

    def network() -> WaveNet:
        model = WaveNet(config)
        model.mean.copy_(torch.from_numpy(rows.mean(axis=0)))
        model.deviation.copy_(torch.from_numpy(np.where(spread > 0, spread, 1)))
        return model

    def losses(model: WaveNet, batch: tuple[Tensor, Tensor, Tensor]) -> Iterator[Tensor]:
        yield loss_of(model, *batch)

    def validate(model: WaveNet) -> dict[str, float]:
        total = 0.0
        for numbers in validation_batches(len(clean), settings.batch):
            batch = [each.to(model.mean.device) for each in stacked([clean[k] for k in numbers])]
            total += len(numbers) * float(loss_of(model, *batch))
        return {"loss": total / len(clean)}

    def audio(path: Path) -> dict[str, tuple[Array, int]]:
        first = validation[0].features["mel"][: max(1, round(settings.audio * config.rate / config.hop))]
        network, form = packed(*WEIGHTS.read(path))
        state = WaveNetState(network, form, rng(settings.seed))
        ((samples, _),) = synthesise_wavenet(network, form, [state.push(network, form, first, end=True)])
        return {"validation": (state.finish(samples, form), config.rate)}

    return trainer.Task(
        network=network,
        batch=lambda number: stacked([chunks[index] for index in order[number]]),
        losses=losses,
        validate=validate,
        save=lambda model, path: save(WEIGHTS, model, path),
        load=lambda path: load(WEIGHTS, WaveNet, path),
        fingerprint=fingerprint(
            array for one in (*training, *validation) for array in (one.signal, one.features["mel"])
        ),
        summary=f"{len(chunks)} chunks of {settings.frames} frames for training, {len(clean)} for validation; "
        f"{size} weights",
        rate=lambda updates: 0.5 ** (updates // settings.halve_every),
        audio=audio,
    )


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`. recordings: samples [n], full scale +-1, 16 kHz, by name."""


def loss_of(model: WaveNet, features: Tensor, previous: Tensor, target: Tensor) -> Tensor:
    """Return the mean of -ln P(target), in nats per sample.

    features: [chunks, frames + 2 * context, bands]; previous: the sample or level before each, [chunks, samples].
    """
    parameters = model(model.condition(features), previous)
    return model.distribution.loss(parameters, target).mean()


def prepared(samples: Array, features: FeatureFunction, config: Config) -> TrainingRecording:
    """Return a recording with its features. Its signal has the gain and the pre-emphasis of the network, within +-1.

    samples: [n], full scale +-1. The signal is as long as its whole frames.
    """
    rows = np.asarray(features(samples)["mel"])
    signal = config.gain * (samples - config.preemphasis * np.append(0.0, samples[:-1]))
    frames = min(len(rows), len(samples) // config.hop)
    whole = np.clip(signal[: frames * config.hop], -1, 1)
    return TrainingRecording(whole, {"mel": rows[:frames].astype(np.float32)}, config.hop)


class WaveNetChunks:
    """The chunks of recordings: features, the samples before each sample, and the samples, as tensors."""

    def __init__(self, recordings: list[TrainingRecording], settings: Settings, config: Config) -> None:
        self.config, self.recordings, self.frames = config, recordings, settings.frames
        counts = [one.frames for one in recordings]
        self.crops = Crops(counts, settings.frames, config.context, settings.seed)
        self.signals = [self._given(one.signal) for one in recordings]

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the chunk at (epoch, place)."""
        k, first = self.crops.at(*index)
        hop, context, last = self.config.hop, self.config.context, first + self.frames
        part = self.signals[k][hop * first : hop * last + 1]
        rows = self.recordings[k].features["mel"][first - context : last + context]
        return torch.from_numpy(rows), part[:-1], part[1:]

    def _given(self, signal: Array) -> Tensor:
        """Return the samples of a signal, or their levels, with one more before the first, which is silence."""
        if self.config.kind == "categorical":
            levels: Any = np.append(self.config.levels // 2, levels_of(signal, self.config))
            return torch.from_numpy(levels.astype(np.int64))
        return torch.from_numpy(np.append(0.0, signal).astype(np.float32))
