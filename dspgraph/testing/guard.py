"""Looking over the shoulder of a unit: what it is given, what it makes of it, and what it keeps."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dspgraph.engine.plan import Stage, check_block
from dspgraph.errors import LawError
from dspgraph.streams import Array


@dataclass(frozen=True)
class Difference:
    """Where two arrays part: the first item, and what each has there (None past its end)."""

    item: int
    expected: Any
    found: Any


def first_difference(expected: Array, found: Array) -> Difference | None:
    """The first item in which two arrays of one stream differ in any bit."""
    if (expected.dtype, expected.shape[1:]) != (found.dtype, found.shape[1:]):
        return Difference(0, f"{expected.dtype} {expected.shape[1:]}", f"{found.dtype} {found.shape[1:]}")
    n = min(len(expected), len(found))
    rows = [np.ascontiguousarray(array[:n]).view(np.uint8).reshape(n, -1) for array in (expected, found)] if n else []
    differing = np.flatnonzero((rows[0] != rows[1]).any(axis=1)) if n else np.empty(0, int)
    if len(differing):
        item = int(differing[0])
        return Difference(item, expected[item], found[item])
    if len(expected) == len(found):
        return None
    return Difference(n, expected[n] if len(expected) > n else None, found[n] if len(found) > n else None)


def watch(where: str, unit: Stage) -> None:
    """Let a unit see and give copies only, look at them, and overwrite what it might have kept."""
    step, step_many, flush = unit.step, unit.step_many, unit.flush
    ports = [f"{unit.name}.{port.name}" for port in unit.node.inputs]
    overwritten: deque[Array] = deque(maxlen=16)

    def given(blocks: Sequence[Any]) -> list[Any]:
        return [tuple(map(np.array, block)) if isinstance(block, tuple) else np.array(block) for block in blocks]

    def made(blocks: Sequence[Any]) -> list[Array]:
        for port, stream, block in zip(unit.node.outputs, unit.binding.gives, blocks, strict=False):
            name = f"{unit.name}.{port.name}"
            check_block(name, stream, block)
            if not np.isfinite(block).all():
                raise LawError(0, f"{where}: {name} gave a number that is not finite: {stream} carries none")
        return [np.array(block) for block in blocks]

    def done(originals: Sequence[Any], copies: Sequence[Any], blocks: Sequence[Array]) -> None:
        for block in overwritten:
            if (block != 1).any():
                raise LawError(
                    1, f"{where}: {unit.name} wrote to a block of an earlier step: give a new one, keep a copy"
                )
        for name, original, copied in zip(ports, originals, copies, strict=True):
            for one, other in zip(*(b if isinstance(b, tuple) else (b,) for b in (original, copied)), strict=True):
                if first_difference(one, other) is not None:
                    raise LawError(1, f"{where}: {unit.name} changed a block it was given at {name}: work on a copy")
                overwritten.append(other)
        overwritten.extend(block for block in blocks if block.flags.writeable)
        for block in overwritten:
            block[...] = 1

    def watched_step(state: Any, *blocks: Any) -> tuple[Any, ...]:
        copies = given(blocks)
        state, *outs = step(state, *copies)
        results = made(outs)
        done(blocks, copies, outs)
        return (state, *results)

    def watched_step_many(states: list[Any], *lists: Any) -> tuple[list[Any], ...]:
        calls = list(zip(*lists, strict=True))
        copies = [given(blocks) for blocks in calls]
        states, *outs = step_many(states, *map(list, zip(*copies, strict=True)))
        results = [made(blocks) for blocks in zip(*outs, strict=True)]
        for blocks, copied, out in zip(calls, copies, zip(*outs, strict=True), strict=True):
            done(blocks, copied, out)
        return (states, *map(list, zip(*results, strict=True)))

    def watched_flush(state: Any) -> tuple[Array, ...]:
        return tuple(made(tuple(flush(state))))

    unit.step, unit.step_many, unit.flush = watched_step, watched_step_many, watched_flush
