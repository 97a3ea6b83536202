"""WaveRNN's weights, packed for its kernels.

Work that does not depend on the samples is done before the loop over samples. The layers between the frames and the
first GRU are linear, and so is the interpolation of the frames. So each frame is multiplied once with the product of
all these matrices, and for a sample a few of the results are added up with the weights `taps` of the packed network.
The auxiliary numbers of a frame are multiplied once too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural import wavernn_layout as layout
from dspgraph_nodes._kernels.neural.conditioning import interpolation, reach
from dspgraph_nodes._kernels.neural.layout import AffineLayer
from dspgraph_nodes._kernels.neural.packing import LayerPacker, contiguous, normalised_layer, single
from dspgraph_nodes._kernels.neural.wavernn_layout import WaveRNNWeights
from dspgraph_nodes._kernels.signal.mulaw import even_samples
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.weights import WEIGHTS


def packed(config: Config, arrays: Mapping[str, Array], eight_bits: bool = False, path: str = "") -> WaveRNNWeights:
    """Return a network in the form that the kernels use. arrays: all arrays of a file of weights, by name.

    eight_bits: whether all matrices are rounded to eight bits, and products are computed with 8-bit numbers in the loop
    over samples. path: with `eight_bits`, the instructions for them, as in `_kernels.neural.packing.packed_matrix`.
    """
    packer = LayerPacker(arrays, WEIGHTS.in_eight_bits(arrays) if eight_bits else {}, path)
    c, wide, split, mixture = config, packer.wide, config.kind == "coarse_fine", config.kind == "mixture"
    sample, frames, constants = (_split if split else _stacked)(packer)
    names = [f"conditions.smooth.{k}" for k in range(len(c.factors))] if c.features else []
    filters = [wide[f"{name}.weight"][0, 0] for name in names] or [np.ones(1)] * len(c.factors)
    offset = 0.0  # the number that the biases of all filters add to every interpolated number
    for name, taps in zip(names, filters, strict=False):
        offset = offset * taps.sum() + wide.get(f"{name}.bias", np.zeros(1))[0]
    constants.bias[: frames.shape[1]] += offset * frames.sum(axis=0)
    around = reach(c.factors, [len(one) for one in filters])
    taps = interpolation(2 * around + 1, c.factors, filters)[around * c.hop : (around + 1) * c.hop]
    residual = () if split else _residual(wide, c.blocks)
    levels = 0 if mixture else c.levels
    halves = 2 * np.arange(levels) / c.levels - 1
    frame = single(layout.Conditioner(c.context, c.pad, c.input == "decibels", residual, frames, constants, taps))
    values = even_samples(c.levels, mulaw=False)[:levels].astype(np.float32)
    table = halves if split else even_samples(c.levels, c.mulaw)[:levels]
    start = np.array([*c.first_halves, 0] if split else [0], np.float32)
    draws = 2 if split else c.components + 1 if mixture else 1
    return WaveRNNWeights(
        frame, contiguous(sample), c.units, (1 if split else 2) * c.units, c.outputs, levels, draws, 2 if split else 1,
        values, table, start, c.emphasis,
    )  # fmt: skip


def _stacked(packer: LayerPacker) -> tuple[layout.StackedNetwork, Array, AffineLayer]:
    """Return the packed layers of `Stacked`, the input matrix of the frames, and the layer of auxiliary numbers.

    The matrix is [features, 4 * units]: from a frame to the gates of the first GRU, then to x. The outputs of the layer
    are added to the same 4 * units numbers, the gates of the second GRU, and the first and second dense layer.
    """
    wide = packer.wide
    units, dense = wide["gru1.weight_hh_l0"].shape[1], len(wide["dense1.bias"])
    inner1, bias1, gru1 = packer.recurrent("gru1")
    inner2, bias2, gru2 = packer.recurrent("gru2")
    quarter = wide["dense1.weight"].shape[1] - units
    to_x = wide["input.weight"].T  # rows: the sample, the frame, a1
    both = np.concatenate((to_x @ inner1, to_x), axis=1)
    constants = np.zeros((4 * quarter, 7 * units + 2 * dense))
    after = [0, 4 * units, 7 * units, 7 * units + dense, 7 * units + 2 * dense]
    parts = (both[-quarter:], inner2[units:], wide["dense1.weight"][:, units:].T, wide["dense2.weight"][:, dense:].T)
    for k, part in enumerate(parts):
        constants[k * quarter : (k + 1) * quarter, after[k] : after[k + 1]] = part
    bias = wide["input.bias"]
    biases = (bias @ inner1 + bias1, bias, bias2, wide["dense1.bias"], wide["dense2.bias"])
    sample = layout.StackedNetwork(
        both[:1].astype(np.float32), gru1, packer.gates("gru2.weight_ih_l0", inner2[:units]), gru2,
        packer.dense("dense1", units), packer.dense("dense2", dense), packer.dense("dense3"),
    )  # fmt: skip
    return sample, both[1:-quarter], AffineLayer(constants, np.concatenate(biases))


def _split(packer: LayerPacker) -> tuple[layout.SplitNetwork, Array, AffineLayer]:
    """Return, for the form `Split`: the packed layers, the input matrix of the frames, and a layer with biases only.

    The matrix is [features, 3 * units]: from a frame to the gates. The layer with biases takes the place of the layer
    of auxiliary numbers, which this form does not have.
    """
    wide, recurrent = packer.wide, packer.wide["recurrent"]
    coarse = np.pad(wide["input_coarse"], ((0, 0), (0, 0), (0, 1)))
    given = {
        "gru.weight_ih_l0": np.concatenate((coarse, wide["input_fine"]), 1).reshape(len(recurrent), -1),
        "gru.weight_hh_l0": recurrent,
        "gru.bias_ih_l0": wide["bias"].copy(),
        "gru.bias_hh_l0": wide.get("recurrent_bias", np.zeros(len(recurrent))),
    }
    inner, bias, gru = packer.recurrent("gru", given, "recurrent")
    heads = [packer.dense(name) for name in ("coarse1", "coarse2", "fine1", "fine2")]
    sample = layout.SplitNetwork(inner[-3:].astype(np.float32), gru, *heads)
    return sample, inner[:-3], AffineLayer(np.zeros((0, len(bias))), bias)


def _residual(wide: Mapping[str, Array], count: int) -> tuple[AffineLayer, ...]:
    """Return the layers of the residual network.

    The normalisation that follows a layer is multiplied into its weights. wide: the arrays of a file of weights,
    float64. count: the number of blocks.
    """
    layers = [normalised_layer(wide, "conditions.first", "conditions.norm")]
    for k in range(count):
        block = f"conditions.blocks.{k}."
        layers += [normalised_layer(wide, f"{block}conv{half}", f"{block}norm{half}") for half in (1, 2)]
    return (*layers, AffineLayer(wide["conditions.last.weight"][:, :, 0].T, wide["conditions.last.bias"]))
