"""A stack of dilated convolutions that read samples on both sides, for signals that arrive in pieces of any length.

Layer i computes, with its dilation d and zeros before and after the signal,

    h_(i+1)[t] = h_i[t] + V relu(sum_k W_k relu(h_i[t + (k - 1) d]) + b) + c,    k = 0 .. 2

Sixteen neighbouring samples are computed side by side, as `convolution` computes sixteen signals: every number by the
same operations in the same order, wherever the sample stands among the sixteen. So a signal has the same bits in any
cut.

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
    """The matrices and biases of all layers. Channels are filled up with zeros to a multiple of sixteen, C."""

    weights: Array  # float32: for every layer W, then V, as `in_blocks` returns them
    biases: Array  # [2 * layers, C] float32: b, then c, of every layer


class PackedEncoder(NamedTuple):
    """An encoder: a first convolution of the signal, the layers, and the mean of a last product over every frame."""

    first: Array  # [C, 3] float32
    first_bias: Array  # [C, 1] float32
    matrices: StackMatrices
    dilations: tuple[int, ...]
    last: Array  # [C, width] float64
    last_bias: Array  # [width] float64
    hop: int  # samples in a frame

    @property
    def reach(self) -> int:
        """Number of samples before and after a frame on which it depends."""
        return 1 + sum(self.dilations)


class _Room(NamedTuple):
    """The memory for sixteen samples."""

    state: Array  # [1, 5 * C, 16]: what the taps read, the hidden channels, and the result
    places: Array  # [3] int64: where the inputs of the present product begin in `state`


@kernel
def _run_layer(net: StackMatrices, room: _Room, layer: int, dilation: int, x: Array, y: Array) -> None:
    """Compute one layer. x: [C, n + 2 * dilation], from `dilation` samples before the first one of y on; y: [C, n]."""
    channels, count = y.shape
    state, blocks = room.state[0], channels // WIDTH
    hidden, result = _TAPS * channels, (_TAPS + 1) * channels
    w = layer * (_TAPS + 1) * channels * channels
    for begin in range(0, count, WIDTH):
        lanes = min(WIDTH, count - begin)
        for k in range(_TAPS):
            room.places[k] = k * channels
            for c in range(channels):
                for lane in range(lanes):
                    value = x[c, begin + k * dilation + lane]
                    state[k * channels + c, lane] = max(value, np.float32(0))
        for c in range(channels):
            for lane in range(WIDTH):
                state[hidden + c, lane] = net.biases[2 * layer, c]
                state[result + c, lane] = net.biases[2 * layer + 1, c]
        add_products(net, room, w, _TAPS, channels, hidden, blocks)
        for c in range(channels):
            for lane in range(WIDTH):
                state[hidden + c, lane] = max(state[hidden + c, lane], np.float32(0))
        room.places[0] = hidden
        add_products(net, room, w + _TAPS * channels * channels, 1, channels, result, blocks)
        for c in range(channels):
            for lane in range(lanes):
                y[c, begin + lane] = x[c, begin + dilation + lane] + state[result + c, lane]


class EncoderState:
    """The state of one signal: the samples that wait for those after them, and the inputs that layers read again."""

    def __init__(self, network: PackedEncoder) -> None:
        channels = len(network.first)
        self.waiting = np.zeros(0, np.float32)
        self.past = [np.zeros((1, 1), np.float32)]
        self.past += [np.zeros((channels, dilation), np.float32) for dilation in network.dilations]
        self.received = self.read = self.done = 0  # samples that came, samples that layers have read, frames

    def push(self, network: PackedEncoder, samples: Array, last: bool = False) -> Array:
        """Return the frames [n, width] float64 that are now determined, and read as few samples as they need.

        samples: [n], the next ones, as the first convolution reads them. last: whether the signal ends after them; then
        zeros fill its last frame.
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
        """Return the next `count` frames. end: whether they are the last of the signal."""
        self.done += count
        until = self.done * net.hop + (0 if end else net.reach)
        x = self.waiting[: until - self.read]
        self.waiting = self.waiting[len(x) :]
        if end:
            x = np.pad(x, (0, until - self.read - len(x)))
        self.read = until
        (v,) = self._known(0, x[None], 1, end)
        n = len(v) - 2
        h = net.first_bias + net.first[:, :1] * v[:n]
        for k in range(1, _TAPS):
            h += net.first[:, k : k + 1] * v[k : k + n]
        room = _Room(np.zeros((1, (_TAPS + 2) * len(h), WIDTH), np.float32), np.zeros(_TAPS, np.int64))
        for i, dilation in enumerate(net.dilations):
            x = self._known(i + 1, h, dilation, end)
            h = np.empty((len(h), x.shape[1] - 2 * dilation), np.float32)
            _run_layer(net.matrices, room, i, dilation, x, h)
        frames = h.reshape(len(h), count, net.hop).astype(np.float64)
        mean = np.add.accumulate(frames, axis=2)[..., -1] / net.hop
        rows: Array = matmul(mean.T, net.last) + net.last_bias
        return rows

    def _known(self, layer: int, new: Array, dilation: int, end: bool) -> Array:
        """Return the inputs that a layer reads now, and keep those that it will read again: the last 2 * dilation."""
        after = [np.zeros((len(new), dilation), np.float32)] if end else []
        x = np.concatenate([self.past[layer], new, *after], axis=1)
        self.past[layer] = x[:, max(0, x.shape[1] - 2 * dilation) :].copy()
        return x
