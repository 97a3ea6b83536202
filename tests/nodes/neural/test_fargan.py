from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import lfilter

from dspgraph import Array, Frames, Graph, ParameterError, SignalError
from dspgraph.engine.batch import Batch
from dspgraph.errors import WireError
from dspgraph.testing import Example
from dspgraph_nodes.neural.fargan import Fargan
from helpers.fargan import SMALL, fargan_arrays, fargan_features, fargan_file

PORTS = {"cepstrum": ("bark_cepstrum", 18), "pitch": ("pitch", 1), "correlation": ("correlation", 1)}


def example(node: Fargan, count: int) -> Example:
    arrays = fargan_features(count)
    streams = {name: Frames(100, kind, width) for name, (kind, width) in PORTS.items()}
    return Example(node, **{name: (streams[name], array) for name, array in arrays.items()})


EXAMPLES = [
    example(Fargan(weights=fargan_file()), 70),
    example(Fargan(weights=fargan_file(SMALL.replace(hop=32, rate=3200)), coef=0.0), 64),
]


def graph(hop: int = 40, **parameters: Any) -> Graph:
    """Return a graph with FARGAN, a small network of random weights, at 100 frames per second.

    hop: samples in a frame; parameters: those of the node. If `weights` is one of them, it replaces the network.
    """
    return example(Fargan(**{"weights": fargan_file(SMALL.replace(hop=hop, rate=100 * hop)), **parameters}), 64).graph()


@pytest.mark.parametrize("count", [3, 17])
def test_a_batch_of_signals_each_cut_in_its_own_way_changes_no_bit(count: int) -> None:
    """Each signal, cut into blocks of its own size, has the same samples in a batch as alone and uncut.

    Of 17 signals, most samples are computed side by side.
    """
    one = graph()
    signals = [fargan_features(3 + (7 * k) % 20, seed=k) for k in range(count)]

    def cut(signal: dict[str, Array], size: int) -> Iterator[dict[str, Array]]:
        for begin in range(0, len(signal["pitch"]), size):
            yield {name: array[begin : begin + size] for name, array in signal.items()}

    found = dict(Batch(one, 17).render(cut(signal, 1 + k % 5) for k, signal in enumerate(signals)))
    for k, signal in enumerate(signals):
        outputs = found[k]
        assert isinstance(outputs, dict), outputs
        assert_array_equal(outputs["y"], one(**signal)["y"])
        assert len(outputs["y"]) == 40 * len(signal["pitch"])


def test_it_waits_for_one_frame_and_half_of_one() -> None:
    one = graph(hop=160)
    assert one.latency().seconds == pytest.approx(0.015 + 0.01 - 1 / 16000)
    session, counts = one.session(), []
    for k in range(4):
        counts.append(len(session.push(**{name: x[k : k + 1] for name, x in fargan_features(4).items()})["y"]))
    assert counts == [0, 80, 160, 160]
    assert len(session.flush()["y"]) == 240


def test_a_frame_is_heard_around_the_middle_of_its_window_and_one_frame_before() -> None:
    signal = fargan_features(12)
    for name, first in (("pitch", 5 * 40 - 20), ("cepstrum", 5 * 40 - 20)):
        other = {key: array.copy() for key, array in signal.items()}
        other[name][6] += 1
        differ = graph()(**signal)["y"] != graph()(**other)["y"]
        assert first <= np.flatnonzero(differ)[0] < first + 40


def test_the_same_features_always_give_the_same_speech() -> None:
    signal = fargan_features(12)
    assert_array_equal(graph()(**signal)["y"], graph()(**signal)["y"])


def test_de_emphasis_is_the_last_step() -> None:
    signal = fargan_features(10)
    plain, found = graph(coef=0.0)(**signal)["y"], graph(coef=0.85)(**signal)["y"]
    assert_allclose(found, lfilter([1], [1, -0.85], plain), rtol=0, atol=1e-12)


def test_float32_gives_the_float64_samples_rounded_once() -> None:
    signal = {name: array.astype(np.float32).astype(np.float64) for name, array in fargan_features(20).items()}
    wide, single = (
        example(Fargan(weights=fargan_file()), 64).graph(t)(**signal)["y"] for t in (np.float64, np.float32)
    )
    assert single.dtype == np.float32
    assert_array_equal(single, wide.astype(np.float32))


def test_the_function_gives_what_the_node_gives() -> None:
    from dspgraph_nodes._kernels.neural.fargan_layout import pack_fargan
    from dspgraph_nodes.neural.fargan import fargan

    signal: Any = fargan_features(9)
    network = pack_fargan(fargan_arrays())
    assert_array_equal(fargan(network, **signal), graph()(**signal)["y"])
    signal["correlation"][5] = np.nan
    with pytest.raises(ValueError, match="FARGAN takes finite numbers; frame 5"):
        fargan(network, **signal)


def test_no_weights_or_wrong_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"fargan.weights is not given.*dspgraph train fargan"):
        graph(weights=None)
    path = tmp_path / "cut.safetensors"
    path.write_bytes(Path(fargan_file()).read_bytes()[:1000])
    with pytest.raises(ParameterError, match="is not a whole safetensors file"):
        graph(weights=str(path))


def test_features_of_another_kind_rate_or_width_are_refused() -> None:
    arrays = fargan_features(64)

    def wired(**changes: Frames) -> None:
        streams = {name: Frames(100, kind, width) for name, (kind, width) in PORTS.items()} | changes
        node = Fargan(weights=fargan_file())
        Example(node, **{name: (stream, arrays[name]) for name, stream in streams.items()}).graph()

    with pytest.raises(WireError, match="takes Frames\\('bark_cepstrum'\\)"):
        wired(cepstrum=Frames(100, "mel", 18))
    with pytest.raises(ParameterError, match="trained with cepstra of 18 numbers; found .*20 wide"):
        wired(cepstrum=Frames(100, "bark_cepstrum", 20))
    with pytest.raises(ParameterError, match=r"trained with 100 frames a second, a hop of 40 at 4000 Hz; found .*200"):
        wired(**{name: Frames(200, kind, width) for name, (kind, width) in PORTS.items()})
    with pytest.raises(ParameterError, match="fargan.correlation takes one number per frame"):
        wired(correlation=Frames(100, "correlation", 2))
    with pytest.raises(ParameterError, match="centred on the start of their span"):
        wired(**{name: Frames(100, kind, width, centre="0.005") for name, (kind, width) in PORTS.items()})


def test_features_that_are_no_numbers_are_refused() -> None:
    signal = fargan_features(64)
    signal["cepstrum"][5, 3] = np.nan
    with pytest.raises(SignalError, match="cepstrum takes finite numbers; item 5"):
        graph()(**signal)
