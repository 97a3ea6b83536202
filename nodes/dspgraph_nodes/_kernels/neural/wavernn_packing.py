"""WaveRNN's weights, packed for its kernels.

Work that does not depend on the samples is taken out of the loop over samples. The layers between the frames and the
first GRU are linear, and so is the interpolation of the frames: a frame is multiplied with the product of all these
matrices once, and a sample adds a few of the results, weighted by `taps`. The auxiliary numbers of a frame are
multiplied once too.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; the program fatchord/WaveRNN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import LN_10
from dspgraph_nodes._kernels.neural.conditioning import interpolation, reach
from dspgraph_nodes._kernels.neural.layout import Matrix
from dspgraph_nodes._kernels.neural.packing import by_blocks, contiguous, packed_gru, packed_matrix, single
from dspgraph_nodes._kernels.signal.mulaw import even_samples

_EPSILON = 1e-5  # of batch normalisation


class AffineLayer(NamedTuple):
    """A layer of the residual network with its normalisation: y = x @ matrix + bias."""

    matrix: Array  # [inputs, outputs] float32
    bias: Array  # [outputs] float32


class Conditioner(NamedTuple):
    """The weights that turn frames into the rows that the loop over samples reads.

    context: frames on each side of a frame that its samples depend on; pad: those that the residual network sees;
    decibels: see `seen`.
    """

    context: int
    pad: int
    decibels: bool
    residual: tuple[AffineLayer, ...]  # first layer, two for each block, last layer; empty without auxiliary numbers
    blended: Array  # [features, columns] float32: from frames to the rows that are interpolated
    constants: AffineLayer  # from auxiliary numbers to the rows that stay the same for all samples of a frame
    taps: Array  # [hop, 2 * reach + 1] float32: weights of the frames around, for every sample of a frame


class RecurrentWeights(NamedTuple):
    """The recurrent weights of a GRU, in the order [block, gate, unit]."""

    matrix: Matrix  # without the diagonals; the bias is that of gate n, zeros for r and z
    diagonal_b: Array  # [3 * units]: the diagonals


class StackedNetwork(NamedTuple):
    """The weights of the sample-rate network with two GRUs."""

    columns: Array  # [1, 4 * units]: what the last sample adds to the gates of the first GRU, then to x
    gru1: RecurrentWeights
    inner2: Matrix  # from x to the gates of the second GRU
    gru2: RecurrentWeights
    dense1: Matrix
    dense2: Matrix
    dense3: Matrix


class SplitNetwork(NamedTuple):
    """The weights of the sample-rate network with a divided state."""

    columns: Array  # [3, 3 * units]: what both halves of the last sample, and the new coarse half, add to the gates
    gru: RecurrentWeights
    coarse1: Matrix
    coarse2: Matrix
    fine1: Matrix
    fine2: Matrix


class WaveRNNWeights(NamedTuple):
    """The packed weights, and what the outputs mean."""

    frame: Conditioner
    sample: StackedNetwork | SplitNetwork
    states: int  # numbers in the states of the GRUs
    outputs: int  # numbers in a row of the distribution
    levels: int  # classes of a softmax; 0 for a mixture
    draws: int  # random numbers for a sample
    drawn: int  # what is drawn for a sample: a class, two halves, or a number
    values: Array  # [levels] float32: the input of the network that stands for a class
    table: Array  # [levels] float64: the sample that a class stands for; for halves: a coarse half with fine half 0
    start: Array  # [d] float32: the inputs before the first sample


def _gates(wide: Mapping[str, Array], name: str) -> tuple[Array, Array, RecurrentWeights]:
    """Return the scaled input matrix [inputs, 3 * units], the bias, and the recurrent part of a GRU, by blocks."""
    gru = packed_gru(wide, name)
    own = RecurrentWeights(packed_matrix(gru.recurrent, gru.recurrent_bias), gru.diagonal)
    return by_blocks(gru.inner.T).astype(np.float64), gru.bias.astype(np.float64), own


def pack_stacked(wide: Mapping[str, Array]) -> tuple[StackedNetwork, Array, AffineLayer]:
    """Return the network, the matrix of the frames, and the layer of the auxiliary numbers.

    wide: the arrays of a file of weights, float64.
    """
    units, dense = wide["gru1.weight_hh_l0"].shape[1], len(wide["dense1.bias"])
    inner1, bias1, gru1 = _gates(wide, "gru1")
    inner2, bias2, gru2 = _gates(wide, "gru2")
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
    sample = StackedNetwork(
        columns=both[:1].astype(np.float32),
        gru1=gru1,
        inner2=packed_matrix(inner2[:units].T, np.zeros(3 * units)),
        gru2=gru2,
        dense1=packed_matrix(wide["dense1.weight"][:, :units], np.zeros(dense)),
        dense2=packed_matrix(wide["dense2.weight"][:, :dense], np.zeros(dense)),
        dense3=packed_matrix(wide["dense3.weight"], wide["dense3.bias"]),
    )
    return sample, both[1:-quarter], AffineLayer(constants, np.concatenate(biases))


def pack_split(wide: Mapping[str, Array]) -> tuple[SplitNetwork, Array, AffineLayer]:
    """Return the network, the matrix of the frames, and the layer of the (missing) auxiliary numbers."""
    recurrent = wide["recurrent"]
    coarse = np.pad(wide["input_coarse"], ((0, 0), (0, 0), (0, 1)))
    given = {
        "gru.weight_ih_l0": np.concatenate((coarse, wide["input_fine"]), 1).reshape(len(recurrent), -1),
        "gru.weight_hh_l0": recurrent,
        "gru.bias_ih_l0": wide["bias"].copy(),
        "gru.bias_hh_l0": wide.get("recurrent_bias", np.zeros(len(recurrent))),
    }
    inner, bias, gru = _gates(given, "gru")
    names = ("coarse1", "coarse2", "fine1", "fine2")
    heads = [packed_matrix(wide[f"{name}.weight"], wide[f"{name}.bias"]) for name in names]
    sample = SplitNetwork(inner[-3:].astype(np.float32), gru, *heads)
    return sample, inner[:-3], AffineLayer(np.zeros((0, len(bias))), bias)


def pack_residual(wide: Mapping[str, Array], count: int) -> tuple[AffineLayer, ...]:
    """Return the layers of the residual network, each with its normalisation. count: the number of blocks."""

    def normalised(weight: str, norm: str) -> AffineLayer:
        factor = wide[f"{norm}.weight"] / np.sqrt(wide[f"{norm}.running_var"] + _EPSILON)
        flat = wide[f"{weight}.weight"].swapaxes(1, 2).reshape(len(factor), -1)  # [outputs, tap, inputs]
        bias = wide[f"{norm}.bias"] - wide[f"{norm}.running_mean"] * factor
        return AffineLayer((flat * factor[:, None]).T, bias)

    layers = [normalised("conditions.first", "conditions.norm")]
    for k in range(count):
        block = f"conditions.blocks.{k}."
        layers += [normalised(f"{block}conv{half}", f"{block}norm{half}") for half in (1, 2)]
    return (*layers, AffineLayer(wide["conditions.last.weight"][:, :, 0].T, wide["conditions.last.bias"]))


class WaveRNNForm(NamedTuple):
    """What the arrays of a network do not tell."""

    factors: Sequence[int]  # of the stages that interpolate
    context: int  # frames on each side of a frame that its samples depend on
    pad: int  # frames on each side that the residual network sees
    blocks: int  # blocks of the residual network
    start: Sequence[float]  # the halves before the first sample, as inputs
    mulaw: bool  # whether levels are mu-law codes
    decibels: bool  # whether features are logarithms, see `seen`


def seen(features: Array, decibels: bool) -> Array:
    """Return what a network sees of features, float32: the features, or limit(1 + 20 * log10(e**x) / 100) to 0 .. 1."""
    wide = features.astype(np.float64)
    return (np.clip(1 + wide * (0.2 / LN_10), 0, 1) if decibels else wide).astype(np.float32)


def pack(arrays: Mapping[str, Array], form: WaveRNNForm) -> WaveRNNWeights:
    """Return the packed network. arrays: the arrays of a file of weights, by name."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    stacked = "gru1.weight_hh_l0" in wide
    sample, frames, constants = pack_stacked(wide) if stacked else pack_split(wide)
    names = [f"conditions.smooth.{k}" for k in range(len(form.factors))] if len(frames) else []
    filters = [wide[f"{name}.weight"][0, 0] for name in names] or [np.ones(1)] * len(form.factors)
    offset = 0.0  # what the biases of the filters add up to
    for name, taps in zip(names, filters, strict=False):
        offset = offset * taps.sum() + wide.get(f"{name}.bias", np.zeros(1))[0]
    constants.bias[: frames.shape[1]] += offset * frames.sum(axis=0)
    residual = pack_residual(wide, form.blocks) if stacked else ()
    around, hop = reach(form.factors, [len(one) for one in filters]), prod(form.factors)
    taps = interpolation(2 * around + 1, form.factors, filters)[around * hop : (around + 1) * hop]
    outputs = len(wide["dense3.bias" if stacked else "coarse2.bias"])
    mixture = stacked and outputs % 3 == 0
    levels = 0 if mixture else outputs
    halves = (2 * np.arange(levels) - levels) / max(levels, 1)
    return WaveRNNWeights(
        frame=single(Conditioner(form.context, form.pad, form.decibels, residual, frames, constants, taps)),
        sample=contiguous(sample),
        states=(2 if stacked else 1) * len(wide["gru1.weight_hh_l0" if stacked else "recurrent"]) // 3,
        outputs=outputs if stacked else 2 * outputs,
        levels=levels,
        draws=outputs // 3 + 1 if mixture else 1 if stacked else 2,
        drawn=1 if stacked else 2,
        values=even_samples(levels, mulaw=False).astype(np.float32) if levels else np.zeros(0, np.float32),
        table=halves if mixture or not stacked else even_samples(levels, form.mulaw),
        start=np.zeros(1, np.float32) if stacked else np.array([*form.start, 0], np.float32),
    )
