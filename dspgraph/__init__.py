"""dspgraph: vocoders as graphs of small stages, where the cut changes nothing."""

from typing import TYPE_CHECKING, Any

from dspgraph.errors import (
    DspgraphError,
    FileError,
    GraphError,
    LawError,
    LinkError,
    LoopError,
    NodeError,
    ParameterError,
    PipelineError,
    RequestError,
    SessionError,
    SignalError,
    UnknownName,
)
from dspgraph.node import Field, Input, Node, Output, State
from dspgraph.streams import Array, Audio, Frames, Stream, Symbols

if TYPE_CHECKING:
    from dspgraph.engine import Company, Session
    from dspgraph.graph import Graph
    from dspgraph.pipeline import load
    from dspgraph.rendering import render

__version__ = "0.1.0"

__all__ = [
    "Array", "Audio", "Company", "DspgraphError", "Field", "FileError", "Frames", "Graph", "GraphError", "Input",
    "LawError", "LinkError", "LoopError", "Node", "NodeError", "Output", "ParameterError", "PipelineError",
    "RequestError", "Session", "SessionError", "SignalError", "State", "Stream", "Symbols", "UnknownName", "load",
    "render",
]  # fmt: skip

_LATE = {"Company": "engine", "Session": "engine", "Graph": "graph", "load": "pipeline", "render": "rendering"}


def __getattr__(name: str) -> Any:
    """Open what a node file does not need only when it is asked for: it keeps `import dspgraph` instant."""
    if name not in _LATE:
        raise AttributeError(f"module 'dspgraph' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"dspgraph.{_LATE[name]}"), name)
