"""FARGAN's networks in torch: the frame-rate network, and the sub-frame network, which makes 1 / 4 frame at a time.

Source: J.-M. Valin, A. Mustafa and J. Büthe, Very Low Complexity Speech Synthesis Using Framewise Autoregressive GAN
(FARGAN) with Pitch Prediction, IEEE Signal Processing Letters 31, 2024; the program published with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY, PERIOD_COUNT, SHORTEST_PERIOD
from dspgraph_nodes.models.fargan.config import SUBFRAMES, Config
from dspgraph_nodes.models.fargan.gradients import LEAST_GAIN, LOOP_WEIGHTS, LoopInputs, Subframes

_NOISE = 1 / 127  # width of the range of the uniform noise that training adds to the inputs of layers
_FIRST_GAIN = -3.0  # natural logarithm of the gain with which training begins, about that of speech


class SubframeStates(NamedTuple):
    """The state of the sub-frame network between two sub-frames.

    memory: [batch, 256], the samples before the next sub-frame; in the result of `FARGAN.subframe` the caller has yet
    to bring them up to date. seen: [batch, inputs], the vector u of the last sub-frame, see `FARGAN`. gru1, gru2, gru3:
    [batch, units], the states of the GRUs.
    """

    memory: Tensor
    seen: Tensor
    gru1: Tensor
    gru2: Tensor
    gru3: Tensor


class FARGAN(nn.Module):
    """FARGAN as a torch module: the frame-rate network and the sub-frame network.

    The formulas are for a sub-frame of 40 samples. c is its condition, T its pitch period in samples, s the signal
    before it, l(x) is x limited to -1 .. 1, G x = x * sigmoid(W x) is a gate; each W and b has values of its own; p is
    the "past period", the samples one period earlier and two more on either side, and q the last sub-frame, both
    relative to the gain g; k has four numbers, k[0] to k[3]:

        g = e**(W c + b),    p = l(s[-T-2 .. -T+41] / (g + 1e-5)),    q = l(s[-40 .. -1] / (g + 1e-5))
        f = p[2 .. 41],    u = [c, p, q],    y0 = G tanh(W [u of the sub-frame before, u]),    k = sigmoid(W y0 + b)
        yi = G hi,    hi = GRUi([y(i-1), k[i-1] * f, q])    for i = 1, 2, 3
        z = G tanh(W [y1, y2, y3, y0, k[3] * f, q]),    output = g * tanh(W z)

    If T is shorter than 42, samples of the past period that are not known yet are replaced by those of one period
    before. The signal is pre-emphasised, full scale +-1. In training, uniform noise from -1 / 254 to 1 / 254 is added
    to c, p, q, to every y, to every h in G h (not to the h that the GRU reads next), and to the inner tanh of z.
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
        """Return the conditions of all sub-frames, [batch, 4 * n, condition].

        inputs: [batch, n + 2, bands + 2], as `fargan_inputs.frame_inputs` returns them, for n frames in a row, one
        frame before and one after them; period: [batch, n + 2], whole numbers of samples from 32 to 255.
        """
        x = torch.cat((inputs, self.embed_pitch(period - SHORTEST_PERIOD)), -1)
        x = torch.tanh(self.frame1(x))
        x = torch.tanh(self.frame2(x.mT)).mT
        x = torch.tanh(self.frame3(x))
        return x.reshape(len(x), -1, self.config.condition)

    def start(self, memory: Tensor) -> SubframeStates:
        """Return the state before the first sub-frame: all zeros except `memory`.

        memory: [batch, 256], the past samples.
        """
        c, rows = self.config, len(memory)
        return SubframeStates(memory, *(memory.new_zeros(rows, width) for width in (c.seen, c.gru1, c.gru2, c.gru3)))

    def subframe(
        self, condition: Tensor, places: Tensor, states: SubframeStates, noise: Sequence[Tensor] = ()
    ) -> tuple[Tensor, SubframeStates]:
        """Compute one sub-frame; return its samples [batch, subframe] and the state after it.

        The `memory` of the new state is still that before the sub-frame: the caller moves the samples into it.
        condition: [batch, condition]; places: the result of the function `places`; states: the state before the
        sub-frame; noise: for the sub-frame with index t, row t of each tensor that the method `noise` returns; if
        empty, no noise is added. `forward` computes the same samples with `gradients.Subframes`, which is faster.
        """
        c, memory, size, waiting = condition, states.memory, self.config.subframe, list(noise)

        def noisy(x: Tensor) -> Tensor:
            return x + waiting.pop(0) if waiting else x

        gain = torch.exp(self.gain(c))
        scale = 1 / (LEAST_GAIN + gain)
        scaled = noisy((torch.cat((memory.gather(1, places), memory[:, -size:]), 1) * scale).clamp(-1, 1))
        seen, period, newest = torch.cat((c, scaled), 1), scaled[:, 2 : size + 2], scaled[:, -size:]
        x = torch.tanh(self.first(torch.cat((states.seen, seen), 1)))
        first = noisy(x * torch.sigmoid(self.first_gate(x)))
        gains = torch.sigmoid(self.pitch_gains(first))
        h, outputs, y = [], [], first
        for k in range(3):
            x = torch.cat((y, gains[:, k : k + 1] * period, newest), 1)
            h.append(self._gru(f"gru{k + 1}", x, states[2 + k]))
            a = noisy(h[k])
            y = noisy(a * torch.sigmoid(self.get_submodule(f"gru{k + 1}_gate")(a)))
            outputs.append(y)
        z = noisy(torch.tanh(self.skip(torch.cat((*outputs, first, gains[:, 3:] * period, newest), 1))))
        z = z * torch.sigmoid(self.skip_gate(z))
        return torch.tanh(self.last(z)) * gain, SubframeStates(memory, seen, *h)

    def _gru(self, name: str, x: Tensor, h: Tensor) -> Tensor:
        """Return the next state of a GRU without biases, [batch, units].

        x: [batch, inputs]; h: [batch, units], the state before. name: the name of the GRU, "gru1", "gru2" or "gru3".
        """
        a, b = self.get_submodule(f"{name}_inputs")(x), self.get_submodule(f"{name}_states")(h)
        (ar, az, an), (br, bz, bn) = (torch.chunk(one, 3, 1) for one in (a, b))
        reset, keep = torch.sigmoid(ar + br), torch.sigmoid(az + bz)
        return torch.lerp(torch.tanh(an + reset * bn), h, keep)

    def noise(self, count: int, rows: int, like: Tensor) -> list[Tensor]:
        """Return the noise that training adds inside `count` sub-frames: nine tensors [count, rows, width].

        The numbers lie between -1 / 254 and 1 / 254 and have 256 values, each with the same probability. One tensor is
        for past period and last sub-frame together, one each for y0, h1, y1, h2, y2, h3 and y3, and the last for the
        inner tanh of z; the noise of the conditions is not among them. rows: the number of chunks in the batch. like: a
        tensor with the dtype and device of the result. The numbers are drawn with torch's own generator.
        """
        c = self.config
        widths = [2 * c.subframe + 4, c.first, *(n for n in (c.gru1, c.gru2, c.gru3) for _ in range(2)), c.skip]
        size = count * rows * sum(widths)
        words = torch.empty(-(-size // 8), dtype=torch.int64, device=like.device).random_(-(2**63), None)
        numbers = words.view(torch.int8)[:size].to(like.dtype).add_(0.5).mul_(_NOISE / 256)
        parts = torch.split(numbers, [count * rows * width for width in widths])
        return [part.view(count, rows, width) for part, width in zip(parts, widths, strict=True)]

    def forward(self, inputs: Tensor, period: Tensor, past: Tensor, given: Tensor) -> Tensor:
        """Return the generated samples of n frames, [batch, n * hop]; in training mode, with the noise of training.

        inputs, period: as in `condition`; past: [batch, 256], the samples before the first frame; given: [batch, m],
        the true samples of the first m / subframe sub-frames, m a multiple of `subframe` or 0. Later sub-frames read
        these as their past, in place of the generated samples; the result has the generated samples also there. Under
        autocast, the layers of the sub-frame network are computed in its dtype, all else in the dtype of the weights.
        """
        device = past.device.type
        low = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else past.dtype
        with torch.autocast(device, enabled=False):
            return self._run(inputs, period, past, given, low)

    def _run(self, inputs: Tensor, period: Tensor, past: Tensor, given: Tensor, low: torch.dtype) -> Tensor:
        conditions = self.condition(inputs, period).transpose(0, 1)
        noise: list[Tensor] = []
        if self.training:
            conditions = conditions + _NOISE * (torch.rand_like(conditions) - 0.5)
            noise = self.noise(len(conditions), len(past), torch.empty(0, dtype=low, device=past.device))
        around = torch.stack([places(one, self.config.subframe) for one in period[:, 1:-1].unbind(1)])
        weights = [self.get_parameter(name) for name in LOOP_WEIGHTS]
        gains = torch.exp(self.gain(conditions))
        made: Tensor = Subframes.apply(conditions, gains, LoopInputs(around, past, given, noise), low, *weights)  # type: ignore[no-untyped-call]
        return made


def places(period: Tensor, size: int) -> Tensor:
    """Return the indices in the memory of the samples one period earlier, and of two on either side: [batch, size + 4].

    The memory has the 256 samples before a sub-frame. period: [batch], in samples. size: the number of samples in a
    sub-frame. From an index beyond the end of the memory, whole periods are subtracted until it lies in the memory; an
    index before the start is replaced by 0.
    """
    found = MEMORY - 2 - period[:, None] + torch.arange(size + 4, device=period.device)
    while bool((found >= MEMORY).any()):
        found = torch.where(found >= MEMORY, found - period[:, None], found)
    return found.clamp(min=0)
