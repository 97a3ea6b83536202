from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.power import Power, power
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(33)
STREAM = Frames(100, "spectrum", 33, "1/200", np.complex128)
ROWS = RNG.standard_normal((99, 33, 2)).view(np.complex128)[..., 0]
ROWS[20:25] = 0

EXAMPLES = [Example(Power(), spectrum=(STREAM, ROWS))]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_it_is_the_square_of_numpys_absolute(dtype: Any) -> None:
    spectrum = ROWS.astype(dtype)
    found = power(spectrum)
    assert found.dtype == spectrum.real.dtype
    assert_allclose(found, np.abs(ROWS) ** 2, rtol=4 * float(np.finfo(dtype).eps))  # four roundings


def test_a_tone_in_the_middle_of_a_bin_has_the_power_the_window_lets_through() -> None:
    window = np.hanning(65)[:-1]
    tone = 0.5 * np.cos(2 * np.pi * 8 * np.arange(64) / 64)
    assert_allclose(power(np.fft.rfft(window * tone)[None])[0, 8], (0.5 * window.sum() / 2) ** 2, rtol=1e-13)


def test_rate_and_centre_are_kept() -> None:
    assert Power().streams(STREAM.at_precision(np.float32)) == (Frames(100, "power", 33, "1/200", np.float32),)


def test_real_rows_are_refused() -> None:
    with pytest.raises(ParameterError, match="power takes complex rows"):
        Power().streams(Frames(100, "spectrum", 33))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(power, dtype, floats, (9, 33))
