"""What the networks of torch share."""

import torch
from torch import nn

from dspgraph_nodes.models.shared.modules import level_features, stretched


def test_neighbouring_levels_have_similar_features() -> None:
    torch.manual_seed(0)
    features = level_features(256, 3000)
    assert 0.9 < float(features.var()) < 1.1
    likeness = features @ features.T / 3000
    for distance, expected in ((1, 0.99), (8, 0.67), (64, 0.2)):  # the mean of exp(-(distance / length)**2 / 2)
        assert abs(float(likeness.diagonal(distance).mean()) - expected) < 0.03


def test_frames_are_stretched_by_filters_with_biases() -> None:
    """Against the stages applied to the frames; shorter and longer than the reach of 2 frames."""
    torch.manual_seed(0)
    smooth = [nn.Conv1d(1, 1, 9, padding=4, dtype=torch.float64), nn.Conv1d(1, 1, 5, padding=2, dtype=torch.float64)]
    for frames in (1, 2, 4, 5, 6, 9):
        rows = torch.randn(3, frames, 7, dtype=torch.float64)
        expected = rows.mT.reshape(21, 1, frames)
        for factor, one in zip((3, 4), smooth, strict=True):
            expected = one(expected.repeat_interleave(factor, -1))
        found = stretched(rows, (3, 4), (9, 5), smooth)
        torch.testing.assert_close(found, expected.view(3, 7, -1).mT, rtol=0, atol=1e-12)
