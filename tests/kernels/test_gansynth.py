"""The GANSynth representation and the rainbowgram: what survives analysis and synthesis, on notes from MIDI 24 to 84.

The docstrings of the tests state the measured values, from which the thresholds keep a distance.
"""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from dspgraph import Array, load
from dspgraph.plotting.rainbowgram import rainbow
from dspgraph_nodes._kernels.signal.gansynth import PUBLISHED_NORMALISER, inverse_mel_matrix, mel_edges, mel_matrix
from dspgraph_nodes.spectrum.gansynth_spectrogram import gansynth_spectrogram
from dspgraph_nodes.spectrum.inverse_gansynth_spectrogram import inverse_gansynth_spectrogram
from helpers.notes import RATE, TOP, note, pitch
from helpers.paths import GOLDEN

RECORDED = GOLDEN / "gansynth"
MIDI = (24, 36, 48, 60, 72, 84)
END = 1536  # samples at the end, n_fft - hop for 1024 bins, that the missing frames attenuate


def snr(x: Array, y: Array, end: int = END) -> float:
    x, y = x[: len(x) - end].astype(np.float64), y[: len(x) - end].astype(np.float64)
    return float(10 * np.log10((x**2).sum() / ((y - x) ** 2).sum()))


def passed(name: str, x: Array, precision: str = "float32", **swap: str) -> Array:
    return load(name, [f"precision={precision}"], swap)(speech=x.astype(precision))["speech"]


# ---- A1 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frames", "bins", "pad"), [(128, 1024, 3072), (256, 512, 2304)])
def test_the_pictures_have_the_published_shapes_and_pads(frames: int, bins: int, pad: int) -> None:
    x = np.random.default_rng(1).standard_normal(64000)
    picture = gansynth_spectrogram(x, frames, bins)
    assert picture.shape == (frames, bins, 2)
    # All padding is in front: of frames of 2 bins every bins / 2, as many lie wholly in it as fit, and no more.
    silent = (picture[..., 0] < np.log(1.1e-6)).all(axis=1)
    count = (pad - 2 * bins) // (bins // 2) + 1
    assert silent[:count].all() and not silent[count:].any()
    y = inverse_gansynth_spectrogram(picture, 64000)
    assert y.shape == (64000,)
    padded = inverse_gansynth_spectrogram(picture, 64000 + pad)
    assert len(padded) == (frames - 1) * bins // 2 + 2 * bins == 64000 + pad
    assert np.abs(padded[: pad - 2 * bins]).max() < 1e-12
    assert snr(x, y, 2 * bins) > 25  # white noise loses the bin at Nyquist: one of 1025, about 30 dB


# ---- A2 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("midi", MIDI)
@pytest.mark.parametrize(("bins", "variant"), [(1024, "gansynth"), (512, "plain")])
def test_a_note_comes_back_without_its_nyquist_bin(bins: int, variant: str, midi: int) -> None:
    """Without its bin at the Nyquist frequency, a note is restored with an SNR of 85 dB (80 below MIDI 36) or more.

    The last END samples do not count. The lowest measured SNR is 89.1 dB with 1024 bins and 85.6 dB with 512. Rows are
    float32; nodes compute in float64.
    """
    x = note(midi)
    y = passed("gansynth_if", x, spectrogram=variant)
    assert len(y) == 64000
    assert snr(x, y) >= (85 if midi >= 36 else 80)


@pytest.mark.parametrize("midi", MIDI)
@pytest.mark.parametrize("bins", [1024, 512])
def test_a_note_comes_back_without_its_dc_bin_as_far_as_it_can(bins: int, midi: int) -> None:
    """Without its bin at 0 Hz, a note is restored with an SNR of 65 dB (42 below MIDI 48) or more.

    The last END samples do not count. The measured SNR is 52 to 112 dB with 1024 bins, 45 to 109 dB with 512. The
    lowest notes have the most energy in the bin at 0 Hz.
    """
    x = note(midi)
    graph = load("gansynth", ["precision=float32", "drop=dc", f"bins={bins}"])
    assert snr(x, graph(speech=x.astype(np.float32))["speech"]) >= (65 if midi >= 48 else 42)


@pytest.mark.parametrize("midi", MIDI)
def test_a_note_with_silence_after_it_comes_back_to_its_end(midi: int) -> None:
    """With silence after it, a note is restored up to its end, with an SNR of 70 dB or more; measured: 89.1 dB."""
    x = note(midi)
    y = passed("gansynth_if", np.append(x, np.zeros(END)))[:64000]
    assert snr(x, y, end=0) >= 70


# ---- A3 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [100, 261.6, 440, 1000, 3000, 7000])
def test_a_tone_turns_with_its_frequency(frequency: float) -> None:
    """The phase of a tone of f Hz advances by 2 * f * hop / rate, in units of pi radians, per hop of 512 samples.

    At the bin of the peak, the angle in the picture is this number plus a multiple of 2; f follows from it to 0.01 Hz.
    """
    x = (0.5 * np.cos(2 * np.pi * frequency * np.arange(64000) / RATE + 0.3)).astype(np.float32)
    picture = gansynth_spectrogram(x)[10:]
    peak = int(picture[..., 0].sum(axis=0).argmax())
    turn = picture[:, peak, 1].astype(np.float64)
    expected = 2 * frequency * 512 / RATE
    apart = (turn - expected + 1) % 2 - 1
    assert np.abs(apart).max() < 2e-4
    turns = 2 * np.round((peak * RATE / 2048 * 2 * 512 / RATE - turn) / 2)  # whole ones, by the place of the peak
    assert np.abs((turn + turns) * RATE / (2 * 512) - frequency).max() < 0.01


# ---- A4 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "tolerance"), [(np.float32, 2e-3), (np.float64, 1e-10)])
def test_the_steps_add_up_to_the_angle(precision: Any, tolerance: float) -> None:
    x = note(60).astype(precision)
    steps = gansynth_spectrogram(x)[..., 1]
    assert not steps[0].any()
    angle = np.pi * gansynth_spectrogram(x, form="phase")[..., 1]
    apart = (np.cumsum(np.pi * steps, axis=0, dtype=precision) - angle + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(apart).max() < tolerance


# ---- A5 -------------------------------------------------------------------------------------------------------------


def test_the_normaliser_is_the_published_one() -> None:
    floor, _ = PUBLISHED_NORMALISER.forward(np.array([np.log(1e-6)]), np.zeros(1))
    assert_allclose(floor, -0.8, rtol=0, atol=1e-6)
    magnitude, angle = np.linspace(-30, 30, 4001), np.linspace(-2, 2, 4001)
    scaled = PUBLISHED_NORMALISER.forward(magnitude, angle)
    for y, x, back in zip(scaled, (magnitude, angle), PUBLISHED_NORMALISER.backward(*scaled), strict=True):
        inside = np.abs(y) < 1
        assert 0.4 < inside.mean() < 1
        assert_allclose(back[inside], x[inside], rtol=0, atol=1e-12)
        assert (np.abs(y[~inside]) == 1).all()
    assert np.abs(angle[np.abs(scaled[1]) < 1]).max() < 1.25


# ---- A6 -------------------------------------------------------------------------------------------------------------


def edges_one_by_one(bins: int) -> tuple[Array, int]:
    """Return the edges [bins + 2] of the mel bands in Hz by the published rule, and the number of widened bands.

    Before bands are widened, the edges lie evenly in mel from 0 to 8000 Hz. The lower edges, the middles and the upper
    edges are views of one array, so a widened band moves the next band.
    """

    def hertz(mel: Array) -> Array:
        return 700 * np.expm1(mel / 1127)

    edges = np.linspace(0, 1127 * np.log1p(8000 / 700), bins + 2)
    lower, middle, upper = edges[:-2], edges[1:-1], edges[2:]
    least, widened = 1.5 * 8000 / bins, 0
    for i in range(bins):
        if hertz(upper[i]) - hertz(lower[i]) < least:
            reach = 1127 * np.arcsinh(0.5 * least / (hertz(middle[i]) + 700))
            lower[i], upper[i] = middle[i] - reach, middle[i] + reach
            widened += 1
    return hertz(edges), widened


@pytest.mark.parametrize(("bins", "widened", "rank", "column"), [(1024, 852, 811, 2.7616), (512, 426, 405, 2.7219)])
def test_852_of_1024_mel_bands_are_widened(bins: int, widened: int, rank: int, column: float) -> None:
    """The number of widened bands, and the rank and sums of the mel matrix, are those of the published program."""
    edges, count = edges_one_by_one(bins)
    assert count == widened
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    frequency = np.linspace(0, 8000, bins)[:, None]
    expected = np.maximum(0, np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)))
    expected[0] = 0
    matrix = mel_matrix(bins, RATE)
    assert_allclose(matrix, expected, rtol=0, atol=1e-10)
    assert np.linalg.matrix_rank(matrix) == rank
    assert matrix.sum(axis=1).max() == pytest.approx(1)
    assert matrix.sum(axis=0).max() == pytest.approx(column, abs=1e-4)
    assert np.count_nonzero(matrix.sum(axis=0) == 0) == 1
    assert matrix[0].sum() == matrix[-1].sum() == 0


def test_the_middles_of_the_lowest_bands_are_three_quarters_of_a_bin_apart() -> None:
    """The middles of the lowest bands equal those of the published program for 1024 bands, in Hz."""
    edges = mel_edges(1024, RATE)
    assert_allclose(edges[1:6], [1.77181292, 7.65524689, 13.5384841, 19.42152774, 25.30438095], rtol=1e-7)
    assert_allclose(np.diff(edges)[10:850], 0.75 * 8000 / 1024, rtol=1e-2)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded matrices do not lie beside the repository")
@pytest.mark.parametrize("bins", [512, 1024])
def test_the_mel_matrices_are_those_of_the_published_program(bins: int) -> None:
    with np.load(RECORDED / "gansynth_mel_matrices_full.npz") as recorded:
        theirs = np.zeros((bins, bins))
        theirs[recorded[f"row_{bins}"], recorded[f"col_{bins}"]] = recorded[f"val_{bins}"]
        assert_allclose(mel_matrix(bins, RATE), theirs, rtol=0, atol=1e-6)  # found: 1.5e-13
        assert_allclose(mel_edges(bins, RATE)[1:-1], recorded[f"centre_hz_{bins}"], rtol=1e-9)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded notes do not lie beside the repository")
def test_mel_rows_and_the_way_back_are_those_of_the_published_program() -> None:
    """The matrix from mel bands to bins, mel rows, and signals restored from them are those of the published program.

    The recorded data are two notes of 1024 samples, 16 frames of 128 bins. Angles are compared in bands whose logarithm
    is more than 6 nats above the floor, ln(1e-6).
    """
    with np.load(RECORDED / "gansynth_small_specgrams.npz") as recorded:
        notes = {name: recorded[name] for name in recorded.files}
    assert_allclose(inverse_mel_matrix(128, RATE), notes["mel2l"], rtol=0, atol=1e-6)
    for i in range(2):
        shape: dict[str, Any] = {"frames": 16, "bins": 128, "drop": "dc", "scale": "mel"}
        found = gansynth_spectrogram(notes["wave"][i].astype(np.float64), **shape)
        assert_allclose(found[..., 0], notes["mel"][i, ..., 0], rtol=0, atol=1e-3)  # found: 4e-4, in float32
        loud = notes["mel"][i, ..., 0] > np.log(1e-6) + 6
        apart = np.abs((found - notes["mel"][i])[..., 1][loud])
        assert np.minimum(apart, np.abs(apart - 2)).max() < 5e-3
        back = inverse_gansynth_spectrogram(notes["mel"][i].astype(np.float64), 1024, drop="dc", scale="mel")
        assert_allclose(back, notes["back_mel"][i], rtol=0, atol=1e-5)


def test_the_mel_matrices_give_a_constant_back() -> None:
    constant = np.ones(1024) @ mel_matrix(1024, RATE) @ inverse_mel_matrix(1024, RATE)
    assert_allclose(constant[1:-1], 1, rtol=0, atol=1e-12)
    assert constant[0] == constant[-1] == 0


def fundamental(x: Array, near: float) -> float:
    """Return the frequency, in cents relative to `near` (Hz), at which the first ten harmonics of x are strongest.

    It is searched from -5 to 5 cents, with harmonics up to TOP. x: [56000] or more, of which the 3 s from 0.5 s on are
    used.
    """
    x = x[8000:56000] * np.hanning(48000)
    time = np.arange(48000) / RATE

    def carried(cents: float) -> float:
        wave = np.exp(-2j * np.pi * near * 2 ** (cents / 1200) * time)
        total, harmonic = 0.0, np.ones_like(wave)
        for _ in range(min(10, int(TOP / near))):
            harmonic *= wave
            total += abs((x * harmonic).sum())
        return -total

    return float(minimize_scalar(carried, bounds=(-5, 5), method="bounded", options={"xatol": 1e-3}).x)


@pytest.mark.parametrize("midi", MIDI)
def test_mel_bands_keep_the_pitch(midi: int) -> None:
    """After mel bands and back, the pitch of a note is right to 1 cent; measured: 0.01 cents."""
    y = passed("gansynth_mel", note(midi))
    assert abs(fundamental(y.astype(np.float64), pitch(midi))) < 1


@pytest.mark.parametrize("midi", [48, 60])
def test_mel_bands_lose_little_magnitude_much_phase_and_less_as_phasors(midi: int) -> None:
    """A note is reduced to mel bands and restored. The SNR was measured for notes 48 and 60, for three kinds of angles.

    With the published mel angles it is 10.2 and 9.2 dB; with angles of phasors in mel bands 21.1 and 18.2 dB; with the
    true angles of the bins, so that only the magnitudes pass through mel bands, 31.7 and 32.7 dB.
    """
    x = note(midi)
    for scale, least in (("mel", 6), ("phasor_mel", 17)):  # the part of `gansynth_mel` without its high-pass
        graph = load("gansynth", ["precision=float32", f"scale={scale}", "drop=dc", "normalise=true"])
        assert snr(x, graph(speech=x.astype(np.float32))["speech"]) >= least
    linear = gansynth_spectrogram(x, drop="dc")
    mel = gansynth_spectrogram(x, drop="dc", scale="mel")
    linear[..., 0] = 0.5 * np.log(np.exp(mel[..., 0]) @ inverse_mel_matrix(1024, RATE) + 1e-6)
    assert snr(x, inverse_gansynth_spectrogram(linear, drop="dc")) >= 24


# ---- A7: the rainbowgram --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["constant_q", "stft"])
@pytest.mark.parametrize("frequency", [261.6, 1000, 3000])
def test_a_steady_tone_has_one_hue(variant: str, frequency: float) -> None:
    """The hue at the peak of a tone shows 2 * pi * f * hop / rate, wrapped, to 1e-3 radians; measured: 8e-6."""
    x = 0.5 * np.cos(2 * np.pi * frequency * np.arange(48000) / RATE)
    rows = load("rainbowgram", (), {"spectrum": variant})(speech=x)
    inside = slice(30, -30)  # half the longest window from either end
    peak = int(rows["magnitude"][inside].sum(axis=0).argmax())
    hue = np.pi * rows["advance"][inside, peak]
    apart = (hue - 2 * np.pi * frequency * 256 / RATE + np.pi) % (2 * np.pi) - np.pi
    assert apart.std() < 1e-3
    assert np.abs(apart).max() < 1e-3


def test_what_is_70_db_down_is_not_seen_in_a_rainbowgram() -> None:
    """Two tones are 60 and 80 dB below a third: the first is visible, the second is black."""
    time = np.arange(32000) / RATE
    tones = {300.0: 1.0, 900.0: 1e-3, 2500.0: 1e-4}
    x = sum(0.5 * level * np.cos(2 * np.pi * f * time) for f, level in tones.items())
    rows = load("rainbowgram", (), {"spectrum": "stft"})(speech=x)
    inside = slice(10, -10)
    magnitude, advance = rows["magnitude"][inside], rows["advance"][inside]
    masked, full = rainbow(magnitude, advance), rainbow(np.zeros_like(magnitude), advance)
    opacity = [masked[b].max() / full[b].max() for b in (round(f * 1024 / RATE) for f in tones)]
    # The tones lie up to 0.4 bins from the middle of theirs, which is worth 1 dB of 70.
    assert opacity[:2] == pytest.approx([1, 10 / 70], abs=0.02)
    assert opacity[2] == 0
