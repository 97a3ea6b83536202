import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, Graph, ParameterError, SignalError
from dspgraph.engine.batch import Batch
from dspgraph.errors import WireError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.mulaw import even_samples
from dspgraph_nodes.neural.wavernn import Wavernn
from helpers.wavernn import SMALL, wavernn_file

WEIGHTS = wavernn_file()


def features(count: int, seed: int = 0) -> Array:
    return 2 * np.random.Generator(np.random.Philox(key=seed)).random((count, 6)) - 1


def example(name: str, count: int, **parameters: Any) -> Example:
    """Return an example of WaveRNN with `count` random frames, 100 per second, and a hop of 8 samples.

    name: the network, a key of SMALL; parameters: those of the node. If `weights` is one of them, it replaces the
    network.
    """
    weights = parameters.pop("weights", wavernn_file(SMALL[name]))
    return Example(Wavernn(weights=weights, **parameters), features=(Frames(100, "mel", 6), features(count)))


EMPHASISED = SMALL["categorical"].replace(gain=2.0, preemphasis=0.6)

EXAMPLES = [
    example("categorical", 70),
    example("mixture", 66, temperature=0.7),
    example("two biases", 64, tap=False),
    example("categorical", 64, weights=wavernn_file(EMPHASISED)),
    example("mixture", 64, precision="int8"),
    example("one bias", 64, precision="int8"),
]


def graph(name: str = "categorical", **parameters: Any) -> Graph:
    return example(name, 64, **parameters).graph()


@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=pytest.mark.slow)])  # more of the same
@pytest.mark.parametrize("name", ["categorical", "mixture", "one bias"])
@pytest.mark.parametrize("count", [2, 17])
def test_a_batch_of_any_size_changes_no_bit(name: str, count: int, precision: str) -> None:
    """Each signal has the same samples in a batch as alone.

    The signals have different lengths. Two signals are computed one after the other; seventeen use lanes again.
    """
    one = graph(name, precision=precision)
    signals = [features(130 + (7 * k) % 30, seed=k) for k in range(count)]
    for k, outputs in Batch(one, 17).render([{"features": signal} for signal in signals]):
        assert isinstance(outputs, dict), outputs
        alone = one(features=signals[k])
        for output in ("y", "distribution"):
            assert_array_equal(outputs[output], alone[output])
        assert len(outputs["y"]) == 8 * len(signals[k])


@pytest.mark.parametrize("name", SMALL)
def test_a_sample_is_drawn_from_the_row_beside_it(name: str) -> None:
    """F(x), with the distribution function F of a row and its sample x, is uniform from 0 to 1.

    Its mean is 1/2 to four standard deviations of 1600 samples, its variance at most 1.15 / 12. For codes, and for
    mixtures at full scale, F counts half of the probability of the value itself. Coarse and fine codes are tested
    apart.
    """
    config = SMALL[name]
    found = graph(name, seed=3)(features=features(200))
    y, rows = found["y"], found["distribution"]
    assert rows.shape == (1600, config.outputs)
    if config.kind == "mixture":
        w, mean, scale = np.split(rows, 3, axis=1)
        p = np.exp(w) / np.exp(w).sum(axis=1, keepdims=True)
        ends = (p / (1 + np.exp(np.clip((mean - y[:, None]) / np.exp(scale), -50, 50)))).sum(axis=1)

        middle = np.where(y >= 1, (ends + 1) / 2, np.where(y <= -1, ends / 2, ends))

        parts = [middle]
    elif config.kind == "categorical":
        level = np.abs(even_samples(config.levels, config.mulaw)[None] - y[:, None]).argmin(axis=1)
        parts = [middles(rows, level)]
    else:
        u = np.round((y + 1) * 2 ** (config.bits - 1)).astype(int)
        halves = rows[:, : config.levels], rows[:, config.levels :]
        parts = [middles(halves[0], u // config.levels), middles(halves[1], u % config.levels)]
    for part in parts:
        assert abs(part.mean() - 0.5) < 4 / np.sqrt(12 * 1600)  # four standard deviations
        assert part.var() < 1 / 12 * 1.15


def middles(p: Array, level: Array) -> Array:
    """Return P(0) + ... + P(k - 1) + P(k) / 2 for the level k and the probabilities P of each row, [n].

    p: [n, levels]; level: [n], whole numbers. The test fails if a row of p does not sum to 1.
    """
    assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    ends, rows = np.cumsum(p, axis=1), np.arange(len(p))
    found: Array = ends[rows, level] - p[rows, level] / 2
    return found


def test_it_waits_for_the_frames_that_it_reads() -> None:
    """A sample of this network waits for two frames after its own. A network that reads no frames does not wait."""
    one = graph()
    assert one.latency().seconds == pytest.approx((2 + 1) / 100 - 1 / 800)
    session = one.session()
    assert [len(session.push(features=features(1))["y"]) for _ in range(5)] == [0, 0, 8, 8, 8]
    assert len(session.flush()["y"]) == 16
    assert len(graph("no frames").session().push(features=features(1))["y"]) == 8


@pytest.mark.parametrize("name", ["categorical", "mixture", "one bias"])
def test_without_a_tap_the_samples_are_the_same_and_the_row_has_their_probability(name: str) -> None:
    config, (whole, short) = SMALL[name], (graph(name, tap=tap)(features=features(20)) for tap in (True, False))
    assert_array_equal(whole["y"], short["y"])
    p, rows, every = short["distribution"], whole["distribution"], np.arange(160)
    if name == "mixture":
        assert_array_equal(p, rows)
    elif name == "categorical":
        level = np.abs(even_samples(config.levels, config.mulaw)[None] - whole["y"][:, None]).argmin(axis=1)
        assert_allclose(p[:, 0], rows[every, level], rtol=1e-5)
    else:
        u = np.round((whole["y"] + 1) * 2 ** (config.bits - 1)).astype(int)
        both = rows[every, u // config.levels] * rows[every, config.levels + u % config.levels]
        assert_allclose(p[:, 0], both, rtol=1e-5)


def test_a_tap_that_is_too_large_is_refused() -> None:
    config = SMALL["linear"].replace(rate=20000, factors=(10, 20), widths=(3, 3))
    refused("20480000 numbers a second; .*set tap to false", weights=wavernn_file(config))
    assert graph(weights=wavernn_file(config), tap=False).outputs["distribution"].width == 1  # type: ignore[attr-defined]  # it is Frames


def test_a_frame_changes_samples_from_two_frames_before_it_on() -> None:
    signal = features(40)
    other = signal.copy()
    other[20] += 1
    differ = graph()(features=signal)["distribution"] != graph()(features=other)["distribution"]
    assert 8 * 18 <= np.flatnonzero(differ.any(axis=1))[0] < 8 * 19


def test_a_higher_temperature_draws_more_levels() -> None:
    for name in ("categorical", "mixture", "one bias"):
        entropy = []
        for temperature in (0.2, 1.0):
            y = graph(name, temperature=temperature)(features=features(100))["y"]
            entropy.append(np.abs(np.diff(y)).mean())
        assert entropy[0] < entropy[1]


def test_float32_gives_the_float64_samples_rounded_once() -> None:
    signal = features(20).astype(np.float32).astype(np.float64)
    for name in ("categorical", "mixture", "one bias"):
        wide, single = (example(name, 64).graph(dtype)(features=signal)["y"] for dtype in (np.float64, np.float32))
        assert single.dtype == np.float32
        assert_array_equal(single, wide.astype(np.float32))


@pytest.mark.parametrize("name", ["categorical", "mixture", "two biases"])
def test_pre_emphasis_and_gain_are_undone(name: str) -> None:
    plain = graph(name)(features=features(30))["y"]
    weights = wavernn_file(SMALL[name].replace(gain=2.0, preemphasis=0.6))
    found = graph(name, weights=weights)(features=features(30))["y"]
    y, expected = 0.0, []
    for x in plain:
        y = x + 0.6 * y
        expected.append(np.clip(y / 2, -1, 1))
    assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_another_seed_draws_other_samples() -> None:
    found = [graph(seed=seed)(features=features(10))["y"] for seed in (0, 0, 1)]
    assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_a_network_without_frames_takes_any_width() -> None:
    node = Wavernn(weights=wavernn_file(SMALL["no frames"]))
    for width in (6, 9):
        one = Example(node, features=(Frames(100, "mel", width), np.zeros((64, width)))).graph()
        assert len(np.unique(one(features=np.zeros((64, width)))["y"])) > 50


@pytest.mark.parametrize("name", ["categorical", "two biases"])
def test_a_file_in_eight_bits_gives_the_same_samples_as_its_original(name: str) -> None:
    paths = (wavernn_file(SMALL[name]), wavernn_file(SMALL[name], numbers="int8"))
    whole, small = (graph(weights=path, precision="int8")(features=features(20)) for path in paths)
    assert_array_equal(whole["y"], small["y"])
    assert_array_equal(whole["distribution"], small["distribution"])
    exact = graph(weights=paths[0])(features=features(20))["distribution"]
    assert 1e-4 < np.abs(small["distribution"][0] - exact[0]).max() / exact[0].max() < 0.1  # measured: 0.01


def refused(say: str, **parameters: Any) -> None:
    with pytest.raises(ParameterError, match=say):
        graph(**parameters)


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    refused(r"wavernn.weights is not given.*dspgraph train wavernn", weights=None)
    refused(r"there is no such file", weights=str(tmp_path / "none.safetensors"))
    path = tmp_path / "cut.safetensors"
    path.write_bytes(Path(WEIGHTS).read_bytes()[:-1])
    refused(r"cut.safetensors is not a whole safetensors file", weights=str(path))


def test_features_of_another_kind_rate_or_width_are_refused() -> None:
    def wired(stream: Frames) -> None:
        Example(Wavernn(weights=WEIGHTS), features=(stream, np.zeros((64, stream.width)))).graph()

    with pytest.raises(WireError, match="takes Frames"):
        wired(Frames(100, "lpc", 6))
    with pytest.raises(ParameterError, match="trained with 100 frames a second, a hop of 8 at 800 Hz; found .*200"):
        wired(Frames(Fraction(200), "mel", 6))
    with pytest.raises(ParameterError, match="features of 6 numbers; found .*7"):
        wired(Frames(100, "mel", 7))


def test_features_that_are_no_numbers_are_refused() -> None:
    signal = features(64)
    signal[5, 3] = np.nan
    with pytest.raises(SignalError, match="features takes finite numbers; item 5"):
        graph()(features=signal)


def test_other_weights_under_the_same_name_make_another_graph(tmp_path: Path) -> None:
    path, found = tmp_path / "weights.safetensors", []
    for seed in (0, 1):
        path.write_bytes(Path(wavernn_file(seed=seed)).read_bytes())
        os.utime(path, ns=(seed, seed))
        one = graph(weights=str(path))
        found.append((one.digest, one(features=features(8))["y"]))
    assert found[0][0] != found[1][0]
    assert (found[0][1] != found[1][1]).any()
