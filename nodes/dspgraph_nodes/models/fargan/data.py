"""The training data of FARGAN: chunks of speech with their features, at random levels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from numpy.random import Generator
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY, frame_inputs, periods
from dspgraph_nodes.models.fargan.config import FARGAN_HOP, FARGAN_RATE
from dspgraph_nodes.models.shared.data import Crops, FeatureFunction, augmented, rng

PIPELINE = "fargan_features"
"""The pipeline that gives the features of a recording: cepstrum, pitch and correlation."""

FARGAN_DELAY = (
    FARGAN_HOP // 2
)  # samples; a frame begins half a hop before its span, because its window is centred on the start of the span
# Frames of the recording that a chunk needs on each side: the samples before it are the first past, and the features of
# one frame on each side are the context.
BEFORE = 2
_START = 3 * FARGAN_HOP  # zeros before a recording, so that there are chunks that begin in silence
FARGAN_EMPHASIS = 0.85
_GAINS = -10.0, 6.0  # lowest and highest change of the level, dB

FarganChunk = tuple[Tensor, Tensor, Tensor, Tensor]
"""Four tensors: inputs [frames + 2, bands + 2] and periods [frames + 2] of a chunk with one frame on each side; the 256
samples before the chunk; the samples of the chunk [frames * 160].
"""


@dataclass(frozen=True)
class VoiceRecording:
    """One recording and its features, frame by frame.

    signal: [frames * 160] float32, pre-emphasised, full scale +-1, frame k from index 160 * k on; inputs: [frames,
    bands + 2], as `frame_inputs` returns them; period: [frames], the pitch period in samples.
    """

    signal: Array
    inputs: Array
    period: Array

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.period)


def utterance(samples: Array, features: FeatureFunction) -> VoiceRecording:
    """Return a recording, pre-emphasised and preceded by three and a half frames of silence, with its features.

    samples: [n], full scale +-1, 16 kHz, not pre-emphasised; features: a function that returns the features "cepstrum"
    [frames, bands], "pitch" and "correlation" [frames, 1] of such samples, by name. The signal is cut, or filled up
    with zeros, to the frames of the features.
    """
    samples = np.concatenate((np.zeros(_START), samples))
    found = features(samples)
    cepstrum, pitch, correlation = (np.asarray(found[name]) for name in ("cepstrum", "pitch", "correlation"))
    signal = np.zeros(FARGAN_HOP * len(cepstrum), np.float32)
    count = min(len(samples), len(signal) - FARGAN_DELAY)
    signal[FARGAN_DELAY : FARGAN_DELAY + count] = (
        samples - FARGAN_EMPHASIS * np.concatenate((np.zeros(1), samples[:-1]))
    )[:count]
    return VoiceRecording(signal, frame_inputs(cepstrum, pitch[:, 0], correlation[:, 0]), periods(pitch[:, 0]))


def arrays(data: Sequence[VoiceRecording]) -> Iterator[Array]:
    """Yield `signal`, `inputs` and `period` of every recording, one array after the other."""
    for one in data:
        yield from (one.signal, one.inputs, one.period)


def another_voice(samples: Array, random: Generator, speed: float) -> Array:
    """Return a copy of a recording, [m], with another pitch, speed, filter and level, and a random sign.

    The recording is resampled so that it is faster by a random factor between 1 / speed and speed, log-uniformly
    distributed; pitch and formants rise by the same factor. Then `shared.data.augmented` filters the copy and gives it
    a random sign and level. samples: [n], 16 kHz, full scale +-1; speed: at least 1.
    """
    factor = speed ** random.uniform(-1, 1)
    return augmented(np.asarray(soxr.resample(samples, FARGAN_RATE, FARGAN_RATE / factor)), random)


class FarganChunks:
    """A data set of chunks of recordings, each with `frames` frames.

    An item is a `FarganChunk`. An index is (epoch, place), where place counts the chunks of an epoch, as in `Crops`.
    The same index always gives the same chunk. In epoch -1, for validation, the level does not change. In the other
    epochs the level of the samples, and with it c[0] of the cepstra, is changed by -10 to 6 dB, and the sign is random.
    Recordings of fewer than frames + 4 frames give no chunks. seed: the seed of the places, levels and signs.
    """

    def __init__(self, utterances: Sequence[VoiceRecording], frames: int, seed: int) -> None:
        self.utterances, self.frames, self.seed = utterances, frames, seed
        self.crops = Crops([one.frames for one in utterances], frames, BEFORE, seed)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: tuple[int, int]) -> FarganChunk:
        epoch, place = index
        k, first = self.crops.at(epoch, place)
        one, last = self.utterances[k], first + self.frames
        inputs, period = one.inputs[first - 1 : last + 1].copy(), one.period[first - 1 : last + 1]
        samples = one.signal[FARGAN_HOP * first - MEMORY : FARGAN_HOP * last]
        if epoch >= 0:
            random = rng(self.seed, epoch, place, 1)
            level = random.uniform(*_GAINS)
            samples = samples * np.float32(random.choice((-1.0, 1.0)) * 10 ** (level / 20))
            inputs[:, 0] += np.float32(level / 10 * np.sqrt(inputs.shape[1] - 2))
        past, true = torch.from_numpy(samples[:MEMORY]), torch.from_numpy(samples[MEMORY:])
        return torch.from_numpy(inputs), torch.from_numpy(period), past, true
