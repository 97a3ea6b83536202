"""Graphs to render, and functions that read the files that a rendering has written."""

import json
import shutil
from pathlib import Path
from typing import Any

from dspgraph import Array, Audio, Graph, Input, Node, Output, State
from helpers.toys import ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum

MARK = 0.25
"""The first sample of a bad file, at which the node `Raises` raises an error."""


class Unprepared(Node):
    """Raise an error in `start`, as if a file were missing."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        raise FileNotFoundError("weights.safetensors")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


def graph(node: Node | None = None) -> Graph:
    """Return a graph with the input "x", audio at 16 kHz, one node with the port "x", and its one output as "y".

    node: by default one that halves the signal.
    """
    return Graph({"end": node or ToyScale(factor=0.5)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})


def names(folder: Path) -> list[str]:
    """Return the sorted names of the files and folders in a folder, without the ledger and the sidecars."""
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".json", ".jsonl"))


def copied(good: Path, name: str) -> Path:
    """Copy the file `good` to a file `name` in the same folder, and return the path of the copy."""
    return Path(shutil.copy(good, good.with_name(name)))


class Raises(Node):
    """Return each block unchanged, but raise an error at a block whose first sample is `MARK`."""

    x = Input(Audio)
    y = Output(Audio)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        if x[0] == MARK:
            raise ValueError("not this one")
        return state, x


def noisy() -> Graph:
    """Return a graph with the input "x" at 16 kHz and the outputs "y", "z" and "rows"; its nodes keep different states.

    It has a source of noise, a node that holds samples back, a node that waits for the whole signal, and a node that
    makes rows.
    """
    noise = {"noise": ToyNoise(seed=3), "soft": ToyScale(factor=0.1), "late": ToyLate()}
    nodes = {**noise, "sum": ToySum(), "end": ToyPeak(), "rows": ToyFrames(hop=100)}
    wires: dict[str, Any] = {"noise.like": "x", "soft.x": "noise", "late.x": "soft", "sum.x": ("x", "late")}
    wires |= {"end.x": "sum", "rows.x": "noise"}
    return Graph(nodes, wires, {"x": Audio(16000)}, {"y": "end", "z": "late", "rows": "rows"}, seed=7)


def everything(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder and its subfolders, by relative path, without the ledger."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "ledger.jsonl"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def said(out: Path, name: str) -> Any:
    """Return the sidecar of a rendered file in a folder, read as JSON. name: that of the file, without its suffix."""
    return json.loads((out / f"{name}.json").read_text())
