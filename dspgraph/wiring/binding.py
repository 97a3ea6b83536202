"""A node bound to the streams at its ports: the streams it gives, how long it waits, how its blocks are cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias

from dspgraph.errors import DspgraphError, LawError, NodeError, ParameterError
from dspgraph.node import Node, failure_sentence
from dspgraph.streams import Stream, gcd, to_fraction

Times: TypeAlias = tuple[Fraction, Fraction]
"""Evenly spaced times: the step between them, and the first."""


@dataclass(frozen=True)
class Binding:
    """A node in a graph: the streams at its ports, and how the engine cuts blocks for it."""

    takes: tuple[Stream | tuple[Stream, ...], ...]
    gives: tuple[Stream, ...]
    lookahead: Fraction | float
    block_size: int | None
    period: Fraction
    """The shortest time span a block can have: a whole number of items of every input."""

    @property
    def flat(self) -> tuple[Stream, ...]:
        """The streams that go in, one per wire."""
        return tuple(stream for taken in self.takes for stream in (taken if isinstance(taken, tuple) else (taken,)))

    @property
    def waits_for_the_end(self) -> bool:
        """Whether the node needs the whole signal before its first item comes out."""
        return self.lookahead == math.inf

    def wait(self, step: Fraction, phase: Fraction) -> tuple[Fraction | float, Times]:
        """Return how long the node keeps items that end at the times `phase`, `phase + step`, `phase + 2 step` ...

        Return the longest wait, and the times, in the same form, at which the items that it waits for end.
        """
        if self.waits_for_the_end:
            return math.inf, (self.period, Fraction(0))
        needed = phase + Fraction(self.lookahead)
        if (step / self.period).denominator == 1:  # every item meets the periods in the same way
            end = math.ceil(needed / self.period) * self.period
            return end - phase, (step, end % step)
        grid = gcd(step, self.period)
        return Fraction(self.lookahead) + self.period - (needed % grid or grid), (self.period, Fraction(0))


def bind(name: str, node: Node, takes: tuple[Any, ...]) -> Binding:
    """Ask a node that takes these streams what it gives and how its blocks are cut; check the answers."""
    gives = _checked_outputs(name, node, _ask(name, node, "streams", takes))
    lookahead, block_size = _ask(name, node, "lookahead", takes), _ask(name, node, "block_size", takes)
    if not (isinstance(lookahead, int | float | Fraction) and lookahead >= 0):
        raise LawError(0, f"{name}.lookahead gave {lookahead!r}, not seconds from 0 to math.inf")
    if not (block_size is None or (isinstance(block_size, int) and block_size >= 1)):
        raise LawError(0, f"{name}.block_size gave {block_size!r}, not None or a number of items from 1 on")
    if block_size is not None and lookahead == math.inf:
        raise LawError(
            0, f"{name} asks for blocks of {block_size} items and for the whole signal in one: declare one of them"
        )
    flat = [stream for taken in takes for stream in (taken if isinstance(taken, tuple) else (taken,))]
    seconds = math.inf if lookahead == math.inf else to_fraction(lookahead)
    return Binding(takes, gives, seconds, block_size, _period(name, flat, block_size))


def _checked_outputs(name: str, node: Node, gives: Any) -> tuple[Stream, ...]:
    """Return what `streams` gave; raise LawError unless it is one fitting stream per output."""
    if not isinstance(gives, tuple) or not all(isinstance(stream, Stream) for stream in gives):
        raise LawError(0, f"{name}.streams gave {gives!r}, not a tuple of streams")
    if len(gives) != len(node.outputs):
        raise LawError(0, f"{name}.streams gave {len(gives)} streams for {len(node.outputs)} outputs")
    for port, stream in zip(node.outputs, gives, strict=True):
        if not port.fits(stream):
            raise LawError(0, f"{name}.{port.name} is declared {port}, but streams() gave {stream}")
    return gives


def _period(name: str, flat: list[Stream], block_size: int | None) -> Fraction:
    """Return the shortest span of a block: the one asked for, or a whole number of items of every input."""
    if block_size is None:
        return 1 / reduce(gcd, (stream.rate for stream in flat))
    period = block_size / flat[0].rate
    for stream in flat:
        if (period * stream.rate).denominator != 1:
            raise ParameterError(
                f"{name} works on {block_size} items of {flat[0]} at a time, which is {period * stream.rate} items "
                f"of {stream}: choose rates that divide it evenly"
            )
    return period


def _ask(name: str, node: Node, hook: str, takes: tuple[Any, ...]) -> Any:
    """Call one of the methods that describe a node. Errors in it name the node."""
    try:
        return getattr(node, hook)(*takes)
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from error
    except DspgraphError:
        raise
    except Exception as error:
        raise NodeError(f"{name} ({node.type_name}).{hook} failed: {failure_sentence(node, error)}") from error
