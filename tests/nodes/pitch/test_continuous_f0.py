import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import interp1d

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.pitch.continuous_f0 import ContinuousF0, continuous_f0

RNG = np.random.default_rng(33)
STREAM = Frames(200, "f0", 1, "3/400")


def contour(frames: int = 300) -> Array:
    """Return a new random pitch contour [frames] around 120 Hz, with gaps of 0, unvoiced at both ends.

    frames: from 291 to 333. The longest gap has 43 frames.
    """
    f0: Array = 120 + 20 * np.sin(np.arange(frames) / 11) + RNG.standard_normal(frames)
    for begin, end in ((0, 13), (40, 41), (77, 120), (200, 203), (290, frames)):
        f0[begin:end] = 0
    return f0


EXAMPLES = [
    Example(ContinuousF0(), f0=(STREAM, contour()[:, None])),
    Example(ContinuousF0(reach=0.1), f0=(STREAM, contour()[:, None])),
    Example(ContinuousF0(reach=0.02, default=150), f0=(STREAM, contour()[:, None])),
    Example(ContinuousF0(default=180), f0=(STREAM, np.where(np.arange(100) < 98, 0.0, 90.0)[:, None])),
]


def test_it_is_the_linear_interpolation_of_the_log_pitch() -> None:
    f0 = contour()
    log_f0, voicing = continuous_f0(f0, 100)
    at = np.flatnonzero(f0)
    ends = (np.log(f0[at[0]]), np.log(f0[at[-1]]))
    expected = interp1d(at, np.log(f0[at]), bounds_error=False, fill_value=ends)(np.arange(len(f0)))
    assert_allclose(log_f0, expected, rtol=0, atol=4e-15)  # logarithms about 5, four roundings of 9e-16
    assert_array_equal(voicing, f0 > 0)


def test_with_a_reach_it_is_the_same_in_gaps_that_are_not_longer() -> None:
    f0 = contour()
    whole, voicing = continuous_f0(f0, 100)
    found = Example(ContinuousF0(reach=0.215), f0=(STREAM, f0[:, None])).render()  # 43 frames, the longest gap
    assert_array_equal(found["log_f0"][:, 0], whole)
    assert_array_equal(found["voicing"][:, 0], voicing)
    found = Example(ContinuousF0(reach=0.1, default=90), f0=(STREAM, f0[:, None])).render()  # 20 frames
    same = np.r_[0:77, 120:300]
    assert_array_equal(found["log_f0"][same, 0], whole[same])


def test_a_gap_that_is_longer_than_the_reach_is_crossed_at_its_end() -> None:
    f0 = np.array([0.0, 0, 0, 0, 200, 0, 0, 0, 0, 0, 800, 0, 0])
    found = Example(ContinuousF0(reach=0.01, default=50), f0=(STREAM, f0[:, None])).render()["log_f0"]  # 2 frames
    a, b = 4 ** (1 / 3), 4 ** (2 / 3)
    expected = [50, 50, 50 * a, 50 * b, 200, 200, 200, 200, 200 * a, 200 * b, 800, 800, 800]
    assert_allclose(np.exp(found[:, 0]), expected, rtol=1e-14)


def test_it_is_nnmnkwiis_where_that_interpolates_the_same_numbers() -> None:
    # nnmnkwii 0.1.3, preprocessing.f0.interp1d(np.log([150, 150, 0, 0, 180, 200]) with its -inf as 0, "slinear").
    f0 = np.array([150.0, 150.0, 0.0, 0.0, 180.0, 200.0])
    assert_allclose(
        continuous_f0(f0, 100)[0],
        [
            5.0106352940962555,
            5.0106352940962555,
            5.071409146360907,
            5.1321829986255585,
            5.19295685089021,
            5.298317366548036,
        ],
        rtol=1e-15,
    )


def test_voiced_frames_keep_their_pitch_and_the_ends_stay() -> None:
    f0 = contour()
    log_f0, _ = continuous_f0(f0, 100)
    assert_allclose(np.exp(log_f0[f0 > 0]), f0[f0 > 0], rtol=1e-14)  # an error of 1 ulp of 5, 9e-16, becomes relative
    assert (log_f0[:13] == log_f0[13]).all()
    assert (log_f0[290:] == log_f0[289]).all()


def test_a_gap_is_crossed_in_equal_ratios() -> None:
    log_f0, voicing = continuous_f0(np.array([100.0, 0.0, 0.0, 800.0]), 100)
    assert_allclose(np.exp(log_f0), [100, 200, 400, 800], rtol=1e-14)
    assert_array_equal(voicing, [1, 0, 0, 1])


def test_every_pitch_above_0_is_voice() -> None:
    log_f0, voicing = continuous_f0(np.array([0.0, 20.0, 0.5, 1000.0]), 100)
    assert_allclose(log_f0, np.log([20, 20, 0.5, 1000]), rtol=1e-15)
    assert_array_equal(voicing, [0, 1, 1, 1])


@pytest.mark.parametrize("unvoiced", [0.0, -1.0])
def test_without_any_voice_it_is_the_default(unvoiced: float) -> None:
    log_f0, voicing = continuous_f0(np.full(70, unvoiced), 200)
    assert_allclose(log_f0, np.log(200), rtol=1e-15)
    assert not voicing.any()


def test_no_frames_give_no_frames() -> None:
    assert [len(array) for array in continuous_f0(np.empty(0), 100)] == [0, 0]


def test_single_precision_is_the_double_result_rounded() -> None:
    f0 = contour().astype(np.float32)
    assert_array_equal(continuous_f0(f0, 100)[0], continuous_f0(f0.astype(np.float64), 100)[0].astype(np.float32))


def test_rate_and_centre_are_kept() -> None:
    assert ContinuousF0().streams(STREAM) == (STREAM.like(kind="log_f0"), STREAM.like(kind="voicing"))


def test_frames_of_several_pitches_are_refused() -> None:
    with pytest.raises(ParameterError, match="one pitch per frame"):
        ContinuousF0().streams(STREAM.like(width=2))
