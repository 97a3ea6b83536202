"""The optimiser Muon."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from dspgraph_nodes.models.shared.muon import Muon, hidden_matrices, orthogonal


@pytest.mark.parametrize("shape", [(64, 64), (48, 16), (16, 80)])
def test_updates_are_those_of_torch(shape: tuple[int, int]) -> None:
    """Updates differ from those of torch.optim.Muon, which computes in bfloat16, by less than 5 % of their length."""
    generator = torch.Generator().manual_seed(1)
    ours, theirs = (nn.Parameter(torch.zeros(shape)) for _ in range(2))
    mine, other = Muon([ours], 0.5), torch.optim.Muon([theirs], 0.5, weight_decay=0)
    for _ in range(4):
        before = ours.detach().clone(), theirs.detach().clone()
        ours.grad = torch.randn(shape, generator=generator)
        theirs.grad = ours.grad.clone()
        mine.step()
        other.step()  # type: ignore[no-untyped-call]
        step, reference = (after.detach() - b for after, b in zip((ours, theirs), before, strict=True))
        assert (step - reference).norm() < 0.05 * reference.norm()


def test_all_directions_are_moved_alike() -> None:
    """The singular values of a matrix, from 1 to 0.01, become values from 0.65 to 1.25; the singular vectors stay."""
    generator = torch.Generator().manual_seed(2)
    u, v = (torch.linalg.qr(torch.randn(32, 32, generator=generator))[0] for _ in range(2))
    found = orthogonal(u @ torch.diag(torch.logspace(0, -2, 32)) @ v.mT)
    inner = u.mT @ found @ v
    values = inner.diagonal()
    assert float(values.min()) > 0.65 and float(values.max()) < 1.25
    assert_close(inner, torch.diag(values), atol=1e-4, rtol=0)


def test_a_weight_without_a_gradient_stays() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    Muon([weight], 0.1).step()
    assert_close(weight.detach(), torch.ones(4, 4), atol=0, rtol=0)


def test_the_matrices_of_the_ends_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 8), nn.Conv1d(8, 8, 3), nn.Linear(8, 2))
    found = hidden_matrices(network, ("0", "3"))
    assert [id(one) for one in found] == [id(network[1].weight)]
