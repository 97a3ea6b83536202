"""Notes made by formulas, for training without recordings, and the pitch that is heard in a note.

There is every pitch in several timbres, with random details.

A note has a pitch p, its MIDI number, and the frequency f = 440 * 2**((p - 69) / 12) Hz. All partials are multiples of
f, and lie below half the sample rate. Random numbers depend on the seed and the index of a note alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.swipe import swipe
from dspgraph_nodes.models.shared.data import rng

PITCH_FIGURES = ("right_pitches", "cents")
"""The names of the figures of `pitch_figures`."""

LOWEST_PITCH, HIGHEST_PITCH = 24, 84  # MIDI numbers of the pitches
SECONDS = 4.0  # length of a note; it is released after RELEASE seconds
RELEASE = 3.0
_FADE = 0.1  # seconds in which a released note falls by a factor of e
_TOP = 0.48  # frequency of the highest partial, divided by the sample rate


@dataclass(frozen=True)
class MadeNote:
    """A note. samples: [n]; pitch: its MIDI number; timbre: one of `TIMBRES`; velocity: 1 to 127, as in MIDI."""

    samples: Array
    pitch: int
    timbre: str
    velocity: int


def made_note(
    seed: int, index: int, rate: int = 16000, lowest: int = LOWEST_PITCH, highest: int = HIGHEST_PITCH,
    pitch: int | None = None, timbre: str | None = None,
) -> MadeNote:  # fmt: skip
    """Return note number `index` of the endless set of notes that belongs to a seed; a note is 4 s long.

    rate: the sample rate in Hz; lowest, highest: the range of the pitches, as MIDI numbers. In every group of (highest
    - lowest + 1) * 5 notes, counted from note 0, each pitch occurs once in each timbre, in a random order. pitch,
    timbre: if they are given, they replace the pitch and the timbre of the note; its velocity, attack and decay do not
    change. A pitch must have a frequency below 0.48 * rate. The peak is 0.9 * velocity / 127.
    """
    pitches = highest - lowest + 1
    turn, place = divmod(index, pitches * len(TIMBRES))
    pair = int(rng(seed, turn).permutation(pitches * len(TIMBRES))[place])
    timbre = list(TIMBRES)[pair // pitches] if timbre is None else timbre
    pitch = lowest + pair % pitches if pitch is None else pitch
    draw = rng(seed, index, 1)
    time = np.arange(round(SECONDS * rate)) / rate
    velocity = int(draw.integers(30, 128))
    attack, decay = np.exp(draw.uniform(np.log((0.002, 0.5)), np.log((0.03, 4.0))))
    tone = TIMBRES[timbre](frequency_of(pitch), time, rate, draw)
    released = np.maximum(time - RELEASE, 0) / _FADE
    samples = tone * np.minimum(time / attack, 1) * np.exp(-time / decay - released)
    return MadeNote(0.9 * velocity / 127 / np.abs(samples).max() * samples, pitch, timbre, velocity)


def frequency_of(pitch: float) -> float:
    """Return the frequency in Hz of a pitch that is given as a MIDI number."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def heard_pitch(samples: Array, rate: float) -> float:
    """Return the pitch of a note as a MIDI number with a fraction, or 0 if no pitch is found.

    The method is SWIPE', for frequencies from 25 Hz to 1700 Hz or, if it is lower, 0.45 * rate. The result is the
    median over about 16 moments; those at which no pitch is found do not count. samples: [n]; rate: the sample rate in
    Hz.
    """
    hop = max(1, len(samples) // 16)
    f0, strength = swipe(samples.astype(np.float64), float(rate), hop, 25.0, min(1700.0, 0.45 * rate))
    voiced = f0[(strength > 0.1) & (f0 > 0)]
    return 69 + 12 * float(np.log2(np.median(voiced) / frequency_of(69))) if len(voiced) else 0.0


def pitch_figures(sounds: Sequence[Array], rate: float, wanted: Sequence[int]) -> dict[str, float]:
    """Return two measures of the pitches that `heard_pitch` finds in notes, by name.

    right_pitches: the share of notes whose pitch is less than 50 cents away from the wanted one. cents: the median
    distance from the wanted pitch in cents, over the notes in which a pitch is heard; NaN if there are none. sounds:
    the samples [n] of each note; rate: the sample rate in Hz; wanted: the wanted pitch of each note, a MIDI number.
    """
    heard = np.array([heard_pitch(one, rate) for one in sounds])
    apart = 100 * np.abs(heard - wanted)[heard > 0]
    return {
        "right_pitches": float((apart < 50).sum() / len(heard)),
        "cents": float(np.median(apart)) if len(apart) else float("nan"),
    }


def _partials(
    f: float, time: Array, rate: int, draw: Generator, level: Callable[[Array], Array], damping: float = 0.0
) -> Array:
    """Return the sum of all partials k * f, k >= 1, up to 0.48 times the sample rate, with random phases: [n].

    time: [n], seconds; level: a function that returns the amplitudes of the partials with the numbers k; partial k
    decays as e**(-damping * k * t), t in seconds. The other arguments are those of a timbre, see `TIMBRES`.
    """
    k = np.arange(1, int(_TOP * rate / f) + 1)
    amplitudes = level(k) * np.exp(2j * np.pi * draw.random(len(k)))
    turn = np.exp((2j * np.pi * f - damping) * time)
    power, total = np.ones_like(turn), np.zeros(len(time))
    for amplitude in amplitudes:
        power *= turn
        total += (amplitude * power).real
    return total


def _saw(f: float, time: Array, rate: int, draw: Generator) -> Array:
    """Return a tone like a sawtooth: all partials, with amplitudes 1 / k**s, where s is drawn from 0.9 to 1.3.

    The arguments are those of a timbre, see `TIMBRES`.
    """
    slope = draw.uniform(0.9, 1.3)
    return _partials(f, time, rate, draw, lambda k: k**-slope)


def _odd(f: float, time: Array, rate: int, draw: Generator) -> Array:
    """Return a tone like a square wave or a clarinet: odd partials, with amplitudes 1 / k**s, s drawn from 0.9 to 1.3.

    The arguments are those of a timbre, see `TIMBRES`.
    """
    slope = draw.uniform(0.9, 1.3)
    return _partials(f, time, rate, draw, lambda k: (k % 2) * k**-slope)


def _plucked(f: float, time: Array, rate: int, draw: Generator) -> Array:
    """Return the partials of a plucked string: amplitude sin(pi * k * point) / k. Higher partials decay faster.

    The string is plucked at the fraction `point` of its length, drawn from 0.1 to 0.35. Partial k decays as e**(-d * k
    * t), where d is drawn from 0.3 to 1. The arguments are those of a timbre, see `TIMBRES`.
    """
    point, damping = draw.uniform(0.1, 0.35), draw.uniform(0.3, 1.0)
    return _partials(f, time, rate, draw, lambda k: np.sin(np.pi * k * point) / k, damping)


def _fm(f: float, time: Array, rate: int, draw: Generator) -> Array:
    """Return sin(2 * pi * (f * t + p) + I(t) * sin(2 * pi * m * f * t)), with a random phase p, and m = 1 or 2.

    The modulation index I(t) falls to a half in 0.5 to 2 s. I(0) is drawn from 0.5 / m to 2.4 / m, and is reduced where
    partials would come too near to half the sample rate. With a larger I(0), m = 2 could remove the partial f itself.
    The arguments are those of a timbre, see `TIMBRES`.

    Source: J. M. Chowning, The Synthesis of Complex Audio Spectra by Means of Frequency Modulation, JAES 21(7), 1973.
    """
    ratio = int(draw.integers(1, 3))
    # By Carson's rule the highest partial is about 1 + ratio * (index + 1).
    most = max(0.0, (_TOP * rate / f - 1) / ratio - 2)
    index = min(draw.uniform(0.5, 2.4) / ratio, most) * 0.5 ** (time / draw.uniform(0.5, 2.0))
    phase = 2 * np.pi * (f * time + draw.random())
    tone: Array = np.sin(phase + index * np.sin(2 * np.pi * ratio * f * time))
    return tone


def _noisy(f: float, time: Array, rate: int, draw: Generator) -> Array:
    """Return a tone like a flute with breath: partials with amplitudes 1 / k, and white noise 16 to 26 dB lower.

    The arguments are those of a timbre, see `TIMBRES`.
    """
    tone = _partials(f, time, rate, draw, lambda k: 1 / k)
    level = tone.std() * 10 ** (draw.uniform(-26, -16) / 20)
    noisy: Array = tone + level * draw.standard_normal(len(time))
    return noisy


TIMBRES: dict[str, Callable[[float, Array, int, Generator], Array]] = {
    "saw": _saw, "odd": _odd, "plucked": _plucked, "fm": _fm, "noisy": _noisy
}  # fmt: skip
"""Name of a timbre -> a function (frequency in Hz, times in seconds, sample rate in Hz, random generator) -> tone."""
