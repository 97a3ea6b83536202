"""What LPCNet is trained on: chunks of speech with their features, and noise that makes them like its own output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.random import Generator, Philox, SeedSequence
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from dspgraph_nodes._kernels.neural.lpcnet_codes import PEAK
from dspgraph_nodes._kernels.neural.lpcnet_noise import Excitation, closed_loop, inputs, open_loop
from dspgraph_nodes.models.lpcnet.config import HOP

Array = NDArray[Any]
Features = Callable[[Array], Mapping[str, Array]]

PIPELINE = "lpcnet_features"
"""The pipeline that gives the features of a recording: cepstrum, pitch, correlation and lpc."""

DELAY = 80  # samples that belong to a frame begin half a hop before its span: its window is centred on the span's start
CONTEXT = 2  # frames on either side that the network looks at
EMPHASIS = 0.85
NOISES: dict[str, Callable[[Array, Array, Array], Excitation]] = {"c": closed_loop, "2018": open_loop}

Item = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Cepstrum, pitch and correlation of a chunk with its context; codes [samples, 3] and target [samples] of the chunk."""


@dataclass(frozen=True)
class Utterance:
    """One recording as the network sees it; all arrays have the same number of frames.

    signal: [frames * 160], pre-emphasised, 16-bit scale, the samples of frame k at 160 k; cepstrum: [frames, bands];
    pitch, correlation: [frames]; lpc: [frames, order].
    """

    signal: Array
    cepstrum: Array
    pitch: Array
    correlation: Array
    lpc: Array

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.lpc)

    @cached_property
    def clean(self) -> tuple[Array, Array]:
        """Codes [samples, 3] and target [samples] without noise: of the whole, as synthesis goes through it."""
        excitation = closed_loop(self.signal, self.lpc, np.zeros(len(self.signal), np.int64))
        return inputs(excitation).astype(np.uint8), excitation.target.astype(np.uint8)

    def part(self, first: int, last: int) -> Utterance:
        """The frames from `first` up to `last`."""
        rows = (self.cepstrum, self.pitch, self.correlation, self.lpc)
        return Utterance(self.signal[HOP * first : HOP * last], *(each[first:last] for each in rows))


def utterance(samples: Array, features: Features) -> Utterance:
    """What there is to learn from samples [n], full scale +-1, 16 kHz; `features` gives their features by name."""
    found = features(samples)
    lpc = np.asarray(found["lpc"], np.float32)
    emphasised = PEAK * (samples - EMPHASIS * np.concatenate((np.zeros(1), samples[:-1])))
    signal = np.zeros(HOP * len(lpc), np.float32)
    there = min(len(samples), len(signal) - DELAY)
    signal[DELAY : DELAY + there] = emphasised[:there]
    rows = [np.asarray(found[name], np.float32) for name in ("cepstrum", "pitch", "correlation")]
    return Utterance(signal, rows[0], rows[1][:, 0], rows[2][:, 0], lpc)


def augmented(samples: Array, random: Generator) -> Array:
    """A copy as from another room and microphone: a random filter of two poles and two zeros, sign and level.

        H(z) = (1 + b1 z**-1 + b2 z**-2) / (1 + a1 z**-1 + a2 z**-2),    b1, b2, a1, a2 from -3/8 to 3/8

    The level moves by -20 to 19 dB, as far as full scale allows.
    """
    b1, b2, a1, a2 = random.uniform(-0.375, 0.375, 4)
    gain = random.choice((-1.0, 1.0)) * 10 ** (random.uniform(-20, 19) / 20)
    filtered: Array = gain * lfilter([1, b1, b2], [1, a1, a2], samples)
    return filtered / max(1.0, float(np.abs(filtered).max(initial=0)))


def noise(form: str, count: int, random: Generator, strength: float = 1.0) -> Array:
    """Whole mu-law levels [count] to add, of one of the strengths a form knows; they have no bias.

    "c": Laplace's distribution, its deviation |1.5 ln(1e-4 + u) + 0.5 ln(1e-4 + u')| with u, u' from 0 to 1: 2 levels
    in the mean. "2018": a fifth none, a fifth from -3 to 3, a fifth from -2 to 2, the rest from -1 to 1.
    All of it times `strength`.
    """
    if form == "c":
        u = np.log(1e-4 + random.random(2))
        return rounded_laplace(strength * abs(1.5 * u[0] + 0.5 * u[1]), count, random)
    most = round(strength * (0, 3, 2, 1, 1)[random.integers(5)])
    return random.integers(-most, most + 1, count)


def rounded_laplace(deviation: float, count: int, random: Generator) -> Array:
    """Whole numbers [count] nearest to ones of Laplace's distribution with this standard deviation."""
    return np.floor(0.5 + random.laplace(0, deviation / np.sqrt(2), count)).astype(np.int64)


def item(whole: Utterance, first: int, frames: int, form: str, random: Generator, strength: float = 1.0) -> Item:
    """The chunk of frames from `first` on, with noise of a form or, form "none", without.

    The loop with noise runs over the context before the chunk too, to warm up.
    """
    part = whole.part(first - CONTEXT, first + frames + CONTEXT)
    if form in NOISES:
        excitation = NOISES[form](part.signal, part.lpc, noise(form, len(part.signal), random, strength))
        inside = slice(HOP * CONTEXT, HOP * (CONTEXT + frames))
        codes, target = inputs(excitation)[inside], excitation.target[inside]
    else:
        inside = slice(HOP * first, HOP * (first + frames))
        codes, target = whole.clean[0][inside], whole.clean[1][inside]
    a, b, c = (torch.from_numpy(each) for each in (part.cepstrum, part.pitch, part.correlation))
    return a, b, c, torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(target.astype(np.int64))


class Chunks(Dataset[Item]):
    """Chunks of utterances, each with two frames of context on either side.

    An index is (pass, place): the same gives the same chunk with the same noise, whoever asks and when. In pass -1
    there is no noise, and the chunks begin with the first frame that has a context; in the others the frames that are
    left over at the end of an utterance are left out at its beginning or its end, by chance. The share `clean` of them
    has no noise either.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        frames: int,
        form: str,
        seed: int,
        clean: float = 0.0,
        strength: float = 1.0,
    ) -> None:  # fmt: skip
        self.utterances, self.frames, self.form, self.seed = utterances, frames, form, seed
        self.clean, self.strength = clean, strength
        self.places = [
            (k, CONTEXT + first)
            for k, one in enumerate(utterances)
            for first in range(0, one.frames - 2 * CONTEXT - frames + 1, frames)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        turn, place = index
        k, first = self.places[place]
        if turn < 0:
            return item(self.utterances[k], first, self.frames, "none", drawn(self.seed))
        left = (self.utterances[k].frames - 2 * CONTEXT) % self.frames
        first += int(drawn(self.seed, turn, k).integers(left + 1))
        random = drawn(self.seed, turn, place, 1)
        form = "none" if random.random() < self.clean else self.form
        return item(self.utterances[k], first, self.frames, form, random, self.strength)


def drawn(*key: int) -> Generator:
    """Random numbers that depend on the key alone."""
    return Generator(Philox(SeedSequence(key)))


class Order(Sampler[list[tuple[int, int]]]):
    """So many batches of indices of `Chunks`, from a step on: every pass has all chunks in an order of its own."""

    def __init__(self, count: int, batch: int, seed: int, begin: Callable[[], int], steps: int) -> None:
        self.count, self.batch, self.seed, self.begin, self.steps = count, batch, seed, begin, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        turn, order = -1, np.zeros(0, np.int64)
        for step in range(begin := self.begin(), begin + self.steps):
            batch = []
            for number in range(self.batch * step, self.batch * (step + 1)):
                if number // self.count != turn:
                    turn = number // self.count
                    order = drawn(self.seed, turn).permutation(self.count)
                batch.append((turn, int(order[number % self.count])))
            yield batch
