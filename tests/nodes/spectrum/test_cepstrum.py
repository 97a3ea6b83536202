from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import freqz, lfilter

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.cepstrum import Cepstrum, cepstrum
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(39)
STREAM = Frames(100, "log_magnitude", 257, "1/200")
ROWS = RNG.standard_normal((70, 257)) - 5
ROWS[20:25] = np.log(np.finfo(np.float32).tiny)  # silence

EXAMPLES = [
    Example(Cepstrum(), log_magnitude=(STREAM, ROWS)),
    Example(Cepstrum(order=256, form="minimum_phase"), log_magnitude=(STREAM, ROWS)),
]


def test_it_is_the_inverse_transform_of_both_halves() -> None:
    whole = np.concatenate((ROWS, ROWS[:, -2:0:-1]), axis=1)
    expected = np.fft.ifft(whole, axis=1).real[:, :31]
    assert_allclose(cepstrum(ROWS, 30), expected, rtol=0, atol=1e-13)  # values up to 87, of 9 stages of roundings


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_pysptk_makes_the_response_of_the_filter_of_its_minimum_phase_cepstrum() -> None:
    import pysptk

    zeros, poles = [1.0, 0.5], [1.0, -0.9, 0.6]
    _, response = freqz(zeros, poles, np.pi * np.arange(257) / 256)
    c = cepstrum(np.log(np.abs(response))[None], 128, "minimum_phase")[0]
    expected = lfilter(zeros, poles, np.eye(1, 60)[0])
    # The poles' radius is 0.77: what folds onto the first 128 quefrencies is below 0.77**384 / 384.
    assert_allclose(pysptk.c2ir(c, 60), expected, rtol=0, atol=1e-13)


def test_the_minimum_phase_cepstrum_of_one_pole_is_the_series_of_its_logarithm() -> None:
    # ln 1 / (1 - a z^-1) = sum a**m z^-m / m; at n_fft = 512 the terms from m = 512 on, 0.8**512, fold onto the first.
    _, response = freqz([1.0], [1.0, -0.8], np.pi * np.arange(257) / 256)
    found = cepstrum(np.log(np.abs(response))[None], 40, "minimum_phase")[0]
    m = np.arange(1, 41)
    assert_allclose(found, [0, *(0.8**m / m)], rtol=0, atol=1e-14)


@pytest.mark.parametrize("form", ["real", "minimum_phase"])
def test_all_quefrencies_give_the_log_magnitudes_back(form: str) -> None:
    node = Cepstrum(order=256, form=form)
    c = cepstrum(ROWS, node.order, node.form)
    factor = np.where((np.arange(257) % 256 == 0) | (form == "minimum_phase"), 1, 2)
    cosines = np.cos(2 * np.pi * np.outer(np.arange(257), np.arange(257)) / 512)
    assert_allclose((c * factor) @ cosines, ROWS, rtol=0, atol=1e-11)


def test_float32_is_transformed_in_float32() -> None:
    found = cepstrum(ROWS.astype(np.float32), 24)
    assert found.dtype == np.float32
    assert_allclose(found, cepstrum(ROWS, 24), rtol=0, atol=1e-5)  # of values up to 87


def test_rate_and_centre_are_kept() -> None:
    assert Cepstrum(order=24).streams(STREAM) == (Frames(100, "cepstrum", 25, "1/200"),)


@pytest.mark.parametrize(("order", "width", "most"), [(257, 257, 256), (0, 1, 0)])
def test_more_quefrencies_than_there_are_are_refused(order: int, width: int, most: int) -> None:
    with pytest.raises(
        ParameterError, match=rf"cepstrum\.order is {order}; {width} bins have quefrencies up to {most}"
    ):
        Cepstrum(order=order).streams(Frames(100, "log_magnitude", width))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: cepstrum(x, 9), dtype, floats, (9, 33))
