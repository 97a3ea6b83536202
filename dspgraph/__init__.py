"""dspgraph: vocoders as graphs of small stages. How a signal is cut into blocks does not change the result."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dspgraph._version import __version__ as __version__

if TYPE_CHECKING:
    from dspgraph.engine.batch import Batch
    from dspgraph.engine.session import Session
    from dspgraph.errors import (
        DspgraphError,
        FileError,
        GraphError,
        LawError,
        LiveError,
        LoopError,
        ModelError,
        NodeError,
        ParameterError,
        PipelineError,
        RequestError,
        SessionError,
        SignalError,
        UnknownName,
        WireError,
    )
    from dspgraph.function_node import as_node
    from dspgraph.graph import Graph
    from dspgraph.io.arrays import read_arrays
    from dspgraph.io.sound import Sound
    from dspgraph.live.events import Play, Set, Stop, Swap
    from dspgraph.live.live import Live
    from dspgraph.live.performance import Performance, perform
    from dspgraph.live.ports import FileInput, FrameInput, FrameOutput
    from dspgraph.node import Field, Input, Node, Output, State, generator, require_alike, require_mono
    from dspgraph.parameters import File
    from dspgraph.pipeline.pipeline import Pipeline, load
    from dspgraph.rendering.render import render
    from dspgraph.streams import Array, Audio, Frames, Stream, Symbols, to_fraction

__all__ = [
    "Array", "Audio", "Batch", "DspgraphError", "Field", "File", "FileError", "FileInput", "FrameInput", "FrameOutput",
    "Frames", "Graph", "GraphError", "Input", "LawError", "Live", "LiveError", "LoopError", "ModelError", "Node",
    "NodeError", "Output", "ParameterError", "Performance", "Pipeline", "PipelineError", "Play", "RequestError",
    "Session", "SessionError", "Set", "SignalError", "Sound", "State", "Stop", "Stream", "Swap", "Symbols",
    "UnknownName", "WireError", "as_node", "generator", "load", "perform", "read_arrays", "render", "require_alike",
    "require_mono", "to_fraction",
]  # fmt: skip

_HOMES = {
    "engine.batch": ("Batch",),
    "engine.session": ("Session",),
    "function_node": ("as_node",),
    "graph": ("Graph",),
    "io.arrays": ("read_arrays",),
    "io.sound": ("Sound",),
    "live.events": ("Play", "Set", "Stop", "Swap"),
    "live.live": ("Live",),
    "live.performance": ("Performance", "perform"),
    "live.ports": ("FileInput", "FrameInput", "FrameOutput"),
    "node": ("Field", "Input", "Node", "Output", "State", "generator", "require_alike", "require_mono"),
    "parameters": ("File",),
    "pipeline.pipeline": ("Pipeline", "load"),
    "rendering.render": ("render",),
    "streams": ("Array", "Audio", "Frames", "Stream", "Symbols", "to_fraction"),
}
"""Module -> the public names that it defines. All other public names are the error classes in `dspgraph.errors`."""


def __getattr__(name: str) -> Any:
    """Return the public class or function called `name`. Raises AttributeError for any other name.

    Its module is imported now, at the first use of the name, so that `import dspgraph` itself is fast.
    """
    if name not in __all__:
        raise AttributeError(f"module 'dspgraph' has no attribute '{name}'")
    home = next((module for module, names in _HOMES.items() if name in names), "errors")
    value = globals()[name] = getattr(import_module(f"dspgraph.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
