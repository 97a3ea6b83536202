"""Every node keeps every law: its own test file declares the examples, this one puts them to the check."""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspgraph import registry
from dspgraph.registry import PACK
from dspgraph.testing import Example, check_cut, check_node
from helpers.paths import TESTS

NODES = [found for found in registry.nodes().values() if PACK in Path(found.where).parts]


@lru_cache
def examples_of(domain: str, name: str) -> list[Example]:
    path = TESTS / "nodes" / domain / f"test_{name}.py"
    assert path.is_file(), f"the node {name} has no test file {path.relative_to(TESTS)}"
    spec = importlib.util.spec_from_file_location(f"examples_of_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    examples: list[Example] = module.EXAMPLES
    assert any(example.node.type_name == name for example in examples), f"{path.name} has no Example of {name}"
    return examples


@pytest.mark.parametrize("found", NODES, ids=lambda found: found.name)
def test_every_node_keeps_every_law(found: registry.NodeSource) -> None:
    for example in examples_of(found.domain, found.name):
        check_node(example)


@pytest.mark.parametrize("found", NODES, ids=lambda found: found.name)
def test_no_cut_changes_a_node(found: registry.NodeSource) -> None:
    examples = examples_of(found.domain, found.name)

    @settings(max_examples=8, deadline=None, derandomize=True)
    @given(st.lists(st.integers(1, 2500), min_size=1, max_size=12), st.sampled_from([np.float32, np.float64]))
    def any_cut(sizes: list[int], precision: type) -> None:
        for example in examples:
            check_cut(example.graph(precision), example.arrays, sizes)

    any_cut()


@pytest.mark.parametrize("found", NODES, ids=lambda found: found.name)
def test_every_parameter_says_what_it_is(found: registry.NodeSource) -> None:
    kind = found.load()
    assert (kind.__doc__ or "").strip(), f"{found.name} has no docstring"
    for name, field in kind.model_fields.items():
        assert field.description, f"{found.name}.{name} has no description"
