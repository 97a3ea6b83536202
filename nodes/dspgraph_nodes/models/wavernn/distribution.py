"""The distribution that WaveRNN predicts for every sample of a recording, given the true past (teacher forcing)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavernn_layout import seen
from dspgraph_nodes.models.shared.data import FeatureFunction
from dspgraph_nodes.models.shared.distributions.coarse_fine import CoarseFine
from dspgraph_nodes.models.shared.modules import load
from dspgraph_nodes.models.shared.prediction import (
    MEL_BANDS,
    MEL_HOP,
    MEL_RATE,
    check_fits,
    mixture_level_of,
    mixture_levels,
    whole_frames,
)
from dspgraph_nodes.models.wavernn.network import Split, WaveRNN, network
from dspgraph_nodes.models.wavernn.training import PIPELINE, codes
from dspgraph_nodes.models.wavernn.weights import WEIGHTS

__all__ = ["PIPELINE", "distribution"]


@torch.no_grad()
def distribution(weights: Path, samples: Array, features: FeatureFunction) -> tuple[Array, Array, float]:
    """Return the distribution [n, levels] of every sample, the true levels [n], and the rate in Hz.

    samples: [n], full scale +-1, 16 kHz. Of the kind coarse_fine the upper half of the bits is shown; a mixture is
    shown by the probabilities of 256 equal intervals of -1 .. 1. weights: the file of the network; features: the
    function that computes the features. Raises ValueError if the file holds no weights of this model, or those of a
    network for other features.
    """
    model = load(WEIGHTS, network, weights).eval()
    config = model.config
    check_fits(weights, config, PIPELINE, {"rate": MEL_RATE, "hop": MEL_HOP, "features": MEL_BANDS})
    whole = whole_frames(samples)
    mel = seen(np.asarray(features(whole)["mel"]), config.input == "decibels")
    code = torch.from_numpy(codes(whole, config))
    frames = torch.from_numpy(np.pad(mel, ((config.context, config.context), (0, 0))))[None]
    rows, levels = _predicted(model, frames, code)
    return rows[: len(samples)].numpy(), levels[: len(samples)].numpy(), float(config.rate)


def _predicted(model: WaveRNN, frames: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
    """Return the probabilities [n, levels] of n samples and the true levels. frames: with context; code: [n]."""
    config = model.config
    if isinstance(model, Split):
        halves = CoarseFine(config.bits)
        read = halves.inputs(code)
        before = torch.cat((torch.tensor([config.first_halves]), read[:-1]))
        logits = model(frames, torch.cat((before, read[:, :1]), -1)[None])[0][0, :, : config.levels]
        return torch.softmax(logits, -1), halves.halves(code)[0]
    y = 2 * code.float() / ((1 << config.bits) - 1) - 1
    outputs = model(frames, torch.cat((torch.zeros(1), y[:-1]))[None])[0][0]
    if config.kind == "mixture":
        return mixture_levels(outputs), mixture_level_of(y)
    return torch.softmax(outputs, -1), code
