"""The spectra that GANSynth is trained on: rows of log magnitudes and of angles, made from frames and turned back.

There is one row per frame. Angles are in units of pi radians. Everything is computed in double precision; the caller
rounds the result once.
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

# Kinds of the streams of rows: not those of other nodes, whose spectra have one bin more and another floor.
MAGNITUDE_KINDS = tuple(f"{scaled}gansynth_{one}" for scaled in ("", "scaled_") for one in ("magnitude", "mel"))
ANGLE_KINDS = tuple(
    f"{scaled}gansynth_{one}" for scaled in ("", "scaled_") for one in ("if", "phase", "mel_if", "phasor_mel_if")
)

_FEWEST_BINS = 16  # smallest number of bins of a layout
_FLOOR = 1e-6  # added to magnitudes, and to powers of mel bands, before the logarithm
_SILENT = -13.8155  # 11 steps of float32 above ln(_FLOOR): a row without a magnitude above this is silent
# Larger logarithms count as this (695 dB of magnitude): e**80 and sums of a few e**80 are finite in float32 too.
_LARGEST_LOG_MAGNITUDE = 80.0
_TURN = 2.0  # a full circle, in units of pi
_NARROWEST_BAND = 1.5  # least width of a mel band, in bins


@dataclass(frozen=True)
class Normaliser:
    """The scaling of magnitudes and of angles: y = scale * x + shift, clipped to -1 .. 1.

    magnitude, angle: the pairs (scale, shift).
    """

    magnitude: tuple[float, float]  # scale, shift
    angle: tuple[float, float]  # scale, shift

    def forward(self, magnitude: Array, angle: Array) -> tuple[Array, Array]:
        """Return (magnitude, angle), of any shape, scaled and clipped to -1 .. 1, the range of the network."""
        return tuple(np.clip(x * a + b, -1, 1) for x, (a, b) in self._pairs(magnitude, angle))  # type: ignore[return-value]  # a pair of pairs

    def backward(self, magnitude: Array, angle: Array) -> tuple[Array, Array]:
        """Return (magnitude, angle) as they were before `forward`. Values that `forward` clipped stay clipped."""
        return tuple((y - b) / a for y, (a, b) in self._pairs(magnitude, angle))  # type: ignore[return-value]  # as above

    def _pairs(self, magnitude: Array, angle: Array) -> tuple[tuple[Array, tuple[float, float]], ...]:
        return (magnitude, self.magnitude), (angle, self.angle)


PUBLISHED_NORMALISER = Normaliser((0.0661371661726, 0.113718730221), (0.8, 0.0))


@dataclass(frozen=True)
class GansynthLayout:
    """The layout of GANSynth's rows: number of bins, frequency scale, form of the angles, and scaling.

    A frame has 2 * bins samples, and a new frame begins every bins / 2 samples, so that four frames overlap everywhere.
    """

    bins: int
    drop: DroppedBin  # the bin that is left out, of the bins + 1 of a transform
    scale: GansynthScale
    form: AngleForm  # "phase": the angles; "if": their steps from frame to frame
    normaliser: Normaliser | None  # None: rows are not scaled
    rate: float  # samples per second

    @property
    def n_fft(self) -> int:
        """The number of samples in a frame."""
        return 2 * self.bins

    @property
    def hop(self) -> int:
        """The number of samples from the start of one frame to the start of the next."""
        return self.bins // 2

    @property
    def magnitude_kind(self) -> str:
        """The kind of the stream of magnitudes, one of MAGNITUDE_KINDS, by the scale and the normalisation."""
        return self._kind("magnitude" if self.scale == "linear" else "mel")

    @property
    def angle_kind(self) -> str:
        """The kind of the stream of angles, one of ANGLE_KINDS, by the scale, the form and the normalisation."""
        return self._kind(self.form if self.scale == "linear" else f"{self.scale}_if")

    def _kind(self, kind: str) -> str:
        return f"{'scaled_' if self.normaliser else ''}gansynth_{kind}"

    def check(self) -> None:
        """Raise ValueError unless `bins` is a power of two, at least 16; also if mel bands have the form "phase".

        The message begins with the name of a parameter; the caller puts the name of the node and a dot before it.
        """
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
        """The largest log magnitude that counts as silence, scaled as the rows are."""
        least = self.normaliser.forward(np.array(_SILENT), np.array(0.0))[0] if self.normaliser else _SILENT
        return float(
            np.nextafter(np.float32(least), np.float32(np.inf))
        )  # not below the limit however float32 rounded it

    def analyse(self, frames: Array, before: Array) -> tuple[Array, Array]:
        """Return the magnitudes and the angles of frames, [n, bins] each.

        frames: [n, n_fft], without a window. before: [bins], the angles / pi of the frame before the first one, zeros
        at first; it is used, and updated in place, if the form is "if". X is the Fourier transform of a frame times a
        Hann window, without the bin that `drop` names:

            magnitude = ln(|X| + 1e-6),    angle = arg(X) / pi

        If the form is "if" (instantaneous frequency), each angle is replaced by its difference to the angle in the
        previous frame, wrapped to -1 .. 1. If the scale is "mel" or "phasor_mel", bins become mel bands: the magnitude
        of band m is the logarithm of its power, ln(sum_k W[k, m] * (|X[k]| + 1e-6)**2 + 1e-6) with W from `mel_matrix`;
        its angle is the sum of angles weighted with W and wrapped ("mel"), or `power_weighted_angle` ("phasor_mel").
        Finally both are scaled and clipped by the normaliser, if there is one.
        """
        from scipy.fft import rfft

        from dspgraph_nodes._kernels.maths import elementary
        from dspgraph_nodes._kernels.maths.banded import banded_product

        window = window_values("hann", "none", self.n_fft, np.dtype(np.float64))
        spectrum = rfft(frames * window, axis=1) + 0  # + 0 turns -0.0, of angle pi, into 0.0, of angle 0
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
        """Return frames [n, n_fft] from rows of magnitudes and angles, [n, bins] each.

        The frames are not yet multiplied by the `synthesis_window`; after that they are overlapped and added. The rows
        are as `analyse` returns them: of the layout's scale and form, and normalised if it has a normaliser. before:
        [bins], the sum of the steps of the angle so far, in units of pi, at first 0; it is used, and updated in place,
        if the form is "if". A row with no magnitude above `silent` gives a frame of zeros.
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
        """Return the Hann window [n_fft] divided by 1.5.

        At every sample the squares of the four Hann windows that overlap there sum to 1.5.
        """
        return window_values("hann", "none", self.n_fft, np.dtype(np.float64)) / 1.5


def phase_steps(angle: Array, before: Array) -> Array:
    """Return the change of every angle since the previous row, in units of pi, wrapped to -1 .. 1: [n, bins].

    angle: [n, bins], in units of pi; before: [bins], the row before the first one, overwritten with the last row.
    """
    path = np.concatenate((before[None], angle))
    before[:] = path[-1]
    return wrap_phase(path[1:] - path[:-1], _TURN)


def accumulate_steps(steps: Array, before: Array) -> Array:
    """Return the sums of the steps, which are angles in units of pi, not wrapped: [n, bins].

    This undoes `phase_steps` except for whole turns. steps: [n, bins]; before: [bins], the sum of all earlier steps,
    overwritten with the last row of the result.
    """
    path: Array = np.cumsum(np.concatenate((before[None], steps)), axis=0)
    before[:] = path[-1]
    return path[1:]


def power_weighted_angle(power: Array, angle: Array, weights: "BandedMatrix") -> Array:
    """Return the angle, in units of pi, of the sum of the phasors in every band: [n, bands].

        arg(sum_k power[k] * e**(i * pi * angle[k]) * W[k, m]) / pi

    power, angle: [n, bins], angles in units of pi; weights: W [bins, bands].
    """
    from dspgraph_nodes._kernels.maths import elementary
    from dspgraph_nodes._kernels.maths.banded import banded_product

    phasors = from_polar(power, np.pi * angle)
    total = np.empty((len(power), len(weights.first)), np.complex128)
    total.real = banded_product(phasors.real, weights)
    total.imag = banded_product(phasors.imag, weights)
    return elementary.angle(total + 0) / np.pi


def mel_matrix(bins: int, rate: float) -> Array:
    """Return the matrix W [bins, bins] that turns the powers of bins into those of the same number of mel bands.

    A band is a triangle with peak 1 and sides that are straight in Hz, between the edges of `mel_edges`: band m rises
    from edge m, has its peak at edge m + 1, and falls to edge m + 2. Row 0, for 0 Hz, is zero. A transform has one
    bin more, of which the first or the last is dropped. In both cases the remaining bins count as equally spaced from 0
    to rate / 2, as in the published program.
    """
    frequency = np.linspace(0, rate / 2, bins)[:, None]
    edges = mel_edges(bins, rate)
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    matrix: Array = np.maximum(0, np.minimum((frequency - low) / (peak - low), (high - frequency) / (high - peak)))
    matrix[0] = 0
    return matrix


def mel_edges(bins: int, rate: float) -> Array:
    """Return the edges of the mel bands, in Hz, [bins + 2].

    At first the edges are equally spaced from 0 to rate / 2 in mel = 1127 * ln(1 + f / 700). Then, from the lowest band
    to the highest, a band that is narrower than 1.5 bins is widened to 1.5 bins, with both edges at the same distance
    in mel from its peak. The upper edge of a band is also the peak of the next band and the lower edge of the band
    after that, so these two bands change too; at 16 kHz, the peaks up to 5 kHz are finally 3/4 of a bin apart. The
    published program changes them in this way because its lower edges, peaks and upper edges are views of one array,
    and the published weights expect the result.

    Source: magenta, models/gansynth/lib/spectral_ops.py, linear_to_mel_weight_matrix.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp, log

    nyquist = rate / 2
    mel = np.linspace(0, 1127 * float(log(np.array(1 + nyquist / 700))), bins + 2)
    narrowest = _NARROWEST_BAND * nyquist / bins
    for band in range(bins):
        low, peak, high = _hertz(exp(mel[band : band + 3] / 1127))
        if high - low < narrowest:
            # hertz(c + d) - hertz(c - d) = 2 * (f_c + 700) * sinh(d / 1127), and arsinh(x) = ln(x + sqrt(x**2 + 1))
            x = 0.5 * narrowest / (peak + 700)
            widening = 1127 * float(log(np.array(x + math.sqrt(x * x + 1))))
            mel[band], mel[band + 2] = mel[band + 1] - widening, mel[band + 1] + widening
    return _hertz(exp(mel / 1127))


def inverse_mel_matrix(bins: int, rate: float) -> Array:
    """Return the matrix V [bins, bins] from mel bands back to bins: the transpose of W, with scaled columns.

    V = W^T * diag(1 / (ones * W * W^T)), where W is the result of `mel_matrix` and `ones` a row of ones. A bin in which
    no band has weight becomes 0. In all other bins, a constant spectrum is restored except for rounding; other spectra
    are restored approximately.
    """
    from dspgraph_nodes._kernels.maths.banded import banded_product, to_banded

    matrix = mel_matrix(bins, rate)
    total = banded_product(banded_product(np.ones((1, bins)), to_banded(matrix)), to_banded(matrix.T))
    return np.divide(matrix.T, total, out=np.zeros_like(matrix), where=total > 1e-8)


@lru_cache(maxsize=4)
def mel_bands(bins: int, rate: float) -> "BandedMatrix":
    """Return the matrix W of `mel_matrix` as a BandedMatrix."""
    from dspgraph_nodes._kernels.maths.banded import to_banded

    return to_banded(mel_matrix(bins, rate))


@lru_cache(maxsize=4)
def inverse_mel_bands(bins: int, rate: float) -> "BandedMatrix":
    """Return the matrix V of `inverse_mel_matrix` as a BandedMatrix."""
    from dspgraph_nodes._kernels.maths.banded import to_banded

    return to_banded(inverse_mel_matrix(bins, rate))


def _hertz(exponential: Array) -> Array:
    return 700 * (exponential - 1)
