"""FARGAN's networks in torch: the frame-rate network, and the sub-frame network that makes 40 samples at a time.

Source: J.-M. Valin, A. Mustafa and J. Büthe, Very Low Complexity Speech Synthesis Using Framewise Autoregressive GAN
(FARGAN) with Pitch Prediction, IEEE Signal Processing Letters 31, 2024; the program published with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dspgraph_nodes._kernels.neural.fargan_inputs import LONGEST_PERIOD, MEMORY, PERIOD_COUNT, SHORTEST_PERIOD
from dspgraph_nodes.models.fargan.config import SUBFRAMES, Config
from dspgraph_nodes.models.fargan.products import Products

_NOISE = 1 / 127  # range of the uniform noise that training adds to what layers read
_LEAST_GAIN = 1e-5
_FIRST_GAIN = -3.0  # natural logarithm of the gain with which training begins, about that of speech

Noisy = Callable[[Tensor], Tensor]


class SubframeStates(NamedTuple):
    """The state after a sub-frame: past samples [batch, 256], the last inputs, the states of the GRUs."""

    memory: Tensor
    seen: Tensor
    gru1: Tensor
    gru2: Tensor
    gru3: Tensor


class FARGAN(nn.Module):
    """The frame-rate network and the sub-frame network.

    With the condition c of a sub-frame, the period T, the last outputs s, l(x) = x limited to -1 .. 1, and the gate
    G x = x * sigmoid(W x), where every W is a matrix of its own:

        g = e**(W c + b),    p = l(s[-T-2 .. -T+41] / (g + 1e-5)),    q = l(s[-40 .. -1] / (g + 1e-5))
        f = p[2 .. 41],    u = [c, p, q],    y0 = G tanh(W [u of the sub-frame before, u]),    k = sigmoid(W y0 + b)
        yi = G hi,    hi = GRUi([y(i-1), k[i-1] * f, q])    for i = 1, 2, 3
        z = G tanh(W [y1, y2, y3, y0, k[3] * f, q]),    output = g * tanh(W z)

    Where the period is shorter than 42 samples, past samples repeat. The signal is pre-emphasised, full scale +-1. In
    training, uniform noise from -1 / 254 to 1 / 254 is added to c, p, q, to every h and y, and to the inner tanh of z.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        ends = 2 * c.subframe
        self.embed_pitch = nn.Embedding(PERIOD_COUNT, c.pitch_embedding)
        self.frame1 = nn.Linear(c.bands + 2 + c.pitch_embedding, c.frame_units, bias=False)
        self.frame2 = nn.Conv1d(c.frame_units, c.frame_channels, 3, bias=False)
        self.frame3 = nn.Linear(c.frame_channels, SUBFRAMES * c.condition, bias=False)
        self.gain = nn.Linear(c.condition, 1)
        self.first = nn.Linear(2 * c.seen, c.first, bias=False)
        self.first_gate = nn.Linear(c.first, c.first, bias=False)
        self.pitch_gains = nn.Linear(c.first, 4)
        before = c.first
        for k, units in enumerate((c.gru1, c.gru2, c.gru3), 1):
            self.add_module(f"gru{k}_inputs", nn.Linear(before + ends, 3 * units, bias=False))
            self.add_module(f"gru{k}_states", nn.Linear(units, 3 * units, bias=False))
            self.add_module(f"gru{k}_gate", nn.Linear(units, units, bias=False))
            before = units
        self.skip = nn.Linear(c.first + c.gru1 + c.gru2 + c.gru3 + ends, c.skip, bias=False)
        self.skip_gate = nn.Linear(c.skip, c.skip, bias=False)
        self.last = nn.Linear(c.skip, c.subframe, bias=False)
        nn.init.constant_(self.gain.bias, _FIRST_GAIN)
        for name, layer in self.named_modules():
            if name.endswith("_gate"):
                nn.init.orthogonal_(layer.weight)
            elif name.endswith("_states"):
                for part in layer.weight.detach().chunk(3):
                    nn.init.orthogonal_(part)

    def condition(self, inputs: Tensor, period: Tensor) -> Tensor:
        """Return the conditions of sub-frames [batch, 4 * n, condition].

        inputs: [batch, n + 2, bands + 2], as `frame_inputs` returns them, with a frame before and one after; period:
        [batch, n + 2].
        """
        x = torch.cat((inputs, self.embed_pitch(period - SHORTEST_PERIOD)), -1)
        x = torch.tanh(self.frame1(x))
        x = torch.tanh(self.frame2(x.mT)).mT
        x = torch.tanh(self.frame3(x))
        return x.reshape(len(x), -1, self.config.condition)

    def start(self, memory: Tensor) -> SubframeStates:
        """Return the states before a first sub-frame. memory: [batch, 256], past samples."""
        c, rows = self.config, len(memory)
        return SubframeStates(memory, *(memory.new_zeros(rows, width) for width in (c.seen, c.gru1, c.gru2, c.gru3)))

    def subframe(
        self, condition: Tensor, places: Tensor, states: SubframeStates, products: Products
    ) -> tuple[Tensor, SubframeStates]:
        """Return the samples [batch, subframe] of a sub-frame, and the states after it.

        condition: [batch, condition]; places: see `places`; products: the matrix products of this network.
        """
        memory, size, noisy = states.memory, self.config.subframe, self._noise(condition)
        c = noisy(condition)
        gain = torch.exp(self.gain(c))
        scale = 1 / (_LEAST_GAIN + gain)
        scaled = noisy((torch.cat((memory.gather(1, places), memory[:, -size:]), 1) * scale).clamp(-1, 1))
        seen, period, newest = torch.cat((c, scaled), 1), scaled[:, 2 : size + 2], scaled[:, -size:]
        x = torch.tanh(products("first", torch.cat((states.seen, seen), 1)))
        first = noisy(x * torch.sigmoid(products("first_gate", x)))
        gains = torch.split(torch.sigmoid(self.pitch_gains(first)), 1, 1)
        h, outputs, y = [], [], first
        for k in range(3):
            x = torch.cat((y, gains[k] * period, newest), 1)
            h.append(_gru(products, f"gru{k + 1}", x, states[2 + k]))
            a = noisy(h[k])
            y = noisy(a * torch.sigmoid(products(f"gru{k + 1}_gate", a)))
            outputs.append(y)
        x = torch.cat((*outputs, first, gains[3] * period, newest), 1)
        z = noisy(torch.tanh(products("skip", x)))
        z = z * torch.sigmoid(products("skip_gate", z))
        made = torch.tanh(products("last", z)) * gain
        return made, SubframeStates(memory, seen, *h)

    def _noise(self, like: Tensor) -> Noisy:
        """Return a function that adds noise to tensors [batch, n], in training, for the layers of one sub-frame."""
        if not self.training:
            return lambda x: x
        c = self.config
        widths = (c.seen, c.first, 2 * c.gru1, 2 * c.gru2, 2 * c.gru3, c.skip)
        noise = torch.rand(len(like) * sum(widths), dtype=like.dtype, device=like.device).sub_(0.5).mul_(_NOISE)
        used = 0

        def noisy(x: Tensor) -> Tensor:
            nonlocal used
            used += x.numel()
            return x + noise[used - x.numel() : used].view_as(x)

        return noisy

    def forward(self, inputs: Tensor, period: Tensor, past: Tensor, given: Tensor) -> Tensor:
        """Return the samples of n frames [batch, n * hop], where the past of the first sub-frames is given.

        inputs, period: as in `condition`; past: [batch, 256], the samples before the first frame; given: [batch, m],
        true samples of the first m / subframe sub-frames: later sub-frames read them as their past, in place of the
        samples that the network made.
        """
        size, conditions = self.config.subframe, self.condition(inputs, period)
        states, made, products = self.start(past), [], Products(self)
        by_frame = [places(one, size) for one in period[:, 1:-1].unbind(1)]
        for k, condition in enumerate(conditions.unbind(1)):
            samples, states = self.subframe(condition, by_frame[k // SUBFRAMES], states, products)
            made.append(samples)
            true = given[:, k * size : (k + 1) * size]
            kept = true if true.shape[1] else samples
            states = states._replace(memory=torch.cat((states.memory[:, size:], kept), 1))
        return torch.cat(made, 1)


def places(period: Tensor, size: int) -> Tensor:
    """Return the places in the memory of one period of past samples, with two more on either side, [batch, size + 4].

    period: [batch]. A place after the end of the memory is replaced by the place one period earlier, and a place before
    its start by the first place.
    """
    found = MEMORY - 2 - period[:, None] + torch.arange(size + 4, device=period.device)
    while bool((found >= MEMORY).any()):
        found = torch.where(found >= MEMORY, found - period[:, None], found)
    return found.clamp(min=0)


def _gru(products: Products, name: str, x: Tensor, h: Tensor) -> Tensor:
    """Return the next state of a GRU without biases. x: [batch, inputs]; h: [batch, units]."""
    units = h.shape[1]
    a, b = products(f"{name}_inputs", x), products(f"{name}_states", h)
    (of_gates, of_new), (gates, recurrent) = (torch.split(one, [2 * units, units], 1) for one in (a, b))
    reset, keep = torch.sigmoid(of_gates + gates).chunk(2, 1)
    return torch.lerp(torch.tanh(torch.addcmul(of_new, reset, recurrent)), h, keep)


assert LONGEST_PERIOD < MEMORY
