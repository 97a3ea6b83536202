"""The distribution that a WaveNet predicts for every sample of a recording, given the true samples before it."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.data import FeatureFunction
from dspgraph_nodes.models.shared.prediction import mel_distribution, whole_frames
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.training import PIPELINE, prepared
from dspgraph_nodes.models.wavenet.weights import WEIGHTS

__all__ = ["PIPELINE", "distribution"]


def _outputs(model: WaveNet, samples: Array, features: FeatureFunction) -> tuple[Tensor, Tensor]:
    config, n = model.config, len(samples)
    one = prepared(whole_frames(samples), features, config)
    edges = (config.context, config.context), (0, 0)  # the first and the last frame again, as in the node
    mel, given = np.pad(one.features["mel"], edges, mode="edge"), torch.from_numpy(one.signal[:n])
    before = torch.cat((torch.full((1,), config.silence, dtype=given.dtype), given[:-1]))
    return model(model.condition(torch.from_numpy(mel)[None])[:, :n], before[None])[0], given


distribution = partial(mel_distribution, WEIGHTS, WaveNet, _outputs, "bands")
"""Return the distribution of every sample of a recording, after the gain and the pre-emphasis of the network.

See `mel_distribution`.
"""
