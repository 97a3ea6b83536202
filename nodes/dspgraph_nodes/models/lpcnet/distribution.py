"""What LPCNet thinks of an utterance: the distribution of every sample, hearing the true past."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes.models.lpcnet.config import HOP, RATE
from dspgraph_nodes.models.lpcnet.data import DELAY, PIPELINE, Array, Features, Utterance, utterance
from dspgraph_nodes.models.lpcnet.network import LPCNet, load

__all__ = ["PIPELINE", "distribution"]


def distribution(weights: Path, samples: Array, features: Features) -> tuple[Array, Array, float]:
    """The distribution [n, 256] that a trained network has for each of samples [n], and the codes [n] there were.

    The rate comes third. Raises ValueError for weights that are none of this model.
    """
    whole, model = utterance(samples, features), load(weights)
    there = {"bands": whole.cepstrum.shape[1], "rate": RATE, "hop": HOP}
    for name, value in there.items():
        if (expected := getattr(model.config, name)) != value:
            raise ValueError(
                f"{weights} is of a network with {name} {expected}; the features of {PIPELINE} have {value}"
            )
    rows, codes = distributions(model, whole), whole.clean[1]
    return rows[DELAY : DELAY + len(samples)], codes[DELAY : DELAY + len(samples)], RATE


@torch.no_grad()
def distributions(model: LPCNet, whole: Utterance) -> Array:
    """The softmax of the network for every sample of an utterance: [samples, 256], sums of 1."""
    rows = (torch.from_numpy(each)[None] for each in (whole.cepstrum, whole.pitch, whole.correlation))
    codes = torch.from_numpy(whole.clean[0].astype(np.int64))[None]
    found: Array = torch.softmax(model(model.condition(*rows), codes)[0][0], -1).numpy()
    return found


def loss(model: LPCNet, whole: Utterance) -> float:
    """The cross-entropy of an utterance, in nats per sample."""
    chosen = distributions(model, whole)[np.arange(len(whole.signal)), whole.clean[1]]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


def fixed_entropy(data: Sequence[Utterance]) -> float:
    """The cross-entropy of the best distribution that never changes: the entropy of the true excitation, in nats."""
    counts = np.sum([np.bincount(one.clean[1], minlength=LEVELS) for one in data], axis=0)
    share = counts[counts > 0] / counts.sum()
    return float((share * -np.log(share)).sum())
