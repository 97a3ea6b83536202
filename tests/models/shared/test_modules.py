"""The parts that the networks in torch share."""

import torch

from dspgraph_nodes.models.shared.modules import level_features


def test_neighbouring_levels_have_similar_features() -> None:
    torch.manual_seed(0)
    features = level_features(256, 3000)
    assert 0.9 < float(features.var()) < 1.1
    likeness = features @ features.T / 3000
    for distance, expected in ((1, 0.99), (8, 0.67), (64, 0.2)):  # the mean of exp(-(distance / length)**2 / 2)
        assert abs(float(likeness.diagonal(distance).mean()) - expected) < 0.03
