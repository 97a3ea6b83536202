from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.stft import spectra
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.spectrum.instantaneous_frequency import (
    InstantaneousFrequency,
    frequency_in_hertz,
    instantaneous_frequency,
)
from helpers.integers import check_integers, integers
from helpers.speech import speech

RNG = np.random.default_rng(35)
STREAM = Frames("62.5", "phase", 33, "1/125")
PHASES = RNG.uniform(-np.pi, np.pi, (99, 33))
PHASES[20:25] = 0

EXAMPLES = [
    Example(InstantaneousFrequency(), phase=(STREAM, PHASES)),
    Example(InstantaneousFrequency(unit="hertz", rate=22000), phase=(STREAM, PHASES)),
]

RATE, N_FFT, HOP = 16000, 2048, 512
TONES = (100.0, 261.6, 440.0, 1000.0, 3000.0, 7000.0)


def phases_of(x: Array) -> tuple[Array, Array]:
    """Return magnitudes and phases, [frames, 1025] each, of frames that begin at the start of their spans of 512."""
    spectrum = spectra(Framing(N_FFT, HOP, 0).whole(x), window_values("hann", "none", N_FFT, x.dtype), N_FFT)
    return np.abs(spectrum), np.angle(spectrum)


def test_it_is_the_difference_of_numpys_unwrapped_phase() -> None:
    _, phase = phases_of(speech())
    unwrapped = np.unwrap(phase, axis=0)
    expected = np.diff(unwrapped, axis=0, prepend=0) / np.pi
    # unwrapped phases reach some 300 rad, of which 6e-14 are rounding
    assert_allclose(instantaneous_frequency(phase), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_half_a_turn_keeps_its_sign_as_numpy_has_it(dtype: Any) -> None:
    """An advance of half a turn has the sign of numpy.unwrap, also in float32, where the rounded pi is above pi."""
    phase = np.array([[0.0, 0, 0, -np.pi / 2], [np.pi, -np.pi, 3 * np.pi, np.pi / 2]], dtype)
    expected = np.diff(np.unwrap(phase, axis=0), axis=0) / np.pi
    # numpy rounds 3 pi + pi once more
    assert_allclose(instantaneous_frequency(phase)[1:], expected, rtol=0, atol=2 * np.finfo(dtype).eps)
    assert_array_equal(np.sign(expected), [[1, -1, 1, 1]])


def test_row_0_holds_the_phase_itself() -> None:
    assert_array_equal(instantaneous_frequency(PHASES)[0], PHASES[0] / np.pi)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_lie_within_1(dtype: Any) -> None:
    found = instantaneous_frequency(RNG.uniform(-np.pi, np.pi, (2000, 50)).astype(dtype))
    assert np.abs(found).max() <= 1
    assert found.dtype == dtype


@pytest.mark.parametrize("frequency", TONES)
def test_a_tone_has_its_own_frequency(frequency: float) -> None:
    """At the peak bin of a tone of f Hz, the output is 2 * f * hop / rate in units of pi, wrapped to +-1, or f in Hz.

    The errors in float32 are below 2e-4, in units of pi, and 0.01 Hz.
    """
    x = np.cos(2 * np.pi * frequency * np.arange(64000) / RATE + 0.3).astype(np.float32)
    magnitude, phase = phases_of(x)
    inside = slice(1, (64000 - N_FFT) // HOP)
    peak = int(magnitude[inside].sum(axis=0).argmax())
    turns = 2 * frequency * HOP / RATE
    expected = turns - 2 * np.floor((turns + 1) / 2)
    off = instantaneous_frequency(phase)[inside, peak] - expected
    assert np.abs(off - 2 * np.round(off / 2)).max() < 2e-4  # measured 7e-5 at the most
    hertz = frequency_in_hertz(phase, Fraction(RATE), Fraction(HOP))[inside, peak]
    assert np.abs(hertz - frequency).max() < 0.01  # measured 2e-3 at the most


def test_hertz_are_the_centre_and_the_demodulated_advance() -> None:
    """A frequency is the centre of the bin plus the advance of the demodulated phase per hop, in Hz.

    The phases are demodulated and unwrapped with numpy.
    """
    _, phase = phases_of(speech())
    b, k = np.arange(phase.shape[1]), np.arange(len(phase))[:, None]
    demodulated = np.angle(np.exp(1j * (phase - 2 * np.pi * (b * k * HOP % N_FFT) / N_FFT)))
    advance = np.diff(np.unwrap(demodulated, axis=0), axis=0)
    expected = b * RATE / N_FFT + RATE / (2 * np.pi * HOP) * advance
    assert_allclose(frequency_in_hertz(phase, Fraction(RATE), Fraction(HOP))[1:], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 2e-3), (np.float64, 1e-10)])
def test_its_sum_is_the_phase(dtype: Any, bound: float) -> None:
    x = np.pad(speech(), (3072, 0)).astype(dtype)
    magnitude, phase = phases_of(x)
    phase = np.where(magnitude > 0, phase, 0).astype(dtype)
    found = instantaneous_frequency(phase)
    assert_array_equal(found[0], 0)  # there is only padding in the first frame
    off = np.cumsum(found, axis=0, dtype=dtype) * np.pi - phase
    assert np.abs(off - 2 * np.pi * np.round(off / (2 * np.pi))).max() <= bound


@pytest.mark.parametrize("rate", [16000, 22050.5, 11000])
def test_a_rate_that_the_frames_were_not_cut_at_is_refused(rate: float) -> None:
    """The frames come from audio at 22050 Hz with hop 256; with the default rate, all frequencies would be wrong.

    The rate 22050 is taken, and in units of pi any rate up to 1,000,000 is.
    """
    stream = Frames(Fraction(22050, 256), "phase", 513)
    with pytest.raises(
        ParameterError,
        match=rf"instantaneous_frequency\.rate is {rate:g} Hz; 86\.1328 rows per second .* the rate of the",
    ):
        InstantaneousFrequency(unit="hertz", rate=rate).streams(stream)
    InstantaneousFrequency(unit="hertz", rate=22050).streams(stream)
    InstantaneousFrequency(rate=rate).streams(stream)  # over pi no rate is needed
    with pytest.raises(ParameterError, match="rate is 1e[+]?18; it must be a number, above 0, at most 1000000"):
        InstantaneousFrequency(rate=1e18)


def test_a_node_finds_the_frequency_of_a_tone_at_its_own_rate() -> None:
    """A tone of 1000 Hz at 22050 Hz, hop 256, is found at 1000 Hz; with the rate 16000 it would be 741.6 Hz."""
    x = np.cos(2 * np.pi * 1000 * np.arange(22050) / 22050)
    spectrum = spectra(Framing(1024, 256, 0).whole(x), window_values("hann", "none", 1024, x.dtype), 1024)
    stream = Frames(Fraction(22050, 256), "phase", 513)
    example = Example(InstantaneousFrequency(unit="hertz", rate=22050), phase=(stream, np.angle(spectrum)))
    peak = round(1000 * 1024 / 22050)
    # The mirror image at -1000 Hz is 93 bins away: what it leaks in turns the phase by less than 1e-4.
    assert_allclose(example.render()["frequency"][1:-5, peak], 1000, rtol=0, atol=0.01)


def test_a_constant_q_transform_turns_in_half_turns_alone() -> None:
    stream = STREAM.like(kind="constant_q_phase")
    assert InstantaneousFrequency().streams(stream) == (STREAM.like(kind="constant_q_if"),)
    with pytest.raises(ParameterError, match=r"unit is 'hertz'; the bins of a constant-Q .*: take the unit 'pi'"):
        InstantaneousFrequency(unit="hertz").streams(stream)


def test_rate_and_centre_are_kept() -> None:
    assert InstantaneousFrequency().streams(STREAM) == (Frames("62.5", "if", 33, "1/125"),)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(instantaneous_frequency, dtype, floats, (9, 33))
    check_integers(lambda x: frequency_in_hertz(x, Fraction(RATE), Fraction(HOP)), dtype, floats, (9, 33))
