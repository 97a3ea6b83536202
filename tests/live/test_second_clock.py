"""A recording device with a clock of its own, in virtual time: no sample is lost, none comes twice, the pitch stays."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal
from scipy.optimize import minimize_scalar

from dspgraph import Array, Audio, Graph, Live, Set, load, perform
from dspgraph.live.second_clock import BAND, SecondClock, interpolate, interpolation_table
from dspgraph.testing.devices import FakeDevice
from helpers.commands import dspgraph
from helpers.live import play
from helpers.speech import speech
from helpers.toys import ToyScale

RATE, N, F = 8000, 400, 500
"""Samples a second, samples in a quantum, and the frequency of a sine in Hz: 25 whole periods in a quantum."""

CLOCKS: Mapping[str, Mapping[float, float]] = {
    "fast": {0: 50.0},
    "slow": {0: -50.0},
    # It becomes warm, by 0.4 in a million each second, and cold again: much quicker than crystals do.
    "drift": {60: 0.0, 210: 60.0, 510: -60.0},
}


def same() -> Graph:
    return Graph({"scale": ToyScale(factor=1)}, {"scale.x": "x"}, {"x": Audio(RATE)}, {"y": "scale"})


def sine(seconds: float) -> Array:
    found: Array = (0.5 * np.sin(2 * np.pi * F / RATE * np.arange(int(seconds * RATE)))).astype(np.float32)
    return found


def heard(device: FakeDevice) -> tuple[Array, Array]:
    """Measure how fast the recorded signal, a sine of F Hz, was read for the quanta that the device has played.

    Returns two arrays with one number for each step from one quantum of N samples to the next: the time in seconds at
    which the next one begins, and the number of recorded samples that the step has used. The first three quanta are
    left out. The number of samples follows from the phases of the sine in both quanta, so it does not depend on what
    the resampler reports.
    """
    y = device.played[:, 0].astype(np.float64)
    quanta = y[: len(y) // N * N].reshape(-1, N)
    angles: Array = np.angle(quanta @ np.exp(-2j * np.pi * F / RATE * np.arange(N)))[3:]
    steps = np.angle(np.exp(1j * np.diff(angles))) / (2 * np.pi * F / RATE)
    return (np.arange(len(steps)) + 4) * N / RATE, N + steps


@pytest.mark.parametrize(
    ("clock", "seconds"),
    [("fast", 120), ("drift", 240), *(pytest.param(name, 3600, marks=pytest.mark.slow) for name in CLOCKS)],
)
def test_no_sample_is_lost_and_the_pitch_stays(clock: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    take = SecondClock.take

    def counted(self: SecondClock, time: float) -> Array:
        found = take(self, time)
        kept.append(self.held)
        return found

    monkeypatch.setattr(SecondClock, "take", counted)
    device = FakeDevice(sine(seconds), clock=CLOCKS[clock])
    engine = play(same(), device, quantum=Fraction(N, RATE))
    stats = engine.stats()
    assert (stats.lost, stats.silent) == (0, 0)
    times, steps = heard(device)
    assert len(times) > (seconds - 1) * RATE / N
    # A quantum that is heard now was recorded `late` ago.
    late = 2 * N / RATE + engine.exchange.second.lateness  # type: ignore[union-attr]
    points = CLOCKS[clock]
    due = N * (1 + 1e-6 * np.interp(times - late, list(points), list(points.values())))
    wrong = 1e6 * np.abs(steps - due) / N
    # A sample that is lost or comes twice is 1 in 400, 2500 in a million. The pitch is wrong by 60 in a million, 0.1
    # cent, before the ratio is found, by 20 after 10 s, by 8 after a minute. Measured: 50, 5.3 and 5.3.
    assert wrong.max() < 60
    assert wrong[times > 12].max() < 20
    assert wrong[times > 62].max() < 8
    assert stats.drift == pytest.approx(1e6 * (due[-1] / N - 1), abs=10)
    # What is kept is the delay: the filter, a block for each of its two parts, and one that is on its way.
    assert max(kept) <= 96 + 3 * N
    assert abs(kept[-1] - kept[len(kept) // 2]) <= N


@pytest.mark.parametrize(("jitter", "least"), [(0.0, 110), (0.001, 60)])
def test_a_sine_comes_out_as_a_sine(jitter: float, least: float) -> None:
    """For each second after 72 s, the SNR is measured relative to the best fitting sine.

    The measured SNR is 127 dB, and 68 dB if the device's calls come up to 1 ms late. jitter: how late calls may come,
    in seconds; least: the SNR that each second must exceed, in dB.
    """
    rate, f, n = 16000, 1000, np.arange(16000)
    x = 0.5 * np.sin(2 * np.pi * f / rate * np.arange(85 * rate))
    graph = Graph({"scale": ToyScale(factor=1)}, {"scale.x": "x"}, {"x": Audio(rate)}, {"y": "scale"})
    device = FakeDevice(x, clock={0: 50.0}, jitter=jitter)
    engine = play(graph, device)
    assert engine.stats().lost == 0
    for second in range(72, 83):
        y = device.played[second * rate :][:rate, 0].astype(np.float64)

        def rest(faster: float, y: Array = y) -> float:
            angle = 2 * np.pi * f * (1 + 1e-6 * faster) / rate * n
            waves = np.stack((np.sin(angle), np.cos(angle)), axis=1)
            return float(np.mean((y - waves @ np.linalg.lstsq(waves, y, rcond=None)[0]) ** 2))

        best = minimize_scalar(rest, bounds=(30, 70), method="bounded", options={"xatol": 1e-4}).fun
        assert 10 * np.log10(np.mean(y**2) / best) > least


def test_one_clock_is_untouched() -> None:
    x = (0.4 * speech(8000)).astype(np.float32)
    device = FakeDevice(x)
    engine = play(same(), device, quantum=Fraction(N, RATE))
    assert engine.exchange.second is None
    assert engine.stats().drift is None
    assert_array_equal(device.played[2 * N :, 0], x[: len(device.played) - 2 * N])


def test_the_recording_is_what_the_graph_got_and_renders_again(tmp_path: Path) -> None:
    pipeline, take = tmp_path / "mine.yaml", tmp_path / "take"
    pipeline.write_text(
        "inputs: {x: {audio: 8000}, volume: {control: 1.0}}\n"
        "nodes: {out: {node: fade, x: x, gain: volume}}\noutputs: {y: out}\n"
    )
    x = (0.4 * np.tile(speech(16000), 2)).astype(np.float32)
    device = FakeDevice(x, clock={0: 300.0, 1: -300.0}, jitter=0.002, lost={15: 100})
    move = Set("volume", 0.3, 0.5, at=1)
    with Live(load(pipeline), controls={"volume": 1.0}, device=device, events=[move], record=take) as live:
        live.wait()
    assert live.stats.lost == 100
    assert live.stats.drift is not None
    recorded, out = (soundfile.read(take / name, dtype="float32")[0] for name in ("x.wav", "out.wav"))
    assert not np.array_equal(recorded[: len(x)], x[: len(recorded)])
    assert_array_equal(
        perform(load(pipeline), {"x": recorded}, live.events, {"volume": 1.0})["y"].astype(np.float32), out
    )
    done = dspgraph("render", pipeline, take / "x.wav", "--events", take / "events.jsonl", "-o", tmp_path / "again", "--format", "wav")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (tmp_path / "again" / "x.wav").read_bytes() == (take / "out.wav").read_bytes()


def test_lost_samples_are_zeros_and_the_time_stays() -> None:
    """1000 samples that the device loses become zeros; outside them the output is that without the loss, to 0.005."""
    x = sine(20)
    found = []
    for lost in ({}, {150: 1000}):  # a block of 50 ms, the first is 0.5 s before the quantum 0
        device = FakeDevice(x, clock={0: 40.0}, lost=lost)
        engine = play(same(), device, quantum=Fraction(N, RATE))
        found.append(device.played[:, 0])
    stats = engine.stats()
    assert stats.lost == sum(count for _, count in stats.losses) == 1000
    assert 7 < stats.losses[0][0] < 7.2
    whole, holed = (one[: 19 * RATE] for one in found)
    silent = np.flatnonzero(np.abs(holed.reshape(-1, 10)).max(axis=1) == 0) * 10
    first, last = silent[silent > 2000][[0, -1]]  # the filter reaches 48 samples into the zeros, at both ends
    assert 1000 - 2 * 48 - 20 <= last + 10 - first <= 1000
    wrong = np.abs(holed - whole)
    # A sample more or less would be 0.2. The loop goes on with the nominal rate during the loss: 40e-6 of 125 ms.
    assert max(wrong[: first - 100].max(), wrong[last + 100 :].max()) < 0.005


def test_samples_that_come_too_late_are_zeros_and_the_next_are_not() -> None:
    """Blocks of 10 ms come up to 40 ms late: the delay grows by one block at a time, until no block comes too late.

    From 15 s on, no sample is lost.
    """
    clock, draw = SecondClock(Fraction(RATE), Fraction(RATE), 1, 80), np.random.default_rng(0)
    x, waiting, seen = np.ones((80, 1)), [(0.01 * k, 0.01 * k) for k in range(1, 30)], []
    for time, _ in waiting:
        clock.put(x, time)
    last = 0.29
    blocks = iter([(last + 0.01 * k, last + 0.01 * k + 0.04 * float(draw.random())) for k in range(1, 3000)])
    pending = [next(blocks)]
    for k in range(2900):
        now = 0.295 + 0.01 * k
        while pending[0][1] <= now:
            clock.put(x, now)
            pending = [next(blocks)]
        seen.append(clock.take(now)[:, 0])
    y = np.concatenate(seen)
    assert 0 < clock.lost < 0.1 * RATE
    assert clock.lateness < 0.1
    assert sum(count for _, count in clock.losses) == clock.lost
    assert not any(time > 15 for time, _ in clock.losses)
    np.testing.assert_allclose(y[15 * RATE :], 1, atol=1e-6)


@pytest.mark.parametrize("stall", [0.1, 0.5])
@pytest.mark.parametrize("side", ["playing", "recording"])
def test_a_stall_is_over_soon_and_bends_no_pitch(side: str, stall: float) -> None:
    """One device stops at 30 s and reports nothing; the samples that it has missed are lost, or up to 0.25 s more.

    side: the device that stops; stall: for how many seconds.
    """
    clock, span = SecondClock(Fraction(RATE), Fraction(RATE), 1, 80), 0.01
    came, now, seen, drifts = -0.5, 0.0, list[Array](), list[float]()
    while now < 120:
        while came <= now:
            if not (side == "recording" and 30 <= came < 30 + stall):
                clock.put(np.ones((80, 1)), came)
            came += span / (1 + 20e-6)
        if len(seen) == 3000:
            before = clock.lateness
            now += stall * (side == "playing")
        seen.append(clock.take(now)[:, 0])
        drifts.append(1e6 * clock.drift)
        now += span
    silent = np.flatnonzero(np.concatenate(seen)[10 * RATE :] == 0) / RATE + 10
    assert len(silent) <= (side == "recording") * 1.2 * (stall + 0.2) * RATE
    assert not len(silent) or 30 <= silent[0] <= silent[-1] < 30 + stall + 0.3
    # The rates differ by 20 in a million. The loop has settled to 8 in a million after 10 s, see above.
    assert np.abs(np.subtract(drifts[1500:], 20)).max() < 10
    assert before <= clock.lateness <= before + span
    assert clock._error(now) == pytest.approx(0, abs=0.001)
    assert clock.lost == sum(count for _, count in clock.losses)
    assert stall * RATE - 160 <= clock.lost <= (stall + 0.25) * RATE
    assert len(clock.losses) <= 3


@pytest.mark.parametrize("start", [-0.5, 30.0])
def test_the_ratio_is_found_as_fast_when_the_device_starts_late(start: float) -> None:
    clock, came, wrong = SecondClock(Fraction(RATE), Fraction(RATE), 1, 80), start, list[float]()
    for k in range(5000):
        while came <= 0.01 * k:
            clock.put(np.ones((80, 1)), came)
            came += 0.01 / (1 + 300e-6)
        clock.take(0.01 * k)
        wrong.append(abs(1e6 * clock.drift - 300))
    assert max(wrong[round(100 * max(0, start)) + 1000 :]) < 20  # measured: 6 s after the start


def test_the_delay_grows_by_a_block_at_a_time_and_by_a_fifth_of_a_second_at_most() -> None:
    """Again and again, the blocks of half a second come late and all at once, but the device loses no sample."""
    clock, came, delays = SecondClock(Fraction(RATE), Fraction(RATE), 1, 80), -0.5, list[float]()
    for k in range(7000):
        while came <= 0.01 * k and not (k > 1000 and k % 150 >= 100):
            clock.put(np.ones((80, 1)), came)
            came += 0.01
        clock.take(0.01 * k)
        delays.append(clock.lateness)
    grows = np.diff(delays)
    assert np.count_nonzero(grows) == 20
    assert grows.max() == pytest.approx(0.01)
    assert delays[-1] == pytest.approx(delays[0] + 0.2)


@pytest.mark.parametrize("rate", [4000, 8000, 24000])
def test_losses_are_counted_at_the_rate_of_the_device(rate: int) -> None:
    """The device loses 0.1 s, which are counted once, in samples at the rate of the device.

    Before the device reports this, the resampler has already replaced a part by zeros.
    """
    clock, block = SecondClock(Fraction(rate), Fraction(RATE), 1, 80), rate // 100
    came, number = -0.5, 0
    for k in range(3000):
        now = 0.01 * k + 0.005
        while came <= now:
            number += 1
            if not 1000 <= number < 1010:
                clock.put(np.ones((block, 1)), came, 10 * block * (number == 1010))
            came += 0.01
        clock.take(now)
    assert clock.lost == sum(count for _, count in clock.losses)
    assert clock.lost == pytest.approx(10 * block, abs=3)


# ---- the interpolation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.4, 0.7, 0.85])
@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_a_sine_is_interpolated(share: float, ratio: float) -> None:
    """The largest error must be 97 dB below the sine, whose frequency is below 0.86 of the lower Nyquist frequency.

    share: the frequency of the sine, divided by the lower of the Nyquist frequencies of the two rates; ratio: the rate
    before the interpolation, divided by the rate after it.
    """
    w, table = np.pi * share / ratio, interpolation_table(ratio)
    half = table.shape[1] // 2
    x = np.sin(w * np.arange(2000))[:, None]
    places = np.sort(np.random.default_rng(0).uniform(half, 2000 - half - 1, 3000))
    wrong = interpolate(x, places, table)[:, 0] - np.sin(w * places)
    assert 20 * np.log10(np.abs(wrong).max()) < -97  # a ripple of 1e-5 in the pass band, and what is mirrored


@pytest.mark.parametrize("share", [1.0, 1.3, 2.5])
def test_what_the_lower_rate_cannot_have_is_taken_away(share: float) -> None:
    """A sine above the Nyquist frequency of the lower rate must come out softer than -97 dB; the rate falls to a third.

    share: the frequency of the sine, divided by the Nyquist frequency of the lower rate.
    """
    table = interpolation_table(3.0)
    half = table.shape[1] // 2
    x = np.sin(np.pi * share / 3 * np.arange(4000) + 0.3)[:, None]
    found = interpolate(x, np.arange(half, 4000 - half - 1, 3.0), table)
    assert 20 * np.log10(np.abs(found).max()) < -97


def test_an_interpolation_at_whole_places_is_the_filter_itself() -> None:
    """The response to an impulse is compared with the formula of the filter, a sinc with scipy's Kaiser window."""
    from scipy.signal.windows import kaiser

    table = interpolation_table(1.0)
    t = np.arange(-48, 49)
    taps = np.sinc(BAND * t) * kaiser(97, 10.06)
    x = np.zeros((400, 1))
    x[200] = 1
    found = interpolate(x, np.arange(150.0, 250.0), table)[:, 0]
    # The last tap, 1.6e-6, falls away: a row has 96.
    np.testing.assert_allclose(found[50 - 48 : 50 + 48], taps[:-1] / taps.sum(), rtol=1e-5, atol=1e-12)
