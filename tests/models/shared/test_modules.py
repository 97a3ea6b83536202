"""The parts that the networks in torch share."""

import pytest
import torch

from dspgraph import RequestError
from dspgraph_nodes.models.shared.modules import (
    level_features,
    start_log_scales,
    start_random_filters,
    stretched,
)


def test_neighbouring_levels_have_similar_features() -> None:
    torch.manual_seed(0)
    features = level_features(256, 3000)
    assert 0.9 < float(features.var()) < 1.1
    likeness = features @ features.T / 3000
    for distance, expected in ((1, 0.99), (8, 0.67), (64, 0.2)):  # the mean of exp(-(distance / length)**2 / 2)
        assert abs(float(likeness.diagonal(distance).mean()) - expected) < 0.03


def test_the_first_log_scales_of_a_mixture_are_set_and_nothing_else() -> None:
    layer = torch.nn.Linear(4, 9)
    before = layer.bias.detach().clone()
    start_log_scales(layer)
    assert torch.equal(layer.bias[:6], before[:6])
    assert layer.bias[6:].tolist() == [-3.0] * 3


def test_smooth_filters_become_random_filters_of_the_same_power_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    upsampling = torch.nn.Conv1d(1, 2, 20001)
    torch.nn.init.constant_(upsampling.weight, 1 / 20001)
    assert upsampling.bias is not None
    torch.nn.init.zeros_(upsampling.bias)
    module = torch.nn.ModuleList((upsampling, torch.nn.Linear(3, 3)))
    before = {name: one.clone() for name, one in module.state_dict().items()}
    start_random_filters(module)
    changed = [name for name, one in module.state_dict().items() if not torch.equal(one, before[name])]
    assert changed == ["0.weight"]
    power = (upsampling.weight**2).sum(-1)
    assert torch.allclose(power, torch.ones_like(power), atol=0.05)  # 5 standard deviations of a sum of 20001 squares


@pytest.mark.parametrize("ends", [False, True])
def test_interpolation_by_the_weights_of_rows_is_the_interpolation_of_each_channel(ends: bool) -> None:
    """The gradients of the filters are equal too.

    ends: whether some frames at the ends lie beyond the recording, so that their rows count as 0.
    """
    torch.manual_seed(0)
    smooth = [torch.nn.Conv1d(1, 1, width, padding=width // 2, bias=False).double() for width in (5, 9)]
    rows = torch.randn(2, 6, 20, dtype=torch.float64)
    inside = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]]).double() if ends else None
    found = []
    for linear in (False, True):
        y = stretched(rows, (2, 4), smooth, inside, linear=linear)
        assert y.shape == (2, 48, 20)
        found.append((y, *torch.autograd.grad((y**3).sum(), [one.weight for one in smooth])))
    for each, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, each, rtol=1e-10, atol=1e-10)


def test_random_filters_need_an_upsampling() -> None:
    with pytest.raises(RequestError, match="this network has no upsampling: leave upsampling_start out"):
        start_random_filters(torch.nn.ModuleList())
