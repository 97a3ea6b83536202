"""The training data of LPCNet: chunks of speech with their features, and noise as in the network's own output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import torch
from numpy.random import Generator, Philox, SeedSequence
from scipy.signal import lfilter
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from dspgraph import RequestError
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.lpcnet_codes import PEAK
from dspgraph_nodes._kernels.neural.lpcnet_noise import Excitation, closed_loop, inputs, open_loop
from dspgraph_nodes.models.lpcnet.config import HOP
from dspgraph_nodes.models.lpcnet.settings import Settings

FeatureFunction = Callable[[Array], Mapping[str, Array]]
"""A function that returns the outputs of a pipeline, by name, for the samples of a recording."""

PIPELINE = "lpcnet_features"
"""The pipeline that gives the features of a recording: cepstrum, pitch, correlation and lpc."""

DELAY = 80  # samples; a frame begins half a hop before its span, because its window is centred on the start of the span
CONTEXT = 2  # frames before and after a frame that its condition depends on
EMPHASIS = 0.85
NOISES: dict[str, Callable[[Array, Array, Array], Excitation]] = {"c": closed_loop, "2018": open_loop}

Chunk = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Cepstrum, pitch, correlation of a chunk and its context; codes [samples, 3], target [samples] of the chunk alone."""


# ---- recordings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Utterance:
    """One recording with its features; all arrays have the same number of frames.

    signal: [frames * 160], pre-emphasised, in the scale of 16-bit samples, frame k from index 160 * k on; cepstrum:
    [frames, bands]; pitch, correlation: [frames]; lpc: [frames, order].
    """

    signal: Array
    cepstrum: Array
    pitch: Array
    correlation: Array
    lpc: Array

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.lpc)

    @cached_property
    def clean(self) -> tuple[Array, Array]:
        """Input codes [n, 3] and target codes [n], uint8, for the n samples of the recording, without added noise."""
        excitation = closed_loop(self.signal, self.lpc, np.zeros(len(self.signal), np.int64))
        return inputs(excitation).astype(np.uint8), excitation.target.astype(np.uint8)

    def part(self, first: int, last: int) -> Utterance:
        """Return the part of the recording with the frames `first` to `last` - 1."""
        rows = (self.cepstrum, self.pitch, self.correlation, self.lpc)
        return Utterance(self.signal[HOP * first : HOP * last], *(each[first:last] for each in rows))


def utterance(samples: Array, features: FeatureFunction) -> Utterance:
    """Return a recording with its features.

    samples: [n], full scale +-1, 16 kHz; features: the function that computes the features.
    """
    found = features(samples)
    lpc = np.asarray(found["lpc"], np.float32)
    emphasised = PEAK * (samples - EMPHASIS * np.concatenate((np.zeros(1), samples[:-1])))
    signal = np.zeros(HOP * len(lpc), np.float32)
    count = min(len(samples), len(signal) - DELAY)
    signal[DELAY : DELAY + count] = emphasised[:count]
    rows = [np.asarray(found[name], np.float32) for name in ("cepstrum", "pitch", "correlation")]
    return Utterance(signal, rows[0], rows[1][:, 0], rows[2][:, 0], lpc)


def split(
    recordings: Mapping[str, Array], features: FeatureFunction, settings: Settings
) -> tuple[list[Utterance], list[Utterance]]:
    """Return the utterances for training, with augmented copies, and those for validation.

    If no recording is kept for validation, because there is only one or the share is 0, all recordings, without their
    copies, are used for validation too. Raises RequestError if a recording is shorter than a chunk with its context, or
    if all are silent.
    """
    shortest = HOP * (settings.frames + 2 * CONTEXT)
    for name, samples in recordings.items():
        if len(samples) < shortest:
            raise RequestError(
                f"{name} has {len(samples)} samples; a chunk with its context has {shortest} ({settings.frames} frames "
                f"and {CONTEXT} on each side): leave the recording out, or set fewer frames"
            )
    if not any(samples.any() for samples in recordings.values()):
        raise RequestError("all recordings are silent; training needs speech: give other recordings")
    held = _held_out(list(recordings), settings)
    training: list[Utterance] = []
    validation: list[Utterance] = []
    for k, (name, samples) in enumerate(recordings.items()):
        if name in held:
            validation.append(utterance(samples, features))
            continue
        copies = (augmented(samples, rng(settings.seed, k, copy)) for copy in range(settings.augment))
        training += [utterance(one, features) for one in (samples, *copies)]
    return training, validation or training[:: settings.augment + 1]


def _held_out(names: list[str], settings: Settings) -> set[str]:
    """Return the names of the recordings for validation, drawn at random.

    There are none if there is only one recording or the share is 0.
    """
    if len(names) == 1 or not settings.validation_share:
        return set()
    count = max(1, round(settings.validation_share * len(names)))
    return {names[k] for k in rng(settings.seed).permutation(len(names))[:count]}


def fingerprint(data: Sequence[Utterance]) -> str:
    """Return a digest of all signals and features."""
    found = sha256()
    for one in data:
        for array in (one.signal, one.cepstrum, one.pitch, one.correlation, one.lpc):
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


# ---- augmentation and noise -----------------------------------------------------------------------------------------


def rng(*key: int) -> Generator:
    """Return a random generator that depends on the whole numbers of the key alone."""
    return Generator(Philox(SeedSequence(key)))


def augmented(samples: Array, random: Generator) -> Array:
    """Return a copy of a recording with another filter, sign and level, as if from another room and microphone.

        H(z) = (1 + b1 * z**-1 + b2 * z**-2) / (1 + a1 * z**-1 + a2 * z**-2),    b1, b2, a1, a2 uniform in -3/8 .. 3/8

    The level changes by -20 to 19 dB, uniform in dB; a copy beyond full scale is scaled down to it.
    """
    b1, b2, a1, a2 = random.uniform(-0.375, 0.375, 4)
    gain = random.choice((-1.0, 1.0)) * 10 ** (random.uniform(-20, 19) / 20)
    filtered: Array = gain * lfilter([1, b1, b2], [1, a1, a2], samples)
    return filtered / max(1.0, float(np.abs(filtered).max(initial=0)))


def noise(form: str, count: int, random: Generator, scale: float = 1.0) -> Array:
    """Return noise [count] with mean 0, in whole mu-law levels; its strength is drawn at random once per call.

    form "c": Laplace's distribution with the standard deviation |1.5 * ln(1e-4 + u) + 0.5 * ln(1e-4 + v)|, where u and
    v are uniform in 0 .. 1: 2 levels on average. form "2018": uniform in -k .. k, where k is 0, 1, 2 or 3 with the
    probabilities 1/5, 2/5, 1/5 and 1/5. scale: factor of the deviation or of k.
    """
    if form == "c":
        u = np.log(1e-4 + random.random(2))
        return rounded_laplace(scale * abs(1.5 * u[0] + 0.5 * u[1]), count, random)
    largest = round(scale * (0, 3, 2, 1, 1)[random.integers(5)])
    return random.integers(-largest, largest + 1, count)


def rounded_laplace(deviation: float, count: int, random: Generator) -> Array:
    """Return numbers [count] of Laplace's distribution, rounded to whole numbers.

    deviation: the standard deviation before rounding.
    """
    return np.floor(0.5 + random.laplace(0, deviation / np.sqrt(2), count)).astype(np.int64)


# ---- chunks ---------------------------------------------------------------------------------------------------------


def make_chunk(whole: Utterance, first: int, frames: int, form: str, random: Generator, scale: float = 1.0) -> Chunk:
    """Return the chunk of `frames` frames from frame `first` on.

    form, scale: those of its noise, as in `noise`; with the form "none" there is no noise. The loop that adds the noise
    begins with the context before the chunk, so that its state has settled at the chunk.
    """
    part = whole.part(first - CONTEXT, first + frames + CONTEXT)
    if form in NOISES:
        excitation = NOISES[form](part.signal, part.lpc, noise(form, len(part.signal), random, scale))
        inside = slice(HOP * CONTEXT, HOP * (CONTEXT + frames))
        codes, target = inputs(excitation)[inside], excitation.target[inside]
    else:
        inside = slice(HOP * first, HOP * (first + frames))
        codes, target = whole.clean[0][inside], whole.clean[1][inside]
    a, b, c = (torch.from_numpy(each) for each in (part.cepstrum, part.pitch, part.correlation))
    return a, b, c, torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(target.astype(np.int64))


class Chunks(Dataset[Chunk]):
    """Chunks of utterances, each with two frames of context on each side.

    An index is (epoch, place). The same index always gives the same chunk with the same noise. In epoch -1, for
    validation, there is no noise, and the first chunk of an utterance begins at its third frame, the first with a whole
    context. In the other epochs the chunks of an utterance begin later by a random number of frames, at most as many as
    are left over at its end, and a share `clean_share` of the chunks has no noise.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        frames: int,
        noise: str,
        seed: int,
        clean_share: float = 0.0,
        noise_scale: float = 1.0,
    ) -> None:
        self.utterances, self.frames, self.noise, self.seed = utterances, frames, noise, seed
        self.clean_share, self.noise_scale = clean_share, noise_scale
        self.places = [
            (k, CONTEXT + first)
            for k, one in enumerate(utterances)
            for first in range(0, one.frames - 2 * CONTEXT - frames + 1, frames)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: tuple[int, int]) -> Chunk:
        epoch, place = index
        k, first = self.places[place]
        if epoch < 0:
            return make_chunk(self.utterances[k], first, self.frames, "none", rng(self.seed))
        left_over = (self.utterances[k].frames - 2 * CONTEXT) % self.frames
        first += int(rng(self.seed, epoch, k).integers(left_over + 1))
        random = rng(self.seed, epoch, place, 1)
        form = "none" if random.random() < self.clean_share else self.noise
        return make_chunk(self.utterances[k], first, self.frames, form, random, self.noise_scale)


class ResumableBatches(Sampler[list[tuple[int, int]]]):
    """Batches of indices of `Chunks`, from any step on; every epoch has all chunks in a random order of its own.

    count: number of chunks; batch: chunks in a batch; begin: a function that returns the number of the first batch,
    called at the start of each iteration; steps: number of batches in one iteration.
    """

    def __init__(self, count: int, batch: int, seed: int, begin: Callable[[], int], steps: int) -> None:
        self.count, self.batch, self.seed, self.begin, self.steps = count, batch, seed, begin, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.zeros(0, np.int64)
        for step in range(begin := self.begin(), begin + self.steps):
            batch = []
            for number in range(self.batch * step, self.batch * (step + 1)):
                if number // self.count != epoch:
                    epoch = number // self.count
                    order = rng(self.seed, epoch).permutation(self.count)
                batch.append((epoch, int(order[number % self.count])))
            yield batch


def validation_batches(count: int) -> list[list[tuple[int, int]]]:
    """Return the indices of `count` chunks in epoch -1, without noise, in batches of at most 64."""
    batches = -(-count // 64)
    return [[(-1, k) for k in range(count)][n::batches] for n in range(batches)]
