"""A distribution over the levels of a code, such as the 256 levels of mu-law."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dspgraph_nodes._kernels.arrays import Array


@dataclass(frozen=True)
class Categorical:
    """The distribution softmax(logits) over the levels 0 .. levels - 1.

    levels: the number of levels. A sample has as many parameters: one logit for each level.
    """

    levels: int = 256

    @property
    def width(self) -> int:
        """The number of parameters of one sample: its logits."""
        return self.levels

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return -ln P(target) of every sample [...], in nats. parameters: logits [..., levels]; target: [...], int64.

        Computed in float32.
        """
        flat = cross_entropy(parameters.reshape(-1, self.levels).float(), target.reshape(-1), reduction="none")
        return flat.view(target.shape)

    def draw(self, parameters: Tensor, numbers: Tensor) -> Tensor:
        """Return a level for every sample, [...]: the number of levels k with P(0) + ... + P(k) <= u.

        The result is at most levels - 1. parameters: logits [..., levels]; numbers: u [..., 1], from 0 to 1. The sums
        are computed in float64.
        """
        ends = torch.cumsum(torch.softmax(parameters.double(), -1), -1)
        return (ends <= numbers.double()).sum(-1).clamp(max=self.levels - 1)


def fixed_entropy(data: Iterable[Array], levels: int) -> float:
    """Return the cross-entropy, in nats per sample, of the best prediction that is the same for all samples.

    This is the entropy of the relative frequencies of the levels. data: arrays of whole numbers from 0 to levels - 1.
    """
    counts = np.sum([np.bincount(one.reshape(-1), minlength=levels) for one in data], axis=0)
    share = counts[counts > 0] / counts.sum()
    return float((share * -np.log(share)).sum())
