"""The sizes of an LPCNet, and the presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

RATE = 16000  # Hz, of the published networks and of the pipeline `lpcnet_features`
HOP = 160  # samples in a frame of `lpcnet_features`
_ROWS = 16  # rows of a weight matrix that the kernels process together


def _size(default: int, description: str, multiple: int = 1, largest: int = 4096) -> Any:
    bounds = {"description": description, "multiple": multiple, "largest": largest}
    return dataclasses.field(default=default, metadata=bounds)


@dataclass(frozen=True)
class Config:
    """The sizes of a network, and the rate and hop of its audio. Raises ValueError for a size that is out of bounds."""

    bands: int = _size(18, "bands of the Bark cepstrum")
    pitch_embedding: int = _size(64, "width of the embedding of the pitch")
    condition: int = _size(128, "channels of the frame-rate network", multiple=_ROWS)
    embedding: int = _size(128, "width of the embedding of a mu-law code")
    gru_a: int = _size(384, "units of the first GRU", multiple=_ROWS)
    gru_b: int = _size(16, "units of the second GRU", multiple=_ROWS)
    rate: int = _size(RATE, "sample rate, Hz", largest=192_000)
    hop: int = _size(HOP, "samples in a frame")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, bounds = getattr(self, field.name), field.metadata
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole and 1 <= value <= bounds["largest"]):
                raise ValueError(f"{field.name} is {value!r}; it must be a whole number from 1 to {bounds['largest']}")
            if value % bounds["multiple"]:
                raise ValueError(f"{field.name} is {value}; it must be a multiple of {bounds['multiple']}")


def description(size: str) -> str:
    """Return what the field of `Config` with this name means, in words for users."""
    return next(str(field.metadata["description"]) for field in dataclasses.fields(Config) if field.name == size)


PRESETS = {
    "lpcnet": Config(),
    "lpcnet-small": Config(pitch_embedding=32, condition=64, embedding=64, gru_a=192, gru_b=32),
}
"""The sizes of the published network, and of a smaller one that trains in minutes on a CPU."""
