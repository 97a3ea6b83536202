"""LPCNet's sample-rate network with its own backward pass, which is faster on a CPU than torch's modules.

Outputs and gradients are those of `LPCNet.forward`, except for rounding. Three things save time:

* The input matrix of GRU_A is multiplied once with each of the 256 rows of the embedding, and once with the condition
  of each frame. The input of GRU_A for a sample, of which a batch has thousands, is then a sum of four rows of these
  products.
* The GRUs are those of `shared.layers`, whose gradients are computed in fewer passes over memory.
* tanh x = 2 * sigmoid(2 * x) - 1: for arrays as large as those of DualFC, torch's sigmoid is several times faster than
  its tanh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag, linear

from dspgraph_nodes._kernels.neural import gradients
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.shared.layers import gru, gru_input, gru_recurrent, rounded_state

GruStates = tuple[Tensor, Tensor]
"""The states [1, batch, units] of GRU_A and GRU_B."""


def forward(
    model: LPCNet, f: Tensor, codes: Tensor, state: GruStates | None = None, eight_bits: bool = False
) -> tuple[Tensor, GruStates]:
    """Return logits [batch, samples, 256], and the states of the GRUs after the last sample.

    These are the first and the last result of `LPCNet.forward`. f: [batch, frames, condition], each row for samples /
    frames samples, a whole number; codes: [batch, samples, 3], whole numbers 0..255 (not checked); state: the states
    before the first sample, 0 by default; eight_bits: whether the products read states in eight bits, as in the node
    with the precision int8; weights in eight bits are up to the caller, see `with_rounded_weights`. All tensors are on
    the CPU, and f and the weights have one dtype.
    """
    config, batch = model.config, len(codes)
    f = f.transpose(0, 1)  # time first, from here on
    a, b = (
        (state[0][0], state[1][0]) if state is not None
        else (f.new_zeros(batch, config.gru_a), f.new_zeros(batch, config.gru_b))
    )  # fmt: skip
    h_a = gru(_input_a(model, f, codes.transpose(0, 1)), *gru_recurrent(model.gru_a), a, eight_bits)

    weight, bias = gru_input(model.gru_b)
    x = linear(_read(h_a, eight_bits), weight[:, : config.gru_a]).view(len(f), -1, batch, len(weight))
    x = x + linear(f, weight[:, config.gru_a :], bias)[:, None]
    h_b = gru(x.flatten(0, 1), *gru_recurrent(model.gru_b), b, eight_bits)

    full = model.dual_fc
    twice = linear(_read(h_b, eight_bits).transpose(0, 1), 2 * full.kernel.flatten(0, 1), 2 * full.bias.flatten())
    return dual_fc(twice, full.factor), (h_a[-1:], h_b[-1:])


def _read(h: Tensor, eight_bits: bool) -> Tensor:
    """Return the states h, rounded as in `rounded_state` if `eight_bits` is true, else unchanged.

    The gradient is that without rounding (straight through).
    """
    return h + (rounded_state(h) - h).detach() if eight_bits else h


def _input_a(model: LPCNet, f: Tensor, codes: Tensor) -> Tensor:
    """Return GRU_A's inputs times its input weights, plus the biases that `gru_input` returns.

    The result is [samples, batch, 3 * units]. f: [frames, batch, condition], the conditions, each for samples / frames
    samples; codes: [samples, batch, 3], int64, the mu-law codes that the network reads for each sample.
    """
    weight, bias = gru_input(model.gru_a)
    samples, batch, inputs = codes.shape
    width = inputs * model.config.embedding
    tables = torch.einsum("le,gke->klg", model.embed.weight, weight[:, :width].view(len(weight), inputs, -1))
    rows = torch.cat((tables.flatten(0, 1), linear(f, weight[:, width:], bias).flatten(0, 1)))
    of_codes = codes + LEVELS * torch.arange(inputs)
    of_frames = LEVELS * inputs + torch.arange(len(f) * batch).view(-1, batch, 1)
    indices = torch.cat((of_codes, of_frames.repeat_interleave(samples // len(f), 0)), -1)
    return embedding_bag(indices.flatten(0, 1), rows, mode="sum").view(samples, batch, -1)


class _DualFC(Function):
    """The last step of DualFC as a torch function: y = factor[0] * tanh(a[0]) + factor[1] * tanh(a[1]).

    `apply` takes (twice, factor) and returns y, [..., levels]. twice: [..., 2 * levels], 2 * a[0] followed by 2 * a[1]
    on the last axis; factor: [2, levels].
    """

    @staticmethod
    def forward(ctx: Any, twice: Tensor, factor: Tensor) -> Tensor:
        half = torch.sigmoid(twice).contiguous()
        one, two = half.chunk(2, -1)
        ctx.save_for_backward(half, factor)
        return torch.addcmul(torch.addcmul(-factor.sum(0), one, 2 * factor[0]), two, 2 * factor[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        half, factor = ctx.saved_tensors
        of_twice, of_factor = torch.empty_like(half), torch.zeros_like(factor)
        levels = factor.shape[-1]
        gradients.dual_fc(
            grads[0].reshape(-1, levels).contiguous().numpy(),
            half.view(-1, 2 * levels).numpy(),
            factor.detach().numpy(),
            of_twice.view(-1, 2 * levels).numpy(),
            of_factor.numpy(),
        )
        return of_twice, of_factor


dual_fc: Callable[..., Tensor] = _DualFC.apply
