"""Values as messages show them: short, on one line, and harmless to a terminal."""

import tracemalloc

import pytest

from dspgraph.errors import PipelineError, describe_error, suggest
from dspgraph.shown import escaped, shortened, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("lpc", "'lpc'"),
        (1.5, "1.5"),
        (None, "None"),
        ((1,), "(1,)"),
        ({"a": [1, {"b": 2}], "c": ()}, "{'a': [1, {'b': 2}], 'c': ()}"),
        ("\x1b]0;title\a\n", r"'\x1b]0;title\x07\n'"),
        ("\u202ereversed\udcff", r"'\u202ereversed\udcff'"),
        ("\udcc3\udc9cn", "'\u00dcn'"),  # an argument in UTF-8, as Python has it where the locale has ASCII only
        pytest.param(2**20_000, "an integer of 20001 bits", id="huge"),  # Python writes no more than 4300 digits
    ],
)
def test_a_value_is_shown_as_python_writes_it(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("value", ["x" * 10**6, ["x"] * 10**6, dict.fromkeys(range(10**5)), b"x" * 10**6])
def test_only_what_is_shown_is_read(value: object) -> None:
    tracemalloc.start()
    text = shown(value, 50)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(text) == 50
    assert text.endswith("...")
    assert most < 20_000  # bytes: a few hundred characters, and the generators that yield them


def test_a_list_that_uses_another_twice_many_times_is_shown_at_once() -> None:
    value: list[object] = ["x"]
    for _ in range(100):
        value = [value, value]  # 2**100 texts
    assert shown(value).startswith("[[[[[")


class Broken:
    def __repr__(self) -> str:
        raise ValueError


def test_a_value_that_cannot_be_written_is_shown_by_its_class() -> None:
    assert shown([Broken()]) == "[<Broken>]"


def test_bytes_of_a_name_that_are_utf_8_are_decoded_and_others_stay_escaped() -> None:
    assert escaped("\udcc3\udc9cn\udcff.wav") == "\u00dcn\\udcff.wav"
    assert escaped("\udcc2\udc9bx\udce2\udc80\udcae") == r"\x9bx\u202e"  # control characters do not get through so
    assert escaped("\ud800\udc80") == r"\ud800\udc80"


def test_a_long_text_loses_its_middle() -> None:
    assert shortened("a" * 100 + "b" * 100, 13) == "aaaaa...bbbbb"
    assert shortened("short", 13) == "short"


def test_an_error_has_a_line_for_each_complaint_and_no_other() -> None:
    error = PipelineError("first\x1b[31m\nforged", "second" * 1000)
    first, second = str(error).split("\n")
    assert first == r"first\x1b[31m\nforged"
    assert len(second) <= 600
    assert describe_error(error) == str(error)
    assert describe_error(ValueError("a\nb")) == r"ValueError: a\nb"
    assert describe_error(MemoryError("4 TiB")).startswith("there is not enough memory: cut the recording, or choose")


def test_a_text_that_can_be_printed_stays_as_it_is() -> None:
    assert escaped("plain, Größe, 音声") == "plain, Größe, 音声"


def test_a_suggestion_is_short_whatever_the_names() -> None:
    names = [f"{k}{'x' * 50_000}" for k in range(200)]
    assert len(suggest("y" * 50_000, names)) < 330  # names of 300 characters in all
    assert suggest("y", names).endswith("and 197 more")  # 3 names of 80 characters
