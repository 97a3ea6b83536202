"""pysptk's RAPT and mel-generalised cepstral analysis, called only with arguments that their C code handles.

The limits below were found with pysptk 1.0.1:

* rapt keeps static buffers: only one call may run at a time.
* rapt adds noise to its input. The noise generator makes Gaussian numbers in pairs and may keep the second number of a
  pair for the next call, so an earlier call changes the result. `reset_noise` removes a number that was kept.
* rapt returns uninitialised memory for a signal of less than one frame, and never analyses the last 30 to 60 ms of any
  signal. Zeros are appended to every signal, which avoids both.
* rapt writes past its buffers at rates below 6000 Hz and at amplitudes of 1e7 times full scale or more. At 99000 Hz
  and above its linear prediction fails. This module refuses such amplitudes; its caller, the node, such rates.
"""

import math
import warnings
from fractions import Fraction
from threading import Lock

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.f0_range import SEARCH_MARGIN, drop_outside, highest_checked
from dspgraph_nodes._kernels.signal.pcm import INT16_FULL_SCALE
from dspgraph_nodes._kernels.signal.subharmonics import raise_subharmonics

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    from pysptk import sptk as sptk

_MAX_AMPLITUDE = 100.0  # a signal beyond 100 times full scale was surely not scaled to +-1
RAPT_BELOW = 1.5  # the search of rapt begins at the lowest pitch / 1.5; with a larger divisor rapt finds half of 62 Hz
_RAPT_LOWEST = 10.0  # Hz: rapt needs rate / 10000 or more, and a window and a period in its 0.2 s of signal
_FIRST_NOISE = 0.0561838755  # the first number that the noise generator makes after seed 1
_CORRELATION_WINDOW = float(np.float32(0.0075))  # seconds, rounded to float32 as in rapt

_lock = Lock()


def rapt(x: Array, rate: Fraction, hop: int, low: float, high: float, bias: float) -> Array:
    """Return the pitch by RAPT: one value in Hz for every `hop` samples, [ceil(n / hop)] float32; 0 where unvoiced.

    x: [n] samples, float32 or float64, n >= 1, full scale +-1; rate: the sampling rate, Hz; low, high: the range of the
    pitch, Hz; bias: the parameter voice_bias of rapt: the higher, the more frames are voiced. rapt searches from low /
    1.5 to high * 1.2, within its own limits and those of the rate. A value that is a subharmonic of the signal is then
    replaced by its multiple (see `raise_subharmonics`), and a pitch outside low .. high, or at an end, becomes 0. Value
    k is the pitch about 7.5 ms after sample k * hop. The caller must ensure that no sample is NaN, 8000 <= rate <=
    96000, hop <= rate / 10 and 20 <= low < high < rate / 2. Raises ValueError that names the first sample beyond 100
    times full scale.
    """
    _check_loudness(x)
    count = -(-len(x) // hop)
    lowest, highest = max(low / RAPT_BELOW, _RAPT_LOWEST), min(high * SEARCH_MARGIN, math.floor(rate / 2) - 1)
    padded = np.zeros(max(count, 2) * hop + _rapt_reach(float(rate), lowest), np.float32)
    padded[: len(x)] = x * x.dtype.type(INT16_FULL_SCALE)
    with _lock:
        reset_noise()
        f0: Array = sptk.rapt(padded, float(rate), hop, min=lowest, max=highest, voice_bias=bias, otype="f0")
    at = (np.arange(count) * hop) + 0.0075 * float(rate)
    return drop_outside(raise_subharmonics(x, float(rate), f0[:count], at, highest_checked(high)), low, high)


def mel_generalised_cepstrum(
    frame: Array, order: int, alpha: float, gamma: float, tolerance: float, iterations: int, floor: float
) -> Array:
    """Return the mel-generalised cepstrum of a windowed frame, [order + 1] float64, by SPTK's mgcep.

    frame: [length], where the length is a power of two above 2 * order; alpha: the coefficient of the all-pass filter
    that warps the frequencies; gamma: the power of the generalised logarithm, from -1 to 0, 0 for the logarithm;
    tolerance: mgcep's threshold of convergence; iterations: the largest number of iterations; floor: a number that is
    added to the periodogram. Because SPTK keeps static buffers, only one call runs at a time. Raises ValueError if the
    analysis fails.
    """
    with _lock:
        try:
            found: Array = sptk.mgcep(
                np.ascontiguousarray(frame, np.float64), order=order, alpha=alpha, gamma=gamma, maxiter=iterations,
                threshold=tolerance, etype=1, eps=floor, min_det=0.0,
            )  # fmt: skip
        except RuntimeError as error:
            raise ValueError(f"SPTK's mgcep failed: {error}") from None
    if not np.isfinite(found).all():
        raise ValueError("SPTK's mgcep did not converge: lower the order, or raise the floor")
    return found


def _check_loudness(x: Array) -> None:
    if (np.abs(x) > _MAX_AMPLITUDE).any():
        at = int(np.argmax(np.abs(x) > _MAX_AMPLITUDE))
        raise ValueError(
            f"a pitch tracker takes samples of full scale +-1; item {at} is {float(x[at]):g}, beyond "
            f"{_MAX_AMPLITUDE:g}: scale the signal first"
        )


def _rapt_reach(rate: float, low: float) -> int:
    """Return how many samples rapt reads from the start of its last frame on.

    These are half the length of the decimation filter plus the longer of two windows: that of the correlation and that
    of the stationarity measure. rate: the sampling rate, Hz; low: the lowest pitch, Hz.
    """
    longest_period = math.floor(rate / low + 0.5)
    correlation = math.floor(_CORRELATION_WINDOW * rate + 0.5) + longest_period + 1
    stationarity = int(0.03 * rate) - (int(0.03 * rate) - int(0.02 * rate)) // 2
    return (int(0.005 * rate) + 1) // 2 + max(correlation, stationarity)


def reset_noise() -> None:
    """Make SPTK's generator of Gaussian noise start a new pair of numbers with its next number.

    rapt and `excite` share the generator, which makes numbers in pairs and keeps the second one for the next call. This
    function calls `excite` with seed 1, at most twice, until it returns the first number of that seed: then no number
    had been kept. The caller must hold `_lock` if another thread could call SPTK.
    """
    for _ in range(2):
        if not math.isclose(sptk.excite(np.zeros(2), hopsize=1, gaussian=True, seed=1)[0], _FIRST_NOISE, rel_tol=1e-8):
            return
