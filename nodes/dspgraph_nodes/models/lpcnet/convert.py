"""Conversion of published LPCNet weights, in the layout of Keras, to files of weights of this project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dspgraph.shown import shown
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.lpcnet.config import Config
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are the weights of an LPCNet in the layout of Keras.

    A name may have folders before it: "model/embed_sig".
    """
    return all(
        any(name == one or name.endswith(f"/{one}") for name in names) for one in ("embed_sig", "dual_fc/factor")
    )


def convert(found: Mapping[str, Array], given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the configuration and the weights of a published network, and the values that had to be assumed, as texts.

    A text is such as "rate (16000)". found: arrays with the names and the layout that `from_keras` expects, with or
    without a folder before the names; given: `rate` and `hop`, if they differ from the published values. Raises errors
    as `from_keras` does if the arrays are not those of an LPCNet, and ValueError if a given value is out of bounds, or
    if `given` has another name than these two.

    A network needs the features that it was trained on, and the file does not say which features these are. The
    pipeline `lpcnet_features` computes the features of the C program from 2020 on. The first published program differs
    in three ways: its correlation is 0.5 higher and so lies between 0 and 1; it has a different pitch search; and its
    LPC does not compensate for the widths of the bands.
    """
    if foreign := sorted(set(given) - {"rate", "hop"}):
        raise ValueError(f"an LPCNet has no setting {shown(foreign[0])}; it has rate and hop")
    model = from_keras(found)
    known = {name: given[name] for name in ("rate", "hop") if name in given}
    config = model.config.replace(**known)
    untold = [f"{name} ({getattr(config, name)})" for name in ("rate", "hop") if name not in known]
    untold.append("the features (those of the C program from 2020 on, by the pipeline lpcnet_features)")
    return config, {name: value.numpy() for name, value in model.state_dict().items()}, untold


def from_keras(arrays: Mapping[str, Array]) -> LPCNet:
    """Return an LPCNet, in evaluation mode, with the weights in `arrays`, which have the names and the layout of Keras.

    In this layout kernels are [in, out], those of convolutions [taps, in, out], the gates of a GRU are in the order z,
    r, h, its biases are [2, 3 * units], input bias first, and the two layers of DualFC are on the last axis. A name may
    have folders before it. If the network takes 38 features besides the embedding of the pitch, the 18 that the
    published programs set to zero are left out. Raises ValueError if an array is missing, is there twice, or has
    another shape; a wrong number of axes can also raise IndexError or RuntimeError.
    """

    def array(name: str) -> Tensor:
        found = [key for key in arrays if key == name or key.endswith(f"/{name}")]
        if len(found) != 1:
            raise ValueError(f"the Keras layout has one array '{name}'; found {len(found)} among {sorted(arrays)[:40]}")
        return torch.from_numpy(np.array(arrays[found[0]], np.float32))

    conv1 = array("feature_conv1/kernel")
    pitch = array("embed_pitch")
    bands = 18
    if conv1.shape[1] == 2 * bands + 2 + pitch.shape[1]:
        conv1 = torch.cat((conv1[:, :bands], conv1[:, 2 * bands :]), 1)
    embed, recurrent_b = array("embed_sig"), array("gru_b/recurrent")
    config = Config(
        bands=bands, pitch_embedding=pitch.shape[1], condition=conv1.shape[2], embedding=embed.shape[1],
        gru_a=array("gru_a/recurrent").shape[0], gru_b=recurrent_b.shape[0],
    )  # fmt: skip
    model = LPCNet(config)
    state = {
        "embed_pitch.weight": pitch,
        "embed.weight": embed,
        "conv1.weight": conv1.permute(2, 1, 0),
        "conv1.bias": array("feature_conv1/bias"),
        "conv2.weight": array("feature_conv2/kernel").permute(2, 1, 0),
        "conv2.bias": array("feature_conv2/bias"),
        "dual_fc.kernel": array("dual_fc/kernel").permute(2, 0, 1),
        "dual_fc.bias": array("dual_fc/bias").mT,
        "dual_fc.factor": array("dual_fc/factor").mT,
    }
    for k in (1, 2):
        state[f"dense{k}.weight"] = array(f"feature_dense{k}/kernel").mT
        state[f"dense{k}.bias"] = array(f"feature_dense{k}/bias")
    for name in ("gru_a", "gru_b"):
        for ours, theirs in (("weight_ih_l0", "kernel"), ("weight_hh_l0", "recurrent")):
            state[f"{name}.{ours}"] = _gates(array(f"{name}/{theirs}").mT)
        bias = array(f"{name}/bias")
        state[f"{name}.bias_ih_l0"], state[f"{name}.bias_hh_l0"] = _gates(bias[0]), _gates(bias[1])
    WEIGHTS.check({name: value.numpy() for name, value in state.items()}, config, "the Keras layout")
    model.load_state_dict(state)
    return model.eval()


def _gates(rows: Tensor) -> Tensor:
    """Reorder the gates of a GRU, stacked on the first axis, from Keras's order z, r, h to torch's r, z, n."""
    z, r, h = rows.chunk(3)
    return torch.cat((r, z, h))
