"""Training of models whose features are the frames of the pipeline `mel_features`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    Crops,
    TrainingRecording,
    fingerprint,
    mean_figures,
    rng,
    split,
    stacked,
)
from dspgraph_nodes.models.shared.modules import load, save, start_random_filters
from dspgraph_nodes.models.shared.read_noise import ReadNoise
from dspgraph_nodes.models.shared.settings import MelSettings
from dspgraph_nodes.models.shared.trainer import LoggedSound, Task
from dspgraph_nodes.models.shared.weights import WeightsFormat

_READ_NOISE = 2
"""The last number in the key of the random numbers of `ReadNoise`, after seed, epoch and place."""

Speech = Callable[[Any, Mapping[str, Array], Array, np.random.Generator], Array]
"""A function that synthesises a signal: (configuration, arrays of a file of weights, frames as the network reads them,
generator of random numbers) -> samples [n].
"""


@dataclass(frozen=True)
class Edges:
    """The frames that a network reads before the first frame of a recording and after the last, as in synthesis.

    context: the number of these frames on each side; repeat: if true, they are copies of the first and of the last
    frame; otherwise they are zeros.

    A network that interpolates frames after its first layer reads more of a recording around a chunk, but nothing
    beyond the ends of the recording. reach: the number of further frames that it needs on each side; lead: the number
    of samples that the network reads to predict the first sample of a chunk, without the sample just before the chunk.
    """

    context: int
    repeat: bool
    reach: int = 0
    lead: int = 0

    def beyond(self, hop: int) -> tuple[int, int]:
        """Return how many frames a chunk has before and after its own, without `context`. hop: samples in a frame."""
        return self.reach + -(-self.lead // hop), self.reach

    def around(self, rows: Array, hop: int) -> Array:
        """Return rows [n, bands] with frames added at both ends: `context` more than `beyond` returns; see `repeat`."""
        added = [self.context + count for count in self.beyond(hop)]
        return np.pad(rows, (added, (0, 0)), mode="edge" if self.repeat else "constant")


class MelChunks:
    """Chunks of recordings whose features are the frames "mel".

    recordings: their signals are samples, or levels as whole numbers; frames: the number of frames in a chunk; edges:
    the frames beyond the ends of a recording; before: every sample or level before the first one of a recording; seed:
    the seed of the random positions of the crops and of the noise; noise: the noise in the samples that the network
    reads in training, by default none. An index is (epoch, place), as in `Crops`. In every epoch except -1 the crops
    are moved by random numbers of frames, as in `Crops` with `beyond` set to half a chunk.

    An item has three tensors, with (a, b) = `edges.beyond(hop)`: the frames [a + frames + b + 2 * context, bands]; the
    samples [lead + 1 + frames * hop], of which the chunk is the last frames * hop; and the same samples as the network
    reads them, with noise except in epoch -1. If a or b is above 0, it has a fourth: 1 for each of the a + frames + b
    frames in the recording, and 0 for frames beyond its ends.
    """

    def __init__(
        self, recordings: list[TrainingRecording], frames: int, edges: Edges, before: float, seed: int,
        noise: ReadNoise | None = None,
    ) -> None:  # fmt: skip
        self.noise, self.seed = noise or ReadNoise(), seed
        self.recordings, self.frames, self.edges, self.before = recordings, frames, edges, before
        self.rows = [edges.around(one.features["mel"], one.hop) for one in recordings]
        self.crops = Crops([one.frames for one in recordings], frames, 0, seed, beyond=frames // 2)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: tuple[int, int]) -> tuple[torch.Tensor, ...]:
        k, first = self.crops.at(*index)
        one, last, (a, b) = self.recordings[k], first + self.frames, self.edges.beyond(self.recordings[k].hop)
        begin = one.hop * first - self.edges.lead - 1
        silence = np.full(max(0, -begin), self.before, one.signal.dtype)
        samples = np.concatenate((silence, one.signal[max(0, begin) : one.hop * last]))
        rows = self.rows[k][first : a + last + b + 2 * self.edges.context]
        epoch, place = index
        read = samples if epoch < 0 else self.noise.added(samples, rng(self.seed, epoch, place, _READ_NOISE))
        found = torch.from_numpy(rows.copy()), torch.from_numpy(samples), torch.from_numpy(read)
        if not a + b:
            return found
        numbers = torch.arange(first - a, last + b)
        return *found, ((numbers >= 0) & (numbers < one.frames)).float()


@dataclass(frozen=True)
class MelData:
    """The data of a training run.

    training, validation: the chunks; order: the order in which the chunks for training come, in batches; settings: the
    settings of the run.
    """

    training: MelChunks
    validation: MelChunks
    order: BatchOrder
    settings: MelSettings

    def batch(self, number: int) -> tuple[torch.Tensor, ...]:
        """Return batch `number` for training, from 0: the tensors of `MelChunks`, each with one row per chunk."""
        return stacked([self.training[index] for index in self.order[number]])

    @property
    def fingerprint(self) -> str:
        """A digest of the signals and frames of all recordings."""
        every = (*self.training.recordings, *self.validation.recordings)
        return fingerprint(array for one in every for array in (one.signal, one.features["mel"]))

    @property
    def summary(self) -> str:
        """A line for the user: how many chunks, of how many frames, are for training and for validation."""
        counts = f"{len(self.training)} chunks of {self.training.frames} frames for training, {len(self.validation)}"
        return f"{counts} for validation"


def mel_data(
    recordings: Mapping[str, Array], prepare: Callable[[Array], TrainingRecording], settings: MelSettings,
    hop: int, edges: Edges, before: float, levels: int = 0, companded: bool = False,
) -> MelData:  # fmt: skip
    """Return the chunks for training and for validation, cut from recordings.

    recordings: samples [n], by name; prepare: a function from the samples of a recording to its form for training;
    levels, companded: see `ReadNoise`. The other arguments are those of `split` and of `MelChunks`. Raises RequestError
    as `split` does.
    """
    noise = ReadNoise(settings.read_noise, levels, companded)
    training, validation = (
        MelChunks(part, settings.frames, edges, before, settings.seed, noise)
        for part in split(recordings, lambda _, samples: prepare(samples), settings, hop)
    )
    return MelData(training, validation, BatchOrder(len(training), settings.batch, settings.seed), settings)


def validation_audio(
    weights: WeightsFormat[Any], speech: Speech, data: MelData, settings: MelSettings
) -> Callable[[Path], dict[str, LoggedSound]]:
    """Return a function that synthesises the start of the first recording for validation, from its frames.

    The function takes the path of a file of weights and returns {"validation": sound}. weights: the layout of the file;
    speech: see `Speech`; data: the data of the run; settings: `audio` is the number of seconds, which is rounded
    to whole frames, at least one; `seed` is the seed of the draws.
    """

    def audio(path: Path) -> dict[str, LoggedSound]:
        (config, arrays), first = weights.read(path), data.validation.recordings[0]
        frames = first.features["mel"][: max(1, round(settings.audio * config.rate / first.hop))]
        return {"validation": LoggedSound(speech(config, arrays, frames, rng(settings.seed)), config.rate)}

    return audio


def mel_task(
    weights: WeightsFormat[Any], make: Callable[[Any], Any], network: Callable[[], nn.Module], data: MelData,
    figures_of: Callable[..., Mapping[str, Tensor]], upsampling: str, largest: int = 64,
    **more: Any,
) -> Task:  # fmt: skip
    """Return the `Task` of a training run, in which each batch is one update of the weights.

    weights: the layout of the files; make: a function from a configuration to a network; network: a function that
    returns a new network; figures_of: a function (network, *tensors of a batch, see `MelChunks`) -> numbers for the log
    by name, of which "loss" is minimised; upsampling: the name of the module that brings frames to the rate of samples,
    on which `start_random_filters` is called if the setting `upsampling_start` is "random"; largest: the largest number
    of chunks in a batch for validation; more: further fields of `Task`, or another `summary`.
    """

    def first_network() -> nn.Module:
        found = network()
        if data.settings.upsampling_start == "random":
            start_random_filters(found.get_submodule(upsampling))
        return found

    def losses(model: Any, batch: tuple[Tensor, ...]) -> Iterator[Mapping[str, Tensor]]:
        yield figures_of(model, *batch)

    def validate(model: Any) -> dict[str, float]:
        return mean_figures(data.validation, partial(figures_of, model), next(model.parameters()).device, largest)

    return Task(
        network=first_network,
        batch=data.batch,
        losses=losses,
        validate=validate,
        save=partial(save, weights),
        load=partial(load, weights, make),
        fingerprint=data.fingerprint,
        **{"summary": data.summary, **more},
    )
