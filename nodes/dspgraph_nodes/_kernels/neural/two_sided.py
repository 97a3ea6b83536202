"""A stack of dilated convolutions that read samples on both sides, for signals that arrive in pieces of any length.

Layer i has a dilation d, and a factor f and an offset o for every channel. With r(x) = max(x, slope * x) it computes

    a[t] = r(f * h_i[t] + o) within the signal, 0 before and after it
    h_(i+1)[t] = h_i[t] + V r(sum_k W_k a[t + (k - 1) d] + b) + c,    k = 0 .. 2

Sixteen neighbouring samples are computed side by side, as the module `convolution` computes sixteen signals: every
number by the same operations in the same order, wherever the sample stands among the sixteen. So a signal has the same
bits in any cut.

Source: the encoder of J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
arXiv:1704.01279.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.matmul import matmul
from dspgraph_nodes._kernels.neural.convolution import add_products
from dspgraph_nodes._kernels.neural.layout import WIDTH

_TAPS = 3

FRAMES_AT_ONCE = 16  # frames that are computed at once: so a long signal takes little memory


class StackMatrices(NamedTuple):
    """The matrices and biases of all layers, packed for the kernel.

    Channels are filled up with zeros to a multiple of sixteen. C is the number of channels between the layers, H the
    number of channels inside a layer. In the formulas of the module, `hidden_biases` are b, `biases` are c, `factors` f
    and `offsets` o.
    """

    weights: Array  # float32: for every layer W, then V, as `convolution.in_blocks` returns them
    hidden_biases: Array  # [layers, H] float32: b of every layer
    biases: Array  # [layers, C] float32: c of every layer
    factors: Array  # [layers, C] float32: f of every layer
    offsets: Array  # [layers, C] float32: o of every layer
    slope: Array  # [1] float32


class PackedEncoder(NamedTuple):
    """The packed weights of an encoder: a first convolution, a stack of layers, and a last product.

    The last product is averaged over each frame.

    A layer adds its result to its input, and the sum is the input of the next layer. sum_of_results: whether the last
    product reads the sum of the results alone, without the input of the first layer. hop: samples per frame.
    """

    first: Array  # [C, taps, levels] float32: the numbers that each tap adds for each level. There are 1 or 3 taps; the
    # middle one reads the sample itself
    first_bias: Array  # [C, 1] float32
    matrices: StackMatrices
    sum_of_results: bool  # whether the last product takes the sum of the results of all layers, h - h_0, instead of h
    dilations: tuple[int, ...]
    last: Array  # [C, width] float64
    last_bias: Array  # [width] float64
    hop: int  # samples in a frame

    @property
    def reach(self) -> int:
        """The number of samples on each side of a frame that the frame depends on."""
        taps: int = self.first.shape[1]
        return taps // 2 + sum(self.dilations)


class _Room(NamedTuple):
    """Buffers for sixteen neighbouring samples.

    state: the numbers of all channels. places: the positions in `state` at which the inputs of the three taps begin.
    """

    state: Array  # [1, 4 * C + H, 16]: the inputs of the taps, the hidden channels, and the result
    places: Array  # [3] int64: where the inputs of the present product begin in `state`


@kernel
def _run_layer(
    net: StackMatrices, room: _Room, layer: int, dilation: int, inside: tuple[int, int], x: Array, y: Array
) -> None:
    """Compute one layer: write its output h_(i+1) to y.

    x: [C, n + 2 * dilation], its input h_i, from `dilation` samples before the first sample of y on; y: [C, n].
    inside: the numbers of the first column of x that is within the signal, and of the first column after the signal.
    """
    channels, count = y.shape
    inner = net.hidden_biases.shape[1]
    state, slope, hidden = room.state[0], net.slope[0], _TAPS * channels
    result, size = hidden + inner, channels * inner
    w = layer * (_TAPS + 1) * size
    for begin in range(0, count, WIDTH):
        lanes = min(WIDTH, count - begin)
        for k in range(_TAPS):
            room.places[k] = k * channels
            for c in range(channels):
                factor, offset = net.factors[layer, c], net.offsets[layer, c]
                for lane in range(lanes):
                    column = begin + k * dilation + lane
                    value = factor * x[c, column] + offset
                    read = max(value, slope * value)
                    state[k * channels + c, lane] = read if inside[0] <= column < inside[1] else np.float32(0)
        for c in range(inner):
            for lane in range(WIDTH):
                state[hidden + c, lane] = net.hidden_biases[layer, c]
        for c in range(channels):
            for lane in range(WIDTH):
                state[result + c, lane] = net.biases[layer, c]
        add_products(net, room, w, _TAPS, channels, hidden, inner // WIDTH)
        for c in range(inner):
            for lane in range(WIDTH):
                state[hidden + c, lane] = max(state[hidden + c, lane], slope * state[hidden + c, lane])
        room.places[0] = hidden
        add_products(net, room, w + _TAPS * size, 1, inner, result, channels // WIDTH)
        for c in range(channels):
            for lane in range(lanes):
                y[c, begin + lane] = x[c, begin + dilation + lane] + state[result + c, lane]


class EncoderState:
    """The state of the encoder for one signal: waiting samples, and inputs that layers will read again.

    network: the encoder; each call of `push` must be given the same one.
    """

    def __init__(self, network: PackedEncoder) -> None:
        channels = len(network.first)
        self.waiting = np.zeros(0, np.float32)
        self.past = [np.zeros((1, network.first.shape[1] // 2), np.float32)]
        self.past += [np.zeros((channels, dilation), np.float32) for dilation in network.dilations]
        self.past += [np.zeros((channels, sum(network.dilations)), np.float32)] if network.sum_of_results else []
        self.before = [one.shape[1] for one in self.past]  # columns of `past` that lie before the signal
        self.received = self.read = self.done = 0  # samples that came, samples that layers have read, frames

    def push(self, network: PackedEncoder, samples: Array, last: bool = False) -> Array:
        """Add samples of the signal; return the frames [n, width] float64 that are now determined.

        samples: [n], the next samples. Each must be exactly a level of the network: (2 * k - m) / m for level k of m.
        last: whether the signal ends after them; zeros then fill its last frame.
        """
        net = network
        self.received += len(samples)
        self.waiting = np.concatenate((self.waiting, samples.astype(np.float32)))
        found = [np.zeros((0, len(net.last_bias)))]
        while (ready := (self.received - net.reach) // net.hop - self.done) > 0:
            found.append(self._frames(net, min(ready, FRAMES_AT_ONCE), False))
        if last and (rest := -(-self.received // net.hop) - self.done) > 0:
            found.append(self._frames(net, rest, True))
        return np.concatenate(found)

    def _frames(self, net: PackedEncoder, count: int, end: bool) -> Array:
        """Compute the next `count` frames, [count, width], from the waiting samples, of which those read are dropped.

        end: whether they are the last of the signal; zeros then stand for samples that are missing.
        """
        self.done += count
        until = self.done * net.hop + (0 if end else net.reach)
        x = self.waiting[: until - self.read]
        self.waiting = self.waiting[len(x) :]
        if end:
            x = np.pad(x, (0, until - self.read - len(x)))
        self.read = until
        taps, count_of_levels = net.first.shape[1:]
        (v,) = self._known(0, x[None], taps // 2, end)
        levels = ((v + 1) * (count_of_levels // 2)).astype(np.int64)
        n = len(v) - taps + 1
        h = net.first_bias
        for k in range(taps):
            h = h + net.first[:, k, levels[k : k + n]]
        first = h
        room = _Room(
            np.zeros((1, (_TAPS + 1) * len(h) + net.matrices.hidden_biases.shape[1], WIDTH), np.float32),
            np.zeros(_TAPS, np.int64),
        )
        for i, dilation in enumerate(net.dilations):
            first_inside = self.before[i + 1]
            x = self._known(i + 1, h, dilation, end)
            h = np.empty((len(h), x.shape[1] - 2 * dilation), np.float32)
            inside = first_inside, x.shape[1] - (dilation if end else 0)
            _run_layer(net.matrices, room, i, dilation, inside, x, h)
        if net.sum_of_results:
            edge = sum(net.dilations)
            x = self._known(-1, first, edge, end)
            h -= x[:, edge : edge + h.shape[1]]
        frames = h.reshape(len(h), count, net.hop).astype(np.float64)
        mean = np.add.accumulate(frames, axis=2)[..., -1] / net.hop
        rows: Array = matmul(mean.T, net.last) + net.last_bias
        return rows

    def _known(self, layer: int, new: Array, dilation: int, end: bool) -> Array:
        """Return the inputs that a layer can read now, [C, m]: those kept from the last call, then `new`, [C, n].

        The last 2 * dilation of them are kept for the next call. layer: the number of the layer, where 0 is the first
        convolution; -1 stands for the stack's input h_0, if the result is a sum over layers. end: whether the signal
        ends; `dilation` zeros are then appended.
        """
        after = [np.zeros((len(new), dilation), np.float32)] if end else []
        x = np.concatenate([self.past[layer], new, *after], axis=1)
        read = max(0, x.shape[1] - 2 * dilation)
        self.past[layer], self.before[layer] = x[:, read:].copy(), max(0, self.before[layer] - read)
        return x
