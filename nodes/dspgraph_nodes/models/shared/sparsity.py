"""Recurrent matrices with few blocks left, taken away little by little while a network learns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 16  # outputs of one input: what a vector of the processor multiplies at once


@dataclass(frozen=True)
class Schedule:
    """When blocks go: density(t) = 1 - (1 - last) (1 - (1 - (t - start) / (end - start))**3) from start to end.

    The blocks are chosen every `every` batches, and after `end` after every batch.
    """

    start: int = 2000
    end: int = 40000
    every: int = 400

    def density(self, step: int, last: float) -> float:
        """The share of blocks that stay after so many batches."""
        if step <= self.start:
            return 1.0
        left = max(0.0, 1 - (step - self.start) / (self.end - self.start))
        return 1 - (1 - last) * (1 - left**3)

    def due(self, step: int) -> bool:
        """Whether blocks are chosen after so many batches."""
        return step > self.start and (step >= self.end or step % self.every == 0)


def mask(gate: Tensor, density: float) -> Tensor:
    """Where a gate's matrix [units, units], outputs first, stays: the blocks of most energy, and the whole diagonal.

    The diagonal takes no part in the ranking: it would win a place for every block it is in.
    """
    units = len(gate)
    diagonal = torch.eye(units, dtype=torch.bool, device=gate.device)
    energy = gate.detach().double().masked_fill(diagonal, 0).square().view(units // BLOCK, BLOCK, units).sum(1)
    kept = torch.zeros(energy.numel(), dtype=torch.bool, device=gate.device)
    order = torch.argsort(energy.flatten(), descending=True, stable=True)
    kept[order[: round(density * len(kept))]] = True
    return kept.view(energy.shape).repeat_interleave(BLOCK, 0) | diagonal


@torch.no_grad()
def sparsify(recurrent: Tensor, densities: tuple[float, ...]) -> None:
    """Set to zero, in place, what each gate of a recurrent matrix [gates * units, units] has to lose."""
    for gate, density in zip(recurrent.chunk(len(densities)), densities, strict=True):
        gate.mul_(mask(gate, density))
