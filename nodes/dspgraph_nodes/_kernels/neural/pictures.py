"""Convolutions of one picture with leaky ReLU, as in the generator of a GANSynth.

A picture is an array [channel, row, bin]. In memory it has a border, where convolutions read zeros: one row above and
below, and at least BORDER columns on the left and on the right of the bins. Bins are computed sixteen at a time; those
past the last bin are set to zero again.

Before the leaky ReLU, every number is bias + sum of weight * input. The sum runs over the channels of the input in
order, and for each channel over the places of the filter, row by row. Multiply-adds are fused. So the bits of a picture
depend on nothing but its input and the weights.

If every pixel of a picture is doubled in both directions, a 3 x 3 convolution of the result reads only 2 x 2 different
pixels. `packed_up` adds up the weights of equal pixels, separately for each of the four pixels that a pixel becomes.
This needs 4/9 of the multiplications.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import Code, stage
from dspgraph_nodes._kernels.neural.layout import WIDTH

BORDER = 16  # columns of the border on each side
TILE_CHANNELS = 6  # channels that are computed together: their sums take 12 of the 16 registers of AVX2
UP_CHANNELS = 3  # the same for an enlarging convolution, which computes two bins from each bin of its input

_SLOPE = 0.2  # the slope of the leaky ReLU for numbers below 0
_LEAST_POWER = 1e-8  # added to the mean square of a pixel


class Filters(NamedTuple):
    """The packed weights of a 3 x 3 convolution. The output channels are computed in groups, which are called tiles.

    weights: [tiles, inputs, places, channels of a tile]; there are 9 places (of the filter) in those of `packed_same`,
    16 in those of `packed_up`. bias: [tiles * channels of a tile]. outputs: the number of output channels; those beyond
    it only fill the last tile, with zeros.
    """

    weights: Array  # [tiles, inputs, places, channels of a tile]
    bias: Array  # [tiles * channels of a tile]
    outputs: int  # channels of the result; those past them only fill the last tile


def packed_same(weight: Array, bias: Array) -> Filters:
    """Pack a 3 x 3 convolution that keeps the size of a picture. weight: [outputs, inputs, 3, 3]; bias: [outputs]."""
    outputs, inputs = weight.shape[:2]
    return _packed(weight.reshape(outputs, inputs, 9), bias, TILE_CHANNELS)


def packed_up(weight: Array, bias: Array) -> Filters:
    """Pack a 3 x 3 convolution that is applied after every pixel is doubled in both directions.

    weight: [outputs, inputs, 3, 3]; bias: [outputs]. A pixel becomes four pixels (row, column), each 0 or 1. Pixel row
    0 reads the row above with row 0 of the filter, and its own row with rows 1 and 2, whose weights are therefore
    added up. Pixel row 1 reads its own row with rows 0 and 1, and the row below with row 2. For columns it is the same.
    The packed places have the order [row of the result, row read, column read, column of the result], all 0 or 1.
    """
    outputs, inputs = weight.shape[:2]
    places = np.zeros((outputs, inputs, 2, 2, 2, 2), weight.dtype)
    for row, column in np.ndindex(2, 2):
        for i, j in np.ndindex(3, 3):
            places[:, :, row, _read(i, row), _read(j, column), column] += weight[:, :, i, j]
    return _packed(places.reshape(outputs, inputs, 16), bias, UP_CHANNELS)


def _read(place: int, phase: int) -> int:
    """Return which pixel a place of a filter of width 3 reads, along one axis, if the picture was doubled before.

    The three places are doubled pixels, which come from two pixels of the smaller picture: 0 for the first of these
    two, 1 for the second. place: 0, 1 or 2; phase: 0 if the filter is centred on the first doubled pixel of a pixel, 1
    for the second.
    """
    return (place + 1) // 2 if phase == 0 else place // 2


def _packed(places: Array, bias: Array, tile: int) -> Filters:
    outputs, inputs, count = places.shape
    tiles = -(-outputs // tile)
    weights, biases = np.zeros((tiles * tile, inputs, count), np.float32), np.zeros(tiles * tile, np.float32)
    weights[:outputs], biases[:outputs] = places, bias
    split = weights.reshape(tiles, tile, inputs, count).transpose(0, 2, 3, 1)
    return Filters(np.ascontiguousarray(split), biases, outputs)


def picture(channels: int, rows: int, bins: int) -> Array:
    """Return the memory of a picture with its border, all zeros: [channels, rows + 2, max(bins, 32) + 32] float32."""
    return np.zeros((channels, rows + 2, max(bins, 2 * WIDTH) + 2 * BORDER), np.float32)


def inside(memory: Array, rows: int, bins: int) -> Array:
    """Return a view of the memory of a picture without its border, [channels, rows, bins]."""
    return memory[:, 1 : rows + 1, BORDER : BORDER + bins]


_convolution = stage("x", "weights", "bias", "y", width=WIDTH)


@_convolution
def _same(
    code: Code, own: Any, first_channel: Any, at: Any, to: Any, inputs: Any, x_plane: Any, x_row: Any, y_plane: Any
) -> None:
    """Write vector code that computes sixteen bins of TILE_CHANNELS channels of leaky(3 x 3 convolution + bias) in y.

    A kernel calls the stage with the flat arrays x, weights, bias and y, and then with the numbers from `own` on. own:
    where the weights of the tile begin. first_channel, to: the first channel of the result, and where its first pixel
    is written. at: where the first pixel that is read stands, one row above and one bin before the pixel of the first
    result. inputs: the number of input channels. x_plane, x_row, y_plane: the lengths of a channel of x, a row of x and
    a channel of y.
    """
    sums = _biases(code, first_channel, TILE_CHANNELS)
    with code.loop(inputs) as i:
        first = code.plus(at, code.builder.mul(i, x_plane))
        weights = code.plus(own, code.times(i, 9 * TILE_CHANNELS))
        for row in range(3):
            for column in range(3):
                values = code.load("x", code.plus(code.plus(first, code.times(x_row, row)), column))
                _accumulate(code, sums, values, code.plus(weights, TILE_CHANNELS * (3 * row + column)))
    for o, total in enumerate(sums):
        code.store(_leaky(code, code.builder.load(total)), "y", code.plus(to, code.times(y_plane, o)))


@_convolution
def _up(
    code: Code, own: Any, first_channel: Any, at: Any, to: Any, inputs: Any, x_plane: Any, x_row: Any, y_plane: Any
) -> None:
    """Write vector code that does the work of `_same` for a doubled picture: 32 bins of UP_CHANNELS channels.

    They are computed from sixteen bins of x and their neighbours. The arguments are those of `_same`, but a pixel
    becomes two rows. own: where the weights for the upper or for the lower row begin. at: for the lower row, the place
    is in the row of the pixel, not in the row above.
    """
    one, two = (_biases(code, first_channel, UP_CHANNELS) for _ in range(2))
    with code.loop(inputs) as i:
        first = code.plus(at, code.builder.mul(i, x_plane))
        weights = code.plus(own, code.times(i, 16 * UP_CHANNELS))
        for row in range(2):
            line = code.plus(first, code.times(x_row, row))
            read = [code.load("x", code.plus(line, column)) for column in range(3)]
            for column in range(2):
                place = code.plus(weights, UP_CHANNELS * (4 * row + 2 * column))
                _accumulate(code, one, read[column], place)
                _accumulate(code, two, read[column + 1], code.plus(place, UP_CHANNELS))
    low = [k // 2 + WIDTH * (k % 2) for k in range(WIDTH)]
    high = [WIDTH // 2 + k for k in low]
    for o, (a, b) in enumerate(zip(one, two, strict=True)):
        left, right = (_leaky(code, code.builder.load(total)) for total in (a, b))
        place = code.plus(to, code.times(y_plane, o))
        code.store(code.shuffle(left, right, low), "y", place)
        code.store(code.shuffle(left, right, high), "y", code.plus(place, WIDTH))


def _biases(code: Code, first_channel: Any, channels: int) -> list[Any]:
    """Return a vector variable for each of `channels` channels, from `first_channel` on, set to the channel's bias."""
    return [code.variable(code.broadcast(code.element("bias", code.plus(first_channel, o)))) for o in range(channels)]


def _accumulate(code: Code, sums: list[Any], values: Any, weights: Any) -> None:
    for o, total in enumerate(sums):
        weight = code.broadcast(code.element("weights", code.plus(weights, o)))
        code.builder.store(code.fma(weight, values, code.builder.load(total)), total)


def _leaky(code: Code, x: Any) -> Any:
    return code.maximum(x, code.mul(x, code.constant(_SLOPE)))


def convolved(x: Array, filters: Filters, rows: int, bins: int, y: Array) -> None:
    """Write normalised(leaky(convolution of x + bias)) to y.

    x, y: memory of a picture each, as `picture` returns it; the borders must be zeros. y must have a channel for each
    number in filters.bias. filters: from `packed_same`. leaky is the leaky ReLU; normalised divides each pixel by the
    root of its mean square over the channels (plus 1e-8). rows, bins: the size of both pictures without their borders.
    """
    _convolve(x, filters.weights, filters.bias, rows, bins, filters.outputs, y, False)


def enlarged(x: Array, filters: Filters, rows: int, bins: int, y: Array) -> None:
    """Double every pixel of x in both directions, and apply `convolved` to the result.

    x and y are memory as in `convolved`. filters: from `packed_up`. rows, bins: the size of x, not of y, which has
    twice as many of both. bins: a power of two; with other numbers the result can overwrite a border.
    """
    _convolve(x, filters.weights, filters.bias, rows, bins, filters.outputs, y, True)


@kernel
def _convolve(
    x: Array, weights: Array, bias: Array, rows: int, bins: int, outputs: int, y: Array, up: bool
) -> None:  # fmt: skip
    """Compute `convolved` or, if `up` is true, `enlarged`, with their normalisation over channels.

    rows, bins: the size of the picture x. weights, bias, outputs: the fields of `Filters`.

    The number of channels of y must be at least `outputs`, rounded up to whole tiles.
    """
    flat, numbers, out = x.reshape(-1), weights.reshape(-1), y.reshape(-1)
    tiles, inputs, places, tile = weights.shape
    x_plane, x_row, y_plane, y_row = x.shape[1] * x.shape[2], x.shape[2], y.shape[1] * y.shape[2], y.shape[2]
    times = 2 if up else 1
    for row in range(times * rows):
        for t in range(tiles):
            own = t * inputs * places * tile
            for first in range(0, bins, WIDTH):
                to = t * tile * y_plane + (row + 1) * y_row + BORDER + times * first
                if up:
                    phase = row % 2
                    at = (row // 2 + phase) * x_row + BORDER + first - 1
                    _up(
                        flat,
                        numbers,
                        bias,
                        out,
                        own + 8 * tile * phase,
                        t * tile,
                        at,
                        to,
                        inputs,
                        x_plane,
                        x_row,
                        y_plane,
                    )
                else:
                    at = row * x_row + BORDER + first - 1
                    _same(flat, numbers, bias, out, own, t * tile, at, to, inputs, x_plane, x_row, y_plane)
        _normalise(y, row + 1, outputs, times * bins)


@kernel
def _normalise(y: Array, row: int, outputs: int, bins: int) -> None:
    """Divide the pixels of one row of y by the root of their mean square over the channels.

    Columns past the bins are set to 0.

    y: [channels, rows + 2, columns], changed in place. row: the number of the row in y, where row 0 is the border.
    outputs: the number of channels that count; the others are left as they are. bins: the number of bins in y.
    """
    power = np.zeros(bins, np.float32)
    for o in range(outputs):
        line = y[o, row]
        for k in range(bins):
            power[k] += line[BORDER + k] * line[BORDER + k]
    for k in range(bins):
        power[k] = np.float32(1) / np.sqrt(power[k] / np.float32(outputs) + np.float32(_LEAST_POWER))
    for o in range(outputs):
        line = y[o, row]
        for k in range(bins):
            line[BORDER + k] *= power[k]
        line[BORDER + bins :] = 0
