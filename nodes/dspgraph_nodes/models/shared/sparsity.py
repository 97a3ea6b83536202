"""Sparse recurrent matrices: blocks of weights are set to 0 step by step during training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_ROWS = 16  # outputs of one input: as many as a vector of the processor holds


@dataclass(frozen=True)
class SparsitySchedule:
    """The density of a matrix during training, and the batches after which blocks are removed.

        density(t) = 1 - (1 - last) (1 - (1 - (t - start) / (end - start))**3),    start <= t <= end

    Blocks are removed every `every` batches, and from `end` on after every batch.
    """

    start: int = 2000
    end: int = 40000
    every: int = 400

    def density(self, step: int, last: float) -> float:
        """Return the share of blocks that stay after `step` batches, if `last` of them stay in the end."""
        if step <= self.start:
            return 1.0
        left = max(0.0, 1 - (step - self.start) / (self.end - self.start))
        return 1 - (1 - last) * (1 - left**3)

    def due(self, step: int) -> bool:
        """Return whether blocks are removed after `step` batches."""
        return step > self.start and (step >= self.end or step % self.every == 0)


def mask(gate: Tensor, density: float) -> Tensor:
    """Return the mask of a gate's matrix [units, units], outputs first: the blocks of most energy, and the diagonal.

    The diagonal does not count in the ranking: its large weights would keep every block that contains one.
    """
    units = len(gate)
    diagonal = torch.eye(units, dtype=torch.bool, device=gate.device)
    energy = (
        gate.detach().double().masked_fill(diagonal, 0).square().view(units // BLOCK_ROWS, BLOCK_ROWS, units).sum(1)
    )
    kept = torch.zeros(energy.numel(), dtype=torch.bool, device=gate.device)
    order = torch.argsort(energy.flatten(), descending=True, stable=True)
    kept[order[: round(density * len(kept))]] = True
    return kept.view(energy.shape).repeat_interleave(BLOCK_ROWS, 0) | diagonal


@torch.no_grad()
def sparsify(recurrent: Tensor, densities: tuple[float, ...]) -> None:
    """Set the removed blocks of each gate of a recurrent matrix [gates * units, units] to 0, in place."""
    for gate, density in zip(recurrent.chunk(len(densities)), densities, strict=True):
        gate.mul_(mask(gate, density))
