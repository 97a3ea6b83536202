"""Sparse recurrent matrices: which blocks are removed, and when."""

import pytest
import torch

from dspgraph_nodes.models.shared import sparsity


@pytest.mark.parametrize(
    ("step", "density"), [(0, 1), (2000, 1), (10000, 0.543), (21000, 0.2125), (40000, 0.1), (60000, 0.1)]
)
def test_the_density_falls_as_published(step: int, density: float) -> None:
    assert sparsity.SparsitySchedule().density(step, 0.1) == pytest.approx(density, abs=5e-4)


def test_blocks_are_chosen_every_so_often_and_in_the_end_always() -> None:
    schedule = sparsity.SparsitySchedule(2000, 40000, 400)
    assert [step for step in range(1000, 4000) if schedule.due(step)] == [2400, 2800, 3200, 3600]
    assert all(schedule.due(step) for step in range(40000, 40010))


@pytest.mark.parametrize(("units", "density"), [(192, 0.1), (384, 0.05), (128, 0.2)])
def test_as_many_blocks_stay_as_the_density_says_and_the_whole_diagonal(units: int, density: float) -> None:
    torch.manual_seed(0)
    gate = torch.randn(units, units) / 10 + 5 * torch.eye(units)  # a diagonal that would win every place
    kept = sparsity.mask(gate, density)
    assert bool(kept.diagonal().all())
    off = kept & ~torch.eye(units, dtype=torch.bool)
    blocks = off.view(units // 16, 16, units).sum(1)
    count = int((blocks >= 15).sum())  # a block on the diagonal has 15 others
    assert abs(count - round(density * units * units / 16)) <= 1
    assert int(((blocks > 0) & (blocks < 15)).sum()) == 0
    if units == 192:
        assert kept.float().mean().item() == pytest.approx(0.1047, abs=6e-4)  # 230 of 2304 blocks, and the diagonal


def test_the_blocks_that_stay_are_those_of_most_energy() -> None:
    gate = torch.full((32, 32), 0.01)
    gate[16:, 5] = 1.0
    gate[:16, 20] = -1.0
    kept = sparsity.mask(gate, 2 / 64) & ~torch.eye(32, dtype=torch.bool)
    assert kept[16:, 5].all()
    assert kept[:16, 20].all()
    assert int(kept.sum()) == 32


def test_blocks_of_several_columns_stay_or_go_together() -> None:
    gate = torch.full((32, 32), 0.01)
    gate[:16, 21] = 1.0  # its block has the columns 20 to 23
    gate[16:, 4:8] = 0.3
    kept = sparsity.mask(gate, 2 / 16, columns=4) & ~torch.eye(32, dtype=torch.bool)
    assert kept[:16, 20:24].all()
    assert kept[16:, 4:8].all()
    assert int(kept.sum()) == 2 * 16 * 4


def test_each_gate_has_its_own_density() -> None:
    torch.manual_seed(0)
    recurrent = torch.randn(3 * 64, 64)
    sparsity.sparsify(recurrent, (0.05, 0.05, 0.2))
    shares = [(gate != 0).float().mean().item() for gate in recurrent.chunk(3)]
    assert shares == pytest.approx([0.05 + 0.95 / 64, 0.05 + 0.95 / 64, 0.2 + 0.8 / 64], abs=0.005)
