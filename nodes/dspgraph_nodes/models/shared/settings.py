"""Settings of training runs: settings that all models have, and settings of sparse recurrent matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from dspgraph_nodes.models.shared.config import EmphasisConfig, ModelConfig, description
from dspgraph_nodes.models.shared.sparsity import Pruning, SparsitySchedule

RESUMABLE = {"steps", "device", "threads", "log_every", "validate_every", "checkpoint_every", "audio"}
"""Settings that may change when a run is resumed.

The others must stay, so that the result is that of an unbroken run.
"""


MOST_FRAMES = 1_000_000
"""The largest number of frames in a batch. More frames would be hours of speech and fill the memory."""


def of_config(config: type[ModelConfig], name: str) -> Any:
    """Return a setting, a field of pydantic, that replaces the field `name` of a preset's configuration.

    The setting, a class attribute, must have the same name. None, its default, keeps the preset's value. config: the
    class of the configuration.
    """
    return Field(None, description=f"{description(config, name)}; if not given, the value of the preset")


class RunSettings(BaseModel, frozen=True, extra="forbid"):
    """Base of the settings of a training run.

    A model defines `PRESETS` and `preset`, adds settings of its own, and repeats a field to change its default. A
    setting with the name of a field of the configuration, made by `of_config`, replaces the preset's value.
    """

    PRESETS: ClassVar[Mapping[str, ModelConfig]]

    preset: str
    steps: int = Field(100_000, ge=1, description="number of batches to train on")
    batch: int = Field(32, ge=1, le=MOST_FRAMES, description="items in a batch")
    validation_share: float = Field(
        0.05, ge=0, lt=1, description="share of the recordings kept for validation, at least one; 0 keeps none"
    )
    learning_rate: float = Field(1e-3, gt=0, description="first learning rate of Adam")
    optimizer: Literal["adam", "muon"] = Field(
        "adam", description="optimiser of the weights; muon: Muon for matrices of hidden layers, Adam for all others"
    )
    muon_rate: float = Field(0.02, gt=0, description="optimizer muon: first learning rate of Muon")
    decay: float = Field(0.0, ge=0, description="after n updates each learning rate is divided by 1 + decay * n")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient; a larger gradient is scaled down to it")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is saved; 0: the last weights are saved",
    )
    log_every: int = Field(1, ge=1, description="batches between two lines of the logs")
    validate_every: int = Field(1000, ge=1, description="batches between two validations; each writes a checkpoint")
    checkpoint_every: int | None = Field(
        None, ge=1, description="batches between two checkpoints; if not given, validations alone write them"
    )
    audio: float = Field(
        0.0, ge=0, le=60, description="seconds of a validation recording that are synthesised at each validation"
    )
    seed: int = Field(0, ge=0, description="seed of all random numbers")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to train; auto: on a GPU if there is one")
    precision: Literal["float32", "bf16"] = Field(
        "float32", description="precision of matrix products; the weights are always float32"
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="processes of one thread each that train together, on a CPU; each takes batches of its own",
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; if not given, as many as torch chooses")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.preset not in self.PRESETS:
            raise ValueError(f"preset is '{self.preset}'; there are: {', '.join(self.PRESETS)}")
        _ = self.config  # the property raises ValueError for a size out of bounds
        return self

    @property
    def config(self) -> Any:
        """The configuration of the network: the preset's configuration, with the fields that the settings replace."""
        preset = self.PRESETS[self.preset]
        given = {name: getattr(self, name, None) for name in type(preset).model_fields}
        return preset.replace(**{name: value for name, value in given.items() if value is not None})


class TrainingSettings(RunSettings, frozen=True, extra="forbid"):
    """Base of the settings of a training run on chunks of recordings."""

    batch: int = Field(32, ge=1, description="chunks in a batch")
    frames: int = Field(15, ge=1, description="frames in a chunk")
    augment: int = Field(
        1,
        ge=0,
        le=1000,
        description="copies of each recording, with a random filter and level, added to the recordings",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.batch * self.frames > MOST_FRAMES:
            raise ValueError(
                f"a batch of {self.batch} chunks of {self.frames} frames has more than {MOST_FRAMES} "
                "frames: set batch or frames to less"
            )
        return self


class MelSettings(TrainingSettings, frozen=True, extra="forbid"):
    """The settings of a training run of a model that reads the frames of the pipeline `mel_features`."""

    gain: float | None = of_config(EmphasisConfig, "gain")
    preemphasis: float | None = of_config(EmphasisConfig, "preemphasis")
    read_noise: float = Field(
        0.0,
        ge=0,
        le=64,
        description="largest standard deviation of the noise in the samples that the network reads, in steps of 8-bit "
        "mu-law; the standard deviation of each chunk is drawn uniformly from 0 to this value",
    )
    upsampling_start: Literal["smooth", "random"] = Field(
        "smooth",
        description="first filters of the upsampling of the frames; smooth: equal taps; random: normally distributed "
        "taps, which differ from sample to sample, so that the network sees where in a frame a sample is",
    )


class SparseSettings(BaseModel, frozen=True):
    """Settings for the pruning of a sparse recurrent matrix in training.

    The settings of a model with such a matrix have this as a second base class.
    """

    density_update: float = Field(
        0.05, gt=0, le=1, description="share of weight blocks that stay in the update gate of the first GRU"
    )
    density_reset: float = Field(
        0.05, gt=0, le=1, description="share of weight blocks that stay in the reset gate of that GRU"
    )
    density_state: float = Field(
        0.2, gt=0, le=1, description="share of weight blocks that stay in the candidate state of that GRU"
    )
    sparse_start: int = Field(2000, ge=0, description="batches before the first weight blocks are removed")
    sparse_end: int = Field(40000, ge=1, description="batches until the last weight blocks are removed")
    sparse_every: int = Field(400, ge=1, description="batches between two removals of weight blocks")
    sparse_columns: int = Field(
        1,
        ge=1,
        le=16,
        description="columns of a weight block, which has 16 rows: 1, 2, 4, 8 or 16; 4 for the precision int8, whose "
        "products take four columns at a time",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.sparse_end <= self.sparse_start:
            raise ValueError(f"sparse_end is {self.sparse_end}; it must be above sparse_start, {self.sparse_start}")
        if 16 % self.sparse_columns:
            raise ValueError(f"sparse_columns is {self.sparse_columns}; it must be 1, 2, 4, 8 or 16")
        return self

    def pruning(self, *matrices: str) -> Pruning | None:
        """Return the `Pruning` of recurrent matrices of GRUs with these settings; None if no block is to be removed.

        matrices: the names of these matrices among the network's parameters.
        """
        densities = (self.density_reset, self.density_update, self.density_state)
        schedule = SparsitySchedule(self.sparse_start, self.sparse_end, self.sparse_every)
        if min(densities) == 1:
            return None
        return Pruning(schedule, dict.fromkeys(matrices, densities), self.sparse_columns)
