"""The test recording in the form in which LPCNet is trained on it, and the loss of a network on it."""

from functools import lru_cache

import numpy as np

from dspgraph import Array, load
from dspgraph_nodes.models.lpcnet.data import Utterance, utterance
from dspgraph_nodes.models.lpcnet.distribution import probabilities
from dspgraph_nodes.models.lpcnet.network import LPCNet
from helpers.speech import speech


def features(samples: Array) -> dict[str, Array]:
    """Return the features of samples [n] (floats, 16 kHz), by name, as computed by the pipeline `lpcnet_features`."""
    found = _features(samples.tobytes(), samples.dtype.str)
    return {name: array.copy() for name, array in found.items()}


@lru_cache(maxsize=32)  # many tests train on the same recordings
def _features(content: bytes, dtype: str) -> dict[str, Array]:
    return load("lpcnet_features")(speech=np.frombuffer(content, dtype))


@lru_cache(maxsize=1)
def clip() -> Utterance:
    """Return the whole test recording, with its features, in the form in which LPCNet is trained.

    All calls return the same object, whose arrays must not be changed.
    """
    return utterance(speech(), features)


def loss(model: LPCNet, whole: Utterance) -> float:
    """Return the mean cross-entropy of a network on an utterance, without noise in its inputs, in nats per sample."""
    chosen = probabilities(model, whole)[np.arange(len(whole.signal)), whole.clean[1]]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())
