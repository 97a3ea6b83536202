"""The bytes that a session holds: in the states of its nodes, before them, and between them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from dspgraph.engine.plan import Plan, Queue, SessionState

_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, np.dtype, type(None))
"""Types of values that a state may refer to but does not hold."""


def held(plan: Plan, state: SessionState) -> Iterator[int]:
    """Yield the bytes in the state of every node and waiting before it; last, those the engine keeps between nodes.

    A value that several nodes hold counts for the first. Tables and weights that a node made for itself are part of
    the node and do not count.
    """
    seen: dict[int, Any] = {}
    for stage in plan.stages:
        size(stage.node, seen)
    for stage in plan.stages:
        waiting = [queue for _, queue, _ in state.queues[stage.index]]
        yield size(state.node_states[stage.index], seen) + sum(_waiting(queue, seen) for queue in waiting)
    between = [block for block in state.slots if block is not None]
    yield sum(_waiting(queue, seen) for queue in state.inputs) + sum(size(block, seen) for block in between)


def _waiting(queue: Queue, seen: dict[int, Any]) -> int:
    return sum(size(block, seen) for block in queue.blocks)


def size(value: Any, seen: dict[int, Any]) -> int:
    """Return the bytes of a value and of all that can be reached from it, without those `seen` before (by id).

    A view counts as the whole array that it keeps alive.
    """
    total, found = 0, [value]
    while found:
        one = found.pop()
        owner, nbytes = _memory(one)
        if id(owner) in seen or isinstance(one, _SHARED):
            continue
        seen[id(owner)] = owner  # kept, so that no other takes its id meanwhile
        total += nbytes
        if not isinstance(one, np.ndarray):
            found.extend(gc.get_referents(one))
        elif one.dtype.hasobject:
            found.extend(one.ravel().tolist())
    return total


def _memory(one: Any) -> tuple[Any, int]:
    """Return the owner of a value's memory, and its bytes; of a foreign owner, such as numba, those of the view."""
    below = one
    while isinstance(below, np.ndarray | memoryview):
        base = below.base if isinstance(below, np.ndarray) else below.obj
        if base is None:
            break
        if not isinstance(base, np.ndarray | memoryview):
            return base, below.nbytes
        below = base
    nbytes = getattr(below, "nbytes", None)  # of arrays, of numpy's numbers, of torch's tensors
    return below, nbytes if isinstance(nbytes, int) else sys.getsizeof(below)
