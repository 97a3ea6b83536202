"""The settings of a training run of LPCNet."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from dspgraph_nodes.models.lpcnet.config import HOP, PRESETS, Config
from dspgraph_nodes.models.shared.settings import SparseSettings, TrainingSettings, of_config


class Settings(TrainingSettings, SparseSettings, frozen=True, extra="forbid"):
    """The settings of a training run of LPCNet. Where a value was published, it is the default."""

    PRESETS: ClassVar = PRESETS

    preset: str = Field("lpcnet", description=f"sizes of the network: {' or '.join(PRESETS)}")
    gru_a: int | None = of_config(Config, "gru_a")
    gru_b: int | None = of_config(Config, "gru_b")
    embedding: int | None = of_config(Config, "embedding")
    condition: int | None = of_config(Config, "condition")
    batch: int = Field(64, ge=1, description="chunks in a batch")
    frames: int = Field(15, ge=1, description="frames of 10 ms in a chunk")
    updates: int = Field(
        1,
        ge=1,
        description="weight updates per batch: each chunk is divided into this many parts; GRU states carry over",
    )
    noise: Literal["c", "2018", "none"] = Field(
        "c", description="noise in the inputs: c, as in the C program; 2018, as in the paper; or none"
    )
    noise_scale: float = Field(1.0, gt=0, description="noise level relative to the published noise level")
    clean_share: float = Field(0.0, ge=0, le=1, description="share of the chunks without noise")
    learning_rate: float = Field(1e-3, gt=0, description="first learning rate of Adam (amsgrad)")
    decay: float = Field(5e-5, ge=0, description="after n updates the learning rate is divided by 1 + decay * n")

    eight_bits: bool = Field(
        False,
        description="train for the precision int8: weights and states are rounded to 8 bits, as in the node; only on a "
        "CPU; for the last part of a training, after --init",
    )

    @model_validator(mode="after")
    def _rounded_on_a_cpu(self) -> Self:
        if self.eight_bits and (self.device, self.precision) != ("cpu", "float32"):
            raise ValueError(
                f"eight_bits is true with device {self.device} and precision {self.precision}; it needs device cpu and "
                "precision float32"
            )
        return self

    @model_validator(mode="after")
    def _whole_parts(self) -> Self:
        if self.frames * HOP % self.updates:
            raise ValueError(f"updates is {self.updates}; it must divide the {self.frames * HOP} samples of a chunk")
        return self
