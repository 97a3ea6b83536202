"""WaveRNN in torch, with teacher forcing.

The network has one of two forms, depending on the field `kind` of the configuration. `Stacked` (categorical, mixture)
has two GRUs and three dense layers; `Split` (coarse_fine) has one GRU, whose state is divided into a coarse and a fine
half.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; the program fatchord/WaveRNN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from dspgraph_nodes.models.shared.layers import Read, exact, gru_layer
from dspgraph_nodes.models.shared.modules import Norm, start_level_layers, start_log_scales, stretched
from dspgraph_nodes.models.wavernn.config import Config

States = tuple[Tensor, ...]
"""The states [batch, units] of the GRUs."""


class Residual(nn.Module):
    """A block of the residual network in `Conditions`: x + norm2(W2 @ relu(norm1(W1 @ x))).

    norm1 and norm2 are batch normalisations. x: [batch, channels, frames].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, channels, 1, bias=False)
        self.norm1 = Norm(channels)
        self.conv2 = nn.Conv1d(channels, channels, 1, bias=False)
        self.norm2 = Norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block for x, [batch, channels, frames], in the shape of x."""
        y: Tensor = x + self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return y


class Conditions(nn.Module):
    """The part of WaveRNN that turns frames of features into a row of numbers for every sample.

    The frames are interpolated in steps. Each step repeats every row and smooths the result over time, with the same
    filter for every feature. If `auxiliary` is not 0, a residual network also computes auxiliary numbers from the
    frames, which are the same for all samples of a frame.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        widths = c.widths if c.features else ()
        self.smooth = nn.ModuleList(nn.Conv1d(1, 1, w, padding=w // 2, bias=c.offset) for w in widths)
        for one in self.smooth.parameters():
            nn.init.constant_(one, 1 / one.numel() if one.ndim == 3 else 0)
        if c.auxiliary:
            self.first = nn.Conv1d(c.features, c.compute, 2 * c.pad + 1, bias=False)
            self.norm = Norm(c.compute)
            self.blocks = nn.ModuleList(Residual(c.compute) for _ in range(c.blocks))
            self.last = nn.Conv1d(c.compute, c.auxiliary, 1)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return interpolated frames [batch, samples, features], and auxiliary numbers [batch, samples, auxiliary].

        frames: [batch, n + 2 * context, features]: n frames, as `wavernn_layout.seen` returns them, with `context`
        frames on either side, which are 0 beyond the ends of a signal. The results have n * hop samples.
        """
        c = self.config
        count, edge = frames.shape[1], c.context * c.hop
        x = stretched(frames, c.factors, self.smooth, linear=not c.offset)
        smooth = x[:, edge : x.shape[1] - edge]
        if not c.auxiliary:
            return smooth, smooth[..., :0]
        extra = c.context - c.pad
        x = torch.relu(self.norm(self.first(frames[:, extra : count - extra].mT)))
        for block in self.blocks:
            x = block(x)
        return smooth, self.last(x).mT.repeat_interleave(c.hop, 1)


class Stacked(nn.Module):
    """The form of WaveRNN with two GRUs and three dense layers.

    x = I @ [sample, frame, a1] + b; x += GRU1(x); x += GRU2([x, a2]).

    I is a matrix, b a vector of biases; a1 .. a4 are the quarters of the auxiliary numbers. The first dense layer reads
    [x, a3]; the second reads the result of the first and a4; both end with ReLU. The third gives the parameters of the
    distribution.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        quarter = c.auxiliary // 4
        self.conditions = Conditions(c)
        self.input = nn.Linear(1 + c.features + quarter, c.units)
        self.gru1 = nn.GRU(c.units, c.units, batch_first=True)
        self.gru2 = nn.GRU(c.units + quarter, c.units, batch_first=True)
        self.dense1 = nn.Linear(c.units + quarter, c.dense)
        self.dense2 = nn.Linear(c.dense + quarter, c.dense)
        self.dense3 = nn.Linear(c.dense, c.outputs)
        if c.kind == "mixture":
            start_log_scales(self.dense3)
        else:
            start_level_layers(self.dense3)

    def forward(
        self, frames: Tensor, samples: Tensor, state: States | None = None, read: Read = exact
    ) -> tuple[Tensor, States]:
        """Return the parameters of the distributions, [batch, n, outputs], and the last states of both GRUs.

        frames: [batch, n / hop + 2 * context, features], as in `Conditions`; samples: [batch, n], for each predicted
        sample the true one before it, as `training.inputs` returns it: for a categorical network the code, scaled to -1
        .. 1; state: the states of both GRUs before the first sample, 0 by default; read: applied to the inputs of the
        products that the kernel computes with 8-bit numbers, if the network is in eight bits.
        """
        smooth, auxiliary = self.conditions(frames)
        a1, a2, a3, a4 = auxiliary.chunk(4, -1)
        before = (smooth.new_zeros(len(samples), self.config.units),) * 2 if state is None else state
        x = self.input(torch.cat((samples[..., None], smooth, a1), -1))
        h, one = gru_layer(x, list(self.gru1.parameters()), before[0], read)
        x = x + h
        h, two = gru_layer(torch.cat((read(x), a2), -1), list(self.gru2.parameters()), before[1], read)
        x = torch.relu(self.dense1(torch.cat((read(x + h), a3), -1)))
        x = torch.relu(self.dense2(torch.cat((read(x), a4), -1)))
        return self.dense3(read(x)), (one, two)


class Split(nn.Module):
    """The form of WaveRNN with a divided state, which predicts the coarse half of a sample, then the fine half.

        r, z = sigmoid(W @ x + R @ h + b + b'),    n = tanh(W @ x + b + r * (R @ h + b')),    h = z * h + (1 - z) * n

    Both halves of the state read the whole previous state h. The inputs x are the frame and both halves of the
    previous sample; the fine half of the state also reads the coarse half of the present sample. b' is 0 if the GRU
    has one bias. Each half has a dense layer with ReLU, and a second dense layer that gives the logits.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        half = c.units // 2
        self.conditions = Conditions(c)
        bound = c.units**-0.5
        self.input_coarse = nn.Parameter(torch.empty(3, half, c.features + 2).uniform_(-bound, bound))
        self.input_fine = nn.Parameter(torch.empty(3, half, c.features + 3).uniform_(-bound, bound))
        self.recurrent = nn.Parameter(torch.empty(3 * c.units, c.units).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(3 * c.units).uniform_(-bound, bound))
        if c.biases == "two":
            self.recurrent_bias = nn.Parameter(torch.empty(3 * c.units).uniform_(-bound, bound))
        self.coarse1, self.fine1 = nn.Linear(half, c.dense), nn.Linear(half, c.dense)
        self.coarse2, self.fine2 = nn.Linear(c.dense, c.levels), nn.Linear(c.dense, c.levels)
        start_level_layers(self.coarse2, self.fine2)

    def forward(
        self, frames: Tensor, halves: Tensor, state: States | None = None, read: Read = exact
    ) -> tuple[Tensor, States]:
        """Return the logits [batch, n, 2 * levels], coarse then fine, and the state after the last sample.

        frames: [batch, n / hop + 2 * context, features], as in `Conditions`; not used if the network reads no frames;
        halves: [batch, n, 3], the coarse and fine half of the previous sample and the coarse half of the present one; a
        half c is scaled to c / ((levels - 1) / 2) - 1; state: the state before the first sample, 0 by default; read: as
        in `Stacked`.
        """
        c = self.config
        x = halves
        if c.features:
            x = torch.cat((self.conditions(frames)[0], halves), -1)
        before = x.new_zeros(len(x), c.units) if state is None else state[0]
        inner = torch.cat((pad(self.input_coarse, (0, 1)), self.input_fine), 1).flatten(0, 1)
        recurrent_bias = self.recurrent_bias if c.biases == "two" else torch.zeros_like(self.bias)
        h, last = gru_layer(x, [inner, self.recurrent, self.bias, recurrent_bias], before, read)
        coarse, fine = (read(one) for one in h.chunk(2, -1))
        inside = torch.relu(self.coarse1(coarse)), torch.relu(self.fine1(fine))
        both = self.coarse2(read(inside[0])), self.fine2(read(inside[1]))
        return torch.cat(both, -1), (last,)


WaveRNN = Stacked | Split


def network(config: Config) -> WaveRNN:
    """Return a network with random weights, in the form that belongs to the kind of the configuration."""
    return Split(config) if config.kind == "coarse_fine" else Stacked(config)
