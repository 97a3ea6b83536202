"""pysptk's pitch trackers, called only with arguments that their C code handles.

The limits below were found with pysptk 1.0.1:

* Both trackers keep static buffers: only one call may run at a time.
* rapt adds noise to its input. The noise generator makes Gaussian numbers in pairs and may keep the second number of a
  pair for the next call, so an earlier call changes the result. `reset_noise` removes a number that was kept.
* rapt returns uninitialised memory for a signal of less than one frame, and never analyses the last 30 to 60 ms of any
  signal. Zeros are appended to every signal, which avoids both.
* rapt writes past its buffers at rates below 6000 Hz and at amplitudes of 1e7 times full scale or more. At 99000 Hz
  and above its linear prediction fails. Such rates and amplitudes are refused.
* swipe reads past the end of a signal that is shorter than half its longest window. Zeros are added to such signals.
* swipe reads past its list of windows if the list has only one. Such a pitch range is refused.
* swipe reads past the end of a spectrum if the last point of its ERB grid lies above the last bin of its shortest
  window. At 16 kHz, for example, 60 to 240 Hz is safe, but for 80 to 400 Hz the results differ between calls. The
  signal is then passed to swipe with a rate up to 1 % too high, which moves the grid; then the pitch is corrected.
"""

import math
import warnings
from fractions import Fraction
from functools import lru_cache
from threading import Lock

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.pcm import INT16_FULL_SCALE

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    from pysptk import sptk as sptk

_MAX_AMPLITUDE = 100.0  # a signal beyond 100 times full scale was surely not scaled to +-1
_FIRST_NOISE = 0.0561838755  # the first number that the noise generator makes after seed 1
_CORRELATION_WINDOW = float(np.float32(0.0075))  # seconds, rounded to float32 as in rapt
# Lower limit of swipe's shortest window, in samples. The last bin of a shorter window is more than one step of the ERB
# grid below half the rate.
_SHORTEST_WINDOW = 256

_lock = Lock()


def rapt(x: Array, rate: Fraction, hop: int, low: float, high: float, bias: float) -> Array:
    """Return the pitch by RAPT: one value in Hz for every `hop` samples, [ceil(n / hop)] float32; 0 where unvoiced.

    x: [n] samples, n >= 1, full scale +-1, taken as 0 after the end; low, high: the range of the pitch, Hz; bias: the
    voice_bias of rapt: the higher, the more frames are voiced. The caller must ensure 8000 <= rate <= 96000,
    hop <= rate / 10 and 20 <= low < high < rate / 2. Raises ValueError that names the first sample beyond 100 times
    full scale.
    """
    _check_loudness(x)
    count = -(-len(x) // hop)
    padded = np.zeros(max(count, 2) * hop + _rapt_reach(float(rate), low), np.float32)
    padded[: len(x)] = x * x.dtype.type(INT16_FULL_SCALE)
    with _lock:
        reset_noise()
        f0: Array = sptk.rapt(padded, float(rate), hop, min=low, max=high, voice_bias=bias, otype="f0")
    return f0[:count]


def _check_loudness(x: Array) -> None:
    if (np.abs(x) > _MAX_AMPLITUDE).any():
        at = int(np.argmax(np.abs(x) > _MAX_AMPLITUDE))
        raise ValueError(
            f"a pitch tracker takes samples of full scale +-1; item {at} is {float(x[at]):g}, beyond "
            f"{_MAX_AMPLITUDE:g}: scale the signal first"
        )


def _rapt_reach(rate: float, low: float) -> int:
    """Return the number of samples that rapt reads for its last frame.

    It is half the length of the decimation filter plus the longer of two windows: the window of the correlation, and
    the window of the measure of stationarity.
    """
    longest_period = math.floor(rate / low + 0.5)
    correlation = math.floor(_CORRELATION_WINDOW * rate + 0.5) + longest_period + 1
    stationarity = int(0.03 * rate) - (int(0.03 * rate) - int(0.02 * rate)) // 2
    return (int(0.005 * rate) + 1) // 2 + max(correlation, stationarity)


def reset_noise() -> None:
    """Make the next number of SPTK's Gaussian generator the first of a pair.

    rapt and `excite` share the generator. If the generator has kept the second number of a pair, `excite` returns this
    number, though its seed is 1, and nothing is kept any more. If not, `excite` returns the first number after seed 1,
    and a second call takes the number that was kept.
    """
    for _ in range(2):
        if not math.isclose(sptk.excite(np.zeros(2), hopsize=1, gaussian=True, seed=1)[0], _FIRST_NOISE, rel_tol=1e-8):
            return


def swipe(x: Array, rate: Fraction, hop: int, low: float, high: float, threshold: float) -> Array:
    """Return the pitch by SWIPE': one value in Hz for every `hop` samples, [ceil(n / hop)] float64; 0 where unvoiced.

    x: [n] samples, n >= 1, full scale +-1, taken as 0 outside; low, high: the range of the pitch, Hz; threshold: the
    pitch strength above which a frame is voiced. Raises ValueError that names the first sample beyond 100 times full
    scale, and for a pitch range that `swipe_rate` refuses.
    """
    _check_loudness(x)
    taken = swipe_rate(rate, low, high)
    scale = float(taken / rate)
    padded = np.zeros(max(len(x), _swipe_windows(taken, low * scale, high * scale)[0] // 2))
    padded[: len(x)] = x * INT16_FULL_SCALE
    with _lock:
        f0: Array = sptk.swipe(padded, taken, hop, min=low * scale, max=high * scale, threshold=threshold, otype="f0")
    return f0[: -(-len(x) // hop)] / scale


@lru_cache(maxsize=32)
def swipe_rate(rate: Fraction, low: float, high: float) -> int:
    """Return the smallest whole number of hertz, from `rate` to 1.01 * rate, at which swipe reads no invalid memory.

    Raises ValueError that says how to change the pitch range, low to high in Hz, if there is none.
    """
    if high < 1.42 * low:
        raise ValueError(f"f0_max must be at least 1.42 times f0_min, half an octave; found {low:g} and {high:g}")
    longest, shortest = _swipe_windows(float(rate), low, high)
    if shortest < _SHORTEST_WINDOW:
        most = math.floor(low * 2 ** (math.log2(longest / _SHORTEST_WINDOW) + 0.49))
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
    """Return the lengths of swipe's longest and shortest window, in samples.

    They are about 8 periods of the lowest and of the highest pitch, rounded to powers of two.
    """
    longest, octaves = math.log2(8 * rate / low), math.log2(high / low)
    exponent = math.floor(longest + 0.5)
    return 1 << exponent, 1 << max(0, exponent - math.floor(octaves + 0.5))


def _erb(hertz: float) -> float:
    return 21.4 * math.log10(1 + hertz / 229)


def _hertz(erb: float) -> float:
    return (10 ** (erb / 21.4) - 1) * 229
