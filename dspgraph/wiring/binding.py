"""Bindings: a node with the streams at its ports, its lookahead, and the length of its blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias

from dspgraph.errors import DspgraphError, LawError, NodeError, ParameterError
from dspgraph.node import Node, failure_sentence
from dspgraph.shown import shown
from dspgraph.streams import Stream, gcd, to_fraction

MOST_NUMBERS = 2**24
"""The largest number of values in the blocks that the engine may have to hold for one stream: 128 MiB in float64."""

Times: TypeAlias = tuple[Fraction, Fraction]
"""Evenly spaced times in seconds: (step, first) stands for first, first + step, first + 2 * step ..."""


@dataclass(frozen=True)
class Binding:
    """The streams at the ports of a node, and how the engine cuts blocks for the node.

    takes: the stream at every input port; a tuple of streams at a port with `many=True`. gives: the stream at every
    output port. lookahead, block_size: the results of the methods of the node with these names: seconds, an exact
    fraction or infinity; items of the first input, or None.
    """

    takes: tuple[Stream | tuple[Stream, ...], ...]
    gives: tuple[Stream, ...]
    lookahead: Fraction | float
    block_size: int | None
    period: Fraction
    """The shortest span of a block in seconds: `block_size` items of the first input if that is set; otherwise a whole
    number of items of every input."""
    stretch: Fraction = Fraction(1)
    """Seconds of output for each second of input."""
    extra: Fraction = Fraction(0)
    """Seconds of output beyond `stretch` times the duration of the input."""

    @property
    def flat(self) -> tuple[Stream, ...]:
        """The input streams, one per wire: `takes` without the tuples."""
        return tuple(stream for taken in self.takes for stream in (taken if isinstance(taken, tuple) else (taken,)))

    @property
    def waits_for_the_end(self) -> bool:
        """Whether the node needs the whole signal before it gives its first item."""
        return self.lookahead == math.inf

    def wait(self, step: Fraction, phase: Fraction) -> tuple[Fraction | float, Times]:
        """Return the longest wait of some output items for their input, and the times up to which they need input.

        step, phase: in seconds; the output items are those whose spans end at phase, phase + step, phase + 2 * step ...
        The node can give an item when the last period of input that the item needs is complete. The wait of an item is
        the time, in seconds, from the end of its span to the end of this period; infinity for a node that needs the
        whole signal or changes the tempo. The second result, a pair (step, first), stands for the ends of these
        periods: first, first + step, first + 2 * step ... seconds.
        """
        if self.waits_for_the_end or self.stretch != 1:  # a stretched output cannot come in real time
            return math.inf, (self.period, Fraction(0))
        needed = phase + Fraction(self.lookahead)
        if (step / self.period).denominator == 1:  # all items end at the same place in their periods
            end = math.ceil(needed / self.period) * self.period
            return end - phase, (step, end % step)
        grid = gcd(step, self.period)
        return Fraction(self.lookahead) + self.period - (needed % grid or grid), (self.period, Fraction(0))


def bind(name: str, node: Node, takes: tuple[Any, ...]) -> Binding:
    """Return the binding of a node to its input streams.

    The node's methods `streams`, `lookahead`, `stretch`, `extra` and `block_size` are called, and their results are
    checked.

    name: the node's name in its graph, for messages. takes: the input streams, as in `Binding`. Raises ParameterError
    for streams or parameters that do not fit, LawError (law 0) for an impossible result, NodeError if a method fails.
    """
    gives = _checked_outputs(name, node, _ask(name, node, "streams", takes))
    lookahead, block_size = _ask(name, node, "lookahead", takes), _ask(name, node, "block_size", takes)
    if not (isinstance(lookahead, int | float | Fraction) and lookahead >= 0):
        raise LawError(0, f"{name}.lookahead gave {shown(lookahead)}, not seconds from 0 to math.inf")
    if not (block_size is None or (isinstance(block_size, int) and block_size >= 1)):
        raise LawError(0, f"{name}.block_size gave {shown(block_size)}, not None or a number of items from 1 on")
    if block_size is not None and lookahead == math.inf:
        raise LawError(
            0, f"{name} asks for blocks of {block_size} items and for the whole signal in one: declare one of them"
        )
    flat = [stream for taken in takes for stream in (taken if isinstance(taken, tuple) else (taken,))]
    seconds = math.inf if lookahead == math.inf else to_fraction(lookahead)
    stretch, extra = (_checked_seconds(name, hook, _ask(name, node, hook, takes)) for hook in ("stretch", "extra"))
    binding = Binding(takes, gives, seconds, block_size, _period(name, flat, block_size), stretch, extra)
    _check_sizes(f"{name} ({node.type_name})", binding)
    return binding


def _checked_seconds(name: str, hook: str, found: Any) -> Fraction:
    """Return the result of a node's method `stretch` or `extra`, after checking it.

    name, hook: the name of the node and of the method, for messages. found: the result. Raises LawError (law 0) unless
    the result is an exact fraction: a stretch from 1 / 1000 to 1000, an extra from 0 s to 10 minutes.
    """
    exact = isinstance(found, int | Fraction) and not isinstance(found, bool)
    low, high = (Fraction(1, 1000), 1000) if hook == "stretch" else (0, 600)
    if not (exact and low <= found <= high):
        raise LawError(0, f"{name}.{hook} gave {shown(found)}, not a whole number or a Fraction from {low} to {high}")
    return Fraction(found)


def _check_sizes(what: str, binding: Binding) -> None:
    """Raise ParameterError if the blocks of a node would be too large for the memory. what: the node, for messages.

    MOST_NUMBERS limits two sizes: the numbers in one second of each stream, and the numbers of each input stream that
    the node must hold. The node must hold one period, or the span of one output item if that is longer, plus the
    lookahead if that is finite.
    """
    way_out = f"{MOST_NUMBERS} are the most: choose smaller lengths and sizes, a larger hop or a lower rate"
    for stream in (*binding.flat, *binding.gives):
        if (found := stream.rate * math.prod(stream.item_shape)) > MOST_NUMBERS:
            raise ParameterError(f"{what}: a second of {stream} has {math.ceil(found)} numbers; {way_out}")
    span = max(binding.period, *(1 / stream.rate for stream in binding.gives))
    if not binding.waits_for_the_end:
        span += Fraction(binding.lookahead)
    for stream in binding.flat:
        if (found := span * stream.rate * math.prod(stream.item_shape)) > MOST_NUMBERS:
            raise ParameterError(
                f"{what} needs {math.ceil(found)} numbers of {stream} at a time; {MOST_NUMBERS} are the most: choose a "
                "smaller hop, length or delay"
            )


def _checked_outputs(name: str, node: Node, gives: Any) -> tuple[Stream, ...]:
    """Return `gives`, the result of `Node.streams`. Raises LawError unless it has one fitting stream per output.

    name: the name of the node in its graph, for messages.
    """
    if not isinstance(gives, tuple) or not all(isinstance(stream, Stream) for stream in gives):
        raise LawError(0, f"{name}.streams gave {shown(gives)}, not a tuple of streams")
    if len(gives) != len(node.outputs):
        raise LawError(0, f"{name}.streams gave {len(gives)} streams for {len(node.outputs)} outputs")
    for port, stream in zip(node.outputs, gives, strict=True):
        if not port.fits(stream):
            raise LawError(0, f"{name}.{port.name} is declared {port}, but streams() gave {stream}")
    return gives


def _period(name: str, flat: list[Stream], block_size: int | None) -> Fraction:
    """Return the period of a node: the span of the shortest blocks that the node can get, in seconds.

    Without a block size, it is the shortest span in which every stream has a whole number of items. With a block size,
    it is the span of `block_size` items of the first stream. Raises ParameterError if another stream then does not have
    a whole number of items in the span. name: the name of the node, for messages. flat: the input streams, one per
    wire.
    """
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
    """Call a method of a node with its input streams and return the result.

    name: the name of the node in its graph. hook: the name of the method. takes: the input streams, as in `Binding`.
    Puts the name of the node before the message of a ParameterError, and lets any other DspgraphError pass; raises
    NodeError for an error that is not a DspgraphError.
    """
    try:
        return getattr(node, hook)(*takes)
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from error
    except DspgraphError:
        raise
    except Exception as error:
        raise NodeError(f"{name} ({node.type_name}).{hook} failed: {failure_sentence(node, error)}") from error
