"""The log magnitudes and angles of spectra that GANSynth is trained on, one row per frame, and the way back.

Angles are in half turns: 1 is pi. Everything is computed in double precision; the caller rounds once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.phase import from_polar, wrap_phase
from dspgraph_nodes._kernels.signal.windows import window_values

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.maths.banded import BandedMatrix

DroppedBin = Literal["nyquist", "dc"]
GansynthScale = Literal["linear", "mel", "phasor_mel"]
AngleForm = Literal["if", "phase"]

# Kinds of rows. Other nodes' rows have all bins and another floor, so the kinds are different.
MAGNITUDE_KINDS = tuple(f"{scaled}gansynth_{one}" for scaled in ("", "scaled_") for one in ("magnitude", "mel"))
ANGLE_KINDS = tuple(
    f"{scaled}gansynth_{one}" for scaled in ("", "scaled_") for one in ("if", "phase", "mel_if", "phasor_mel_if")
)

_FEWEST_BINS = 16  # bins
_FLOOR = 1e-6  # added to magnitudes, and to powers of mel bands, before the logarithm
_SILENT = -13.8155  # just above ln _FLOOR = -13.81551, by a hundred roundings of float32: a row below is silent
# Larger log magnitudes count as this, 695 dB: e**80 and sums of a few such values are finite in float32 too.
_LARGEST_LOG_MAGNITUDE = 80.0
_TURN = 2.0  # half turns in a turn
_NARROWEST_BAND = 1.5  # width of a mel band, in bins


@dataclass(frozen=True)
class Normaliser:
    """A scaling y = scale x + shift, clipped to -1 .. 1, of the magnitudes and of the angles."""

    magnitude: tuple[float, float]  # scale, shift
    angle: tuple[float, float]

    def forward(self, magnitude: Array, angle: Array) -> tuple[Array, Array]:
        """Return both scaled and clipped."""
        return tuple(np.clip(x * a + b, -1, 1) for x, (a, b) in self._pairs(magnitude, angle))  # type: ignore[return-value]  # a pair of pairs

    def backward(self, magnitude: Array, angle: Array) -> tuple[Array, Array]:
        """Return both scaled back; clipped values stay at their limits."""
        return tuple((y - b) / a for y, (a, b) in self._pairs(magnitude, angle))  # type: ignore[return-value]  # as above

    def _pairs(self, magnitude: Array, angle: Array) -> tuple[tuple[Array, tuple[float, float]], ...]:
        return (magnitude, self.magnitude), (angle, self.angle)


PUBLISHED_NORMALISER = Normaliser((0.0661371661726, 0.113718730221), (0.8, 0.0))


@dataclass(frozen=True)
class GansynthLayout:
    """The layout of GANSynth's rows: bins, scale, and form of the angle.

    Windows have 2 bins samples and overlap four times.
    """

    bins: int
    drop: DroppedBin
    scale: GansynthScale
    form: AngleForm
    normaliser: Normaliser | None
    rate: float  # samples per second

    @property
    def n_fft(self) -> int:
        """Samples in a frame."""
        return 2 * self.bins

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.bins // 2

    @property
    def magnitude_kind(self) -> str:
        """Kind of the rows of magnitudes."""
        return self._kind("magnitude" if self.scale == "linear" else "mel")

    @property
    def angle_kind(self) -> str:
        """Kind of the rows of angles."""
        return self._kind(self.form if self.scale == "linear" else f"{self.scale}_if")

    def _kind(self, kind: str) -> str:
        return f"{'scaled_' if self.normaliser else ''}gansynth_{kind}"

    def check(self) -> None:
        """Raise ValueError for choices that do not go together."""
        if self.bins < _FEWEST_BINS or self.bins & (self.bins - 1):
            near = max(_FEWEST_BINS, 2 ** round(math.log2(max(1, self.bins))))
            raise ValueError(f"bins is {self.bins}; it must be a power of two, at least {_FEWEST_BINS}: take {near}")
        if self.scale != "linear" and self.form == "phase":
            raise ValueError(
                f"form is 'phase', with the scale '{self.scale}'; a mel band has no phase of its own: take the form "
                "'if', or the scale 'linear'"
            )

    @property
    def silent(self) -> float:
        """Limit of the magnitudes of a silent row, scaled and clipped as rows are."""
        least = self.normaliser.forward(np.array(_SILENT), np.array(0.0))[0] if self.normaliser else _SILENT
        return float(
            np.nextafter(np.float32(least), np.float32(np.inf))
        )  # above the limit whichever way float32 rounds

    def analyse(self, frames: Array, before: Array) -> tuple[Array, Array]:
        """Return magnitudes and angles [n, bins] of frames [n, n_fft].

        before: [bins], the angles of the frame before; updated in place.

            magnitude = ln(|X| + 1e-6),    angle = arg X / pi

        For mel bands the magnitude is the logarithm of the power, sum_k W[k, m] |X_k|**2.
        """
        from scipy.fft import rfft

        from dspgraph_nodes._kernels.maths import elementary
        from dspgraph_nodes._kernels.maths.banded import banded_product

        window = window_values("hann", "none", self.n_fft, np.dtype(np.float64))
        spectrum = rfft(frames * window, axis=1) + 0  # + 0: the angle of -0 is not pi
        spectrum = spectrum[:, 1:] if self.drop == "dc" else spectrum[:, :-1]
        magnitude = np.sqrt(elementary.squared_magnitude(spectrum)) + _FLOOR
        angle = elementary.angle(spectrum) / np.pi
        if self.form == "if":
            angle = phase_steps(angle, before)
        if self.scale == "linear":
            magnitude = elementary.log(magnitude)
        else:
            weights = mel_bands(self.bins, self.rate)
            power = magnitude * magnitude
            magnitude = elementary.log(banded_product(power, weights) + _FLOOR)
            if self.scale == "mel":
                angle = wrap_phase(banded_product(angle, weights), _TURN)
            else:
                angle = power_weighted_angle(power, angle, weights)
        return self.normaliser.forward(magnitude, angle) if self.normaliser else (magnitude, angle)

    def synthesise(self, magnitude: Array, angle: Array, before: Array) -> Array:
        """Return frames [n, n_fft], without a window, from rows [n, bins].

        before: [bins], the sum of the phase steps; updated in place. A row with nothing above the floor is a silent
        frame.
        """
        from scipy.fft import irfft

        from dspgraph_nodes._kernels.maths import elementary
        from dspgraph_nodes._kernels.maths.banded import banded_product

        magnitude, angle = magnitude.astype(np.float64), angle.astype(np.float64)
        silent = (magnitude <= self.silent).all(axis=1)
        if self.normaliser:
            magnitude, angle = self.normaliser.backward(magnitude, angle)
        magnitude = elementary.exp(np.minimum(magnitude, _LARGEST_LOG_MAGNITUDE))
        if self.scale != "linear":
            weights = inverse_mel_bands(self.bins, self.rate)
            angle = (
                banded_product(angle, weights)
                if self.scale == "mel"
                else power_weighted_angle(magnitude, angle, weights)
            )
            magnitude = np.sqrt(banded_product(magnitude, weights) + _FLOOR)
        if self.form == "if":
            angle = accumulate_steps(angle, before)
        magnitude[silent] = 0
        spectrum = np.zeros((len(magnitude), self.bins + 1), np.complex128)
        kept = spectrum[:, 1:] if self.drop == "dc" else spectrum[:, :-1]
        kept[:] = from_polar(magnitude, np.pi * wrap_phase(angle, _TURN))
        frames: Array = irfft(spectrum, self.n_fft, axis=1)
        return frames

    def synthesis_window(self) -> Array:
        """Return the window divided by 1.5, the sum of the squares of the four windows that overlap."""
        return window_values("hann", "none", self.n_fft, np.dtype(np.float64)) / 1.5


def phase_steps(angle: Array, before: Array) -> Array:
    """Return by how much each row turned since the one before: differences of the unwrapped angles.

    before: [bins], the row before the first; updated in place.
    """
    path = np.concatenate((before[None], angle))
    before[:] = path[-1]
    return wrap_phase(path[1:] - path[:-1], _TURN)


def accumulate_steps(steps: Array, before: Array) -> Array:
    """Return the angles that these steps add up to.

    before: [bins], the sum of the steps so far; updated in place.
    """
    path: Array = np.cumsum(np.concatenate((before[None], steps)), axis=0)
    before[:] = path[-1]
    return path[1:]


def power_weighted_angle(power: Array, angle: Array, weights: "BandedMatrix") -> Array:
    """Return the angle of a power-weighted sum of phasors: arg(sum_k power[k] e**(i pi angle[k]) W[k, m]) / pi."""
    from dspgraph_nodes._kernels.maths import elementary
    from dspgraph_nodes._kernels.maths.banded import banded_product

    phasors = from_polar(power, np.pi * angle)
    total = np.empty((len(power), len(weights.first)), np.complex128)
    total.real = banded_product(phasors.real, weights)
    total.imag = banded_product(phasors.imag, weights)
    return elementary.angle(total + 0) / np.pi


def mel_matrix(bins: int, rate: float) -> Array:
    """Return W [bins, bins]: one triangle per bin, peak 1, equally spaced in mel = 1127 ln(1 + f / 700), linear in Hz.

    A band narrower than 1.5 bins is widened by the same number of mel on both sides. The row of 0 Hz is empty. Bins lie
    at linspace(0, rate / 2, bins), whichever bin was dropped.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, log

    nyquist = rate / 2
    frequency = np.linspace(0, nyquist, bins)
    edges = np.linspace(0, 1127 * float(log(np.array(1 + nyquist / 700))), bins + 2)
    lower, centre, upper = edges[:-2].copy(), edges[1:-1], edges[2:].copy()
    least = _NARROWEST_BAND * nyquist / bins
    narrow = _hertz(exp(upper / 1127)) - _hertz(exp(lower / 1127)) < least
    # hertz(c + d) - hertz(c - d) = 2 (f_c + 700) sinh(d / 1127), and arsinh x = ln(x + sqrt(x**2 + 1))
    x = 0.5 * least / (_hertz(exp(centre / 1127)) + 700)
    widening = 1127 * log(x + np.sqrt(x * x + 1))
    lower[narrow] = (centre - widening)[narrow]
    upper[narrow] = (centre + widening)[narrow]
    low, peak, high = (_hertz(exp(edge / 1127)) for edge in (lower, centre, upper))
    rising = (frequency[:, None] - low) / (peak - low)
    falling = (high - frequency[:, None]) / (high - peak)
    matrix: Array = np.maximum(0, np.minimum(rising, falling))
    matrix[0] = 0
    return matrix


def inverse_mel_matrix(bins: int, rate: float) -> Array:
    """Return V [bins, bins] = W^T diag(1 / (1 W W^T)); 0 where no band has weight.

    A constant spectrum comes back exactly; others only approximately.
    """
    from dspgraph_nodes._kernels.maths.banded import banded_product, to_banded

    matrix = mel_matrix(bins, rate)
    total = banded_product(banded_product(np.ones((1, bins)), to_banded(matrix)), to_banded(matrix.T))
    return np.divide(matrix.T, total, out=np.zeros_like(matrix), where=total > 1e-8)


@lru_cache(maxsize=4)
def mel_bands(bins: int, rate: float) -> "BandedMatrix":
    """Return W as a banded matrix."""
    from dspgraph_nodes._kernels.maths.banded import to_banded

    return to_banded(mel_matrix(bins, rate))


@lru_cache(maxsize=4)
def inverse_mel_bands(bins: int, rate: float) -> "BandedMatrix":
    """Return V as a banded matrix."""
    from dspgraph_nodes._kernels.maths.banded import to_banded

    return to_banded(inverse_mel_matrix(bins, rate))


def _hertz(exponential: Array) -> Array:
    return 700 * (exponential - 1)
