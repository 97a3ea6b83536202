"""`dspgraph.nodes`: every node by the name of its class, and the functions that compute the same on arrays."""

import numpy as np
import pytest

from dspgraph import nodes, registry
from dspgraph.nodes import Gain, gain


def test_classes_and_functions_come_from_the_files_of_the_nodes() -> None:
    assert Gain is registry.find("gain")
    assert gain(np.array([1.0, 2.0]), 0.5).tolist() == [0.5, 1.0]


def test_every_node_has_its_class_and_is_listed() -> None:
    for name, found in registry.nodes().items():
        kind = found.load()
        assert getattr(nodes, kind.__name__) is kind
        assert {name, kind.__name__} <= set(dir(nodes))


def test_a_name_that_does_not_exist_is_an_error_with_a_similar_one() -> None:
    with pytest.raises(AttributeError, match="dspgraph has no node 'Gian'; did you mean 'Gain'"):
        _ = nodes.Gian
    with pytest.raises(
        AttributeError, match="the node 'cheaptrick' has no function of its own, only the class Cheaptrick"
    ):
        _ = nodes.cheaptrick
