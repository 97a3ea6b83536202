from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import istft, stft

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.gansynth import PUBLISHED_NORMALISER, mel_matrix
from dspgraph_nodes.spectrum.inverse_gansynth_spectrogram import (
    InverseGansynthSpectrogram,
    inverse_gansynth_spectrogram,
)
from helpers.gansynth import SMALL, gansynth_file
from helpers.integers import check_integers, integers
from helpers.speech import speech

RNG = np.random.default_rng(31)


def rows(bins: int = 64, kind: str = "gansynth_magnitude", rate: int = 16000) -> Frames:
    """Return a stream of frames [n, bins] of a kind, whose windows end where the span of the frame ends."""
    return Frames(Fraction(2 * rate, bins), kind, bins, Fraction(-bins, 2 * rate))


def drawn(bins: int, count: int, quiet: int = 0) -> tuple[Array, Array]:
    """Return random log magnitudes, -6 to 3, and angles, -1 to 1 in units of pi, [count, bins] each.

    From the middle on, the magnitudes of `quiet` rows are at the floor, ln 1e-6.
    """
    magnitude = RNG.uniform(-6, 3, (count, bins))
    magnitude[count // 2 : count // 2 + quiet] = np.log(1e-6)
    return magnitude, RNG.uniform(-1, 1, (count, bins))


def example(
    node: InverseGansynthSpectrogram, kinds: tuple[str, str], rate: int = 16000, bins: int = 64, count: int = 80
) -> Example:
    magnitude, angle = drawn(bins, count, quiet=6)
    if node.normalise:
        magnitude = np.clip(0.066 * magnitude + 0.11, -1, 1)
    return Example(
        node, magnitude=(rows(bins, kinds[0], rate), magnitude), angle=(rows(bins, kinds[1], rate), angle)
    )  # fmt: skip


EXAMPLES = [
    example(InverseGansynthSpectrogram(), ("gansynth_magnitude", "gansynth_if")),
    example(
        InverseGansynthSpectrogram(drop="dc", form="phase"), ("gansynth_magnitude", "gansynth_phase"), 22050, bins=128
    ),
    example(
        InverseGansynthSpectrogram(drop="dc", scale="mel", normalise=True),
        ("scaled_gansynth_mel", "scaled_gansynth_mel_if"),
    ),
    example(InverseGansynthSpectrogram(scale="phasor_mel"), ("gansynth_mel", "gansynth_phasor_mel_if"), bins=32),
]


def analysed(x: Array, bins: int, drop: str) -> tuple[Array, Array]:
    """Return log(|X| + 1e-6) and the steps of the unwrapped phase of X, the STFT of x, [frames, bins] each, by scipy.

    Windows have 2 * bins samples and end with their span. The steps are in units of pi radians. drop: the bin that is
    left out, "dc" or "nyquist".
    """
    padded = np.concatenate([np.zeros(3 * bins // 2), x])
    _, _, columns = stft(padded, window="hann", nperseg=2 * bins, noverlap=3 * bins // 2, boundary=None)
    spectrum = columns.T * bins  # scipy divides by the sum of the window
    spectrum = spectrum[:, 1:] if drop == "dc" else spectrum[:, :-1]
    steps = np.diff(np.unwrap(np.angle(spectrum), axis=0), axis=0, prepend=0)
    return np.log(np.abs(spectrum) + 1e-6), steps / np.pi


def render(
    magnitude: Array, angle: Array, kinds: tuple[str, str], precision: Any = np.float64, rate: int = 16000, **given: Any
) -> Array:
    bins = magnitude.shape[1]
    node = InverseGansynthSpectrogram(**given)
    signals = {"magnitude": (rows(bins, kinds[0], rate), magnitude), "angle": (rows(bins, kinds[1], rate), angle)}
    return Example(node, **signals).render(precision)["y"]


IF = ("gansynth_magnitude", "gansynth_if")


@pytest.mark.parametrize("drop", ["nyquist", "dc"])
def test_it_is_scipys_inverse_stft_of_the_spectrum_it_is_given(drop: str) -> None:
    bins = 64
    magnitude, angle = drawn(bins, 60)
    spectrum = np.zeros((60, bins + 1), complex)
    kept = spectrum[:, 1:] if drop == "dc" else spectrum[:, :-1]
    kept[:] = np.exp(magnitude + 1j * np.pi * np.cumsum(angle, axis=0))
    with pytest.warns(UserWarning, match="missing boundary"):  # the first sample, where the window is 0
        _, expected = istft(spectrum.T / bins, nperseg=2 * bins, noverlap=3 * bins // 2, boundary=False)
    inside = slice(3 * bins // 2, -3 * bins // 2)  # at the edges scipy makes up for the frames that are missing
    found = render(magnitude, angle, IF, drop=drop)
    assert len(found) == 60 * bins // 2
    end = len(found) - 3 * bins // 2
    assert_allclose(found[:end], expected[inside], rtol=0, atol=1e-11 * np.abs(expected).max())  # a sum of 60 angles


@pytest.mark.parametrize(("drop", "least"), [("nyquist", 65), ("dc", 36)])
def test_speech_comes_back(drop: str, least: float) -> None:
    """Everything but the dropped bin is restored. The measured SNR is 67.8 dB (last bin) and 38.9 dB (bin of 0 Hz).

    The last 1536 samples, which fade, are left out. least: the lowest SNR that passes, dB.
    """
    x = speech()
    error = (render(*analysed(x, 1024, drop), IF, drop=drop) - x)[:-1536]
    assert 10 * np.log10((x[:-1536] ** 2).sum() / (error**2).sum()) >= least


def test_the_end_fades_for_the_frames_that_are_missing() -> None:
    """In the last 1536 samples only three, two and then one of four overlapping frames exist, so the output fades.

    The factor of a sample is the sum of the squares of the window in the frames that exist, divided by 1.5.
    """
    x = speech(60 * 512)
    found = render(*analysed(x, 1024, "nyquist"), IF)
    squares = (np.hanning(2049)[:-1] ** 2 / 1.5).reshape(4, 512)
    left = np.concatenate([squares[1:].sum(axis=0), squares[2:].sum(axis=0), squares[3]])
    assert_allclose(found[-1536:], x[-1536:] * left, rtol=0, atol=1e-3 * np.abs(x).max())


@pytest.mark.parametrize("rate", [16000, 22050])
def test_mel_bands_come_back_through_the_published_inverse(rate: int) -> None:
    """The inverse of the mel matrix W is V = W^T diag(1 / s), where s has the sums of the columns of W W^T.

    Powers, and angles or phasors, are multiplied by V; the result equals that of the node.
    """
    bins = 64
    matrix = mel_matrix(bins, rate)
    total = (matrix @ matrix.T).sum(axis=0)
    inverse = np.divide(matrix.T, total, out=np.zeros((bins, bins)), where=total > 1e-8)
    magnitude, angle = drawn(bins, 40)
    linear = 0.5 * np.log(np.exp(magnitude) @ inverse + 1e-6), angle @ inverse
    found = render(magnitude, angle, ("gansynth_mel", "gansynth_mel_if"), rate=rate, scale="mel", drop="dc")
    expected = render(*linear, IF, drop="dc")
    assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    turn = np.angle((np.exp(magnitude) * np.exp(1j * np.pi * angle)) @ inverse) / np.pi
    kinds = ("gansynth_mel", "gansynth_phasor_mel_if")
    found = render(magnitude, angle, kinds, rate=rate, scale="phasor_mel", drop="dc")
    expected = render(linear[0], turn, IF, drop="dc")
    assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())  # phasors that cancel in part


def test_a_picture_is_the_stream_and_the_padding_before_it() -> None:
    magnitude, angle = drawn(64, 50)
    magnitude[:3], angle[:3] = np.log(1e-6), 0  # the rows that lie wholly in the padding
    picture = np.stack([magnitude, angle], axis=2)
    for precision in (np.float32, np.float64):
        whole = inverse_gansynth_spectrogram(picture.astype(precision), samples=47 * 32)
        assert whole.dtype == precision
        assert_array_equal(whole, render(magnitude[3:], angle[3:], IF, precision))


def test_normalised_rows_are_scaled_back() -> None:
    magnitude, angle = drawn(64, 30)
    scaled = 0.0661371661726 * magnitude + 0.113718730221, 0.8 * angle  # the published constants
    expected = render(magnitude, angle, ("gansynth_mel", "gansynth_mel_if"), scale="mel")
    kinds = ("scaled_gansynth_mel", "scaled_gansynth_mel_if")
    found = render(*scaled, kinds, scale="mel", normalise=True)
    assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    picture = np.stack(scaled, axis=2)
    assert_allclose(
        inverse_gansynth_spectrogram(picture, 30 * 32, scale="mel", normaliser=PUBLISHED_NORMALISER),
        found,
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_rows_at_the_floor_are_silence(precision: type) -> None:
    floor, still = np.full((9, 64), np.log(1e-6)), np.zeros((9, 64))
    assert not render(floor, still, IF, precision).any()
    for scale in ("mel", "phasor_mel"):
        kinds = ("scaled_gansynth_mel", f"scaled_gansynth_{scale}_if")
        scaled = 0.0661371661726 * floor + 0.113718730221
        assert not render(scaled, still, kinds, precision, scale=scale, normalise=True).any()


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("magnitude_scale", "magnitude_shift"),
    [
        (PUBLISHED_NORMALISER.magnitude[0], 0.1),
        (1e-3, 0.1),
        (1e-6, -0.7),
        (1e-6, -0.31),
        (1e-6, 0.29),
        (1e-6, 0.52),
        (0.05, 0.3),
        (0.2, 0.1),
        (3.0, -2.0),
    ],
)
def test_the_floor_is_silence_however_it_is_scaled(
    precision: Any, magnitude_scale: float, magnitude_shift: float
) -> None:
    """Rows at the floor give zeros, also if scaling leaves few digits of the floor in float32, or clips it at -1.

    One bin above the floor is heard.
    """
    scaled = np.clip(magnitude_scale * np.log(1e-6) + magnitude_shift, -1, 1)
    floor, still = np.full((9, 64), scaled), np.zeros((9, 64))
    given: dict[str, Any] = {
        "normalise": True, "magnitude_scale": magnitude_scale, "magnitude_shift": magnitude_shift
    }  # fmt: skip
    kinds = ("scaled_gansynth_magnitude", "scaled_gansynth_if")
    assert not render(floor, still, kinds, precision, **given).any()
    floor[4, 10] = 0.9
    assert render(floor, still, kinds, precision, **given).any(), "one bin that is heard makes a sound"


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("scale", ["linear", "mel", "phasor_mel"])
def test_a_magnitude_above_80_counts_as_80(scale: str, precision: Any) -> None:
    """e**800 is too large for float64, so logarithms of magnitudes, or of powers of mel bands, are limited to 80."""
    kinds = IF if scale == "linear" else ("gansynth_mel", f"gansynth_{scale}_if")
    angle = np.random.default_rng(1).uniform(-1, 1, (9, 64))
    found = [render(np.full((9, 64), level), angle, kinds, precision, scale=scale) for level in (800.0, 80.0)]
    assert_array_equal(found[0], found[1])
    assert np.isfinite(found[0]).all()
    assert (np.abs(found[0]).max() > np.exp(78)) if scale == "linear" else (np.abs(found[0]).max() > np.exp(38))


def test_rows_drawn_otherwise_are_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"scale is 'mel', .* these take 'gansynth_mel' and 'gansynth_mel_if', found"
    ):
        InverseGansynthSpectrogram(scale="mel").streams(rows(), rows(kind="gansynth_if"))
    with pytest.raises(ParameterError, match=r"form 'if', .* found 'gansynth_magnitude' and 'gansynth_phase'"):
        InverseGansynthSpectrogram().streams(rows(), rows(kind="gansynth_phase"))
    with pytest.raises(ParameterError, match=r"normalise True: these take 'scaled_gansynth_magnitude'"):
        InverseGansynthSpectrogram(normalise=True).streams(rows(), rows(kind="gansynth_if"))
    with pytest.raises(ParameterError, match="as many angles as magnitudes"):
        InverseGansynthSpectrogram().streams(rows(64), rows(64, "gansynth_if").like(width=32))
    with pytest.raises(ParameterError, match=r"form is 'phase', with the scale 'mel'"):
        InverseGansynthSpectrogram(scale="mel", form="phase").streams(rows(), rows(kind="gansynth_phase"))
    with pytest.raises(ParameterError, match="bins is 48"):
        InverseGansynthSpectrogram().streams(rows(48), rows(48, "gansynth_if"))
    early = rows().like(centre=Fraction(0)), rows(kind="gansynth_if").like(centre=Fraction(0))
    with pytest.raises(ParameterError, match="end where their span ends, centred at -32 samples"):
        InverseGansynthSpectrogram().streams(*early)


@pytest.mark.parametrize("drop", ["nyquist", "dc"])
def test_weights_tell_how_the_rows_were_made(drop: Any) -> None:
    config = SMALL["wide"].replace(drop=drop, magnitude=(0.05, 0.3), angle=(0.5, 0.1))
    path = gansynth_file(config)
    magnitude, angle = drawn(config.bins, 20)
    scaled = np.clip(0.05 * magnitude + 0.3, -1, 1), 0.5 * angle + 0.1
    kinds = ("scaled_gansynth_magnitude", "scaled_gansynth_if")
    given: dict[str, Any] = {"magnitude_scale": 0.05, "magnitude_shift": 0.3, "angle_scale": 0.5, "angle_shift": 0.1}
    expected = render(*scaled, kinds, drop=drop, normalise=True, **given)
    assert_array_equal(render(*scaled, kinds, weights=path), expected)
    with pytest.raises(
        ParameterError, match=r"scale is 'linear', form 'if', normalise True: these take 'scaled_gansyn"
    ):
        InverseGansynthSpectrogram(weights=path).streams(rows(), rows(kind="gansynth_if"))
    with pytest.raises(
        ParameterError, match=r"inverse_gansynth_spectrogram.weights also contain drop: leave one of the two"
    ):
        InverseGansynthSpectrogram(weights=path, drop=drop).streams(rows(), rows(kind="gansynth_if"))
    with pytest.raises(ParameterError, match=r"inverse_gansynth_spectrogram.weights is nowhere; there is no such file"):
        InverseGansynthSpectrogram(weights="nowhere").streams(rows(), rows(kind="gansynth_if"))


def test_more_samples_than_the_frames_hold_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"samples is 3000; 10 frames of 64 bins have 416"):
        inverse_gansynth_spectrogram(np.zeros((10, 64, 2)), samples=3000)
    with pytest.raises(ParameterError, match=r"samples is -5; 10 frames of 64 bins have 416"):
        inverse_gansynth_spectrogram(np.zeros((10, 64, 2)), samples=-5)
    assert inverse_gansynth_spectrogram(np.zeros((10, 64, 2)), samples=0).shape == (0,)
    for bins in (0, 1, 8, 48):
        with pytest.raises(ParameterError, match=f"bins is {bins}; it must be a power of two, at least 16"):
            inverse_gansynth_spectrogram(np.zeros((10, bins, 2)), samples=10)


def test_the_rate_comes_back() -> None:
    node = InverseGansynthSpectrogram()
    assert node.streams(rows(64, rate=22050), rows(64, "gansynth_if", rate=22050)) == (Audio(22050),)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: inverse_gansynth_spectrogram(x // 100, 200), dtype, floats, (9, 64, 2))
