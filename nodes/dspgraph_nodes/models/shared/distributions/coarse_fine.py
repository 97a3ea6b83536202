"""A distribution over samples of an even number of bits, drawn in two halves: coarse, then fine.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018 (dual softmax).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dspgraph_nodes.models.shared.distributions.categorical import Categorical


@dataclass(frozen=True)
class CoarseFine:
    """The distribution P(u) = P(c) * P(f | c) of codes u = c * 2**(bits / 2) + f, with halves c (coarse) and f (fine).

    bits: the number of bits of a sample, even. The network reads c before it gives the logits of f, so these logits are
    valid for this c only.
    """

    bits: int = 16

    @property
    def levels(self) -> int:
        """The number of levels of a half."""
        return 1 << self.bits // 2

    @property
    def width(self) -> int:
        """The number of parameters of one sample: the logits of c, then those of f."""
        return 2 * self.levels

    def halves(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the halves c and f of codes u, which are whole numbers from 0 to 2**bits - 1."""
        return codes // self.levels, codes % self.levels

    def inputs(self, codes: Tensor) -> Tensor:
        """Return the halves c and f of codes [...] as a network reads them: [..., 2], from -1 to 1."""
        return torch.stack(self.halves(codes), -1).float() / ((self.levels - 1) / 2) - 1

    def losses(self, parameters: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return -ln P(c) and -ln P(f | c) of every sample [...], in nats.

        parameters: [..., 2 * levels], from a network that has read the coarse halves of the targets; target: codes
        [...].
        """
        half = Categorical(self.levels)
        coarse, fine = self.halves(target)
        return half.loss(parameters[..., : self.levels], coarse), half.loss(parameters[..., self.levels :], fine)

    def loss(self, parameters: Tensor, target: Tensor) -> Tensor:
        """Return -ln P(target) of every sample [...], in nats. parameters, target: as in `losses`."""
        coarse, fine = self.losses(parameters, target)
        return coarse + fine
