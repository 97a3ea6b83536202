"""Events and pushes: refused ones change nothing, and the message says what is wrong; sounds are copied."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import (
    Audio,
    DspgraphError,
    Frames,
    Graph,
    ParameterError,
    Performance,
    Play,
    RequestError,
    Set,
    SignalError,
    Stop,
    perform,
)
from dspgraph.live.events import Event
from dspgraph_nodes.mix.fade import Fade
from helpers.toys import ToySum

RATE = 1000


def faded() -> Graph:
    inputs = {"x": Audio(RATE), "c": Frames(100, "control", 1)}
    return Graph({"f": Fade()}, {"f.x": "x", "f.gain": "c"}, inputs, {"y": "f"})


def two() -> Graph:
    return Graph({"n": ToySum()}, {"n.x": ["a", "b"]}, {"a": Audio(RATE), "b": Audio(RATE)}, {"y": "n"})


IS_A_CONTROL = "'c' is a control: no sound is played into it; move it with Set"


@pytest.mark.parametrize(
    "call",
    [
        lambda: Performance(faded(), [Stop("c", 0)]),
        lambda: Performance(faded(), played=["c"]),
        lambda: Performance(faded()).add(Stop("c")),
        lambda: perform(faded(), {"x": np.zeros(100)}, [Play("c", np.ones((5, 1)), at=0)]),
    ],
)
def test_no_sound_is_played_into_a_control(call: Callable[[], Any]) -> None:
    with pytest.raises(RequestError, match=IS_A_CONTROL):
        call()


def test_a_push_that_is_refused_leaves_nothing_behind() -> None:
    live = Performance(two())
    with pytest.raises(SignalError, match="finite"):
        live.push(a=np.ones(10), b=np.full(10, np.nan))
    assert_array_equal(live.push(a=np.arange(10.0), b=np.zeros(10))["y"], np.arange(10.0))


@pytest.mark.parametrize(
    ("sound", "message"),
    [(np.ones((3, 2)), "b takes Audio.*the shape"), (np.zeros(0), "'b' has no samples"), ([1, 2], "found int64")],
)
def test_a_sound_that_cannot_be_played_is_refused_when_it_is_added(sound: Any, message: str) -> None:
    live = Performance(two(), played=["b"])
    with pytest.raises(DspgraphError, match=message):
        live.add(Play("b", sound))
    assert not live.events
    assert_array_equal(live.push(a=np.ones(10))["y"], np.ones(10))


def test_a_sound_that_is_written_to_after_it_was_added_is_played_as_it_was() -> None:
    live, sound = Performance(two(), played=["b"]), np.ones(4)
    event = live.add(Play("b", sound))
    sound[:] = 7
    assert_array_equal(live.push(a=np.zeros(5))["y"], [1, 1, 1, 1, 0])
    assert isinstance(event, Play)
    assert_array_equal(event.sound, np.ones(4))


def test_numbers_of_numpy_are_numbers() -> None:
    assert Set("c", np.float32(0.5), np.float32(0.25), at=np.int64(2)) == Set("c", 0.5, 0.25, at=2)  # type: ignore[arg-type]
    assert Set("c", np.int64(2)) == Set("c", 2.0)  # type: ignore[arg-type]
    assert Play("b", np.ones(3), np.int64(2)).loops == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Set("c", 1.0, over=None), "None is not a number"),  # type: ignore[arg-type]
        (lambda: Set("c", 10**400), "Set.value is a number"),
        (lambda: Set("c", True), "Set.value is a number"),
        (lambda: Play("b", np.ones(3), True), "Play.loops is a whole number"),
    ],
)
def test_what_is_no_number_is_refused(make: Callable[[], Event], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("value", [float("nan"), "loud", None])
def test_a_control_begins_with_a_number(value: Any) -> None:
    with pytest.raises(ParameterError, match=r"controls\['c'\] is a number"):
        Performance(faded(), controls={"c": value})
