from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dspgraph import Array, Frames, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.excitation.pulse_noise import PulseNoise


def contour(frames: int) -> Array:
    """Return a pitch contour, [frames, 1]: gliding between 80 and 320 Hz, with gaps, some of single frames."""
    k = np.arange(frames)
    f0 = 200 + 120 * np.sin(k / 17)
    f0[(k % 41 < 13) | (k % 59 == 30)] = 0
    return f0[:, None]


def excitation(f0: Array, f0_rate: int = 100, rate: float = 16000) -> Array:
    """Return the whole excitation [n] of a contour, computed by the node alone, because the engine refuses NaN.

    f0: [frames] or [frames, 1], Hz; f0_rate: frames per second; rate: of the samples, Hz.
    """
    node = PulseNoise(rate=rate)
    state, y = node.step(node.start(Frames(Fraction(f0_rate), "f0", 1)), np.reshape(f0, (-1, 1)))
    return np.concatenate((y, *node.flush(state)))


EXAMPLES = [
    Example(PulseNoise(), f0=(Frames(Fraction(100), "f0", 1), contour(3001))),
    Example(PulseNoise(rate=22050), f0=(Frames(Fraction(100), "f0", 1), contour(997))),  # 220.5 samples per frame
    Example(PulseNoise(rate=22050.5, seed=5), f0=(Frames(Fraction(441, 4), "f0", 1), contour(501))),
    Example(PulseNoise(rate=30), f0=(Frames(Fraction(100), "f0", 1), contour(601) / 25)),  # 10 frames in 3 samples
]


EXAMPLES += [
    Example(PulseNoise(dispersion=0.0048), f0=(Frames(Fraction(100), "f0", 1), contour(301))),
    Example(PulseNoise(rate=22050, dispersion=0.003), f0=(Frames(Fraction(100), "f0", 1), contour(97))),
]

PULSES = Frames(Fraction(100), "pulses", 2)

EXAMPLES += [Example(PulseNoise(), f0=(PULSES, np.hstack((contour(301), 0.5 + contour(301) / 200))))]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(f0=st.integers(20, 8000), rate=st.sampled_from([16000, 22050, 44100, 11025]))
def test_pulses_of_a_constant_pitch_stand_at_ceil_of_k_periods(f0: int, rate: int) -> None:
    # Exact for whole-numbered pitches: the phase is a sum of integers.
    f0 = min(f0, rate // 2)
    y = excitation(np.full(60, float(f0)), rate=rate)
    expected = [ceil(Fraction(k * rate, f0)) for k in range(len(y)) if ceil(Fraction(k * rate, f0)) < len(y)]
    assert np.flatnonzero(y).tolist() == expected


def test_pulses_of_a_chirp_stand_where_the_summed_phase_passes_a_whole_number() -> None:
    # The oracle sums f0 of the frame that each sample begins in, in exact integers; 22050 / 100 is no whole number.
    rate, f0 = 22050, 80 + 3 * np.arange(90)
    y = excitation(f0.astype(float), rate=rate)
    phase = np.concatenate(([0], np.cumsum([f0[n * 100 // rate] for n in range(len(y) - 1)])))
    expected = [0, *np.flatnonzero(np.diff(phase // rate) > 0) + 1]
    assert np.flatnonzero(y).tolist() == expected


def test_a_pulse_has_the_gain_of_its_frame() -> None:
    rows = np.column_stack((np.full(4, 100.0), (1, 2, 0.25, 3)))
    _, y = PulseNoise().step(PulseNoise().start(PULSES), rows)
    assert_array_equal(y[::160], np.sqrt(160) * rows[:, 1])
    with pytest.raises(ParameterError, match=r"one pitch per frame, or rows \(f0, gain\) of the kind 'pulses'; found"):
        PulseNoise().streams(PULSES.like(width=1))


def test_a_pulse_is_as_high_as_sptks() -> None:
    # pysptk 1.0.1, pysptk.excite(np.full(20, 160.0), hopsize=80): pulses of sqrt(160) = 12.649110640673518 every 160.
    # The pitch period there is 160 samples, here 100 Hz at 16 kHz.
    y = excitation(np.full(10, 100.0))
    assert set(y[y != 0]) == {12.649110640673518}


def test_seven_frames_of_ten_milliseconds_are_1120_samples() -> None:
    assert len(excitation(np.zeros(7))) == 1120


@pytest.mark.parametrize(("frames", "rate"), [(7, 22050), (8, 22050), (1, 44101), (13, 1)])
def test_the_last_partial_sample_comes_with_the_end(frames: int, rate: int) -> None:
    assert len(excitation(np.zeros(frames), rate=rate)) == ceil(Fraction(frames * rate, 100))


def test_a_voiced_run_begins_with_a_pulse_wherever_the_last_one_stopped() -> None:
    f0 = np.array([130.0, 0, 170, 170, 0, 0, 90])
    y = excitation(f0)
    noise = excitation(np.zeros(7))
    for frame, period in ((0, 130), (2, 170), (6, 90)):
        run = y[frame * 160 :][: 320 if frame == 2 else 160]
        pulses = np.flatnonzero(run)
        assert pulses.tolist() == [ceil(k * 16000 / period) for k in range(len(pulses))]
    unvoiced = np.repeat(f0 == 0, 160)
    assert np.array_equal(y[unvoiced], noise[unvoiced])  # noise is positional: voicing elsewhere has not moved it


def test_power_is_one_voiced_and_unvoiced() -> None:
    # Voiced: a pulse of power rate / f0 every rate / f0 samples, to within the one period cut at the end. Unvoiced: the
    # mean square of n Gaussian samples has deviation sqrt(2 / n); five of them.
    seconds, f0 = 20, 137.0
    voiced, unvoiced = excitation(np.full(100 * seconds, f0)), excitation(np.zeros(100 * seconds))
    assert abs(np.mean(voiced**2) - 1) < 1 / (f0 * seconds)
    assert abs(np.mean(unvoiced**2) - 1) < 5 * np.sqrt(2 / len(unvoiced))


@pytest.mark.parametrize("none", [np.nan, -1e10, -0.0])
def test_a_pitch_that_is_none_is_noise(none: float) -> None:
    # -1e10 is SPTK's log f0 of an unvoiced frame, NaN that of other trackers.
    assert np.array_equal(excitation(np.full(5, none)), excitation(np.zeros(5)))


@pytest.mark.parametrize("high", [8000.5, np.inf])
def test_a_pitch_above_half_the_rate_is_named(high: float) -> None:
    with pytest.raises(ValueError, match=f"at most 8000 Hz; frame 3 has {high:g} Hz"):
        excitation(np.array([100, 200, 8000, high, high]))


def test_frames_of_more_than_a_pitch_are_refused() -> None:
    with pytest.raises(ParameterError, match="one pitch per frame"):
        Graph({"e": PulseNoise()}, {"e.f0": "f0"}, {"f0": Frames(Fraction(100), "f0", 2)}, {"y": "e"})


def test_sample_n_belongs_to_the_frame_it_begins_in() -> None:
    # At 22050 Hz and 100 frames per second sample 220 covers 9.977 to 10.023 ms: it begins in frame 0.
    y = excitation(np.array([0.0, 100.0, 0.0]), rate=22050)
    voiced = [n for n in range(len(y)) if floor(Fraction(n * 100, 22050)) == 1]
    assert voiced[0] == 221
    assert np.flatnonzero(y == np.sqrt(220.5)).tolist() == [221]
    assert not y[voiced[1:]].any()


def test_a_rate_of_too_many_digits_is_refused() -> None:
    graph = {"f0": Frames(200, "f0", 1)}
    with pytest.raises(ParameterError, match="this ratio has too many digits; take 17600"):
        Graph({"p": PulseNoise(rate=17600.000000000004)}, {"p.f0": "f0"}, graph, {"y": "p"})


def chirp(rate: float, dispersion: float) -> Array:
    """Return the excitation of 1 s, [rate], for a pitch of 1 Hz: one pulse, at the start, whose energy is scaled to 1.

    rate: a whole number of Hz; dispersion: that of the node, s.
    """
    node = PulseNoise(rate=rate, dispersion=dispersion)
    state, y = node.step(node.start(Frames(Fraction(100), "f0", 1)), np.ones((100, 1)))
    whole: Array = np.concatenate((y, *node.flush(state)))
    whole /= np.sqrt(rate)
    return whole


@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("dispersion", [0.001, 0.0048])
def test_dispersion_delays_low_frequencies_and_changes_no_magnitude(rate: int, dispersion: float) -> None:
    spectrum = np.fft.rfft(chirp(rate, dispersion))
    np.testing.assert_allclose(np.abs(spectrum), 1, atol=1e-12)  # an all-pass; what is left after 1 s is below 1e-100
    delay = -np.diff(np.unwrap(np.angle(spectrum))) / (2 * np.pi)  # seconds, at 0.5 Hz, 1.5 Hz ...
    f = np.arange(len(delay)) + 0.5
    t = np.tan(np.pi * f / rate)  # exact; the docstring has pi * f / rate, which is close to this far below rate / 2
    np.testing.assert_allclose(delay, dispersion * (1 + t**2) / (1 + (dispersion * rate / 6 * t) ** 2), atol=1e-8)
    low = f < rate / 20
    np.testing.assert_allclose(delay[low], dispersion / (1 + (np.pi * f[low] * dispersion / 6) ** 2), rtol=0.03)


def test_without_dispersion_a_pulse_is_a_pulse() -> None:
    assert_array_equal(chirp(16000, 0.0), np.eye(1, 16000)[0])


def test_a_dispersion_shorter_than_its_sections_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"dispersion is 0.0001 s; at 16000 Hz it must be 0, or at least 6 samples"
    ):
        PulseNoise(dispersion=0.0001).streams(Frames(Fraction(100), "f0", 1))
