"""Maximum-likelihood parameter generation as a differentiable layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from dspgraph_nodes._kernels.signal.delta import DeltaWindow
from dspgraph_nodes._kernels.signal.mlpg import (
    WindowTerms,
    mean_gradient,
    precisions,
    solve,
    trajectory,
    variance_gradient,
    window_terms,
)


def mlpg(
    means: torch.Tensor,
    variances: torch.Tensor,
    windows: Sequence[DeltaWindow],
    lengths: Sequence[int] | torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the most likely trajectory, differentiable with respect to means and variances.

        y = R**-1 * b,    R = sum_w W_w' * P_w * W_w,    b = sum_w W_w' * P_w * mu_w

    For each window w, W_w is the matrix that applies the window to a trajectory, mu_w the means, and P_w the
    reciprocals of the variances, on a diagonal; ' is the transpose. In the first and the last frames, as many as the
    widest window reaches back or ahead, P_w is 0 for all windows but the first: there the dynamic features do not
    count. means: [T, windows * D], or a padded batch [B, T, windows * D]; variances: any shape that broadcasts to that
    of the means, such as one row [windows * D]; windows: tuples (l, u, c) with l + u + 1 coefficients c, for l frames
    before and u frames after the present one; the first is (0, 0, [1.0]); lengths: the number of frames of each signal,
    0 to T, T by default. Every signal is solved by itself, so that its result is the same, bit for bit, in any batch.
    Padding is not read, and its outputs and gradients are 0. Returns [T, D] or [B, T, D], in the dtype and on the
    device of the means; computed in float64 on the CPU. There are no second derivatives. Raises ValueError for other
    shapes, dtypes, lengths and windows, for variances on another device than the means or outside 1e-100 .. 1e100, and
    if static and dynamic variances differ too much for float64.

    Source: K. Tokuda, T. Yoshimura, T. Masuko, T. Kobayashi and T. Kitamura, Speech Parameter Generation Algorithms for
    HMM-Based Speech Synthesis, ICASSP 2000.
    """
    terms = window_terms(windows)
    if means.ndim not in (2, 3) or not means.is_floating_point() or not variances.is_floating_point():
        raise ValueError(
            "mlpg takes floating-point means [T, D windows] or [B, T, D windows], and variances; found "
            f"{list(means.shape)} in {means.dtype} and {list(variances.shape)} in {variances.dtype}"
        )
    try:
        spread = variances.expand_as(means)
    except RuntimeError:
        raise ValueError(
            f"mlpg takes a variance for every mean; {list(variances.shape)} does not broadcast to {list(means.shape)}"
        ) from None
    if variances.device != means.device:
        raise ValueError(f"mlpg takes means and variances on one device; found {means.device} and {variances.device}")
    terms.dimensions(means, spread)
    y: torch.Tensor = _Mlpg.apply(  # type: ignore[no-untyped-call]  # torch's
        means, spread, terms, _checked(lengths, means)
    )
    return y


def _checked(lengths: Sequence[int] | torch.Tensor | None, means: torch.Tensor) -> list[int]:
    frames = means.shape[-2]
    count = 1 if means.ndim == 2 else len(means)
    if lengths is None:
        return [frames] * count
    found = [int(length) for length in lengths]
    if len(found) != count or not all(0 <= length <= frames for length in found):
        raise ValueError(f"mlpg takes {count} lengths from 0 to {frames}; found {found}")
    return found


def _rows(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor as a float64 array [B, T, columns]; a float64 tensor on the CPU is not copied."""
    rows: NDArray[Any] = tensor.detach().cpu().double().numpy()
    return rows if rows.ndim == 3 else rows[None]


def _padded(rows: list[NDArray[Any]], shape: torch.Size, dimensions: int) -> torch.Tensor:
    """Return the rows of every signal, padded with zeros to T, as a tensor [T, dimensions] or [B, T, dimensions].

    rows: [frames, dimensions] each, float64, as is the result; with a single signal of T frames the result shares its
    memory. shape: that of the means, from which T and the number of axes are taken.
    """
    if len(rows) == 1 and len(rows[0]) == shape[-2]:
        one = torch.from_numpy(rows[0])
        return one if len(shape) == 2 else one[None]
    batch = np.zeros((len(rows), shape[-2], dimensions))
    for b, one_signal in enumerate(rows):
        batch[b, : len(one_signal)] = one_signal
    return torch.from_numpy(batch if len(shape) == 3 else batch[0])


class _Mlpg(torch.autograd.Function):
    """MLPG as an operation of torch with its own gradients; `apply` takes (means, variances, terms, lengths).

    means, variances: [T, windows * D] or [B, T, windows * D]; terms: the result of `window_terms` for the windows;
    lengths: the number of frames of each signal.
    """

    @staticmethod
    def forward(
        ctx: Any, means: torch.Tensor, variances: torch.Tensor, terms: WindowTerms, lengths: list[int]
    ) -> torch.Tensor:
        mu, var = _rows(means), _rows(variances)
        y, solved = [], []
        for b, n in enumerate(lengths):
            p = precisions(var[b, :n], n, terms)
            one, factor = trajectory(mu[b, :n], p, terms)
            y.append(one)
            solved.append((p, factor))
        if any(ctx.needs_input_grad):
            ctx.solved, ctx.terms, ctx.kinds = solved, terms, [(one.device, one.dtype) for one in (means, variances)]
        if ctx.needs_input_grad[1]:
            ctx.save_for_backward(means)
            ctx.y = y  # kept for the gradient; the result below is a copy, which may be changed
        dimensions = means.shape[-1] // terms.count
        return _padded(y, means.shape, dimensions).to(means.device, means.dtype, copy=ctx.needs_input_grad[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        g, terms, shape = _rows(gradient), ctx.terms, gradient.shape
        columns = shape[-1] * terms.count
        to_means = [mean_gradient(solve(factor, g[b, : len(p)]), p, terms) for b, (p, factor) in enumerate(ctx.solved)]
        to_variances = []
        if ctx.needs_input_grad[1]:
            mu = _rows(ctx.saved_tensors[0])
            for b, (p, _) in enumerate(ctx.solved):
                to_variances.append(variance_gradient(to_means[b], mu[b, : len(p)], ctx.y[b], p, terms))
        return (
            _padded(to_means, shape, columns).to(*ctx.kinds[0]) if ctx.needs_input_grad[0] else None,
            _padded(to_variances, shape, columns).to(*ctx.kinds[1]) if ctx.needs_input_grad[1] else None,
            None,
            None,
        )
