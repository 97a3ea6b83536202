"""The distribution that LPCNet predicts for the excitation of every sample of a recording, given the samples before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.lpcnet.config import HOP, RATE
from dspgraph_nodes.models.lpcnet.data import DELAY, PIPELINE, Utterance, utterance
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS
from dspgraph_nodes.models.shared.data import FeatureFunction
from dspgraph_nodes.models.shared.modules import load
from dspgraph_nodes.models.shared.prediction import check_fits

__all__ = ["PIPELINE", "distribution", "probabilities"]


def distribution(weights: Path, samples: Array, features: FeatureFunction) -> tuple[Array, Array, float]:
    """Return (distributions [n, 256] that a network predicts, true codes [n], rate in Hz) for a recording.

    The codes are the mu-law codes of the excitation. weights: a file of weights; samples: [n], full scale +-1, 16 kHz;
    features: the function that computes the pipeline `lpcnet_features`. Raises ValueError if the file holds no weights
    of this model, or if its network reads other features.
    """
    longer = np.concatenate((samples, np.zeros(DELAY)))  # so that the delayed signal has the last sample too
    whole, model = utterance(longer, features), load(WEIGHTS, LPCNet, weights)
    check_fits(weights, model.config, PIPELINE, {"bands": whole.cepstrum.shape[1], "rate": RATE, "hop": HOP})
    rows, codes = probabilities(model, whole), whole.clean[1]
    return rows[DELAY : DELAY + len(samples)], codes[DELAY : DELAY + len(samples)], float(RATE)


@torch.no_grad()
def probabilities(model: LPCNet, whole: Utterance) -> Array:
    """Return the distribution of the excitation code that a network predicts for every sample of `whole.signal`.

    The result is [samples, 256], float32. The network reads the codes in `whole.clean`, which have no noise.
    """
    rows = (torch.from_numpy(each)[None] for each in (whole.cepstrum, whole.pitch, whole.correlation))
    codes = torch.from_numpy(whole.clean[0].astype(np.int64))[None]
    found: Array = torch.softmax(model(model.condition(*rows), codes)[0][0], -1).numpy()
    return found
