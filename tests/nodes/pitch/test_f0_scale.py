from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames
from dspgraph.testing import Example
from dspgraph_nodes.pitch.f0_scale import F0Scale, f0_scale
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(64)
STREAM = Frames(200, "f0", 1, "3/400")
F0 = np.where(RNG.random((100, 1)) < 0.3, 0.0, RNG.uniform(80, 200, (100, 1)))
EXAMPLES = [
    Example(F0Scale(semitones=3), f0=(STREAM, F0)),
    Example(F0Scale(source_mean=4.9, source_deviation=0.2, target_mean=5.4, target_deviation=0.3), f0=(STREAM, F0)),
]


def test_three_semitones_are_a_quarter_of_an_octave() -> None:
    assert_allclose(EXAMPLES[0].render()["scaled"], F0 * 2**0.25, rtol=1e-15)
    assert_allclose(Example(F0Scale(ratio=2), f0=(STREAM, F0)).render()["scaled"], 2 * F0, rtol=0)
    assert_array_equal(Example(F0Scale(), f0=(STREAM, F0)).render()["scaled"], F0)


def test_the_pitch_gets_the_mean_and_the_deviation_of_another_speaker() -> None:
    logs = np.log(F0[F0 > 0])
    node = F0Scale(source_mean=logs.mean(), source_deviation=logs.std(), target_mean=5.4, target_deviation=0.3)
    found = Example(node, f0=(STREAM, F0)).render()["scaled"]
    assert_array_equal(found > 0, F0 > 0)
    assert_allclose([np.log(found[F0 > 0]).mean(), np.log(found[F0 > 0]).std()], [5.4, 0.3], rtol=1e-13)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda f0: f0_scale(f0, 1.5), dtype, floats, (9, 1))
