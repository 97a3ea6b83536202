import os
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
from dspgraph_nodes.neural.wavenet import Wavenet
from helpers.wavenets import LEVELS, MIXTURE, TRANSPOSED, tiny, wavenet_file

WEIGHTS = wavenet_file()


def features(count: int, seed: int = 0, bands: int = 5) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal((count, bands))


def example(weights: str, count: int, rate: int = 100, **parameters: Any) -> Example:
    return Example(Wavenet(weights=weights, **parameters), features=(Frames(rate, "log_mel", 5), features(count)))


EXAMPLES = [
    example(WEIGHTS, 70),
    example(wavenet_file(LEVELS), 64, temperature=0.7),
    example(wavenet_file(TRANSPOSED), 64),
    example(WEIGHTS, 64, precision="int8"),
]


def graph(weights: str = WEIGHTS, **parameters: Any) -> Graph:
    return example(weights, 64, **parameters).graph()


@pytest.mark.parametrize("config", [MIXTURE, LEVELS, TRANSPOSED], ids=["mixture", "levels", "transposed"])
@pytest.mark.parametrize("count", [2, 16, 17])
def test_a_batch_of_any_size_changes_no_bit(config: Any, count: int) -> None:
    """Each of `count` signals has the same samples in batches of 17 as alone.

    The signals have 1 to 11 frames, some fewer than the network reads for a sample. Two signals are computed one after
    the other; of 16 or 17, most samples are computed side by side.
    """
    one = graph(wavenet_file(config))
    signals = [features(1 + (7 * k) % 11, seed=k) for k in range(count)]
    alone = [one(features=signal) for signal in signals]
    for k, outputs in Batch(one, 17).render([{"features": signal} for signal in signals]):
        assert isinstance(outputs, dict), outputs
        assert_array_equal(outputs["y"], alone[k]["y"])
        assert_array_equal(outputs["distribution"], alone[k]["distribution"])
        assert len(outputs["y"]) == 20 * len(signals[k])
    assert count < MANY or count >= 16


@pytest.mark.parametrize("config", [MIXTURE, LEVELS], ids=["mixture", "levels"])
def test_a_file_in_eight_bits_gives_the_same_samples_as_its_original(config: Any) -> None:
    files = wavenet_file(config), wavenet_file(config, numbers="int8")
    whole, small = (graph(file, precision="int8")(features=features(4)) for file in files)
    assert_array_equal(whole["y"], small["y"])
    assert_array_equal(whole["distribution"], small["distribution"])
    exact = graph(files[0])(features=features(4))["distribution"]
    assert 1e-5 < np.abs(small["distribution"][0] - exact[0]).max() < 0.1


def test_it_waits_for_the_frames_that_it_reads() -> None:
    session, counts = graph().session(), []
    for row in features(7):
        counts.append(len(session.push(features=row[None])["y"]))
    assert counts == [0, 0, 0, 20, 20, 20, 20]  # one frame of the first convolution, two of the smoothing
    assert len(session.flush()["y"]) == 60
    assert len(graph(wavenet_file(TRANSPOSED)).session().push(features=features(1))["y"]) == 20


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_a_sample_is_a_draw_from_the_row_beside_it(temperature: float) -> None:
    """Samples of mixtures with one component are distributed like a logistic with its mean and scale.

    A sample is mean + scale * ln(v / (1 - v)) for a random number v. No sample is more than 11.6 scales from the mean,
    because v is at least 1e-5 and ln(1e5) = 11.5. Half of them are below the mean, and half within ln 3 scales of it.
    Samples at full scale, which are clipped, are left out.
    """
    config = tiny(components=1)
    found = graph(wavenet_file(config), temperature=temperature)(features=features(120))
    mean, scale = found["distribution"][:, 1], np.exp(found["distribution"][:, 2])
    distance = (found["y"] - mean) / scale
    inside = np.abs(found["y"]) < 1
    assert np.abs(distance[inside]).max() < 11.6
    assert abs(np.mean(distance[inside] < 0) - 0.5) < 0.05
    assert abs(np.mean(np.abs(distance[inside]) < np.log(3)) - 0.5) < 0.05  # the quartiles of a logistic distribution


def test_a_temperature_sharpens_the_distributions() -> None:
    """At the temperature 1/2, scales are halved, or probabilities are squared and divided by their sum.

    Weights and means of a mixture stay. The test compares the first rows, which follow from silence and depend on no
    draw.
    """
    (mixture, sharp), (levels, clear) = (
        [graph(wavenet_file(one), temperature=t)(features=features(8))["distribution"][0] for t in (1.0, 0.5)]
        for one in (MIXTURE, LEVELS)
    )
    components = MIXTURE.components
    np.testing.assert_array_equal(sharp[: 2 * components], mixture[: 2 * components])
    np.testing.assert_allclose(sharp[2 * components :], mixture[2 * components :] + np.log(0.5), atol=1e-6)
    np.testing.assert_allclose(clear, levels**2 / (levels**2).sum(), atol=1e-6)


def test_to_look_at_the_distributions_changes_no_sample() -> None:
    tapped, stream = graph(), {"features": Frames(100, "log_mel", 5)}
    plain = Graph({"node": Wavenet(weights=WEIGHTS)}, {"node.features": "features"}, stream, {"y": "node.y"})
    both = tapped(features=features(12))
    assert_array_equal(plain(features=features(12))["y"], both["y"])
    assert both["distribution"].shape == (240, 9)  # 3 K numbers for every sample


def test_pre_emphasis_and_gain_are_undone() -> None:
    plain = graph(wavenet_file(tiny()))(features=features(30))["y"]
    arrays_alike = tiny(gain=0.5, preemphasis=0.6)
    found = graph(wavenet_file(arrays_alike))(features=features(30))["y"]
    y, expected = 0.0, []
    for x in plain:
        y = x + 0.6 * y
        expected.append(np.clip(y / 0.5, -1, 1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_levels_have_the_samples_of_mu_law() -> None:
    found = graph(wavenet_file(LEVELS))(features=features(60))
    d = np.arange(-32, 32)
    levels = np.sign(d) * (64 ** (np.abs(d) / 32) - 1) / 63
    assert np.abs(found["y"][:, None] - levels).min(axis=1).max() < 1e-12
    assert len(np.unique(found["y"])) > 20
    np.testing.assert_allclose(found["distribution"].sum(axis=1), 1, atol=1e-5)


def test_another_seed_is_another_signal_and_the_same_the_same() -> None:
    found = [graph(seed=seed)(features=features(10))["y"] for seed in (0, 0, 1)]
    assert_array_equal(found[0], found[1])
    assert (found[0][:20] != found[2][:20]).any()


def test_other_weights_under_the_same_name_make_another_graph(tmp_path: Path) -> None:
    path, digests = tmp_path / "weights.safetensors", []
    for seed in (0, 1):
        path.write_bytes(Path(wavenet_file(seed=seed)).read_bytes())
        os.utime(path, ns=(seed, seed))
        digests.append(graph(str(path)).digest)
    assert digests[0] != digests[1]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"wavenet.weights is not given.*dspgraph train wavenet"):
        graph(None)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"wavenet.weights is .*none.safetensors; there is no such file"):
        graph(str(tmp_path / "none.safetensors"))
    (tmp_path / "cut.safetensors").write_bytes(Path(WEIGHTS).read_bytes()[:5000])
    with pytest.raises(ParameterError, match="cut.safetensors is not a whole safetensors file.*weights convert"):
        graph(str(tmp_path / "cut.safetensors"))


def test_features_of_another_kind_rate_or_width_are_refused() -> None:
    def wired(stream: Frames) -> None:
        Example(Wavenet(weights=WEIGHTS), features=(stream, features(64, bands=stream.width))).graph()

    with pytest.raises(WireError, match="takes Frames\\('mel' or 'log_mel'\\)"):
        wired(Frames(100, "lpc", 5))
    with pytest.raises(ParameterError, match="trained with features of 5 numbers; found .*6 wide"):
        wired(Frames(100, "mel", 6))
    with pytest.raises(ParameterError, match="100 frames a second, a hop of 20 at 2000 Hz; found .*200"):
        wired(Frames(200, "mel", 5))


def test_features_that_are_no_numbers_are_refused() -> None:
    from dspgraph_nodes.neural.wavenet import wavenet

    rows = features(8)
    rows[3, 2] = np.nan
    with pytest.raises(SignalError, match="features takes finite numbers; item 3"):
        graph()(features=rows)
    network: Any = None
    with pytest.raises(ValueError, match="takes finite numbers"):
        wavenet(network, rows, np.random.default_rng(0))


def test_the_function_gives_what_the_node_gives() -> None:
    from dspgraph_nodes.neural.wavenet import wavenet

    node = Wavenet(weights=WEIGHTS)
    rows = features(9)
    samples, parameters = wavenet(node._file.packed, rows, np.random.Generator(np.random.Philox(key=1)))
    again, _ = wavenet(node._file.packed, rows, np.random.Generator(np.random.Philox(key=1)))
    assert_array_equal(samples, again)
    assert parameters.shape == (180, 9)
