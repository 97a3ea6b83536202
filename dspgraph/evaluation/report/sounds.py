"""Sounds of blind tests: the anchor of MUSHRA, and the gains that match the loudness."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from dspgraph.evaluation.metrics.loudness import integrated_loudness
from dspgraph.io.audio import reading
from dspgraph.streams import Array

ANCHOR_PASS, ANCHOR_STOP = 3500, 4000
"""Ends of the pass band and of the transition of the anchor's filter, in Hz."""

_ATTENUATION = 65.0
"""Attenuation of the anchor's filter above ANCHOR_STOP, dB."""

LEAST_ANCHOR_RATE = 10_000
"""The lowest rate, in Hz, of a recording that has an anchor. At lower rates the filter removes little or nothing."""

MOST_LOWERED = 20.0
"""The largest number of decibels by which a sound is lowered for equal loudness."""


def has_anchor(rate: int) -> bool:
    """Return whether a recording at `rate` Hz has an anchor: whether the rate is at least LEAST_ANCHOR_RATE."""
    return rate >= LEAST_ANCHOR_RATE


def low_passed(x: Array, rate: int) -> Array:
    """Return the anchor of a recording, [n, channels]: x without the frequencies above 3.5 kHz, and not delayed.

    x: [n, channels], full scale +-1. rate: Hz, at least LEAST_ANCHOR_RATE. The filter has linear phase. Its gain is 0
    dB within 0.1 dB up to 3.5 kHz, and below -60 dB from 4 kHz on. If samples of the result exceed full scale, all
    samples are scaled down.

    Source: Recommendation ITU-R BS.1534-3 (the low anchor).
    """
    from scipy import signal

    taps, beta = signal.kaiserord(_ATTENUATION, (ANCHOR_STOP - ANCHOR_PASS) / (rate / 2))
    response = signal.firwin(taps | 1, (ANCHOR_PASS + ANCHOR_STOP) / 2, window=("kaiser", beta), fs=rate)
    y: Array = signal.oaconvolve(x, response[:, None], axes=0)[len(response) // 2 :][: len(x)]
    return y / max(1.0, float(np.abs(y).max(initial=0.0)))


def anchor_flac(path: Path) -> bytes:
    """Return the anchor of a recording (see `low_passed`) as the bytes of a FLAC file of 16 bits, at its own rate.

    path: the audio file, with a rate of at least LEAST_ANCHOR_RATE. Raises FileError if it cannot be read.
    """
    x, rate = _samples(path)
    file = io.BytesIO()
    soundfile.write(file, low_passed(x, rate), rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def gains(paths: Mapping[int, Path], anchor: int | None) -> dict[int, float]:
    """Return number of a sound -> gain in (0, 1] with which all sounds of a recording have the loudness of the softest.

    paths: number of a sound -> file; 0 is the reference. anchor: the number of the anchor, which is made from the
    reference and gets a gain too; None if there is no anchor. A sound is lowered by at most MOST_LOWERED dB. A sound
    without a loudness (silence, or less than 0.4 s) has the gain 1, and does not count as the softest. The loudness is
    the integrated loudness of Recommendation ITU-R BS.1770. Raises FileError for a file that cannot be read.
    """
    loudness = {slot: integrated_loudness(*_samples(path)) for slot, path in paths.items()}
    if anchor is not None:
        x, rate = _samples(paths[0])
        loudness[anchor] = integrated_loudness(low_passed(x, rate), rate)
    known = [one for one in loudness.values() if one is not None]
    softest = min(known, default=0.0)
    return {
        slot: 1.0 if one is None else float(10 ** (max(softest - one, -MOST_LOWERED) / 20))
        for slot, one in loudness.items()
    }


def _samples(path: Path) -> tuple[Array, int]:
    with reading(path):
        samples, rate = soundfile.read(os.fsencode(path), always_2d=True)
    return samples, rate
