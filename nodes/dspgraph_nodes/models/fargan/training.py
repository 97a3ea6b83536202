"""A training run of FARGAN: the published training without its adversarial part. The loss compares spectra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import cosine_similarity, pad

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.spectral_distance import LEAST_POWER, distance_of_roots
from dspgraph_nodes._kernels.signal.freqt import log_power_to_mcep_matrix
from dspgraph_nodes.models.fargan.config import FARGAN_HOP, PRESETS, Config
from dspgraph_nodes.models.fargan.data import (
    BEFORE,
    PIPELINE,
    FarganChunk,
    FarganChunks,
    another_voice,
    arrays,
    utterance,
)
from dspgraph_nodes.models.fargan.network import FARGAN
from dspgraph_nodes.models.fargan.weights import WEIGHTS
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    FeatureFunction,
    fingerprint,
    mean_figures,
    rng,
    split,
    stacked,
)
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import TrainingSettings, of_config

__all__ = ["PIPELINE", "Settings", "train"]

_LENGTHS = 2560, 1280, 640, 320, 160, 80  # samples of the transforms in the loss
_START_SHARE = 0.03  # weight of `start` in the loss
_CEPSTRUM = 400, 80, 512  # samples of the window, of the hop and of the transform for mel-cepstra
_ORDER, _ALPHA = 24, 0.42  # of the mel-cepstra
_LEAST_SHARE = 1e-10  # least power of a bin, relative to the largest one of the frame
_LAST_RATE = 0.05  # factor of the learning rate in the last update


class Settings(TrainingSettings, frozen=True, extra="forbid"):
    """The settings of a training run of FARGAN."""

    PRESETS: ClassVar = PRESETS

    preset: str = Field("fargan", description=f"sizes of the network: {' or '.join(PRESETS)}")
    frame_units: int | None = of_config(Config, "frame_units")
    frame_channels: int | None = of_config(Config, "frame_channels")
    condition: int | None = of_config(Config, "condition")
    first: int | None = of_config(Config, "first")
    gru1: int | None = of_config(Config, "gru1")
    gru2: int | None = of_config(Config, "gru2")
    gru3: int | None = of_config(Config, "gru3")
    skip: int | None = of_config(Config, "skip")
    batch: int = Field(64, ge=1, description="chunks in a batch of one process")
    frames: int = Field(15, ge=2, description="frames of 10 ms in a chunk; the first one has the true past")
    long_share: float = Field(
        0.1, ge=0, le=1, description="share of the batches that have half as many chunks, of twice the length"
    )
    speed: float = Field(
        1.25, ge=1, le=2, description="largest factor by which a copy of a recording is played faster or slower"
    )
    cepstrum: float = Field(0, ge=0, description="weight of the distance between mel-cepstra in the loss")
    learning_rate: float = Field(2e-3, gt=0, description="learning rate of Adam")
    warm_up: int = Field(50, ge=0, description="updates until the learning rate has risen to its value")
    finish: int = Field(
        1000,
        ge=0,
        description=f"updates at the end in which the learning rate falls linearly to {_LAST_RATE:g} of its value",
    )


def rate(updates: int, settings: Settings) -> float:
    """Return the factor of the learning rate after `updates` updates, at most 1.

    The factor rises linearly to 1, stays there, and falls linearly before the last update, whose number is the setting
    `steps`. So a run that is resumed with a smaller `steps` ends early and properly.
    """
    rising = min(1.0, (updates + 1) / (settings.warm_up + 1))
    falling = min(1.0, (settings.steps - updates) / settings.finish) if settings.finish else 1.0
    return rising * max(_LAST_RATE, falling)


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return the `trainer.Task` of a training run of FARGAN: its network, batches, losses and validation.

    recordings: name -> samples [n], full scale +-1, 16 kHz. features: the function that computes the features of such
    samples.
    """
    training, validation = split(
        recordings,
        lambda _, x: utterance(x, features),
        settings,
        FARGAN_HOP,
        BEFORE,
        partial(another_voice, speed=settings.speed),
    )
    chunks, held = (
        FarganChunks(training, settings.frames, settings.seed),
        FarganChunks(validation, settings.frames, settings.seed),
    )
    enough = [one for one in training if one.frames >= 2 * (settings.frames + BEFORE)]
    longer = FarganChunks(enough, 2 * settings.frames, settings.seed)
    orders = (
        BatchOrder(len(chunks), settings.batch, settings.seed),
        BatchOrder(len(longer), max(1, settings.batch // 2), settings.seed),
    )

    def batch(number: int) -> tuple[Tensor, ...]:
        if len(longer) and rng(settings.seed, number, 4).random() < settings.long_share:
            return stacked([longer[index] for index in orders[1][number]])
        return stacked([chunks[index] for index in orders[0][number]])

    def losses(network: FARGAN, batch: FarganChunk) -> Iterator[Mapping[str, Tensor]]:
        yield figures(network, *batch, cepstrum=settings.cepstrum)

    return trainer.Task(
        network=lambda: FARGAN(settings.config),
        batch=batch,
        losses=losses,
        validate=lambda network: mean_figures(
            held, partial(figures, network, cepstrum=settings.cepstrum), network.first.weight.device
        ),
        save=lambda network, path: save(WEIGHTS, network, path),
        load=lambda path: load(WEIGHTS, FARGAN, path),
        fingerprint=fingerprint(arrays([*training, *validation])),
        summary=f"{len(chunks)} chunks of {settings.frames} frames for training, {len(held)} for validation",
        figures=("spectrum", "start", *(("cepstrum",) if settings.cepstrum else ())),
        unit="",
        adam={"betas": (0.8, 0.95), "weight_decay": 0.01, "decoupled_weight_decay": True},
        ends=("embed_pitch", "gain", "pitch_gains", "last"),
        rate=lambda updates: rate(updates, settings),
    )


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`. recordings: samples [n], full scale +-1, 16 kHz, by name."""


# ---- losses ---------------------------------------------------------------------------------------------------------


def figures(
    network: FARGAN, inputs: Tensor, period: Tensor, past: Tensor, true: Tensor, cepstrum: float = 0
) -> dict[str, Tensor]:
    """Return {"loss": ..., "spectrum": ..., "start": ...} of a batch, and "cepstrum" if its weight is above 0.

        loss = spectrum + 0.03 * start + weight * cepstrum
        start = mean(1 - cos(true, made)) over the first frame without true past

    The tensors are those of `FarganChunk`, one row per chunk. "spectrum" is the `spectral_loss` over the frame before
    the chunk and the chunk. The network gets true samples for the first frame of the chunk, and this frame is replaced
    by true samples in the spectra, so that it does not count. "cepstrum" is the `cepstral_loss` of the chunk after its
    first frame; the argument `cepstrum` is its weight.
    """
    made = network(inputs, period, past, true[:, :FARGAN_HOP])
    free = slice(FARGAN_HOP, 2 * FARGAN_HOP)
    start = (1 - cosine_similarity(made[:, free], true[:, free], dim=1)).mean()
    known = torch.cat((past[:, -FARGAN_HOP:], true[:, :FARGAN_HOP]), 1)
    spectrum = spectral_loss(torch.cat((known, true[:, FARGAN_HOP:]), 1), torch.cat((known, made[:, FARGAN_HOP:]), 1))
    found = {"loss": spectrum + _START_SHARE * start, "spectrum": spectrum, "start": start}
    if cepstrum:
        found["cepstrum"] = cepstral_loss(true[:, FARGAN_HOP:], made[:, FARGAN_HOP:])
        found["loss"] = found["loss"] + cepstrum * found["cepstrum"]
    return found


def cepstral_loss(true: Tensor, made: Tensor) -> Tensor:
    """Return the mean distance between the mel-cepstra of two signals at 16 kHz, both [batch, n], n >= 400.

        mean over frames of sqrt(sum over m = 1..24 of (c_m - c'_m)**2)

    c is the mel-cepstrum of ln|X|, warped by an all-pass filter of constant 0.42, in frames of 25 ms every 5 ms with
    Hann windows: 10 * sqrt(2) / ln(10) times the mean is the metric `mcd`, without its choice of audible frames.
    Powers are at least 1e-10 of the largest power of their frame.
    """
    distances = (_mel_cepstra(true) - _mel_cepstra(made)).square().sum(-1)
    return distances.clamp(min=1e-12).sqrt().mean()


def _mel_cepstra(signal: Tensor) -> Tensor:
    """Return the mel-cepstra of signals [batch, n] from c_1 on, [batch, frames, 24]."""
    length, hop, n_fft = _CEPSTRUM
    spectra = torch.fft.rfft(signal.unfold(1, length, hop) * _window(length).to(signal), n_fft)
    power = torch.view_as_real(spectra).square().sum(-1)
    least = power.detach().amax(-1, keepdim=True) * _LEAST_SHARE
    matrix = torch.tensor(log_power_to_mcep_matrix(n_fft, _ORDER, _ALPHA)[:, 1:]).to(signal)
    return torch.log(torch.maximum(power, least).clamp(min=LEAST_POWER)) @ matrix


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
    """Compute `distance_of_roots` in torch, on any device. On a CPU the kernel takes a quarter of the time."""
    of_true, of_made = (torch.view_as_real(one).square().sum(-1) for one in (true, made))
    x, y = (one.clamp(min=LEAST_POWER).sqrt().sqrt() for one in (of_true, of_made))
    slope = torch.where(of_made > LEAST_POWER, 0.5 * torch.sign(y - x) / y**3, 0)
    return (y - x).abs().sum() / x.sum(), made * (slope / x.sum())


def _distance_on_cpu(true: Tensor, made: Tensor) -> tuple[float, Tensor]:
    distance, gradient = distance_of_roots(true.numpy(), made.numpy())
    return distance, torch.from_numpy(gradient)


def _mode(length: int, samples: int) -> str:
    """Return the mode in which `torch.nn.functional.pad` extends a signal: "reflect", or "constant" for a short signal.

    length: the length of the window; samples: that of the signal.
    """
    return "reflect" if length // 2 < samples else "constant"


def _spectrum(signal: Tensor, length: int) -> Tensor:
    """Return the short-time Fourier transform of signals [batch, n], [batch * frames, bins]. length: of the window."""
    around = pad(signal, (length // 2, length // 2), mode=_mode(length, signal.shape[1]))
    frames = around.unfold(1, length, length // 4) * _window(length).to(signal)
    spectrum: Tensor = torch.fft.rfft(frames)
    return spectrum.flatten(0, 1)


def _of_signal(of_spectrum: Tensor, length: int, samples: int) -> Tensor:
    """Return the gradient with respect to signals [batch, samples], from that with respect to their `_spectrum`.

    of_spectrum: the latter, [batch * frames, bins]; it is overwritten. length: of the window.
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
