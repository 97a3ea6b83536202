"""Conversion of published WaveRNN checkpoints into the weights of this project.

Four layouts are known: the alternative model of fatchord/WaveRNN, the same network as torchaudio names it, the original
dual-softmax model of fatchord/WaveRNN, and the one of mkotha/WaveRNN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.conversion import agreed, fitting
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.weights import WEIGHTS

_Arrays = Mapping[str, Array]

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
"""The names of torchaudio, as patterns, and those of fatchord/WaveRNN."""

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
"""The names of fatchord/WaveRNN, as patterns, and those of `network.Stacked`."""


def recognises(names: set[str]) -> bool:
    """Return whether arrays with these names are a published WaveRNN, in any of the four layouts."""
    return any(needed <= names for needed in (_FATCHORD, _TORCHAUDIO_KEYS, _DUAL, _MKOTHA))


_FATCHORD = {"I.weight", "rnn1.weight_ih_l0", "rnn2.weight_ih_l0", "fc3.weight", "upsample.resnet.conv_in.weight"}
_TORCHAUDIO_KEYS = {"fc.weight", "rnn1.weight_ih_l0", "upsample.resnet.melresnet_model.0.weight"}
_DUAL = {"R.weight", "I_coarse.weight", "I_fine.weight", "O4.weight", "bias_u", "bias_r", "bias_e"}
_MKOTHA = {"wavernn.gru.weight_ih_l0", "wavernn.fc4.weight", "upsample.up_layers.0.weight"}


def convert(found: _Arrays, given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the configuration, the arrays by the names of `network`, and what the checkpoint does not say.

    found: the arrays of the checkpoint by name; given: fields of `Config` that the checkpoint does not tell, such as
    rate and mulaw. Raises ValueError if the arrays are none of the four layouts, or do not fit each other.
    """
    names = set(found)
    try:
        if names >= _MKOTHA:
            return _mkotha(found, given)
        if names >= _DUAL:
            return _dual(found, given)
        if names >= _TORCHAUDIO_KEYS:
            return _stacked(_from_torchaudio(found), given)
        if names >= _FATCHORD:
            return _stacked(found, given)
    except (KeyError, IndexError) as error:
        raise ValueError(f"the checkpoint of a WaveRNN lacks the array {error}") from None
    raise ValueError(f"the arrays are no WaveRNN of a known layout; found {sorted(names)[:8]}")


def _renamed(found: _Arrays, patterns: Mapping[str, str]) -> dict[str, Array]:
    arrays = {}
    for name, array in found.items():
        for pattern, new in patterns.items():
            name = re.sub(pattern, new, name)
        arrays[name] = array
    return arrays


def _from_torchaudio(found: _Arrays) -> dict[str, Array]:
    """Return arrays with the names of fatchord/WaveRNN. The number of a residual block is 3 less there."""
    block = re.compile(r"melresnet_model\.(\d+)\.(?=resblock_model)")
    last = max((int(number) for name in found for number in block.findall(name)), default=2) + 1
    shifted = {block.sub(lambda match: f"layers.{int(match[1]) - 3}.", name): array for name, array in found.items()}
    return _renamed(shifted, {**_TORCHAUDIO, rf"melresnet_model\.{last}\.": "conv_out."})


def _smoothing(arrays: _Arrays) -> dict[str, Array]:
    """Return the smoothing filters [1, 1, taps] and their biases, by the names of `network.Conditions`."""
    numbers = sorted(
        int(match[1]) for name in arrays if (match := re.fullmatch(r"upsample\.up_layers\.(\d+)\.weight", name))
    )
    filters = {}
    for k, number in enumerate(numbers):
        filters[f"conditions.smooth.{k}.weight"] = arrays[f"upsample.up_layers.{number}.weight"].reshape(1, 1, -1)
        if f"upsample.up_layers.{number}.bias" in arrays:
            filters[f"conditions.smooth.{k}.bias"] = arrays[f"upsample.up_layers.{number}.bias"]
    return filters


def _stacked(found: _Arrays, given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    dropped = ("step", "num_batches_tracked", "upsample.up_layers.")
    arrays = _renamed({name: array for name, array in found.items() if not any(d in name for d in dropped)}, _STACKED)
    filters = _smoothing(found)
    outputs, dense = arrays["dense3.weight"].shape
    compute, features, taps = arrays["conditions.first.weight"].shape
    widths = [filters[f"conditions.smooth.{k}.weight"].shape[2] for k in range(len(filters))]
    mixture = outputs % 3 == 0
    sizes: dict[str, Any] = {
        "kind": "mixture" if mixture else "categorical",
        "bits": 16 if mixture else outputs.bit_length() - 1,
        "components": outputs // 3 if mixture else 10,
        "units": arrays["gru1.weight_hh_l0"].shape[1],
        "dense": dense,
        "features": features,
        "factors": tuple(width // 2 for width in widths),
        "widths": tuple(widths),
        "auxiliary": arrays["conditions.last.weight"].shape[0],
        "compute": compute,
        "blocks": sum(name.endswith(".conv1.weight") for name in arrays),
        "pad": taps // 2,
    }
    silent = ["rate"] if mixture else ["rate", "mulaw"]
    return _finished(sizes, {**arrays, **filters}, given, silent)


def _dual(found: _Arrays, given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Convert fatchord's dual softmax, whose gates u, r, e are z, r, n, and whose one bias is outside of r * (R h)."""
    units, dense = found["R.weight"].shape[1], len(found["O1.weight"])
    order = (1, 0, 2)

    def gates(array: Array) -> Array:
        split: Array = np.asarray(array, np.float32).reshape(3, -1, array.shape[-1])[list(order)]
        return split

    arrays = {
        "input_coarse": gates(found["I_coarse.weight"]),
        "input_fine": gates(found["I_fine.weight"]),
        "recurrent": gates(found["R.weight"]).reshape(3 * units, units),
        "bias": np.concatenate([found["bias_r"], found["bias_u"], found["bias_e"]]),
        **_heads(found, ("O1", "O2", "O3", "O4")),
    }
    sizes = {"units": units, "dense": dense, "biases": "one", "features": 0, "start": "lowest"}
    return _finished({**_split_sizes(arrays), **sizes}, arrays, given, ["rate"])


def _mkotha(found: _Arrays, given: Mapping[str, Any]) -> tuple[Config, dict[str, Array], list[str]]:
    """Convert mkotha's network: a GRU of torch whose coarse half has masked weights for the coarse sample."""
    inner = np.asarray(found["wavernn.gru.weight_ih_l0"], np.float32)
    units = len(inner) // 3
    gates = inner.reshape(3, units, -1)
    filters = _smoothing(found)
    arrays = {
        "input_coarse": gates[:, : units // 2, :-1],
        "input_fine": gates[:, units // 2 :],
        "recurrent": found["wavernn.gru.weight_hh_l0"],
        "bias": found["wavernn.gru.bias_ih_l0"],
        "recurrent_bias": found["wavernn.gru.bias_hh_l0"],
        **_heads(found, tuple(f"wavernn.fc{k}" for k in (1, 2, 3, 4))),
        **filters,
    }
    widths = [array.shape[2] for name, array in filters.items() if name.endswith("weight")]
    sizes = {
        "units": units,
        "dense": len(found["wavernn.fc1.weight"]),
        "biases": "two",
        "features": inner.shape[1] - 3,
        "factors": tuple((width + 1) // 2 for width in widths),
        "widths": tuple(widths),
        "offset": any(name.endswith("bias") for name in filters),
        "start": "zeros",
    }
    return _finished({**_split_sizes(arrays), **sizes}, arrays, given, ["rate"])


def _heads(found: _Arrays, names: tuple[str, ...]) -> dict[str, Array]:
    heads = ("coarse1", "coarse2", "fine1", "fine2")
    return {
        f"{head}.{kind}": found[f"{name}.{kind}"]
        for head, name in zip(heads, names, strict=True)
        for kind in ("weight", "bias")
    }


def _split_sizes(arrays: _Arrays) -> dict[str, Any]:
    levels = len(arrays["coarse2.weight"])
    return {"kind": "coarse_fine", "bits": 2 * (levels.bit_length() - 1), "auxiliary": 0, "blocks": 0}


def _finished(
    sizes: dict[str, Any], arrays: _Arrays, given: Mapping[str, Any], silent: list[str]
) -> tuple[Config, dict[str, Array], list[str]]:
    """Return the result of `convert`. silent: the fields that the checkpoint does not tell."""
    config = Config(**agreed(sizes, given))
    return config, fitting(WEIGHTS, config, arrays), [name for name in silent if name not in given]
