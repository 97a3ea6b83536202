"""The weights of a network of dilated convolutions, packed for the loop over samples.

A layer has gates, tanh and sigmoid, or a normalisation and leaky ReLUs. Sigmoid and tanh are computed with powers of
2, so the weights and biases of the gates are multiplied by 2 / ln(2) before a tanh and by -1 / ln(2) before a sigmoid.
The factors of residual and skip connections are multiplied into their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.convolution import in_blocks, padded
from dspgraph_nodes._kernels.neural.layout import ACCUMULATORS, WIDTH, DotStack
from dspgraph_nodes._kernels.neural.packing import NO_DOTS, dot_stack
from dspgraph_nodes._kernels.neural.stages import LOG2_E
from dspgraph_nodes._kernels.neural.wavenet_layout import WaveNetWeights


class LayersForm(NamedTuple):
    """The form of the dilated layers of a network.

    taps: the number of taps of each dilated convolution. dilations: one per layer. skip_factors: for each layer the
    factor of its skip output in the sum over all layers. residual_factor: a factor of the sum of a layer's input and
    its result. norms: (factors, offsets) of the inputs of layers with leaky ReLUs, [layers, channels] each; None for
    layers with gates. slope: the slope of the leaky ReLUs below 0.
    """

    taps: int  # number of taps of a dilated convolution
    dilations: Sequence[int]  # the dilation of every layer
    skip_factors: Sequence[float]  # the factor of every layer's skip connection in their sum
    residual_factor: float  # the factor of the sum of a layer's input and its result
    norms: tuple[Array, Array] | None = (
        None  # factor and offset of every layer's input, [layers, channels]; None: gates
    )
    slope: float = 0.0  # the slope of the ReLUs for numbers below 0


def pack_layers(
    form: LayersForm, arrays: Mapping[str, Array], first: Array, path: str = ""
) -> tuple[WaveNetWeights, Array, DotStack]:
    """Return (packed weights, matrix of the features, stack of 8-bit matrices).

    The matrix is [bands, n]: it turns features into the numbers that are added to the gates and, if the network has
    such weights, at the end to the first layer of the head. The matrix and most packed weights are float64; callers
    convert them by `packing.single`. The stack has the matrices of the layers of a network in eight bits; the packed
    weights are then without them. path: the instructions for the products of 8-bit numbers, a name in
    `compile.simd.DOT_PATHS`; "" for floats. In eight bits each row of these matrices in `arrays` must be a factor times
    whole numbers, as `quantisation.dequantised` returns it.

    arrays: the arrays of a file of weights by name: "first.bias"; for every layer, for instance layer 3,
    "layers.3.gate", "layers.3.condition", "layers.3.skip" and, except for the last layer, "layers.3.out"; for the
    head, which follows the layers, "head.0" and "head.1". Each of these names is followed by ".weight" or ".bias"; the
    condition of a layer may lack its bias. If there is an array "skip", the result of the first convolution has a skip
    connection too (only with gates); if there is "condition", the features are also added to the result of "head.0";
    both need a weight and a bias. Weights are [outputs, inputs]. The inputs of "gate" have the order [tap, channel],
    the oldest tap first; its outputs, and those of the layer's "condition", are all those before a tanh, then those
    before a sigmoid. For layers without gates, "gate" is the dilated convolution. first: [taps * inputs, channels], the
    first convolution, see `WaveNetWeights`.
    """

    def wide(name: str) -> Array:
        return arrays[name].astype(np.float64)

    def vector(name: str) -> Array:
        return padded(wide(name)[:, None])[:, 0]

    scales = [2 * LOG2_E, -LOG2_E] if form.norms is None else [1.0]
    half, bands = len(arrays["layers.0.gate.bias"]) // len(scales), arrays["layers.0.condition.weight"].shape[1]
    scale, parts = np.repeat(scales, half)[:, None], (half,) * len(scales)
    residual, skip, gate = (count + -count % WIDTH for count in (first.shape[1], len(arrays["head.0.bias"]), half))
    pieces: list[Array] = []
    stacked: list[Array] = []

    def put(matrix: Array) -> int:
        pieces.append(in_blocks(matrix))
        return sum(len(piece) for piece in pieces[:-1])

    def put_layer(matrix: Array) -> int:
        """Add a matrix of a layer; return where it begins, see `convolution.add_products_or_dots`."""
        if not path:
            return put(matrix)
        stacked.append(matrix)
        return sum(-(-len(one) // (ACCUMULATORS * WIDTH)) * ACCUMULATORS for one in stacked[:-1])

    count = len(form.dilations)
    layers, ring = np.zeros((count, 6), np.int64), 0
    gate_bias, gates, out_bias, skip_bias = [], [], np.zeros((count, residual)), np.zeros(skip)
    for i, (dilation, factor) in enumerate(zip(form.dilations, form.skip_factors, strict=True)):
        name, rows = f"layers.{i}", (form.taps - 1) * dilation + 1
        layers[i, 0] = put_layer(padded(scale * wide(f"{name}.gate.weight"), parts, form.taps))
        bias = wide(f"{name}.gate.bias") + arrays.get(f"{name}.condition.bias", np.zeros(1)).astype(np.float64)
        gate_bias.append(padded(scale * bias[:, None], parts))
        gates.append(padded(scale * wide(f"{name}.condition.weight"), parts)[:, :bands])
        if i + 1 < count:
            layers[i, 1] = put_layer(padded(form.residual_factor * wide(f"{name}.out.weight")))
            out_bias[i] = form.residual_factor * vector(f"{name}.out.bias")
        layers[i, 2] = put_layer(padded(factor * wide(f"{name}.skip.weight")))
        skip_bias += factor * vector(f"{name}.skip.bias")
        layers[i, 3:] = ring, rows, dilation
        ring += rows * residual
    head = [put(padded(wide(f"head.{k}.weight"))) for k in range(2)] + [-1]
    if "skip.weight" in arrays:
        head[2] = put(padded(wide("skip.weight")))
        skip_bias += vector("skip.bias")
    if "condition.weight" in arrays:
        gate_bias.append(padded((wide("head.0.bias") + wide("condition.bias"))[:, None]))
        gates.append(padded(wide("condition.weight"))[:, :bands])
    last_bias = np.concatenate((skip_bias, *(vector(f"head.{k}.bias") for k in range(2))))
    more = ((0, 0), (0, residual - first.shape[1]))
    factors, offsets = form.norms or (np.zeros((0, first.shape[1])), np.zeros((0, first.shape[1])))
    weights = WaveNetWeights(
        np.concatenate(pieces), layers,
        np.array([form.taps, residual, gate, skip, len(last_bias) - 2 * skip]),
        np.pad(first, more), vector("first.bias"), np.pad(factors, more).reshape(-1),
        np.pad(offsets, more).reshape(-1), np.array([form.slope]), np.array([form.residual_factor]),
        np.concatenate(gate_bias)[:, 0], out_bias.reshape(-1), last_bias, np.array(head),
    )  # fmt: skip
    return weights, np.concatenate(gates).T, dot_stack(stacked, path) if path else NO_DOTS
