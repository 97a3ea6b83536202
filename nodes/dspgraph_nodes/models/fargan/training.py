"""A training run of FARGAN: the published training without its adversarial part. `figures` computes the loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import cosine_similarity

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.fargan.config import FARGAN_HOP, PRESETS, Config
from dspgraph_nodes.models.fargan.data import (
    BEFORE,
    PIPELINE,
    FarganChunk,
    FarganChunks,
    another_voice,
    arrays,
    utterance,
)
from dspgraph_nodes.models.fargan.network import FARGAN
from dspgraph_nodes.models.fargan.weights import WEIGHTS
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    FeatureFunction,
    fingerprint,
    mean_figures,
    rng,
    split,
    stacked,
)
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import TrainingSettings, of_config
from dspgraph_nodes.models.shared.spectral_losses import CEPSTRUM_LENGTH, cepstral_loss, spectral_loss

__all__ = ["PIPELINE", "Settings", "train"]

_START_SHARE = 0.03  # weight of `start` in the loss
_LAST_RATE = 0.05  # factor of the learning rate in the last update


class Settings(TrainingSettings, frozen=True, extra="forbid"):
    """The settings of a training run of FARGAN."""

    PRESETS: ClassVar = PRESETS

    preset: str = Field("fargan", description=f"sizes of the network: {' or '.join(PRESETS)}")
    frame_units: int | None = of_config(Config, "frame_units")
    frame_channels: int | None = of_config(Config, "frame_channels")
    condition: int | None = of_config(Config, "condition")
    first: int | None = of_config(Config, "first")
    gru1: int | None = of_config(Config, "gru1")
    gru2: int | None = of_config(Config, "gru2")
    gru3: int | None = of_config(Config, "gru3")
    skip: int | None = of_config(Config, "skip")
    batch: int = Field(64, ge=1, description="chunks in a batch of one process")
    frames: int = Field(15, ge=2, description="frames of 10 ms in a chunk; the first one has the true past")
    long_share: float = Field(
        0.1, ge=0, le=1, description="share of the batches that have half as many chunks, of twice the length"
    )
    speed: float = Field(
        1.25, ge=1, le=2, description="largest factor by which a copy of a recording is played faster or slower"
    )
    cepstrum: float = Field(0, ge=0, description="weight of the distance between mel-cepstra in the loss")
    learning_rate: float = Field(2e-3, gt=0, description="learning rate of Adam")
    warm_up: int = Field(50, ge=0, description="updates until the learning rate has risen to its value")
    finish: int = Field(
        1000,
        ge=0,
        description=f"updates at the end in which the learning rate falls linearly to {_LAST_RATE:g} of its value",
    )

    @model_validator(mode="after")
    def _long_enough_for_cepstra(self) -> Self:
        least = 2 + (CEPSTRUM_LENGTH - 1) // FARGAN_HOP
        if self.cepstrum and self.frames < least:
            raise ValueError(f"frames is {self.frames}; with a weight of the cepstrum it must be at least {least}")
        return self


def rate(updates: int, settings: Settings) -> float:
    """Return the factor of the learning rate after `updates` updates, above 0 and at most 1.

    The factor rises linearly to 1 in the first `warm_up` updates and stays there. In the last `finish` updates it is
    multiplied by a number that falls along a line from 1 to 0, but not below 0.05; the number of the last update is the
    setting `steps`. So the factor also falls before the end of a run that is resumed with a smaller `steps`.
    """
    rising = min(1.0, (updates + 1) / (settings.warm_up + 1))
    falling = min(1.0, (settings.steps - updates) / settings.finish) if settings.finish else 1.0
    return rising * max(_LAST_RATE, falling)


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return the `trainer.Task` of a training run of FARGAN: its network, batches, losses and validation.

    recordings: name -> samples [n], full scale +-1, 16 kHz. features: the function that computes the pipeline
    `fargan_features` for such samples. Raises RequestError as `split` does.
    """
    training, validation = split(
        recordings,
        lambda _, x: utterance(x, features),
        settings,
        FARGAN_HOP,
        BEFORE,
        partial(another_voice, speed=settings.speed),
    )
    chunks, held = (
        FarganChunks(training, settings.frames, settings.seed),
        FarganChunks(validation, settings.frames, settings.seed),
    )
    enough = [one for one in training if one.frames >= 2 * (settings.frames + BEFORE)]
    longer = FarganChunks(enough, 2 * settings.frames, settings.seed)
    orders = (
        BatchOrder(len(chunks), settings.batch, settings.seed),
        BatchOrder(len(longer), max(1, settings.batch // 2), settings.seed),
    )

    def batch(number: int) -> tuple[Tensor, ...]:
        if len(longer) and rng(settings.seed, number, 4).random() < settings.long_share:
            return stacked([longer[index] for index in orders[1][number]])
        return stacked([chunks[index] for index in orders[0][number]])

    def losses(network: FARGAN, batch: FarganChunk) -> Iterator[Mapping[str, Tensor]]:
        yield figures(network, *batch, cepstrum=settings.cepstrum)

    return trainer.Task(
        network=lambda: FARGAN(settings.config),
        batch=batch,
        losses=losses,
        validate=lambda network: mean_figures(
            held, partial(figures, network, cepstrum=settings.cepstrum), network.first.weight.device
        ),
        save=lambda network, path: save(WEIGHTS, network, path),
        load=lambda path: load(WEIGHTS, FARGAN, path),
        fingerprint=fingerprint(arrays([*training, *validation])),
        summary=f"{len(chunks)} chunks of {settings.frames} frames for training, {len(held)} for validation",
        figures=("spectrum", "start", *(("cepstrum",) if settings.cepstrum else ())),
        unit="",
        adam={"betas": (0.8, 0.95), "weight_decay": 0.01, "decoupled_weight_decay": True},
        ends=("embed_pitch", "gain", "pitch_gains", "last"),
        rate=lambda updates: rate(updates, settings),
    )


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`. recordings: samples [n], full scale +-1, 16 kHz, by name."""


# ---- losses ---------------------------------------------------------------------------------------------------------


def figures(
    network: FARGAN, inputs: Tensor, period: Tensor, past: Tensor, true: Tensor, cepstrum: float = 0
) -> dict[str, Tensor]:
    """Return the numbers "loss", "spectrum" and "start" of a batch, and "cepstrum" if its weight is above 0.

        loss = spectrum + 0.03 * start + weight * cepstrum
        start = mean over the chunks of 1 - cos(true, made)

    cos is the cosine of the angle between two vectors: the true and the generated ("made") samples of the second frame
    of a chunk. The tensors are those of `FarganChunk`, one row per chunk; a chunk has at least two frames, and with
    "cepstrum" at least four. "spectrum" is the `spectral_loss` over the frame before the chunk and the chunk. The
    network gets true samples for the first frame of the chunk, and this frame is replaced by true samples in the
    spectra, so that it does not count. "cepstrum" is the `cepstral_loss` of the chunk after its first frame; the
    argument `cepstrum` is its weight.
    """
    made = network(inputs, period, past, true[:, :FARGAN_HOP])
    free = slice(FARGAN_HOP, 2 * FARGAN_HOP)
    start = (1 - cosine_similarity(made[:, free], true[:, free], dim=1)).mean()
    known = torch.cat((past[:, -FARGAN_HOP:], true[:, :FARGAN_HOP]), 1)
    spectrum = spectral_loss(torch.cat((known, true[:, FARGAN_HOP:]), 1), torch.cat((known, made[:, FARGAN_HOP:]), 1))
    found = {"loss": spectrum + _START_SHARE * start, "spectrum": spectrum, "start": start}
    if cepstrum:
        found["cepstrum"] = cepstral_loss(true[:, FARGAN_HOP:], made[:, FARGAN_HOP:])
        found["loss"] = found["loss"] + cepstrum * found["cepstrum"]
    return found
