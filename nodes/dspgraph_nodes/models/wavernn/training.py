"""A training run of WaveRNN, from recordings and their mel bands.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; defaults as in the program
fatchord/WaveRNN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavernn_loop import FLOOR
from dspgraph_nodes._kernels.neural.wavernn_packing import seen
from dspgraph_nodes._kernels.neural.wavernn_synthesis import WaveRNNState, samples, synthesise
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    Crops,
    FeatureFunction,
    TrainingRecording,
    fingerprint,
    rng,
    split,
    stacked,
    validation_batches,
)
from dspgraph_nodes.models.shared.distributions.categorical import Categorical
from dspgraph_nodes.models.shared.distributions.coarse_fine import CoarseFine
from dspgraph_nodes.models.shared.distributions.logistic_mixture import LogisticMixture
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import SparseSettings, TrainingSettings, of_config
from dspgraph_nodes.models.shared.sparsity import Pruning
from dspgraph_nodes.models.wavernn.config import PRESETS, Config
from dspgraph_nodes.models.wavernn.network import Split, WaveRNN, network
from dspgraph_nodes.models.wavernn.packing import packed
from dspgraph_nodes.models.wavernn.weights import WEIGHTS

PIPELINE = "mel_features"
_RATE, _HOP, _BANDS = 16000, 256, 80  # of that pipeline


class Settings(TrainingSettings, SparseSettings, frozen=True, extra="forbid"):
    """The settings of a training run. The network reads the frames of the pipeline `mel_features`."""

    PRESETS: ClassVar = PRESETS

    preset: str = Field("wavernn-small", description=f"sizes of the network: {', '.join(PRESETS)}")
    units: int | None = of_config(Config, "units")
    dense: int | None = of_config(Config, "dense")
    bits: int | None = of_config(Config, "bits")
    mulaw: bool | None = of_config(Config, "mulaw")
    components: int | None = of_config(Config, "components")
    frames: int = Field(5, ge=1, description="frames of 16 ms in a chunk")
    learning_rate: float = Field(1e-4, gt=0, description="first learning rate of Adam")
    clip: float = Field(4.0, gt=0, description="largest norm of the gradient; a larger gradient is scaled down to it")
    density_update: float = Field(1.0, gt=0, le=1, description="share of weight blocks that stay in the update gates")
    density_reset: float = Field(1.0, gt=0, le=1, description="share of weight blocks that stay in the reset gates")
    density_state: float = Field(1.0, gt=0, le=1, description="share of weight blocks that stay in candidate states")

    @property
    def config(self) -> Config:
        """The configuration of the network: that of the preset, for the frames of `mel_features`."""
        chosen: Config = super().config
        return chosen.replace(
            rate=_RATE, factors=(4, 8, 8), widths=(9, 17, 17), features=_BANDS, input="decibels", start="silence"
        )


def codes(signal: Array, config: Config) -> Array:
    """Return the code of every sample, [n] int64, from 0 to 2**bits - 1. signal: [n], full scale +-1.

    The inverse of the samples that `Wavernn` gives: floor((y + 1) / 2 * mu + 1/2), mu = 2**bits - 1, where y is the
    sample x, or sgn(x) * ln(1 + mu * abs(x)) / ln(1 + mu) with mu-law; x * 2**(bits - 1) rounded for coarse_fine.
    """
    x, mu = np.clip(signal.astype(np.float64), -1, 1), (1 << config.bits) - 1
    if config.kind == "coarse_fine":
        half = (mu + 1) // 2
        found = np.clip(np.floor(x * half + 0.5) + half, 0, mu)
    else:
        curved = config.kind == "categorical" and config.mulaw
        y = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu) if curved else x
        found = np.floor((y + 1) / 2 * mu + 0.5)
    levels: Array = found.astype(np.int64)
    return levels


def part_losses(model: WaveRNN, frames: Tensor, code: Tensor) -> dict[str, Tensor]:
    """Return the mean of -ln P of the samples, in nats, as "loss"; for coarse_fine that of each half too.

    frames: [chunks, n + 2 * context, features]; code: [chunks, n * hop + 1], the sample before the first one included.
    """
    c = model.config
    if isinstance(model, Split):
        distribution = CoarseFine(c.bits)
        halves = distribution.inputs(code)
        parameters, _ = model(frames, torch.cat((halves[:, :-1], halves[:, 1:, :1]), -1))
        coarse, fine = (each.mean() for each in distribution.losses(parameters.float(), code[:, 1:]))
        return {"loss": coarse + fine, "coarse": coarse, "fine": fine}
    y = 2 * code.float() / ((1 << c.bits) - 1) - 1
    parameters, _ = model(frames, y[:, :-1])
    if c.kind == "mixture":
        loss = LogisticMixture(c.components, 1 << c.bits, FLOOR).loss(parameters, y[:, 1:])
    else:
        loss = Categorical(c.levels).loss(parameters, code[:, 1:])
    return {"loss": loss.mean()}


@dataclass(frozen=True)
class CodeChunks:
    """CodeChunks of recordings: frames with their context, and codes; see `part_losses`."""

    recordings: list[TrainingRecording]
    crops: Crops
    config: Config

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor]:
        k, first = self.crops.at(*index)
        one, context, last = self.recordings[k], self.crops.context, first + self.crops.frames
        code = one.signal[one.hop * first - 1 : one.hop * last]
        rows = one.features["mel"][first - context : last + context]
        return torch.from_numpy(rows.copy()), torch.from_numpy(code.astype(np.int64))


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return what the training loop needs: data, losses and validation."""
    config = settings.config
    context = max(1, config.context)  # the sample before a chunk is an input of its first one

    def prepare(x: Array) -> TrainingRecording:
        mel = seen(np.asarray(features(x)["mel"]), True)
        signal = np.zeros(_HOP * len(mel))
        signal[: len(x)] = x[: len(signal)]
        return TrainingRecording(codes(signal, config).astype(np.int32), {"mel": mel}, _HOP)

    training, validation = split(recordings, prepare, settings, _HOP, context)
    chunks, clean = (
        CodeChunks(part, Crops([one.frames for one in part], settings.frames, context, settings.seed), config)
        for part in (training, validation)
    )
    count, every = len(clean.crops), (*training, *validation)
    order = BatchOrder(len(chunks.crops), settings.batch, settings.seed)
    figures = ("coarse", "fine") if config.kind == "coarse_fine" else ()

    def losses(model: WaveRNN, batch: tuple[Tensor, Tensor]) -> Iterator[dict[str, Tensor]]:
        yield part_losses(model, *batch)

    def validate(model: WaveRNN) -> dict[str, float]:
        device, totals = next(model.parameters()).device, dict.fromkeys(("loss", *figures), 0.0)
        for numbers in validation_batches(count):
            batch = (each.to(device) for each in stacked([clean[k] for k in numbers]))
            for name, value in part_losses(model, *batch).items():
                totals[name] += len(numbers) * float(value) / count
        return totals

    return trainer.Task(
        network=lambda: network(config),
        batch=lambda number: stacked([chunks[index] for index in order[number]]),
        losses=losses,
        validate=validate,
        save=lambda model, path: save(WEIGHTS, model, path),
        load=lambda path: load(WEIGHTS, network, path),
        fingerprint=fingerprint(array for one in every for array in (one.signal, one.features["mel"])),
        summary=f"{len(chunks.crops)} chunks of {settings.frames} frames for training, {count} for validation",
        pruning=_pruning(settings),
        audio=lambda path: {"copy": (_copy_synthesis(path, validation[0], settings), _RATE)},
        figures=figures,
    )


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`. recordings: samples [n], full scale +-1, 16 kHz, by name."""


def _pruning(settings: Settings) -> Pruning | None:
    """Return the pruning of the recurrent matrices; None if all blocks stay."""
    if min(settings.density_reset, settings.density_update, settings.density_state) == 1:
        return None
    split_state = settings.config.kind == "coarse_fine"
    names = ["recurrent"] if split_state else ["gru1.weight_hh_l0", "gru2.weight_hh_l0"]
    parts = [settings.pruning(name) for name in names]
    return Pruning(parts[0].schedule, {name: part.densities[name] for name, part in zip(names, parts, strict=True)})


def _copy_synthesis(path: Path, recording: TrainingRecording, settings: Settings) -> Array:
    """Return samples drawn from the first frames of a recording. path: the file of the weights."""
    config, arrays = WEIGHTS.read(path)
    net = packed(config, arrays)._replace(decibels=False)  # the frames are already what the network sees
    state: Any = WaveRNNState(net, rng(settings.seed))
    rows = recording.features["mel"][: max(1, round(settings.audio * _RATE / _HOP))]
    parts = [synthesise(net, [one], 1.0)[0][0] for one in (state.push(net, rows), state.flush(net))]
    return samples(net, np.concatenate(parts))
