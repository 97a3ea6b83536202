"""The errors of dspgraph, and the sentences they share.

    DspgraphError
    |-- RequestError         a request that cannot be carried out
    |   |-- ParameterError   a parameter of a node is unknown, out of bounds, or does not fit the streams at its ports
    |   |-- GraphError       nodes and wires that do not make a graph
    |   |   |-- WireError    two ends of a wire that do not fit
    |   |   `-- LoopError    a wire that closes a loop
    |   |-- UnknownName      no such node, port, pipeline, variant ...; the message names the nearest one
    |   |-- PipelineError    a fault in a pipeline file, with file, line and path
    |   `-- SessionError     a call that a session cannot take in its present state
    |-- SignalError          samples that the graph does not take
    |   `-- FileError        a file that cannot be read or written
    |-- LawError             a node broke one of the laws
    `-- NodeError            a node's own code failed while it ran

A message says the place, what was found, what was expected, and the way out.
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
"""The laws of a node. Laws 1 to 5 are about samples; law 0 is about the streams that `streams` declares."""


class DspgraphError(Exception):
    """Any error that dspgraph raises on purpose."""


class RequestError(DspgraphError):
    """A request that cannot be carried out. Nothing has run, nothing was written."""


class ParameterError(RequestError):
    """A parameter that is unknown, out of bounds, or does not fit the streams at the ports of its node."""


class GraphError(RequestError):
    """Nodes and wires that do not make a graph."""


class WireError(GraphError):
    """A wire whose ends do not fit.

    taker: the port that the wire leads to. port, stream: the port's declaration and the stream it was given, if both
    are known.
    """

    def __init__(self, message: str, taker: str, port: Any = None, stream: Any = None) -> None:
        super().__init__(message)
        self.taker = taker
        self.port = port
        self.stream = stream


class LoopError(GraphError):
    """A wire that closes a loop. Feedback belongs inside a node, never on a wire."""


class UnknownName(RequestError):
    """A name that does not exist. The message names the nearest one."""


class PipelineError(RequestError):
    """A fault in a pipeline file. The message says file, line and path."""


class SessionError(RequestError):
    """A call that a session cannot take in its present state."""


class SignalError(DspgraphError):
    """Samples that the graph does not take: shape, type, length, NaN."""


class FileError(SignalError):
    """A file that cannot be read or written."""


class LawError(DspgraphError):
    """A law broken by a node; `law` is the number of the law."""

    def __init__(self, law: int, message: str) -> None:
        super().__init__(f"{message} (law {law}: {LAWS[law]})")
        self.law = law
        self.message = message

    def __reduce__(self) -> tuple[type["LawError"], tuple[int, str]]:
        return LawError, (self.law, self.message)


class NodeError(DspgraphError):
    """An error in a node's own code. The original error is the cause."""


def describe_error(error: BaseException) -> str:
    """Return the message of an error, with its class before it if it is not a DspgraphError.

    If the environment variable DSPGRAPH_TRACEBACK is set, the traceback follows.
    """
    message = str(error) if isinstance(error, DspgraphError) else f"{type(error).__name__}: {error}"
    if os.environ.get(TRACEBACK):
        message = f"{message}\n{''.join(traceback.format_exception(error))}"
    return message


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of an 'unknown name' sentence: the nearest known name, or the list of all."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"there are: {', '.join(known)}" if known else "there are none"
