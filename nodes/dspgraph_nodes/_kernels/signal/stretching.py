"""Time stretching, which changes the duration and keeps the pitch: a phase vocoder with locked phases, and WSOLA.

Frame j of the output is centred at sample j * hop. It is made from the input around sample floor(j * hop / factor). The
factor is the duration of the output divided by that of the input, up / down in lowest terms. All channels of a signal
get the same phase changes, or the same shifts, so that their differences of level and of phase stay.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal import overlap_add as overlap
from dspgraph_nodes._kernels.signal.windows import window_values

StretchMethod = Literal["phase_vocoder", "wsola"]


@dataclass(frozen=True)
class Stretching:
    """The settings of time stretching.

    up, down: the factor of the duration is up / down. length: samples of a frame. hop: samples from one output frame
    to the next. reach: how far WSOLA may shift a frame, in samples; 0 for a phase vocoder.
    """

    up: int
    down: int
    length: int
    hop: int
    reach: int

    def position(self, frame: int) -> int:
        """Return the number of the input sample in the middle of output frame `frame`, before a shift by WSOLA."""
        return frame * self.hop * self.down // self.up

    def needed(self, frame: int) -> int:
        """Return how many input samples must be known for the frame with the number `frame`.

        They are counted from the start of the signal.
        """
        middle = self.position(frame)
        if self.reach and frame:
            middle = max(middle, self.position(frame - 1) + self.hop)
        return middle + self.reach + self.length // 2

    def lookahead(self) -> Fraction:
        """Return the lookahead in input samples: how far after the end of its span an output sample reads, at most."""
        slower = Fraction(self.down, self.up)
        later = max(Fraction(0), self.hop * (1 - slower)) if self.reach else Fraction(0)
        return self.length // 2 * (1 + slower) - slower + self.reach + later


@dataclass
class StretchState:
    """The state of time stretching: input that later frames need, the overlap-add of the frames, and counts.

    samples: [channels, n], input that later frames need; at: the number of the sample samples[:, 0] in the whole input.
    tails: the overlap-add of each channel. received, frames, given: how many input samples were received, frames made,
    and output samples returned so far. spectrum: [channels, bins], the last output spectrum of a phase vocoder.
    shifted: the number of the input sample in the middle of WSOLA's last frame.
    """

    samples: Array  # input that is still needed; before the signal it is 0
    at: int  # number of the first of these samples
    tails: list[overlap.OverlapState]
    received: int = 0
    frames: int = 0  # frames made so far
    given: int = 0
    spectrum: Array | None = None  # the spectrum of the last frame
    shifted: int = 0  # the sample of the input from which WSOLA has taken the last frame


def stretch_start(how: Stretching, channels: int, dtype: np.dtype[np.floating]) -> StretchState:
    """Return the state before the first sample. how: the settings; channels: their number; dtype: of the samples."""
    before = how.length // 2 + how.hop + how.reach
    tails = [overlap.start(how.length, how.hop, -(how.length // 2), dtype) for _ in range(channels)]
    return StretchState(np.zeros((channels, before), dtype), -before, tails)


def stretch_step(how: Stretching, held: StretchState, x: Array) -> Array:
    """Add input samples x [channels, n]; return the output samples [channels, m] that are now determined.

    how: the settings; held: the state, updated in place.
    """
    held.samples = np.concatenate((held.samples, x), axis=1)
    held.received += x.shape[1]
    until = held.frames
    while how.needed(until) <= held.received:
        until += 1
    y = _frames_until(how, held, until)
    held.given += y.shape[1]
    return y


def stretch_flush(how: Stretching, held: StretchState) -> Array:
    """Return the rest of the output [channels, m] at the end of the signal.

    n input samples give ceil(n * factor) output samples in all. how: the settings; held: the state, updated in place.
    """
    total = -(-held.received * how.up // how.down)
    until = max(held.frames, -(-total // how.hop))
    missing = max(0, how.needed(until) - held.received)
    held.samples = np.pad(held.samples, ((0, 0), (0, missing)))
    y = np.concatenate((_frames_until(how, held, until), [overlap.flush(tail) for tail in held.tails]), axis=1)
    return y[:, : total - held.given]


def _frames_until(how: Stretching, held: StretchState, until: int) -> Array:
    """Compute the frames up to, not including, number `until`; return the samples that are now complete, [channels, m].

    how: the settings; held: the state, updated in place.
    """
    if until == held.frames:
        return held.samples[:, :0].copy()
    make = _shifted_frames if how.reach else _locked_frames
    frames, gain, weight = make(how, held, range(held.frames, until))
    y = [
        overlap.step(tail, [one], len(one), gain, weight, how.hop) for tail, one in zip(held.tails, frames, strict=True)
    ]
    held.frames = until
    oldest = min(how.position(until), how.position(until - 1) + how.hop) - how.hop - how.reach - how.length // 2
    gone = min(held.samples.shape[1], max(0, oldest - held.at))
    held.samples, held.at = held.samples[:, gone:], held.at + gone
    return np.stack(y)


def _cut(how: Stretching, held: StretchState, middles: Array) -> Array:
    """Return frames that are cut from the input, [channels, n, length].

    middles: [n], the number of each frame's middle sample in the whole input.
    """
    windows = np.lib.stride_tricks.sliding_window_view(held.samples, how.length, axis=1)
    frames: Array = windows[:, middles - how.length // 2 - held.at]
    return frames


def _locked_frames(how: Stretching, held: StretchState, numbers: range) -> tuple[Array, Array, Array]:
    """Return frames of a phase vocoder [channels, n, length], and gain and weight [length] of their overlap-add.

    The phase of a spectral peak advances as much as it does in `hop` samples of the input. The bins around a peak keep
    their phases relative to it. numbers: which output frames to make, by their numbers j (see the module). held: the
    state, in which `spectrum` is updated.

    Source: J. Laroche and M. Dolson, Improved phase vocoder time-scale modification of audio, IEEE Transactions on
    Speech and Audio Processing 7(3), 1999 (identity phase locking).
    """
    from scipy.fft import irfft, rfft

    window = window_values("hann", "none", how.length, held.samples.dtype)
    middles = np.array([how.position(number) for number in numbers])
    now, earlier = (rfft(_cut(how, held, at) * window, axis=2) for at in (middles, middles - how.hop))
    for k in range(len(numbers)):
        if held.spectrum is not None:
            now[:, k] = _locked(now[:, k], earlier[:, k], held.spectrum)
        held.spectrum = now[:, k].copy()
    return irfft(now, how.length, axis=2), window, window * window


def _locked(now: Array, earlier: Array, before: Array) -> Array:
    """Return the spectra `now` [channels, bins] with phases that continue those of the last output frame.

    earlier: the spectra of the input `hop` samples before `now`; before: the spectra of the last output frame. Peaks
    are bins with more power, of all channels together, than the two bins on either side. Around a peak, the phases of
    all channels change by one angle: the advance of the peak's phase in the input, plus the peak's phase in the last
    output frame minus its phase in `now`, both averaged over the channels, weighted by power. Where there was silence
    before, no phase changes.
    """
    power = (now.real * now.real + now.imag * now.imag).sum(axis=0)
    around = np.pad(power, 2, constant_values=-1)
    count = len(power)
    higher = [power > around[2 + shift : 2 + shift + count] for shift in (-2, -1, 1, 2)]
    peaks = np.flatnonzero(higher[0] & higher[1] & higher[2] & higher[3])
    if not len(peaks):
        return now
    owner = np.searchsorted((peaks[:-1] + peaks[1:] + 1) // 2, np.arange(count), side="right")
    at = now[:, peaks]
    advance = (at * np.conj(earlier[:, peaks])).sum(axis=0)
    past = (before[:, peaks] * np.conj(at)).sum(axis=0)
    turn = np.where(past == 0, 1, _unit(advance) * _unit(past)).astype(now.dtype, copy=False)
    locked: Array = now * turn[owner]
    return locked


def _unit(z: Array) -> Array:
    """Return z / |z| of complex z, in the shape of z; 1 where z is 0."""
    size = np.sqrt(z.real * z.real + z.imag * z.imag)
    unit: Array = np.where(size > 0, z / np.where(size > 0, size, 1), z.dtype.type(1))
    return unit


def _shifted_frames(how: Stretching, held: StretchState, numbers: range) -> tuple[Array, Array, Array]:
    """Return frames of WSOLA [channels, n, length], and the gain [length] and weight [length] of their overlap-add.

    Each frame is cut where it continues the previous frame best: at the shift, of at most `reach` samples, with the
    largest x . t / sqrt(x . x), where x is the shifted frame, with all its channels, and t is the frame that begins
    `hop` samples after the previous one. Of equally good shifts, as in silence, the smallest is taken. Frame 0 is not
    shifted. numbers: which output frames to make, by their numbers j (see the module). held: the state, in which
    `shifted` is updated.

    Source: W. Verhelst and M. Roelands, An overlap-add technique based on waveform similarity (WSOLA) for high quality
    time-scale modification of speech, ICASSP 1993.
    """
    from dspgraph_nodes._kernels.maths.matmul import matmul

    window = window_values("hann", "none", how.length, held.samples.dtype)
    channels = len(held.samples)
    frames = np.empty((channels, len(numbers), how.length), held.samples.dtype)
    shifts = np.array(sorted(range(-how.reach, how.reach + 1), key=abs))
    for k, number in enumerate(numbers):
        middle = how.position(number)
        if number:
            followed = _cut(how, held, np.array([held.shifted + how.hop])).astype(np.float64)
            candidates = _cut(how, held, middle + shifts).astype(np.float64)
            candidates = candidates.transpose(1, 0, 2).reshape(len(shifts), -1)  # the channels one after the other
            alike = matmul(candidates, followed.reshape(-1, 1))[:, 0]
            power = matmul(candidates * candidates, np.ones((channels * how.length, 1)))[:, 0]
            middle += int(shifts[np.argmax(alike / np.sqrt(np.maximum(power, 1e-300)))])
        held.shifted = middle
        frames[:, k] = _cut(how, held, np.array([middle]))[:, 0]
    return frames, window, window
