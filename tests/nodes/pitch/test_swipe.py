from fractions import Fraction

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from dspgraph import Array, Audio, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.sptk import sptk
from dspgraph_nodes.pitch.swipe import Swipe, track_swipe
from helpers.speech import speech
from helpers.vowels import FORMANTS, vowel

EXAMPLES = [
    Example(Swipe(), x=(Audio(Fraction(16000)), speech(20003))),
    Example(Swipe(hop=441, f0_min=80, f0_max=320, threshold=0.4), x=(Audio(Fraction(22050)), speech(15001))),
]

RATE = Fraction(16000)


def track(x: Array, rate: Fraction = RATE, hop: int = 80, low: float = 60.0, high: float = 400.0) -> Array:
    return track_swipe(x, rate, hop, low, high, 0.3)


def harmonics(f0: Array, rate: float = 16000) -> Array:
    """Return harmonics up to about 7 kHz of a pitch f0 [n], falling by 6 dB per octave, with the peak 0.5. rate: Hz."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    x: Array = sum((np.cos(k * phase) / k for k in range(1, int(7000 / f0.max()))), np.zeros(len(f0)))
    x *= 0.5 / np.abs(x).max()
    return x


@pytest.mark.parametrize("f0", [100, 120, 150, 200, 250, 300])
def test_the_pitch_of_a_tone_is_found(f0: float) -> None:
    # Measured: 1.93 cents at most. Its search ends on a grid of 1/768 octave, 1.56 cents.
    found = track(harmonics(np.full(16000, float(f0))))[10:-10]
    assert np.abs(1200 * np.log2(found / f0)).max() < 3


@pytest.mark.parametrize(("low", "high"), [(62.5, 500), (31.25, 500)])
def test_it_is_sptks_where_that_reads_no_invalid_memory(low: float, high: float) -> None:
    # These ends are pitches of windows. Measured: 8 to 14 of 800 frames change their voicing; 9 in 10 differ by 6 cents at most.
    x = speech()
    found, expected = track(x, low=low, high=high), sptk.swipe(x * 32768, 16000, 80, min=low, max=high)
    both = (found > 0) & (expected > low)
    assert ((found > 0) != (expected > low)).mean() < 0.03
    assert np.quantile(np.abs(1200 * np.log2(found[both] / expected[both])), 0.9) < 8


@pytest.mark.parametrize(("low", "high"), [(80, 100), (100, 130), (120, 147), (190, 230), (260, 300)])
def test_a_frame_is_centred_on_the_start_of_its_span(low: float, high: float) -> None:
    # A chirp of slope s gives the pitch f(t + centre) = f(t) + s centre; the mean of a rising and a falling one cancels
    # the constant bias of single pitches. Within 0.3 ms of 0, measured 0.22.
    centres = []
    for begin, end in ((low, high), (high, low)):
        glide = np.linspace(begin, end, 32000)
        error = track(harmonics(glide)) - glide[::80]
        centres.append(error[60:340].mean() / (end - begin) * 2)
    assert abs(np.mean(centres)) < 0.3e-3
    assert Swipe().streams(Audio(RATE))[0].centre == 0


@pytest.mark.parametrize("onset", [8000, 8037])
def test_voicing_begins_and_ends_with_the_voice(onset: int) -> None:
    # Measured: within half a frame, 2.7 ms, at both ends.
    x = np.zeros(24000)
    x[onset : onset + 8000] = harmonics(np.full(8000, 120.0))
    voiced = np.flatnonzero(track(x)) * 80
    assert abs(voiced[0] - onset) < 80
    assert abs(onset + 8000 - voiced[-1]) < 80


@pytest.mark.parametrize("hop", [1, 37, 80, 160, 5000])
def test_every_length_gives_a_frame_per_hop(hop: int) -> None:
    x = harmonics(np.full(1300, 120.0))
    for n in [*range(1, 1300, 97), hop, hop + 1, 3 * hop - 1]:
        f0 = track(np.resize(x, n), hop=hop)
        assert len(f0) == -(-n // hop)
        assert ((f0 == 0) | ((f0 >= 60) & (f0 <= 400))).all()


@pytest.mark.parametrize(("f0", "formants"), [(604.9, "i"), (679.6, "i"), (808.17, "i"), (679.6, "u")])
def test_unequal_pulses_do_not_lower_the_pitch(f0: float, formants: str) -> None:
    """The pitch of voiced frames is right to a semitone, though periods are unequal; over 180 of 200 frames are voiced.

    Pulses lie at whole samples. So weak lines appear below the fundamental, and the first formant raises one of them.
    """
    found = track(vowel(f0, formants), low=40, high=1000)
    found = found[found > 0]
    assert len(found) > 180  # of 200
    assert np.abs(np.log2(found / f0)).max() < 1 / 12


def test_a_formant_between_the_last_pulses_of_a_low_voice_is_no_pitch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMANTS, "o", ((500.0, 60.0), (900.0, 80.0), (2400.0, 140.0)))
    found = track(vowel(45, "o", seconds=0.4), low=40, high=1000)
    assert found[found > 0] == pytest.approx(45, rel=0.01)  # 489 Hz in the last seven frames if nothing is done


@pytest.mark.parametrize(("f0", "formants"), [(60, "i"), (80, "i"), (101, "i"), (101, "u")])
def test_a_voice_without_its_lowest_harmonics_keeps_its_pitch(f0: float, formants: str) -> None:
    # In the band of a telephone, the first formant is the strongest candidate.
    band = butter(4, [300, 3400], "bandpass", fs=16000, output="sos")
    found = track(sosfilt(band, vowel(f0, formants)), low=40, high=1000)
    found = found[found > 0]
    assert len(found) > 80
    assert np.mean(np.abs(np.log2(found / f0)) > 1 / 12) < 0.03  # 0 to 2 frames at the ends


def test_speech_in_the_band_of_a_telephone_has_the_pitch_of_the_whole_band() -> None:
    x = speech()
    narrow = sosfilt(butter(4, [300, 3400], "bandpass", fs=16000, output="sos"), x)
    found, whole = (track(one, low=40, high=1000) for one in (narrow, x))
    both = (found > 0) & (whole > 0)
    assert both.sum() > 150
    assert (
        np.mean(np.abs(np.log2(found[both] / whole[both])) > 0.25) < 0.02
    )  # one of 190; half of them if nothing is done


def test_a_subharmonic_beside_the_fraction_of_a_pitch_is_found() -> None:
    # Periods of 21 and 22 samples, 741 Hz on the average: two of 21 are the period of a strong candidate at 381 Hz.
    f0 = 45 * 2 ** (97 / 24)
    x = vowel(f0, ((430.0, 80.0), (1170.0, 110.0), (3260.0, 180.0)))
    found = track(x, low=40, high=1000)
    assert np.abs(np.log2(found[found > 0] / f0)).max() < 1 / 12


def test_silence_has_no_pitch() -> None:
    assert not track(np.zeros(8000)).any()


@pytest.mark.parametrize(("n", "low"), [(1, 60.0), (700, 60.0), (20001, 80.0), (20001, 60.0)])
def test_what_was_tracked_before_changes_nothing(n: int, low: float) -> None:
    # 700 samples are fewer than half the longest window, and 80 to 400 Hz would read past a table: both leave the
    # result of pysptk alone to what the memory held.
    x = speech()[8000:]
    first = track(x[:n], low=low)
    for k in range(4):
        track(x[k : 3001 + 102 * k], Fraction(8000 + 4000 * k), 80 + k, 50.0 + k, 180.0)
        dirt = [np.full(size, 1e30) for size in range(10, 600, 3)]
        del dirt
        assert np.array_equal(track(x[:n], low=low), first)


def test_the_end_is_followed_by_zeros() -> None:
    x = speech(20000)[12000:]
    longer = track(np.concatenate((x, np.zeros(4000))))
    assert np.array_equal(track(x), longer[: len(x) // 80])


def test_single_precision_changes_nothing_that_sixteen_bits_hold() -> None:
    x = speech(20000)
    assert np.array_equal(track(x.astype(np.float32)), track(x))


def test_a_rate_that_is_no_whole_number() -> None:
    found = track(harmonics(np.full(8000, 150.0), 16000.5), Fraction(32001, 2))[10:-10]
    assert np.abs(1200 * np.log2(found / 150)).max() < 3  # as at 16000 Hz


@pytest.mark.parametrize(
    ("node", "x", "message"),
    [
        (Swipe(), Audio(Fraction(16000), channels=2), "put a mono 'mix' before it"),
        (Swipe(f0_min=200, f0_max=100), Audio(Fraction(16000)), "must rise, and be at most 4000 Hz"),
        (Swipe(f0_max=2001), Audio(Fraction(8000)), "at most 2000 Hz: change them, or put a 'resample'"),
    ],
)
def test_what_the_tracker_cannot_bear_is_refused(node: Swipe, x: Audio, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Graph({"pitch": node}, {"pitch.x": "x"}, {"x": x}, {"f0": "pitch"})
