"""Integrated loudness."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dspgraph.evaluation.metrics.definition import metric
from dspgraph.evaluation.metrics.pair import Pair
from dspgraph.evaluation.metrics.short_time import samples
from dspgraph.streams import Array, Number, to_fraction

K_WEIGHTING = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""Numerator and denominator of the two filters at 48 kHz: a high shelf and a high pass."""

LOUDNESS_BLOCK = 0.4  # seconds; a block begins every 0.1 s
LOUDNESS_OFFSET = -0.691  # dB
LOUDNESS_GATES = (
    -70.0,
    -10.0,
)  # LUFS; LU relative to the loudness of all blocks above the first gate


@metric("LU", "zero", {"weighting": "K, of ITU-R BS.1770", "block_s": LOUDNESS_BLOCK, "overlap": 0.75,
                        "gate_lufs": LOUDNESS_GATES[0], "relative_gate_lu": LOUDNESS_GATES[1]})  # fmt: skip
def loudness_difference(pair: Pair) -> float | None:
    """Integrated loudness of the degraded signal minus that of the reference, in LU.

    A positive value means that the degraded signal is louder. See `integrated_loudness`. None if `integrated_loudness`
    of one of the signals is None.
    """
    x, y = (integrated_loudness(one, pair.rate) for one in (pair.reference, pair.degraded))
    return None if x is None or y is None else y - x


def integrated_loudness(x: Array, rate: Number) -> float | None:
    """Return the integrated loudness in LUFS. It is None for signals below 0.4 s, and if no block counts.

    x: [n] or [n, channels]; all are front channels, whose powers are added with the same weight. rate: Hz.

    The loudness is -0.691 + 10 * log10(mean square of the K-weighted signal), over the blocks that count. Blocks have
    0.4 s and overlap by three quarters. A block counts if its loudness is above -70 LUFS, and above L - 10 LU, where L
    is the loudness of all blocks above -70 LUFS.

    At rates other than 48 kHz the filters are converted by the bilinear transform, which bends their frequency axis.
    Therefore the loudness of a tone of 1 kHz is 0.05 dB too low at 16 kHz, and 0.2 dB too low at 8 kHz.

    Source: Recommendation ITU-R BS.1770-4, annex 1.
    """
    from scipy import signal

    sections = [[*b, *a] for b, a in (filter_at_rate(*one, float(rate)) for one in K_WEIGHTING)]
    weighted = signal.sosfilt(np.array(sections), x.reshape(len(x), -1), axis=0)
    energy = (weighted**2).sum(axis=1)
    hop = samples(LOUDNESS_BLOCK / 4, to_fraction(rate))
    quarters = energy[: len(x) // hop * hop].reshape(-1, hop).mean(axis=1)
    if len(quarters) < 4:
        return None
    blocks = np.lib.stride_tricks.sliding_window_view(quarters, 4).mean(axis=1)
    for gate in (None, LOUDNESS_GATES[1]):
        least = _mean_square(LOUDNESS_GATES[0]) if gate is None else blocks.mean() * 10 ** (gate / 10)
        blocks = blocks[blocks > least]
        if not len(blocks):
            return None
    return LOUDNESS_OFFSET + 10 * math.log10(blocks.mean())


def _mean_square(lufs: float) -> float:
    return float(10 ** ((lufs - LOUDNESS_OFFSET) / 10))


def filter_at_rate(b: Sequence[float], a: Sequence[float], rate: float) -> tuple[Array, Array]:
    """Return the coefficients (b, a) of a two-pole filter at another rate, with the same gain at 0 Hz and at f.

    b, a: numerator and denominator at 48 kHz, three coefficients each, in powers of 1 / z; the results have the same
    form, with a[0] = 1. rate: the other rate in Hz.

    The bilinear transform s = (1 - 1 / z) / ((1 + 1 / z) * tan(pi * f / R)) is applied with R = 48000 Hz, from z to s,
    and then with R = rate, from s back to z. The frequency f is chosen so that the denominator is q + p * s + q * s**2
    for some p and q.
    """
    top, bottom = _substitute(b), _substitute(a)  # in powers of s * tan(pi * f / 48000)
    tangent = math.sqrt(bottom[0] / bottom[2])
    scale = tangent / math.tan(math.atan(tangent) * 48000 / rate)
    powers = scale ** np.arange(3)
    top, bottom = _substitute(top * powers), _substitute(bottom * powers)
    return top / bottom[0], bottom / bottom[0]


def _substitute(c: Sequence[float] | Array) -> Array:
    """Return (1 + u)**2 * (c[0] + c[1] * v + c[2] * v**2) for v = (1 - u) / (1 + u), as coefficients in powers of u."""
    return np.array([c[0] + c[1] + c[2], 2 * (c[0] - c[2]), c[0] - c[1] + c[2]])
