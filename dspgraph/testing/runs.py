"""Ways to run a graph for the checks: in one block, cut into blocks, with seeds; and the comparison of outputs."""

from __future__ import annotations

import copy
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from typing import Any, TypeAlias

import numpy as np

from dspgraph.engine.blocks import blocks_of, joined
from dspgraph.engine.session import Session
from dspgraph.graph import Graph
from dspgraph.streams import Array

Outputs: TypeAlias = dict[str, Array]


def one_block(graph: Graph, arrays: Mapping[str, Any]) -> Outputs:
    """Return the outputs, name -> whole array, for a signal that a new session is given in one block, then flushed.

    arrays: name of an input -> array, for every input.
    """
    longest = max(stream.seconds(len(arrays[name])) for name, stream in graph.inputs.items())
    return push_all(graph.session(), blocks_of(graph, arrays, [longest]))


def push_all(session: Session, blocks: Iterable[Mapping[str, Array]]) -> Outputs:
    """Push all blocks into a new session and flush it; return output name -> whole array."""
    parts = [session.push(**block) for block in blocks]
    return joined([*parts, session.flush()])


def spans(graph: Graph, sizes: Iterable[int]) -> Iterator[Fraction]:
    """Yield the lengths of blocks in seconds, without end.

    sizes: at least one, in items of the input with the highest rate; they are repeated.
    """
    fastest = max(stream.rate for stream in graph.inputs.values())
    return (Fraction(size) / fastest for size in cycle(sizes))


def beginning(graph: Graph, arrays: Mapping[str, Any], seconds: Fraction) -> dict[str, Array]:
    """Return the items of a signal that begin in its first `seconds`: input name -> array, for every input.

    arrays: input name -> array; an array that is shorter is returned whole.
    """
    return {name: np.asarray(arrays[name])[: stream.count(seconds)] for name, stream in graph.inputs.items()}


def duration(graph: Graph, arrays: Mapping[str, Any]) -> Fraction:
    """Return the length of a signal in seconds: the length of its shortest input."""
    return min(stream.seconds(len(arrays[name])) for name, stream in graph.inputs.items())


def cut_name(sizes: Sequence[int]) -> str:
    """Return a cut in words, for messages: "cut into 7", or with the first four sizes "cut into 7, 11, 3, 900, ..."."""
    return f"cut into {sizes[0]}" if len(sizes) == 1 else f"cut into {', '.join(map(str, sizes[:4]))}, ..."


@dataclass(frozen=True)
class Difference:
    """The first item in which two arrays differ: its index, and its value in each array.

    The value is None in an array that has no such item, because it is shorter than the other array.
    """

    item: int
    expected: Any
    found: Any


def first_difference(expected: Array, found: Array) -> Difference | None:
    """Return the first difference of two arrays, which are compared bit for bit; None if they are equal.

    If the arrays differ in dtype or width, the difference is at item 0, with a description of each array as its value.
    """
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


def seeded_run(graph: Graph, arrays: Mapping[str, Array], seed: int) -> Outputs:
    """Return the outputs of `one_block`, after seeding the global random generators of Python, numpy and torch.

    torch's are seeded only if torch is imported already. The states of the generators are restored afterwards, of
    torch's only that of the CPU.
    """
    with _global_seeds():
        random.seed(seed)
        np.random.seed(seed)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(seed)
        return one_block(graph, arrays)


@contextmanager
def counted_entropy() -> Iterator[list[str]]:
    """Return a context manager that notes each time that its `with` block takes a seed or random bytes from the system.

    It gives a list that gets an entry whenever a generator of the module `random` is made without a seed, or the system
    is asked for random bytes. numpy's generators without a seed count too: they ask the system through the module
    `random`. Numbers from the global generators do not count (see `seeded_run`), nor do generators of torch.
    """
    drawn: list[str] = []
    kept, kept_random, kept_seed = os.urandom, vars(random)["_urandom"], random.Random.seed

    def urandom(size: int) -> bytes:
        drawn.append("entropy")
        return kept(size)

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None:
            drawn.append("a generator without a seed")
        kept_seed(self, a, version)

    vars(random)["_urandom"], os.urandom = urandom, urandom
    random.Random.seed = seed  # type: ignore[method-assign]
    try:
        yield drawn
    finally:
        vars(random)["_urandom"], os.urandom = kept_random, kept
        random.Random.seed = kept_seed  # type: ignore[method-assign]


@contextmanager
def _global_seeds() -> Iterator[None]:
    """Restore the states of the global generators of Python, numpy and torch when the `with` block ends.

    Of torch, only the generator of the CPU is restored, and only if torch was imported before the block.
    """
    kept, kept_numpy = random.getstate(), copy.deepcopy(np.random.get_state())
    torch = sys.modules.get("torch")
    kept_torch = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)
        if torch:
            torch.set_rng_state(kept_torch)
