"""The training data of LPCNet: chunks of speech with features, and noise on the samples that the network reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.lpcnet_codes import PEAK
from dspgraph_nodes._kernels.neural.lpcnet_noise import Excitation, closed_loop, inputs, open_loop
from dspgraph_nodes.models.lpcnet.config import HOP
from dspgraph_nodes.models.shared.data import Crops, FeatureFunction, rng

PIPELINE = "lpcnet_features"
"""The pipeline that gives the features of a recording: cepstrum, pitch, correlation and lpc."""

DELAY = 80  # samples; a frame begins half a hop before its span, because its window is centred on the start of the span
CONTEXT = 2  # number of frames before and after a frame on which the condition of the frame depends
EMPHASIS = 0.85
NOISES: dict[str, Callable[[Array, Array, Array], Excitation]] = {"c": closed_loop, "2018": open_loop}

Chunk = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Five tensors: cepstrum, pitch and correlation of a chunk with its context; codes [samples, 3] and target [samples] of
the chunk without context.
"""


# ---- recordings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Utterance:
    """One recording and its features, frame by frame.

    signal: [frames * 160], pre-emphasised, in the scale of 16-bit samples, frame k from index 160 * k on; in the result
    of `utterance`, sample n of the recording is at index n + 80. cepstrum: [frames, bands]; pitch, correlation:
    [frames]; lpc: [frames, order].
    """

    signal: Array
    cepstrum: Array
    pitch: Array
    correlation: Array
    lpc: Array

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.lpc)

    @cached_property
    def clean(self) -> tuple[Array, Array]:
        """The codes for training without added noise: inputs [n, 3] and targets [n], both uint8, for the n samples.

        The inputs of a sample are the codes of the last signal sample, of the prediction and of the last excitation;
        its target is the code of the excitation. The last samples and the predictions are those of the signal that the
        targets give, as in synthesis; this differs from `signal` by the rounding to codes. Before it there is silence.
        """
        excitation = closed_loop(self.signal, self.lpc, np.zeros(len(self.signal), np.int64))
        return inputs(excitation).astype(np.uint8), excitation.target.astype(np.uint8)

    def part(self, first: int, last: int) -> Utterance:
        """Return the part of the recording with the frames `first` to `last` - 1, as views.

        Its `clean` starts from silence, so it differs from the same samples of the `clean` of the whole.
        """
        rows = (self.cepstrum, self.pitch, self.correlation, self.lpc)
        return Utterance(self.signal[HOP * first : HOP * last], *(each[first:last] for each in rows))


def utterance(samples: Array, features: FeatureFunction) -> Utterance:
    """Return a recording with its features as an `Utterance`.

    Sample 0 is at index 80 of its signal, which ends with the last frame of the features: up to 80 samples at the end
    of the recording are left out, or zeros follow. samples: [n], full scale +-1, 16 kHz; features: a function that
    returns the features "cepstrum", "pitch", "correlation" and "lpc" of such samples, by name.
    """
    found = features(samples)
    lpc = np.asarray(found["lpc"], np.float32)
    emphasised = PEAK * (samples - EMPHASIS * np.concatenate((np.zeros(1), samples[:-1])))
    signal = np.zeros(HOP * len(lpc), np.float32)
    count = min(len(samples), len(signal) - DELAY)
    signal[DELAY : DELAY + count] = emphasised[:count]
    rows = [np.asarray(found[name], np.float32) for name in ("cepstrum", "pitch", "correlation")]
    return Utterance(signal, rows[0], rows[1][:, 0], rows[2][:, 0], lpc)


def arrays(data: Sequence[Utterance]) -> Iterator[Array]:
    """Yield the signal and the features of every recording, one array after the other."""
    for one in data:
        yield from (one.signal, one.cepstrum, one.pitch, one.correlation, one.lpc)


# ---- noise ----------------------------------------------------------------------------------------------------------


def noise(form: str, count: int, random: Generator, scale: float = 1.0) -> Array:
    """Return noise [count] with mean 0, in whole mu-law levels. Every call draws the strength of its noise at random.

    form "c": Laplace's distribution with the standard deviation |1.5 * ln(1e-4 + u) + 0.5 * ln(1e-4 + v)|, where u and
    v are uniform in 0 .. 1; this deviation is 2 levels on average. form "2018": uniform in -k .. k, where k is 0, 1, 2
    or 3 with the probabilities 1/5, 2/5, 1/5 and 1/5. Other forms are not allowed (not checked). scale: factor of the
    standard deviation, or of k, which is then rounded.
    """
    if form == "c":
        u = np.log(1e-4 + random.random(2))
        return rounded_laplace(scale * abs(1.5 * u[0] + 0.5 * u[1]), count, random)
    largest = round(scale * (0, 3, 2, 1, 1)[random.integers(5)])
    return random.integers(-largest, largest + 1, count)


def rounded_laplace(deviation: float, count: int, random: Generator) -> Array:
    """Return numbers [count] of Laplace's distribution with mean 0, rounded to whole numbers.

    deviation: the standard deviation before rounding.
    """
    return np.floor(0.5 + random.laplace(0, deviation / np.sqrt(2), count)).astype(np.int64)


# ---- chunks ---------------------------------------------------------------------------------------------------------


def make_chunk(whole: Utterance, first: int, frames: int, form: str, random: Generator, scale: float = 1.0) -> Chunk:
    """Return the chunk that begins with frame `first` of a recording and has `frames` frames, as five tensors.

    The tensors are cepstrum, pitch and correlation, with CONTEXT more frames on either side, the input codes [samples,
    3] and the target codes [samples]. whole: the recording, which must have these frames on either side (not checked).
    form, scale: as in `noise`; the form "none" adds no noise, and the codes are those of `whole.clean`. Codes with
    noise are computed from CONTEXT frames before the chunk on, with silence before, so that the effect of the noise on
    the signal has settled where the chunk begins.
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


class Chunks:
    """A data set of chunks of recordings, each with CONTEXT frames of context on either side.

    An index is (epoch, place), where place counts the chunks of an epoch, as in `Crops`. The same index always gives
    the same chunk with the same noise. In epoch -1, for validation, there is no noise. In the other epochs, a chunk has
    no noise with the probability `clean_share`. frames: the number of frames in a chunk, without its context; noise,
    noise_scale: the form and the scale of the noise, see `noise` and, for the form "none", `make_chunk`; seed: the seed
    of the places and of the noise.
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
        self.crops = Crops([one.frames for one in utterances], frames, CONTEXT, seed)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: tuple[int, int]) -> Chunk:
        epoch, place = index
        k, first = self.crops.at(epoch, place)
        random = rng(self.seed, max(epoch, 0), place, 1)
        form = "none" if epoch < 0 or random.random() < self.clean_share else self.noise
        return make_chunk(self.utterances[k], first, self.frames, form, random, self.noise_scale)
