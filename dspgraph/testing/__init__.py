"""The laws of nodes and graphs as checks anyone can run."""

from dspgraph.testing.laws import (
    Example,
    check_cut,
    check_graph,
    check_node,
    example_signals,
    random_cuts,
)

__all__ = ["Example", "check_cut", "check_graph", "check_node", "example_signals", "random_cuts"]
