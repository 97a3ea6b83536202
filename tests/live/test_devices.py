"""Live graphs on a sound card: a JACK server without hardware, whose cables give back every sample.

The tests start and stop the server themselves. Another program, the card, plays and records on the other side.
"""

import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Graph, Live, LiveError, load, perform
from dspgraph_nodes.mix.gain import Gain
from helpers.commands import dspgraph
from helpers.jack import Card, TwoStreams, jack_server
from helpers.speech import speech

RATE, Q = 16000, 160

PIPELINE = """
extends: lpc_vocoder
inputs:
  volume: {control: 1.0}
nodes:
  out: {node: fade, x: limited, gain: volume}
outputs:
  speech: out
"""


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    with jack_server(tmp_path_factory.mktemp("jack") / "log"):
        one = Card()
        yield one
        one.close()


@pytest.mark.process
def test_a_server_ends_with_a_test_run_that_is_killed(tmp_path: Path, card: Card) -> None:
    code = (
        "import os, pathlib, signal\nfrom helpers.jack import jack_server\n"
        f"with jack_server(pathlib.Path({str(tmp_path / 'log')!r})) as server:\n"
        "    print(server.pid, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=environment)
    server = Path("/proc") / done.stdout.decode().strip()
    end = time.monotonic() + 20
    while server.exists() and server.joinpath("stat").read_text().split()[2] != "Z":
        assert time.monotonic() < end, "the server is still there"
        time.sleep(0.05)


def signal(seconds: int) -> Array:
    """Return [RATE * seconds] of speech plus weak noise, in which no part occurs twice and no quantum is silent."""
    noise = 1e-3 * np.random.default_rng(0).standard_normal(RATE * seconds)
    return (0.4 * np.resize(speech(), RATE * seconds) + noise).astype(np.float32)


def place_of(part: Array, whole: Array, first: int = 0) -> int:
    """Return the offset of `part` in `whole`, in samples: the place of a quantum in `whole`, less its place in `part`.

    The quantum is the first of `part`, from the sample `first` on, that is not silent and occurs once in `whole`.
    Raises AssertionError if there is none.
    """
    for at in range(first, len(part) - Q, Q):
        quantum = part[at : at + Q]
        if not quantum.any():
            continue
        places = [int(k) for k in np.flatnonzero(whole == quantum[0]) if np.array_equal(whole[k : k + Q], quantum)]
        if len(places) == 1:
            return places[0] - at
    raise AssertionError("the signal was not heard")


def test_a_loopback_gives_back_every_sample_at_a_constant_delay(card: Card) -> None:
    """Every quantum comes back with the same delay, except for those that are late or lost on a busy machine.

    Each of these is counted.
    """
    graph = Graph({"gain": Gain()}, {"gain.x": "x"}, {"x": Audio(RATE)}, {"y": "gain"})
    x = signal(2)
    with Live(graph, x="default:1", out="default:2", ahead=4) as live:
        heard = card.take(x)
        stats = live.stats
    assert silent_quanta(heard, x) <= (stats.silent + stats.lost) // Q
    late = -place_of(heard, x)
    assert late >= 7 * Q  # two of PortAudio, one of the cable, four that lie ready
    assert late % Q == 0


@pytest.mark.parametrize("seconds", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_a_vocoder_with_swaps_is_the_performance_and_renders_again(card: Card, seconds: int, tmp_path: Path) -> None:
    """The recorded output is that of `perform` for the recorded input and events, and `render` writes its bytes again.

    `perform` gives the same samples with blocks of other sizes. The card heard the performance, or silence that was
    counted. There is a swap every half second, two of them quick, and a control that moves. seconds: the length of the
    signal.
    """
    pipeline, take = tmp_path / "mine.yaml", tmp_path / "take"
    pipeline.write_text(PIPELINE)
    graphs = [load(pipeline, swap={"excitation": name}) for name in ("residual", "whisper")]
    controls = {"volume": 1.0}
    with Live(
        graphs[0], variants=graphs[1:], controls=controls, speech="default:1", out="default:2", ahead=4, record=take
    ) as live:
        heard: list[Array] = []
        player = threading.Thread(target=lambda: heard.append(card.take(signal(seconds))))
        player.start()
        for k in range(1, 2 * seconds):
            live.wait(0.5)
            live.swap(graphs[k % 2])
            if k == 2:
                live.swap(graphs[1])  # at once after the other
            if k in (1, 3):
                live.set("volume", 0.5 if k == 1 else 0.9, 0.1)
        player.join()
        live.wait(0.2)
        stats = live.stats
    recorded, out = (soundfile.read(take / name, dtype="float32")[0] for name in ("speech.wav", "out.wav"))
    y = perform(graphs[0], {"speech": recorded}, live.events, controls, live.setup.latency)["speech"].astype(np.float32)
    assert_array_equal(out, y)
    for block, most in ((1, 5000), (7, 14000), (160, 10**6), (441, 10**6), (16000, 10**6)):
        part = recorded[:most]
        cut = perform(graphs[0], {"speech": part}, live.events, controls, live.setup.latency, Fraction(block, RATE))
        assert_array_equal(cut["speech"].astype(np.float32), y[: len(part)])
    # What left the loudspeaker: every quantum is that of the performance, or silence that was counted.
    assert silent_quanta(heard[0], y) <= stats.silent // Q
    done = dspgraph("render", pipeline, take / "speech.wav", "--events", take / "events.jsonl", "-o", tmp_path / "again", "--format", "wav")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (tmp_path / "again" / "speech.wav").read_bytes() == (take / "out.wav").read_bytes()


def silent_quanta(heard: Array, y: Array) -> int:
    """Return how many quanta of `heard` are silent where y is not. Assert that all others occur in y, in this order.

    heard: the recording of the card; y: the signal that it must contain, such as the output of the performance. Quanta
    from more than 20 quanta before the beginning of y are passed over. On a busy machine the server itself may skip a
    quantum; the next one then comes from a later place of y.
    """
    late, before, silent = place_of(heard, y, len(heard) // 2), -1, 0
    for k in range(0, len(heard) - Q, Q):
        block = heard[k : k + Q]
        if k + late < -20 * Q:
            continue  # before the graph began
        places = (k + late + Q * jump for jump in sorted(range(-50, 51), key=abs))
        found = (at for at in places if 0 <= at <= len(y) - Q and np.array_equal(y[at : at + Q], block))
        at = next(found, None)
        if block.any():
            assert at is not None, f"the quantum at {k / RATE:.2f} s is not one of the performance"
            assert at > before
            late, before = at - k, at
        elif at is None and k + late >= 0:
            silent += 1
    return silent


def test_a_busy_program_makes_no_gap(tmp_path: Path) -> None:
    """The engine runs in a process of its own, so it computes nearly all of a second while this program is busy.

    At most a tenth of the second may be silent, because other work on the machine can make quanta late.
    """
    graph = load("lpc_vocoder", swap={"excitation": "residual"})
    busy = threading.Event()

    def work() -> None:
        data = {str(k): [k, str(k)] * 10 for k in range(100_000)}  # 20 MB of JSON
        while not busy.is_set():
            json.dumps(data)
            gc.collect()

    worker = threading.Thread(target=work)
    with (
        jack_server(tmp_path / "log"),  # without the card, whose callback this program would hold up
        Live(graph, speech="default:1", out="default:2", ahead=4) as live,
    ):
        worker.start()
        live.wait(1)
        stats = live.stats
        busy.set()
        worker.join()
    assert stats.silent <= 0.1 * RATE
    assert stats.seconds > 0.9


def test_a_server_that_ends_is_an_error_and_the_recording_is_whole(tmp_path: Path) -> None:
    graph = Graph({"gain": Gain()}, {"gain.x": "x"}, {"x": Audio(RATE)}, {"y": "gain"})
    with jack_server(tmp_path / "log") as server:
        with Live(graph, x="default:1", out="default:2", record=tmp_path / "take") as live:
            live.wait(0.3)
            server.terminate()
            with pytest.raises(LiveError, match="the device was lost"):
                live.wait(20)
        assert len(soundfile.read(tmp_path / "take" / "out.wav")[0]) > 0.2 * RATE


def test_two_devices_are_two_streams_with_clocks_of_their_own(card: Card, tmp_path: Path) -> None:
    """The engine measures the difference between the clocks, and over 80 % of the signal is right.

    Both streams belong to one server with one clock, so the measured difference comes only from the times of its calls.
    It has no limit here: on a busy machine it was 960 ppm. Clocks that differ are tested in test_second_clock.py.
    """
    graph, x = Graph({"gain": Gain()}, {"gain.x": "x"}, {"x": Audio(RATE)}, {"y": "gain"}), signal(4)
    with Live(graph, x="card", out="loop:2", device=TwoStreams(), ahead=4, record=tmp_path / "take") as live:
        card.take(x)
        assert live.stats.drift is not None
    recorded, _ = soundfile.read(tmp_path / "take" / "x.wav")
    assert len(recorded) > 3 * RATE
    found = [best_fit(recorded[at : at + 1000], x[at - RATE : at + RATE]) for at in range(RATE, 3 * RATE, 1000)]
    rests, places = np.array(found).T
    # Measured: 1e-4 or less. Where one sample is missing: mostly 4e-3 or more; where a block is missing: 0.04 or more.
    good = (rests < 2e-3) & (np.abs(places - np.median(places)) < 4 * Q)
    assert np.mean(good) > 0.8  # a busy machine may lose some samples, which are counted


def best_fit(part: Array, whole: Array) -> tuple[float, int]:
    """Return how well a filter of 41 taps makes `part` of the most similar part of `whole`, and the place of that part.

    The first number is the share of the energy of `part` that is left over. A delay by a part of a sample is such a
    filter. part: [n]; whole: [m], m > n + 40.
    """
    n, y, x = len(part), part.astype(np.float64), whole.astype(np.float64)
    energy = np.convolve(x**2, np.ones(n), "valid")
    middle = slice(20, len(energy) - 20)
    at = 20 + int(np.argmin((energy - 2 * np.correlate(x, y, "valid"))[middle]))
    shifted = np.stack([x[at + k : at + k + n] for k in range(-20, 21)], axis=1)
    rest = y - shifted @ np.linalg.lstsq(shifted, y, rcond=None)[0]
    return float(np.sum(rest**2) / np.sum(y**2)), at


@pytest.mark.slow
def test_a_device_at_another_rate_is_resampled(tmp_path: Path) -> None:
    graph = load("lpc_vocoder", swap={"excitation": "residual"})
    with (
        jack_server(tmp_path / "log", 48000, 480),
        Live(graph, speech="default:1", out="default:2", ahead=4, record=tmp_path / "take") as live,
    ):
        assert live.form is not None
        assert live.form.rate == 48000
        live.wait(0.5)
    recorded, rate = soundfile.read(tmp_path / "take" / "speech.wav", dtype="float32")
    assert rate == RATE
    out, _ = soundfile.read(tmp_path / "take" / "out.wav", dtype="float32")
    assert_array_equal(perform(graph, {"speech": recorded})["speech"].astype(np.float32), out)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": "nowhere"}, "no device that records is called 'nowhere'; there are:"),
        ({"x": "loop:3"}, "the device 'loop' has 2 channels; 1 from channel 3 on are needed"),
    ],
)
def test_a_device_that_is_not_there_is_refused(card: Card, inputs: dict[str, str], message: str) -> None:
    graph = Graph({"gain": Gain()}, {"gain.x": "x"}, {"x": Audio(RATE)}, {"y": "gain"})
    with pytest.raises(Exception, match=message), Live(graph, out="default:2", **inputs):  # type: ignore[arg-type]
        pass
