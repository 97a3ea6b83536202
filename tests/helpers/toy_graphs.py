"""Graphs of toy nodes, for the tests of the core."""

from fractions import Fraction
from typing import Any

from dspgraph import (
    Audio,
    Graph,
    Node,
)
from helpers.toys import ToyApply, ToyEnergy, ToyFailing, ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum


def everything(rate: Any = 16000, hop: int = 160, peak: bool = False) -> Graph:
    """Return a graph whose nodes differ in how they take and return blocks.

    Its input is "x"; its outputs are "y", "level" and "sign". There are a node that holds samples back, a node that
    makes rows, a node with inputs of two rates, a port with many wires, noise, and, if `peak` is true, a node that
    waits for the whole signal. rate: of the input, Hz, a number or a text for `Fraction`; hop: samples in a row.
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


def failing() -> Graph:
    """Return a graph whose only node, `ToyFailing`, raises ZeroDivisionError at a sample beyond +-1000.

    Its input is "x", at 16000 Hz; its output is "y", the input unchanged.
    """
    return Graph({"bad": ToyFailing()}, {"bad.x": "x"}, {"x": Audio(Fraction(16000))}, {"y": "bad"})
