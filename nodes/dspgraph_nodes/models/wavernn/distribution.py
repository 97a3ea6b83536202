"""The distribution that WaveRNN predicts for every sample of a recording, given the true samples before it."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.wavernn_layout import seen
from dspgraph_nodes.models.shared.data import FeatureFunction
from dspgraph_nodes.models.shared.distributions.coarse_fine import CoarseFine
from dspgraph_nodes.models.shared.prediction import mel_distribution, whole_frames
from dspgraph_nodes.models.wavernn.network import WaveRNN, network
from dspgraph_nodes.models.wavernn.training import PIPELINE, codes, inputs, outputs
from dspgraph_nodes.models.wavernn.weights import WEIGHTS

__all__ = ["PIPELINE", "distribution"]


def _outputs(model: WaveRNN, samples: Array, features: FeatureFunction) -> tuple[Tensor, Tensor]:
    config, whole = model.config, whole_frames(samples)
    mel = seen(np.asarray(features(whole)["mel"]), config.input == "decibels")
    frames = torch.from_numpy(np.pad(mel, ((config.context, config.context), (0, 0))))[None]
    code, split = torch.from_numpy(codes(whole, config)), config.kind == "coarse_fine"
    x, first = inputs(code, config), torch.tensor(config.first_halves if split else 0.0)
    given = torch.cat((first[None], x))[None]
    parameters = outputs(model, frames, given, given)[0]
    if split:
        return parameters[:, : config.levels], CoarseFine(config.bits).halves(code)[0]
    return parameters, x if config.kind == "mixture" else code


distribution = partial(mel_distribution, WEIGHTS, network, _outputs, "features")
"""Return the distribution of every sample of a recording: see `mel_distribution`.

For the kind coarse_fine, this is the distribution of the upper half of the bits.
"""
