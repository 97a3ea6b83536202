"""Parts of `step_many` and `flush` that the nodes that generate samples from frames share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dspgraph import Array, State

Generate = Callable[[list[Any], list[Array], bool], list[tuple[Array, Array]]]
"""A function that continues signals: (states, next frames, whether the signals end) -> samples and rows of each."""


def next_items(
    generate: Generate, states: list[State], blocks: list[Array], last: bool = False
) -> tuple[list[State], list[Array], list[Array]]:
    """Return what `step_many` of a node returns: the states, the samples of every signal, and its rows.

    states: for each signal a pair of its state, which `generate` changes in place, and the dtype of its outputs;
    blocks: the next frames of each signal; last: whether the signals end after them.
    """
    found = zip(states, generate([state for state, _ in states], blocks, last), strict=True)
    outputs = [[one.astype(dtype, copy=False) for one in pair] for (_, dtype), pair in found]
    return states, [samples for samples, _ in outputs], [rows for _, rows in outputs]


def last_items(generate: Generate, state: State, width: int) -> tuple[Array, Array]:
    """Return what `flush` of a node returns: the last samples and rows of a signal.

    state: as in `next_items`; width: how many numbers a frame has.
    """
    _, (samples,), (rows,) = next_items(generate, [state], [np.zeros((0, width))], last=True)
    return samples, rows
