import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import get_window

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.freqt import mel_cosines
from dspgraph_nodes.envelope.spectrum_to_mcep import SpectrumToMcep, spectrum_to_mcep
from helpers.speech import speech


def melcepstra(count: int, order: int) -> Array:
    """Return random mel-cepstra [count, order + 1] that fall off as those of speech do."""
    c: Array = np.random.default_rng(6).standard_normal((count, order + 1)) / (1 + 0.3 * np.arange(order + 1))
    return c


def periodograms(n_fft: int = 512, hop: int = 400) -> Array:
    frames = np.lib.stride_tricks.sliding_window_view(speech(), n_fft)[::hop]
    spectra = np.fft.rfft(frames * get_window("hann", n_fft), axis=1)
    power: Array = spectra.real**2 + spectra.imag**2
    return power


SILENT = periodograms(64)[:80]
SILENT[10:20] = 0

EXAMPLES = [
    Example(SpectrumToMcep(), power=(Frames(200, "power", 257), periodograms()[:99])),
    Example(SpectrumToMcep(order=32, alpha=-0.2), power=(Frames(100, "power", 33), SILENT)),
]


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize(("order", "alpha"), [(24, 0.42), (40, 0.35), (12, 0.0)])
def test_it_is_pysptks(order: int, alpha: float) -> None:
    import pysptk

    power = periodograms()
    expected = np.array([pysptk.sp2mc(row, order, alpha) for row in power])
    # pysptk warps the mirrored half of the cepstrum too: what lies 256 samples back reaches no order of 40 or less.
    assert_allclose(spectrum_to_mcep(power, order, alpha), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("order", "alpha", "n_fft"), [(24, 0.42, 512), (24, -0.42, 512), (59, 0.77, 4096), (32, 0.0, 64)]
)
def test_it_undoes_the_spectrum_of_a_mel_cepstrum(order: int, alpha: float, n_fft: int) -> None:
    c = melcepstra(30, order)
    power = np.exp(2 * c @ mel_cosines(n_fft, order, alpha))
    # alpha = 0 and order = n_fft / 2 is the discrete cosine transform. Else the warped cepstrum has died out well
    # before n_fft / 2, at (1 + alpha) / (1 - alpha) times the order; what is left are roundings of an exponent of 20.
    assert_allclose(spectrum_to_mcep(power, order, alpha), c, rtol=0, atol=1e-12)


def test_a_bin_of_0_counts_as_the_least_number_of_the_precision() -> None:
    for dtype in (np.float32, np.float64):
        found = spectrum_to_mcep(np.zeros((1, 33), dtype), 4, 0.42)
        assert found.dtype == dtype
        assert_allclose(found, [[np.log(np.finfo(dtype).tiny) / 2, 0, 0, 0, 0]], rtol=1e-6, atol=1e-12)


def test_the_relative_floor_is_a_share_of_the_largest_bin() -> None:
    power = periodograms()[::8]
    for floor in (1e-8, 1e-3):
        expected = spectrum_to_mcep(np.maximum(power, floor * power.max(axis=1, keepdims=True)), 24, 0.42)
        assert_array_equal(spectrum_to_mcep(power, 24, 0.42, floor), expected)
    node = Example(SpectrumToMcep(), power=(Frames(200, "power", 257), np.eye(1, 257, 40)))
    assert_array_equal(node.render()["mcep"], spectrum_to_mcep(np.maximum(np.eye(1, 257, 40), 1e-8), 24, 0.42))


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    power = periodograms()
    rows = spectrum_to_mcep(power, 24, 0.42)
    assert_array_equal(np.concatenate([spectrum_to_mcep(row[None], 24, 0.42) for row in power]), rows)


def test_more_coefficients_than_bins_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"spectrum_to_mcep\.order is 24; 24 bins determine .* at most 23"):
        SpectrumToMcep().streams(Frames(100, "power", 24))
    with pytest.raises(ParameterError, match="takes the bins of an even n_fft, 2 at least; found"):
        SpectrumToMcep(order=0).streams(Frames(100, "power", 1))


def test_rate_and_centre_are_kept() -> None:
    power = Frames(rate=200, kind="power", width=257, centre="1/200", dtype=np.float32)
    assert SpectrumToMcep(order=30).streams(power) == (power.like(kind="mcep", width=31),)
