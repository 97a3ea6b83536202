import os
import pickle
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from dspgraph import (
    Array,
    Audio,
    Field,
    File,
    Frames,
    Input,
    Node,
    Output,
    ParameterError,
    State,
    generator,
    require_alike,
    require_mono,
)
from dspgraph.parameters import names_file, parameter_rule


class Smoother(Node):
    """A node with parameters of several types, which returns the signal."""

    x = Input(Audio)
    y = Output(Audio)

    order: int = Field(16, ge=1, le=64, description="order")
    coef: float = Field(0.5, ge=0, lt=1, description="radius")
    window: Literal["hann", "boxcar"] = Field("hann", description="window")

    @cached_property
    def table(self) -> list[float]:
        return [self.coef] * 100

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


class Rate(Node):
    """A node without `step`, whose parameter `rate` has no default."""

    x = Input(Audio)
    y = Output(Audio)

    rate: float = Field(gt=0, description="samples per second")


def test_a_node_is_its_parameters() -> None:
    assert Smoother() == Smoother(order=16)
    assert hash(Smoother()) == hash(Smoother(order=16))
    assert Smoother() != Smoother(order=17)
    used = Smoother()
    assert len(used.table) == 100
    assert used == Smoother()
    assert b"table" not in pickle.dumps(used)
    assert pickle.loads(pickle.dumps(used)) == used


def test_a_node_does_not_change() -> None:
    node: Any = Smoother()
    with pytest.raises(ValueError, match="frozen"):
        node.order = 3


def test_ports_are_found_in_the_order_they_are_written() -> None:
    class TwoIn(Node):
        """A node with two inputs."""

        like = Input(Audio)
        frames = Input(Frames, "wave", "spectrum")
        lpc = Output(Frames, "lpc")

    assert [port.name for port in TwoIn.inputs] == ["like", "frames"]
    assert str(TwoIn.inputs[1]) == "Frames('wave' or 'spectrum')"
    assert TwoIn.type_name == "two_in"


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"order": 0}, "smoother.order is 0; it must be a whole number, at least 1, at most 64 (default 16)"),
        ({"order": 2.5}, "smoother.order is 2.5; it must be a whole number, at least 1, at most 64 (default 16)"),
        ({"coef": float("nan")}, "smoother.coef is nan; it must be a number, at least 0, below 1 (default 0.5)"),
        ({"coef": "loud"}, "smoother.coef is 'loud'; it must be a number, at least 0, below 1 (default 0.5)"),
        ({"window": "han"}, "smoother.window is 'han'; it must be hann or boxcar (default hann)"),
        ({"ordr": 3}, "smoother has no parameter 'ordr'; did you mean 'order'?"),
    ],
)
def test_a_wrong_parameter_says_what_it_must_be(parameters: Any, sentence: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Smoother(**parameters)
    assert str(caught.value) == sentence


def test_a_missing_parameter_is_asked_for() -> None:
    with pytest.raises(ParameterError, match="rate.rate is missing: it must be a number, above 0"):
        Rate()  # type: ignore[call-arg]


def test_parameter_rule_says_type_bounds_and_default() -> None:
    assert parameter_rule(Smoother, "coef") == "a number, at least 0, below 1 (default 0.5)"


class Table(Node):
    """A node without `step`, whose parameters `first` and `second` are files."""

    x = Input(Audio)
    y = Output(Audio)

    first: File = Field(description="what is known")
    second: File | None = Field(None, description="what is known beside")


def test_a_file_is_its_contents_where_a_node_is_written_down(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for path in (a, b):
        path.write_text("abc")
    sha = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc", FIPS 180-2
    assert Table(first=str(a)).model_dump(mode="json") == {"first": sha, "second": None}
    assert Table(first=str(b), second=str(a)).model_dump(mode="json") == {"first": sha, "second": sha}
    assert Table(first=str(a)).model_dump() == {"first": str(a), "second": None}
    assert Table(first=str(a)).first == str(a)
    assert Table(first=str(a)) != Table(first=str(b))
    assert pickle.loads(pickle.dumps(Table(first=str(a)))) == Table(first=str(a))


def test_the_contents_of_a_file_are_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    found = []
    for time, text in ((1, "abc"), (2, "abd"), (2, "abcd")):  # another time, another size
        path.write_text(text)
        os.utime(path, ns=(time, time))
        found.append(Table(first=str(path)).model_dump(mode="json")["first"])
    assert len(set(found)) == 3


def test_what_is_no_file_is_its_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to read it would be to wait for ever
    for name in (str(tmp_path / "none"), str(tmp_path), str(tmp_path / "pipe"), "a" * 5000, "a\0b"):
        assert Table(first=name).model_dump(mode="json")["first"] == name


def test_a_file_has_a_rule_in_words() -> None:
    assert parameter_rule(Table, "second") == "the path of a file"
    assert names_file(Table, "first")
    assert names_file(Table, "second")
    assert not names_file(Smoother, "window")
    wrong: Any = 3
    with pytest.raises(ParameterError, match=r"table.first is 3; it must be the path of a file"):
        Table(first=wrong)


def test_a_node_class_is_final() -> None:
    with pytest.raises(TypeError, match="final"):
        type("Child", (Smoother,), {"__module__": __name__})


def test_a_port_cannot_have_the_name_of_a_method() -> None:
    with pytest.raises(TypeError, match="'step' cannot name a port"):
        type("Clash", (Node,), {"__module__": __name__, "step": Input(Audio), "y": Output(Audio)})


def test_a_node_without_an_input_is_refused() -> None:
    with pytest.raises(TypeError, match="at least one Input"):
        type("Source", (Node,), {"__module__": __name__, "y": Output(Audio)})


def test_a_node_that_takes_one_channel_refuses_more() -> None:
    require_mono(Audio(16000), Smoother())
    with pytest.raises(
        ParameterError, match=r"smoother takes one channel; found Audio\(.*2 channels\): put a mono 'mix'"
    ):
        require_mono(Audio(16000, channels=2), Smoother())


def test_a_node_that_takes_signals_of_one_kind_refuses_others() -> None:
    require_alike({"x": Audio(16000), "like": Audio(16000)}, Smoother())
    for other in (Audio(8000), Audio(16000, channels=2), Audio(16000, dtype=np.dtype(np.float32))):
        with pytest.raises(ParameterError, match=r"smoother takes signals of one rate.*; x is Audio.*, like is Audio"):
            require_alike({"x": Audio(16000), "like": other}, Smoother())


def test_a_generator_is_philox_keyed_by_the_seed() -> None:
    """The key of the Philox generator is the seed itself, up to 128 bits.

    Recorded samples and law 5 depend on the numbers that it draws.
    """
    for seed in (0, 7, 2**128 - 1):
        expected = np.random.Generator(np.random.Philox(key=seed)).standard_normal(5)
        assert np.array_equal(generator(seed).standard_normal(5), expected)
