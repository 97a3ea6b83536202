"""WORLD through pyworld, kept within what its C++ code can bear. What it does beyond it, found with pyworld 0.3.5:

* cheaptrick and d4c write past their buffers for an F0 above half the rate, and fail to get memory for one that is NaN;
  synthesize does at an F0 of the rate. Such a pitch is refused.
* cheaptrick corrupts the heap where its FFT is no power of two, or shorter than the window it takes for an unvoiced
  frame, three periods of 500 Hz: 512 points are needed at 48 kHz, 128 at 16 kHz. synthesize does for rows of an FFT
  that is no power of two, or shorter than one such period.
* d4c corrupts the heap at rates below 8 kHz. Below 15.8 kHz its test of voicing, which compares the power up to 4 kHz
  with that up to 7.9 kHz, reads memory that nobody has set, whatever the threshold: there the signal is given to it at
  twice its rate, and half of each row is kept.
* synthesize gives NaN for a power of 0, and a voice never below 1e-6 of full scale. harvest finds no memory for a
  signal without samples.
* All want contiguous float64, and go through the whole signal. Their noise is drawn anew, the same, in every call.
* Their sines and logarithms are the C library's, which chooses its code by processor: glibc with and without fused
  multiply-add gives float64 results that differ in their last digits. Nothing here can change that.
"""

import math
import warnings
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MISSING = "needs pyworld, which is not installed: pip install 'dspgraph[world]'"
LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
LOUDEST = 1e6  # of full scale: powers of what is louder leave float64
UNVOICED = 500.0  # Hz: how cheaptrick analyses a frame without pitch
VOICING_RATE = 15800  # Hz: d4c's test of voicing looks up to 7900 Hz


def library() -> Any:
    """pyworld; ImportError where it is not installed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        return import_module("pyworld")


def installed() -> bool:
    """Whether pyworld is there."""
    try:
        library()
    except ImportError:
        return False
    return True


def analysable(x: Any) -> None:
    """ValueError for audio (its `rate` and `channels`) that WORLD cannot analyse, or where pyworld is not installed."""
    if not installed():
        raise ValueError(MISSING)
    if x.channels > 1:
        raise ValueError(f"takes one channel; found {x}: put a mono 'mix' before it")
    if not LOWEST_RATE <= x.rate <= HIGHEST_RATE or x.rate.denominator > 1:
        raise ValueError(
            f"takes audio of a whole number of hertz from {LOWEST_RATE} to {HIGHEST_RATE}; found {x}: "
            "put a 'resample' before it"
        )


def pitch_range(x: Any, low: float, high: float) -> None:
    """ValueError for a range of pitch, Hz, in which WORLD cannot search such audio."""
    if not low < high <= x.rate / 4:
        raise ValueError(
            f"f0_min is {low:g} and f0_max {high:g}; at {x} they must rise, up to {float(x.rate / 4):g} Hz"
        )


def points(x: Any, n_fft: int | None) -> int:
    """The FFT of cheaptrick and d4c, by default the one for 71 Hz; ValueError for one that they cannot bear."""
    points = n_fft or fft_size(x.rate)
    if points & (points - 1) or points < shortest_fft(x.rate):
        raise ValueError(
            f"n_fft is {points}; at {x} it must be a power of two from {shortest_fft(x.rate)} on: take "
            f"{fft_size(x.rate)}"
        )
    return points


def fft_size(rate: Fraction, low: float = 71.0) -> int:
    """The power of two that holds three periods of the lowest pitch, WORLD's choice."""
    return int(2 << math.floor(math.log2(3 * float(rate) / low + 1)))


def shortest_fft(rate: Fraction) -> int:
    """The smallest power of two with which cheaptrick is sound."""
    return int(1 << math.ceil(math.log2(3 * float(rate) / UNVOICED + 2)))


def _samples(x: Array) -> Array:
    samples = np.ascontiguousarray(x, np.float64)
    if not len(samples):
        raise ValueError("WORLD takes a signal of one sample or more; found none")
    if not (np.abs(samples) <= LOUDEST).all():
        at = int(np.argmin(np.abs(samples) <= LOUDEST))
        raise ValueError(f"WORLD takes samples of full scale +-1; item {at} is {samples[at]:g}: scale the signal first")
    return samples


def _pitch(f0: Array, rate: Fraction) -> Array:
    pitch = np.ascontiguousarray(f0, np.float64)
    good = pitch <= float(rate / 2)
    if not good.all():
        at = int(np.argmin(good))
        raise ValueError(
            f"a pitch at {float(rate):.10g} samples per second is at most {float(rate / 2):g} Hz; "
            f"frame {at} has {pitch[at]:g} Hz"
        )
    return np.maximum(pitch, 0)


def harvest(x: Array, rate: Fraction, hop: int, low: float, high: float) -> Array:
    """Pitch in Hz at every `hop` samples of x, 0 where there is no voice. x: [n], n >= 1. Returns [ceil(n / hop)]."""
    f0: Array
    f0, _ = library().harvest(_samples(x), int(rate), f0_floor=low, f0_ceil=high, frame_period=1000 * hop / float(rate))
    return f0[: -(-len(x) // hop)]


def dio(x: Array, rate: Fraction, hop: int, low: float, high: float, allowed_range: float, refine: bool) -> Array:
    """The same by DIO, its pitch refined by StoneMask if asked for."""
    world, samples = library(), _samples(x)
    f0: Array
    f0, times = world.dio(
        samples,
        int(rate),
        f0_floor=low,
        f0_ceil=high,
        frame_period=1000 * hop / float(rate),
        allowed_range=allowed_range,
    )
    if refine:
        f0 = world.stonemask(samples, f0, times, int(rate))
    return f0[: -(-len(x) // hop)]


def cheaptrick(x: Array, rate: Fraction, f0: Array, times: Array, n_fft: int, q1: float) -> Array:
    """Power spectra at `times` (seconds) with the pitch f0 there, [frames, n_fft / 2 + 1]; 0 for a silent signal.

    The caller sees to it that n_fft is a power of two, shortest_fft(rate) or more.
    """
    samples, pitch = _samples(x), _pitch(f0, rate)
    if not samples.any():
        return np.zeros((len(pitch), n_fft // 2 + 1))
    power: Array = library().cheaptrick(samples, pitch, times, int(rate), q1=q1, fft_size=n_fft)
    return power


def d4c(x: Array, rate: Fraction, f0: Array, times: Array, n_fft: int, threshold: float) -> Array:
    """Aperiodicity, 0 to 1, at `times` (seconds) with the pitch f0 there, [frames, n_fft / 2 + 1]; n_fft as above."""
    samples, pitch = _samples(x), _pitch(f0, rate)
    faster = 1 if rate >= VOICING_RATE else 2
    if faster == 2:
        samples = twice(samples)
    rows: Array = library().d4c(samples, pitch, times, int(rate) * faster, threshold=threshold, fft_size=n_fft * faster)
    return np.ascontiguousarray(rows[:, : n_fft // 2 + 1])


def twice(x: Array) -> Array:
    """x at twice its rate: its spectrum, and nothing above it."""
    from scipy.fft import irfft, next_fast_len, rfft

    length = 2 * int(next_fast_len(len(x)))  # half of it zeros, so that the end does not ring into the beginning
    spectrum = np.zeros(length + 1, np.complex128)
    spectrum[: length // 2 + 1] = rfft(x, length)
    spectrum[length // 2] /= 2  # half of it belongs to the mirror image
    y: Array = irfft(spectrum, 2 * length)
    return 2 * y[: 2 * len(x)]


def synthesis(
    f0: Array, power: Array, aperiodicity: Array, rate: Fraction, frames: Fraction, centre: Fraction
) -> Array:
    """Speech from rows at the times k / frames + centre, [ceil(n rate / frames)]; 0 where all power is 0.

    f0: [n]; power, aperiodicity: [n, n_fft / 2 + 1], n_fft as above; rate, frames: per second; centre: seconds. What
    lies before the first row or after the last has that row. A power below finfo(float64).tiny is taken as that.
    """
    count = math.ceil(len(f0) * rate / frames)
    pitch = _pitch(f0, rate)
    if not (power > 0).any():
        return np.zeros(count)
    early, late = max(0, math.ceil(centre * frames)), max(0, math.ceil(-centre * frames))
    at = np.clip(np.arange(-early, len(pitch) + late), 0, len(pitch) - 1)
    y: Array = library().synthesize(
        pitch[at],
        np.maximum(power, np.finfo(np.float64).tiny, dtype=np.float64)[at],
        np.clip(aperiodicity, 0, 1, dtype=np.float64)[at],
        int(rate),
        1000 / float(frames),
    )
    begin = round(early * rate / frames - centre * rate)
    speech = np.zeros(count)
    given = y[begin : begin + count]
    speech[: len(given)] = given  # a hop that is no whole number leaves the last sample to the next frame
    return speech
