from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal.windows import kaiser

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.pqmf import Pqmf, pqmf
from helpers.integers import check_integers, integers
from helpers.speech import speech

EXAMPLES = [
    Example(Pqmf(), x=(Audio(16000), speech(1001))),
    Example(Pqmf(bands=3, taps=30, cutoff=0.2), x=(Audio(8000), speech(500))),
]


def published(x: Array, bands: int, taps: int, cutoff: float) -> Array:
    """Return ParallelWaveGAN's sub-bands of x [n], [ceil(n / bands), bands], by its formulas.

    taps: the order of the prototype filter, an even number; cutoff: its cut-off frequency relative to half the rate.
    """
    n = np.arange(taps + 1) - taps / 2
    prototype = cutoff * np.sinc(cutoff * n) * kaiser(taps + 1, 9.0)
    k = np.arange(bands)[:, None]
    filters = 2 * prototype * np.cos((2 * k + 1) * np.pi / (2 * bands) * n + (-1.0) ** k * np.pi / 4)
    padded = np.pad(x, taps // 2)
    return np.transpose([np.correlate(padded, one, "valid")[::bands] for one in filters])


@pytest.mark.parametrize(("bands", "taps", "cutoff"), [(4, 62, 0.142), (3, 30, 0.2), (16, 128, 0.0355)])
def test_it_is_the_published_analysis(bands: int, taps: int, cutoff: float) -> None:
    x = speech()[9000:11001]
    expected = published(x, bands, taps, cutoff)
    assert_allclose(pqmf(x, bands, taps, cutoff), expected, rtol=0, atol=1e-14)
    found = Example(Pqmf(bands=bands, taps=taps, cutoff=cutoff), x=(Audio(16000), x)).render()["bands_out"]
    assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_a_tone_is_in_its_band() -> None:
    x = np.cos(2 * np.pi * 5000 / 16000 * np.arange(4000))  # band 2 of 4: 4 to 6 kHz
    power = (pqmf(x)[100:-100] ** 2).mean(axis=0)
    assert power[2] > 0.1
    assert np.delete(power, 2).max() < 1e-6 * power[2]


def test_too_few_taps_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"pqmf\.taps is 6; 4 bands need 8 at least"):
        Pqmf(taps=6).streams(Audio(16000))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(pqmf, dtype, floats, (100,))
