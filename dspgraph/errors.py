"""Every error dspgraph raises on purpose, and the sentences they share.

    DspgraphError
    |-- RequestError         what was asked for cannot be done
    |   |-- ParameterError   a parameter of a node, alone or against the streams that meet it
    |   |-- GraphError       nodes and wires that make no graph
    |   |   |-- WireError    two ends of a wire that do not fit
    |   |   `-- LoopError    a wire that closes a loop
    |   |-- UnknownName      no such node, port, pipeline, variant ...; names the nearest one
    |   |-- PipelineError    a pipeline file: says file, line and path
    |   `-- SessionError     a call that a session in this state cannot take
    |-- SignalError          samples that are not what the graph takes
    |   `-- FileError        a file that cannot be read or written
    |-- LawError             a node broke one of the laws
    `-- NodeError            a node's own code failed while it ran

A message says where, what was found, what was expected, and the way out.
"""

import difflib
import os
import traceback
from collections.abc import Iterable
from typing import Any

TRACEBACK = "DSPGRAPH_TRACEBACK"
"""The environment variable that adds tracebacks to messages. Worker processes inherit it."""

LAWS = (
    "what is declared comes out",
    "a node is a value",
    "the cut changes nothing",
    "late, never shifted",
    "a batch changes nothing",
    "noise belongs to the state",
)
"""The laws of a node. Laws 1 to 5 speak of samples; law 0 holds `streams` to its word."""


class DspgraphError(Exception):
    """The root of the tree above."""


class RequestError(DspgraphError):
    """What was asked for cannot be done: nothing has run, nothing was written."""


class ParameterError(RequestError):
    """A parameter is unknown, out of bounds, or at odds with the streams it meets."""


class GraphError(RequestError):
    """Nodes and wires that make no graph."""


class WireError(GraphError):
    """What one end of a wire gives is not what the other end takes.

    `taker` is the port the wire leads to; `port` and `stream`, where both ends are known, what it takes and is given.
    """

    def __init__(self, message: str, taker: str, port: Any = None, stream: Any = None) -> None:
        super().__init__(message)
        self.taker = taker
        self.port = port
        self.stream = stream


class LoopError(GraphError):
    """A wire closes a loop. Feedback lives inside a node, never on an edge."""


class UnknownName(RequestError):
    """A name nothing answers to."""


class PipelineError(RequestError):
    """A pipeline file that cannot be read as one."""


class SessionError(RequestError):
    """A session was asked for something it cannot do in the state it is in."""


class SignalError(DspgraphError):
    """Samples that are not what the graph takes: shape, type, length, NaN."""


class FileError(SignalError):
    """A file that cannot be read or written."""


class LawError(DspgraphError):
    """A node broke a law; `law` is its number."""

    def __init__(self, law: int, message: str) -> None:
        super().__init__(f"{message} (law {law}: {LAWS[law]})")
        self.law = law
        self.message = message

    def __reduce__(self) -> tuple[type["LawError"], tuple[int, str]]:
        return LawError, (self.law, self.message)


class NodeError(DspgraphError):
    """A node's own code raised; the original error is the cause."""


def describe_error(error: BaseException) -> str:
    """Return the message of an error, with its class before it if it is not a DspgraphError.

    If the environment variable DSPGRAPH_TRACEBACK is set, the traceback follows.
    """
    message = str(error) if isinstance(error, DspgraphError) else f"{type(error).__name__}: {error}"
    if os.environ.get(TRACEBACK):
        message = f"{message}\n{''.join(traceback.format_exception(error))}"
    return message


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of an 'unknown name' sentence: the nearest right name, or the list of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"there are: {', '.join(known)}" if known else "there are none"
