"""Conversion of published WaveRNN checkpoints into the weights of this project.

Four layouts are known: the alternative model of fatchord/WaveRNN; the same network with the names of torchaudio; the
original dual-softmax model of fatchord/WaveRNN; and the model of mkotha/WaveRNN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.conversion import agreed, complete, fitting, numbered, renamed
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.weights import WEIGHTS

_Arrays = Mapping[str, Array]
_Converted = tuple[Config, dict[str, Array], list[str]]

_TORCHAUDIO = {
    r"upsample\.upsample_layers\.": "upsample.up_layers.",
    r"upsample\.resnet\.melresnet_model\.0\.": "upsample.resnet.conv_in.",
    r"upsample\.resnet\.melresnet_model\.1\.": "upsample.resnet.batch_norm.",
    r"resblock_model\.0\.": "conv1.",
    r"resblock_model\.1\.": "batch_norm1.",
    r"resblock_model\.3\.": "conv2.",
    r"resblock_model\.4\.": "batch_norm2.",
    r"^fc\.": "I.",
}
"""Patterns for the names of torchaudio, with the replacements that give the names of fatchord/WaveRNN."""

_STACKED = {
    r"^upsample\.resnet\.conv_in\.": "conditions.first.",
    r"^upsample\.resnet\.batch_norm\.": "conditions.norm.",
    r"^upsample\.resnet\.layers\.": "conditions.blocks.",
    r"\.batch_norm([12])\.": r".norm\1.",
    r"^upsample\.resnet\.conv_out\.": "conditions.last.",
    r"^I\.": "input.",
    r"^rnn([12])\.": r"gru\1.",
    r"^fc([123])\.": r"dense\1.",
}
"""Patterns for the names of fatchord/WaveRNN, with the replacements that give the names of `network.Stacked`."""


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are the weights of a published WaveRNN, in any of the four layouts."""
    return any(needed <= names for needed, _ in _LAYOUTS)


def convert(found: _Arrays, given: Mapping[str, Any]) -> _Converted:
    """Return the configuration, the arrays by the names of `network`, and the values that were assumed, as texts.

    found: the arrays of the checkpoint by name; given: fields of `Config` that do not follow from the checkpoint, such
    as rate and mulaw; if they are not given, their defaults are assumed. Raises ValueError if the arrays have none of
    the four layouts, if they do not fit each other, or if a given value is no field of `Config` or contradicts them.
    """
    for needed, own in _LAYOUTS:
        if needed <= set(found):
            with complete("WaveRNN"):
                return own(found, given)
    raise ValueError(f"the arrays are no WaveRNN of a known layout; found {sorted(found)[:8]}")


def _from_torchaudio(found: _Arrays) -> dict[str, Array]:
    """Return arrays of torchaudio's WaveRNN under the names of fatchord/WaveRNN.

    In fatchord/WaveRNN, residual blocks are counted from 0; in torchaudio, they are layers of a sequence, from layer 3
    on.
    """
    block = re.compile(r"melresnet_model\.(\d+)\.(?=resblock_model)")
    last = max((int(number) for name in found for number in block.findall(name)), default=2) + 1
    shifted = {block.sub(lambda match: f"layers.{int(match[1]) - 3}.", name): array for name, array in found.items()}
    return renamed(shifted, {**_TORCHAUDIO, rf"melresnet_model\.{last}\.": "conv_out."})


def _smoothing(arrays: _Arrays, shorter: int) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the smoothing filters of a checkpoint, and the fields of `Config` that follow from them.

    The filters [1, 1, taps] and their biases have the names of `network.Conditions`. shorter: 0 if a filter has 2 *
    factor + 1 taps, where factor is its upsampling factor; 1 if it has 2 * factor - 1 taps.
    """
    names, filters = numbered(arrays, "upsample.up_layers"), {}
    for k, name in enumerate(names):
        filters[f"conditions.smooth.{k}.weight"] = arrays[f"{name}.weight"].reshape(1, 1, -1)
        if f"{name}.bias" in arrays:
            filters[f"conditions.smooth.{k}.bias"] = arrays[f"{name}.bias"]
    widths = tuple(filters[f"conditions.smooth.{k}.weight"].size for k in range(len(names)))
    factors = tuple(width // 2 + shorter for width in widths)
    return filters, {"factors": factors, "widths": widths, "offset": len(filters) > len(names)}


def _stacked(found: _Arrays, given: Mapping[str, Any]) -> _Converted:
    dropped = ("step", "num_batches_tracked", "upsample.up_layers.")
    arrays = renamed({name: array for name, array in found.items() if not any(d in name for d in dropped)}, _STACKED)
    filters, about = _smoothing(found, 0)
    outputs, dense = arrays["dense3.weight"].shape
    compute, features, taps = arrays["conditions.first.weight"].shape
    mixture = outputs % 3 == 0
    told: dict[str, Any] = {"kind": "categorical", "bits": outputs.bit_length() - 1}
    if mixture:
        told = {"kind": "mixture", "bits": 16, "components": outputs // 3}
    told |= {"units": arrays["gru1.weight_hh_l0"].shape[1], "dense": dense, "features": features, "compute": compute}
    told |= {"auxiliary": len(arrays["conditions.last.weight"]), "pad": taps // 2}
    told["blocks"] = sum(name.endswith(".conv1.weight") for name in arrays)
    return _finished(told | about, {**arrays, **filters}, given, ["rate"] if mixture else ["rate", "mulaw"])


def _dual(found: _Arrays, given: Mapping[str, Any]) -> _Converted:
    """Convert the dual-softmax network of fatchord/WaveRNN; see `convert`.

    Its gates u, r, e are called z, r, n here. Its single bias stands outside the product with r.
    """

    def gates(name: str) -> Array:
        return found[name].reshape(3, -1, found[name].shape[1])[[1, 0, 2]]

    arrays = {
        "input_coarse": gates("I_coarse.weight"),
        "input_fine": gates("I_fine.weight"),
        "recurrent": gates("R.weight").reshape(found["R.weight"].shape),
        "bias": np.concatenate([found["bias_r"], found["bias_u"], found["bias_e"]]),
        **_heads(found, ("O1", "O2", "O3", "O4")),
    }
    return _split(arrays, given, {"biases": "one", "features": 0, "start": "lowest"})


def _mkotha(found: _Arrays, given: Mapping[str, Any]) -> _Converted:
    """Convert the network of mkotha/WaveRNN, which has a GRU of torch; see `convert`.

    The coarse half of the state does not read the coarse half of the present sample, which is predicted from it.
    """
    inner = found["wavernn.gru.weight_ih_l0"]
    gates = inner.reshape(3, len(inner) // 3, -1)
    half = gates.shape[1] // 2
    filters, about = _smoothing(found, 1)
    arrays = {
        "input_coarse": gates[:, :half, :-1],
        "input_fine": gates[:, half:],
        "recurrent": found["wavernn.gru.weight_hh_l0"],
        "bias": found["wavernn.gru.bias_ih_l0"],
        "recurrent_bias": found["wavernn.gru.bias_hh_l0"],
        **_heads(found, tuple(f"wavernn.fc{k}" for k in (1, 2, 3, 4))),
        **filters,
    }
    return _split(arrays, given, {"biases": "two", "features": inner.shape[1] - 3, "start": "zeros", **about})


def _heads(found: _Arrays, names: tuple[str, ...]) -> dict[str, Array]:
    pairs = zip(("coarse1", "coarse2", "fine1", "fine2"), names, strict=True)
    return {f"{head}.{kind}": found[f"{name}.{kind}"] for head, name in pairs for kind in ("weight", "bias")}


def _split(arrays: _Arrays, given: Mapping[str, Any], told: Mapping[str, Any]) -> _Converted:
    bits = len(arrays["coarse2.weight"]).bit_length() - 1
    sizes: dict[str, Any] = {"kind": "coarse_fine", "bits": 2 * bits, "auxiliary": 0, "blocks": 0}
    sizes |= {"units": arrays["recurrent"].shape[1], "dense": len(arrays["coarse1.weight"])}
    return _finished({**sizes, **told}, arrays, given, ["rate"])


def _finished(told: Mapping[str, Any], arrays: _Arrays, given: Mapping[str, Any], silent: list[str]) -> _Converted:
    """Return the result of `convert`: configuration, arrays, and the values that were assumed, as texts.

    told: the fields of `Config` that follow from the checkpoint. silent: the names of fields that do not follow from
    it; their defaults are assumed if they are not given. Raises ValueError if a given value is no field or contradicts
    `told`, or if the arrays do not fit the configuration.
    """
    config = Config(**agreed(told, given))
    assumed = [f"{name} ({getattr(config, name)})" for name in silent if name not in given]
    return config, fitting(WEIGHTS, config, arrays), assumed


_LAYOUTS: tuple[tuple[set[str], Callable[[_Arrays, Mapping[str, Any]], _Converted]], ...] = (
    ({"wavernn.gru.weight_ih_l0", "wavernn.fc4.weight", "upsample.up_layers.0.weight"}, _mkotha),
    ({"R.weight", "I_coarse.weight", "I_fine.weight", "O4.weight", "bias_u", "bias_r", "bias_e"}, _dual),
    (
        {"fc.weight", "rnn1.weight_ih_l0", "upsample.resnet.melresnet_model.0.weight"},
        lambda found, given: _stacked(_from_torchaudio(found), given),
    ),
    ({"I.weight", "rnn1.weight_ih_l0", "rnn2.weight_ih_l0", "fc3.weight", "upsample.resnet.conv_in.weight"}, _stacked),
)
"""For each layout, the names of arrays by which it is recognised, and the function that converts it."""
