"""A reference and a degraded signal, with the same rate and length."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from dspgraph.errors import SignalError
from dspgraph.io.resampling import resample_signal
from dspgraph.streams import Array, Number, first_bad_item, hertz, to_fraction

RATES = (8000, 192_000)
"""Lowest and highest sample rate, Hz. The metrics are not defined outside this range."""

F0_RANGE = (40.0, 1000.0)
"""Lowest and highest pitch, in Hz, that metrics of pitch look for by default."""

T = TypeVar("T")


class Pair:
    """A reference and a degraded signal, with the same rate and length.

    reference, degraded: floats [n] or [n, channels], full scale +-1, both at `rate` Hz. The attributes of these names
    are float64 [n]: channels are averaged to one, and the end of the longer signal is cut off. f0_range: lowest and
    highest pitch that metrics of pitch look for, Hz; `check_f0_range` checks it, this class does not. Raises
    SignalError for a wrong shape or type, for a sample that is not finite, and for a rate outside RATES.
    """

    def __init__(
        self, reference: Array, degraded: Array, rate: Number, f0_range: tuple[float, float] = F0_RANGE
    ) -> None:
        self.rate: Fraction = to_fraction(rate)
        self.f0_range = f0_range
        if not RATES[0] <= self.rate <= RATES[1]:
            raise SignalError(
                f"metrics take audio of {RATES[0]} to {RATES[1]} Hz; found {hertz(self.rate)}: resample it first"
            )
        both = _mono("reference", reference), _mono("degraded signal", degraded)
        n = min(map(len, both))
        self.reference, self.degraded = (x[:n] for x in both)
        self._shared: dict[Callable[[Pair], Any], Any] = {}

    def at(self, rate: int) -> tuple[Array, Array]:
        """Return the reference and the degraded signal, resampled to `rate` Hz."""
        return resample_signal(self.reference, self.rate, rate), resample_signal(self.degraded, self.rate, rate)

    def shared(self, analysis: Callable[[Pair], T]) -> T:
        """Return `analysis(self)`.

        The result is kept: later calls with the same function return the same object without computing it again. Do not
        change it.
        """
        if analysis not in self._shared:
            self._shared[analysis] = analysis(self)
        found: T = self._shared[analysis]
        return found


def _mono(what: str, samples: Array) -> Array:
    samples = np.asarray(samples)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2):
        raise SignalError(
            f"the {what} must be floats [n] or [n, channels], full scale +-1; found {samples.dtype} {samples.shape}"
        )
    rows = samples.astype(np.float64, copy=False).reshape(len(samples), samples.shape[1] if samples.ndim == 2 else 1)
    if (bad := first_bad_item(rows)) is not None:
        raise SignalError(f"the {what} has a sample that is not a number, at {bad}: repair it")
    return rows[:, 0] if rows.shape[1] == 1 else rows.mean(axis=1)
