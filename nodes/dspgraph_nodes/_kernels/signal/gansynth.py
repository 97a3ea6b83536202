"""The pictures of sound that GANSynth is trained on: log magnitude and angle, one row per frame, and the way back.

Angles count in half turns: 1 is pi. All is computed in double precision; who calls rounds once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.signal.phase import from_polar, wrapped
from dspgraph_nodes._kernels.signal.windows import taper

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.maths.banded import Bands

Array = NDArray[Any]
Drop = Literal["nyquist", "dc"]
Scale = Literal["linear", "mel", "phasor_mel"]
Form = Literal["if", "phase"]

# What a row is: no other node's rows lack a bin and have this floor, so that none is taken for one of these.
MAGNITUDES = tuple(f"{scaled}gansynth_{one}" for scaled in ("", "scaled_") for one in ("magnitude", "mel"))
ANGLES = tuple(
    f"{scaled}gansynth_{one}" for scaled in ("", "scaled_") for one in ("if", "phase", "mel_if", "phasor_mel_if")
)

FEWEST = 16  # bins
FLOOR = 1e-6  # added to magnitudes, and to powers of mel bands, before the logarithm
SILENT = -13.8155  # ln FLOOR = -13.81551, and a hundred roundings of float32 above it: nothing but the floor
LOUDEST = 80.0  # log magnitudes above count as this, 695 dB: e**80 and sums of a few of it are numbers in float32 too
HALVES = 2.0  # half turns in a turn
NARROWEST = 1.5  # width of a mel band, in bins


@dataclass(frozen=True)
class Normaliser:
    """y = scale x + shift, clipped to -1 .. 1, for the magnitudes and for the angles."""

    magnitude: tuple[float, float]  # scale, shift
    angle: tuple[float, float]

    def forward(self, magnitude: Array, angle: Array) -> tuple[Array, Array]:
        """Both scaled and clipped."""
        return tuple(np.clip(x * a + b, -1, 1) for x, (a, b) in self._pairs(magnitude, angle))  # type: ignore[return-value]  # a pair of pairs

    def backward(self, magnitude: Array, angle: Array) -> tuple[Array, Array]:
        """Both scaled back; what was clipped stays where it was clipped."""
        return tuple((y - b) / a for y, (a, b) in self._pairs(magnitude, angle))  # type: ignore[return-value]  # as above

    def _pairs(self, magnitude: Array, angle: Array) -> tuple[tuple[Array, tuple[float, float]], ...]:
        return (magnitude, self.magnitude), (angle, self.angle)


PUBLISHED = Normaliser((0.0661371661726, 0.113718730221), (0.8, 0.0))


@dataclass(frozen=True)
class Picture:
    """How a signal is drawn: [frames, bins] of magnitude and of angle, from windows of 2 bins samples, 4 over each."""

    bins: int
    drop: Drop
    scale: Scale
    form: Form
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
        """What a row of magnitudes is."""
        return self._kind("magnitude" if self.scale == "linear" else "mel")

    @property
    def angle_kind(self) -> str:
        """What a row of angles is."""
        return self._kind(self.form if self.scale == "linear" else f"{self.scale}_if")

    def _kind(self, kind: str) -> str:
        return f"{'scaled_' if self.normaliser else ''}gansynth_{kind}"

    def check(self) -> None:
        """Raise ValueError where these choices are at odds."""
        if self.bins < FEWEST or self.bins & (self.bins - 1):
            near = max(FEWEST, 2 ** round(math.log2(max(1, self.bins))))
            raise ValueError(f"bins is {self.bins}; it must be a power of two, at least {FEWEST}: take {near}")
        if self.scale != "linear" and self.form == "phase":
            raise ValueError(
                f"form is 'phase', with the scale '{self.scale}'; a mel band has no phase of its own: take the form "
                "'if', or the scale 'linear'"
            )

    @property
    def silent(self) -> float:
        """A row with no magnitude above this has nothing but the floor, scaled and clipped as rows are."""
        least = self.normaliser.forward(np.array(SILENT), np.array(0.0))[0] if self.normaliser else SILENT
        return float(np.nextafter(np.float32(least), np.float32(np.inf)))  # above it whichever way float32 rounds

    def draw(self, frames: Array, before: Array) -> tuple[Array, Array]:
        """Magnitudes and angles [n, bins] of frames [n, n_fft]; before [bins]: the angles of the frame before, renewed.

        magnitude = ln(|X| + 1e-6), angle = arg X / pi; for mel bands the logarithm of power, sum_k W[k, m] |X_k|**2.
        """
        from scipy.fft import rfft

        from dspgraph_nodes._kernels.maths import elementary
        from dspgraph_nodes._kernels.maths.banded import banded

        window = taper("hann", "none", self.n_fft, np.dtype(np.float64))
        spectrum = rfft(frames * window, axis=1) + 0  # + 0: the angle of -0 is not pi
        spectrum = spectrum[:, 1:] if self.drop == "dc" else spectrum[:, :-1]
        magnitude = np.sqrt(elementary.squared(spectrum)) + FLOOR
        angle = elementary.angle(spectrum) / np.pi
        if self.form == "if":
            angle = steps(angle, before)
        if self.scale == "linear":
            magnitude = elementary.log(magnitude)
        else:
            weights = mel_bands(self.bins, self.rate)
            power = magnitude * magnitude
            magnitude = elementary.log(banded(power, weights) + FLOOR)
            if self.scale == "mel":
                angle = wrapped(banded(angle, weights), HALVES)
            else:
                angle = turned(power, angle, weights)
        return self.normaliser.forward(magnitude, angle) if self.normaliser else (magnitude, angle)

    def sound(self, magnitude: Array, angle: Array, before: Array) -> Array:
        """Frames [n, n_fft], without a window, from rows [n, bins]; before [bins]: the sum of the steps, renewed.

        A row with nothing above the floor is a silent frame.
        """
        from scipy.fft import irfft

        from dspgraph_nodes._kernels.maths import elementary
        from dspgraph_nodes._kernels.maths.banded import banded

        magnitude, angle = magnitude.astype(np.float64), angle.astype(np.float64)
        silent = (magnitude <= self.silent).all(axis=1)
        if self.normaliser:
            magnitude, angle = self.normaliser.backward(magnitude, angle)
        magnitude = elementary.exp(np.minimum(magnitude, LOUDEST))
        if self.scale != "linear":
            weights = linear_bins(self.bins, self.rate)
            angle = banded(angle, weights) if self.scale == "mel" else turned(magnitude, angle, weights)
            magnitude = np.sqrt(banded(magnitude, weights) + FLOOR)
        if self.form == "if":
            angle = sums(angle, before)
        magnitude[silent] = 0
        spectrum = np.zeros((len(magnitude), self.bins + 1), np.complex128)
        kept = spectrum[:, 1:] if self.drop == "dc" else spectrum[:, :-1]
        kept[:] = from_polar(magnitude, np.pi * wrapped(angle, HALVES))
        frames: Array = irfft(spectrum, self.n_fft, axis=1)
        return frames

    def synthesis_window(self) -> Array:
        """The window over the sum of the squares of the four that overlap, 1.5."""
        return taper("hann", "none", self.n_fft, np.dtype(np.float64)) / 1.5


def steps(angle: Array, before: Array) -> Array:
    """By how much each row turned since the one before: differences of the unwrapped angles. Renews before [bins]."""
    path = np.concatenate((before[None], angle))
    before[:] = path[-1]
    return wrapped(path[1:] - path[:-1], HALVES)


def sums(steps: Array, before: Array) -> Array:
    """The angles that turned by these steps. Renews before [bins], the sum of the steps so far."""
    path: Array = np.cumsum(np.concatenate((before[None], steps)), axis=0)
    before[:] = path[-1]
    return path[1:]


def turned(power: Array, angle: Array, weights: "Bands") -> Array:
    """The angle of a sum of phasors weighted by power: arg(sum_k power[k] e**(i pi angle[k]) W[k, m]) / pi."""
    from dspgraph_nodes._kernels.maths import elementary
    from dspgraph_nodes._kernels.maths.banded import banded

    phasors = from_polar(power, np.pi * angle)
    total = np.empty((len(power), len(weights.first)), np.complex128)
    total.real = banded(phasors.real, weights)
    total.imag = banded(phasors.imag, weights)
    return elementary.angle(total + 0) / np.pi


def mel_matrix(bins: int, rate: float) -> Array:
    """W [bins, bins]: as many triangles as bins, peak 1, equally spaced in mel = 1127 ln(1 + f / 700), linear in Hz.

    A band narrower than 1.5 bins is widened by as many mel on both sides. The row of 0 Hz is empty. Bins are taken as
    linspace(0, rate / 2, bins), whichever was dropped.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, log

    nyquist = rate / 2
    frequency = np.linspace(0, nyquist, bins)
    edges = np.linspace(0, 1127 * float(log(np.array(1 + nyquist / 700))), bins + 2)
    lower, centre, upper = edges[:-2].copy(), edges[1:-1], edges[2:].copy()
    least = NARROWEST * nyquist / bins
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
    """V [bins, bins] = W^T diag(1 / (1 W W^T)), 0 where no band looks: what is constant comes back, and little else."""
    from dspgraph_nodes._kernels.maths.banded import banded, bands

    matrix = mel_matrix(bins, rate)
    total = banded(banded(np.ones((1, bins)), bands(matrix)), bands(matrix.T))
    return np.divide(matrix.T, total, out=np.zeros_like(matrix), where=total > 1e-8)


@lru_cache(maxsize=4)
def mel_bands(bins: int, rate: float) -> "Bands":
    """W, ready to be applied to rows."""
    from dspgraph_nodes._kernels.maths.banded import bands

    return bands(mel_matrix(bins, rate))


@lru_cache(maxsize=4)
def linear_bins(bins: int, rate: float) -> "Bands":
    """V, ready to be applied to rows."""
    from dspgraph_nodes._kernels.maths.banded import bands

    return bands(inverse_mel_matrix(bins, rate))


def _hertz(exponential: Array) -> Array:
    return 700 * (exponential - 1)
