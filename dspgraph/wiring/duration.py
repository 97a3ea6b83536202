"""Durations: how long a stream lasts, compared with the inputs of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from dspgraph.streams import milliseconds


@dataclass(frozen=True)
class Duration:
    """The duration of a stream: stretch * (duration of the signal) + extra. extra: in seconds, at least 0."""

    stretch: Fraction = Fraction(1)
    extra: Fraction = Fraction(0)

    def of(self, seconds: Fraction) -> Fraction:
        """Return the duration of the stream, in seconds, for a signal of `seconds`."""
        return self.stretch * seconds + self.extra

    def then(self, stretch: Fraction, extra: Fraction) -> Duration:
        """Return the duration of the outputs of a node whose inputs have this duration.

        stretch, extra: the results of `Node.stretch` and `Node.extra`, the latter in seconds.
        """
        return Duration(self.stretch * stretch, self.extra * stretch + extra)

    def __str__(self) -> str:
        times = "" if self.stretch == 1 else f"{_number(self.stretch)} times "
        more = f" and {milliseconds(self.extra)} more" if self.extra else ""
        return f"{times}as long as the input{more}" if times or more else "as long as the input"


def _number(value: Fraction) -> str:
    text = f"{float(value):.10g}"
    return text if Fraction(text) == value else str(value)
