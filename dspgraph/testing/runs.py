"""Ways to run a graph for the checks: in one block, cut into blocks, with seeds for the global random generators."""

from __future__ import annotations

import copy
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    """Return the outputs for a signal that is pushed in one block. arrays: input name -> array."""
    longest = max(stream.seconds(len(arrays[name])) for name, stream in graph.inputs.items())
    return push_all(graph.session(), blocks_of(graph, arrays, [longest]))


def push_all(session: Session, blocks: Iterable[Mapping[str, Array]]) -> Outputs:
    """Push all blocks into a session, flush it, and return the whole outputs."""
    parts = [session.push(**block) for block in blocks]
    return joined([*parts, session.flush()])


def spans(graph: Graph, sizes: Iterable[int]) -> Iterator[Fraction]:
    """Yield the lengths of blocks in seconds, without end. sizes: in items of the fastest input; they are repeated."""
    fastest = max(stream.rate for stream in graph.inputs.values())
    return (Fraction(size) / fastest for size in cycle(sizes))


def beginning(graph: Graph, arrays: Mapping[str, Any], seconds: Fraction) -> dict[str, Array]:
    """Return the first `seconds` of a signal: input name -> array."""
    return {name: np.asarray(arrays[name])[: stream.count(seconds)] for name, stream in graph.inputs.items()}


def duration(graph: Graph, arrays: Mapping[str, Any]) -> Fraction:
    """Return the length of a signal in seconds: the length of its shortest input."""
    return min(stream.seconds(len(arrays[name])) for name, stream in graph.inputs.items())


def cut_name(sizes: Sequence[int]) -> str:
    """Return a cut in words, for messages: "cut into 7", "cut into 7, 11, 3, 900, ..."."""
    return f"cut into {sizes[0]}" if len(sizes) == 1 else f"cut into {', '.join(map(str, sizes[:4]))}, ..."


def seeded_run(graph: Graph, arrays: Mapping[str, Array], seed: int) -> Outputs:
    """Return the outputs for one block, after seeding the global random generators of Python, numpy and torch.

    The states of the generators are restored afterwards.
    """
    with _global_seeds():
        random.seed(seed)
        np.random.seed(seed)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(seed)
        return one_block(graph, arrays)


@contextmanager
def counted_entropy() -> Iterator[list[str]]:
    """Return a context manager that counts uses of randomness without a seed inside its `with` block.

    It gives a list that gets an entry whenever a generator is made without a seed, or the system is asked for random
    bytes. numpy's generators without a seed count too: they ask the system through the module `random`.
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
    """Restore the states of the global generators of Python, numpy and torch when the `with` block ends."""
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
