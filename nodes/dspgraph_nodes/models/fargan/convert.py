"""Conversion of checkpoints of the published FARGAN into the weights of this project.

The published program uses weight normalisation for its gates and its first layer: a row w of the weights is stored as
a length g and a direction v, w = g * v / |v|. Its inputs are the numbers that `fargan_inputs.frame_inputs` computes
from LPCNet's features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.fargan.config import SUBFRAMES, Config
from dspgraph_nodes.models.fargan.weights import WEIGHTS
from dspgraph_nodes.models.shared.conversion import agreed, complete, fitting

_LAYERS = {
    "cond_net.pembed": "embed_pitch",
    "cond_net.fdense1": "frame1",
    "cond_net.fconv1": "frame2",
    "cond_net.fdense2": "frame3",
    "sig_net.cond_gain_dense": "gain",
    "sig_net.fwc0.conv": "first",
    "sig_net.fwc0.glu.gate": "first_gate",
    "sig_net.gain_dense_out": "pitch_gains",
    "sig_net.gru1_glu.gate": "gru1_gate",
    "sig_net.gru2_glu.gate": "gru2_gate",
    "sig_net.gru3_glu.gate": "gru3_gate",
    "sig_net.skip_dense": "skip",
    "sig_net.skip_glu.gate": "skip_gate",
    "sig_net.sig_dense_out": "last",
}
"""Published name of a layer -> its name in `network.FARGAN`."""

_NORMALISED = ("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are the weights of a published FARGAN."""
    return {"cond_net.pembed.weight", "sig_net.cond_gain_dense.weight", "sig_net.gru1.weight_ih"} <= names


def convert(found: Mapping[str, Array], given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the configuration, the arrays by the names of `network`, and the values that had to be assumed, as texts.

    found: the arrays of the checkpoint by name; given: values of fields of `Config`, by name. Only `rate`, 16000 by
    default, does not follow from the checkpoint. Raises ValueError if an array is missing, if the shapes do not fit
    each other, or if a given value contradicts the checkpoint or is out of bounds.
    """
    arrays: dict[str, Array] = {}
    with complete("FARGAN"):
        for theirs, ours in _LAYERS.items():
            arrays[f"{ours}.weight"] = _weight(found, theirs)
            if f"{theirs}.bias" in found:
                arrays[f"{ours}.bias"] = found[f"{theirs}.bias"]
        for k in (1, 2, 3):
            arrays[f"gru{k}_inputs.weight"] = found[f"sig_net.gru{k}.weight_ih"]
            arrays[f"gru{k}_states.weight"] = found[f"sig_net.gru{k}.weight_hh"]
        embedding = arrays["embed_pitch.weight"].shape[1]
        told = {
            "bands": arrays["frame1.weight"].shape[1] - embedding - 2, "pitch_embedding": embedding,
            "frame_units": len(arrays["frame1.weight"]), "frame_channels": len(arrays["frame2.weight"]),
            "condition": len(arrays["frame3.weight"]) // SUBFRAMES, "first": len(arrays["first.weight"]),
            "skip": len(arrays["skip.weight"]), "hop": SUBFRAMES * len(arrays["last.weight"]),
            **{f"gru{k}": len(arrays[f"gru{k}_gate.weight"]) for k in (1, 2, 3)},
        }  # fmt: skip
    config = Config(**agreed(told, given))
    return config, fitting(WEIGHTS, config, arrays), [] if "rate" in given else [f"rate ({config.rate})"]


def _weight(found: Mapping[str, Array], layer: str) -> Array:
    """Return the weight of a layer; rows stored as a length g and a direction v become g * v / |v|, in float64.

    found: the arrays of the checkpoint. layer: the name of the layer in the checkpoint. Raises KeyError if the
    checkpoint lacks the weight.
    """
    for length, direction in _NORMALISED:
        if f"{layer}.{direction}" in found:
            rows = found[f"{layer}.{direction}"].astype(np.float64)
            weight: Array = found[f"{layer}.{length}"] * rows / np.linalg.norm(rows, axis=1, keepdims=True)
            return weight
    return found[f"{layer}.weight"]
