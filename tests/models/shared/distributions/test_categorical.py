"""A categorical distribution: its loss and its draws."""

import numpy as np
import torch

from dspgraph import Array
from dspgraph_nodes._kernels.neural.sampling import draw_class, softmax_buffers
from dspgraph_nodes.models.shared.distributions.categorical import Categorical


def draw_level(row: Array, number: float) -> int:
    """Return the level that the kernel draws from one row of logits, and check its probability.

    row: [levels] float32; number: the random number, from 0 up to, not including, 1.
    """
    buffers = softmax_buffers(np.zeros((1, 0), np.float32), len(row), 1)
    drawn, shares = np.zeros(1), np.ones(1, np.float32)
    draw_class(buffers, row[:, None], len(row), 1.0, np.array([number]), drawn, shares)
    p = np.exp(row.astype(float) - row.max())
    np.testing.assert_allclose(shares[0], p[int(drawn[0])] / p.sum(), rtol=1e-6)
    return int(drawn[0])


def test_the_loss_is_the_negative_logarithm_of_the_softmax() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [5.0, 0.0, -5.0]])
    found = Categorical(3).loss(logits, torch.tensor([2, 1])).numpy()
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    np.testing.assert_allclose(found, -np.log([p[0, 2], p[1, 1]]), rtol=1e-6)
    assert Categorical(3).loss(logits.view(1, 2, 3), torch.tensor([[2, 1]])).shape == (1, 2)


def test_a_level_is_drawn_as_often_as_it_is_probable_and_the_kernel_draws_the_same() -> None:
    draw = np.random.Generator(np.random.Philox(key=0))
    row = (2 * draw.standard_normal(16)).astype(np.float32)
    numbers = draw.random(4000)
    found = Categorical(16).draw(torch.from_numpy(row).expand(4000, -1), torch.from_numpy(numbers)[:, None]).numpy()
    assert [draw_level(row, u) for u in numbers] == found.tolist()
    p = np.exp(row.astype(float)) / np.exp(row.astype(float)).sum()
    assert np.abs(np.bincount(found, minlength=16) / 4000 - p).sum() / 2 < 0.03  # about sqrt(16 / 4000) / 2


def test_the_ends_of_the_numbers_are_the_first_and_the_last_level() -> None:
    row = np.zeros(4, np.float32)
    assert [draw_level(row, u) for u in (0.0, 0.2499, 0.25, 0.999, np.nextafter(1, 0))] == [0, 0, 1, 3, 3]
    row[3] = -200  # improbable: never drawn, even where rounding leaves room
    assert draw_level(row, 0.999999999) == 2
