"""The configuration of a GANSynth: the sizes of its networks, the form of its pictures, and named presets."""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from dspgraph_nodes.models.shared.config import ModelConfig, size

_MOST_NUMBERS = 2**24
"""The largest number of pixels (rows * bins) in a picture."""


class Config(ModelConfig):
    """The sizes of the generator and the discriminator, and the form of the pictures that they make or judge.

    A picture has `rows` rows of `bins` bins, and two channels: magnitude and angle, as the node gansynth_spectrogram
    returns them, normalised. Block 1 works on the smallest picture, start_rows x start_bins; each further block works
    on a picture with twice as many rows and bins.
    """

    latent: int = size(256, "numbers in a latent vector")
    lowest: int = Field(24, ge=0, le=127, description="MIDI number of the lowest pitch")
    pitches: int = size(61, "number of pitches, one for each semitone from the lowest on", largest=128)
    start_rows: int = size(2, "rows of the picture of block 1")
    start_bins: int = size(16, "bins of a row of the picture of block 1")
    blocks: int = size(7, "number of blocks", largest=10)
    channels: int = size(4096, "block k has channels / 2**k channels", largest=2**16)
    most_channels: int = size(256, "largest number of channels in a block")
    scale: Literal["linear", "mel"] = Field("mel", description="frequency scale of the pictures")
    form: Literal["if", "phase"] = Field(
        "if", description="form of the angles: if: their change from row to row, the instantaneous frequency"
    )
    drop: Literal["nyquist", "dc"] = Field("dc", description="the bin that is left out of the pictures")
    rate: int = size(16000, "sample rate, Hz", largest=192_000)
    magnitude: tuple[float, float] = Field(
        (0.0661371661726, 0.113718730221), strict=False, description="scale and shift of the log magnitudes"
    )
    angle: tuple[float, float] = Field((0.8, 0.0), strict=False, description="scale and shift of the angles")

    latent_means: tuple[float, ...] = Field(
        (), strict=False, description="means of the numbers in a latent vector during training; if none are given, 0"
    )
    latent_deviations: tuple[float, ...] = Field(
        (), strict=False, description="standard deviations of these numbers; if none are given, 1"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bins < 16 or self.bins & (self.bins - 1):
            raise ValueError(
                f"start_bins is {self.start_bins}; it must be a power of two, and a row must have 16 bins or more"
            )
        if self.rows * self.bins > _MOST_NUMBERS:
            raise ValueError(f"a picture of {self.rows} x {self.bins} is too large: set fewer blocks")
        if self.channels < 2**self.blocks:
            raise ValueError(
                f"channels is {self.channels}; block {self.blocks} would have none: set channels to 2**{self.blocks}"
            )
        if self.form == "phase" and self.scale != "linear":
            raise ValueError("form is 'phase', with the scale 'mel'; a mel band has no phase: set form to if")
        if self.lowest + self.pitches > 128:
            raise ValueError(f"lowest + pitches is {self.lowest + self.pitches}; MIDI has 128 pitches")
        if min(self.magnitude[0], self.angle[0]) <= 0 or not all(map(isfinite, (*self.magnitude, *self.angle))):
            raise ValueError("the scales of magnitude and angle must be above 0, and scales and shifts finite")
        draws = self.latent_means, self.latent_deviations
        if any(len(one) not in (0, self.latent) or not all(map(isfinite, one)) for one in draws):
            raise ValueError(f"latent_means and latent_deviations must each have {self.latent} finite numbers, or none")
        return self

    def width(self, block: int) -> int:
        """Return the number of channels of a block; block 0 is the last convolution of the discriminator."""
        return min(self.channels >> block, self.most_channels)

    @property
    def rows(self) -> int:
        """The number of rows of the picture of a note, that of the last block; a row is a frame in time."""
        return self.start_rows << (self.blocks - 1)

    @property
    def bins(self) -> int:
        """The number of bins in a row of a picture."""
        return self.start_bins << (self.blocks - 1)

    @property
    def hop(self) -> int:
        """The number of samples from frame to frame; a row of the picture shows one frame."""
        return self.bins // 2

    @property
    def silence(self) -> int:
        """The number of rows of silence before a note: floor(3 / 128 * rows), as in the published pictures."""
        return self.rows * 3 // 128


_SMALL: Any = {"latent": 8, "scale": "linear", "drop": "nyquist", "rate": 4000}

PRESETS = {
    "gansynth": Config(),
    "gansynth-256": Config(start_rows=4, start_bins=8),
    "gansynth-notes": Config(
        latent=4,
        lowest=48,
        pitches=37,
        start_rows=4,
        start_bins=128,
        blocks=4,
        channels=128,
        most_channels=32,
        scale="linear",
        drop="nyquist",
    ),
    "gansynth-small": Config(lowest=48, pitches=36, blocks=4, channels=512, most_channels=64, **_SMALL),
    "gansynth-tiny": Config(lowest=60, pitches=24, blocks=3, channels=256, most_channels=48, **_SMALL),
}
"""The published sizes, in both shapes (128 x 1024 and 256 x 512), and three sizes that train on a CPU.

gansynth-notes makes the first second of a note at 16 kHz, in 32 x 1024 pixels. Its first block has most of the weights:
it gives every pitch a picture of 4 x 128 pixels with 32 channels. gansynth-small and gansynth-tiny make the beginning
of a note at 4 kHz: 0.26 s in 16 x 128 pixels, and 0.06 s in 8 x 64 pixels.
"""
