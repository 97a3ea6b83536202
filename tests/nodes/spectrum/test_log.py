from typing import Any

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.maths.elementary import LN_10
from dspgraph_nodes.spectrum.log import Log, log_rows
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(51)
STREAM = Frames(100, "power", 33, "1/200")
ROWS = 10 * RNG.random((99, 33)) ** 8
ROWS[20:25] = 0
EXAMPLES = [
    Example(Log(), x=(STREAM, ROWS)),
    Example(Log(unit="natural", floor=None, reference=2.0), x=(STREAM.like(kind="magnitude"), ROWS)),
    Example(Log(mel_of="magnitude", reference=None, range=60), x=(STREAM.like(kind="mel"), ROWS)),
]


def decibels(node: Log, kind: str) -> Any:
    return Example(node, x=(STREAM.like(kind=kind), ROWS)).render()["y"]


@pytest.mark.parametrize("reference", [1.0, 0.3])
@pytest.mark.parametrize("top_db", [None, 80.0, 20.0])
def test_decibels_of_power_and_magnitude_are_librosas(reference: float, top_db: float | None) -> None:
    node = Log(reference=reference, range=top_db)
    expected = librosa.power_to_db(ROWS, ref=reference, amin=1e-10, top_db=top_db)
    assert_allclose(decibels(node, "power"), expected, rtol=0, atol=1e-12)
    assert_allclose(decibels(node, "mel"), expected, rtol=0, atol=1e-12)
    node = Log(reference=reference, range=top_db, floor=1e-5)
    expected = librosa.amplitude_to_db(ROWS, ref=reference, amin=1e-5, top_db=top_db)
    assert_allclose(decibels(node, "magnitude"), expected, rtol=0, atol=1e-12)


def test_the_peak_can_be_the_reference() -> None:
    found = decibels(Log(reference=None, range=80), "power")
    assert_allclose(found, librosa.power_to_db(ROWS, ref=np.max), rtol=0, atol=1e-12)


def test_natural_logarithms_are_numpys_and_silence_is_finite() -> None:
    found = log_rows(ROWS[30:], 1.0, 0.0, 1.0, None)
    assert_allclose(found, np.log(ROWS[30:]), rtol=0, atol=1e-13)
    assert log_rows(np.zeros((1, 1)), 1.0, 0.0, 1.0, None) == np.log(np.finfo(float).tiny)
    assert_allclose(log_rows(ROWS, 10 / LN_10, 1e-10, 1.0, None)[20:25], -100, rtol=1e-15)


def test_the_kind_says_what_the_rows_are() -> None:
    assert [Log().streams(STREAM.like(kind=k))[0].kind for k in ("power", "mel")] == ["power_db", "mel_db"]
    assert Log(unit="natural").streams(STREAM) == (STREAM.like(kind="log_power"),)


def test_complex_rows_are_refused() -> None:
    with pytest.raises(ParameterError, match="log takes real rows; found .* put a 'power'"):
        Log().streams(STREAM.like(dtype="complex64"))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: log_rows(x, 1.0, 0.0, 1.0, None), dtype, floats, (9, 33))
