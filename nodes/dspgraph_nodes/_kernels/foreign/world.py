"""WORLD through pyworld, called only with arguments that its C++ code handles.

The limits below were found with pyworld 0.3.5:

* cheaptrick and d4c write past their buffers for an F0 above half the rate, and cannot allocate memory for an F0 that
  is NaN. A pitch above half the rate is refused.
* cheaptrick corrupts the heap if its FFT length is not a power of two, or is shorter than the window of an unvoiced
  frame, which is three periods of 500 Hz: 512 points are needed at 48 kHz, 128 at 16 kHz.
* d4c corrupts the heap at rates below 8 kHz. Its voicing test compares the power up to 4 kHz with the power up to
  7.9 kHz. At rates below 15.8 kHz the test reads uninitialised memory, whatever the threshold. At these rates the
  signal is given to d4c at twice its rate, and the lower half of each row is kept.
* harvest cannot allocate memory for a signal without samples.
* dio and harvest write filters past the end of a buffer whose size depends on the length of the signal: dio one of
  40 ms, harvest one of four periods of its lowest filter. Zeros are added to shorter signals.
* stonemask gives 0 for a pitch above a twelfth of the rate, and may read past a spectrum for a pitch above a 24th of
  the rate. For a pitch above a 24th of the rate the signal is given to stonemask at a multiple of its rate.
* All functions need contiguous float64 arrays. The noise that they add is the same in every call.
* Sines and logarithms come from the C library, which chooses its code by processor: with and without fused
  multiply-add, glibc gives float64 results that differ in their last digits. This module cannot change that.
"""

import math
import warnings
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.f0_range import SEARCH_MARGIN, drop_outside, highest_checked
from dspgraph_nodes._kernels.signal.fourier import upsample
from dspgraph_nodes._kernels.signal.subharmonics import raise_subharmonics

PYWORLD_MISSING = "needs pyworld, which is not installed: pip install 'dspgraph[world]'"
_LOWEST_RATE, _HIGHEST_RATE = 8000, 192000  # Hz
_MAX_AMPLITUDE = 1e6  # times full scale: the power of a louder signal overflows float64
_STONEMASK_RATE = 24  # stonemask takes a pitch up to the rate divided by this
HARVEST_BELOW = 2.0  # the search of harvest begins at the lowest pitch / 2: it doubles a pitch below its search
_UNVOICED = 500.0  # Hz: the pitch that cheaptrick assumes for an unvoiced frame
VOICING_RATE = 15800  # Hz: at this rate or more a spectrum has the bins up to 7900 Hz that d4c's voicing test reads


def pyworld() -> Any:
    """Import pyworld and return the module. Raises ImportError if it is not installed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        return import_module("pyworld")


def is_installed() -> bool:
    """Return whether pyworld is installed."""
    try:
        pyworld()
    except ImportError:
        return False
    return True


def check_audio(x: Any) -> None:
    """Raise ValueError if WORLD cannot analyse an audio stream, or if pyworld is not installed.

    x: the stream; its attributes `rate` and `channels` are read. The message lacks its subject, the name of a node,
    which the caller puts before it.
    """
    if not is_installed():
        raise ValueError(PYWORLD_MISSING)
    if x.channels > 1:
        raise ValueError(f"takes one channel; found {x}: put a mono 'mix' before it")
    if not _LOWEST_RATE <= x.rate <= _HIGHEST_RATE or x.rate.denominator > 1:
        raise ValueError(
            f"takes audio of a whole number of hertz from {_LOWEST_RATE} to {_HIGHEST_RATE}; found {x}: "
            "put a 'resample' before it"
        )


def check_analysis(node: str, x: Any, f0: Any, n_fft: int | None) -> int:
    """Return the FFT length with which a node runs cheaptrick or d4c.

    node: the name of the node, for messages; x: the audio stream; f0: the stream of its pitch; n_fft: the wanted
    length, or None for WORLD's own choice. Raises ValueError if cheaptrick and d4c cannot analyse these streams, or
    cannot use this length.
    """
    try:
        check_audio(x)
    except ValueError as error:
        raise ValueError(f"{node} {error}") from None
    if f0.width != 1:
        raise ValueError(f"{node} takes one pitch per frame; found {f0}")
    try:
        return check_fft(x, n_fft)
    except ValueError as error:
        raise ValueError(f"{node}.{error}") from None


def check_search(node: str, x: Any, low: float, high: float) -> None:
    """Raise ValueError if dio or harvest cannot search the pitch range, low to high in Hz, in the audio stream x.

    node: the name of the node, for the error.
    """
    try:
        check_audio(x)
    except ValueError as error:
        raise ValueError(f"{node} {error}") from None
    try:
        check_pitch_range(x, low, high)
    except ValueError as error:
        raise ValueError(f"{node}.{error}") from None


def check_pitch_range(x: Any, low: float, high: float) -> None:
    """Raise ValueError unless low < high <= rate / 4, all in Hz, as WORLD needs it. x: the audio stream.

    The message begins with the parameter "f0_min"; the caller puts the name of the node and a dot before it.
    """
    if not low < high <= x.rate / 4:
        raise ValueError(
            f"f0_min is {low:g} and f0_max {high:g}; at {x} f0_min must be below f0_max, and f0_max at most "
            f"{float(x.rate / 4):g} Hz"
        )


def check_fft(x: Any, n_fft: int | None) -> int:
    """Return n_fft or, if it is None, the FFT length that WORLD chooses for a lowest pitch of 71 Hz.

    x: the audio stream. Raises ValueError for a length that cheaptrick and d4c cannot use. The message begins with the
    parameter "n_fft"; the caller puts the name of the node and a dot before it.
    """
    points = n_fft or fft_size(x.rate)
    if points & (points - 1) or points < shortest_fft(x.rate):
        raise ValueError(
            f"n_fft is {points}; at {x} it must be a power of two from {shortest_fft(x.rate)} on: take "
            f"{fft_size(x.rate)}"
        )
    return points


def fft_size(rate: Fraction, low: float = 71.0) -> int:
    """Return the FFT length that WORLD chooses: the least power of two above 3 * rate / low + 1.

    rate: the sampling rate, Hz; low: the lowest pitch, Hz.
    """
    return int(2 << math.floor(math.log2(3 * float(rate) / low + 1)))


def short_fft(x: Any, n_fft: int | None) -> str | None:
    """Return a warning if the FFT of cheaptrick is too short for a low voice, otherwise None.

    The arguments are those of `check_fft`.
    """
    enough = fft_size(x.rate)
    if n_fft is None or n_fft >= enough:
        return None
    lowest = 3 * float(x.rate) / (n_fft - 3)  # as WORLD's GetF0FloorForCheapTrick
    return (
        f"cheaptrick.n_fft is {n_fft}, too short for a pitch below {lowest:.0f} Hz, which is analysed as if it were "
        f"{_UNVOICED:.0f} Hz: take {enough} for voices from 71 Hz on"
    )


def shortest_fft(rate: Fraction) -> int:
    """Return the smallest FFT length, a power of two, with which cheaptrick does not write outside its buffers.

    rate: Hz.
    """
    return int(1 << math.ceil(math.log2(3 * float(rate) / _UNVOICED + 2)))


def check_samples(samples: Array, first: int = 0) -> None:
    """Raise ValueError that names the first sample that is too large for WORLD, or NaN.

    samples: [n]; first: the number of samples[0] in the signal.
    """
    good = np.abs(samples) <= _MAX_AMPLITUDE
    if not good.all():
        at = int(np.argmin(good))
        raise ValueError(
            f"WORLD takes samples of full scale +-1; item {first + at} is {samples[at]:g}: scale the signal first"
        )


def check_pitches(f0: Array, rate: Fraction, first: int = 0) -> None:
    """Raise ValueError that names the first pitch that is above half the sample rate, or NaN.

    f0: [frames], in Hz; rate: Hz; first: the number of the frame f0[0] in the signal.
    """
    good = f0 <= float(rate / 2)
    if not good.all():
        at = int(np.argmin(good))
        raise ValueError(
            f"a pitch at {float(rate):.10g} samples per second is at most {float(rate / 2):g} Hz; "
            f"frame {first + at} has {f0[at]:g} Hz"
        )


def _samples(x: Array) -> Array:
    samples = np.ascontiguousarray(x, np.float64)
    if not len(samples):
        raise ValueError("WORLD takes a signal of one sample or more; found none")
    check_samples(samples)
    return samples


def _pitch(f0: Array, rate: Fraction) -> Array:
    pitch = np.ascontiguousarray(f0, np.float64)
    check_pitches(pitch, rate)
    return np.maximum(pitch, 0)


def harvest(x: Array, rate: Fraction, hop: int, low: float, high: float) -> Array:
    """Return the pitch by Harvest: one value in Hz for every `hop` samples, [ceil(n / hop)]; 0 where unvoiced.

    x: [n], n >= 1, full scale +-1; rate: the sampling rate, Hz; low, high: the range of the pitch, Hz, which
    `check_search` must accept. Harvest searches from an octave below to 20 % above this range, at most up to a quarter
    of the rate. A value that is a subharmonic of the signal is then replaced by its multiple (see
    `raise_subharmonics`), and a pitch outside the range, or at an end, becomes 0. Value k is the pitch at sample k *
    hop. Raises ValueError if n is 0, or for a sample that `check_samples` refuses.
    """
    f0: Array
    lowest, highest = low / HARVEST_BELOW, min(high * SEARCH_MARGIN, float(rate / 4))
    samples = _at_least(_samples(x), 3 * rate / lowest)
    f0, _ = pyworld().harvest(
        samples, int(rate), f0_floor=lowest, f0_ceil=highest, frame_period=1000 * hop / float(rate)
    )
    return _checked(x, rate, hop, f0, low, high)


def dio(x: Array, rate: Fraction, hop: int, low: float, high: float, allowed_range: float, refine: bool) -> Array:
    """Return the pitch by DIO: one value in Hz for every `hop` samples, [ceil(n / hop)]; 0 where unvoiced.

    x: [n], n >= 1, full scale +-1; rate: the sampling rate, Hz; low, high: the range of the pitch, Hz, which
    `check_search` must accept; allowed_range: the largest relative change of the pitch from frame to frame: with small
    values more frames are unvoiced; refine: whether StoneMask refines the result. DIO searches from low / 1.2 to high *
    1.2, at most up to a quarter of the rate. A value that is a subharmonic of the signal is then replaced by its
    multiple (see `raise_subharmonics`), and a pitch outside low .. high, or at an end, becomes 0. Value k is the pitch
    at sample k * hop. Raises ValueError if n is 0, or for a sample that `check_samples` refuses.
    """
    world, samples = pyworld(), _at_least(_samples(x), rate / 20)
    lowest, highest = low / SEARCH_MARGIN, min(high * SEARCH_MARGIN, float(rate / 4))
    f0: Array
    f0, times = world.dio(
        samples,
        int(rate),
        f0_floor=lowest,
        f0_ceil=highest,
        frame_period=1000 * hop / float(rate),
        allowed_range=allowed_range,
    )
    if refine:
        f0 = _refined(samples, rate, f0, times, high)
    return _checked(x, rate, hop, f0, low, high)


def _refined(x: Array, rate: Fraction, f0: Array, times: Array, high: float) -> Array:
    """Return the pitch after refinement by StoneMask, [frames] in Hz.

    x: [n], the signal; rate: the sampling rate, Hz; f0: [frames], DIO's pitch at each of the times [frames], in
    seconds; high: the upper end of the range, Hz. A pitch that is above a 24th of the rate and more than 10 % above
    `high` is not refined, because it will be set to 0.
    """
    reached = f0 <= rate / _STONEMASK_RATE
    found: Array = pyworld().stonemask(x, np.where(reached, f0, 0), times, int(rate))
    above = ~reached & (f0 <= 1.1 * high)
    if above.any():
        faster = 1 << math.ceil(math.log2(_STONEMASK_RATE * 1.1 * high / rate))
        found += pyworld().stonemask(upsample(x, faster), np.where(above, f0, 0), times, int(rate) * faster)
    return np.where(reached | above, found, f0)


def _checked(x: Array, rate: Fraction, hop: int, f0: Array, low: float, high: float) -> Array:
    """Return the pitch [frames] in Hz, with subharmonics raised to the true pitch, and 0 outside the range low to high.

    A pitch at an end of the range becomes 0 too. x: [n], the signal; rate: the sampling rate, Hz; hop: samples per
    frame; f0: [frames or more], the pitch in Hz that WORLD found at every hop-th sample. There are ceil(n / hop)
    frames.
    """
    count = -(-len(x) // hop)
    at = np.arange(count) * float(hop)
    raised = raise_subharmonics(_samples(x), float(rate), f0[:count], at, highest_checked(high))
    return drop_outside(raised, low, high)


def _at_least(x: Array, samples: Fraction | float) -> Array:
    """Return x [n] with zeros appended, so that it has at least `samples` samples."""
    return np.pad(x, (0, max(0, math.ceil(samples) - len(x))))


def cheaptrick(x: Array, rate: Fraction, f0: Array, times: Array, n_fft: int, q1: float) -> Array:
    """Return power spectra by CheapTrick, [frames, n_fft / 2 + 1]. Where every sample is 0 they are about 1e-17.

    x: [n], n >= 1, full scale +-1; rate: the sampling rate, Hz, a whole number; f0: [frames], the pitch in Hz, 0 where
    unvoiced; times: [frames], contiguous float64, the time of each pitch in seconds; q1: CheapTrick's parameter of
    spectral recovery. The caller must ensure that n_fft is a power of two and at least shortest_fft(rate). Raises
    ValueError if n is 0, and for samples and pitches that `check_samples` and `check_pitches` refuse.
    """
    samples, pitch = _samples(x), _pitch(f0, rate)
    power: Array = pyworld().cheaptrick(samples, pitch, times, int(rate), q1=q1, fft_size=n_fft)
    return power


def d4c(x: Array, rate: Fraction, f0: Array, times: Array, n_fft: int, threshold: float) -> Array:
    """Return the aperiodicity by D4C, from 0 to 1, [frames, n_fft / 2 + 1].

    A frame without pitch is all noise, about 1, and so is a frame that fails the voicing test: its power up to 4 kHz is
    less than `threshold` times its power up to 7.9 kHz. The other arguments and the errors: as in `cheaptrick`; the
    caller must also ensure that the rate is 8 kHz or more.
    """
    samples, pitch = _samples(x), _pitch(f0, rate)
    faster = 1 if rate >= VOICING_RATE else 2
    if faster == 2:
        samples = upsample(samples, 2)
    rows: Array = pyworld().d4c(samples, pitch, times, int(rate) * faster, threshold=threshold, fft_size=n_fft * faster)
    return np.ascontiguousarray(rows[:, : n_fft // 2 + 1])
