import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array, Frames, Graph, ParameterError, SignalError
from dspgraph.engine.batch import Batch
from dspgraph.errors import WireError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.neural.lanes import MANY
from dspgraph_nodes.neural.lpcnet import Lpcnet
from helpers.networks import SMALL, random_arrays, sized, weights_file

PORTS = {
    "cepstrum": ("bark_cepstrum", 18),
    "pitch": ("pitch", 1),
    "correlation": ("correlation", 1),
    "lpc": ("predictor", 16),
}
WEIGHTS = weights_file()


def features(count: int, seed: int = 0, order: int = 16) -> dict[str, Array]:
    """Return random features of `count` frames, by name of the port, in the ranges of speech.

    Their predictors are stable. order: of the predictors, 3 or more.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    cepstrum = 2 * draw.random((count, 18)) - 1
    pitch = (draw.integers(66, 511, (count, 1)) - 200) / 100
    lpc = np.zeros((count, order))
    for row, radius in zip(lpc, 0.3 + 0.6 * draw.random(count), strict=True):  # a pair of poles and one on the axis
        row[:3] = np.convolve([1, -1.9 * radius, radius**2], [1, -0.5])[1:].round(9)
    return {"cepstrum": cepstrum, "pitch": pitch, "correlation": draw.random((count, 1)) - 0.5, "lpc": lpc}


def example(node: Lpcnet, count: int, rate: Fraction = Fraction(100), order: int = 16) -> Example:
    arrays = features(count, order=order)
    widths = {name: array.shape[1] for name, array in arrays.items()}
    return Example(
        node, **{name: (Frames(rate, PORTS[name][0], widths[name]), array) for name, array in arrays.items()}
    )


def hopping(hop: int, rate: int) -> str:
    """Return the path of a file of random weights for a network with this hop and rate (Hz)."""
    return weights_file(SMALL.replace(hop=hop, rate=rate))


EXAMPLES = [
    example(Lpcnet(weights=hopping(40, 4000)), 70),
    # An odd hop, another order, another rate; much noise and no threshold
    example(
        Lpcnet(weights=hopping(15, 1000), threshold=0.0, temperature=2.0, coef=0.0), 64, Fraction(1000, 15), order=5
    ),
    example(Lpcnet(weights=hopping(15, 1000), tap=True), 64, Fraction(1000, 15)),
    example(Lpcnet(weights=hopping(40, 4000), precision="int8"), 70),
]


def graph(hop: int = 160, **parameters: Any) -> Graph:
    """Return a graph with LPCNet, a small network of random weights, at 100 frames per second.

    hop: samples in a frame; parameters: those of the node. If `weights` is one of them, it replaces the network.
    """
    return example(Lpcnet(**{"weights": hopping(hop, 100 * hop), **parameters}), 64).graph()


@pytest.mark.parametrize(("count", "precision"), [(1, "float32"), (16, "float32"), (17, "float32"), (17, "int8")])
def test_a_batch_of_any_size_changes_no_bit(count: int, precision: str) -> None:
    """Each signal has the same samples in a batch as alone.

    The signals have different lengths, so that lanes are used again. Of 16 or 17 signals, most samples are computed
    side by side.
    """
    assert count == 1 or count >= MANY
    one = graph(hop=80, precision=precision)
    signals = [features(3 + (7 * k) % 20, seed=k) for k in range(count)]
    alone = [one(**signal)["y"] for signal in signals]
    found = dict(Batch(one, 17).render(signals))
    for k, expected in enumerate(alone):
        outputs = found[k]
        assert isinstance(outputs, dict), outputs
        assert_array_equal(outputs["y"], expected)
        assert len(expected) == 80 * len(signals[k]["cepstrum"])


def test_batch_and_cuts_change_no_bit_together() -> None:
    """Each of twelve signals, cut into blocks of its own size, has the same samples in a batch as alone and uncut."""
    one = graph(hop=40)
    signals = [features(20 + k, seed=k) for k in range(12)]

    def cut(signal: dict[str, Array], size: int) -> Iterator[dict[str, Array]]:
        for begin in range(0, len(signal["cepstrum"]), size):
            yield {name: array[begin : begin + size] for name, array in signal.items()}

    found = dict(Batch(one, 12).render(cut(signal, 1 + k % 5) for k, signal in enumerate(signals)))
    for k, signal in enumerate(signals):
        outputs = found[k]
        assert isinstance(outputs, dict), outputs
        assert_array_equal(outputs["y"], one(**signal)["y"])


@pytest.mark.parametrize("threshold", [0.0, 0.002])
def test_a_tap_shows_all_levels_and_changes_no_sample(threshold: float) -> None:
    """With `tap` a row has the probabilities of all levels; without, only that of the drawn level, bit for bit.

    The samples are the same. Some levels of every row have the probability 0 if the threshold is above 0, else none.
    """
    signal = features(12)
    whole, short = (graph(hop=40, tap=tap, threshold=threshold)(**signal) for tap in (True, False))
    assert_array_equal(whole["y"], short["y"])
    rows, drawn = whole["distribution"], short["distribution"]
    assert rows.shape == (480, 256)
    assert drawn.shape == (480, 1)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    assert (rows == drawn).any(axis=1).all()
    assert (drawn > 0).all()
    assert ((rows == 0).any(axis=1) == (threshold > 0)).all()


def test_levels_are_drawn_as_often_as_their_rows_say() -> None:
    """The mean of -ln p of the drawn levels equals the entropy of the rows, to 4 standard deviations of 6400 draws."""
    rows, drawn = (graph(tap=tap, threshold=0.0)(**features(40))["distribution"] for tap in (True, False))
    surprise = -np.log(drawn[:, 0])
    entropy = -(rows * np.log(np.maximum(rows, 1e-30))).sum(axis=1)
    spread = np.sqrt(((rows * np.log(np.maximum(rows, 1e-30)) ** 2).sum(axis=1) - entropy**2).sum())
    assert abs((surprise - entropy).sum()) < 4 * spread


def test_a_snapshot_in_mid_utterance_goes_on_where_it_was() -> None:
    one, signal = graph(), features(12)
    whole = one(**signal)["y"]
    session = one.session()
    first = session.push(**{name: array[:5] for name, array in signal.items()})["y"]
    snapshot = session.snapshot()
    session.push(**{name: array[5:] for name, array in features(12, seed=9).items()})
    session.restore(snapshot)
    rest = session.push(**{name: array[5:] for name, array in signal.items()})["y"]
    assert_array_equal(np.concatenate((first, rest, session.flush()["y"])), whole)


def test_it_waits_for_two_frames_and_half_of_one() -> None:
    one = graph()
    assert one.latency().seconds == pytest.approx(
        0.025 + 0.01 - 1 / 16000
    )  # and for the end of the frame, but a sample
    session, counts = one.session(), []
    for k in range(5):
        counts.append(len(session.push(**{name: array[k : k + 1] for name, array in features(5).items()})["y"]))
    assert counts == [0, 0, 80, 160, 160]
    assert len(session.flush()["y"]) == 400


def test_a_frame_gives_the_samples_around_the_middle_of_its_window() -> None:
    """The predictor of frame 6 changes samples from number 6 * 160 - 80 on, its cepstrum from two frames earlier on."""
    signal = features(12)
    other = {name: array.copy() for name, array in signal.items()}
    other["lpc"][6] *= -0.5
    differ = graph()(**signal)["y"] != graph()(**other)["y"]
    assert 6 * 160 - 80 <= np.flatnonzero(differ)[0] < 6 * 160 - 70
    # Its cepstrum is heard two frames before
    other = {name: array.copy() for name, array in signal.items()}
    other["cepstrum"][6] += 1
    differ = graph()(**signal)["y"] != graph()(**other)["y"]
    assert 4 * 160 - 80 <= np.flatnonzero(differ)[0] < 4 * 160 + 80


def test_the_excitation_is_that_of_the_codes_and_the_noise_of_the_sample() -> None:
    """Without prediction and de-emphasis, every sample is the value of one of the 256 codes."""
    signal = {**features(30), "lpc": np.zeros((30, 16))}
    y = graph(coef=0.0)(**signal)["y"]
    d = np.arange(-128, 128)
    levels = np.sign(d) * (256 ** (np.abs(d) / 128) - 1) / 255
    assert np.abs(y[:, None] - levels).min(axis=1).max() < 1e-12
    assert len(np.unique(y)) > 100


def test_de_emphasis_is_the_last_step() -> None:
    signal = features(10)
    plain, found = graph(coef=0.0)(**signal)["y"], graph(coef=0.85)(**signal)["y"]
    expected = np.zeros(1)
    for n, value in enumerate(plain):
        expected[0] = value + 0.85 * expected[0]
        assert abs(found[n] - expected[0]) < 1e-12 * max(1, abs(expected[0]))


def test_float32_gives_the_float64_samples_rounded_once() -> None:
    signal = {name: array.astype(np.float32).astype(np.float64) for name, array in features(20).items()}
    wide = example(Lpcnet(weights=WEIGHTS), 64).graph(np.float64)(**signal)["y"]
    single = example(Lpcnet(weights=WEIGHTS), 64).graph(np.float32)(**signal)["y"]
    assert single.dtype == np.float32
    assert_array_equal(single, wide.astype(np.float32))


def test_a_higher_temperature_draws_more_levels() -> None:
    """The number of different levels in the output rises with the temperature."""
    signal = {**features(60), "lpc": np.zeros((60, 16))}
    kinds = [len(np.unique(graph(temperature=t, coef=0.0)(**signal)["y"])) for t in (0.05, 1.0, 4.0)]
    assert kinds[0] < kinds[1] < kinds[2]


def test_another_seed_is_another_excitation_and_the_same_the_same() -> None:
    signal = features(10)
    found = [graph(seed=seed)(**signal)["y"] for seed in (0, 0, 1)]
    assert_array_equal(found[0], found[1])
    assert (found[0][:80] != found[2][:80]).any()


def test_a_threshold_leaves_out_what_is_improbable() -> None:
    signal = {**features(60), "lpc": np.zeros((60, 16))}
    kinds = [len(np.unique(graph(threshold=t, coef=0.0)(**signal)["y"])) for t in (0.0038, 0.0)]
    assert kinds[0] < kinds[1]


def test_a_file_in_eight_bits_gives_the_samples_of_the_file_it_was_made_from() -> None:
    small, signal = weights_file(numbers="int8"), features(8)
    found = [graph(weights=path, precision="int8")(**signal)["y"] for path in (WEIGHTS, small)]
    assert_array_equal(found[0], found[1])
    assert (found[0] != graph(weights=small)(**signal)["y"]).any()  # float32 does not round the states


def test_other_weights_under_the_same_name_make_another_graph(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(Path(WEIGHTS).read_bytes())
    digests, sounds = [], []
    for seed in (0, 1):
        path.write_bytes(Path(weights_file(seed=seed)).read_bytes())
        os.utime(path, ns=(seed, seed))
        one = graph(weights=str(path))
        digests.append(one.digest)
        sounds.append(one(**features(8))["y"])
    assert digests[0] != digests[1]
    assert (sounds[0] != sounds[1]).any()


def refused(say: str, **parameters: Any) -> None:
    with pytest.raises(ParameterError, match=say):
        graph(**parameters)


def test_a_node_without_weights_says_how_to_get_them() -> None:
    refused(r"lpcnet.weights is not given.*dspgraph train lpcnet", weights=None)


def test_weights_that_are_not_there_are_refused(tmp_path: Path) -> None:
    refused(r"lpcnet.weights is .*none.safetensors; there is no such file", weights=str(tmp_path / "none.safetensors"))
    refused(r"is no regular file", weights=str(tmp_path))
    refused(r"there is no such file", weights="a" * 5000)
    refused(r"there is no such file", weights="a\0b")


@pytest.mark.parametrize("length", [0, 4, 100, 5000, -1])
def test_a_truncated_file_is_refused(length: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(Path(WEIGHTS).read_bytes()[:length])
    refused(r"cut.safetensors is not a whole safetensors file", weights=str(path))


def test_a_pickle_is_refused_and_not_opened(tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Trap()))
    refused(r"model.pt is not a whole safetensors file", weights=str(path))
    assert not (tmp_path / "sprung").exists()


def test_features_of_another_kind_rate_or_width_are_refused() -> None:
    arrays = features(64)

    def wired(**changes: Frames) -> None:
        streams = {name: Frames(100, kind, width) for name, (kind, width) in PORTS.items()} | changes
        node = Lpcnet(weights=WEIGHTS)
        Example(node, **{name: (stream, arrays[name]) for name, stream in streams.items()}).graph()

    with pytest.raises(WireError, match="takes Frames\\('bark_cepstrum'\\)"):
        wired(cepstrum=Frames(100, "mel", 18))
    with pytest.raises(WireError, match="takes Frames\\('predictor'\\)"):
        wired(lpc=Frames(100, "lpc", 17))
    with pytest.raises(WireError, match="rate and centre must agree"):
        wired(pitch=Frames(200, "pitch", 1))
    with pytest.raises(ParameterError, match="trained with cepstra of 18 numbers; found .*20 wide"):
        wired(cepstrum=Frames(100, "bark_cepstrum", 20))
    twice = {name: Frames(200, kind, width) for name, (kind, width) in PORTS.items()}
    with pytest.raises(
        ParameterError, match=r"trained with 100 frames a second, a hop of 160 at 16000 Hz; found .*200"
    ):
        wired(**twice)
    with pytest.raises(ParameterError, match="lpcnet.pitch takes one number per frame"):
        wired(pitch=Frames(100, "pitch", 2))
    with pytest.raises(ParameterError, match="centred on the start of their span"):
        wired(**{name: Frames(100, kind, width, centre="0.005") for name, (kind, width) in PORTS.items()})


def test_features_that_are_no_numbers_are_refused() -> None:
    signal = features(64)
    signal["cepstrum"][5, 3] = np.nan
    with pytest.raises(SignalError, match="cepstrum takes finite numbers; item 5"):
        graph()(**signal)


def test_the_function_refuses_what_is_no_number() -> None:
    from dspgraph_nodes._kernels.neural.lpcnet_packing import pack_weights
    from dspgraph_nodes.neural.lpcnet import lpcnet

    for name in ("cepstrum", "pitch", "correlation", "lpc"):
        signal: Any = features(8)
        signal[name][5] = np.nan
        with pytest.raises(ValueError, match=f"takes finite numbers; frame 5 of .*{name}"):
            lpcnet(pack_weights(random_arrays(SMALL)), **signal, draw=np.random.default_rng(0))


def test_an_unstable_predictor_does_not_crash_the_loop() -> None:
    """The output of an unstable predictor grows to the limit of the codes, which is full scale without de-emphasis."""
    from dspgraph_nodes._kernels.neural.lpcnet_packing import pack_weights
    from dspgraph_nodes.neural.lpcnet import lpcnet

    signal: Any = {**features(80), "lpc": np.full((80, 16), -3.0)}
    y = lpcnet(pack_weights(random_arrays(SMALL)), **signal, draw=np.random.default_rng(0), coef=0.0)
    assert len(y) == 80 * 160
    assert np.abs(y).max() == 1
    assert (np.abs(y) == 1).mean() > 0.9


def test_networks_of_other_sizes_are_run(tmp_path: Path) -> None:
    """Networks with GRUs of 16, of 64 and 48, or of 32 units give the same samples alone and in a batch.

    16 units are one block of rows of a matrix.
    """
    for config in (
        sized(16, 16, hop=32, rate=3200),
        sized(64, 48, hop=32, rate=3200),
        sized(32, 32, hop=32, rate=3200),
    ):
        one = graph(weights=weights_file(config, folder=tmp_path))
        signals = [features(5, seed=k) for k in range(MANY)]
        for k, outputs in Batch(one, MANY).render(signals):
            assert isinstance(outputs, dict), outputs
            assert_array_equal(outputs["y"], one(**signals[k])["y"])
            assert len(np.unique(outputs["y"])) > 50
