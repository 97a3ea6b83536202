"""Resampling of whole signals by the discrete Fourier transform."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array


def upsample(x: Array, times: int) -> Array:
    """Return x [n] at `times` its sampling rate, [times * n], by zero-padding its spectrum.

    Sample times * k of the result is sample k of x. The result is float64; for times = 1 it is x itself. times: at
    least 1; n: at least 1; outside, x counts as 0.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    if times == 1:
        return x
    length = 2 * int(next_fast_len(len(x)))  # half are zeros, so that the end does not wrap around to the beginning
    spectrum = np.zeros(times * length // 2 + 1, np.complex128)
    spectrum[: length // 2 + 1] = rfft(x, length)
    spectrum[length // 2] /= 2  # this bin holds two parts, one of which belongs to its mirror image
    y: Array = irfft(spectrum, times * length)
    return times * y[: times * len(x)]
