"""The configuration of a WaveNet: sizes, forms, rate and hop, and named presets."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dspgraph_nodes._kernels.neural.conditioning import reach
from dspgraph_nodes.models.shared.config import EmphasisConfig, size

UpsamplingFactor = Annotated[int, Field(ge=1, le=1024)]


class Config(EmphasisConfig):
    """The sizes and variants of a WaveNet, and the rate, hop and encoding of its audio.

    The defaults are the values of the program wavenet_vocoder from 2018-12 on. `PRESETS["wavenet-2018"]` has the values
    of the checkpoints that were published before.
    """

    kind: Literal["mixture", "categorical"] = Field(
        "mixture", description="distribution of a sample: a mixture of logistics, or mu-law levels"
    )
    components: int = size(10, "components of a mixture", largest=256)
    levels: int = Field(256, ge=2, le=65536, description="mu-law levels of the kind categorical")
    mulaw: Literal["centred", "even"] = Field(
        "centred", description="meaning of level k of n: centred: (k - n / 2) / (n / 2); even: 2 k / (n - 1) - 1"
    )
    layers: int = size(24, "convolutions", largest=256)
    stacks: int = size(4, "times that the dilations 1, 2, 4 ... begin anew; divides the layers", largest=256)
    kernel: int = size(3, "taps of a convolution", largest=16)
    residual: int = size(128, "channels between the convolutions")
    gate: int = size(256, "channels before the gates, an even number", multiple=2)
    skip: int = size(128, "channels of the skip connections")
    skip_sum: Literal["scaled", "halved", "plain"] = Field(
        "scaled",
        description="sum of the skip connections: scaled: divided by the root of their number; halved: divided by the "
        "root of 2 after each addition; plain: not divided",
    )
    bands: int = size(80, "numbers in a frame of features")
    context: int = Field(2, ge=0, le=16, description="frames on either side that the first layer of `stretch` sees")
    upsampling: Literal["stretch", "transposed"] = Field(
        "stretch",
        description="from features to the rate of samples: stretch: repeat and smooth, which is linear; transposed: "
        "transposed convolutions, each with a bias and ReLU",
    )
    scales: tuple[UpsamplingFactor, ...] = Field(
        (4, 4, 4, 4), min_length=1, max_length=16, strict=False, description="factors of the upsampling; product: hop"
    )
    band_taps: int = Field(
        1, ge=1, le=15, description="neighbouring bands that a transposed convolution adds up, an odd number"
    )
    condition_bias: bool = Field(False, description="whether a bias is added to the products of features and weights")
    loss_floor: float = Field(-16.0, ge=-40, le=0, description="lowest log-scale of a mixture in the loss")
    draw_floor: float | None = Field(
        None, ge=-40, le=0, description="lowest log-scale of a mixture from which samples are drawn; none: no limit"
    )
    rate: int = size(22050, "sample rate, Hz", largest=192_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.layers % self.stacks:
            raise ValueError(f"stacks is {self.stacks}; it must divide the {self.layers} layers")
        if max(self.dilations) * (self.kernel - 1) >= 2**20:
            raise ValueError(f"layers / stacks is {self.layers // self.stacks}: a convolution would see 2**20 samples")
        if self.band_taps % 2 == 0 or (self.band_taps > 1 and self.upsampling == "stretch"):
            raise ValueError(f"band_taps is {self.band_taps}; it must be odd, and 1 unless upsampling is transposed")
        if self.context and self.upsampling == "transposed":
            raise ValueError(f"context is {self.context}; it must be 0 if upsampling is transposed")
        if self.hop > 2**16:
            raise ValueError(f"the product of the scales is {self.hop}; it must be at most {2**16}")
        return self

    @property
    def dilations(self) -> tuple[int, ...]:
        """The dilation of every layer, 2**(i mod (layers / stacks))."""
        return tuple(2 ** (i % (self.layers // self.stacks)) for i in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """The number of previous samples that the distribution of a sample depends on."""
        return (self.kernel - 1) * sum(self.dilations) + 1

    @property
    def hop(self) -> int:
        """The number of samples in a frame of features: the product of the scales."""
        return math.prod(self.scales)

    @property
    def reach(self) -> int:
        """The number of frames on each side of a frame that `stretch` smooths into its samples; 0 for transposed."""
        return 0 if self.upsampling == "transposed" else reach(self.scales, [2 * s + 1 for s in self.scales])

    @property
    def wait(self) -> int:
        """The number of later frames that the samples of a frame depend on."""
        return self.context + self.reach

    @property
    def silence(self) -> int:
        """The sample that stands for silence: 0 or, for the kind categorical, the mu-law level of 0."""
        return self.levels // 2 if self.kind == "categorical" else 0

    @property
    def width(self) -> int:
        """The number of parameters of the distribution of a sample."""
        return 3 * self.components if self.kind == "mixture" else self.levels

    @property
    def skip_factors(self) -> tuple[float, ...]:
        """The factors of the layers' skip connections in their sum: one number for each layer."""
        if self.skip_sum == "halved":
            return tuple(0.5 ** ((self.layers - max(i, 1)) / 2) for i in range(self.layers))
        return (self.layers**-0.5 if self.skip_sum == "scaled" else 1.0,) * self.layers


def _small(**sizes: Any) -> Config:
    return Config(layers=18, stacks=3, residual=32, gate=64, skip=32, rate=16000, **sizes)


PRESETS = {
    "wavenet": Config(gain=0.55, preemphasis=0.85),
    "wavenet-2018": Config(
        residual=512, gate=512, skip=256, skip_sum="halved", context=0, upsampling="transposed", band_taps=3,
        condition_bias=True, loss_floor=math.log(1e-14), draw_floor=math.log(1e-14),
    ),
    "wavenet-half": Config(residual=64, gate=128, skip=64, gain=0.55, preemphasis=0.85),
    "wavenet-small": _small(),
    "wavenet-small-mulaw": _small(kind="categorical"),
}  # fmt: skip
"""The published network; the network published in 2018; a network of half the width; and, for audio at 16 kHz, two
networks that a CPU runs in real time and trains in minutes.
"""
