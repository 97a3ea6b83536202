"""Published checkpoints of FARGAN: the names of their arrays, and both forms of weight normalisation."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from dspgraph import Array
from dspgraph_nodes.models.fargan.convert import convert, recognises
from helpers.fargan import SMALL, fargan_arrays

GATES = {"first_gate": "fwc0.glu.gate", "gru1_gate": "gru1_glu.gate", "gru2_gate": "gru2_glu.gate",
         "gru3_gate": "gru3_glu.gate", "skip_gate": "skip_glu.gate", "first": "fwc0.conv"}  # fmt: skip
OTHERS = {"embed_pitch": "cond_net.pembed", "frame1": "cond_net.fdense1", "frame2": "cond_net.fconv1",
          "frame3": "cond_net.fdense2", "gain": "sig_net.cond_gain_dense", "pitch_gains": "sig_net.gain_dense_out",
          "skip": "sig_net.skip_dense", "last": "sig_net.sig_dense_out"}  # fmt: skip


def published(arrays: dict[str, Array], parametrized: bool) -> dict[str, Array]:
    """Return the arrays of a FARGAN under the names of the published program.

    Each weight of GATES becomes two arrays, length and direction, by the weight normalisation of torch. arrays: those
    of our network, by name; parametrized: whether the normalisation is that of newer versions of torch, whose two names
    differ. The older one warns with a FutureWarning, which is required here.
    """
    found = {}
    for ours, theirs in OTHERS.items():
        for kind in ("weight", "bias"):
            if f"{ours}.{kind}" in arrays:
                found[f"{theirs}.{kind}"] = arrays[f"{ours}.{kind}"]
    for k in (1, 2, 3):
        found[f"sig_net.gru{k}.weight_ih"] = arrays[f"gru{k}_inputs.weight"]
        found[f"sig_net.gru{k}.weight_hh"] = arrays[f"gru{k}_states.weight"]
    for ours, theirs in GATES.items():
        weight = arrays[f"{ours}.weight"]
        layer: Any = nn.Linear(weight.shape[1], len(weight), bias=False)
        layer.weight.data = torch.from_numpy(weight.copy())
        with pytest.warns(FutureWarning) if not parametrized else pytest.MonkeyPatch.context():
            norm: Any = nn.utils.parametrizations.weight_norm if parametrized else nn.utils.weight_norm
            layer = norm(layer)
        found |= {f"sig_net.{theirs}.{name}": one.numpy().copy() for name, one in layer.state_dict().items()}
    return found


@pytest.mark.parametrize("parametrized", [False, True])
def test_a_published_network_keeps_its_weights(parametrized: bool) -> None:
    arrays = fargan_arrays(SMALL)
    found = published(arrays, parametrized)
    assert recognises(set(found))
    config, converted, untold = convert(found, {"rate": SMALL.rate})
    assert config == SMALL
    assert untold == []
    assert convert(found, {})[2] == ["rate (16000)"]
    assert converted.keys() == arrays.keys()
    for name, array in arrays.items():
        assert_allclose(converted[name], array, rtol=1e-6, atol=1e-7)


def test_what_does_not_fit_is_refused() -> None:
    found = published(fargan_arrays(SMALL), True)
    assert not recognises(set(found) - {"sig_net.gru1.weight_ih"})
    with pytest.raises(ValueError, match=r"FARGAN lacks the array 'sig_net.gru2.weight_hh'"):
        convert({name: array for name, array in found.items() if name != "sig_net.gru2.weight_hh"}, {})
    with pytest.raises(ValueError, match="skip.weight has shape"):
        convert({**found, "sig_net.skip_dense.weight": np.zeros((SMALL.skip, 5), np.float32)}, {})
    with pytest.raises(ValueError, match="gru1 is given as 64, but it is 48 in the checkpoint"):
        convert(found, {"gru1": 64})
