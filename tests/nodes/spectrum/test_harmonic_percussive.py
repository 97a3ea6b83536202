import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.harmonic_percussive import HarmonicPercussive

RNG = np.random.default_rng(99)
ROWS = RNG.random((80, 40)) ** 4
ROWS[:, 7] += 1
ROWS[33] += 2
ROWS[50:55] = 0
SPECTRUM = ROWS * np.exp(2j * np.pi * RNG.random(ROWS.shape))
STREAM = Frames(100, "magnitude", 40, "1/200")
COMPLEX = STREAM.like(kind="spectrum", dtype="complex128")
EXAMPLES = [
    Example(HarmonicPercussive(harmonic=7, percussive=5), x=(STREAM, ROWS)),
    Example(HarmonicPercussive(margin=2, harmonic=15, power=3), x=(COMPLEX, SPECTRUM)),
]


@pytest.mark.parametrize("count", [16, 80])  # scipy mirrors fewer rows than half the window wrongly
@pytest.mark.parametrize(
    ("harmonic", "percussive", "power", "margin"), [(7, 5, 2, 1.0), (31, 31, 1, 2.0), (1, 9, 3, 1.0)]
)
def test_it_is_librosas(count: int, harmonic: int, percussive: int, power: int, margin: float) -> None:
    x = SPECTRUM[:count]
    expected = librosa.decompose.hpss(x.T, kernel_size=(harmonic, percussive), power=power, margin=margin)
    node = HarmonicPercussive(harmonic=harmonic, percussive=percussive, power=power, margin=margin)
    found = Example(node, x=(COMPLEX, x)).render()
    for name, part in zip(("harmonic_part", "percussive_part"), expected, strict=True):
        assert_allclose(found[name], part.T, rtol=0, atol=1e-13)


def test_with_a_margin_of_1_the_parts_sum_to_the_whole() -> None:
    found = EXAMPLES[0].render()
    assert_allclose(found["harmonic_part"] + found["percussive_part"], ROWS, rtol=0, atol=1e-14)


def test_even_lengths_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"harmonic_percussive\.percussive is 4; it must be odd: take 5"):
        HarmonicPercussive(percussive=4).streams(STREAM)
