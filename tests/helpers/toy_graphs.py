"""Graphs of nodes for tests."""

from fractions import Fraction
from typing import Any

from dspgraph import (
    Audio,
    Graph,
    Node,
)
from helpers.toys import ToyApply, ToyEnergy, ToyFailing, ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum


def everything(rate: Any = 16000, hop: int = 160, peak: bool = False) -> Graph:
    """Return a graph in which nodes take their blocks in every way.

    There are a node with delayed samples, rows of samples, two rates at one node, a port with many wires, noise, and,
    if `peak` is true, a node that waits for the whole signal.
    """
    nodes: dict[str, Node] = {
        "late": ToyLate(samples=37), "frames": ToyFrames(hop=hop), "energy": ToyEnergy(), "apply": ToyApply(),
        "noise": ToyNoise(), "sum": ToySum(), "last": ToyPeak() if peak else ToyScale(),
    }  # fmt: skip
    wires = {
        "late.x": "x", "frames.x": "late", "energy.frames": "frames", "apply.x": "x", "apply.level": "energy.level",
        "noise.like": "x", "sum.x": ["apply", "noise", "late"], "last.x": "sum",
    }  # fmt: skip
    return Graph(
        nodes, wires, {"x": Audio(Fraction(rate))}, {"y": "last", "level": "energy.level", "sign": "energy.sign"}
    )


def failing(n: int = 1) -> Graph:
    """Return a graph whose only node fails."""
    return Graph({"bad": ToyFailing()}, {"bad.x": "x"}, {"x": Audio(Fraction(16000))}, {"y": "bad"})
