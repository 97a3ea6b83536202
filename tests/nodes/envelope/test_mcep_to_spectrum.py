import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.envelope.mcep_to_spectrum import McepToSpectrum, mcep_to_spectrum


def melcepstra(count: int, order: int) -> Array:
    """Return random mel-cepstra [count, order + 1] that fall off as those of speech do."""
    c: Array = np.random.default_rng(5).standard_normal((count, order + 1)) / (1 + 0.3 * np.arange(order + 1))
    c[:, 0] -= 4
    return c


EXAMPLES = [
    Example(McepToSpectrum(), mcep=(Frames(200, "mcep", 25), melcepstra(99, 24))),
    Example(McepToSpectrum(n_fft=75, alpha=-0.3), mcep=(Frames(100, "mcep", 8), melcepstra(70, 7))),
]


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize(
    ("order", "alpha", "n_fft"), [(24, 0.42, 512), (24, 0.42, 1024), (59, 0.77, 4096), (12, 0.0, 64)]
)
def test_it_is_pysptks(order: int, alpha: float, n_fft: int) -> None:
    import pysptk

    c = melcepstra(40, order)
    expected = np.array([pysptk.mc2sp(row, alpha, n_fft) for row in c])
    # Relative: the exponent, up to 40, of 1.1e-16 roundings; pysptk sums a warped cepstrum of n_fft / 2 terms.
    assert_allclose(mcep_to_spectrum(c, n_fft, alpha), expected, rtol=1e-12)


def test_it_is_the_transfer_function_on_the_unit_circle() -> None:
    c = melcepstra(20, 10)
    z = np.exp(2j * np.pi * np.arange(38) / 75)  # an odd length, by the definition alone
    warped = (1 / z - 0.42) / (1 - 0.42 / z)
    expected = np.abs(np.exp(c @ warped ** np.arange(11)[:, None])) ** 2
    assert_allclose(mcep_to_spectrum(c, 75, 0.42), expected, rtol=1e-12)


def test_the_gain_alone_is_flat() -> None:
    assert_allclose(mcep_to_spectrum(np.log([[3.0]]), 8, 0.42), [[9.0] * 5], rtol=1e-15)


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    c = melcepstra(40, 24)
    assert_array_equal(
        np.concatenate([mcep_to_spectrum(row[None], 512, 0.42) for row in c]), mcep_to_spectrum(c, 512, 0.42)
    )


def test_the_bins_rate_and_centre_are_declared() -> None:
    mcep = Frames(rate=200, kind="mcep", width=25, centre="1/200", dtype=np.float32)
    assert McepToSpectrum(n_fft=1024).streams(mcep) == (mcep.like(kind="power", width=513),)
    with pytest.raises(ParameterError, match=r"mcep_to_spectrum\.n_fft is 0; it must be a whole number, at least 1"):
        McepToSpectrum(n_fft=0)


def test_a_power_that_leaves_the_dtype_is_refused() -> None:
    for dtype, most in ((np.float64, 354.8), (np.float32, 44.3)):  # half of ln(finfo.max), 709.78 and 88.72
        mcep_to_spectrum(np.full((1, 1), most, dtype), 8, 0.42)
        with pytest.raises(ValueError, match=f"and {np.dtype(dtype)} holds less than .* of full scale"):
            mcep_to_spectrum(np.full((1, 1), most + 0.2, dtype), 8, 0.42)
