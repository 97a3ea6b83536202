"""Distances between the spectra of signals: the formulas in numpy, the metric `mcd`, and the gradients."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from dspgraph import Array
from dspgraph.evaluation.metrics.cepstral import _cepstra
from dspgraph_nodes._kernels.neural.spectral_distance import distance_of_roots
from dspgraph_nodes.models.shared.spectral_losses import cepstral_loss, spectral_distance, spectral_loss


def test_the_spectral_loss_is_that_of_the_formula() -> None:
    """The loss is computed again with numpy. It is 0 for equal signals, and 1 if the second signal is silent."""
    draw = np.random.default_rng(0)
    true, made = draw.standard_normal((2, 3, 4000))

    def roots(x: Array, n: int) -> Array:
        around = np.pad(x, ((0, 0), (n // 2, n // 2)), "reflect")
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        starts = range(0, around.shape[1] - n + 1, n // 4)
        frames = np.stack([around[:, k : k + n] * window for k in starts], 1)
        return np.sqrt(np.abs(np.fft.rfft(frames)))

    terms = []
    for n in (2560, 1280, 640, 320, 160, 80):
        x, y = roots(true, n), roots(made, n)
        terms.append(np.abs(x - y).sum() / x.sum())
    a, b = torch.from_numpy(true), torch.from_numpy(made)
    assert float(spectral_loss(a, b)) == pytest.approx(np.mean(terms), rel=1e-6)
    assert float(spectral_loss(a, a)) == 0
    assert float(spectral_loss(a, 0 * b)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("samples", [2600, 900])
def test_the_gradient_of_the_spectral_loss_is_its_slope(samples: int) -> None:
    """The gradient is compared with central differences in one direction; the measured relative error is 1e-9.

    The signals of the second case are shorter than half of the longest window.
    """
    draw = torch.Generator().manual_seed(0)
    true, made, way = torch.randn(3, 2, samples, generator=draw, dtype=torch.float64).unbind(0)
    made.requires_grad_()
    torch.autograd.backward(spectral_loss(true, made))
    assert made.grad is not None
    h = 1e-6
    up, down = (float(spectral_loss(true, made.detach() + sign * h * way)) for sign in (1, -1))
    assert float((made.grad * way).sum()) == pytest.approx((up - down) / (2 * h), rel=1e-5)


def test_the_kernel_of_the_spectral_loss_is_its_formula_in_torch() -> None:
    """Kernel and torch give the same distance and gradient, which is 0 at bins of `made` below the least magnitude."""
    draw = torch.Generator().manual_seed(0)
    true, made = torch.randn(2, 50, 33, generator=draw, dtype=torch.complex128).unbind(0)
    made[3, 4:9], true[5, 6] = 1e-9, 0
    distance, gradient = distance_of_roots(true.numpy(), made.numpy())
    expected, of_made = spectral_distance(true, made)
    assert distance == pytest.approx(float(expected), rel=1e-12)
    assert_allclose(gradient, of_made, rtol=1e-12)
    assert not gradient[3, 4:9].any()


def test_the_cepstral_loss_is_the_metric() -> None:
    """The loss is the mean distance of the mel-cepstra of `mcd` in the same frames, without the factor that gives dB.

    Frame t of `mcd` begins at sample 80 t - 200. The loss gets the signal from sample 40 on, so its frame k is frame k
    + 3 of `mcd`. The loss is the same under bfloat16 autocast. A signal of the batch that is 80 dB quieter does not
    count, nor does a difference in level.
    """
    a, b = np.random.default_rng(0).standard_normal((2, 4000))
    (of_a, _), (of_b, _) = (_cepstra(one, Fraction(16000)) for one in (a, b))
    expected = np.sqrt(np.square(of_a - of_b).sum(1))[3:48].mean()
    tensors = [torch.from_numpy(one)[None, 40:] for one in (a, b)]
    assert float(cepstral_loss(*tensors)) == pytest.approx(expected, rel=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(cepstral_loss(*tensors)) == pytest.approx(expected, rel=1e-6)
    quiet = [torch.cat((one, 1e-4 * torch.flip(one, (1,))), 0) for one in tensors]
    assert float(cepstral_loss(*quiet)) == pytest.approx(expected, rel=1e-6), "a quiet signal does not count"
    assert float(cepstral_loss(tensors[0], 7 * tensors[0])) == pytest.approx(0, abs=1e-5), "the level is left out"


def test_the_cepstral_loss_of_silence_has_a_finite_gradient() -> None:
    true, made = torch.zeros(2, 1, 800).unbind()
    torch.autograd.backward(cepstral_loss(true, made.requires_grad_()))
    assert made.grad is not None and torch.isfinite(made.grad).all()
