"""The checks of the laws: they find every fault that is put into a node, and the message names the law."""

import random
from collections.abc import Callable, Generator, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

from dspgraph import Array, Audio, Field, Frames, Graph, Input, LawError, Node, Output, SignalError, State, Stream
from dspgraph.errors import LAWS
from dspgraph.testing import CUTS, NODE_CHECKS, Example, check_cut, check_graph, check_node
from helpers.speech import speech

SIGNAL = (Audio(16000), speech()[8000:12321])  # 4321 samples of voiced speech: no multiple of any cut


class Sound(Node):
    """Smooth the signal by one pole. The node keeps all laws."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return x.dtype.type(0)

    def step(self, last: Any, x: Array) -> tuple[Any, Array]:
        return smooth(last, x)


def smooth(last: Any, x: Array) -> tuple[Any, Array]:
    y = np.empty_like(x)
    for k, sample in enumerate(x):
        last = y[k] = sample * x.dtype.type(0.5) + last * x.dtype.type(0.5)
    return last, y


class ForgottenState(Node):
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, smooth(x.dtype.type(0), x)[1]


class StateOnTheClass(Node):
    last: ClassVar[dict[str, Any]] = {}
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        self.last["sample"] = x.dtype.type(0)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        self.last["sample"], y = smooth(self.last["sample"], x)
        return state, y


class CountsItsUses(Node):
    uses: ClassVar[list[int]] = []
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        self.uses.append(1)
        return len(self.uses)

    def step(self, use: int, x: Array) -> tuple[int, Array]:
        return use, x * x.dtype.type(use)


class DelayLine(Node):
    """Hold 100 samples back. `lookahead` and `flush` can be made wrong by the parameters.

    promised: the lookahead that the node declares, in seconds; flushed: how many of the held samples, from the first,
    `flush` returns.
    """

    x = Input(Audio)
    y = Output(Audio)

    promised: float = Field(100 / 16000)
    flushed: int = Field(100)

    def lookahead(self, x: Audio) -> Any:
        return Audio(16000).seconds(round(self.promised * 16000))

    def start(self, x: Audio) -> State:
        return np.zeros(0, x.dtype)

    def step(self, held: Array, x: Array) -> tuple[Array, Array]:
        held = np.concatenate([held, x])
        return held[-100:], held[:-100]

    def flush(self, held: Array) -> tuple[Array, ...]:
        return (held[: self.flushed],) if self.flushed else ()


class Shifted(Node):
    """Return a row of zeros at the first sample of each hop of 160, before the hop has ended, which is too early."""

    x = Input(Audio)
    y = Output(Frames, "wave")

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate / 160, "wave", 1, dtype=x.dtype),)

    def start(self, x: Audio) -> State:
        return 0

    def step(self, n: int, x: Array) -> tuple[int, Array]:
        rows = -(-(n + len(x)) // 160) - -(-n // 160)  # a frame for the first sample of each hop, not the last
        return n + len(x), np.zeros((rows, 1), x.dtype)


class GainPerBlock(Node):
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x / (np.abs(x).max() + x.dtype.type(1))


class NarrowDither(Node):
    x = Input(Audio)
    y = Output(Audio)

    seed: int = Field(0, ge=0)

    def start(self, x: Audio) -> State:
        return np.random.Generator(np.random.Philox(key=self.seed))

    def step(self, noise: np.random.Generator, x: Array) -> tuple[State, Array]:
        return noise, x + (noise.integers(0, 2, len(x), np.uint8) / 2**16).astype(x.dtype)


class GlobalNoise(Node):
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return np.random.RandomState(np.random.randint(2**31))

    def step(self, noise: np.random.RandomState, x: Array) -> tuple[State, Array]:
        return noise, x + noise.standard_normal(len(x)).astype(x.dtype)


class WrongWidth(Node):
    x = Input(Audio)
    y = Output(Frames, "pair")

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate, "pair", 3, dtype=x.dtype),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, np.stack([x, x], axis=1)


class WrongDtype(Node):
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x.astype(np.float64)


class WrongKind(Node):
    x = Input(Audio)
    y = Output(Frames, "lpc")

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate, "mel", 1, dtype=x.dtype),)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x[:, None]


class LeakyBatch(Node):
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x.copy()

    def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
        loudest = max(np.abs(x).max() for x in lists[0])
        return states, [x * (1 - loudest / 2**20) for x in lists[0]]


class Uncopyable(Node):
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        def held() -> Generator[Any, Any, None]:
            last = x.dtype.type(0)
            y = None
            while True:
                block = yield y
                last, y = smooth(last, block)

        running = held()
        next(running)
        return running

    def step(self, running: Generator[Any, Any, None], x: Array) -> tuple[State, Array]:
        return running, running.send(x)


class SharedCopy(Node):
    """Smooth the signal. The last sample lies in a list of the class, which the state and its copies share."""

    buffers: ClassVar[list[Any]] = []
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        self.buffers.append(x.dtype.type(0))
        return len(self.buffers) - 1

    def step(self, place: int, x: Array) -> tuple[State, Array]:
        self.buffers[place], y = smooth(self.buffers[place], x)
        return place, y


class InPlace(Node):
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        x *= x.dtype.type(0.5)
        return state, x


class ReusedBuffer(Node):
    """Halve the signal, and return the output in a buffer that the next block overwrites."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return np.zeros(10_000, x.dtype)

    def step(self, buffer: Array, x: Array) -> tuple[State, Array]:
        return buffer, np.multiply(x, x.dtype.type(0.5), out=buffer[: len(x)])


class KeepsItsInput(Node):
    """Return the signal; keep the last block itself, not a copy, and clear it at the next block."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return np.zeros(1, x.dtype)

    def step(self, last: Array, x: Array) -> tuple[State, Array]:
        last *= 0
        return x, x.copy()


class BatchInPlace(Node):
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x * x.dtype.type(0.5)

    def step_many(self, states: list[State], *lists: Any) -> tuple[list[Any], ...]:
        for block in lists[0]:
            block *= block.dtype.type(0.5)
        return states, list(lists[0])


class WrongDtypeInFlush(Node):
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return np.zeros(0, x.dtype)

    def lookahead(self, x: Audio) -> Any:
        return 1 / x.rate

    def step(self, held: Array, x: Array) -> tuple[Array, Array]:
        held = np.concatenate([held, x])
        return held[-1:], held[:-1]

    def flush(self, held: Array) -> tuple[Array, ...]:
        return (held.astype(np.float64),)


class WrongDtypeLater(Node):
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return 0

    def step(self, n: int, x: Array) -> tuple[State, Array]:
        return n + len(x), x.astype(np.float64) if n > 1000 else x.copy()


class Unstable(Node):
    """Multiply sample n by 1e30**n, which gives inf and NaN: the same values at every cut."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return 0

    def step(self, n: int, x: Array) -> tuple[State, Array]:
        with np.errstate(all="ignore"):
            return n + len(x), x * (x.dtype.type(1e30) ** np.arange(n, n + len(x), dtype=x.dtype))


class DeafToItsSeed(Node):
    x = Input(Audio)
    y = Output(Audio)

    seed: int = Field(0, ge=0)

    def start(self, x: Audio) -> State:
        return np.random.Generator(np.random.Philox(key=7))

    def step(self, noise: np.random.Generator, x: Array) -> tuple[State, Array]:
        return noise, noise.standard_normal(len(x)).astype(x.dtype)


class UnseededNoise(Node):
    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return np.random.default_rng()

    def step(self, noise: np.random.Generator, x: Array) -> tuple[State, Array]:
        return noise, x + noise.standard_normal(len(x)).astype(x.dtype)


class UnseededPythonNoise(Node):
    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x * x.dtype.type(random.Random().random())


class WholeForNothing(Node):
    x = Input(Audio)
    y = Output(Audio)

    def lookahead(self, x: Audio) -> float:
        return float("inf")

    def start(self, x: Audio) -> State:
        return x.dtype.type(0)

    def step(self, last: Any, x: Array) -> tuple[Any, Array]:
        return smooth(last, x)


class PeakOfTheWhole(Node):
    """Divide the signal by its peak. The node needs the whole signal and keeps all laws."""

    x = Input(Audio)
    y = Output(Audio)

    def lookahead(self, x: Audio) -> float:
        return float("inf")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x / np.abs(x).max()


class LateHops(Node):
    """Return the sum of magnitudes of each hop of 160 samples as it ends; declare a lookahead of `surplus` seconds."""

    x = Input(Audio)
    y = Output(Frames, "level")

    surplus: float = Field(0.0)

    def streams(self, x: Audio) -> tuple[Stream, ...]:
        return (Frames(x.rate / 160, "level", 1, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return self.surplus

    def start(self, x: Audio) -> State:
        return np.zeros(0, x.dtype)

    def step(self, held: Array, x: Array) -> tuple[State, Array]:
        held = np.concatenate([held, x])
        rows = len(held) // 160
        return held[rows * 160 :], np.abs(held[: rows * 160]).reshape(rows, 160).sum(axis=1, keepdims=True)

    def flush(self, held: Array) -> tuple[Array, ...]:
        return (np.abs(held).sum(keepdims=True)[:, None],) if len(held) else ()


class NeedsAnItem(Node):
    """Hold one sample back until the next one or the end. `flush` fails for a signal without samples."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        return None

    def step(self, last: Any, x: Array) -> tuple[Any, Array]:
        y = x[:-1] if last is None else np.concatenate((last, x[:-1]))
        return x[-1:].copy(), y.copy()

    def lookahead(self, x: Audio) -> Any:
        return 1 / x.rate

    def flush(self, last: Any) -> tuple[Array, ...]:
        return (last.copy(),)


FAULTS: list[tuple[Callable[[], Node], int]] = [
    (ForgottenState, 2),
    (StateOnTheClass, 1),
    (CountsItsUses, 1),
    (lambda: DelayLine(flushed=0), 3),  # missing flush
    (lambda: DelayLine(flushed=99), 3),  # one item too few
    (lambda: DelayLine(promised=99 / 16000), 3),  # optimistic lookahead
    (Shifted, 3),
    (GainPerBlock, 2),
    (NarrowDither, 2),
    (GlobalNoise, 5),
    (WrongWidth, 0),
    (WrongDtype, 0),
    (WrongKind, 0),
    (LeakyBatch, 4),
    (Uncopyable, 1),
    (SharedCopy, 1),
    (InPlace, 1),
    (ReusedBuffer, 1),
    (KeepsItsInput, 1),
    (BatchInPlace, 1),
    (WrongDtypeInFlush, 0),
    (WrongDtypeLater, 0),
    (Unstable, 0),
    (DeafToItsSeed, 5),
    (UnseededNoise, 5),
    (UnseededPythonNoise, 5),
    (WholeForNothing, 3),  # a lookahead that is not needed
    (lambda: DelayLine(promised=101 / 16000), 3),  # one sample too long
    (lambda: LateHops(surplus=1 / 16000), 3),  # one sample too long, of a hop of 160
    (lambda: LateHops(surplus=0.1), 3),
    (NeedsAnItem, 3),
]


@pytest.fixture(autouse=True)
def _fresh_class_state() -> Iterator[None]:
    yield
    CountsItsUses.uses.clear()
    SharedCopy.buffers.clear()


@pytest.mark.parametrize("make", [Sound, DelayLine, PeakOfTheWhole, LateHops])
def test_a_sound_node_passes(make: Callable[[], Node]) -> None:
    check_node(Example(make(), x=SIGNAL))


@pytest.mark.parametrize(("make", "law"), FAULTS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_planted_fault_is_caught_and_its_law_named(make: Callable[[], Node], law: int) -> None:
    with pytest.raises(LawError) as caught:
        check_node(Example(make(), x=SIGNAL))
    assert caught.value.law == law, str(caught.value)
    assert f"(law {law}: {LAWS[law]})" in str(caught.value)


@pytest.mark.parametrize("make", [lambda: DelayLine(promised=160 / 16000), WholeForNothing])
def test_a_node_may_wait_on_purpose(make: Callable[[], Node]) -> None:
    check_node(Example.waiting_on_purpose(make(), x=SIGNAL))
    with pytest.raises(LawError, match=r"if the node waits on purpose, say so: Example.waiting_on_purpose\(...\)"):
        check_node(Example(make(), x=SIGNAL))


def test_a_lookahead_that_is_too_long_is_told_the_shortest() -> None:
    for cuts in (CUTS, (160,)):
        check_node(Example(DelayLine(), x=SIGNAL), cuts=cuts)
        with pytest.raises(
            LawError, match=r"the declared lookahead is 0.01 s, but .* as if it were 0.00625 s: declare"
        ):
            check_node(Example(DelayLine(promised=160 / 16000), x=SIGNAL), cuts=cuts)


@pytest.mark.parametrize("make", [UnseededNoise, GlobalNoise])
@pytest.mark.parametrize("name", ["law5_noise", "law2_cuts", "law4_batch", "law1_snapshot", "law0_blocks"])
def test_noise_from_outside_the_state_is_blamed_on_law_5(make: Callable[[], Node], name: str) -> None:
    """Each of these five checks finds the fault, and names law 5 and the remedy."""
    with pytest.raises(LawError, match=r"made with dspgraph.generator\(self.seed\)") as caught:
        NODE_CHECKS[name](Example(make(), x=SIGNAL), np.float32)
    assert caught.value.law == 5


ALONE: list[tuple[Callable[[], Node], str]] = [
    (CountsItsUses, "law1_repeats"),
    (DeafToItsSeed, "law5_noise"),
    (GlobalNoise, "law5_noise"),
    (StateOnTheClass, "law1_neighbours"),
    (InPlace, "law0_blocks"),
    (KeepsItsInput, "law0_blocks"),
    (ForgottenState, "law2_cuts"),
    (lambda: DelayLine(promised=99 / 16000), "law3_lookahead"),
    (NeedsAnItem, "law3_short"),
    (SharedCopy, "law1_snapshot"),
    (LeakyBatch, "law4_batch"),
]


@pytest.mark.parametrize(("make", "name"), ALONE, ids=lambda value: getattr(value, "__name__", str(value)))
def test_each_check_finds_its_fault_alone(make: Callable[[], Node], name: str) -> None:
    with pytest.raises(LawError):
        NODE_CHECKS[name](Example(make(), x=SIGNAL), np.float32)


@pytest.mark.parametrize("name", NODE_CHECKS)
def test_a_sound_node_passes_each_check_alone(name: str) -> None:
    NODE_CHECKS[name](Example(DelayLine(), x=SIGNAL), np.float64)


def test_a_cut_is_compared_with_the_whole_that_was_computed_before() -> None:
    example = Example(ForgottenState(), x=SIGNAL)
    for whole in (None, example.whole(np.float32)):
        with pytest.raises(LawError, match="cut into 160: 'y' differs first at item 160"):
            check_cut(example.graph(np.float32), example.arrays, (160,), whole)


@pytest.mark.parametrize("signal", [np.zeros(0), np.ones(1), np.zeros(4000), np.ones(20)])
def test_an_example_that_could_not_show_a_fault_is_refused(signal: Array) -> None:
    with pytest.raises(SignalError, match="an example has 64 items or more, and they differ"):
        check_node(Example(ForgottenState(), x=(Audio(16000), signal)))


@pytest.mark.parametrize("late", [BatchInPlace, ReusedBuffer, WrongDtypeLater])
def test_check_graph_names_the_guilty_node(late: type[Node]) -> None:
    nodes = {"first": Sound(), "bad": late(), "last": Sound()}
    wires = {"first.x": "x", "bad.x": "first", "last.x": "bad"}
    graph = Graph(nodes, wires, {"x": Audio(16000, dtype=np.float32)}, {"y": "last"})
    with pytest.raises(LawError, match="bad"):
        check_graph(graph, {"x": SIGNAL[1]})


def test_a_reset_leaves_nothing_of_the_first_signal() -> None:
    """After `reset`, a session gives the outputs of a new one: a delay line keeps no sample of the first signal."""
    graph = Example(DelayLine(), x=SIGNAL).graph()
    session = graph.session()
    session.push(x=np.ones(1000))
    session.reset()
    first = session.push(x=SIGNAL[1])["y"]
    np.testing.assert_array_equal(first, graph.session().push(x=SIGNAL[1])["y"])
