"""The bytes that a session holds: in the states of nodes, in the queues before them, in the blocks between them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from dspgraph.engine.plan import Plan, Queue, SessionState

_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, np.dtype, type(None))
"""Types whose values are not counted: a state may refer to such a value, but does not keep it in memory."""


def held(plan: Plan, state: SessionState) -> Iterator[int]:
    """Yield, for every node in running order, the number of bytes of its state and of the blocks that wait before it.

    After the nodes, one more number is yielded: the bytes of the blocks that are in the slots or wait at the inputs of
    the graph. A value that several nodes hold counts for the first of them only. Tables and weights that are attributes
    of a node do not count.
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
    """Return the number of bytes of a value and of everything that it refers to, directly or through other values.

    seen: id -> value, for the values that were already counted. They do not count again; this function adds the values
    that it counts to `seen`. A view of an array counts as the whole array, because the view keeps the array alive.
    Classes, modules, functions, dtypes and None do not count.
    """
    total, found = 0, [value]
    while found:
        one = found.pop()
        owner, nbytes = _memory(one)
        if id(owner) in seen or isinstance(one, _SHARED):
            continue
        seen[id(owner)] = owner  # keeps the value alive, so that no later value gets its id
        total += nbytes
        if not isinstance(one, np.ndarray):
            found.extend(gc.get_referents(one))
        elif one.dtype.hasobject:
            found.extend(one.ravel().tolist())
    return total


def _memory(one: Any) -> tuple[Any, int]:
    """Return (the object that owns the memory of the value `one`, the number of its bytes).

    A view of an array is owned by the whole array; any other value owns itself. The number is the size of the owner,
    without the values that it refers to. If the owner of an array is not an array itself (memory of numba, for
    instance), the number is the size of the array.
    """
    below = one
    while isinstance(below, np.ndarray | memoryview):
        base = below.base if isinstance(below, np.ndarray) else below.obj
        if base is None:
            break
        if not isinstance(base, np.ndarray | memoryview):
            return base, below.nbytes
        below = base
    nbytes = getattr(below, "nbytes", None)  # an attribute of arrays, of numbers of numpy and of tensors of torch
    return below, nbytes if isinstance(nbytes, int) else sys.getsizeof(below)
