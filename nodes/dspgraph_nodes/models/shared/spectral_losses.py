"""Distances between the spectra of signals, as parts of a loss."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import pad

from dspgraph_nodes._kernels.neural.spectral_distance import LEAST_POWER, distance_of_roots
from dspgraph_nodes._kernels.signal.freqt import log_power_to_mcep_matrix

_LENGTHS = 2560, 1280, 640, 320, 160, 80  # samples of the transforms in `spectral_loss`
CEPSTRUM_LENGTH = 400  # samples of the window of `cepstral_loss`, the least number of samples that it takes
_CEPSTRUM_HOP, _CEPSTRUM_POINTS = 80, 512  # samples of the hop and of the transform
_ORDER, _ALPHA = 24, 0.42  # of the mel-cepstra
_AUDIBLE = 1e-6  # least energy of a frame that counts, relative to the loudest one
_LEAST_SHARE = 1e-10  # least power of a bin, relative to the largest one of the frame


def cepstral_loss(true: Tensor, made: Tensor) -> Tensor:
    """Return the mean distance between the mel-cepstra of two signals at 16 kHz, both [batch, n], n >= 400.

        mean over frames of sqrt(sum over m = 1..24 of (c_m - c'_m)**2)

    c and c' are the mel-cepstra of ln|X| of the two signals, warped by an all-pass filter of constant 0.42, in frames
    of 25 ms every 5 ms with Hann windows. 10 * sqrt(2) / ln(10) times the mean is the metric `mcd`. As in that metric,
    powers are at least 1e-10 of the largest power of their frame. Frames of `true` whose energy is more than 60 dB
    below that of its loudest frame in the batch do not count, nor the same frames of `made`. The precision is that of
    the signals, also where torch would round products to 16 bits.
    """
    with torch.autocast(made.device.type, enabled=False):
        (x, energy), (y, _) = (_log_powers(one) for one in (true, made))
        audible = energy >= energy.amax() * _AUDIBLE
        matrix = torch.tensor(log_power_to_mcep_matrix(_CEPSTRUM_POINTS, _ORDER, _ALPHA)[:, 1:]).to(made)
        squares = ((x - y)[audible] @ matrix).square().sum(-1)
    return squares.clamp(min=1e-12).sqrt().mean()


def _log_powers(signal: Tensor) -> tuple[Tensor, Tensor]:
    """Return ln(|X|**2), [batch, frames, bins], and the energy, [batch, frames], of every frame. signal: [batch, n].

    X is the spectrum of a frame. In the logarithm |X|**2 is at least 1e-10 of its largest value in the frame, and at
    least 1e-14; the energy is the sum of |X|**2 over the bins, without these limits.
    """
    frames = signal.unfold(1, CEPSTRUM_LENGTH, _CEPSTRUM_HOP) * _window(CEPSTRUM_LENGTH).to(signal)
    spectra = torch.fft.rfft(frames, _CEPSTRUM_POINTS)
    power = torch.view_as_real(spectra).square().sum(-1)
    least = power.detach().amax(-1, keepdim=True) * _LEAST_SHARE
    return torch.log(torch.maximum(power, least).clamp(min=LEAST_POWER)), power.sum(-1)


def spectral_loss(true: Tensor, made: Tensor) -> Tensor:
    """Return the distance between the short-time spectra of two signals, both [batch, n].

        mean over N of  sum |sqrt|X| - sqrt|Y|| / sum sqrt|X|

    X and Y are the short-time Fourier transforms of the true and of the generated signal, with Hann windows of N =
    2560, 1280 .. 80 samples and hop N / 4; their magnitudes are at least 1e-7. Only `made` gets a gradient.
    """
    found: Tensor = _SpectralLoss.apply(true.detach(), made)  # type: ignore[no-untyped-call]
    return found


class _SpectralLoss(Function):
    """The function `spectral_loss` for autograd. Its forward pass also computes the gradient."""

    @staticmethod
    def forward(ctx: Any, true: Tensor, made: Tensor) -> Tensor:
        total, gradient = made.new_zeros(()), torch.zeros_like(made)
        measure = _distance_on_cpu if made.device.type == "cpu" else spectral_distance
        for length in _LENGTHS:
            distance, of_spectrum = measure(*(_spectrum(one, length) for one in (true, made)))
            total += distance / len(_LENGTHS)
            gradient += _of_signal(of_spectrum, length, made.shape[1])
        ctx.save_for_backward(gradient / len(_LENGTHS))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[None, Tensor]:
        return None, gradients[0] * ctx.saved_tensors[0]


def spectral_distance(true: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """Return (distance of two spectra, its gradient), as the kernel `distance_of_roots` does, on any device.

    true, made: [rows, bins] complex. The distance is the term for one N in `spectral_loss`. The gradient is that with
    respect to the real and imaginary parts of `made`. On a CPU the kernel takes a quarter of the time.
    """
    of_true, of_made = (torch.view_as_real(one).square().sum(-1) for one in (true, made))
    x, y = (one.clamp(min=LEAST_POWER).sqrt().sqrt() for one in (of_true, of_made))
    slope = torch.where(of_made > LEAST_POWER, 0.5 * torch.sign(y - x) / y**3, 0)
    return (y - x).abs().sum() / x.sum(), made * (slope / x.sum())


def _distance_on_cpu(true: Tensor, made: Tensor) -> tuple[float, Tensor]:
    distance, gradient = distance_of_roots(true.numpy(), made.numpy())
    return distance, torch.from_numpy(gradient)


def _mode(length: int, samples: int) -> str:
    """Return the mode in which `torch.nn.functional.pad` extends a signal: "reflect", or "constant" for a short signal.

    length: the length of the window; samples: the length of the signal. A signal is short if it has at most length // 2
    samples.
    """
    return "reflect" if length // 2 < samples else "constant"


def _spectrum(signal: Tensor, length: int) -> Tensor:
    """Return the short-time Fourier transform of signals, [batch * frames, bins].

    signal: [batch, n]; length: the length of the window. The hop is a quarter of it. The signals are first extended by
    length // 2 samples at both ends, as `_mode` says.
    """
    around = pad(signal, (length // 2, length // 2), mode=_mode(length, signal.shape[1]))
    frames = around.unfold(1, length, length // 4) * _window(length).to(signal)
    spectrum: Tensor = torch.fft.rfft(frames)
    return spectrum.flatten(0, 1)


def _of_signal(of_spectrum: Tensor, length: int, samples: int) -> Tensor:
    """Return the gradient of a loss with respect to signals [batch, samples]: the backward pass of `_spectrum`.

    of_spectrum: the gradient with respect to the result of `_spectrum`, [batch * frames, bins]; it is overwritten.
    length: the length of the window.
    """
    half, hop = length // 2, length // 4
    of_spectrum[:, 1:-1] *= 0.5  # a bin inside stands for two bins of a whole transform
    count = (samples + 2 * half - length) // hop + 1
    frames = torch.fft.irfft(of_spectrum, length, norm="forward").view(-1, count, length)
    frames *= _window(length).to(frames)
    around = frames.new_zeros(len(frames), samples + 2 * half)
    parts = around[:, : (count + 3) * hop].view(-1, count + 3, hop)
    for k in range(4):
        parts[:, k : k + count] += frames[:, :, k * hop : (k + 1) * hop]
    found: Tensor = around[:, half : half + samples]
    if _mode(length, samples) == "reflect":
        found[:, 1 : half + 1] += around[:, :half].flip(1)
        found[:, -half - 1 : -1] += around[:, -half:].flip(1)
    return found


@lru_cache(maxsize=len(_LENGTHS) + 1)
def _window(length: int) -> Tensor:
    return torch.hann_window(length)
