from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dspgraph import Array, Audio, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.sptk import rapt, reset_noise, sptk
from dspgraph_nodes._kernels.signal.f0_range import drop_outside
from dspgraph_nodes.pitch.rapt import CENTRE, Rapt
from helpers.speech import speech

EXAMPLES = [
    Example(Rapt(), x=(Audio(Fraction(16000)), speech(20003))),
    Example(Rapt(hop=441, f0_min=80, f0_max=240, voice_bias=0.2), x=(Audio(Fraction(22050)), speech(15001))),
]

RATE = Fraction(16000)


def track(x: Array, rate: Fraction = RATE, hop: int = 80, low: float = 60.0, high: float = 400.0) -> Array:
    return rapt(x, rate, hop, low, high, 0.0)


def harmonics(f0: Array, rate: float = 16000) -> Array:
    """Return harmonics up to about 7 kHz of a pitch f0 [n], falling by 6 dB per octave, with the peak 0.5. rate: Hz."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    x: Array = sum((np.cos(k * phase) / k for k in range(1, int(7000 / f0.max()))), np.zeros(len(f0)))
    x *= 0.5 / np.abs(x).max()
    return x


@pytest.mark.parametrize("f0", [100, 120, 150, 200, 250, 300])
def test_the_pitch_of_a_tone_is_found(f0: float) -> None:
    # Measured: 2.8 cents at most, at 100 Hz; the lag is interpolated between samples by a parabola.
    found = track(harmonics(np.full(16000, float(f0))))[10:-10]
    assert np.abs(1200 * np.log2(found / f0)).max() < 4


def test_it_is_pysptks_where_pysptk_reaches() -> None:
    x = speech()
    reset_noise()
    direct = sptk.rapt((x * 32768).astype(np.float32), 16000, 80, min=40, max=480)  # the wider range of search
    found, expected = track(x), drop_outside(direct, 60, 400)
    raised = (found != expected) & (found > 0)
    np.testing.assert_allclose(found[raised], 2 * direct[raised], rtol=1e-6)  # subharmonics
    assert (found != expected).mean() < 0.02  # measured 8 of 800 frames


def test_voice_is_followed_to_the_end() -> None:
    # pysptk alone finds none in the last six frames (30 ms) of a tone. Here the last two frames may be unvoiced: their
    # 7.5 ms and a period of 8.3 ms reach beyond the end.
    found = track(harmonics(np.full(16000, 120.0)))
    assert (found[:-3] > 0).all()


@pytest.mark.parametrize(("low", "high"), [(80, 100), (100, 130), (120, 147), (190, 230), (260, 300)])
def test_a_frame_is_centred_half_a_window_and_half_a_period_after_its_start(low: float, high: float) -> None:
    # A chirp of slope s gives the pitch f(t + centre) = f(t) + s centre; the mean of a rising and a falling one cancels
    # what the parabola does to single lags. Within 0.2 ms of 3.75 ms + half a period, measured 0.16.
    centres = []
    for begin, end in ((low, high), (high, low)):
        glide = np.linspace(begin, end, 32000)
        error = track(harmonics(glide)) - glide[::80]
        centres.append(error[60:340].mean() / (end - begin) * 2)
    assert abs(np.mean(centres) - (0.00375 + (1 / low + 1 / high) / 4)) < 0.2e-3


def test_the_declared_centre_is_that_of_133_hertz() -> None:
    assert Fraction(15, 2000) == CENTRE
    (f0,) = Rapt(hop=80).streams(Audio(RATE))
    assert f0.centre == CENTRE
    assert f0.rate == 200


@pytest.mark.parametrize("onset", [8000, 8037])
def test_voicing_begins_and_ends_with_the_voice(onset: int) -> None:
    # Measured: the first voiced frame starts 5.0 and 7.3 ms before the onset, so about one `centre`, and the last one
    # 10.0 and 12.3 ms before the end.
    x = np.zeros(24000)
    x[onset : onset + 8000] = harmonics(np.full(8000, 120.0))
    voiced = np.flatnonzero(track(x)) * 80
    assert -160 < voiced[0] - onset < 0
    assert 0 < onset + 8000 - voiced[-1] < 240


@pytest.mark.parametrize("hop", [1, 37, 80, 160, 1600])
def test_every_length_gives_a_frame_per_hop_and_no_found_memory(hop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # pysptk takes its result from np.empty and does not fill it for short signals: poison what is there.
    empty = np.empty

    def poisoned(shape: Any, dtype: Any = float, **options: Any) -> Array:
        array: Array = empty(shape, dtype, **options)
        if array.dtype.kind == "f":
            array.fill(-777)
        return array

    monkeypatch.setattr(np, "empty", poisoned)
    x = harmonics(np.full(1300, 120.0))
    for n in [*range(1, 1300, 97), hop, hop + 1, 3 * hop - 1]:
        f0 = track(np.resize(x, n), hop=hop)
        assert len(f0) == -(-n // hop)
        assert ((f0 == 0) | ((f0 > 57) & (f0 < 420))).all()


def test_silence_has_no_pitch() -> None:
    assert not track(np.zeros(8000)).any()


@pytest.mark.parametrize(("level", "found"), [(50, False), (100, True)])
def test_what_is_no_louder_than_the_noise_it_adds_has_no_pitch(level: float, found: bool) -> None:
    # Its noise has an RMS of 50 on the 16-bit scale. Measured on a tone: no frame at 50, 99.5 % of them at 100.
    x = harmonics(np.full(16000, 120.0))
    x *= level / 32768 / np.sqrt(np.mean(x**2))
    assert (np.mean(track(x) > 0) > 0.9) == found


@pytest.mark.parametrize("n", [1, 500, 20000, 20001])
def test_what_was_tracked_before_changes_nothing(n: int) -> None:
    x = speech()[8000:]
    first = track(x[:n])
    for k in range(4):  # other lengths, rates, hops and ranges, then SPTK's noise at the first and the second of a pair
        track(x[k : 3001 + 103 * k], Fraction(8000 + 4000 * k), 80 + k, 50.0 + k)
        for _ in range(2):
            sptk.excite(np.zeros(2), hopsize=1, gaussian=True)
            assert np.array_equal(track(x[:n]), first)


def test_single_precision_changes_nothing_that_sixteen_bits_hold() -> None:
    x = speech(20000)
    assert np.array_equal(track(x.astype(np.float32)), track(x))


def test_a_rate_that_is_no_whole_number() -> None:
    found = track(harmonics(np.full(8000, 150.0), 16000.5), Fraction(32001, 2))[10:-10]
    assert np.abs(1200 * np.log2(found / 150)).max() < 4  # as at 16000 Hz


@pytest.mark.parametrize(
    ("node", "x", "message"),
    [
        (Rapt(), Audio(Fraction(16000), channels=2), "put a mono 'mix' before it"),
        (Rapt(), Audio(Fraction(3999)), "8000 to 96000 Hz; found .*: put a 'resample' before it"),
        (Rapt(f0_min=20), Audio(Fraction(200000)), "8000 to 96000 Hz"),
        (Rapt(hop=1601), Audio(Fraction(16000)), "must be at most 0.1 s: 1600 samples"),
        (Rapt(f0_min=300, f0_max=200), Audio(Fraction(16000)), "must rise"),
        (Rapt(f0_max=8000), Audio(Fraction(16000)), "stay below 8000 Hz"),
    ],
)
def test_what_the_tracker_cannot_bear_is_refused(node: Rapt, x: Audio, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Graph({"pitch": node}, {"pitch.x": "x"}, {"x": x}, {"f0": "pitch"})


def test_samples_that_were_never_scaled_are_refused() -> None:
    with pytest.raises(ValueError, match="item 7 is 1e\\+10, beyond 100: scale the signal first"):
        track(np.where(np.arange(16000) == 7, 1e10, 0.0))
