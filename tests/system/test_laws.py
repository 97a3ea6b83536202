"""The laws for every node: the node's own test file declares the examples, and the tests here run the checks.

Each node and check has one test id: `pytest tests/system/test_laws.py -k "mulaw_encode and noise"`.
"""

import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspgraph import registry
from dspgraph.registry import PACK
from dspgraph.testing import CUTS, NODE_CHECKS, Example, check_cut
from helpers.paths import ROOT, TESTS

NODES = [found for found in registry.nodes().values() if PACK in Path(found.where).parts]
EVERY = [pytest.param(found, id=found.name) for found in NODES]

CHECKS = [
    pytest.param(name, marks=pytest.mark.thorough) if name == "law3_lookahead" else name  # it goes item by item
    for name in NODE_CHECKS
]

PRECISIONS = (np.float32, np.float64)


@lru_cache
def examples_of(domain: str, name: str) -> list[Example]:
    """Return the examples in a node's own test file, some of them of this node. domain: its folder, as "spectrum"."""
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


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("found", EVERY)
def test_a_node_keeps_its_laws(found: registry.NodeSource, check: str, quick: bool) -> None:
    once = quick or check.startswith("law3")  # how long a node waits does not depend on the precision
    precisions: tuple[Any, ...] = PRECISIONS[:1] if once else PRECISIONS
    for example in examples_of(found.domain, found.name):
        for precision in precisions:
            cuts = CUTS if precision is np.float64 else (441,)  # the two precisions run the same code
            NODE_CHECKS[check](example, precision, cuts)


def test_the_page_on_live_graphs_lists_the_nodes_that_need_the_whole_signal() -> None:
    page = (ROOT / "docs" / "live.md").read_text()
    table = page.partition("## Nodes that need the whole signal")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    waiting = {
        found.name
        for found in NODES
        for example in examples_of(found.domain, found.name)
        if example.graph().bindings["node"].waits_for_the_end
    }
    assert listed == sorted(waiting)
    for other in re.findall(r"`(\w+)`", "".join(row.split("|")[-2] for row in table.splitlines() if row[:3] == "| `")):
        assert other in {*(found.name for found in NODES), "window", "reach", "reference"}


@pytest.mark.slow
@pytest.mark.parametrize("found", EVERY)
def test_no_cut_changes_a_node(found: registry.NodeSource) -> None:
    for example in examples_of(found.domain, found.name):
        check_any_cut(example)


@pytest.mark.slow
@pytest.mark.parametrize("found", EVERY)
def test_single_items_change_nothing_to_the_end(found: registry.NodeSource) -> None:
    """Laws 2 and 3 hold for a whole signal in single items.

    The check of law 2 cuts only the beginning of a signal into single items, because the whole takes minutes.
    """
    for example in examples_of(found.domain, found.name):
        for precision in PRECISIONS:
            check_cut(example.graph(precision), example.arrays, [1], example.whole(precision))


def check_any_cut(example: Example) -> None:
    """Check laws 2 and 3 at 20 cuts that hypothesis chooses, each in float32 or float64.

    A node that waits for the whole signal gets it in one call for any cut, so one cut is enough.
    """
    waits = example.graph().bindings["node"].waits_for_the_end

    @settings(max_examples=1 if waits else 20, deadline=None, derandomize=True)
    @given(st.lists(st.integers(1, 2500), min_size=1, max_size=12), st.sampled_from(PRECISIONS))
    def any_cut(sizes: list[int], precision: type) -> None:
        check_cut(example.graph(precision), example.arrays, sizes, example.whole(precision))

    any_cut()


@pytest.mark.parametrize("found", EVERY)
def test_every_parameter_says_what_it_is(found: registry.NodeSource) -> None:
    kind = found.load()
    assert (kind.__doc__ or "").strip(), f"{found.name} has no docstring"
    for name, field in kind.model_fields.items():
        assert field.description, f"{found.name}.{name} has no description"
