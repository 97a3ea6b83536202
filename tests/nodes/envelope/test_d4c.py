import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import d4c, pyworld
from dspgraph_nodes.envelope.d4c import D4c
from helpers.speech import speech

RATE = Fraction(16000)
F0 = Frames(200, "f0", 1)


def pitch(frames: int) -> Array:
    """Return a pitch contour [frames, 1] that rises from 90 to 210 Hz, with 0 in rows frames // 4 : frames // 3."""
    f0 = np.linspace(90, 210, frames)
    f0[frames // 4 : frames // 3] = 0
    return f0[:, None]


EXAMPLES = [
    Example(D4c(), x=(Audio(RATE), speech()[9000:13003]), f0=(F0, pitch(51))),
    Example(
        D4c(n_fft=512, threshold=0),
        x=(Audio(22050), speech()[9000:11205]),
        f0=(Frames(Fraction(22050, 441), "f0", 1, "3/400"), pitch(5)),
    ),
]


@pytest.mark.parametrize("centre", [0.0, 0.0025])
def test_it_is_pyworlds_row_by_row(centre: float) -> None:
    x, f0 = speech()[8000:16000], pitch(100)
    stream = F0.like(centre=Fraction(str(centre)))
    found = Example(D4c(), x=(Audio(RATE), x), f0=(stream, f0)).render()["aperiodicity"]
    pitches, times = f0[:, 0].copy(), np.arange(100) * 0.005 + centre
    alone = [pyworld().d4c(x, pitches[k : k + 1], times[k : k + 1], 16000)[0] for k in range(100)]
    # The same times but for their last bit, which may move a window by no more than that.
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    # In a call for all rows the noise goes on from row to row. Rows that only have other noise differ as much.
    whole, other = (pyworld().d4c(x, pitches[k:], times[k:], 16000) for k in (0, 1))
    assert np.abs(found - whole).max() < 3 * np.abs(whole[1:] - other).max() < 0.02
    assert D4c().streams(Audio(RATE), stream) == (stream.like(kind="aperiodicity", width=513),)


@pytest.mark.parametrize("rate", [8000, 11025])
def test_at_a_low_rate_rows_are_those_of_the_whole_signal_nearly(rate: int) -> None:
    x, f0, times = speech()[8000 : 8000 + rate], pitch(100), np.arange(100) * 0.01
    found = Example(D4c(), x=(Audio(rate), x), f0=(Frames(100, "f0", 1), f0)).render()["aperiodicity"]
    whole = d4c(x, Fraction(rate), f0[:, 0], times, 2 * (found.shape[1] - 1), 0.85)
    assert np.abs(found - whole).mean() < 0.02  # measured 0.007 and 0.010


def test_a_pulse_train_is_periodic_and_noise_is_not() -> None:
    times, f0 = np.arange(100) * 0.005, np.full(100, 125.0)
    pulses = d4c((np.arange(8000) % 128 == 0) * 0.5, RATE, f0, times, 1024, 0.0)
    noise = d4c(np.random.default_rng(0).standard_normal(8000) * 0.1, RATE, f0, times, 1024, 0.0)
    band = slice(192, 320)  # 3 to 5 kHz
    assert pulses[10:90, band].max() < 0.1  # measured 0.014
    assert noise[10:90, band].mean() > 0.6  # measured 0.8


@pytest.mark.parametrize("rate", [8000, 11025])
def test_a_slow_signal_is_measured_like_the_same_at_twice_the_rate(rate: int) -> None:
    n = np.arange(2 * rate) / (2 * rate)  # harmonics below half the slow rate, some noise beside them
    noise = np.cumsum(np.random.default_rng(0).standard_normal(len(n))) * 1e-3
    x = sum((np.cos(2 * np.pi * 120 * k * n) for k in range(1, 20)), noise)
    times, f0 = np.arange(100) * 0.01, np.full(100, 120.0)
    slow = d4c(x[::2].copy(), Fraction(rate), f0, times, 512, 0.85)
    fast = pyworld().d4c(x, f0, times, 2 * rate, threshold=0.85, fft_size=1024)[:, :257]
    assert slow.shape == (100, 257)
    assert np.abs(slow - fast)[5:95].mean() < 0.03  # measured 0.020: x has a little noise above half the slow rate


def test_a_frame_without_pitch_is_all_noise() -> None:
    assert (d4c(speech()[9000:11000], RATE, np.zeros(20), np.arange(20) * 0.005, 1024, 0.85) > 1 - 1e-9).all()


def test_below_15800_hertz_nothing_depends_on_what_memory_held() -> None:
    """The result is the same in two processes in which glibc fills uninitialised memory differently.

    At rates below 15800 Hz, WORLD's own test of voicing reads such memory.
    """
    code = (
        "import numpy as np; from fractions import Fraction; from dspgraph_nodes._kernels.foreign.world import d4c\n"
        "x = np.sin(np.arange(2000) ** 1.3)\n"
        "for rate in (8000, 11025, 15799):\n"
        "    print(d4c(x, Fraction(rate), np.full(9, 120.0), np.arange(9) * 0.01, 512, 0.85).tobytes().hex())"
    )
    found = set()
    for fill in ("1", "170"):
        environment = {**os.environ, "MALLOC_PERTURB_": fill, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        found.add(done.stdout)
    assert len(found) == 1 and len(done.stdout.split()) == 3


@pytest.mark.parametrize("block", [100, 4000])
def test_an_error_names_the_frame_and_the_sample_of_the_whole_signal(block: int) -> None:
    def run(x: Array, f0: Array) -> None:
        state = D4c().start(Audio(RATE), Frames(200, "f0", 1))
        for k in range(0, 4000, block):
            state, _ = D4c().step(state, x[k : k + block], f0[-(-k // 80) : -(-(k + block) // 80)])

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
        d4c(speech(4000), RATE, contour, np.arange(10) * 0.005, 1024, 0.85)


@pytest.mark.parametrize(
    ("node", "x", "f0", "message"),
    [
        (D4c(), Audio(RATE, channels=2), F0, "put a mono 'mix' before it"),
        (D4c(), Audio(4000), F0, "from 8000 to 192000; found .*: put a 'resample' before it"),
        (D4c(), Audio(RATE), F0.like(width=2), "one pitch per frame"),
        (D4c(n_fft=1000), Audio(RATE), F0, "n_fft is 1000; .* a power of two from 128 on: take 1024"),
        (D4c(n_fft=256), Audio(48000), F0, "a power of two from 512 on: take 2048"),
    ],
)
def test_streams_that_do_not_fit_are_refused(node: D4c, x: Audio, f0: Frames, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        node.streams(x, f0)


def test_a_missing_library_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(ParameterError, match=r"d4c needs pyworld, .* pip install 'dspgraph\[world\]'"):
        D4c().streams(Audio(RATE), F0)
