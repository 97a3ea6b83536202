"""dspgraph: vocoders as graphs of small stages, where the cut changes nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspgraph.engine import Company, Session
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
    from dspgraph.graph import Graph
    from dspgraph.node import Field, File, Input, Node, Output, State
    from dspgraph.pipeline import load
    from dspgraph.rendering import render
    from dspgraph.streams import Array, Audio, Frames, Stream, Symbols

__version__ = "0.1.0"

__all__ = [
    "Array", "Audio", "Company", "DspgraphError", "Field", "File", "FileError", "Frames", "Graph", "GraphError",
    "Input", "LawError", "LinkError", "LoopError", "Node", "NodeError", "Output", "ParameterError", "PipelineError",
    "RequestError", "Session", "SessionError", "SignalError", "State", "Stream", "Symbols", "UnknownName", "load",
    "render",
]  # fmt: skip

_HOMES = {
    "engine": ("Company", "Session"),
    "graph": ("Graph",),
    "node": ("Field", "File", "Input", "Node", "Output", "State"),
    "pipeline": ("load",),
    "rendering": ("render",),
    "streams": ("Array", "Audio", "Frames", "Stream", "Symbols"),
}
"""Where the names of the face live; the others are errors."""


def __getattr__(name: str) -> Any:
    """Open a module when one of its names is asked for: `import dspgraph` is instant, and stays so."""
    if name not in __all__:
        raise AttributeError(f"module 'dspgraph' has no attribute '{name}'")
    home = next((module for module, names in _HOMES.items() if name in names), "errors")
    value = globals()[name] = getattr(import_module(f"dspgraph.{home}"), name)
    return value
