import sys
from fractions import Fraction

import numpy as np
import pytest

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import dio, pyworld
from dspgraph_nodes._kernels.signal.f0_range import drop_outside
from dspgraph_nodes.pitch.dio import Dio
from helpers.speech import speech

EXAMPLES = [
    Example(Dio(), x=(Audio(Fraction(16000)), speech()[8000:20003])),
    Example(Dio(hop=441, f0_min=60, f0_max=400, refine=False), x=(Audio(Fraction(22050)), speech()[8000:13001])),
]

RATE = Fraction(16000)


def track(x: Array, hop: int = 80, refine: bool = True) -> Array:
    return dio(x, RATE, hop, 71, 800, 0.1, refine)


def tone(f0: Array) -> Array:
    """Return the harmonics up to about 7 kHz of a pitch f0 [n], Hz, at 16 kHz; harmonic k has the amplitude 0.1 / k."""
    phase = 2 * np.pi * np.cumsum(f0) / 16000
    return sum((np.cos(k * phase) / k for k in range(1, int(7000 / f0.max()))), np.zeros(len(f0))) * 0.1


@pytest.mark.parametrize("refine", [False, True])
def test_it_is_pyworlds_row_by_row(refine: bool) -> None:
    x = speech()
    expected, times = pyworld().dio(x, 16000, f0_floor=71 / 1.2, f0_ceil=960.0)  # the wider range of search
    if refine:
        expected = pyworld().stonemask(x, expected, times, 16000)
    found = Example(Dio(refine=refine), x=(Audio(RATE), x)).render()["f0"][:, 0]
    different = found != drop_outside(expected[:800], 71, 800)
    assert different.mean() < 0.01  # subharmonics; measured 1 of 800 frames
    np.testing.assert_allclose(times[:800], np.arange(800) * 0.005, atol=1e-15)  # so the centre is 0


@pytest.mark.parametrize("f0", [80.0, 120.0, 300.0])
def test_the_pitch_of_a_tone_is_found(f0: float) -> None:
    found = track(tone(np.full(8000, f0)))[20:-20]
    assert np.abs(1200 * np.log2(found / f0)).max() < 2  # cents; measured 0.8 at 300 Hz


def test_a_row_is_the_pitch_at_the_start_of_its_span() -> None:
    glide = np.linspace(100, 200, 16000)  # a row a frame early or late would be off by 0.5 Hz
    assert np.abs(track(tone(glide)) - glide[::80])[30:170].mean() < 0.1  # measured 0.03


@pytest.mark.parametrize("hop", [1, 37, 80, 1600, 20000])
def test_every_length_gives_a_row_per_hop(hop: int) -> None:
    for n in (1, 2, 79, 80, 81, hop, hop + 1, 3 * hop):
        assert len(track(np.resize(speech()[9000:9999], n), hop)) == -(-n // hop)


def test_silence_has_no_pitch() -> None:
    assert not track(np.zeros(4000)).any()


@pytest.mark.parametrize("x", [np.empty(0), np.array([0.0, np.nan]), np.array([0.0, np.inf]), np.array([0.0, 1e7])])
def test_what_is_no_signal_is_refused(x: Array) -> None:
    with pytest.raises(ValueError, match="one sample or more|full scale"):
        track(x)


@pytest.mark.parametrize(
    ("node", "x", "message"),
    [
        (Dio(), Audio(RATE, channels=2), "put a mono 'mix' before it"),
        (Dio(), Audio(4000), "a whole number of hertz from 8000 to 192000; found .*: put a 'resample'"),
        (Dio(), Audio("32001/2"), "a whole number of hertz"),
        (
            Dio(f0_min=300, f0_max=200),
            Audio(RATE),
            "f0_min is 300 and f0_max 200; .* must be below f0_max, and f0_max at most 4000 Hz",
        ),
        (Dio(f0_max=4001), Audio(RATE), "f0_min must be below f0_max, and f0_max at most 4000 Hz"),
    ],
)
def test_streams_that_do_not_fit_are_refused(node: Dio, x: Audio, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(x)


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(ParameterError, match=r"dio needs pyworld, .* pip install 'dspgraph\[world\]'"):
        Dio().streams(Audio(RATE))


def test_rows_are_at_the_start_of_their_span() -> None:
    assert Dio(hop=80).streams(Audio(RATE)) == (Frames(200, "f0", 1),)
