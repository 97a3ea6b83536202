"""Reconstruction of phases from magnitudes, frame by frame, with a few frames of lookahead (RTISI-LA)."""

from dataclasses import dataclass

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.signal.stft import spectra


@dataclass(frozen=True)
class Rtisi:
    """The settings of the reconstruction of phases.

    window: [length], the window of the analysis; hop, n_fft: in samples; iterations: how many times the phases of all
    held frames are computed anew before the first of them becomes final; ahead: how many later frames must be known
    before the phases of a frame become final.
    """

    window: Array
    hop: int
    n_fft: int
    iterations: int
    ahead: int

    def synthesis(self) -> Array:
        """Return the window for synthesis, [length]: window / (sum of the squared windows that overlap at a sample)."""
        weight = np.zeros(-(-len(self.window) // self.hop) * self.hop, self.window.dtype)
        weight[: len(self.window)] = self.window * self.window
        sums = np.add.accumulate(weight.reshape(-1, self.hop), axis=0)[-1]
        return self.window / np.resize(np.maximum(sums, np.finfo(sums.dtype).tiny), len(self.window))


@dataclass
class RtisiState:
    """The frames whose phases are not final yet.

    magnitude, spectrum: [n, bins], the given magnitudes and the present spectra of these frames. left: [length], the
    overlap-add of all final frames, at the samples of the first frame that is not final.
    """

    magnitude: Array  # [n, bins]
    spectrum: Array  # [n, bins], with the phases of the last iteration
    left: Array  # [length]


def rtisi_start(how: Rtisi) -> RtisiState:
    """Return the state before the first frame. how: the settings."""
    bins, dtype = how.n_fft // 2 + 1, how.window.dtype
    spectrum = np.empty((0, bins), np.result_type(dtype, np.complex64))
    return RtisiState(np.empty((0, bins), dtype), spectrum, np.zeros(len(how.window), dtype))


def rtisi_push(how: Rtisi, held: RtisiState, magnitude: Array) -> Array | None:
    """Add a frame, magnitude [bins]; return the final spectrum of the frame `ahead` frames before it, if there is one.

    The earlier frames that overlap the new one are added up. The phases of the sum's spectrum are the initial phases of
    the new frame. `rtisi_pop` then iterates; it is not called, and None is returned, while at most `ahead` frames are
    held. how: the settings; held: the state, updated in place.
    """
    blank = np.zeros((1, how.n_fft // 2 + 1), held.spectrum.dtype)
    begun = _analysed(how, _sum(how, held, np.concatenate((held.spectrum, blank))))[-1:]
    held.magnitude = np.concatenate((held.magnitude, magnitude[None]))
    held.spectrum = np.concatenate((held.spectrum, _with_magnitude(begun, magnitude[None])))
    return rtisi_pop(how, held) if len(held.magnitude) > how.ahead else None


def rtisi_pop(how: Rtisi, held: RtisiState) -> Array:
    """Iterate over the held frames, then make the first of them final: return its spectrum [bins], and drop the frame.

    how: the settings; held: the state with at least one frame, updated in place.
    """
    for _ in range(how.iterations):
        held.spectrum = _with_magnitude(_analysed(how, _sum(how, held, held.spectrum)), held.magnitude)
    final: Array = held.spectrum[0].copy()
    left = held.left + _pieces(how, held.spectrum[:1])[0]
    held.left = np.concatenate((left[how.hop :], np.zeros(min(how.hop, len(left)), left.dtype)))
    held.magnitude, held.spectrum = held.magnitude[1:], held.spectrum[1:]
    return final


def _pieces(how: Rtisi, spectrum: Array) -> Array:
    """Return the inverse Fourier transforms of spectra, multiplied by the window for synthesis: [n, length].

    how: the settings; spectrum: [n, bins].
    """
    from scipy.fft import irfft

    left = (how.n_fft - len(how.window)) // 2
    pieces: Array = irfft(spectrum, how.n_fft, axis=1)[:, left : left + len(how.window)] * how.synthesis()
    return pieces


def _sum(how: Rtisi, held: RtisiState, spectrum: Array) -> Array:
    """Return the overlap-add of the final frames and of the frames with the spectra `spectrum`: [samples].

    It begins with the first frame that is not final. how: the settings; held: the state, of which only `left` is used;
    spectrum: [n, bins], those of the held frames, and of a new one if wanted.
    """
    length = len(how.window)
    y = np.zeros(length + (len(spectrum) - 1) * how.hop, how.window.dtype)
    y[:length] = held.left
    for k, piece in enumerate(_pieces(how, spectrum)):
        y[k * how.hop : k * how.hop + length] += piece
    return y


def _analysed(how: Rtisi, y: Array) -> Array:
    """Return the short-time spectra of all frames of a signal y, [n, bins]."""
    frames = np.lib.stride_tricks.sliding_window_view(y, len(how.window))[:: how.hop]
    rows: Array = spectra(frames, how.window, how.n_fft)
    return rows


def _with_magnitude(spectrum: Array, magnitude: Array) -> Array:
    """Return magnitude * spectrum / |spectrum|, or the magnitude itself where the spectrum is 0: [n, bins]."""
    size = np.sqrt(spectrum.real * spectrum.real + spectrum.imag * spectrum.imag)
    unit = np.where(size > 0, spectrum / np.where(size > 0, size, 1), spectrum.dtype.type(1))
    imposed: Array = magnitude * unit
    return imposed
