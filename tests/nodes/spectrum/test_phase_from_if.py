from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Array, Frames
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.phase_from_if import PhaseFromIf, phase_from_if
from helpers.integers import check_integers, integers

RNG = np.random.default_rng(36)
STREAM = Frames("62.5", "if", 33, "1/125")
ADVANCES, HERTZ = RNG.uniform(-1, 1, (99, 33)), RNG.uniform(0, 8000, (99, 33))
ADVANCES[20:25] = 0

EXAMPLES = [
    Example(PhaseFromIf(), frequency=(STREAM, ADVANCES)),
    Example(PhaseFromIf(unit="hertz"), frequency=(STREAM, HERTZ)),
]


def off(phase: Array, expected: Array) -> float:
    """Return the largest difference between two arrays of phases, in radians; whole turns do not count."""
    turns = (phase - expected) / (2 * np.pi)
    return float(2 * np.pi * np.abs(turns - np.round(turns)).max())


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 2e-3), (np.float64, 1e-10)])
def test_it_gives_back_the_phase_whose_wrapped_difference_it_takes(dtype: Any, bound: float) -> None:
    phase = RNG.uniform(-np.pi, np.pi, (1000, 20))
    advance = np.diff(np.unwrap(phase, axis=0), axis=0, prepend=0) / np.pi
    found = phase_from_if(advance.astype(dtype))
    assert off(found, phase) <= bound  # 1000 advances, each rounded to 1.2e-7 of half a turn: 2e-4 if all were one way
    assert np.abs(found).max() <= np.pi * (1 + np.finfo(dtype).eps)
    assert found.dtype == dtype


def test_it_is_the_cumulative_sum() -> None:
    assert off(phase_from_if(ADVANCES), np.cumsum(np.pi * ADVANCES, axis=0)) <= 1e-13
    assert off(phase_from_if(HERTZ, 62.5), np.cumsum(2 * np.pi * HERTZ / 62.5, axis=0)) <= 1e-10  # 1e5 rad


def test_a_frequency_turns_as_often_as_it_says() -> None:
    phase = phase_from_if(np.full((250, 1), 440.0), 62.5)
    expected = 2 * np.pi * (440 * np.arange(1, 251) / 62.5 % 1)
    assert off(phase[:, 0], expected) <= 1e-11


def test_half_a_turn_stays_half_a_turn() -> None:
    assert_allclose(phase_from_if(np.array([[1.0], [-1.0], [-1.0]]))[:2, 0], [np.pi, 0])


def test_what_turned_in_a_constant_q_transform_is_a_phase_of_one() -> None:
    assert PhaseFromIf().streams(STREAM.like(kind="constant_q_if"))[0].kind == "constant_q_phase"


def test_rate_and_centre_are_kept() -> None:
    assert PhaseFromIf().streams(STREAM) == (Frames("62.5", "phase", 33, "1/125"),)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: phase_from_if(x, 62.5), dtype, floats, (9, 33))
