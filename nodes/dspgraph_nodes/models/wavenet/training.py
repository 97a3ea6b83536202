"""A training run of WaveNet.

Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016; the defaults of the
settings are taken from the program wavenet_vocoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavenet_synthesis import speech
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.config import ModelConfig
from dspgraph_nodes.models.shared.data import FeatureFunction, TrainingRecording
from dspgraph_nodes.models.shared.mel import Edges, mel_data, mel_task, validation_audio
from dspgraph_nodes.models.shared.prediction import whole_frames
from dspgraph_nodes.models.shared.settings import MelSettings, of_config
from dspgraph_nodes.models.wavenet.config import PRESETS, Config
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.packing import levels_of, packed
from dspgraph_nodes.models.wavenet.weights import WEIGHTS

__all__ = ["PIPELINE", "Settings", "train"]

PIPELINE = "mel_features"
TRAINING_RATE = 16000  # sample rate in Hz of the recordings that the pipeline takes


class Settings(MelSettings):
    """The settings of a training run of WaveNet."""

    PRESETS: ClassVar[Mapping[str, ModelConfig]] = PRESETS

    preset: str = Field("wavenet-small", description=f"sizes of the network: {' or '.join(PRESETS)}")
    kind: Literal["mixture", "categorical"] | None = of_config(Config, "kind")
    layers: int | None = of_config(Config, "layers")
    stacks: int | None = of_config(Config, "stacks")
    residual: int | None = of_config(Config, "residual")
    gate: int | None = of_config(Config, "gate")
    skip: int | None = of_config(Config, "skip")
    components: int | None = of_config(Config, "components")
    context: int | None = of_config(Config, "context")
    batch: int = Field(8, ge=1, description="chunks in a batch")
    frames: int = Field(40, ge=1, description="frames of 16 ms in a chunk")
    augment: int = Field(0, ge=0, le=1000, description="copies of each recording, with a random filter and level")
    ema: float = Field(0.9999, ge=0, lt=1, description="decay of the moving average of the weights; 0: no average")
    halve_every: int = Field(200_000, ge=1, description="updates after which the learning rate is halved each time")

    @property
    def config(self) -> Config:
        """The configuration of the network: the preset, with the fields that the settings change, at 16 kHz."""
        found: Config = super().config
        return found.replace(rate=TRAINING_RATE)


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return the `trainer.Task` of a training run of WaveNet: its network, batches, losses and validation.

    recordings: name -> samples [n], full scale +-1, 16 kHz. features: the function that computes the features of such
    samples, under the name "mel". Raises RequestError as `mel_data` does.
    """
    config = settings.config

    def prepare(samples: Array) -> TrainingRecording:
        return prepared(whole_frames(samples), features, config)

    edges = Edges(config.context, repeat=True, reach=config.reach, lead=config.receptive_field - 1)
    levels = config.levels if config.kind == "categorical" else 0
    data = mel_data(recordings, prepare, settings, config.hop, edges, config.silence, levels, companded=levels > 0)
    rows = np.concatenate([one.features["mel"] for one in data.training.recordings]).astype(np.float64)
    spread = rows.std(axis=0)

    def network() -> WaveNet:
        model = WaveNet(config)
        model.mean.copy_(torch.from_numpy(rows.mean(axis=0)))
        model.deviation.copy_(torch.from_numpy(np.where(spread > 0, spread, 1)))
        return model

    return mel_task(
        WEIGHTS, WaveNet, network, data, loss_of, "stretch", settings.batch,
        summary=f"{data.summary}; {sum(one.numel() for one in WaveNet(config).parameters())} weights",
        ends=("first", "head.1"),
        rate=lambda updates: 0.5 ** (updates // settings.halve_every),
        audio=validation_audio(WEIGHTS, _speech, data, settings),
    )  # fmt: skip


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`. recordings: samples [n], full scale +-1, 16 kHz, by name."""


def _speech(config: Config, arrays: Mapping[str, Array], frames: Array, draw: np.random.Generator) -> Array:
    return speech(packed(config, arrays), frames, draw)[0]


def loss_of(model: WaveNet, features: Tensor, samples: Tensor, read: Tensor, inside: Tensor) -> dict[str, Tensor]:
    """Return {"loss": mean of -ln p(sample)}, in nats, over all samples of all chunks.

    The loss of a chunk is that of the same samples in the whole recording. The arguments are the tensors of
    `MelChunks` with the `Edges` of `task`: samples are true samples or mu-law levels, read the same with noise.
    """
    c, n = model.config, samples.shape[1] - 1
    end = c.hop * (inside.shape[1] - c.reach)
    part, lead = slice(end - n, end), c.receptive_field - 1
    here = inside.repeat_interleave(c.hop, 1)[:, part, None]
    parameters = model(model.condition(features, inside)[:, part], read[:, :-1], here)[:, lead:]
    return {"loss": model.distribution.loss(parameters, samples[:, 1 + lead :]).mean()}


def prepared(samples: Array, features: FeatureFunction, config: Config) -> TrainingRecording:
    """Return a recording and its features, in the form that training reads.

    samples: [n], full scale +-1. The signal in the result has pre-emphasis and gain, is clipped to +-1, float32, and
    ends with the last whole frame. For the kind categorical, it consists of the mu-law levels of these samples, int64.
    features: the function that computes the features, under the name "mel".
    """
    rows = np.asarray(features(samples)["mel"])
    frames = min(len(rows), len(samples) // config.hop)
    whole = config.emphasis.applied(samples)[: frames * config.hop]
    given = levels_of(whole, config) if config.kind == "categorical" else whole.astype(np.float32)
    return TrainingRecording(given, {"mel": rows[:frames].astype(np.float32)}, config.hop)
