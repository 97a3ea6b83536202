import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import get_window

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.excitation.mixed_excitation import MixedExcitation

RNG = np.random.default_rng(104)
AUDIO, ROWS = Audio(16000), Frames(200, "aperiodicity", 129)
P, N = RNG.standard_normal((2, 4001))
A = RNG.random((51, 129))
EXAMPLES = [
    Example(MixedExcitation(), periodic=(AUDIO, P), noise=(AUDIO, N), aperiodicity=(ROWS, A)),
    Example(
        MixedExcitation(least=0.2),
        periodic=(AUDIO, P),
        noise=(AUDIO, N),
        aperiodicity=(ROWS.like(centre="1/400"), A),
    ),
]


def mixed(a: Array, centre: str = "0", least: float = 0.0) -> Array:
    node = MixedExcitation(least=least)
    stream = ROWS.like(centre=centre)
    found: Array = Example(node, periodic=(AUDIO, P), noise=(AUDIO, N), aperiodicity=(stream, a)).render()["y"]
    return found


@pytest.mark.parametrize(("centre", "first"), [("0", -128), ("1/400", -88)])
def test_it_is_the_mixture_of_the_spectra(centre: str, first: int) -> None:
    window, total, weight = get_window("hann", 256), np.zeros(5000), np.zeros(5000)
    padded = [np.pad(x, (500, 500)) for x in (P, N)]
    for k, a in enumerate(A):
        at = 500 + k * 80 + first
        p, n = (np.fft.rfft(x[at : at + 256] * window) for x in padded)
        total[at - 500 + 500 :][:256] += window * np.fft.irfft(np.sqrt(1 - a**2) * p + a * n)
        weight[at : at + 256] += window**2
    assert_allclose(mixed(A, centre), (total / np.maximum(weight, 1e-300))[500:4501], rtol=0, atol=1e-10)


def test_without_and_with_only_noise_one_of_the_two_comes_back() -> None:
    assert_allclose(mixed(np.zeros_like(A)), P, rtol=0, atol=1e-12)
    assert_allclose(mixed(np.ones_like(A)), N, rtol=0, atol=1e-12)
    assert_allclose(mixed(np.zeros_like(A), least=1.0), N, rtol=0, atol=1e-12)


def test_rows_that_do_not_fit_are_refused() -> None:
    for rows in (ROWS.like(rate=190), ROWS.like(centre="1/30"), ROWS.like(width=5)):
        with pytest.raises(
            ParameterError, match="mixed_excitation takes rows whose windows overlap and begin at whole"
        ):
            MixedExcitation().streams(AUDIO, AUDIO, rows)
    with pytest.raises(ParameterError, match="takes signals and rows of one dtype"):
        MixedExcitation().streams(AUDIO, AUDIO, ROWS.like(dtype="float32"))
