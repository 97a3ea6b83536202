"""The example clip as LPCNet learns it."""

from functools import lru_cache

from dspgraph import Array, load
from dspgraph_nodes.models.lpcnet.data import Utterance, utterance
from helpers.speech import speech


def features(samples: Array) -> dict[str, Array]:
    """Those of the pipeline `lpcnet_features`."""
    return load("lpcnet_features")(speech=samples)


@lru_cache(maxsize=1)
def clip() -> Utterance:
    """All of it."""
    return utterance(speech(), features)
