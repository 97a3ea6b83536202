"""A metric that compares waveforms."""

from __future__ import annotations

import math

import numpy as np

from dspgraph.evaluation.metrics.definition import metric
from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.streams import Array

SI_SDR_MOST = 100.0  # dB


@metric("dB", "higher", {"mean": "removed", "most_db": SI_SDR_MOST})
def si_sdr(pair: Pair) -> float | None:
    """Scale-invariant signal-to-distortion ratio, between -100 and 100 dB.

        10 * log10(|a * x|**2 / |a * x - x'|**2),    a = (sum over n of x[n] * x'[n]) / |x|**2

    x is the reference, x' the degraded signal. Their means are subtracted first. Equal signals, whose ratio is
    infinite, have 100 dB. Waveforms are compared, so a delay of one sample lowers the value a lot. None if x or x' is
    constant.

    Source: J. Le Roux, S. Wisdom, H. Erdogan and J. R. Hershey, SDR - half-baked or well done?, ICASSP 2019.
    """
    x, y = _centred(pair.reference), _centred(pair.degraded)
    if not (x.any() and y.any()):
        return None
    target = float((x * y).sum()) / float((x * x).sum()) * x
    signal, rest = float((target**2).sum()), float(((target - y) ** 2).sum())
    if rest <= 10 ** (-SI_SDR_MOST / 10) * signal:
        return SI_SDR_MOST
    return 10 * math.log10(max(signal / rest, 10 ** (-SI_SDR_MOST / 10)))


def _centred(x: Array) -> Array:
    """Return x minus its mean, scaled to a peak of 1; zeros if x is constant except for rounding errors."""
    centred = x - x.mean()
    peak = np.abs(centred).max()
    return centred / peak if peak > 8 * np.finfo(np.float64).eps * np.abs(x).max() else np.zeros_like(x)
