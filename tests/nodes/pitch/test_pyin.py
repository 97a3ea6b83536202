from fractions import Fraction

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.sptk import rapt
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.pyin import candidates, pitch_grid
from dspgraph_nodes.pitch.pyin import Pyin, track_pyin
from helpers.speech import speech
from helpers.vowels import FORMANTS, vowel

EXAMPLES = [
    Example(Pyin(), x=(Audio(16000), speech(12003))),
    Example(Pyin(hop=160, centre=160), x=(Audio(16000), speech(9003))),
    Example(
        Pyin(hop=147, f0_min=80, f0_max=320, periods=2.6, wait=0.02),
        x=(Audio(22050), speech(15001)[7000:]),
    ),
]

RATE = Fraction(16000)


def track(x: Array, rate: Fraction = RATE, hop: int = 80, low: float = 60.0, high: float = 400.0) -> Array:
    return track_pyin(x, rate, hop, low, high, 2, 0.1)


def gross(found: Array, f0: float | Array) -> float:
    """Return the share of voiced frames whose pitch `found` is wrong by more than a fifth, or 0 if none is voiced.

    found: [frames], 0 if unvoiced; f0: the true pitch, a number or [frames].
    """
    voiced = found > 0
    wrong = voiced & (np.abs(found / f0 - 1) > 0.2)
    return float(wrong.sum() / voiced.sum()) if voiced.any() else 0.0


def harmonics(f0: Array, rate: float = 16000) -> Array:
    """Return harmonics up to about 7 kHz of a pitch f0 [n], falling by 6 dB per octave, with the peak 0.5. rate: Hz."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    x: Array = sum((np.cos(k * phase) / k for k in range(1, int(7000 / f0.max()))), np.zeros(len(f0)))
    x *= 0.5 / np.abs(x).max()
    return x


@pytest.mark.parametrize(("low", "high", "length"), [(51.0, 480.0, 640), (34.0, 1200.0, 960)])
def test_the_probabilities_of_all_pitches_are_librosas(
    low: float, high: float, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(observed: Array, *_: object, **__: object) -> Array:
        kept.append(observed[0])
        return np.zeros((1, observed.shape[2]), np.int64)

    kept: list[Array] = []
    monkeypatch.setattr("librosa.sequence.viterbi", keep)
    # A little noise: where a frame is almost silent but for its end, librosa's spectrum loses digits.
    x = (speech(24000) + 1e-3 * np.random.default_rng(1).standard_normal(24000))[12000:]
    librosa.pyin(x, fmin=low, fmax=high, sr=16000, frame_length=length, hop_length=80)
    grid = pitch_grid(16000.0, 80, low, high)
    frames = Framing(length, 80, -length // 2).whole(x)  # librosa's frame k is centred on sample k * hop
    bins = len(grid.pitches)
    found = np.array([candidates(grid, frame)[0] for frame in frames])
    expected = kept[0].T[: len(found)]
    assert expected.shape[1] == 2 * bins
    assert_allclose(found, expected[:, :bins], rtol=0, atol=1e-12)  # measured: 2e-15
    assert_allclose((1 - found.sum(axis=1)) / bins, expected[:, bins], rtol=0, atol=1e-12)


def test_a_path_that_waits_for_the_end_is_librosas() -> None:
    x = (speech(20000) + 1e-3 * np.random.default_rng(1).standard_normal(20000))[8000:]
    low, high = 62.0, 400.0
    found = track_pyin(x, RATE, 80, low, high, 2.48, 100.0, centre=0)  # frames of 640 samples
    expected, _, _ = librosa.pyin(x, fmin=low / 1.2, fmax=high * 1.2, sr=16000, frame_length=640, hop_length=80)
    expected = np.where((expected > low) & (expected < high), expected, 0.0)[: len(found)]
    found = found[: len(expected)]
    assert ((found > 0) == (expected > 0)).all()
    voiced = found > 0
    assert voiced.sum() > 100
    # librosa returns the pitch of a bin, 10 cents wide; here it is the exact one, so at most half a bin away.
    assert np.abs(1200 * np.log2(found[voiced] / expected[voiced])).max() < 5.1


def test_a_finite_wait_changes_few_frames() -> None:
    x = speech()
    whole, found = track_pyin(x, RATE, 80, 60.0, 400.0, 2, 100.0), track(x)
    assert ((whole > 0) != (found > 0)).mean() < 0.01  # measured: 1 of 800 frames
    both = (whole > 0) & (found > 0)
    assert_allclose(found[both], whole[both], rtol=0.02)


@pytest.mark.parametrize("f0", [50, 100, 150, 250, 390])
def test_the_pitch_of_a_tone_is_found(f0: float) -> None:
    found = track(harmonics(np.full(12000, float(f0))), low=40)[10:-10]
    assert np.abs(1200 * np.log2(found / f0)).max() < 8  # a parabola through three differences; measured


@pytest.mark.parametrize("formants", FORMANTS)
def test_vowels_of_every_third_semitone_have_no_gross_error(formants: str) -> None:
    for k in range(0, 49, 3):
        f0 = 50 * 2 ** (k / 12)
        found = track(vowel(f0, formants, seconds=0.3), low=40, high=1000)[5:-5]  # a frame at an end is partly silent
        assert (found > 0).mean() > 0.95
        assert gross(found, f0) == 0, f0


def test_speech_has_the_pitch_on_which_two_other_trackers_agree() -> None:
    from dspgraph_nodes._kernels.signal.swipe import swipe

    x = speech()
    first = rapt(x, RATE, 80, 60.0, 400.0, 0.0)[: len(x) // 80]
    pitch, strength = swipe(x, 16000.0, 80, 30.0, 1700.0)
    agreed = (first > 0) & (strength > 0.3) & (np.abs(np.log2(np.maximum(first, 1) / np.maximum(pitch, 1))) < 0.1)
    assert agreed.sum() > 250
    found = track(x)
    assert (found[agreed] > 0).mean() > 0.99
    assert gross(found[agreed], np.sqrt(first * pitch)[agreed]) == 0
    assert ((found > 0) & (first == 0) & (strength <= 0.3)).mean() < 0.05  # librosa's default frames: 0.36


@pytest.mark.parametrize(("low", "high"), [(80, 100), (120, 147), (260, 300)])
def test_a_frame_is_centred_in_its_span(low: float, high: float) -> None:
    # A chirp of slope s gives the pitch f(t + centre) = f(t) + s centre; the mean of a rising and a falling one cancels
    # the constant bias of single pitches.
    centres = []
    for begin, end in ((low, high), (high, low)):
        glide = np.linspace(begin, end, 32000)
        error = track(harmonics(glide)) - glide[::80]
        centres.append(error[60:340].mean() / (end - begin) * 2)
    assert abs(np.mean(centres) - 0.0025) < 0.5e-3  # measured: 0.35 ms at most
    assert Pyin().streams(Audio(RATE))[0].centre == Fraction(1, 400)


def test_the_level_changes_nothing() -> None:
    x = speech(16000)
    assert_array_equal(track(x / 4096), track(x))


def test_silence_has_no_pitch_and_noise_hardly_any() -> None:
    assert not track(np.zeros(8000)).any()
    assert np.mean(track(np.random.default_rng(0).standard_normal(32000)) > 0) < 0.01


@pytest.mark.parametrize("hop", [1, 37, 80, 5000])
def test_every_length_gives_a_frame_per_hop(hop: int) -> None:
    x = harmonics(np.full(1300, 120.0))
    for n in [*range(1, 1300, 397), hop, hop + 1, 3 * hop - 1]:
        f0 = track(np.resize(x, n), hop=hop)
        assert len(f0) == -(-n // hop)
        assert ((f0 == 0) | ((f0 > 60) & (f0 < 400))).all()


def test_the_end_is_followed_by_zeros() -> None:
    x = speech(20000)[12000:]
    longer = track(np.concatenate((x, np.zeros(8000))))
    assert_array_equal(track(x)[:80], longer[:80])  # the path of the last 20 frames is decided by what follows


def test_a_rate_that_is_no_whole_number() -> None:
    found = track(harmonics(np.full(8000, 150.0), 16000.5), Fraction(32001, 2))[10:-10]
    assert np.abs(1200 * np.log2(found / 150)).max() < 8  # as at 16000 Hz


def test_the_latency_is_half_a_frame_and_the_later_frames() -> None:
    assert Pyin().lookahead(Audio(RATE)) == Fraction(267 - 40 + 20 * 80, 16000)  # 0.1142 s
    assert Pyin(hop=160).lookahead(Audio(RATE)) == Fraction(267 - 80 + 10 * 160, 16000)
    assert Pyin(f0_min=40, f0_max=1000).lookahead(Audio(RATE)) < Fraction(15, 100)


@pytest.mark.parametrize(
    ("node", "x", "message"),
    [
        (Pyin(), Audio(RATE, channels=2), "put a mono 'mix' before it"),
        (Pyin(f0_min=200, f0_max=100), Audio(RATE), "must rise, and be at most 4000 Hz"),
        (Pyin(f0_max=2001), Audio(8000), "at most 2000 Hz: change them, or put a 'resample'"),
        (Pyin(centre=40.25), Audio(RATE), "pyin.centre is 40.25, .* 40 or 41"),
    ],
)
def test_what_the_tracker_cannot_bear_is_refused(node: Pyin, x: Audio, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Graph({"pitch": node}, {"pitch.x": "x"}, {"x": x}, {"f0": "pitch"})


@pytest.mark.slow
def test_vowels_of_every_semitone_have_no_more_gross_errors_than_librosas() -> None:
    ours, theirs = [], []
    for formants in FORMANTS:
        for k in range(49):  # 50 to 800 Hz
            f0 = 50 * 2 ** (k / 12)
            x = vowel(f0, formants, seconds=0.4)
            f, _, _ = librosa.pyin(x, fmin=40, fmax=1000, sr=16000, hop_length=80)
            ours.append(gross(track(x, low=40, high=1000)[5:-5], f0))
            theirs.append(gross(np.nan_to_num(f)[5:-5], f0))
    assert np.mean(ours) <= np.mean(theirs)
    assert np.max(ours) == 0
