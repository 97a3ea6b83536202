"""The configuration of a WaveNet autoencoder: sizes, rate and hop of its audio, and named presets."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dspgraph_nodes.models.shared.config import ModelConfig, size

MULAW_LEVELS = 256
"""Number of mu-law levels of a sample."""

TAPS = 3
"""Number of samples, one dilation apart, that a convolution reads. In the normalised decoder it reads one less."""

SLOPE = 0.2
"""Slope of the leaky ReLU of the normalised form for inputs below 0."""


class Config(ModelConfig):
    """The sizes of encoder and decoder, and the rate and hop of their audio.

    The defaults are the sizes of the published network, NSynth's h512_bo16. The encoder and the decoder have the same
    number of dilated convolutions, with the same dilations.

    There are two forms: "gated", as in NSynth; and "normalised", as in the program wavenet-autoencoder-chainer, whose
    layers have batch normalisation and leaky ReLUs. In the normalised form, encoder and decoder share a table that
    gives the vector of every mu-law level. So `skip` must equal `encoder`, the number of channels between the layers.
    """

    form: Literal["gated", "normalised"] = Field("gated", description="form of the layers")
    layers: int = size(30, "dilated convolutions of the encoder, and of the decoder", largest=256)
    stacks: int = size(3, "times that the dilations 1, 2, 4 ... begin anew; divides the layers", largest=256)
    least_dilation: int = size(
        1, "first dilation of a stack, 1 or 2; with 2 the decoder reads every second sample only", largest=2
    )
    encoder: int = size(128, "channels of the encoder; normalised: between the layers, also of the decoder")
    latent: int = size(16, "numbers in a frame of the encoding")
    width: int = size(
        512,
        "channels between the convolutions of the decoder; a convolution has twice as many gates. Normalised: channels "
        "of all dilated convolutions",
    )
    skip: int = size(256, "channels of the skip connections of the decoder; normalised: as many as `encoder`")
    hop: int = size(512, "samples in a frame of the encoding", largest=2**16)
    rate: int = Field(16000, ge=1, le=192_000, description="sample rate, Hz")
    lowest: int = Field(0, ge=0, le=127, description="MIDI number of the lowest pitch")
    pitches: int = Field(
        0,
        ge=0,
        le=128,
        description="number of pitches that the decoder can be given, from the lowest on; 0: it reads no pitch",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.layers % self.stacks:
            raise ValueError(f"stacks is {self.stacks}; it must divide the {self.layers} layers")
        if max(self.dilations) * (TAPS - 1) >= 2**20:
            raise ValueError(f"layers / stacks is {self.layers // self.stacks}: a convolution would see 2**20 samples")
        if self.form == "normalised" and self.skip != self.encoder:
            raise ValueError(f"skip is {self.skip}; it must be {self.encoder} as encoder, because form is 'normalised'")
        if self.lowest + self.pitches > 128:
            raise ValueError(f"lowest + pitches is {self.lowest + self.pitches}; MIDI has 128 pitches")
        return self

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of every layer, least_dilation * 2**(i mod (layers / stacks))."""
        return tuple(self.least_dilation * 2 ** (i % (self.layers // self.stacks)) for i in range(self.layers))

    @property
    def condition(self) -> int:
        """The length of a frame that the decoder reads: the encoding, then the one-hot code of the pitch."""
        return self.latent + self.pitches

    @property
    def reach(self) -> int:
        """The number of samples on each side of a frame, outside the frame, on which the frame's encoding depends."""
        return sum(self.dilations) + (self.form == "gated")


PRESETS = {
    "wavenet_autoencoder": Config(),
    "wavenet_autoencoder-small": Config(layers=20, stacks=2, encoder=32, width=32, skip=32),
    "wavenet_autoencoder-tiny": Config(layers=12, stacks=2, encoder=16, width=32, skip=32, hop=128, rate=4000),
    "wavenet_autoencoder-normalised": Config(form="normalised", encoder=32, width=16, skip=32, rate=4410),
}
"""The published sizes; a network that trains on a CPU in hours; a network for sounds at 4 kHz that trains in minutes;
and the sizes of wavenet-autoencoder-chainer.
"""
