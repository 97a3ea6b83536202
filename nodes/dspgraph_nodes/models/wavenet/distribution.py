"""The distribution that WaveNet predicts for every sample of a recording, given the true past (teacher forcing)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.data import FeatureFunction
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
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.training import PIPELINE, prepared
from dspgraph_nodes.models.wavenet.weights import WEIGHTS

__all__ = ["PIPELINE", "distribution"]


@torch.no_grad()
def distribution(weights: Path, samples: Array, features: FeatureFunction) -> tuple[Array, Array, float]:
    """Return the distribution [n, levels] of every sample, the true levels [n], and the rate in Hz.

    samples: [n], full scale +-1, 16 kHz. The levels are those of the samples that the network sees, with its gain and
    pre-emphasis. A mixture is shown by the probabilities of 256 equal intervals of -1 .. 1. weights: the file of the
    network; features: the function that computes the features. Raises ValueError if the file holds no weights of this
    model, or those of a network for other features.
    """
    model = load(WEIGHTS, WaveNet, weights)
    config = model.config
    check_fits(weights, config, PIPELINE, {"rate": MEL_RATE, "hop": MEL_HOP, "bands": MEL_BANDS})
    one = prepared(whole_frames(samples), features, config)
    edges = (config.context, config.context), (0, 0)  # the first and the last frame again, as in the node
    mel, n = np.pad(one.features["mel"], edges, mode="edge"), len(samples)
    c, given = model.condition(torch.from_numpy(mel)[None])[:, :n], torch.from_numpy(one.signal[:n])
    silence = config.levels // 2 if config.kind == "categorical" else 0
    before = torch.cat((torch.full((1,), silence, dtype=given.dtype), given[:-1]))
    parameters = model(c, before[None])[0]
    if config.kind == "categorical":
        return torch.softmax(parameters, -1).numpy(), given.numpy(), float(config.rate)
    return mixture_levels(parameters).numpy(), mixture_level_of(given).numpy(), float(config.rate)
