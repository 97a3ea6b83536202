import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.trajectory.postfilter import Postfilter, postfilter


def melcepstra(count: int, order: int) -> Array:
    """Return random mel-cepstra [count, order + 1] that fall off as those of speech do."""
    c: Array = np.random.default_rng(8).standard_normal((count, order + 1)) / (1 + 0.3 * np.arange(order + 1))
    c[:, 0] -= 5
    return c


EXAMPLES = [
    Example(Postfilter(), mcep=(Frames(200, "mcep", 25), melcepstra(99, 24))),
    Example(Postfilter(alpha=0.0, coef=0.5, n_fft=75), mcep=(Frames(100, "mcep", 2), melcepstra(70, 1))),
]


def energy(c: Array, alpha: float, n_fft: int = 4096) -> Array:
    """Return the energy of the impulse response of each mel-cepstrum, [n], computed from the transfer function.

    c: [n, order + 1], the mel-cepstra.
    """
    z = np.exp(2j * np.pi * np.arange(n_fft) / n_fft)
    log_h = c @ ((1 / z - alpha) / (1 - alpha / z)) ** np.arange(c.shape[1])[:, None]
    mean: Array = (np.abs(np.exp(log_h)) ** 2).mean(axis=1)
    return mean


def test_it_is_merlins() -> None:
    # nnmnkwii 0.1.3: merlin_post_filter(c, 0.42) and (c, 0.58, fftlen=256, minimum_phase_order=127, coef=2.0).
    c = np.array([[-5.0, 1.5, 0.4, -0.3, 0.2], [0.0, -1.0, 0.0, 0.7, -0.2]])
    expected = [[-5.0732828433092525, 1.5, 0.56, -0.42, 0.28], [-0.200553540705137, -1.0, 0.0, 0.98, -0.28]]
    assert_allclose(postfilter(c, 0.42, 1.4, 1024), expected, rtol=0, atol=2e-15)  # a few roundings of numbers up to 5
    expected = [[-5.228445917078177, 1.5, 0.8, -0.6, 0.4], [-0.5292723281124143, -1.0, 0.0, 1.4, -0.4]]
    assert_allclose(postfilter(c, 0.58, 2.0, 256), expected, rtol=0, atol=2e-15)


@pytest.mark.parametrize("coef", [0.0, 0.5, 1.4, 2.0])
@pytest.mark.parametrize("alpha", [0.0, 0.42, 0.77])
def test_it_restores_the_energy(alpha: float, coef: float) -> None:
    c = melcepstra(40, 24)
    # The spectrum is smooth enough for 4096 bins, so that a mean over them is the energy of the response; roundings
    # of exponents up to 40.
    assert_allclose(energy(postfilter(c, alpha, coef, 4096), alpha), energy(c, alpha), rtol=1e-12)


def test_the_energy_of_speech_is_measured_well_enough_by_1024_bins() -> None:
    c = melcepstra(40, 24)
    assert_allclose(energy(postfilter(c, 0.42, 1.4, 1024), 0.42), energy(c, 0.42), rtol=1e-9)


def test_peaks_and_valleys_part_and_the_tilt_stays() -> None:
    c = melcepstra(40, 24)
    found = postfilter(c, 0.42, 1.4, 1024)
    assert_array_equal(found[:, 1], c[:, 1])
    assert_allclose(found[:, 2:], 1.4 * c[:, 2:], rtol=1e-15)


def test_a_coef_of_1_changes_nothing() -> None:
    c = melcepstra(40, 24)
    assert_allclose(postfilter(c, 0.42, 1.0, 1024), c, rtol=0, atol=1e-15)  # c[0] by a rounding
    assert_array_equal(postfilter(c[:, :1], 0.42, 1.4, 1024), c[:, :1])  # a gain alone has no peaks


def test_no_gain_is_too_large_or_too_small() -> None:
    shape = melcepstra(1, 24)
    shape[:, 0] = 0
    for gain in (-1e4, 800.0):
        loud = shape + gain * np.eye(1, 25)
        moved = postfilter(loud, 0.42, 1.4, 1024) - postfilter(shape, 0.42, 1.4, 1024)
        assert_allclose(moved, gain * np.eye(1, 25), rtol=1e-12, atol=1e-15)


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    c = melcepstra(40, 24)
    assert_array_equal(
        np.concatenate([postfilter(row[None], 0.42, 1.4, 1024) for row in c]), postfilter(c, 0.42, 1.4, 1024)
    )


def test_width_rate_and_centre_are_kept() -> None:
    mcep = Frames(rate=200, kind="mcep", width=25, centre="1/200", dtype=np.float32)
    assert Postfilter().streams(mcep) == (mcep,)
    with pytest.raises(ParameterError, match=r"postfilter\.coef is -1"):
        Postfilter(coef=-1)
