from fractions import Fraction
from typing import Any

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import stft

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.gansynth import (
    PUBLISHED_NORMALISER,
    inverse_mel_matrix,
    mel_bands,
    mel_matrix,
    phase_steps,
)
from dspgraph_nodes.spectrum.gansynth_spectrogram import GansynthSpectrogram, gansynth_spectrogram
from helpers.integers import check_integers, integers
from helpers.speech import speech

QUIET = np.concatenate([speech()[9000:10100], np.zeros(300), speech()[14000:15001]])  # 2401 samples, with silence

EXAMPLES = [
    Example(GansynthSpectrogram(bins=64), x=(Audio(16000), QUIET)),
    Example(GansynthSpectrogram(bins=128, drop="dc", form="phase"), x=(Audio(22050), QUIET)),
    Example(GansynthSpectrogram(bins=64, drop="dc", scale="mel", normalise=True), x=(Audio(16000), QUIET)),
    Example(GansynthSpectrogram(bins=1024, scale="phasor_mel"), x=(Audio(16000), QUIET)),
]


def render(x: Array, precision: Any = np.float64, **parameters: Any) -> Array:
    out = Example(GansynthSpectrogram(**parameters), x=(Audio(16000), x)).render(precision)
    return np.stack([out["magnitude"], out["angle"]], axis=2)


def upstream(x: Array, bins: int, drop: str) -> tuple[Array, Array]:
    """Return log(|X| + 1e-6) and the unwrapped phase of X, the STFT of x, [frames, bins] each, by scipy and numpy.

    Windows have 2 * bins samples and end with their span of bins / 2 samples. The phase is in radians. drop: the
    bin that is left out, "dc" or "nyquist".
    """
    padded = np.concatenate([np.zeros(3 * bins // 2), x])
    _, _, columns = stft(padded, window="hann", nperseg=2 * bins, noverlap=3 * bins // 2, boundary=None)
    spectrum = columns.T * bins  # scipy divides by the sum of the window
    spectrum = spectrum[:, 1:] if drop == "dc" else spectrum[:, :-1]
    return np.log(np.abs(spectrum) + 1e-6), np.unwrap(np.angle(spectrum), axis=0)


@pytest.mark.parametrize(("bins", "drop"), [(1024, "nyquist"), (512, "dc")])
def test_rows_are_scipys_stft_with_the_phase_unwrapped_by_numpy(bins: int, drop: str) -> None:
    x = speech(40 * 512)
    magnitude, phase = upstream(x, bins, drop)
    found = render(x, bins=bins, drop=drop)
    assert_allclose(found[..., 0], magnitude, rtol=0, atol=1e-8)  # rounding of 1e-16 x 200 before a floor of 1e-6
    steps = np.diff(phase, axis=0, prepend=0) / np.pi
    # Two programs round the phase of a faint bin apart: where it is above -60 dB of full scale they agree.
    loud = np.minimum(magnitude, np.roll(magnitude, 1, axis=0)) > np.log(1e-3)
    apart = np.abs(found[..., 1] - steps)
    apart = np.minimum(apart, np.abs(apart - 2))  # a turn of half a circle is one to either side
    assert loud.mean() > 0.9
    assert apart[loud].max() < 1e-11


def test_phase_is_the_angle_of_the_spectrum_in_half_turns() -> None:
    x = speech(20 * 512)
    found = render(x, form="phase")[..., 1]
    magnitude, phase = upstream(x, 1024, "nyquist")
    apart = np.abs(np.exp(1j * np.pi * found) - np.exp(1j * phase))
    assert apart[magnitude > np.log(1e-3)].max() < 1e-11  # as above
    assert np.abs(found).max() <= 1


def test_mel_bands_that_are_not_widened_are_librosas() -> None:
    """Bands that are not widened, but for the first two, equal librosa's, although the constant of the scale differs.

    The scale is 2595 * log10(1 + f / 700) in librosa and 1127 * ln(1 + f / 700) here; a constant factor does not change
    the bands.
    """
    bins = 1024
    matrix = mel_matrix(bins, 16000)
    with pytest.warns(UserWarning, match="Empty filters"):  # why the others are widened
        theirs = librosa.filters.mel(sr=16000, n_fft=2 * (bins - 1), n_mels=bins, htk=True, norm=None, dtype=float).T
    theirs[0] = 0
    same = np.abs(matrix - theirs).max(axis=0) < 1e-9  # divisions by widths of 12 Hz of frequencies of 8 kHz
    assert not same[1:852].any()
    assert same[854:].all()  # 852 bands are widened, and the last of them moves an edge of each of the next two


def test_the_inverse_mel_matrix_is_the_transpose_with_scaled_columns() -> None:
    matrix = mel_matrix(1024, 16000)
    inverse = inverse_mel_matrix(1024, 16000)
    total = (matrix @ matrix.T).sum(axis=0)
    assert_allclose(inverse, np.divide(matrix.T, total, out=np.zeros((1024, 1024)), where=total > 1e-8), atol=1e-14)


def test_mel_rows_are_the_linear_ones_through_the_matrix() -> None:
    """As in the published program, the unwrapped phase is multiplied by the matrix and unwrapped again."""
    x = speech(30 * 512)
    matrix = mel_matrix(1024, 16000)
    magnitude, _ = upstream(x, 1024, "dc")
    found = render(x, drop="dc", scale="mel")
    assert_allclose(found[..., 0], np.log(np.exp(2 * magnitude) @ matrix + 1e-6), rtol=0, atol=1e-8)
    linear = render(x, drop="dc")[..., 1]
    mel_phase = np.cumsum(np.pi * linear, axis=0) @ matrix
    steps = np.diff(np.unwrap(mel_phase, axis=0), axis=0, prepend=0) / np.pi
    apart = np.abs(found[..., 1] - steps)
    assert np.minimum(apart, np.abs(apart - 2)).max() < 1e-11  # a sum of 30 phases, against none


def test_a_phasor_band_turns_as_its_strongest_bins_do() -> None:
    x = speech(30 * 512)
    matrix = mel_matrix(1024, 16000)
    linear = render(x)
    power = np.exp(2 * linear[..., 0])
    expected = np.angle((power * np.exp(1j * np.pi * linear[..., 1])) @ matrix)
    found = render(x, scale="phasor_mel")[..., 1]
    apart = np.abs(np.exp(1j * np.pi * found) - np.exp(1j * expected))
    loud = power @ matrix > 1e-6
    assert apart[loud].max() < 1e-8  # phasors that cancel to a thousandth, of sums rounded at 1e-16 x 1e4


def test_the_picture_of_a_clip_is_the_stream_behind_rows_of_silence() -> None:
    x = np.concatenate([np.zeros(2000), speech()[8000:20336]])  # 28 hops
    for precision in (np.float32, np.float64):
        picture = gansynth_spectrogram(x.astype(precision), frames=31)
        assert picture.shape == (31, 1024, 2)
        assert picture.dtype == precision
        assert_array_equal(picture[3:], render(x, precision))
        assert_allclose(picture[:3, :, 0], np.log(1e-6), rtol=1e-7)
        assert not picture[:3, :, 1].any()


def test_normalised_rows_are_scaled_and_clipped() -> None:
    x = 1000 * speech(10 * 512)
    plain = render(x, scale="mel")
    expected = np.clip(plain * [0.0661371661726, 0.8] + [0.113718730221, 0], -1, 1)  # the published constants
    found = render(x, scale="mel", normalise=True)
    assert_array_equal(found, expected)
    assert (found[..., 0] == 1).any(), "the published range ends at amplitude 813 of a bin"
    assert_array_equal(gansynth_spectrogram(x, 13, scale="mel", normaliser=PUBLISHED_NORMALISER)[3:], expected)
    own = render(x, normalise=True, magnitude_scale=0.05, magnitude_shift=0.1, angle_scale=0.5, angle_shift=0.25)
    assert_array_equal(own, np.clip(render(x) * [0.05, 0.5] + [0.1, 0.25], -1, 1))


def test_silence_is_the_floor_and_does_not_turn() -> None:
    for parameters in ({}, {"scale": "mel"}, {"scale": "phasor_mel"}, {"form": "phase"}):
        found = render(np.concatenate([np.zeros(2048), -np.zeros(2048)]), **parameters)
        # a mel band adds at most 2.8 x 1e-12 of power to its own floor of 1e-6
        assert_allclose(found[..., 0], np.log(1e-6), rtol=0, atol=4e-6)
        assert not found[..., 1].any()


def test_what_comes_out_is_told_apart_by_its_kind() -> None:
    def kinds(**parameters: Any) -> tuple[str, str]:
        magnitude, angle = GansynthSpectrogram(**parameters).streams(Audio(16000))
        return magnitude.kind, angle.kind

    assert kinds() == ("gansynth_magnitude", "gansynth_if")
    assert kinds(form="phase") == ("gansynth_magnitude", "gansynth_phase")
    assert kinds(scale="mel") == ("gansynth_mel", "gansynth_mel_if")
    assert kinds(scale="phasor_mel", normalise=True) == ("scaled_gansynth_mel", "scaled_gansynth_phasor_mel_if")


def test_frames_end_with_their_span() -> None:
    magnitude, angle = GansynthSpectrogram().streams(Audio(16000))
    assert magnitude == Frames(Fraction(16000, 512), "gansynth_magnitude", 1024, Fraction(-512, 16000))
    assert angle.centre == magnitude.centre


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"bins is 1000; it must be a power of two, at least 16: take 1024"):
        GansynthSpectrogram(bins=1000).streams(Audio(16000))
    with pytest.raises(ParameterError, match=r"form is 'phase', with the scale 'mel'; .*: take the form 'if'"):
        GansynthSpectrogram(scale="mel", form="phase").streams(Audio(16000))
    with pytest.raises(ParameterError, match="takes one channel"):
        GansynthSpectrogram().streams(Audio(16000, 2))
    with pytest.raises(ParameterError, match=r"puts 67072 samples in 128 frames; found 67073: .* or take 129 frames"):
        gansynth_spectrogram(np.zeros(67073))
    with pytest.raises(ParameterError, match="bins is 48"):
        gansynth_spectrogram(np.zeros(100), bins=48)
    for bins in (-1, 0, 1, 8):
        with pytest.raises(ParameterError, match=rf"spectrogram\.bins is {bins}; .*, at least 16: take 16"):
            gansynth_spectrogram(np.zeros(10), bins=bins)
    for frames in (-1, 0):
        with pytest.raises(ParameterError, match=rf"spectrogram\.frames is {frames}; it must be a whole number, at "):
            gansynth_spectrogram(np.zeros(10), frames)


def test_a_signal_that_is_not_a_number_does_no_harm() -> None:
    x = np.zeros(64000)
    x[5000] = np.nan
    with np.errstate(invalid="ignore"):
        picture = gansynth_spectrogram(x)
    assert np.isnan(picture).any()
    assert not np.isnan(picture[:12]).any(), "frame 12 is the first that holds sample 5000 + 3072"


def test_a_turn_of_half_a_circle_keeps_its_side_as_in_numpy() -> None:
    angles = np.array([0, 1, 0, -1, 0, 0.75, -0.75, 0.25, 1, -1, 0.5, -0.5, 0.5])[:, None]
    expected = np.diff(np.unwrap(np.pi * angles, axis=0), axis=0, prepend=0) / np.pi
    assert_allclose(phase_steps(angles, np.zeros(1)), expected, rtol=0, atol=1e-15)


def test_the_matrix_is_applied_as_it_is_written() -> None:
    bands = mel_bands(512, 16000)
    matrix = mel_matrix(512, 16000)
    for m in (0, 100, 300, 511):
        run = bands.values[bands.begin[m] : bands.begin[m + 1]]
        assert_array_equal(matrix[bands.first[m] : bands.first[m] + len(run), m], run)
    assert bands.begin[-1] == np.count_nonzero(matrix)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: gansynth_spectrogram(x, 20, 64), dtype, floats, (600,))
