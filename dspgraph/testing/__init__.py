"""Checks of the laws, for nodes and for graphs.

example     a node with a signal (Example); signals for the inputs of a graph
laws        the checks: check_node, check_graph, check_cut; NODE_CHECKS has every check of a node by its name
guard       an instrument that checks every block that goes into a node or comes out of it
files       the check of audio files (check_file): the samples are the same however the file is read
models      the check of models (check_model): weights, kernel, draws and training; MODEL_CHECKS has every check by name
performances  the check of performances (check_performance): graphs that change while they run
runs        ways to run a graph, whose outputs the checks compare
recording   the checks of a graph on a file (import it yourself: it needs the modules that read audio)
devices     a sound device in virtual time, for tests of live graphs (import it yourself)
"""

from dspgraph.testing.example import Example, check_signal, example_signals
from dspgraph.testing.files import check_file
from dspgraph.testing.laws import CUTS, NODE_CHECKS, NodeCheck, check_cut, check_graph, check_node, random_cuts
from dspgraph.testing.models import MODEL_CHECKS, ModelCheck, ModelExample, check_model
from dspgraph.testing.performances import PerformanceError, check_performance

__all__ = [
    "CUTS",
    "MODEL_CHECKS",
    "NODE_CHECKS",
    "Example",
    "ModelCheck",
    "ModelExample",
    "NodeCheck",
    "PerformanceError",
    "check_cut",
    "check_file",
    "check_graph",
    "check_model",
    "check_node",
    "check_performance",
    "check_signal",
    "example_signals",
    "random_cuts",
]
