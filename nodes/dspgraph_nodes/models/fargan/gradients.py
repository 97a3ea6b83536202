"""FARGAN's loop over sub-frames and its backward pass, without autograd.

One call computes `FARGAN.subframe` many times in a row. With autograd, torch would record about a hundred small
operations for every sub-frame, and would add up the gradient of each weight matrix after every use. Here the loop keeps
only the arrays that the backward pass needs, and the gradient of a matrix is one product over all sub-frames and
chunks. Values that depend on the conditions alone, such as the gains, are computed outside the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY

LEAST_GAIN = 1e-5
LOOP_WEIGHTS = (
    "first.weight", "first_gate.weight", "pitch_gains.weight", "pitch_gains.bias", "skip.weight", "skip_gate.weight",
    "last.weight",
    *(f"gru{k}_{part}.weight" for k in (1, 2, 3) for part in ("inputs", "states", "gate")),
)  # fmt: skip
"""The weights that the loop reads, in the order in which it takes them."""


class LoopInputs(NamedTuple):
    """The inputs of `SubframeLoop` besides conditions, gains and weights.

    places: [frames, batch, subframe + 4], see `network.places`. past: [batch, 256], the samples before the first
    sub-frame. true: [batch, m], the true samples of the first m / subframe sub-frames; every later sub-frame reads the
    true samples before it as its past, in place of the generated ones. noise: the noise that training adds, one tensor
    [subframes, batch, width] for each of: past period and last sub-frame together, y0, h1, y1, h2, y2, h3, y3 (names as
    in `network.FARGAN`) and the last hidden layer; or empty.
    """

    places: Tensor
    past: Tensor
    true: Tensor
    noise: Sequence[Tensor]


class SubframeLoop:
    """One run of the loop over sub-frames, and its backward pass. The formulas are those of `network.FARGAN`.

    conditions: [subframes, batch, condition]. gains: [subframes, batch, 1]. given: see `LoopInputs`. weights: name in
    LOOP_WEIGHTS -> weight. low: the dtype of weights, layers and their gradients; the samples and their gradients have
    the dtype of `gains`. Between `forward` and `backward`, the object keeps the values of all layers, with one row for
    each sub-frame.
    """

    def __init__(
        self, conditions: Tensor, gains: Tensor, given: LoopInputs, weights: Mapping[str, Tensor], low: torch.dtype
    ) -> None:
        self.given, self.gains, self.low = given, gains, low
        self.w = {name: one.to(low) for name, one in weights.items()}
        self.count, self.rows, self.condition = conditions.shape
        self.size = len(weights["last.weight"])
        self.scale = 1 / (LEAST_GAIN + gains)
        self.units = [len(weights[f"gru{k}_gate.weight"]) for k in (1, 2, 3)]
        first, seen, size = len(weights["first.weight"]), self.condition + 2 * self.size + 4, self.size
        self.seen = self._array(2 * seen)
        self.seen[0, :, :seen] = 0
        self.seen[:, :, seen : seen + self.condition] = conditions
        self.raw = gains.new_empty(self.count, self.rows, 2 * size + 4)
        self.first, self.open = self._array(first), self._array(first)
        self.pitch = self._array(4)
        before = [first, *self.units[:2]]
        self.inputs = [self._array(width + 2 * size) for width in before]
        self.states = [self._array(n, 1).zero_() for n in self.units]
        self.gates, self.new, self.recurrent, self.heard, self.opened = (
            [self._array(factor * n) for n in self.units] for factor in (2, 1, 1, 1, 1)
        )
        skip = len(weights["skip.weight"])
        self.joined = self._array(sum(self.units) + first + 2 * size)
        self.skip, self.noisy, self.skip_open, self.gated = (self._array(skip) for _ in range(4))
        self.last = self._array(size)
        self.signal = torch.cat((given.past, conditions.new_zeros(self.rows, self.count * size)), 1)
        self.forced = given.true.shape[1] // size

    def _array(self, width: int, more: int = 0) -> Tensor:
        return self.scale.new_empty(self.count + more, self.rows, width, dtype=self.low)

    def _noisy(self, number: int, t: int, x: Tensor, out: Tensor) -> Tensor:
        """Write x plus the noise of a layer at sub-frame t to `out`, and return `out`.

        number: the index of the layer's noise in `LoopInputs.noise`. If that is empty, x alone is written.
        """
        return torch.add(x, self.given.noise[number][t] if self.given.noise else 0, out=out)

    def _gated(self, number: int, t: int, x: Tensor, gate: Tensor, out: Tensor) -> Tensor:
        """Write x * gate plus the noise of a layer to `out`, and return `out`. number, t: as in `_noisy`."""
        if not self.given.noise:
            return torch.mul(x, gate, out=out)
        return torch.addcmul(self.given.noise[number][t], x, gate, out=out)

    def _index(self, t: int) -> Tensor:
        """Return the indices in `signal` of the past period for sub-frame t, [batch, subframe + 4]: see `places`."""
        return self.given.places[t * len(self.given.places) // self.count] + t * self.size

    def forward(self) -> Tensor:
        """Compute all sub-frames; return the generated samples, [batch, subframes * subframe].

        They are returned for the first m / subframe sub-frames too, whose true samples are known.
        """
        w, size, made = self.w, self.size, self.gains.new_empty(self.rows, self.count, self.size)
        width = self.seen.shape[2] // 2
        transposed = {name: one.mT for name, one in w.items() if one.ndim == 2}
        for t in range(self.count):
            now = MEMORY + t * size
            torch.gather(self.signal, 1, self._index(t), out=self.raw[t, :, : size + 4])
            self.raw[t, :, size + 4 :] = self.signal[:, now - size : now]
            seen = self.seen[t, :, width + self.condition :]
            self._noisy(0, t, (self.raw[t] * self.scale[t]).clamp_(-1, 1).to(self.low), seen)
            period, newest = seen[:, 2 : size + 2], seen[:, -size:]
            if t + 1 < self.count:
                self.seen[t + 1, :, :width] = self.seen[t, :, width:]
            torch.mm(self.seen[t], transposed["first.weight"], out=self.first[t]).tanh_()
            torch.mm(self.first[t], transposed["first_gate.weight"], out=self.open[t]).sigmoid_()
            y = self.inputs[0][t, :, : -2 * size]
            self._gated(1, t, self.first[t], self.open[t], y)
            torch.addmm(w["pitch_gains.bias"], y, transposed["pitch_gains.weight"], out=self.pitch[t]).sigmoid_()
            self.joined[t, :, sum(self.units) : -2 * size] = y
            begin = 0
            for k, units in enumerate(self.units):
                self._reach(self.inputs[k][t], self.pitch[t, :, k : k + 1], period, newest)
                h = self._gru(k, t, transposed)
                heard = self._noisy(2 + 2 * k, t, h, self.heard[k][t])
                torch.mm(heard, transposed[f"gru{k + 1}_gate.weight"], out=self.opened[k][t]).sigmoid_()
                y = self._gated(3 + 2 * k, t, heard, self.opened[k][t], self.joined[t, :, begin : begin + units])
                if k < 2:
                    self.inputs[k + 1][t, :, :units] = y
                begin += units
            self._reach(self.joined[t], self.pitch[t, :, 3:], period, newest)
            torch.mm(self.joined[t], transposed["skip.weight"], out=self.skip[t]).tanh_()
            self._noisy(8, t, self.skip[t], self.noisy[t])
            torch.mm(self.noisy[t], transposed["skip_gate.weight"], out=self.skip_open[t]).sigmoid_()
            torch.mul(self.noisy[t], self.skip_open[t], out=self.gated[t])
            torch.mm(self.gated[t], transposed["last.weight"], out=self.last[t]).tanh_()
            torch.mul(self.last[t], self.gains[t], out=made[:, t])
            kept = self.given.true[:, t * size : (t + 1) * size] if t < self.forced else made[:, t]
            self.signal[:, now : now + size] = kept
        return made.view(self.rows, -1)

    def _reach(self, x: Tensor, gain: Tensor, period: Tensor, newest: Tensor) -> None:
        """Write the last 2 * subframe inputs of a layer: the past period times its gain, then the last sub-frame.

        x: [batch, inputs], the array to write into. gain: [batch, 1]. period, newest: [batch, subframe].
        """
        torch.mul(period, gain, out=x[:, -2 * self.size : -self.size])
        x[:, -self.size :] = newest

    def _gru(self, k: int, t: int, transposed: Mapping[str, Tensor]) -> Tensor:
        units, h = self.units[k], self.states[k][t]
        a = self.inputs[k][t] @ transposed[f"gru{k + 1}_inputs.weight"]
        b = h @ transposed[f"gru{k + 1}_states.weight"]
        gates = torch.add(a[:, : 2 * units], b[:, : 2 * units], out=self.gates[k][t]).sigmoid_()
        self.recurrent[k][t] = b[:, 2 * units :]
        reset, keep = gates[:, :units], gates[:, units:]
        new = torch.addcmul(a[:, 2 * units :], reset, b[:, 2 * units :], out=self.new[k][t]).tanh_()
        return torch.lerp(new, h, keep, out=self.states[k][t + 1])

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the gradients with respect to conditions, gains and weights (by name), after a call of `forward`.

        gradient: [batch, subframes * subframe], the gradient with respect to the samples that `forward` returned. The
        gradients of the weights have the dtype `low`, the others that of `gains`.
        """
        w, size, units = self.w, self.size, self.units
        width, past = self.seen.shape[2] // 2, self.seen.shape[2] // 2 - 2 * size - 4
        of_made = gradient.reshape(self.rows, self.count, size)
        of_signal = torch.zeros_like(self.signal)
        of_conditions = self._array(past)
        of_gains = torch.empty_like(self.scale)
        sums = {name: self._array(len(one)) for name, one in w.items() if name.endswith("weight")}
        of_states = [torch.zeros_like(one[0]) for one in self.states]
        of_seen = self._array(width)[0].zero_()
        for t in reversed(range(self.count)):
            now = MEMORY + t * size
            d = of_made[:, t] if t < self.forced else of_made[:, t] + of_signal[:, now : now + size]
            of_gain = (d * self.last[t]).sum(1, keepdim=True)
            d = _through_tanh((d * self.gains[t]).to(self.low), self.last[t], sums["last.weight"][t]) @ w["last.weight"]
            d = self._ungate(d, "skip_gate", self.noisy[t], self.skip_open[t], sums, t)
            joined = _through_tanh(d, self.skip[t], sums["skip.weight"][t]) @ w["skip.weight"]
            seen = self.seen[t, :, width + past :]
            period = seen[:, 2 : size + 2]
            of_period, of_newest = joined[:, -2 * size : -size] * self.pitch[t, :, 3:], joined[:, -size:].clone()
            of_pitch = [(joined[:, -2 * size : -size] * period).sum(1, keepdim=True)]
            begins = [0, units[0], units[0] + units[1]]
            carried: Tensor | None = None
            for k in (2, 1, 0):
                d = joined[:, begins[k] : begins[k] + units[k]]
                d = d if carried is None else d + carried
                d = self._ungate(d, f"gru{k + 1}_gate", self.heard[k][t], self.opened[k][t], sums, t)
                x = self._ungru(k, t, d.add_(of_states[k]), of_states[k], sums)
                reached = x[:, -2 * size : -size]
                of_pitch.append((reached * period).sum(1, keepdim=True))
                of_period.addcmul_(reached, self.pitch[t, :, k : k + 1])
                of_newest.add_(x[:, -size:])
                carried = x[:, : -2 * size]
            assert carried is not None
            k_gain = self.pitch[t]
            of_gains_of_pitch = torch.cat(of_pitch[::-1], 1)
            d = _through_sigmoid(of_gains_of_pitch, k_gain, sums["pitch_gains.weight"][t]) @ w["pitch_gains.weight"]
            d.add_(carried).add_(joined[:, sum(units) : -2 * size])
            d = self._ungate(d, "first_gate", self.first[t], self.open[t], sums, t)
            x = _through_tanh(d, self.first[t], sums["first.weight"][t]) @ w["first.weight"]
            of_seen.add_(x[:, width:])
            of_conditions[t] = of_seen[:, :past]
            d = of_seen[:, past:]
            d[:, 2 : size + 2].add_(of_period)
            d[:, -size:].add_(of_newest)
            inside = (self.raw[t] * self.scale[t]).abs_().le(1)
            d = d.to(self.scale.dtype) * inside
            of_gains[t] = of_gain - (d * self.raw[t]).sum(1, keepdim=True) * self.scale[t].square()
            d.mul_(self.scale[t])
            of_signal.scatter_add_(1, self._index(t), d[:, : size + 4])
            of_signal[:, now - size : now].add_(d[:, size + 4 :])
            of_seen = x[:, :width].clone()
        return of_conditions.to(self.scale.dtype), of_gains, self._of_weights(sums)

    def _ungate(self, d: Tensor, name: str, x: Tensor, opened: Tensor, sums: Mapping[str, Tensor], t: int) -> Tensor:
        """Return the gradient with respect to x of the gate x * sigmoid(W @ x).

        d: the gradient with respect to the result. name: the name of the gate's layer, such as "gru1_gate". opened:
        sigmoid(W @ x). sums: name of a weight -> array; row t of the gate's array gets the gradient with respect to W @
        x. t: the sub-frame.
        """
        inner = _through_sigmoid(d * x, opened, sums[f"{name}.weight"][t])
        return torch.addmm(d * opened, inner, self.w[f"{name}.weight"])

    def _ungru(self, k: int, t: int, d: Tensor, of_state: Tensor, sums: Mapping[str, Tensor]) -> Tensor:
        """Return the gradient with respect to the inputs of a GRU at sub-frame t.

        k: the index of the GRU, 0 for gru1. d: the gradient with respect to its new state. of_state: is overwritten
        with the gradient with respect to its old state. sums: name of a weight -> array; row t of the arrays of the
        GRU's two matrices, for inputs and states, gets the gradient with respect to the product of the matrix.
        """
        units, h, new = self.units[k], self.states[k][t], self.new[k][t]
        reset, keep = self.gates[k][t, :, :units], self.gates[k][t, :, units:]
        inner, outer = sums[f"gru{k + 1}_inputs.weight"][t], sums[f"gru{k + 1}_states.weight"][t]
        of_new = _through_tanh(d * (1 - keep), new, inner[:, 2 * units :])
        torch.mul(of_new, reset, out=outer[:, 2 * units :])
        _through_sigmoid(of_new * self.recurrent[k][t], reset, inner[:, :units])
        _through_sigmoid(d * (h - new), keep, inner[:, units : 2 * units])
        outer[:, : 2 * units] = inner[:, : 2 * units]
        torch.addmm(d * keep, outer, self.w[f"gru{k + 1}_states.weight"], out=of_state)
        return inner @ self.w[f"gru{k + 1}_inputs.weight"]

    def _of_weights(self, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the gradients with respect to the weights, by name.

        sums: name of a weight -> [subframes, batch, outputs], the gradients with respect to the products of this
        matrix.
        """
        read = {
            "first": self.seen, "first_gate": self.first, "pitch_gains": self.inputs[0][..., : -2 * self.size],
            "skip": self.joined, "skip_gate": self.noisy, "last": self.gated,
        }  # fmt: skip
        for k in range(3):
            read |= {
                f"gru{k + 1}_inputs": self.inputs[k], f"gru{k + 1}_states": self.states[k][:-1],
                f"gru{k + 1}_gate": self.heard[k],
            }  # fmt: skip
        found = {
            f"{name}.weight": sums[f"{name}.weight"].flatten(0, 1).mT @ one.flatten(0, 1) for name, one in read.items()
        }
        return {**found, "pitch_gains.bias": sums["pitch_gains.weight"].sum((0, 1))}


def _through_tanh(d: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """Return d * (1 - y**2), written to `out`: the gradient of a loss with respect to x, where y = tanh(x).

    d: the gradient of the loss with respect to y.
    """
    found: Tensor = torch.ops.aten.tanh_backward.grad_input(d, y, grad_input=out)
    return found


def _through_sigmoid(d: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """Return d * y * (1 - y), written to `out`: the gradient of a loss with respect to x, where y = sigmoid(x).

    d: the gradient of the loss with respect to y.
    """
    found: Tensor = torch.ops.aten.sigmoid_backward.grad_input(d, y, grad_input=out)
    return found


class Subframes(Function):
    """The loop as a torch function: (conditions, gains, given, low, *weights) -> samples [batch, subframes * subframe].

    The arguments are those of `SubframeLoop`; the weights are in the order of LOOP_WEIGHTS.
    """

    @staticmethod
    def forward(
        ctx: Any, conditions: Tensor, gains: Tensor, given: LoopInputs, low: torch.dtype, *weights: Tensor
    ) -> Tensor:
        ctx.loop = SubframeLoop(conditions, gains, given, dict(zip(LOOP_WEIGHTS, weights, strict=True)), low)
        made: Tensor = ctx.loop.forward()
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        conditions, gains, weights = ctx.loop.backward(gradients[0])
        return conditions, gains, None, None, *(weights[name].to(gains.dtype) for name in LOOP_WEIGHTS)
