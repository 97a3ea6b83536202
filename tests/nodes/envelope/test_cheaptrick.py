import sys
from fractions import Fraction

import numpy as np
import pytest
from scipy.signal import freqz, lfilter

from dspgraph import Array, Audio, Frames, ParameterError, load
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import cheaptrick, fft_size, pyworld, shortest_fft
from dspgraph_nodes.envelope.cheaptrick import Cheaptrick
from helpers.speech import speech

RATE = Fraction(16000)


def pitch(frames: int) -> Array:
    """Return a pitch contour [frames, 1] that rises from 90 to 210 Hz, with 0 in rows frames // 4 : frames // 3."""
    f0 = np.linspace(90, 210, frames)
    f0[frames // 4 : frames // 3] = 0
    return f0[:, None]


EXAMPLES = [
    Example(Cheaptrick(), x=(Audio(RATE), speech()[9000:14003]), f0=(Frames(200, "f0", 1), pitch(63))),
    Example(
        Cheaptrick(n_fft=512, q1=0),
        x=(Audio(22050), speech()[9000:11205]),
        f0=(Frames(Fraction(22050, 441), "f0", 1, "3/400"), pitch(5)),
    ),
]


@pytest.mark.parametrize("centre", [0.0, 0.0025])
def test_it_is_pyworlds_row_by_row(centre: float) -> None:
    x, f0 = speech()[8000:16000], pitch(100)
    node = Cheaptrick()
    stream = Frames(200, "f0", 1, centre)
    found = Example(node, x=(Audio(RATE), x), f0=(stream, f0)).render()["power"]
    pitches, times = f0[:, 0].copy(), np.arange(100) * 0.005 + centre
    alone = [pyworld().cheaptrick(x, pitches[k : k + 1], times[k : k + 1], 16000)[0] for k in range(100)]
    # The same times but for their last bit, which may move a window by no more than that.
    np.testing.assert_allclose(found, alone, rtol=1e-9)
    # In a call for all rows the noise of 1e-15 goes on from row to row: 1e-6 was measured, 4e-6 dB.
    np.testing.assert_allclose(found, pyworld().cheaptrick(x, pitches, times, 16000), rtol=3e-6)
    assert node.streams(Audio(RATE), stream) == (stream.like(kind="power", width=513),)


def test_the_envelope_of_a_filtered_pulse_train_is_the_filters() -> None:
    a = np.poly([0.95 * np.exp(0.6j), 0.95 * np.exp(-0.6j), 0.9 * np.exp(1.9j), 0.9 * np.exp(-1.9j)]).real
    x = lfilter([0.01], a, np.arange(16000) % 160 == 0)
    found = cheaptrick(x, RATE, np.full(100, 100.0), np.arange(100) * 0.01, 1024, -0.15)[20:80].mean(axis=0)
    expected = np.abs(freqz([0.01], a, 513, include_nyquist=True)[1]) ** 2
    error = 10 * np.log10(found / expected)
    error -= error.mean()
    assert np.sqrt((error**2).mean()) < 1  # dB; measured 0.4, against 25 dB between peak and valley


def test_silence_at_the_beginning_has_no_power_and_later_the_noise_of_world() -> None:
    x = np.concatenate((np.zeros(4000), speech()[9000:12000], np.zeros(4000)))
    f0 = np.full((138, 1), 100.0)
    found = Example(Cheaptrick(), x=(Audio(RATE), x), f0=(Frames(200, "f0", 1), f0)).render()["power"]
    first = np.flatnonzero(found.any(axis=1))[0]
    # The window of a row has 512 samples on each side.
    assert 80 * first < 4000 - 512 + 80
    assert found[:first].max(initial=0) == 0
    assert 0 < found[-30:].max() < 1e-13


def test_the_fft_is_pyworlds() -> None:
    for rate in range(8000, 192001, 1000):
        assert fft_size(Fraction(rate)) == pyworld().get_cheaptrick_fft_size(rate)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_the_shortest_fft_holds_the_window_of_an_unvoiced_frame(rate: int) -> None:
    n_fft = shortest_fft(Fraction(rate))
    assert n_fft >= 2 * round(1.5 * rate / 500) + 1 > n_fft // 2 - 2
    x = np.resize(speech()[9000:], rate // 4)
    for f0 in (0.0, 71.0, 499.0, rate / 2):  # the heap would be found corrupt here
        times = np.arange(50) * 0.005
        assert np.isfinite(cheaptrick(x, Fraction(rate), np.full(50, f0), times, n_fft, -0.15)).all()


@pytest.mark.parametrize("block", [100, 4000])
def test_an_error_names_the_frame_and_the_sample_of_the_whole_signal(block: int) -> None:
    def run(x: Array, f0: Array) -> None:
        state = Cheaptrick().start(Audio(RATE), Frames(200, "f0", 1))
        for k in range(0, 4000, block):
            state, _ = Cheaptrick().step(state, x[k : k + block], f0[-(-k // 80) : -(-(k + block) // 80)])

    x, f0 = np.zeros(4000), np.full((50, 1), 100.0)
    x[3123], f0[37] = 1e7, 9000
    with pytest.raises(ValueError, match="frame 37 has 9000 Hz"):
        run(np.zeros(4000), f0)
    with pytest.raises(ValueError, match="item 3123 is 1e[+]07"):
        run(x, np.zeros((50, 1)))


@pytest.mark.parametrize("f0", [8001.0, np.nan, np.inf])
def test_a_pitch_that_would_write_past_a_buffer_is_refused(f0: float) -> None:
    contour = np.full(10, 100.0)
    contour[3] = f0
    with pytest.raises(ValueError, match=r"at most 8000 Hz; frame 3 has (8001|nan|inf) Hz"):
        cheaptrick(speech(4000), RATE, contour, np.arange(10) * 0.005, 1024, -0.15)


def test_a_negative_pitch_is_none() -> None:
    x, times = speech()[9000:11000], np.arange(10) * 0.005
    rows = [cheaptrick(x, RATE, np.full(10, f0), times, 1024, -0.15) for f0 in (0.0, -5.0)]
    assert np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("x", [np.empty(0), np.array([0.0, np.nan]), np.array([0.0, 1e7])])
def test_what_is_no_signal_is_refused(x: Array) -> None:
    with pytest.raises(ValueError, match="one sample or more|full scale"):
        cheaptrick(x, RATE, np.full(1, 100.0), np.zeros(1), 1024, -0.15)


F0 = Frames(200, "f0", 1)


@pytest.mark.parametrize(
    ("node", "x", "f0", "message"),
    [
        (Cheaptrick(), Audio(RATE, channels=2), F0, "put a mono 'mix' before it"),
        (Cheaptrick(), Audio(4000), F0, "from 8000 to 192000; found .*: put a 'resample' before it"),
        (Cheaptrick(), Audio(RATE), F0.like(width=2), "one pitch per frame"),
        (Cheaptrick(n_fft=1000), Audio(RATE), F0, "n_fft is 1000; .* a power of two from 128 on: take 1024"),
        (Cheaptrick(n_fft=256), Audio(48000), F0, "a power of two from 512 on: take 2048"),
    ],
)
def test_streams_that_do_not_fit_are_refused(node: Cheaptrick, x: Audio, f0: Frames, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(x, f0)


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(ParameterError, match=r"cheaptrick needs pyworld, .* pip install 'dspgraph\[world\]'"):
        Cheaptrick().streams(Audio(RATE), F0)


def test_an_fft_too_short_for_a_low_voice_is_told() -> None:
    """The node, and the pipeline `world`, advise against an n_fft that is too short for low voices.

    The advice names the lowest pitch, 3 * rate / (n_fft - 3), as in WORLD's GetF0FloorForCheapTrick: 94.3 Hz for 512
    samples at 16 kHz. For 1024 samples there is no advice.
    """
    ports = Audio(16000), Frames(200, "f0", 1)
    assert Cheaptrick().advice(*ports) is Cheaptrick(n_fft=1024).advice(*ports) is None
    advice = Cheaptrick(n_fft=512).advice(*ports)
    assert advice is not None
    assert "cheaptrick.n_fft is 512, too short for a pitch below 94 Hz" in advice
    assert "take 1024" in advice
    graph = load("world", ["power.n_fft=512", "aperiodicity.n_fft=512"]).advice
    assert [one.partition(",")[0] for one in graph] == ["power: cheaptrick.n_fft is 512"]
