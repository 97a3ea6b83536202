"""Pipelines of a few nodes, written to files."""

from pathlib import Path

import numpy as np

from dspgraph import Graph, load
from helpers.paths import TOYS

BASE = """\
about: Two scales and a sum.
vars: {rate: 8000, factor: 3, hop: 80}
inputs:
  speech: {audio: "${rate}"}
nodes:
  loud:   {node: toy_scale, x: speech, factor: "${factor}"}
  late:   {node: toy_late, x: loud}
  sum:    {node: toy_sum, x: [late, speech]}
outputs:
  y: sum
variants:
  loud:
    soft: {node: toy_scale, x: speech, factor: 0.5}
    noise: {node: toy_noise, like: speech}
"""
"""A pipeline with a scale, a node that holds samples back, and a sum; the scale `loud` has two variants."""


def written(tmp_path: Path, text: str, name: str = "mine.yaml") -> Path:
    """Write the pipeline `text` to the file `name` in the folder `tmp_path`, and return its path."""
    path = tmp_path / name
    path.write_text(text)
    return path


def graph_of(path: Path, *overrides: str, **swap: str) -> Graph:
    """Return the graph of a pipeline file. The pipeline may use the nodes in toys.py.

    overrides: texts NAME=VALUE; swap: the name of the variant for each slot.
    """
    return load(path, overrides, swap, [TOYS])


def gain_of(graph: Graph) -> float:
    """Return the first sample of the output "y" of a graph for an input "speech" of ones.

    For a graph of scales and sums this is its gain.
    """
    return float(graph(speech=np.ones(500))["y"][0])
