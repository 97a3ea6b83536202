"""What the nodes that generate samples from frames share: the form of their states and of their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dspgraph import Array, State

Generate = Callable[[list[Any], list[Array], bool], list[tuple[Array, Array]]]
"""A function that continues signals: (states, next frames of each, whether they end) -> samples and rows of each."""


def next_items(
    generate: Generate, states: list[State], blocks: list[Array], last: bool = False
) -> tuple[list[State], list[Array], list[Array]]:
    """Return what `step_many` of a node returns: the states, the samples of every signal, and its rows.

    states: of each signal a pair, the state that `generate` changes in place, and the dtype of the outputs; blocks: the
    next frames of each; last: whether the signals end after them.
    """
    found = zip(states, generate([state for state, _ in states], blocks, last), strict=True)
    outputs = [[one.astype(dtype, copy=False) for one in pair] for (_, dtype), pair in found]
    return states, [samples for samples, _ in outputs], [rows for _, rows in outputs]


def last_items(generate: Generate, state: State, width: int) -> tuple[Array, Array]:
    """Return what `flush` of a node returns: the samples and the rows that no further frame of `width` numbers adds to.

    state: as in `next_items`.
    """
    _, (samples,), (rows,) = next_items(generate, [state], [np.zeros((0, width))], last=True)
    return samples, rows
