"""pysptk's pitch trackers, kept within what their C code can bear. What they do beyond it, found with pysptk 1.0.1:

* Both keep static buffers: one call at a time.
* rapt adds noise to its input and keeps half a pair of Gaussian numbers for the next call, so that what came before
  changes the result. Two draws put its generator back.
* rapt gives memory as it was found for a signal of less than one frame, and never reaches the last 30 to 60 ms. The
  zeros that follow a signal, put there, cure both.
* rapt writes past its buffers at rates below 6000 Hz and at amplitudes from 1e7 of full scale on, and gives up its
  linear prediction at 99000 Hz and more. Such rates and amplitudes are refused.
* swipe reads past a signal shorter than half its longest window, past its list of windows when there is only one, and
  past a spectrum when the last point of its ERB grid lies above the last bin of its shortest window: at 16 kHz, 60 to
  240 Hz is sound, but 80 to 400 Hz gives other results from call to call. Zeros cure the first; taking the samples to
  be a little faster than they are, by at most 1 %, moves the grid.
"""

import math
import warnings
from fractions import Fraction
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    from pysptk import sptk as sptk

Array = NDArray[Any]

LOUDEST = 100.0  # of full scale: what is louder is no sound that was scaled to +-1
FULL_SCALE = 32768.0  # both trackers take int16 amplitudes
FIRST_NOISE = 0.0561838755  # what the noise generator gives first, from its seed 1
WINDOW = float(np.float32(0.0075))  # seconds that rapt correlates
SHORTEST = 256  # samples in swipe's shortest window, so that its last bin is within a step of the ERB grid from Nyquist

_lock = Lock()


def rapt(x: Array, rate: Fraction, hop: int, low: float, high: float, bias: float) -> Array:
    """Pitch in Hz of every `hop` samples of x, full scale +-1 and zero after its end; 0 where there is no voice.

    x: [n], n >= 1. Returns [ceil(n / hop)] float32. The caller sees to it that 8000 <= rate <= 96000, hop <= rate / 10
    and 20 <= low < high < rate / 2. Raises ValueError for a sample beyond LOUDEST.
    """
    _check_loudness(x)
    count = -(-len(x) // hop)
    padded = np.zeros(max(count, 2) * hop + _rapt_reach(float(rate), low), np.float32)
    padded[: len(x)] = x * x.dtype.type(FULL_SCALE)
    with _lock:
        reset_noise()
        f0: Array = sptk.rapt(padded, float(rate), hop, min=low, max=high, voice_bias=bias, otype="f0")
    return f0[:count]


def _check_loudness(x: Array) -> None:
    if (np.abs(x) > LOUDEST).any():
        at = int(np.argmax(np.abs(x) > LOUDEST))
        raise ValueError(
            f"a pitch tracker takes samples of full scale +-1; item {at} is {float(x[at]):g}, beyond {LOUDEST:g}: "
            "scale the signal first"
        )


def _rapt_reach(rate: float, low: float) -> int:
    """Samples that the last frame needs from its start on: the longer of two windows, and half a decimation filter."""
    correlation = math.floor(WINDOW * rate + 0.5) + math.floor(rate / low + 0.5) + 1  # and the longest period
    stationarity = int(0.03 * rate) - (int(0.03 * rate) - int(0.02 * rate)) // 2
    return (int(0.005 * rate) + 1) // 2 + max(correlation, stationarity)


def reset_noise() -> None:
    """Put SPTK's Gaussian generator, which `excite` shares, at the beginning of a pair."""
    for _ in range(2):
        if not math.isclose(sptk.excite(np.zeros(2), hopsize=1, gaussian=True, seed=1)[0], FIRST_NOISE, rel_tol=1e-8):
            return


def swipe(x: Array, rate: Fraction, hop: int, low: float, high: float, threshold: float) -> Array:
    """Pitch in Hz at every `hop` samples of x, full scale +-1 and zero outside; 0 where there is no voice.

    x: [n], n >= 1. Returns [ceil(n / hop)] float64. Raises ValueError where `swipe_rate` does, and for
    a sample beyond LOUDEST.
    """
    _check_loudness(x)
    taken = swipe_rate(rate, low, high)
    scale = float(taken / rate)
    padded = np.zeros(max(len(x), _swipe_windows(taken, low * scale, high * scale)[0] // 2))
    padded[: len(x)] = x * FULL_SCALE
    with _lock:
        f0: Array = sptk.swipe(padded, taken, hop, min=low * scale, max=high * scale, threshold=threshold, otype="f0")
    return f0[: -(-len(x) // hop)] / scale


@lru_cache(maxsize=32)
def swipe_rate(rate: Fraction, low: float, high: float) -> int:
    """The whole rate from `rate` on at which swipe stays inside its tables; ValueError, with the rule, if none is."""
    if high < 1.42 * low:
        raise ValueError(f"f0_max must be at least 1.42 times f0_min, half an octave; found {low:g} and {high:g}")
    longest, shortest = _swipe_windows(float(rate), low, high)
    if shortest < SHORTEST:
        most = math.floor(low * 2 ** (math.log2(longest / SHORTEST) + 0.49))
        lower = f"set f0_max to {most} Hz or less, or " if most >= 1.42 * low else ""
        raise ValueError(
            f"f0_max is {high:g} Hz, too high for a rate of {float(rate):g} Hz and an f0_min of {low:g} Hz: {lower}"
            "put a 'resample' to a higher rate before it"
        )
    for taken in range(math.ceil(rate), math.ceil(rate * Fraction(101, 100)) + 1):
        scale = float(taken / rate)
        bottom = _erb(low * scale / 4)
        steps = math.ceil((_erb(taken / 2) - bottom) / 0.1) - 1
        if _hertz(bottom + steps * 0.1) <= taken / 2 * (1 - 2 / shortest):
            return taken
    raise ValueError(f"no rate near {float(rate):g} Hz suits f0_min {low:g} Hz and f0_max {high:g} Hz")


def _swipe_windows(rate: float, low: float, high: float) -> tuple[int, int]:
    """The longest and the shortest of its windows: eight periods of the lowest and the highest pitch, to an octave."""
    longest, octaves = math.log2(8 * rate / low), math.log2(high / low)
    exponent = math.floor(longest + 0.5)
    return 1 << exponent, 1 << max(0, exponent - math.floor(octaves + 0.5))


def _erb(hertz: float) -> float:
    return 21.4 * math.log10(1 + hertz / 229)


def _hertz(erb: float) -> float:
    return (10 ** (erb / 21.4) - 1) * 229
