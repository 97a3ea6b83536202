"""Synthesis of speech as in WORLD: one response per pitch period, whose periodic and noisy parts are filtered pulses.

Pulses are where the phase of the pitch passes a multiple of 2 pi; in unvoiced sounds the pitch is 500 Hz. The response
of a pulse has n_fft samples and is the sum of two parts. The first, only where the signal is voiced, is a minimum-phase
pulse with the magnitude spectrum sqrt(N S (1 - A**2)), where N is the number of samples up to the next pulse. The
second is noise, N samples long, filtered by a minimum-phase filter with the magnitude sqrt(S A**2), or sqrt(S) in
unvoiced sounds. S and A are the power and the aperiodicity at the pulse, interpolated linearly between two rows.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import exp, log, phasor

_UNVOICED = 500.0  # Hz: the rate of the responses of unvoiced sounds
_LEAST_POWER = 1e-12  # added to the power of the periodic part
_NOISY = 0.999  # a pulse whose first value of A**2 is above this has no periodic part
_A_RANGE = (0.001, 0.999999999999)
_SEED = (123456789, 362436069, 521288629, 88675123)  # of WORLD's random numbers


def lowest_pitch(rate: float, n_fft: int) -> float:
    """Return the lowest pitch in Hz, of which two periods fit in n_fft samples. A row with a lower pitch is unvoiced.

    One period is not enough: where the pitch falls linearly to 0 from one row to the next, a period can be twice as
    long. rate: the sampling rate, Hz.
    """
    return max(2 * rate / n_fft, rate // n_fft + 1.0)


def samples_beyond(n_fft: int) -> int:
    """Return how many samples beyond an output sample the rows must reach before this sample can be computed.

    A response begins n_fft / 2 samples before its pulse, and its noise lasts until the next pulse.
    """
    return 3 * n_fft // 2 + 2


@dataclass
class Responses:
    """The state of WORLD's synthesis from rows that arrive in blocks: the rows and pulses that later samples need.

    `push` takes rows, and returns the samples that are determined by then. rate: samples per second; frames: rows per
    second; centre: time of row 0 in seconds; n_fft: length of a response, samples. The first row is also used before
    its time. After the time of the last row, its power and aperiodicity are used, while pitch and voicing continue on
    the straight line through the last two rows (see `_find_pulses`).
    """

    rate: Fraction
    frames: Fraction
    centre: Fraction
    n_fft: int
    rows: int = 0  # how many were given
    row: int = 0  # the number of the first row that is kept; the copies before row 0 count too
    sample: int = 0  # up to which sample pulses are known
    given: int = 0  # how many samples were returned or left out
    pulses: list[tuple[int, float, bool]] = field(default_factory=list)  # sample, part after it, whether voiced
    phase: Array = field(default_factory=lambda: np.zeros(2))  # phase at the last sample: total, and modulo 2 pi
    voiced: bool = False  # whether the last sample is voiced
    seed: Array = field(default_factory=lambda: np.array(_SEED))

    def __post_init__(self) -> None:
        self.f0, self.y = np.zeros(0), np.zeros(0)
        self.power = self.aperiodicity = np.zeros((0, self.n_fft // 2 + 1))
        self.early = max(0, math.ceil(self.centre * self.frames))  # copies of the first row, before it
        self.late = max(0, math.ceil(-self.centre * self.frames))  # copies of the last row, after it
        # Samples are counted from the time of the first copy; the signal begins at the sample `begin`.
        self.begin = round(self.early * self.rate / self.frames - self.centre * self.rate)
        ramp = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, self.n_fft // 2 + 1) / (1 + self.n_fft))
        self.constant = np.concatenate((ramp, ramp[::-1])) / (2 * ramp.sum())

    def push(self, f0: Array, power: Array, aperiodicity: Array, end: bool = False) -> Array:
        """Add m rows; return the samples [n] that are now determined.

        f0: [m], the pitch in Hz, 0 where unvoiced; power, aperiodicity: [m, n_fft / 2 + 1]; all float64. end: whether
        the signal ends after these rows; then all remaining samples are returned.
        """
        before = self.early if not self.rows and len(f0) else 0
        self.rows += len(f0)
        self._append(f0, power, aperiodicity, before)
        if end and self.rows:
            self._append(self.f0[-1:], self.power[-1:], self.aperiodicity[-1:], self.late - 1)
        self._find_pulses(end)
        while len(self.pulses) > 1:
            self._add(*self.pulses[0], self.pulses[1][0])
            del self.pulses[0]
        time = self.rows * self.rate / self.frames
        known = min(math.floor(time) + self.begin, self.pulses[0][0] - self.n_fft // 2 + 1 if self.pulses else 0)
        found = self._take(max(0, (math.ceil(time) + self.begin if end else known) - self.given))
        self._forget()
        return found

    def _append(self, f0: Array, power: Array, aperiodicity: Array, copies: int) -> None:
        """Append rows to those that are kept. `copies` copies of the first new row come before them.

        If `copies` is below 0, nothing is appended. A pitch below `lowest_pitch` becomes 0, and the aperiodicity is
        limited to _A_RANGE. The other arguments are those of `push`.
        """
        if copies < 0 or not len(f0):
            return
        at = np.maximum(np.arange(-copies, len(f0)), 0)
        self.f0 = np.concatenate((self.f0, np.where(f0 < lowest_pitch(float(self.rate), self.n_fft), 0, f0)[at]))
        self.power = np.concatenate((self.power, power[at]))
        self.aperiodicity = np.concatenate((self.aperiodicity, np.clip(aperiodicity, *_A_RANGE)[at]))

    def _find_pulses(self, end: bool) -> None:
        """Find the pulses up to the time of the last row, and append them to `pulses`.

        end: whether the signal ends with this row; then the pulses in the span of the row are found too. There the
        pitch continues the straight line through the last two rows.
        """
        rows = self.row + len(self.f0)
        upto = math.ceil((rows if end else rows - 1) * self.rate / self.frames)
        if upto <= self.sample:
            return
        pitch, voiced = self.f0, (self.f0 > 0).astype(np.float64)
        if end:
            pitch, voiced = (np.append(one, 2 * one[-1] - one[max(-2, -len(one))]) for one in (pitch, voiced))
        samples = np.arange(self.sample, upto)
        place, share = self._places(samples)
        voicing = _between(voiced, place, share) > 0.5
        f0 = np.where(voicing, _between(pitch, place, share), _UNVOICED)
        at, part = np.empty(len(f0), np.int64), np.empty(len(f0))
        n = _pulses(2 * math.pi * f0 / float(self.rate), self.phase, self.sample == 0, at, part)
        # A pulse is known by the sample after it, which may be the first of these.
        self.pulses += [
            (self.sample + int(k), float(p), bool(voicing[k]) if k >= 0 else self.voiced)
            for k, p in zip(at[:n], part[:n], strict=True)
        ]
        self.sample, self.voiced = upto, bool(voicing[-1])

    def _places(self, samples: Array) -> tuple[Array, Array]:
        """Return (row, share) for each sample, by which the values of rows are interpolated at the sample.

        row: the index, among the rows that are kept, of the last row before the sample; share: how far the sample lies
        on the way from this row to the next, 0 to 1. samples: [n], numbers of samples.
        """
        step = self.frames / self.rate
        before = samples * step.numerator // step.denominator
        return before - self.row, (samples * step.numerator - before * step.denominator) / step.denominator

    def _add(self, at: int, part: float, voiced: bool, following: int) -> None:
        """Add the response of a pulse to the signal. The pulse lies `part` samples after sample number `at`.

        part: from 0 to 1; voiced: whether the signal is voiced there; following: the number of the sample before the
        next pulse. The noise of the pulse is drawn even if there is no power, so that later noise stays the same.
        """
        place, share = (one[0] for one in self._places(np.array([at])))
        after = min(place + 1, len(self.f0) - 1) if share else place
        power = (1 - share) * self.power[place] + share * self.power[after]
        noise = _noise(self.seed, following - at)
        if not power.any():
            return
        power = np.maximum(power, np.finfo(np.float64).tiny)
        ratio = ((1 - share) * self.aperiodicity[place] + share * self.aperiodicity[after]) ** 2
        response = self._noisy(power * ratio if voiced else power, noise)
        if voiced and ratio[0] <= _NOISY:
            response += math.sqrt(len(noise)) * self._periodic(power * (1 - ratio) + _LEAST_POWER, part)
        first = at - self.n_fft // 2 + 1 - self.given
        if (more := first + self.n_fft - len(self.y)) > 0:
            self.y = np.concatenate((self.y, np.zeros(more)))
        self.y[max(0, first) : first + self.n_fft] += response[max(0, -first) :]

    def _periodic(self, power: Array, part: float) -> Array:
        """Return the minimum-phase response to a pulse, [n_fft], corrected so that its samples sum to 0.

        power: [n_fft / 2 + 1], the power spectrum of the response; part: the time of the pulse in samples, from 0 to 1.
        Time 0 is in the middle of the result.
        """
        from scipy.fft import irfft

        shift = phasor(-2 * math.pi * part / self.n_fft * np.arange(len(power)))
        causal: Array = np.asarray(irfft(minimum_phase(power) * shift, self.n_fft))
        half, response = self.n_fft // 2, np.zeros(self.n_fft)
        response[half:] = causal[:half]
        response -= causal[:half].sum() * self.constant
        return response

    def _noisy(self, power: Array, noise: Array) -> Array:
        """Return the response of a minimum-phase filter to noise, [n_fft]. Time 0 is in the middle of the result.

        power: [n_fft / 2 + 1], the squared magnitude response of the filter; noise: [any length], the input of the
        filter from time 0 on, of which only the first n_fft samples are used.
        """
        from scipy.fft import irfft, rfft

        spectrum = np.asarray(rfft(noise[: self.n_fft], self.n_fft))
        return np.roll(np.asarray(irfft(minimum_phase(power) * spectrum, self.n_fft)), self.n_fft // 2)

    def _take(self, n: int) -> Array:
        """Take the next n samples from the state; return them without those before the start of the signal."""
        whole = np.concatenate((self.y, np.zeros(max(0, n - len(self.y)))))
        found, self.y = whole[:n], whole[n:]
        left_out = min(n, max(0, self.begin - self.given))
        self.given += n
        return found[left_out:]

    def _forget(self) -> None:
        """Drop the rows that lie before the next pulse, which no sample needs any more, but never the last two rows."""
        at = self.pulses[0][0] if self.pulses else self.sample
        if (gone := min(int(self._places(np.array([at]))[0][0]), len(self.f0) - 2)) > 0:
            self.f0, self.power, self.aperiodicity = self.f0[gone:], self.power[gone:], self.aperiodicity[gone:]
            self.row += gone


def _between(rows: Array, place: Array, share: Array) -> Array:
    before, after = rows[place], rows[np.minimum(place + 1, len(rows) - 1)]
    found: Array = before + share * (after - before)
    return found


def minimum_phase(power: Array) -> Array:
    """Return the minimum-phase spectrum with a given power above 0, complex, in the shape of `power`: [n / 2 + 1].

    Source: A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, Pearson, 2010 (chapter 13):
    the cepstrum of the amplitude, folded to positive times.
    """
    from scipy.fft import irfft, rfft

    n = 2 * (len(power) - 1)
    cepstrum = np.asarray(irfft(log(power) / 2, n))
    cepstrum[1 : n // 2] *= 2
    cepstrum[n // 2 + 1 :] = 0
    spectrum: Any = rfft(cepstrum, n)
    found: Array = exp(spectrum.real) * phasor(spectrum.imag)
    return found


@kernel
def _pulses(steps: Array, phase: Array, first: bool, at: Array, part: Array) -> Any:
    """Find the times at which the phase passes a multiple of 2 pi; return their number.

    The times are at[i] + part[i], in samples. at: [n], written: the index of the last sample before the time, -1 for
    the sample before these; part: [n], written: from 0 to 1. steps: [n], by how much the phase grows at each sample;
    phase: the phase at the sample before these, as a total and modulo 2 pi, updated in place; first: whether there is
    no such sample, because the signal begins here.
    """
    turn, n = 2 * math.pi, 0
    for k in range(len(steps)):
        phase[0] += steps[k]
        wrapped = phase[0] % turn
        if not (first and k == 0) and abs(wrapped - phase[1]) > math.pi:
            behind = phase[1] - turn
            at[n], part[n] = k - 1, -behind / (wrapped - behind)
            n += 1
        phase[1] = wrapped
    return n


def _noise(seed: Array, n: int) -> Array:
    """Return n numbers of WORLD's noise, minus their mean.

    seed: the state of the random generator, four numbers, updated in place.
    """
    noise = np.empty(n)
    _draw(seed, noise)
    found: Array = noise - np.add.accumulate(noise)[-1] / n if n else noise
    return found


@kernel
def _draw(seed: Array, noise: Array) -> None:
    """Fill `noise` [n] with nearly normal numbers, each a sum of twelve uniform ones, as WORLD draws them.

    The uniform numbers come from a xorshift generator of 128 bits. seed: its state, four numbers, updated in place.

    Source: G. Marsaglia, Xorshift RNGs, Journal of Statistical Software 8(14), 2003.
    """
    x, y, z, w = seed[0], seed[1], seed[2], seed[3]
    for i in range(len(noise)):
        total = 0
        for _ in range(12):
            t = x ^ ((x << 11) & 0xFFFFFFFF)
            x, y, z = y, z, w
            w = (w ^ (w >> 19)) ^ (t ^ (t >> 8))
            total += w >> 4
        noise[i] = total / 268435456.0 - 6.0
    seed[0], seed[1], seed[2], seed[3] = x, y, z, w


def synthesis(
    f0: Array, power: Array, aperiodicity: Array, rate: Fraction, frames: Fraction, centre: Fraction
) -> Array:
    """Return speech from all rows, [ceil(n * rate / frames)].

    f0: [n], Hz; power, aperiodicity: [n, n_fft / 2 + 1]; rate, frames, centre: as in `Responses`.
    """
    return Responses(rate, frames, centre, 2 * (power.shape[1] - 1)).push(f0, power, aperiodicity, True)
