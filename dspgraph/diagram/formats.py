"""The formats of a diagram, by name."""

from collections.abc import Callable

from dspgraph.diagram.graphviz import dot
from dspgraph.diagram.mermaid import mermaid
from dspgraph.diagram.svg import svg
from dspgraph.diagram.text import text
from dspgraph.wiring.wiring import Wiring

FORMATS: dict[str, Callable[[Wiring], str]] = {"text": text, "mermaid": mermaid, "dot": dot, "svg": svg}
"""Name of a format -> the function that returns the diagram of a graph in this format."""
