"""Blocks that are too large are refused before memory is allocated; a lack of memory in `start` is told in words."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from dspgraph import (
    Array,
    Audio,
    Field,
    Frames,
    Graph,
    Input,
    Node,
    NodeError,
    Output,
    ParameterError,
    RequestError,
    State,
    load,
)
from dspgraph.wiring.binding import MOST_NUMBERS


class Wide(Node):
    """A node whose row width, hop, lookahead and block size are parameters. It is bound, but never run."""

    x = Input(Audio)
    y = Output(Frames)

    width: int = Field(1, description="width of the rows")
    hop: int = Field(1, description="samples in a row")
    ahead: int = Field(0, description="samples of lookahead")
    block: int = Field(1, description="samples of a block")

    def streams(self, x: Audio) -> tuple[Frames]:
        return (Frames(x.rate / self.hop, "wave", self.width),)

    def lookahead(self, x: Audio) -> Any:
        return self.ahead / x.rate

    def block_size(self, x: Audio) -> int:
        return self.block


def bound(**parameters: int) -> Graph:
    return Graph({"end": Wide(**parameters)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})


@pytest.mark.parametrize(
    ("parameter", "most", "message"),
    [
        (
            "width",
            MOST_NUMBERS // 16000,
            r"end \(wide\): a second of Frames\('wave', 1049 wide, 16000 Hz\) has 16784000",
        ),
        (
            "hop",
            MOST_NUMBERS,
            r"end \(wide\) needs 16777217 numbers of Audio\(16000 Hz\) at a time; 16777216 are the most",
        ),
        ("ahead", MOST_NUMBERS - 1, r"end \(wide\) needs 16777217 numbers of Audio\(16000 Hz\) at a time"),
        ("block", MOST_NUMBERS, r"end \(wide\) needs 16777217 numbers of Audio\(16000 Hz\) at a time"),
    ],
)
def test_blocks_have_at_most_2_to_the_24_numbers(parameter: str, most: int, message: str) -> None:
    assert bound(**{parameter: most}).nodes
    with pytest.raises(ParameterError, match=message):
        bound(**{parameter: most + 1})


class Hungry(Node):
    x = Input(Audio)
    y = Output(Audio)

    size: int = Field(1, description="size of the table")
    error: str = Field("memory", description="the error that is raised")

    def start(self, x: Audio) -> State:
        if self.error == "memory":
            raise MemoryError
        return np.empty(2**50) if self.error == "numpy" else float(10**400)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("memory", "there is not enough memory"),
        ("numpy", "there is not enough memory"),
        ("number", "a number is too large"),
    ],
)
def test_memory_that_is_not_there_is_told_in_words_with_the_parameters(error: str, words: str) -> None:
    graph = Graph({"end": Hungry(error=error)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})
    with pytest.raises(
        NodeError, match=rf"end \(hungry\) start failed: {words} for size=1, error='{error}': choose smaller"
    ):
        graph(x=np.zeros(10))


@pytest.mark.parametrize(
    "override",
    [
        ("lpc_vocoder", "length=10000000"), ("lpc_vocoder", "length=2147483647"), ("lpc_vocoder", "length=65537"),
        ("mel_magnitude", "n_fft=1048576"), ("mel_magnitude", "n_fft=1099511627776"), ("mcep_mlsa", "length=100000"), ("mcep_mlsa", "length=8194"),
        ("rainbowgram", "hop=2147483647"), ("griffin_lim", "hop=2147483647"), ("griffin_lim", "n_fft=1048576"),
        ("mel_magnitude", "bands.bands=4096"), ("mel_magnitude", "n_fft=65536 bands.bands=4096"),
    ],
)  # fmt: skip
def test_a_wrong_digit_in_a_pipeline_is_refused_before_memory_is_asked_for(override: tuple[str, str]) -> None:
    name, value = override
    load(name)
    tracemalloc.start()
    with pytest.raises(RequestError, match=r"at most|are the most|bands"):
        load(name, value.split())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 200 * 2**20
