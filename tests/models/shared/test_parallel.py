"""Training in several processes: all of them use the mean of their gradients."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dspgraph_nodes.models.shared.parallel import Group, in_processes

pytestmark = pytest.mark.training


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_process_gets_the_mean_of_all_gradients(count: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)

    def work(group: Group) -> None:
        weights = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(1))]
        weights[0].grad = torch.full((2, 3), float(group.number))
        weights[1].grad = torch.full((4,), 10.0 * group.number)
        group.average(weights)
        assert weights[2].grad is None
        found = [float(one.grad.mean()) for one in weights if one.grad is not None]
        (tmp_path / f"{group.number}").write_text(repr(found))

    in_processes(count, work)
    mean = (count - 1) / 2
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == [repr([mean, 10 * mean])] * count


def test_a_process_that_fails_is_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)

    def work(group: Group) -> None:
        if group.number:
            raise ValueError("its disk is full")
        weight = nn.Parameter(torch.zeros(3))
        weight.grad = torch.ones(3)
        group.average([weight])

    with pytest.raises(RuntimeError):
        in_processes(2, work)
    assert "its disk is full" in capfd.readouterr().err
