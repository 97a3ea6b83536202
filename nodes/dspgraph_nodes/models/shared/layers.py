"""Layers of networks with backward passes of their own, which are faster on a CPU than torch's modules.

Outputs and gradients are those of torch, except for rounding. The gradients of the gates of a step are computed in one
pass over memory, and the gradient of a recurrent matrix is one product for all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from dspgraph_nodes._kernels.neural import gradients
from dspgraph_nodes._kernels.neural.quantisation import LEAST_LARGEST


def gru_input(layer: torch.nn.GRU) -> tuple[Tensor, Tensor]:
    """Return the input matrix of a torch GRU, [3 * units, inputs], and the biases to add to its products, [3 * units].

    The biases are the input bias plus the recurrent bias for the gates r and z, and the input bias alone for the
    candidate n.
    """
    weight, _, input_bias, recurrent_bias = layer.parameters()
    return weight, _summed(input_bias, recurrent_bias)


def _summed(bias: Tensor, recurrent_bias: Tensor) -> Tensor:
    gates = 2 * (len(bias) // 3)
    return bias + torch.cat((recurrent_bias[:gates], torch.zeros_like(recurrent_bias[gates:])))


def gru_recurrent(layer: torch.nn.GRU) -> tuple[Tensor, Tensor]:
    """Return the recurrent matrix of a torch GRU, [3 * units, units], and the recurrent bias of candidate n, [units].

    The reset gate scales the products of the candidate only after this bias has been added to them.
    """
    _, recurrent, _, recurrent_bias = layer.parameters()
    return recurrent, recurrent_bias[2 * layer.hidden_size :]


def rounded_state(h: Tensor) -> Tensor:
    """Return round(127 * h) / 127, halves to even: the states h of a GRU for products with matrices in eight bits.

    The states lie between -1 and 1. The gradient is that of torch's rounding, 0.
    """
    return torch.round(127 * h) / 127


class _GRU(Function):
    """A GRU as an operation of torch with its own gradients.

    `apply` takes x, the recurrent matrix, the bias, the state before the first sample, and eight_bits, in this order;
    it returns the outputs h [samples, batch, units]. x: [samples, batch, 3 * units], the products of the inputs with
    the input matrix, plus all biases except the recurrent bias of the candidate n, which is `bias`. eight_bits: see
    `gru`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, recurrent: Tensor, bias: Tensor, state: Tensor, eight_bits: bool = False
    ) -> Tensor:
        samples, batch, units = *x.shape[:2], len(bias)
        gates, inner = x.new_empty(samples, batch, 2 * units), x.new_empty(samples, batch, units)
        candidate, h = torch.empty_like(inner), x.new_empty(samples + 1, batch, units)
        h[0] = state
        of_gates, of_candidate = recurrent[: 2 * units].t(), recurrent[2 * units :].t()
        read = torch.empty_like(inner) if eight_bits else h[:-1]  # the states that the products read
        diagonal = recurrent.view(3, units, units).diagonal(dim1=1, dim2=2).flatten()
        for row, gate, g, n, last, new, seen in zip(x, gates, inner, candidate, h[:-1], h[1:], read, strict=True):
            if eight_bits:
                seen.copy_(rounded_state(last))
                rest = (last - seen).repeat(1, 3) * diagonal  # the diagonals are multiplied with the states as they are
                torch.addmm(row[:, : 2 * units] + rest[:, : 2 * units], seen, of_gates, out=gate).sigmoid_()
                torch.addmm(bias + rest[:, 2 * units :], seen, of_candidate, out=g)
            else:
                torch.addmm(row[:, : 2 * units], last, of_gates, out=gate).sigmoid_()
                torch.addmm(bias, last, of_candidate, out=g)
            torch.addcmul(row[:, 2 * units :], gate[:, :units], g, out=n).tanh_()
            torch.lerp(n, last, gate[:, units:], out=new)
        ctx.save_for_backward(gates, inner, candidate, h, recurrent, read)
        ctx.eight_bits = eight_bits
        return h[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gates, inner, candidate, h, recurrent, read = ctx.saved_tensors
        samples, batch, units = inner.shape
        of_recurrent, of_candidate = gates.new_empty(samples, batch, 3 * units), torch.empty_like(inner)
        of_state = torch.zeros_like(h[0])
        split_gates = gates.view(samples, batch, 2, units)
        of_parts = of_recurrent.view(samples, batch, 3, units)
        for t in range(samples - 1, -1, -1):
            of_state += grads[0][t]
            gradients.gru_step(
                of_state.numpy(), split_gates[t].numpy(), candidate[t].numpy(), inner[t].numpy(), h[t].numpy(),
                of_parts[t].numpy(), of_candidate[t].numpy(),
            )  # fmt: skip
            of_state.addmm_(of_recurrent[t], recurrent)
        rows = of_recurrent.flatten(0, 1)
        of_matrix, of_bias = rows.t() @ read.flatten(0, 1), rows[:, 2 * units :].sum(0)
        if ctx.eight_bits:
            rest = (h[:-1] - read).flatten(0, 1).repeat(1, 3)  # which only the diagonals are multiplied with
            of_matrix.view(3, units, units).diagonal(dim1=1, dim2=2).add_((rows * rest).sum(0).view(3, units))
        of_recurrent[..., 2 * units :] = of_candidate
        return of_recurrent, of_matrix, of_bias, of_state, None


gru: Callable[..., Tensor] = _GRU.apply
"""The function (x, recurrent, bias, state, eight_bits=False) -> h of a GRU, see `gru_input` and `gru_recurrent`.

x: [samples, batch, 3 * units], inputs times the input matrix, plus the biases; recurrent, bias: as `gru_recurrent`
returns them; state: [batch, units], before the first sample. h: [samples, batch, units]. With `eight_bits` the products
read `rounded_state(h)`, except for the diagonals of the recurrent matrix; the backward pass treats the rounding as the
identity. The backward pass is for tensors on a CPU only.
"""


Read = Callable[[Tensor], Tensor]
"""A function that is applied to the inputs [..., n] of a product, such as `rounded_inputs`."""


def exact(x: Tensor) -> Tensor:
    """Return x: the function `Read` of products without rounding."""
    return x


def rounded_inputs(x: Tensor) -> Tensor:
    """Return x [..., n] as the kernels with matrices of 8-bit numbers read it: m / 127 * round(127 * x / m).

    m is the largest |x| along the last axis, at least 2**-100; halves are rounded to even. See
    `_kernels.neural.eight_bits`.
    """
    largest = x.abs().amax(-1, keepdim=True).clamp(min=LEAST_LARGEST)
    return torch.round(127 * (x * (1 / largest))) * (largest * (1 / 127))


def _gru_with_reading(x: Tensor, weights: list[Tensor], state: Tensor, read: Read) -> tuple[Tensor, Tensor]:
    """Do the work of `gru_layer`, one sample after the other, where the products read `read(h)` in place of states h.

    The diagonals of the recurrent matrix are multiplied with h itself.
    """
    inner, recurrent, bias, recurrent_bias = weights
    h, found, units = state, [], state.shape[1]
    diagonal = recurrent.view(3, units, units).diagonal(dim1=1, dim2=2).flatten()
    for row in linear(x, inner, bias).unbind(1):
        seen = read(h)
        own = linear(seen, recurrent, recurrent_bias) + (h - seen).repeat(1, 3) * diagonal
        r, z = torch.sigmoid(row[:, : 2 * units] + own[:, : 2 * units]).chunk(2, 1)
        h = torch.lerp(torch.tanh(row[:, 2 * units :] + r * own[:, 2 * units :]), h, z)
        found.append(h)
    return torch.stack(found, 1), h


def gru_layer(x: Tensor, weights: list[Tensor], state: Tensor, read: Read = exact) -> tuple[Tensor, Tensor]:
    """Return the outputs [batch, samples, units] of a GRU, and its last state [batch, units].

    x: [batch, samples, inputs]; weights: input matrix, recurrent matrix, input bias and recurrent bias, as those of
    torch.nn.GRU with one layer; state: [batch, units], before the first sample; read: applied to the states before
    they are multiplied with the recurrent matrix, except for its diagonals; slow if it is not `exact`. If it is
    `exact`, on a CPU, with gradients enabled and without autocast, `gru` computes the outputs; otherwise torch does.
    """
    if read is not exact:
        return _gru_with_reading(x, weights, state, read)
    inner, recurrent, bias, recurrent_bias = weights
    if x.device.type == "cpu" and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu"):
        h = gru(
            linear(x.transpose(0, 1), inner, _summed(bias, recurrent_bias)), recurrent,
            recurrent_bias[2 * state.shape[1] :], state,
        )  # fmt: skip
        return h.transpose(0, 1), h[-1]
    outputs, last = torch.gru(x, state[None], weights, True, 1, 0.0, False, False, True)
    return outputs, last[0]
