"""The power of a pulse train after an all-pole filter, relative to the power of white noise after the same filter."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import phasor

_MOST_HARMONICS = 4096  # more harmonics are closer together than any peak of a predictor is wide: the gain is 1


def pulse_gains(f0: Array, lpc: Array, parcor: Array, rate: float, most: float) -> Array:
    """Return the gains that make a pulse train as strong as white noise after filtering with 1 / A(z): [n] float64.

    f0: [n], the pitch in Hz; the gain is 1 where f0 is 0 or negative, and where rate / 2 / f0 is below 1 or above 4096.
    lpc: [n, order + 1], rows (gain, a[1..order]) of A(z). parcor: the same predictors as rows (gain, k[1..order]) with
    |k| < 1. The gains in these rows do not matter. rate: the sampling rate, Hz. most: at least 1; gains are limited to
    1 / most .. most. The formula is that of the node `pulse_gain`.
    """
    hertz = np.where(f0 > 0, f0, 0.0).astype(np.float64)
    turn = phasor(-2 * np.pi / rate * hertz)
    gains = np.ones(len(hertz))
    _gains(hertz, turn.real.copy(), turn.imag.copy(), lpc.astype(np.float64), parcor.astype(np.float64), rate, gains)
    return np.clip(gains, 1 / most, most)


@kernel
def _gains(hertz: Array, re: Array, im: Array, lpc: Array, parcor: Array, rate: float, gains: Array) -> None:
    """Write the gains, without limits, to `gains` [n], for frames where rate / 2 / hertz is from 1 to 4096.

    The gains of the other frames are left as they are. hertz: [n], the pitch; re, im: [n], real and imaginary part of
    exp(-2j * pi * hertz / rate). The other arguments are those of `pulse_gains`, in float64.
    """
    width = lpc.shape[1]
    for f in range(len(hertz)):
        if not rate / 2 >= hertz[f] >= rate / 2 / _MOST_HARMONICS:
            continue
        noise = 1.0  # power of white noise filtered by 1 / A(z)
        for i in range(1, width):
            noise /= 1.0 - parcor[f, i] * parcor[f, i]
        lines, z_re, z_im = 0.0, 1.0, 0.0
        for _ in range(int(rate / 2 / hertz[f])):
            z_re, z_im = z_re * re[f] - z_im * im[f], z_re * im[f] + z_im * re[f]
            a_re, a_im = 0.0, 0.0  # A(z) - 1, by Horner's rule
            for i in range(width - 1, 0, -1):
                a_re += lpc[f, i]
                a_re, a_im = a_re * z_re - a_im * z_im, a_re * z_im + a_im * z_re
            a_re += 1.0
            lines += 1.0 / (a_re * a_re + a_im * a_im)
        gains[f] = np.sqrt(noise / (2.0 * hertz[f] / rate * lines))
