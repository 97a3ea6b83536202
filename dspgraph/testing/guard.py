"""The guard of laws 0 and 1: an instrument that checks every block of a node, and that the node keeps no block."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from dspgraph.engine.instrument import Flush, Step, StepMany, Watched
from dspgraph.engine.plan import check_block
from dspgraph.errors import LawError
from dspgraph.streams import Array, first_bad_item
from dspgraph.testing.runs import first_difference


class BlockGuard:
    """An instrument that checks every block that goes into a node or comes out of it.

    Nodes get copies of blocks, and copies of their outputs are passed on. After each step, the blocks that the node got
    and the blocks that it returned are overwritten. A node that has kept one of these blocks then gives wrong outputs.

    Raises LawError for output blocks that are not as declared or not finite (law 0), and for a node that changes a
    block that it got, or later one of the overwritten blocks (law 1). where: the first words of messages.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._guards: dict[str, _StageGuard] = {}

    def _guard(self, stage: Watched) -> _StageGuard:
        return self._guards.setdefault(stage.name, _StageGuard(self.where, stage))

    def around_step(self, stage: Watched, step: Step) -> Step:
        """Return a function that calls `step` with copies of the blocks, checks all blocks and then overwrites them."""
        guard = self._guard(stage)

        def guarded(state: Any, *blocks: Any) -> tuple[Any, ...]:
            copies = _copied(blocks)
            state, *outs = step(state, *copies)
            results = guard.checked(outs)
            guard.overwrite(blocks, copies, outs)
            return (state, *results)

        return guarded

    def around_step_many(self, stage: Watched, step_many: StepMany) -> StepMany:
        """Return a function that calls `step_many` with copies of the blocks, checks all blocks and overwrites them."""
        guard = self._guard(stage)

        def guarded(states: list[Any], *lists: Any) -> tuple[list[Any], ...]:
            calls = list(zip(*lists, strict=True))
            copies = [_copied(blocks) for blocks in calls]
            states, *outs = step_many(states, *map(list, zip(*copies, strict=True)))
            results = [guard.checked(blocks) for blocks in zip(*outs, strict=True)]
            for blocks, copied, out in zip(calls, copies, zip(*outs, strict=True), strict=True):
                guard.overwrite(blocks, copied, out)
            return (states, *map(list, zip(*results, strict=True)))

        return guarded

    def around_flush(self, stage: Watched, flush: Flush) -> Flush:
        """Return a function that calls `flush` and checks the blocks that it returns."""
        guard = self._guard(stage)
        return lambda state: tuple(guard.checked(tuple(flush(state))))

    def around_round(self, states: Sequence[Any]) -> AbstractContextManager[None]:
        """Return a context manager that does nothing."""
        return nullcontext()


def _copied(blocks: Sequence[Any]) -> list[Any]:
    return [tuple(map(np.array, block)) if isinstance(block, tuple) else np.array(block) for block in blocks]


class _StageGuard:
    """The checks of one stage. `overwritten` has the last 16 blocks that were filled with ones after their use."""

    def __init__(self, where: str, stage: Watched) -> None:
        self.where, self.stage = where, stage
        self.ports = [f"{stage.name}.{port.name}" for port in stage.node.inputs]
        self.overwritten: deque[Array] = deque(maxlen=16)

    def checked(self, blocks: Sequence[Any]) -> list[Array]:
        """Return copies of the output blocks. Raises LawError (law 0) unless blocks are as declared, and finite."""
        stage = self.stage
        for port, stream, block in zip(stage.node.outputs, stage.binding.gives, blocks, strict=False):
            name = f"{stage.name}.{port.name}"
            check_block(name, stream, block)
            if (at := first_bad_item(block)) is not None:
                raise LawError(
                    0, f"{self.where}: {name} gave a number that is not finite, in item {at}: {stream} carries none"
                )
        return [np.array(block) for block in blocks]

    def overwrite(self, originals: Sequence[Any], copies: Sequence[Any], blocks: Sequence[Array]) -> None:
        """Check that a node changed none of its inputs, then fill the blocks of this call with ones.

        A node that kept one of the blocks and uses it in a later call gives wrong items then. Outputs that cannot be
        written to are left as they are. originals: the input blocks, which stay as they are. copies: the copies of them
        that the node was given. blocks: the outputs of the node. The copies and the outputs are filled. Raises LawError
        (law 1) if a copy differs from its original, or if one of the blocks that earlier calls filled is no longer all
        ones.
        """
        for block in self.overwritten:
            if (block != 1).any():
                raise LawError(
                    1,
                    f"{self.where}: {self.stage.name} wrote to a block of an earlier step: give a new one, keep a copy",
                )
        for name, original, copied in zip(self.ports, originals, copies, strict=True):
            for one, other in zip(*(b if isinstance(b, tuple) else (b,) for b in (original, copied)), strict=True):
                if first_difference(one, other) is not None:
                    raise LawError(
                        1, f"{self.where}: {self.stage.name} changed a block it was given at {name}: work on a copy"
                    )
                self.overwritten.append(other)
        self.overwritten.extend(block for block in blocks if block.flags.writeable)
        for block in self.overwritten:
            block[...] = 1
