"""The laws of nodes and graphs as checks anyone can run.

example     a node with a signal (Example), and signals for the inputs of a graph
laws        the checks: check_node, check_graph, check_cut; NODE_CHECKS has those of a node one by one
guard       an instrument that checks every block that goes into a node or comes out of it
runs        runs of a graph that the checks compare
recording   the checks of a graph on a file (not loaded here: it reads audio)
"""

from dspgraph.testing.example import Example, check_signal, example_signals
from dspgraph.testing.laws import CUTS, NODE_CHECKS, NodeCheck, check_cut, check_graph, check_node, random_cuts

__all__ = [
    "CUTS",
    "NODE_CHECKS",
    "Example",
    "NodeCheck",
    "check_cut",
    "check_graph",
    "check_node",
    "check_signal",
    "example_signals",
    "random_cuts",
]
