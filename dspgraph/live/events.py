"""The events of a performance. Each takes effect at an exact time, in seconds from the beginning of the signal."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Any, Literal, TypeAlias

import numpy as np

from dspgraph.errors import ParameterError
from dspgraph.graph import Graph
from dspgraph.live.sounds import FileSound, ReadAhead
from dspgraph.shown import shown
from dspgraph.streams import Array, Number, to_fraction

Shape: TypeAlias = Literal["line", "exponential", "target"]


@dataclass(frozen=True)
class Set:
    """An event that moves a control to a new value.

    name: the input of the graph that is the control. value: the new value. over: the duration or the time constant of
    the move, in seconds; 0: the control has the new value at once. shape: how the control moves: "line" linearly,
    within `over` seconds; "exponential" in equal ratios, within `over` seconds, between two values that are both above
    0 or both below; "target" exponentially towards the new value, with the time constant `over`, without ever ending.
    at: the time in seconds; None: as soon as the event is added to a performance. Raises ParameterError for a number or
    a shape that is not allowed.
    """

    name: str
    value: float
    over: Number = Fraction(1, 50)
    shape: Shape = "line"
    at: Number | None = None

    def __post_init__(self) -> None:
        _check_times(self, "over")
        object.__setattr__(self, "value", finite_number(self.value, "Set.value"))
        if self.shape not in ("line", "exponential", "target"):
            raise ParameterError(f"Set.shape is line, exponential or target; found {shown(self.shape)}")


@dataclass(frozen=True)
class Swap:
    """An event that puts another graph in the place of the running one.

    A node keeps its state if the node and all nodes before it, back to the inputs, are equal in both graphs. Every
    other node starts with its first whole period from the time `at` on.

    graph: the new graph. settle: seconds from the start of the last new node to the beginning of the fade. The new
    nodes start without earlier input; in this time, the effect on their outputs dies away. over: seconds of the fade
    from the old outputs to the new ones; frames and symbols change at once, where the fade begins. at: the time in
    seconds; None: as soon as the event is added to a performance. A swap waits until the swap before it has ended.
    Raises ParameterError for a number that is not allowed, and for a graph that is no `Graph`.
    """

    graph: Graph
    settle: Number = Fraction(1, 20)
    over: Number = Fraction(1, 50)
    at: Number | None = None

    def __post_init__(self) -> None:
        _check_times(self, "settle", "over")
        if not isinstance(self.graph, Graph):
            raise ParameterError(f"Swap.graph is a graph, as load() gives it; found {shown(self.graph)}")


@dataclass(frozen=True, eq=False)
class Play:
    """An event that plays a sound into an input of the graph.

    A sound that is already playing there fades out meanwhile, and this one fades in. input: the name of the input.
    sound: the samples, with the shape and the type that the input takes, which a performance copies; or a `FileSound`,
    whose file is read while it is played; or a `ReadAhead` with the same loops and skip, which can be played once only.
    loops: how often the sound is played; None: without end. at: the time of the first sample in seconds; None: as soon
    as the event is added to a performance. skip: how many samples are left out at the beginning of the first pass.
    Raises ParameterError for a number that is not allowed.
    """

    input: str
    sound: Array | FileSound | ReadAhead
    loops: int | None = 1
    at: Number | None = None
    skip: int = 0

    def __post_init__(self) -> None:
        _check_times(self)
        if isinstance(self.skip, bool) or not isinstance(self.skip, int | np.integer) or self.skip < 0:
            raise ParameterError(f"Play.skip is a number of samples, at least 0; found {shown(self.skip)}")
        if self.loops is None:
            return
        if isinstance(self.loops, bool) or not isinstance(self.loops, int | np.integer) or self.loops < 1:
            raise ParameterError(f"Play.loops is a whole number, at least 1, or None; found {shown(self.loops)}")
        object.__setattr__(self, "loops", int(self.loops))


@dataclass(frozen=True)
class Stop:
    """An event that lets the sound in an input fade out. input: the name of the input.

    at: the time in seconds; None: as soon as the event is added to a performance. Raises ParameterError for a time that
    is not allowed.
    """

    input: str
    at: Number | None = None

    def __post_init__(self) -> None:
        _check_times(self)


Event: TypeAlias = Set | Swap | Play | Stop


def _check_times(event: Event, *names: str) -> None:
    """Replace the times of an event by fractions, in place: `at` unless it is None, and the attributes in `names`.

    Raises ParameterError for a negative time, and for a value that is no number.
    """
    for name in (*names, "at"):
        value = getattr(event, name)
        if name == "at" and value is None:
            continue
        seconds = to_fraction(value)
        if seconds < 0:
            raise ParameterError(
                f"{type(event).__name__}.{name} is a time in seconds, at least 0; found {shown(value)}"
            )
        object.__setattr__(event, name, seconds)


def finite_number(value: Any, what: str) -> float:
    """Return `value` as a float. Raises ParameterError unless it is a finite int or float of Python or numpy.

    what: the name of the value in the message.
    """
    try:
        if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
            found = float(value)
            if isfinite(found):
                return found
    except OverflowError:
        pass  # an integer of more than 308 digits
    raise ParameterError(f"{what} is a number; found {shown(value)}")


def time_of(event: Event) -> Fraction:
    """Return the time of an event in seconds. Raises ParameterError if it has none."""
    if event.at is None:
        raise ParameterError(f"{type(event).__name__} has no time: give it one, as in at=1.5")
    return to_fraction(event.at)
