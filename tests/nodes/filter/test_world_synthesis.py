from fractions import Fraction

import numpy as np
import pytest
from scipy.signal import freqz

from dspgraph import Array, Audio, Frames, NodeError, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.foreign.world import cheaptrick, d4c, dio, pyworld
from dspgraph_nodes._kernels.signal.world_pulses import Responses, lowest_pitch, minimum_phase, synthesis
from dspgraph_nodes.filter.world_synthesis import WorldSynthesis
from helpers.speech import speech

RATE = Fraction(16000)


def analysed(x: Array, hop: int = 80, centre: float = 0.0, n_fft: int = 1024) -> dict[str, Array]:
    """Return f0, power and aperiodicity of audio x [n] at 16 kHz, by name, one row for every `hop` samples.

    centre: the centre of the frames, in seconds, 0 or more; n_fft: the rows of power and aperiodicity have
    n_fft / 2 + 1 bins.
    """
    padded = np.concatenate((x[round(centre * 16000) :], np.zeros(round(centre * 16000))))
    f0 = dio(padded, RATE, hop, 71, 800, 0.1, True)
    times = np.arange(len(f0)) * hop / 16000 + centre
    return {
        "f0": f0[:, None],
        "power": cheaptrick(x, RATE, f0, times, n_fft, -0.15),
        "aperiodicity": d4c(x, RATE, f0, times, n_fft, 0.85),
    }


def streams(hop: int = 80, centre: float = 0.0, n_fft: int = 1024) -> dict[str, Frames]:
    f0 = Frames(RATE / hop, "f0", 1, centre)
    rows = f0.like(width=n_fft // 2 + 1)
    return {"f0": f0, "power": rows.like(kind="power"), "aperiodicity": rows.like(kind="aperiodicity")}


def example(node: WorldSynthesis, x: Array, hop: int = 80, centre: float = 0.0, n_fft: int = 1024) -> Example:
    arrays, kinds = analysed(x, hop, centre, n_fft), streams(hop, centre, n_fft)
    # The lookahead is that of the lowest pitch, whose pulses are n_fft / 2 samples apart.
    return Example.waiting_on_purpose(node, **{name: (kinds[name], arrays[name]) for name in kinds})


EXAMPLES = [
    example(WorldSynthesis(), speech()[8000:16000]),
    example(WorldSynthesis(rate=22050), speech()[8000:11000], hop=37, centre=0.01, n_fft=256),
]


@pytest.mark.parametrize("hop", [41, 81, 123])
def test_it_is_pyworlds(hop: int) -> None:
    """The output equals pyworld's to 1e-11; measured: 8e-13.

    With these hops, no sample lies exactly between two rows. Whether such a sample is voiced would depend on rounding
    errors in WORLD.
    """
    x = speech()[8000:24000]
    a = analysed(x, hop)
    expected = pyworld().synthesize(a["f0"][:, 0].copy(), a["power"], a["aperiodicity"], 16000, 1000 * hop / 16000)
    found = example(WorldSynthesis(), x, hop).render()["y"]
    assert len(found) >= len(x)
    n = min(len(found), len(expected))
    np.testing.assert_allclose(found[:n], expected[:n], rtol=0, atol=1e-11)  # measured 8e-13


def test_where_a_sample_lies_between_two_rows_it_is_pyworlds_up_to_there() -> None:
    x = speech()[8000:24000]
    a = analysed(x)
    expected = pyworld().synthesize(a["f0"][:, 0].copy(), a["power"], a["aperiodicity"], 16000)[: len(x)]
    found = example(WorldSynthesis(), x).render()["y"]
    differ = np.abs(found - expected) > 1e-9
    assert np.argmax(differ) > 12000
    # From there on the pulses lie by a part of a sample beside those of WORLD; the noise begins at another place.
    assert 10 * np.log10(np.mean(found**2) / np.mean(expected**2)) == pytest.approx(0, abs=0.5)


def test_analysis_and_synthesis_give_speech_of_the_same_spectrum() -> None:
    x = speech()[8000:24000]
    a = analysed(x)
    y = example(WorldSynthesis(), x).render()["y"]
    loud = a["power"].sum(axis=1) > 1e-2 * a["power"].sum(axis=1).max()
    again = cheaptrick(y, RATE, a["f0"][:, 0], np.arange(200) * 0.005, 1024, -0.15)
    distance = 10 * np.log10(again[loud, :256] / a["power"][loud, :256])  # up to 4 kHz
    assert np.sqrt((distance**2).mean()) < 4  # dB; measured 2.8; frames of other speech are 15 apart


@pytest.mark.parametrize("centre", [0.0, 0.0025, 0.01, -0.005])
def test_what_was_analysed_at_a_centre_is_heard_there(centre: float) -> None:
    rows = 100
    onset = 60  # voice from row 60 on
    f0 = np.where(np.arange(rows) < onset, 0.0, 120.0)
    power = np.where(np.arange(rows)[:, None] < onset, 1e-12, 1e-2) * np.ones(513)
    y = synthesis(f0, power, np.full((rows, 513), 0.001), RATE, Fraction(200), Fraction(str(centre)))
    assert len(y) == 8000
    first = int(np.argmax(np.abs(y) > 0.01)) - onset * 80 - round(centre * 16000)
    assert -80 <= first <= 133  # between rows power goes on a line; then the next pulse, at most a period later


@pytest.mark.parametrize(
    ("centre", "before", "after", "begin"), [("1/400", 1, 0, 40), ("1/200", 1, 0, 0), ("-1/400", 0, 1, 40)]
)
def test_it_is_pyworlds_of_rows_moved_by_the_centre(centre: str, before: int, after: int, begin: int) -> None:
    # Rows are 80 samples apart; what lies before the first row or after the last has that row.
    rows = {
        name: np.pad(array, ((before, after), (0, 0)), "edge") for name, array in analysed(speech()[8000:16000]).items()
    }
    inside = {name: array[before : len(array) - after] for name, array in rows.items()}
    expected = pyworld().synthesize(rows["f0"][:, 0].copy(), rows["power"], rows["aperiodicity"], 16000)
    found = synthesis(
        inside["f0"][:, 0], inside["power"], inside["aperiodicity"], RATE, Fraction(200), Fraction(centre)
    )
    np.testing.assert_allclose(found, expected[begin : begin + 8000], rtol=0, atol=1e-11)


def test_no_power_is_silence() -> None:
    node = WorldSynthesis()
    arrays = {"f0": np.full((70, 1), 120.0), "power": np.zeros((70, 513)), "aperiodicity": np.full((70, 513), 0.5)}
    y = Example(node, **{name: (stream, arrays[name]) for name, stream in streams().items()}).render()["y"]
    assert y.shape == (5600,)
    assert not y.any()


def test_a_single_power_of_0_is_no_nan() -> None:
    power = np.full((20, 513), 1e-4)
    power[7, 100:200] = 0
    for f0 in (0.0, 120.0):
        y = synthesis(np.full(20, f0), power, np.full((20, 513), 0.5), RATE, Fraction(200), Fraction(0))
        assert np.isfinite(y).all()
        assert np.abs(y).max() > 1e-3


def test_rows_without_power_are_silence_between_others() -> None:
    power = np.full((100, 513), 1e-4)
    power[30:70] = 0
    y = synthesis(np.full(100, 120.0), power, np.full((100, 513), 0.2), RATE, Fraction(200), Fraction(0))
    silent = y[80 * 31 + 513 : 80 * 69 - 513]
    assert len(silent) > 1000
    assert not silent.any()


def test_a_pitch_of_less_than_two_periods_is_none() -> None:
    lowest = lowest_pitch(16000.0, 1024)
    assert lowest == 31.25
    rows = np.full((60, 513), 1e-4), np.full((60, 513), 0.2), RATE, Fraction(200), Fraction(0)
    below, none, above = (synthesis(np.full(60, f0), *rows) for f0 in (31.0, 0.0, 31.5))
    assert np.array_equal(below, none)
    assert not np.array_equal(above, none)


def test_the_declared_lookahead_is_enough_and_little_is_kept() -> None:
    """No sample comes later than the lookahead declares, and at most 15 rows are kept.

    The signal comes in blocks of one row; its pitch jumps at random between unvoiced, 31.3, 40, 90 and 400 Hz.
    """
    draw, none = np.random.default_rng(0), np.zeros((0, 513))
    responses, given = Responses(RATE, Fraction(200), Fraction(0), 1024), 0
    for k in range(1, 1000):
        f0 = np.array([draw.choice([0.0, 31.3, 40.0, 90.0, 400.0])])
        given += len(responses.push(f0, np.full((1, 513), 1e-4), np.full((1, 513), 0.5)))
        late = WorldSynthesis().lookahead(**streams()) * 16000
        assert 80 * k - given <= late + 80
        assert len(responses.f0) <= 15  # 1024 samples, and two rows
    assert given + len(responses.push(np.zeros(0), none, none, True)) == 80 * 999


def test_a_spectrum_of_minimum_phase_is_that_of_a_filter_with_poles_inside_the_circle() -> None:
    a = np.poly([0.9 * np.exp(0.6j), 0.9 * np.exp(-0.6j), 0.8]).real
    expected = freqz([1], a, 513, include_nyquist=True)[1]
    np.testing.assert_allclose(minimum_phase(np.abs(expected) ** 2), expected, rtol=1e-9)


@pytest.mark.parametrize("f0", [8001.0, 16000.0])
def test_a_pitch_above_half_the_rate_is_refused(f0: float) -> None:
    rows = streams()
    arrays = {"f0": np.full((50, 1), f0), "power": np.ones((50, 513)), "aperiodicity": np.full((50, 513), 0.5)}
    with pytest.raises(NodeError, match="at most 8000 Hz; frame 0 has"):
        Example(WorldSynthesis(), **{name: (rows[name], arrays[name]) for name in rows}).render()


@pytest.mark.parametrize("rate", [8000, 48000, pytest.param(192000, marks=pytest.mark.slow)])
def test_the_shortest_rows_that_are_taken_are_sound(rate: int) -> None:
    width = {8000: 33, 48000: 257, 192000: 1025}[rate]
    node = WorldSynthesis(rate=rate)
    short = streams(n_fft=2 * (width - 1))
    assert node.streams(**short) == (Audio(rate),)
    for f0 in (0.0, 71.0, 499.0, rate / 2):  # the heap would be found corrupt here
        rows = np.ones((40, width))
        y = synthesis(np.full(40, f0), rows, rows * 0.5, Fraction(rate), Fraction(200), Fraction(0))
        assert len(y) == rate // 5
        assert np.isfinite(y).all()


@pytest.mark.parametrize(
    ("changes", "rate", "message"),
    [
        ({"f0": {"width": 2}}, 16000, "one pitch per frame"),
        ({"power": {"width": 257}}, 16000, "rows of one width; found .*: give both the same n_fft"),
        ({"power": {"width": 500}, "aperiodicity": {"width": 500}}, 16000, "a power of two, at 16000 Hz at least 128"),
        ({"power": {"width": 129}, "aperiodicity": {"width": 129}}, 48000, "at 48000 Hz at least 512"),
        ({"f0": {"rate": Fraction(9000)}}, 8000, "less than one sample for every row"),
    ],
)
def test_streams_that_do_not_fit_are_refused(changes: dict[str, dict[str, object]], rate: int, message: str) -> None:
    kinds = {name: stream.like(**changes.get(name, {})) for name, stream in streams().items()}
    with pytest.raises(ParameterError, match=message):
        WorldSynthesis(rate=rate).streams(**kinds)


@pytest.mark.parametrize("block", [3, 60])
def test_an_error_names_the_frame_of_the_whole_signal(block: int) -> None:
    def run(f0: Array, rows: Array) -> None:
        node = WorldSynthesis()
        state = node.start(*streams().values())
        for k in range(0, 60, block):
            state, _ = node.step(state, f0[k : k + block], rows[k : k + block], rows[k : k + block])

    with pytest.raises(ValueError, match="frame 43 has 9000 Hz"):
        run(np.where(np.arange(60) == 43, 9000.0, 100.0)[:, None], np.ones((60, 513)))
