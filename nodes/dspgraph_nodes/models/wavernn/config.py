"""The configuration of a WaveRNN: the kind of its predictions, sizes, rate and hop, and named presets."""

from __future__ import annotations

from math import prod
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from dspgraph_nodes._kernels.neural.conditioning import reach
from dspgraph_nodes.models.shared.config import EmphasisConfig, size

_ROWS = 16  # rows of a weight matrix that the kernels process together; numbers of units are multiples of 16


class Config(EmphasisConfig):
    """The kind of a network's predictions, its sizes, and the rate and frames of its audio.

    kind: coarse_fine draws the upper and the lower half of the bits of a sample, one after the other, each from a
    softmax of its own; categorical draws a sample from one softmax over all its levels; mixture draws a real number
    from a mixture of logistic distributions.
    """

    kind: Literal["coarse_fine", "categorical", "mixture"] = Field(
        "categorical", description="distribution of a sample: coarse_fine, categorical or mixture"
    )
    bits: int = Field(9, ge=4, le=16, description="bits of a sample; coarse_fine: an even number")
    mulaw: bool = Field(True, description="categorical: whether the levels are mu-law codes; otherwise they are linear")
    components: int = size(10, "mixture: number of logistic distributions", largest=64)
    units: int = size(512, "units of each GRU; coarse_fine: a multiple of 32", multiple=_ROWS)
    dense: int = size(512, "units of each dense layer", multiple=_ROWS)
    biases: Literal["one", "two"] = Field("two", description="coarse_fine: biases of the GRU; one: no recurrent bias")
    start: Literal["silence", "zeros", "lowest"] = Field(
        "silence",
        description="coarse_fine: halves before the first sample; zeros: inputs of 0; lowest: both halves are 0",
    )
    features: int = Field(80, ge=0, le=1024, description="numbers in a frame; 0 (coarse_fine only): no frames")
    input: Literal["given", "decibels"] = Field(
        "given",
        description="input of the network for a feature x. given: x; decibels: x is the natural logarithm of a "
        "magnitude, and the input is its level in dB, scaled from 0 for -100 dB to 1 for 0 dB",
    )
    rate: int = size(22050, "sample rate, Hz", largest=192_000)
    factors: tuple[int, ...] = Field(
        (5, 5, 11), max_length=16, strict=False, description="factors of the stages that interpolate the frames"
    )
    widths: tuple[int, ...] = Field(
        (11, 11, 23), max_length=16, strict=False, description="taps of the smoothing filter after each stage, odd"
    )
    offset: bool = Field(False, description="whether the smoothing filters have a bias")
    auxiliary: int = Field(
        128, ge=0, le=4096, multiple_of=4, description="outputs of the residual network of the frames; 0: no network"
    )
    compute: int = size(128, "channels of the residual network")
    blocks: int = Field(10, ge=0, le=64, description="blocks of the residual network")
    pad: int = Field(2, ge=0, le=16, description="frames on each side of a frame that the residual network sees")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        split = self.kind == "coarse_fine"
        if split and self.units % (2 * _ROWS):
            raise ValueError(f"units is {self.units}; coarse_fine divides them in two halves: set a multiple of 32")
        if split and self.bits % 2:
            raise ValueError(f"bits is {self.bits}; a sample that is split in two halves has an even number of bits")
        if self.kind == "categorical" and self.bits > 10:
            raise ValueError(f"bits is {self.bits}; one softmax has at most 10 bits: choose coarse_fine or mixture")
        if not split and not (self.features and self.auxiliary):
            raise ValueError(
                f"features is {self.features}, auxiliary is {self.auxiliary}; both can be 0 only for coarse_fine"
            )
        if split and self.auxiliary:
            raise ValueError(f"auxiliary is {self.auxiliary}; coarse_fine has no residual network: set it to 0")
        if not self.factors or min(self.factors) < 1 or max(self.factors) > 1024 or self.hop > 4096:
            raise ValueError(f"factors are {self.factors}; they must be 1 or more, and their product 4096 at most")
        if len(self.widths) != len(self.factors) or any(w < 1 or w % 2 == 0 or w > 4096 for w in self.widths):
            raise ValueError(f"widths are {self.widths}; there must be {len(self.factors)} odd numbers, one per factor")
        return self

    @property
    def hop(self) -> int:
        """The number of samples in a frame."""
        return prod(self.factors)

    @property
    def context(self) -> int:
        """The number of frames on each side of a frame that the samples of the frame depend on."""
        if not self.features:
            return 0
        return max(self.pad if self.auxiliary else 0, reach(self.factors, self.widths))

    @property
    def levels(self) -> int:
        """The number of levels of a softmax: 2**(bits / 2) for the kind coarse_fine, 2**bits for the others.

        For coarse_fine, each softmax predicts half of the bits.
        """
        return 1 << (self.bits // 2 if self.kind == "coarse_fine" else self.bits)

    @property
    def first_halves(self) -> tuple[float, float]:
        """The (coarse half, fine half) that the network reads before the first sample, -1 to 1; coarse_fine only."""
        silence = (self.levels // 2) / ((self.levels - 1) / 2) - 1
        return {"silence": (silence, -1.0), "zeros": (0.0, 0.0), "lowest": (-1.0, -1.0)}[self.start]

    @property
    def outputs(self) -> int:
        """The number of parameters of the distribution of a sample: logits, or the parameters of a mixture."""
        return {"coarse_fine": 2 * self.levels, "categorical": self.levels, "mixture": 3 * self.components}[self.kind]


_SMALL: Any = {
    "input": "decibels", "rate": 16000, "factors": (4, 8, 8), "widths": (9, 17, 17), "compute": 32, "auxiliary": 32,
    "blocks": 3, "dense": 96,
}  # fmt: skip

PRESETS = {
    "wavernn": Config(),
    "wavernn-mixture": Config(kind="mixture", bits=16),
    "wavernn-split": Config(
        kind="coarse_fine", bits=16, units=896, dense=448, biases="one", features=0, auxiliary=0, rate=24000
    ),
    "wavernn-small": Config(units=96, **_SMALL),
    "wavernn-small-mixture": Config(kind="mixture", bits=16, units=96, **_SMALL),
    "wavernn-small-split": Config(kind="coarse_fine", bits=16, units=192, **{**_SMALL, "auxiliary": 0, "blocks": 0}),
}
"""The published sizes, and smaller sizes that train on a CPU.

wavernn and wavernn-mixture: the alternative model of fatchord/WaveRNN; wavernn-split: the network of N. Kalchbrenner et
al., in the version of fatchord/WaveRNN, which reads no frames.
"""
