"""The generator of a GANSynth: it turns latent vectors and pitches into pictures of notes, without torch.

All sums have a fixed order, so the result has the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import exp
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.pictures import (
    TILE_CHANNELS,
    Filters,
    convolved,
    enlarged,
    inside,
    packed_same,
    packed_up,
    picture,
)

_LEAST_POWER = np.float32(1e-8)  # added to the mean square of a vector
_SLOPE = np.float32(0.2)


class PackedGenerator(NamedTuple):
    """The packed weights of a generator: the first convolution, the 3 x 3 convolutions, and the last one.

    start: how many rows and how many bins the picture has after the first convolution.
    """

    first: Array  # [latent + pitches, channels * rows * bins]: the first convolution of block 1, of a single pixel
    first_bias: Array  # [channels]
    start: tuple[int, int]  # rows and bins of block 1
    filters: tuple[Filters, ...]  # the other convolutions, in order
    last: Array  # [channels, 2]: from the last block to magnitude and angle
    last_bias: Array  # [2]


def pack(arrays: Mapping[str, Array]) -> PackedGenerator:
    """Return the packed weights of a generator. arrays: the arrays of a file of weights, by name.

    The weights of each convolution are multiplied by its gain sqrt(2 / n), where n is the number of inputs of one
    output; for the last convolution, which makes the picture, by sqrt(1 / n).
    """

    def scaled(name: str, power: float) -> tuple[Array, Array]:
        weight = arrays[f"{name}.weight"].astype(np.float64)
        return weight * np.sqrt(power / weight[0].size), arrays[f"{name}.bias"]

    blocks = 1 + max(int(name.split(".")[1]) for name in arrays)
    weight, first_bias = scaled("blocks.0.conv0", 2.0)
    inputs, *start = weight.shape[1:]
    # Place (0, 0) of the result reads the single pixel with the last place of the filter: so the filter is turned.
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3).reshape(inputs, -1)
    filters = [packed_same(*scaled("blocks.0.conv1", 2.0))]
    for k in range(1, blocks):
        filters += [packed_up(*scaled(f"blocks.{k}.conv0", 2.0)), packed_same(*scaled(f"blocks.{k}.conv1", 2.0))]
    last, last_bias = scaled(f"blocks.{blocks - 1}.picture", 1.0)
    return PackedGenerator(
        np.ascontiguousarray(turned, np.float32), first_bias, (start[0], start[1]), tuple(filters),
        np.ascontiguousarray(last[:, :, 0, 0].T, np.float32), last_bias,
    )  # fmt: skip


def generate(network: PackedGenerator, latent: Array, pitch: int) -> Array:
    """Return the picture of a note, [2, rows, bins]: its log magnitudes and its angles, normalised to -1 .. 1.

    The result is float32. latent: [latent], the latent vector, which may be all zeros; pitch: in semitones above the
    lowest pitch of the network; its range is not checked.
    """
    rows, bins = network.start
    vector = np.zeros((1, len(network.first)), np.float32)
    vector[0, : len(latent)] = latent
    vector[0, len(latent) + pitch] = 1
    x = picture(-(-len(network.first_bias) // TILE_CHANNELS) * TILE_CHANNELS, rows, bins)
    inside(x, rows, bins)[: len(network.first_bias)] = _first(network, vector)
    for k, filters in enumerate(network.filters):
        up = k % 2
        y = picture(len(filters.bias), rows << up, bins << up)
        (enlarged if up else convolved)(x, filters, rows, bins, y)
        rows, bins, x = rows << up, bins << up, y
    pixels = inside(x, rows, bins)[: len(network.last)].reshape(len(network.last), -1)
    # tanh(v) = 1 - 2 / (1 + e**(2 * v))
    found = 1 - 2 / (1 + exp(2.0 * (matmul(network.last.T, pixels) + network.last_bias[:, None])))
    return found.astype(np.float32).reshape(2, rows, bins)


def _first(network: PackedGenerator, vector: Array) -> Array:
    """Return the picture after the first convolution, its leaky ReLU and normalisation: [channels, rows, bins].

    vector: [1, latent + pitches], the latent vector and the pitch as a one-hot vector; it is normalised first. Each
    normalisation divides a vector, or a pixel, by its root mean square.
    """
    channels = len(network.first_bias)
    vector = vector / np.sqrt(_mean_square(vector.T))
    x = matmul(vector, network.first).reshape(channels, -1) + network.first_bias[:, None]
    x = np.maximum(x, _SLOPE * x)
    pixels: Array = x / np.sqrt(_mean_square(x))
    return pixels.reshape(channels, *network.start)


def _mean_square(x: Array) -> Array:
    """Return the mean of x**2 over the first axis, summed in order, plus 1e-8. The shape is that of x[0]."""
    total: Array = np.add.accumulate(x * x, axis=0)[-1]
    return total / np.float32(len(x)) + _LEAST_POWER
