"""Benchmark of maximum-likelihood parameter generation (MLPG), compared with nnmnkwii."""

import warnings

import numpy as np
import torch

from benchmarks.measure import Row, at_most, faster, milliseconds
from dspgraph_nodes._kernels.signal.delta import DeltaWindow
from dspgraph_nodes._kernels.signal.mlpg import mean_gradient, precisions, solve, trajectory, window_terms
from dspgraph_nodes.models.mlpg import mlpg as layer
from dspgraph_nodes.trajectory.mlpg import mlpg

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    from nnmnkwii.paramgen import mlpg as peer
    from nnmnkwii.paramgen import mlpg_grad as peer_gradient

FRAMES, DIMENSIONS = 500, 60
WINDOWS: list[DeltaWindow] = [(0, 0, [1.0]), (1, 1, [-0.5, 0.0, 0.5]), (1, 1, [1.0, -2.0, 1.0])]


def rows() -> list[Row]:
    """Measure MLPG, and return the rows of the table of results.

    The rows are about the trajectory, about its gradients in torch, and about the time in torch relative to the time of
    the kernels alone. From then on, torch runs in one thread.
    """
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    means = draw.standard_normal((FRAMES, DIMENSIONS * len(WINDOWS)))
    variances = draw.uniform(0.1, 1.1, means.shape)
    g = draw.standard_normal((FRAMES, DIMENSIONS))
    arrays = [(left, right, np.array(c)) for left, right, c in WINDOWS]
    tensors = [torch.from_numpy(array) for array in (means, variances, g)]

    def kernels() -> np.ndarray:
        terms = window_terms(WINDOWS)
        p = precisions(variances, FRAMES, terms)
        _, factor = trajectory(means, p, terms)
        return mean_gradient(solve(factor, g), p, terms)

    def torch_gradients(both: bool) -> tuple[torch.Tensor, ...]:
        inputs = [tensor.detach().requires_grad_() for tensor in tensors[: 1 + both]]
        y = layer(inputs[0], inputs[1] if both else tensors[1], WINDOWS)
        return torch.autograd.grad(y, inputs, tensors[2])

    assert np.abs(mlpg(means, variances, WINDOWS) - peer(means, variances, arrays)).max() <= 1e-14
    gradient = peer_gradient(means, variances, arrays, g)  # float32
    assert np.abs(kernels() - gradient).max() <= 1e-5 * np.abs(gradient).max()
    assert np.array_equal(torch_gradients(False)[0].numpy(), kernels())

    ours, theirs = milliseconds([lambda: mlpg(means, variances, WINDOWS), lambda: peer(means, variances, arrays)], 51)
    direct, through_torch, with_variances = milliseconds(
        [kernels, lambda: torch_gradients(False), lambda: torch_gradients(True)], 51
    )
    # Few repeats, because each takes 0.7 s.
    (backward,) = milliseconds([lambda: peer_gradient(means, variances, arrays, g)], 5)
    what = f"mlpg, {FRAMES} frames of {DIMENSIONS} dimensions, {len(WINDOWS)} windows"
    return [
        faster(f"{what}: nnmnkwii", ours, theirs, 8),
        faster("mlpg and the gradient of the means, torch: nnmnkwii", through_torch, theirs + backward, 1000),
        faster("mlpg and both gradients, torch: nnmnkwii, means only", with_variances, theirs + backward, 800),
        at_most("mlpg and the gradient of the means: torch, beside the bare kernels", through_torch, direct, 1.6),
    ]
