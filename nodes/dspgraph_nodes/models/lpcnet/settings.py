"""The settings of a training run of LPCNet."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from dspgraph_nodes.models.lpcnet.config import HOP, PRESETS, Config, description

RESUMABLE = {"steps", "device", "threads"}
"""Settings that may change when a run is resumed. All others stay, so that the result is as without a break."""


def _size(name: str) -> Any:
    return Field(None, description=f"{description(name)}; if not given, that of the preset")


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The settings of a training run. The defaults are the published values."""

    preset: str = Field("lpcnet", description=f"sizes of the network: {' or '.join(PRESETS)}")
    gru_a: int | None = _size("gru_a")
    gru_b: int | None = _size("gru_b")
    embedding: int | None = _size("embedding")
    condition: int | None = _size("condition")
    steps: int = Field(100_000, ge=1, description="number of batches to train on")
    batch: int = Field(64, ge=1, description="chunks in a batch")
    frames: int = Field(15, ge=1, description="frames of 10 ms in a chunk")
    updates: int = Field(
        1, ge=1, description="weight updates per batch: chunks are divided into as many parts; GRU states carry over"
    )
    noise: Literal["c", "2018", "none"] = Field(
        "c", description="noise in the inputs: c, as in the C program; 2018, as in the paper; or none"
    )
    noise_scale: float = Field(1.0, gt=0, description="noise level relative to the published one")
    clean_share: float = Field(0.0, ge=0, le=1, description="share of the chunks without noise")
    augment: int = Field(
        1, ge=0, description="copies of each recording, with a random filter and level, added to the recordings"
    )
    validation_share: float = Field(
        0.05, ge=0, lt=1, description="share of the recordings kept for validation, at least one; 0 keeps none"
    )
    learning_rate: float = Field(1e-3, gt=0, description="first learning rate of Adam (amsgrad)")
    decay: float = Field(5e-5, ge=0, description="after n updates the learning rate is divided by 1 + decay * n")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient; a larger gradient is scaled down to it")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is saved; 0: the last weights are saved",
    )
    density_update: float = Field(
        0.05, gt=0, le=1, description="share of weight blocks that stay in the update gate of the first GRU"
    )
    density_reset: float = Field(0.05, gt=0, le=1, description="share of weight blocks that stay in its reset gate")
    density_state: float = Field(0.2, gt=0, le=1, description="share of weight blocks that stay in its candidate state")
    sparse_start: int = Field(2000, ge=0, description="batches before the first weight blocks are removed")
    sparse_end: int = Field(40000, ge=1, description="batches until the last weight blocks are removed")
    sparse_every: int = Field(400, ge=1, description="batches between two removals of weight blocks")
    validate_every: int = Field(1000, ge=1, description="batches between two validations; each writes a checkpoint")
    seed: int = Field(0, ge=0, description="seed of all random numbers")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to train; auto: on a GPU if there is one")
    precision: Literal["float32", "bf16"] = Field(
        "float32", description="precision of matrix products; the weights are always float32"
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; if not given, as many as torch chooses")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.preset not in PRESETS:
            raise ValueError(f"preset is '{self.preset}'; there are: {', '.join(PRESETS)}")
        _ = self.config  # the property raises ValueError for a size out of bounds
        if self.frames * HOP % self.updates:
            raise ValueError(f"updates is {self.updates}; it must divide the {self.frames * HOP} samples of a chunk")
        if self.steps > self.validate_every and self.steps % self.validate_every:
            raise ValueError(f"steps is {self.steps}; it must be a multiple of validate_every, {self.validate_every}")
        if self.sparse_end <= self.sparse_start:
            raise ValueError(f"sparse_end is {self.sparse_end}; it must be above sparse_start, {self.sparse_start}")
        return self

    @property
    def config(self) -> Config:
        """The sizes of the network: those of the preset, except the sizes that are given."""
        sizes = {name: getattr(self, name) for name in ("gru_a", "gru_b", "embedding", "condition")}
        given = {name: value for name, value in sizes.items() if value is not None}
        return dataclasses.replace(PRESETS[self.preset], **given)

    @property
    def validation_interval(self) -> int:
        """Batches between two validations: `validate_every`, or `steps` if that is less."""
        return min(self.validate_every, self.steps)
