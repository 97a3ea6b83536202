import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Array, Frames
from dspgraph.testing import Example
from dspgraph_nodes._kernels.maths.elementary import LN_10
from dspgraph_nodes.spectrum.exp import Exp, exp_rows

RNG = np.random.default_rng(52)
STREAM = Frames(100, "power_db", 17)
ROWS = 40 * RNG.standard_normal((99, 17))
EXAMPLES = [
    Example(Exp(reference=0.5), x=(STREAM, ROWS)),
    Example(Exp(), x=(STREAM.like(kind="log_mel"), ROWS / 20)),
]


def of(kind: str, node: Exp, rows: Array = ROWS) -> Array:
    found: Array = Example(node, x=(STREAM.like(kind=kind), rows)).render()["y"]
    return found


def test_power_and_magnitude_from_decibels_are_librosas() -> None:
    power, magnitude = librosa.db_to_power(ROWS, ref=0.5), librosa.db_to_amplitude(ROWS, ref=0.5)
    assert_allclose(of("power_db", Exp(reference=0.5)), power, rtol=1e-13)
    assert_allclose(of("mel_db", Exp(reference=0.5)), power, rtol=1e-13)
    assert_allclose(of("magnitude_db", Exp(reference=0.5)), magnitude, rtol=1e-13)
    assert_allclose(of("mel_db", Exp(reference=0.5, mel_of="magnitude")), magnitude, rtol=1e-13)


@pytest.mark.parametrize("kind", ["log_power", "log_magnitude", "log_mel"])
def test_natural_logarithms_are_undone(kind: str) -> None:
    assert_allclose(of(kind, Exp()), np.exp(ROWS), rtol=1e-14)
    assert Exp().streams(STREAM.like(kind=kind)) == (STREAM.like(kind=kind.removeprefix("log_")),)


def test_a_value_too_large_for_the_dtype_is_infinite() -> None:
    assert exp_rows(np.array([1000.0], np.float32), 10 / LN_10, 1.0)[0] == np.inf
