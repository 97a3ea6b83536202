"""The blocks in which a signal goes through a graph: their duration, cutting, and joining."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain, repeat
from typing import Any, TypeAlias

import numpy as np

from dspgraph.errors import SignalError, UnknownName, suggest
from dspgraph.streams import Array
from dspgraph.wiring.wiring import Wiring

Arrays: TypeAlias = Mapping[str, Any]
Signal: TypeAlias = Arrays | Iterable[Arrays]
"""A signal: a mapping of input names to whole arrays, or an iterable of such mappings, one per block."""

QUANTUM = Fraction(1, 100)
"""Seconds of signal in a block of a live graph, by default. They need not be a whole number of samples."""

BLOCK = Fraction(1)
"""Seconds of signal in a block when whole arrays are rendered. With shorter blocks the time per call would matter;
longer blocks would not fit in the processor's cache."""


def blocks_of(graph: Wiring, signals: Arrays, seconds: Iterable[Fraction] = ()) -> Iterator[dict[str, Array]]:
    """Yield a signal in blocks: mappings of every input name to an array. All arrays of a block cover the same span.

    signals: input name -> whole array, for the inputs of `graph`. seconds: the lengths of the first blocks, in seconds;
    all later blocks last 1 s (`BLOCK`). A block has the items that begin in its span: blocks of 10 ms at 22050 Hz have
    221, 220, 221, 220 ... samples. If one input is shorter than another, its last blocks are empty. A signal without
    items gives no block. Shape, dtype and values are not checked: a session does that.

    Raises UnknownName for a name that is no input of the graph, and SignalError if an input has no array, both when the
    first block is taken.
    """
    check_input_names(graph, signals)
    for name, stream in graph.inputs.items():
        if name not in signals:
            raise SignalError(f"the graph takes '{name}', {stream}; it was not given")
    arrays = {name: np.asarray(signals[name]) for name in graph.inputs}
    longest = max(graph.inputs[name].seconds(len(np.atleast_1d(array))) for name, array in arrays.items())
    end, lengths = Fraction(0), chain(seconds, repeat(BLOCK))
    while end < longest:
        begin, end = end, end + next(lengths)
        yield {
            name: array[stream.count(begin) : stream.count(end)] if array.ndim else array
            for (name, stream), array in zip(graph.inputs.items(), arrays.values(), strict=True)
        }


def check_input_names(graph: Wiring, names: Iterable[str]) -> None:
    """Raise UnknownName for a name that is no input of the graph."""
    for name in names:
        if name not in graph.inputs:
            raise UnknownName(f"the graph has no input '{name}'; {suggest(name, graph.inputs)}")


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """Join the parts of every output; return output name -> whole array.

    parts: one mapping per round, in order, at least one: output name -> the items of this round.
    """
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
