"""Training data of models: recordings with their features, altered copies of recordings, and the order of crops.

Every random number depends on a key of whole numbers, such as (seed, epoch, place), and on nothing else. So a run that
resumes at any batch gets the same data as an unbroken run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.random import Generator, Philox, SeedSequence
from scipy.signal import lfilter

from dspgraph import RequestError
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.settings import RunSettings, TrainingSettings

FeatureFunction = Callable[[Array], Mapping[str, Array]]
"""A function that returns the outputs of a pipeline, by name, for the samples of a recording."""

Prepared = TypeVar("Prepared")


def rng(*key: int) -> Generator:
    """Return a random generator that depends on the whole numbers of the key alone; none is negative."""
    return Generator(Philox(SeedSequence(key)))


# ---- recordings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingRecording:
    """A recording with its features.

    signal: [frames * hop] samples; frame k begins at index hop * k. features: name -> array [frames, ...]. hop: the
    number of samples in a frame.
    """

    signal: Array
    features: Mapping[str, Array]
    hop: int

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.signal) // self.hop


def split(
    recordings: Mapping[str, Array],
    prepare: Callable[[str, Array], Prepared],
    settings: TrainingSettings,
    hop: int,
    context: int = 0,
    copy: Callable[[Array, Generator], Array] | None = None,
) -> tuple[list[Prepared], list[Prepared]]:
    """Return the recordings for training, with augmented copies, and the recordings for validation, each prepared.

    The copies of a recording follow it. prepare: a function from the name and the samples of a recording, or of its
    copy, to its form for training; hop: samples in a frame; context: frames of the recording that a chunk needs on each
    side; copy: a function from the samples of a recording and a generator to the samples of an altered copy,
    `augmented` by default; a copy that is too short for a chunk with its context is left out. `settings` has the number
    of frames in a chunk, the number of copies of each recording for training, `augment`, and the share of the
    recordings for validation. If no recording is kept for validation, because there is only one or the share is 0, all
    recordings, without their copies, are used for validation too. Raises RequestError if a recording is shorter than a
    chunk with its context, or if all are silent.
    """
    shortest = hop * (settings.frames + 2 * context)
    for name, samples in recordings.items():
        if len(samples) < shortest:
            raise RequestError(
                f"{name} has {len(samples)} samples; a chunk with its context has {shortest} ({settings.frames} frames "
                f"and {context} on each side): leave the recording out, or set fewer frames"
            )
    if not any(samples.any() for samples in recordings.values()):
        raise RequestError("all recordings are silent; training needs sound: give other recordings")
    held = held_out(list(recordings), settings)
    training: list[Prepared] = []
    validation: list[Prepared] = []
    for k, (name, samples) in enumerate(recordings.items()):
        if name in held:
            validation.append(prepare(name, samples))
            continue
        copies = ((copy or augmented)(samples, rng(settings.seed, k, number)) for number in range(settings.augment))
        kept = [prepare(name, one) for one in copies if len(one) >= shortest]
        training += [prepare(name, samples), *kept]
        if not held:
            validation.append(training[-1 - len(kept)])
    return training, validation


def held_out(names: list[str], settings: RunSettings) -> set[str]:
    """Return the names of the recordings for validation, drawn at random.

    The set is empty if there is only one recording or if the setting `validation_share` is 0. Otherwise it has at least
    one recording, and at least one is left for training.
    """
    if len(names) == 1 or not settings.validation_share:
        return set()
    count = min(max(1, round(settings.validation_share * len(names))), len(names) - 1)
    return {names[k] for k in rng(settings.seed).permutation(len(names))[:count]}


def fingerprint(arrays: Iterable[Array]) -> str:
    """Return a digest of the dtypes, shapes and numbers of all arrays, in order."""
    found = sha256()
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def augmented(samples: Array, random: Generator) -> Array:
    """Return a filtered copy of a recording with a random sign and level, as if from another room and microphone.

        H(z) = (1 + b1 * z**-1 + b2 * z**-2) / (1 + a1 * z**-1 + a2 * z**-2),    b1, b2, a1, a2 uniform in -3/8 .. 3/8

    The level changes by -20 to 19 dB, uniform in dB; a copy beyond full scale is scaled down to it.

    Source: the program published with J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through
    Linear Prediction, ICASSP 2019.
    """
    b1, b2, a1, a2 = random.uniform(-0.375, 0.375, 4)
    gain = random.choice((-1.0, 1.0)) * 10 ** (random.uniform(-20, 19) / 20)
    filtered: Array = gain * lfilter([1, b1, b2], [1, a1, a2], samples)
    return filtered / max(1.0, float(np.abs(filtered).max(initial=0)))


# ---- crops and their order ------------------------------------------------------------------------------------------


class Crops:
    """The places where crops of `frames` frames begin in recordings, with `context` frames on each side.

    counts: the number of frames of each recording; one that is shorter than a crop with its context has no crops. In
    epoch -1, for validation, the first crop of a recording begins at the first frame with a whole context, and each
    further crop where the one before it ends. In the other epochs all crops of a recording move by one random number of
    frames, from -beyond up to beyond + the frames that are left over at the end of the recording; a crop that would
    leave the recording is moved back to the first or last possible place. With beyond = 0 the crops of a recording
    never overlap, and if no frames are left over, they are the same in all epochs.
    """

    def __init__(self, counts: Sequence[int], frames: int, context: int, seed: int, beyond: int = 0) -> None:
        self.counts, self.frames, self.context, self.seed = list(counts), frames, context, seed
        self.beyond = beyond
        self.places = [
            (k, context + first)
            for k, count in enumerate(self.counts)
            for first in range(0, count - 2 * context - frames + 1, frames)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def at(self, epoch: int, place: int) -> tuple[int, int]:
        """Return where a crop lies in an epoch: (number of its recording, number of its first frame).

        place: the index of the crop in `places`. The first frame is that of the crop itself, at least `context`: its
        context begins `context` frames earlier.
        """
        k, first = self.places[place]
        if epoch < 0:
            return k, first
        left_over = (self.counts[k] - 2 * self.context) % self.frames
        move = int(rng(self.seed, epoch, k).integers(left_over + 1 + 2 * self.beyond)) - self.beyond
        last = self.counts[k] - self.context - self.frames
        return k, min(max(first + move, self.context), last)


@dataclass(frozen=True)
class BatchOrder:
    """The order of training data: every epoch has all places in a random order of its own.

    A place is the number of a crop in `Crops.places`, or of another training item. count: number of places; batch:
    places in a batch.
    """

    count: int
    batch: int
    seed: int

    def __getitem__(self, number: int) -> list[tuple[int, int]]:
        """Return the pairs (epoch, place) of batch number `number`, counted from 0.

        A batch can have places of two or more epochs: the last ones of an epoch, then the first ones of the next.
        """
        found = []
        for k in range(self.batch * number, self.batch * (number + 1)):
            epoch, at = divmod(k, self.count)
            found.append((epoch, int(_permutation(self.seed, epoch, self.count)[at])))
        return found


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> Array:
    order: Array = rng(seed, epoch).permutation(count)
    return order


def validation_batches(count: int, largest: int = 64) -> list[list[tuple[int, int]]]:
    """Return the pairs (epoch, place) = (-1, place) of all `count` places, in batches of at most `largest` pairs.

    There are as few batches as possible. Of B batches, batch n has the places n, n + B, n + 2 * B ..., so that their
    sizes differ by at most one.
    """
    batches = -(-count // largest)
    return [[(-1, k) for k in range(count)][n::batches] for n in range(batches)]


def stacked(items: Sequence[Sequence[Any]]) -> tuple[torch.Tensor, ...]:
    """Return a tuple of tensors whose first axis is that of the items: tensor k holds the k-th tensors of all items."""
    return tuple(torch.stack(list(each)) for each in zip(*items, strict=True))


def mean_figures(
    chunks: Any, figures: Callable[..., Mapping[str, torch.Tensor]], device: torch.device, largest: int = 64
) -> dict[str, float]:
    """Return the mean of each number for the log, such as the loss, over all chunks for validation, by name.

    chunks: data with a length, the number of chunks for validation, and an index (epoch, place): chunks[-1, k] is the
    tuple of tensors of chunk k for validation, where -1 is the epoch of validation, as in `Crops`; figures: a function
    from the tensors of a batch to name -> mean over the batch; device: where the batches are put; largest: the largest
    number of chunks in a batch.
    """
    count, totals = len(chunks), dict[str, float]()
    for numbers in validation_batches(count, largest):
        batch = (each.to(device) for each in stacked([chunks[k] for k in numbers]))
        for name, value in figures(*batch).items():
            totals[name] = totals.get(name, 0.0) + len(numbers) * float(value) / count
    return totals
