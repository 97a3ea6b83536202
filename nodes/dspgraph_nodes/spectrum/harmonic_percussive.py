"""Separation of harmonic and percussive sounds."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.medians import running_medians


def soft_mask(x: Array, other: Array, power: int, margin: float) -> Array:
    """Return the mask x**power / (x**power + (margin * other)**power), in the shape of x, from 0 to 1.

    x, other: floats, at least 0, of one shape and dtype. Where both are 0, the mask is 1/2 if the margin is 1, else 0.
    """
    other = other * x.dtype.type(margin)
    largest = np.maximum(x, other)
    silent = largest < np.finfo(x.dtype).tiny
    scale = np.where(silent, 1, largest)
    a, b = np.ones_like(x), np.ones_like(x)
    for _ in range(power):
        a, b = a * (x / scale), b * (other / scale)
    mask: Array = np.where(silent, x.dtype.type(0.5 if margin == 1 else 0), a / np.where(silent, 1, a + b))
    return mask


class HarmonicPercussive(Node):
    """Separate the spectra of sustained tones from those of percussive sounds, by medians over time and over frequency.

        H = median of |X| over `harmonic` rows,    P = median of |X| over `percussive` bins
        harmonic part = X * H**p / (H**p + (margin * P)**p),    percussive part = X * P**p / (P**p + (margin * H)**p)

    Each median is centred on the value X that is split. Beyond the edges the rows and the bins are mirrored. With a
    margin of 1 the two parts sum to X. X is complex, or a magnitude; p is `power`.

    Source: D. Fitzgerald, Harmonic/percussive separation using median filtering, DAFx 2010; J. Driedger, M. Muller and
    S. Disch, Extending harmonic-percussive separation of audio signals, ISMIR 2014 (margin); librosa 0.11 reference,
    `librosa.decompose.hpss`.
    """

    x = Input(Frames, "spectrum", "magnitude")
    harmonic_part = Output(Frames, "spectrum", "magnitude")
    percussive_part = Output(Frames, "spectrum", "magnitude")

    harmonic: int = Field(31, ge=1, le=999, description="rows of the median over time, an odd number")
    percussive: int = Field(31, ge=1, le=999, description="bins of the median over frequency, an odd number")
    power: int = Field(2, ge=1, le=8, description="exponent p of the masks")
    margin: float = Field(1.0, ge=1, le=1e3, description="factor by which one median must exceed the other")

    def streams(self, x: Frames) -> tuple[Frames, Frames]:
        for name, value in (("harmonic", self.harmonic), ("percussive", self.percussive)):
            if not value % 2:
                raise ParameterError(f"harmonic_percussive.{name} is {value}; it must be odd: take {value + 1}")
        return x, x

    def lookahead(self, x: Frames) -> Fraction:
        return (self.harmonic // 2) / x.rate

    def start(self, x: Frames) -> State:
        return x.empty(), False  # rows, and whether the mirrored rows were put before them

    def step(self, state: State, x: Array) -> tuple[State, Array, Array]:
        rows, mirrored = state
        rows, half = np.concatenate((rows, x)), self.harmonic // 2
        if not mirrored:
            if len(rows) <= half:
                return (rows, False), rows[:0].copy(), rows[:0].copy()
            rows = np.concatenate((rows[:half][::-1], rows))
        kept = rows[max(0, len(rows) - 2 * half) :].copy()
        return (kept, True), *self._parts(rows)

    def flush(self, state: State) -> tuple[Array, Array]:
        rows, mirrored = state
        half = self.harmonic // 2
        if not len(rows):
            return self._parts(rows)
        if mirrored:
            return self._parts(np.concatenate((rows, rows[len(rows) - half :][::-1])))
        return self._parts(np.pad(rows, ((half, half), (0, 0)), mode="symmetric"))

    def _parts(self, rows: Array) -> tuple[Array, Array]:
        """Return the harmonic and the percussive part of those rows whose neighbours in time are all in `rows`.

        rows: [n, bins]. Both parts have n - `harmonic` + 1 rows, or none: `harmonic` // 2 rows at each end only serve
        the medians of the others.
        """
        half, count = self.harmonic // 2, max(0, len(rows) - self.harmonic + 1)
        if not count:
            return rows[:0].copy(), rows[:0].copy()
        x = rows[half : half + count]
        magnitude = np.abs(rows) if rows.dtype.kind != "c" else np.sqrt(rows.real**2 + rows.imag**2)
        sustained = running_medians(magnitude, self.harmonic)
        side = self.percussive // 2
        spread = np.pad(magnitude[half : half + count], ((0, 0), (side, side)), mode="symmetric")
        struck = running_medians(np.ascontiguousarray(spread.T), self.percussive).T
        return (
            x * soft_mask(sustained, struck, self.power, self.margin),
            x * soft_mask(struck, sustained, self.power, self.margin),
        )
