"""Random performances: graphs with common nodes, swaps between them, controls that move, sounds that are played."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Frames, Graph, Node, Play, Set, Stop, Swap
from dspgraph.live.events import Event
from dspgraph_nodes.mix.blend import Blend
from dspgraph_nodes.mix.delay import Delay
from dspgraph_nodes.mix.fade import Fade
from helpers.toys import ToyApply, ToyEnergy, ToyFrames, ToyLate, ToyNoise, ToyScale, ToySum

RATES = (16000, 22050, 48000)
LATENCY = Fraction(1, 4)


@dataclass(frozen=True)
class Score:
    """The first four arguments of `check_performance` of dspgraph.testing.

    They are a graph, its recorded input signals, the events, and the first values of the controls.
    """

    graph: Graph
    recording: dict[str, Array]
    events: list[Event]
    controls: dict[str, float]


def vocoder(draw: np.random.Generator, rate: int, dtype: str) -> Graph:
    """Return a random graph with the inputs "speech", "music", "volume" and "on", and the output "y".

    The signal may be delayed, framed or echoed; noise and the sound "music" may be added; the control "on" switches an
    effect, and "volume" sets the level. In about one of ten graphs the output is the echo alone, which no control
    changes. draw: the random generator; rate: Hz; dtype: of all streams.
    """
    hop = int(draw.choice([rate // 100, 147, 64]))
    late, factor = int(draw.choice([37, 100])), float(draw.choice([0.5, 1.0]))
    nodes: dict[str, Node] = {
        "late": ToyLate(samples=late), "frames": ToyFrames(hop=hop), "energy": ToyEnergy(), "apply": ToyApply(),
        "noise": ToyNoise(), "scaled": ToyScale(factor=factor), "sum": ToySum(),
        "echo": Delay(samples=int(draw.choice([50, 333]))), "effect": Blend(), "volume_of": Fade(),
    }  # fmt: skip
    before = "late" if draw.random() < 0.6 else "speech"
    wires: dict[str, str | list[str]] = {
        "late.x": "speech", "frames.x": before, "energy.frames": "frames", "apply.x": "speech",
        "apply.level": "energy.level", "noise.like": before, "scaled.x": "noise",
        "sum.x": [name for name in ("apply", "scaled", "late", "music") if draw.random() < 0.7] or ["speech"],
        "echo.x": "sum", "effect.dry": "sum", "effect.wet": "echo", "effect.position": "on",
        "volume_of.x": "effect", "volume_of.gain": "volume",
    }  # fmt: skip
    audio, control = Audio(rate, dtype=dtype), Frames(100, "control", 1, dtype=dtype)
    inputs = {"speech": audio, "music": audio, "volume": control, "on": control}
    return Graph(nodes, wires, inputs, {"y": "volume_of" if draw.random() < 0.9 else "echo"})


def random_score(number: int, seconds: float = 0.9) -> Score:
    """Return a random performance of `seconds` seconds, of at most four graphs. number: the seed.

    It has 1 to 12 events, in any order, at least one of which plays or stops the sound "music".
    """
    draw = np.random.default_rng(number)
    rate, dtype = int(draw.choice(RATES)), str(draw.choice(["float32", "float64"]))
    graphs = [vocoder(draw, rate, dtype) for _ in range(4)]
    events: list[Event] = []
    for _ in range(int(draw.integers(0, 12))):
        at = Fraction(int(draw.integers(0, int(10**6 * seconds))), 10**6)
        if draw.random() < 0.3:
            at = Fraction(round(at * 100), 100)
        kind = draw.random()
        if kind < 0.35:
            events.append(
                Swap(graphs[draw.integers(4)], draw.choice([0, 0.01, 0.05]), draw.choice([0, 0.005, 0.02]), at)
            )
        elif kind < 0.7:
            shape = str(draw.choice(["line", "target", "exponential"]))
            name = str(draw.choice(["volume", "on"])) if shape != "exponential" else "volume"
            value = float(draw.choice([0.25, 0.5, 1.0])) if name == "volume" else float(draw.choice([0.0, 1.0]))
            events.append(Set(name, value, draw.choice([0, 0.02, 0.13]), shape, at))  # type: ignore[arg-type]
        elif kind < 0.9:
            sound = draw.standard_normal(int(draw.integers(1, rate // 3))).astype(dtype)
            events.append(Play("music", sound, [1, 3, None][draw.integers(3)], at, len(sound) // 3 * (number % 2)))
        else:
            events.append(Stop("music", at))
    if not any(isinstance(event, Play) for event in events):
        events.append(Stop("music", 0))
    speech = 0.1 * draw.standard_normal(int(seconds * rate)).astype(dtype)
    return Score(graphs[0], {"speech": speech}, events, {"volume": 0.7, "on": float(draw.integers(2))})


def random_cut(number: int) -> list[int]:
    """Return nine lengths of blocks: seven at random from 1 to 4095 samples, then 4096 and 1.

    Each octave is equally likely. number: the seed.
    """
    draw = np.random.default_rng((1, number))
    return [int(2**draw) for draw in draw.uniform(0, 12, 7)] + [4096, 1]
