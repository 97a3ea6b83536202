"""A training run of WaveRNN on recordings and their mel bands.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018. The defaults of the learning rate, the
largest gradient and the size of a batch are taken from the program fatchord/WaveRNN; the default network is smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavernn_layout import FLOOR, seen
from dspgraph_nodes._kernels.neural.wavernn_synthesis import speech
from dspgraph_nodes._kernels.signal.mulaw import even_levels
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.data import FeatureFunction, TrainingRecording
from dspgraph_nodes.models.shared.distributions.categorical import Categorical
from dspgraph_nodes.models.shared.distributions.coarse_fine import CoarseFine
from dspgraph_nodes.models.shared.distributions.logistic_mixture import LogisticMixture
from dspgraph_nodes.models.shared.mel import Edges, mel_data, mel_task, validation_audio
from dspgraph_nodes.models.shared.settings import MelSettings, SparseSettings, of_config
from dspgraph_nodes.models.wavernn.config import PRESETS, Config
from dspgraph_nodes.models.wavernn.network import Split, WaveRNN, network
from dspgraph_nodes.models.wavernn.packing import packed
from dspgraph_nodes.models.wavernn.weights import WEIGHTS

PIPELINE = "mel_features"
_RATE, _HOP, _BANDS = 16000, 256, 80  # sample rate in Hz, hop and bands of that pipeline


class Settings(MelSettings, SparseSettings, frozen=True, extra="forbid"):
    """The settings of a training run of WaveRNN. The network reads the frames of the pipeline `mel_features`."""

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
        """The configuration of the network: the preset's, with the fields that the settings replace.

        The rate, the factors and widths for the hop of 256, the bands, the input "decibels" and the start "silence" are
        always those for the pipeline `mel_features`.
        """
        chosen: Config = super().config
        return chosen.replace(
            rate=_RATE, factors=(4, 8, 8), widths=(9, 17, 17), features=_BANDS, input="decibels", start="silence"
        )


def codes(signal: Array, config: Config) -> Array:
    """Return the code of every sample, [n] int64, from 0 to 2**bits - 1. signal: [n], full scale +-1.

    x is a sample after pre-emphasis and gain. Its code is floor((y + 1) / 2 * mu + 1/2) with mu = 2**bits - 1, where y
    is x; for the kind categorical with mu-law y is sgn(x) * ln(1 + mu * abs(x)) / ln(1 + mu). For coarse_fine the code
    is floor(x * h + 1/2) + h with h = 2**(bits - 1). Codes are limited to 0 .. 2**bits - 1.
    """
    x, levels = config.emphasis.applied(signal.astype(np.float64)), 1 << config.bits
    if config.kind == "coarse_fine":
        split_levels: Array = np.clip(np.floor(x * (levels // 2) + 0.5) + levels // 2, 0, levels - 1).astype(np.int64)
        return split_levels
    return even_levels(x, levels, config.kind == "categorical" and config.mulaw)


def inputs(code: Tensor, config: Config) -> Tensor:
    """Return codes as inputs of the network, scaled linearly from 0 .. 2**bits - 1 to -1 .. 1: [..., n] float32.

    If `config.kind` is "coarse_fine", return the upper and the lower half of the bits of each code, each of them scaled
    to -1 .. 1: [..., n, 2]. code: [..., n], from 0 to 2**bits - 1.
    """
    if config.kind == "coarse_fine":
        return CoarseFine(config.bits).inputs(code)
    return 2 * code.float() / ((1 << config.bits) - 1) - 1


def outputs(model: WaveRNN, frames: Tensor, x: Tensor, read: Tensor) -> Tensor:
    """Return the parameters of the distributions of n samples, [chunks, n, outputs], given the samples before them.

    frames: [chunks, n / hop + 2 * context, features], not used if features is 0. x: network inputs, as `inputs` returns
    them, for the sample before the n samples, then for these: [chunks, n + 1] or [chunks, n + 1, 2]. read: the same
    with noise, or x itself: the samples that the network reads as the past. The coarse half of the present sample,
    which predicts the fine half, is always taken from x.
    """
    before = read[:, :-1]
    parameters: Tensor = model(frames, torch.cat((before, x[:, 1:, :1]), -1) if isinstance(model, Split) else before)[0]
    return parameters


def part_losses(model: WaveRNN, frames: Tensor, code: Tensor, read: Tensor) -> dict[str, Tensor]:
    """Return the mean of -ln p(sample), in nats, as "loss"; for coarse_fine also its parts "coarse" and "fine".

    frames: [chunks, n + 2 * context, features], not used if features is 0. code: [chunks, n * hop + 1], the codes of
    the sample before the chunk and of the samples of the chunk. read: the codes that the network reads as the past,
    [chunks, n * hop + 1]: `code`, or `code` with noise.
    """
    c, x = model.config, inputs(code, model.config)
    parameters = outputs(model, frames, x, inputs(read, c))
    if c.kind == "coarse_fine":
        coarse, fine = (each.mean() for each in CoarseFine(c.bits).losses(parameters.float(), code[:, 1:]))
        return {"loss": coarse + fine, "coarse": coarse, "fine": fine}
    if c.kind == "mixture":
        loss = LogisticMixture(c.components, 1 << c.bits, FLOOR).loss(parameters, x[:, 1:])
    else:
        loss = Categorical(c.levels).loss(parameters, code[:, 1:])
    return {"loss": loss.mean()}


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return the `trainer.Task` of a training run of WaveRNN: its network, batches, losses and validation.

    recordings: name -> samples [n], full scale +-1, 16 kHz. features: the function that computes the features of such
    samples.
    """
    config = settings.config

    def prepare(x: Array) -> TrainingRecording:
        mel = seen(np.asarray(features(x)["mel"]), True)
        signal = np.zeros(_HOP * len(mel))
        signal[: len(x)] = x[: len(signal)]
        return TrainingRecording(codes(signal, config), {"mel": mel}, _HOP)

    silence = 1 << (config.bits - 1)  # the level at which the node begins: next to 0, for coarse_fine 0 itself
    companded = config.kind == "categorical" and config.mulaw
    edges = Edges(config.context, repeat=False)
    data = mel_data(recordings, prepare, settings, _HOP, edges, silence, 1 << config.bits, companded)
    split = config.kind == "coarse_fine"
    matrices = ("recurrent",) if split else ("gru1.weight_hh_l0", "gru2.weight_hh_l0")
    return mel_task(
        WEIGHTS, network, lambda: network(config), data, part_losses, "conditions.smooth",
        pruning=settings.pruning(*matrices),
        audio=validation_audio(WEIGHTS, _speech, data, settings),
        ends=("coarse2", "fine2") if split else ("input", "dense3"), figures=("coarse", "fine") if split else (),
    )  # fmt: skip


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`. recordings: samples [n], full scale +-1, 16 kHz, by name."""


def _speech(config: Config, arrays: Mapping[str, Array], frames: Array, draw: np.random.Generator) -> Array:
    network = packed(config.replace(input="given"), arrays)  # the frames already have the form that the network sees
    return speech(network, frames, draw)[0]
