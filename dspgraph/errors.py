"""The errors of dspgraph, and functions that word their messages.

    DspgraphError
    |-- RequestError         a request that cannot be carried out
    |   |-- ParameterError   a parameter of a node is unknown, out of bounds, or does not fit the streams at its ports
    |   |-- GraphError       nodes and wires that do not make a graph
    |   |   |-- WireError    two ends of a wire that do not fit
    |   |   `-- LoopError    a wire that closes a loop
    |   |-- UnknownName      no such node, port, pipeline, variant ...
    |   |-- PipelineError    a fault in a pipeline file, with file, line and path
    |   `-- SessionError     a call that a session cannot take in its present state
    |-- SignalError          samples that cannot be used
    |   `-- FileError        a file that cannot be read or written
    |-- LawError             a node broke one of the laws
    |-- ModelError           a model failed a check
    |-- LiveError            a device is missing, does not fit or was lost, or a graph is too slow to run live
    `-- NodeError            a node's own code raised an error

A message says where the error is, what was found, what was expected, and what to do. It may quote text from a file that
anybody may have written. `DspgraphError` therefore escapes control characters and shortens long messages.
"""

import difflib
import os
import traceback
from collections.abc import Iterable
from typing import Any

from dspgraph.shown import escaped, shortened

MESSAGE_LETTERS = 600
_MOST_NAMES = 50
_MOST_NAME_LETTERS = 80
"""Limits: characters of one complaint; names that a suggestion lists; characters of each name in a suggestion."""

TRACEBACK = "DSPGRAPH_TRACEBACK"
"""The environment variable that, if it is not empty, adds tracebacks to messages. Worker processes inherit it."""

LAWS = (
    "what is declared comes out",
    "a node is a value",
    "the cut changes nothing",
    "late, never shifted",
    "a batch changes nothing",
    "noise belongs to the state",
)
"""The laws of a node: LAWS[k] is law k. Law 0 is about streams, the others are about samples."""


class DspgraphError(Exception):
    """The base class of all errors that dspgraph raises on purpose.

    Its arguments are complaints: sentences that each say one thing that is wrong. `str(error)` has one line per
    complaint. Control characters are escaped, and the middle of a complaint of more than 600 characters is replaced by
    "...".
    """

    @property
    def complaints(self) -> tuple[str, ...]:
        """The complaints as `str(error)` shows them: one line each, escaped and shortened."""
        return tuple(shortened(escaped(str(argument)), MESSAGE_LETTERS) for argument in self.args)

    def __str__(self) -> str:
        return "\n".join(self.complaints)


class RequestError(DspgraphError):
    """A request that cannot be carried out. It is refused before anything runs or is written."""


class ParameterError(RequestError):
    """A parameter that is unknown, out of bounds, or does not fit the streams at the ports of its node."""


class GraphError(RequestError):
    """Nodes and wires that do not make a graph."""


class WireError(GraphError):
    """A wire whose ends do not fit.

    taker: the input port at which the wire ends, usually as "node.port". port, stream: if the stream does not fit the
    port, the declaration of the input port and the stream of the wire; None for any other fault.
    """

    def __init__(self, message: str, taker: str, port: Any = None, stream: Any = None) -> None:
        super().__init__(message)
        self.taker = taker
        self.port = port
        self.stream = stream

    def __reduce__(self) -> tuple[type["WireError"], tuple[Any, ...]]:
        return WireError, (*self.args, self.taker, self.port, self.stream)


class LoopError(GraphError):
    """A wire that closes a loop. Feedback belongs inside a node, never on a wire."""


class UnknownName(RequestError):
    """A name that does not exist. The message suggests the most similar name; if none is similar, it lists names."""


class PipelineError(RequestError):
    """A fault in a pipeline file. The message says the file, the line and the path inside the file."""


class SessionError(RequestError):
    """A call that a session cannot take in its present state, such as `push` after `flush`."""


class SignalError(DspgraphError):
    """Samples that cannot be used, because of their shape, dtype or length, or because of NaN or infinity."""


class FileError(SignalError):
    """A file that cannot be read or written."""


class LawError(DspgraphError):
    """An error that says that a node broke a law.

    law: the number of the law, from 0 to 5. message: what the node did. `str(error)` adds the text of the law.
    """

    def __init__(self, law: int, message: str) -> None:
        super().__init__(f"{message} (law {law}: {LAWS[law]})")
        self.law = law
        self.message = message

    def __reduce__(self) -> tuple[type["LawError"], tuple[int, str]]:
        return LawError, (self.law, self.message)


class ModelError(DspgraphError):
    """A model that fails a check of `dspgraph.testing.check_model`."""


class LiveError(DspgraphError):
    """A fault of a live graph: a device is missing, does not fit or was lost, or the graph is too slow."""


class NodeError(DspgraphError):
    """An error in a node's own code. The original error is its `__cause__`."""


def describe_error(error: BaseException) -> str:
    """Return the message of an error. If it is not a DspgraphError, the name of its class comes first.

    For a MemoryError the message is advice only, without Python's own message and the name of the class. If the
    environment variable DSPGRAPH_TRACEBACK is not empty, the traceback follows.
    """
    message = str(error)
    if isinstance(error, MemoryError):
        message = "there is not enough memory: cut the recording, or choose smaller lengths, hops and sizes"
    elif not isinstance(error, DspgraphError):
        message = shortened(escaped(f"{type(error).__name__}: {message}"), MESSAGE_LETTERS)
    if os.environ.get(TRACEBACK):
        lines = "".join(traceback.format_exception(error)).split("\n")
        message = "\n".join([message, *map(escaped, lines)])
    return message


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: "did you mean 'x'?", or a list of known names.

    name: the unknown name. known: all names that exist. They are listed if none of them is similar to `name`: the first
    in alphabetical order, at most 50 names with at most 300 characters in total, and the number of the others. Names of
    more than 80 characters are not compared, and are shortened in the list. If `known` is empty, the result is "there
    are none".
    """
    known = sorted(known)
    short = [one for one in known if len(one) <= _MOST_NAME_LETTERS]
    close = difflib.get_close_matches(name, short, n=1, cutoff=0.6) if len(name) <= _MOST_NAME_LETTERS else []
    if close:
        return f"did you mean '{close[0]}'?"
    if not known:
        return "there are none"
    listed = [shortened(one, _MOST_NAME_LETTERS) for one in known[:_MOST_NAMES]]
    while len(listed) > 1 and sum(map(len, listed)) > MESSAGE_LETTERS // 2:
        listed.pop()
    more = f" and {len(known) - len(listed)} more" if len(known) > len(listed) else ""
    return f"there are: {', '.join(listed)}{more}"
