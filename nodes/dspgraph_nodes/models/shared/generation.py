"""The work of `step_many` and `flush` for nodes that generate samples from frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dspgraph import Array, State

Generate = Callable[[list[Any], list[Array], bool], list[tuple[Array, Array]]]
"""A function that continues signals: (states, next frames, whether the signals end) -> (samples, rows) of each signal.

The rows are the second output of the node, such as the distributions of the samples.
"""


def next_items(
    generate: Generate, states: list[State], blocks: list[Array], last: bool = False
) -> tuple[list[State], list[Array], list[Array]]:
    """Do the work of a node's `step_many`: return the new states, and the samples and rows of every signal.

    generate: see `Generate`, also for the rows; states: for each signal a pair: the state for `generate`, which changes
    it in place, and the dtype to which samples and rows are converted; blocks: the next frames of each signal, [n,
    width]; last: whether the signals end after these frames. The new states are the same pairs.
    """
    found = zip(states, generate([state for state, _ in states], blocks, last), strict=True)
    outputs = [[one.astype(dtype, copy=False) for one in pair] for (_, dtype), pair in found]
    return states, [samples for samples, _ in outputs], [rows for _, rows in outputs]


def last_items(generate: Generate, state: State, width: int) -> tuple[Array, Array]:
    """Do the work of a node's `flush`: return the last samples and the last rows of a signal (see `Generate`).

    generate: see `Generate`; state: the signal's pair of state and dtype, see `next_items`; width: the width of a
    frame.
    """
    _, (samples,), (rows,) = next_items(generate, [state], [np.zeros((0, width))], last=True)
    return samples, rows
