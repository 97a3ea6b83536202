"""The file of weights of a node changes, or is removed, while the node is used."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dspgraph import Graph, ParameterError, Session
from dspgraph.engine.plan import Plan
from dspgraph.testing import Example
from system.test_laws import NODES, examples_of

NEURAL = [
    pytest.param(found.domain, found.name, id=found.name)
    for found in NODES
    if found.domain == "neural" and "weights" in found.load().model_fields
]


def copied(example: Example, path: Path) -> Graph:
    """Return the graph of an example whose node reads a copy of its weights. path: of the copy, which is made old."""
    parameters = example.node.model_dump()
    shutil.copyfile(parameters["weights"], path)
    os.utime(path, (1, 1))  # some file systems do not tell apart the times of two changes within 10 ms
    node = type(example.node)(**{**parameters, "weights": str(path)})
    return Example(node, **example.signals).graph()


def change(path: Path) -> None:
    """Double the last array of a file of weights in place, and keep its configuration."""
    arrays = load_file(path)
    name = list(arrays)[-1]
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    save_file({**arrays, name: 2 * arrays[name]}, path, metadata)


@pytest.mark.parametrize(("domain", "name"), NEURAL)
def test_a_node_keeps_the_network_that_it_was_made_with(domain: str, name: str, tmp_path: Path) -> None:
    """A signal that has begun is finished with the old numbers; a new signal is refused, also if the file is gone."""
    example = next(one for one in examples_of(domain, name) if one.node.type_name == name)
    path = tmp_path / "weights.safetensors"
    graph = copied(example, path)
    whole = graph(**example.arrays)
    session = graph.session()
    half = {key: len(array) // 2 for key, array in example.arrays.items()}
    parts = [session.push(**{key: array[: half[key]] for key, array in example.arrays.items()})]
    change(path)
    parts.append(session.push(**{key: array[half[key] :] for key, array in example.arrays.items()}))
    parts.append(session.flush())
    for key, array in whole.items():
        assert_array_equal(np.concatenate([part[key] for part in parts]), array)
    with pytest.raises(
        ParameterError, match=f"{name}.weights: .* has changed since the node was made: make a new node"
    ):
        graph(**example.arrays)
    path.unlink()
    with pytest.raises(ParameterError, match="there is no such file"):
        graph(**example.arrays)


@pytest.mark.parametrize("plan", [False, True], ids=["before the first signal", "before the second plan"])
@pytest.mark.parametrize(("domain", "name"), NEURAL)
def test_a_node_refuses_another_network_than_that_it_was_made_with(
    domain: str, name: str, plan: bool, tmp_path: Path
) -> None:
    """The graph has only read the configuration when the file changes, or has run a signal with another plan."""
    example = next(one for one in examples_of(domain, name) if one.node.type_name == name)
    graph = copied(example, tmp_path / "weights.safetensors")
    if plan:
        graph(**example.arrays)
    change(tmp_path / "weights.safetensors")
    with pytest.raises(ParameterError, match=f"{name}.weights: .* has changed since the node was made"):
        Session(graph, Plan(graph)).push(**example.arrays)
