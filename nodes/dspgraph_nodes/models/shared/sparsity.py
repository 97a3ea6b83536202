"""Sparse recurrent matrices: blocks of weights are set to 0 step by step during training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BLOCK_ROWS = 16  # rows of a block; 16 float32 numbers fill a vector of 512 bits


@dataclass(frozen=True)
class SparsitySchedule:
    """The share of blocks that a sparse matrix keeps during training, and the batches after which blocks are removed.

        density(t) = 1 - (1 - last) * (1 - (1 - (t - start) / (end - start))**3),    start <= t <= end

    t is the number of batches, `last` the density from t = end on. Blocks are removed after every t above `start` that
    is a multiple of `every`, and after every batch from t = end on.
    """

    start: int = 2000
    end: int = 40000
    every: int = 400

    def density(self, step: int, last: float) -> float:
        """Return the share of blocks to keep after `step` batches. last: the share to keep from batch `end` on."""
        if step <= self.start:
            return 1.0
        left = max(0.0, 1 - (step - self.start) / (self.end - self.start))
        return 1 - (1 - last) * (1 - left**3)

    def due(self, step: int) -> bool:
        """Return whether blocks are to be removed after `step` batches."""
        return step > self.start and (step >= self.end or step % self.every == 0)


def mask(gate: Tensor, density: float, columns: int = 1) -> Tensor:
    """Return a mask for a gate's matrix: True in the blocks with the most energy, and on the diagonal.

    gate: [units, units], a row for each output; the mask has this shape. density: the share of the blocks that are
    True. A block has 16 rows and `columns` columns, and units is a multiple of both numbers. The diagonal does not
    count in the energy of a block: its weights are so large that every block with one of them would be kept.
    """
    units = len(gate)
    diagonal = torch.eye(units, dtype=torch.bool, device=gate.device)
    squares = gate.detach().double().masked_fill(diagonal, 0).square()
    energy = squares.view(units // BLOCK_ROWS, BLOCK_ROWS, units // columns, columns).sum((1, 3))
    kept = torch.zeros(energy.numel(), dtype=torch.bool, device=gate.device)
    order = torch.argsort(energy.flatten(), descending=True, stable=True)
    kept[order[: round(density * len(kept))]] = True
    return kept.view(energy.shape).repeat_interleave(BLOCK_ROWS, 0).repeat_interleave(columns, 1) | diagonal


@torch.no_grad()
def sparsify(recurrent: Tensor, densities: tuple[float, ...], columns: int = 1) -> None:
    """Set those weights of a recurrent matrix to 0, in place, for which the `mask` of their gate is False.

    recurrent: [gates * units, units]; densities: the density of each gate; columns: as in `mask`.
    """
    for gate, density in zip(recurrent.chunk(len(densities)), densities, strict=True):
        gate.mul_(mask(gate, density, columns))


@dataclass(frozen=True)
class Pruning:
    """The sparse matrices of a network, and the schedule by which their blocks are removed.

    densities: name of a matrix among the network's parameters -> the final density of each gate, in the order of the
    rows; columns: the number of columns of a block.
    """

    schedule: SparsitySchedule
    densities: Mapping[str, tuple[float, ...]]
    columns: int = 1

    def prune(self, network: nn.Module, batches: int) -> None:
        """Set blocks of the network's matrices to 0, if the schedule removes some right after batch `batches`."""
        if self.schedule.due(batches):
            for name, last in self.densities.items():
                shares = tuple(self.schedule.density(batches, density) for density in last)
                sparsify(network.get_parameter(name), shares, self.columns)

    @torch.no_grad()
    def follow(self, mean: nn.Module, network: nn.Module) -> None:
        """Set to 0 the weights in the sparse matrices of `mean`, the moving average, that are 0 in `network`."""
        for name in self.densities:
            mean.get_parameter(name).mul_(network.get_parameter(name) != 0)
