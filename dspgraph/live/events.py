"""Events of a performance: each takes effect at an exact time, in seconds of the signal."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Any, Literal, TypeAlias

import numpy as np

from dspgraph.errors import ParameterError
from dspgraph.graph import Graph
from dspgraph.shown import shown
from dspgraph.streams import Array, Number, to_fraction

Shape: TypeAlias = Literal["line", "exponential", "target"]


@dataclass(frozen=True)
class Set:
    """A control goes to a value. Several of them are an automation.

    name: the input of the graph. value: where it goes. over: seconds. shape: "line": in a straight line, for `over`
    seconds; "exponential": by equal ratios, for `over` seconds, from a value that is not 0 to one of the same sign;
    "target": towards the value without an end, with the time constant `over`. at: seconds; None: now, in a performance
    that is running. Raises ParameterError for numbers that do not fit.
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
    """Another graph takes the place of the graph. Nodes with the same past go on, all others begin at `at`.

    settle: seconds from the beginning of the last new node to the fade, so that the new nodes forget their beginning.
    over: seconds of the fade from the old outputs to the new ones. at: seconds; None: now. One swap is made at a time:
    the next one waits until the one before it has ended. Raises ParameterError for numbers that do not fit.
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
    """A sound is played into an input of the graph, from its first sample; it takes the place of a sound before it.

    input: the name of the input. sound: its samples, as the input takes them; a performance copies them. loops: how
    often it is played; None: for ever. at: seconds; None: now. If another sound is being played, it fades out while
    this one fades in. Raises ParameterError for numbers that do not fit.
    """

    input: str
    sound: Array
    loops: int | None = 1
    at: Number | None = None

    def __post_init__(self) -> None:
        _check_times(self)
        if self.loops is None:
            return
        if isinstance(self.loops, bool) or not isinstance(self.loops, int | np.integer) or self.loops < 1:
            raise ParameterError(f"Play.loops is a whole number, at least 1, or None; found {shown(self.loops)}")
        object.__setattr__(self, "loops", int(self.loops))


@dataclass(frozen=True)
class Stop:
    """The sound that is played into an input fades out. input: its name. at: seconds; None: now."""

    input: str
    at: Number | None = None

    def __post_init__(self) -> None:
        _check_times(self)


Event: TypeAlias = Set | Swap | Play | Stop


def _check_times(event: Event, *names: str) -> None:
    """Make fractions of the times of an event. Raises ParameterError for one below 0."""
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
    """Return a number as a float. what: its name, for the ParameterError for anything that is no finite number."""
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
