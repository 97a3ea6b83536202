"""The decoder of a WaveNet autoencoder: draws, lanes, temperature, pitch, and draws of the published program."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from dspgraph import Array, Audio, Frames, Graph, ParameterError, load
from dspgraph.engine.batch import Batch
from dspgraph.testing import Example
from dspgraph_nodes._kernels.neural.lanes import Segment
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, synthesise_wavenet
from dspgraph_nodes._kernels.signal.mulaw import floor_samples
from dspgraph_nodes.neural.wavenet_decoder import WavenetDecoder, wavenet_decoding
from helpers.autoencoders import (
    NORMALISED,
    PITCHED,
    RECORDED,
    TINY,
    Config,
    autoencoder_file,
    logits_in_torch,
    packed_decoder,
    random_arrays,
    recorded,
    recorded_by_chainer,
)
from helpers.networks import overrides
from helpers.speech import speech


def frames(count: int, seed: int = 0) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal((count, TINY.latent))


def example(count: int = 64, **parameters: Any) -> Example:
    node = WavenetDecoder(weights=autoencoder_file(), **parameters)
    return Example(node, z=(Frames(100, "wavenet_encoding", TINY.latent), frames(count)))


def pitched(pitch: int | None, count: int = 12, config: Config = PITCHED) -> Example:
    node = WavenetDecoder(weights=autoencoder_file(config), pitch=pitch)
    return Example(node, z=(Frames(100, "wavenet_encoding", config.latent), frames(count)))


EXAMPLES = [example(70, temperature=0.7), pitched(1, 70), pitched(2, 70, NORMALISED)]


def levels(samples: Array) -> Array:
    found: Array = np.abs(samples[:, None] - floor_samples()).argmin(axis=1)
    return found


@pytest.mark.parametrize(("kind", "count"), [("gated", 2), ("gated", 17), ("normalised", 17)])
def test_a_batch_of_any_size_changes_no_bit(kind: str, count: int) -> None:
    graph = (example() if kind == "gated" else pitched(1, config=NORMALISED)).graph()
    signals = [frames(1 + (7 * k) % 11, seed=k) for k in range(count)]
    alone = [graph(z=signal) for signal in signals]
    for k, outputs in Batch(graph, 17).render([{"z": signal} for signal in signals]):
        assert isinstance(outputs, dict), outputs
        assert_array_equal(outputs["y"], alone[k]["y"])
        assert_array_equal(outputs["distribution"], alone[k]["distribution"])
        assert len(outputs["y"]) == 20 * len(signals[k])


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_the_distributions_are_those_of_the_network_in_torch(temperature: float) -> None:
    z = frames(12)
    found = example(temperature=temperature).graph()(z=z)
    drawn = levels(found["y"])
    assert_array_equal(found["y"], floor_samples()[drawn])
    logits = logits_in_torch(TINY, random_arrays(), z, np.append(128, drawn[:-1])) / temperature
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert_allclose(found["distribution"], p / p.sum(axis=1, keepdims=True), rtol=0, atol=1e-6)


def test_a_sample_comes_with_its_frame_and_depends_on_no_later_one() -> None:
    session, z = example().graph().session(), frames(5)
    parts = [session.push(z=row[None])["y"] for row in z]
    assert [len(part) for part in parts] == [20] * 5
    assert_array_equal(np.concatenate(parts), example().graph()(z=z)["y"])


def test_to_look_at_the_distributions_changes_no_sample() -> None:
    node, stream = WavenetDecoder(weights=autoencoder_file()), {"z": Frames(100, "wavenet_encoding", TINY.latent)}
    plain = Graph({"node": node}, {"node.z": "z"}, stream, {"y": "node.y"})
    both = example().graph()(z=frames(12))
    assert_array_equal(plain(z=frames(12))["y"], both["y"])
    assert both["distribution"].shape == (240, 256)


def test_a_low_temperature_draws_the_most_probable_levels() -> None:
    found = example(temperature=0.01).graph()(z=frames(20))
    assert found["distribution"].max(axis=1).mean() > 0.9
    assert (levels(found["y"]) == found["distribution"].argmax(axis=1)).mean() > 0.9


def test_another_seed_is_another_sound_and_the_same_the_same() -> None:
    found = [example(seed=seed).graph()(z=frames(6))["y"] for seed in (0, 0, 1)]
    assert_array_equal(found[0], found[1])
    assert (found[0][:20] != found[2][:20]).any()


def test_the_function_gives_what_the_formulas_say_and_refuses_what_is_no_number() -> None:
    network, z = packed_decoder(TINY, random_arrays()), frames(4)
    draws = [np.random.Generator(np.random.Philox(key=1)) for _ in range(2)]
    (samples, rows), (again, _) = (wavenet_decoding(network, z, draw) for draw in draws)
    assert_array_equal(samples, again)
    assert rows.shape == (80, 256)
    z[2, 1] = np.inf
    with pytest.raises(ValueError, match="wavenet_decoder takes finite numbers; frame 2 of z has others"):
        wavenet_decoding(network, z, draws[0])


def test_streams_that_do_not_fit_are_refused() -> None:
    node, stream = WavenetDecoder(weights=autoencoder_file()), Frames(100, "wavenet_encoding", TINY.latent)
    assert node.streams(stream) == (Audio(2000), Frames(2000, "categorical", 256))
    with pytest.raises(ParameterError, match="100 frames a second, a hop of 20 at 2000 Hz; found .*50"):
        node.streams(stream.like(rate=50))
    with pytest.raises(ParameterError, match="frames of 5 numbers; found .*6 wide.*: encode with the same weights"):
        node.streams(stream.like(width=6))
    with pytest.raises(ParameterError, match="wavenet_decoder.weights is not given"):
        WavenetDecoder().streams(stream)


@pytest.mark.parametrize("config", [PITCHED, NORMALISED], ids=["gated", "normalised"])
@pytest.mark.parametrize("pitch", [0, 1, 2])
def test_the_pitch_is_read_beside_every_frame(pitch: int, config: Config) -> None:
    z, code = frames(12), np.zeros((12, 3))
    code[:, pitch] = 1
    found = pitched(pitch, config=config).graph()(z=z)
    drawn = levels(found["y"])
    rows = np.concatenate((z, code), axis=1)
    logits = logits_in_torch(config, random_arrays(config), rows, np.append(128, drawn[:-1]))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert_allclose(found["distribution"], p / p.sum(axis=1, keepdims=True), rtol=0, atol=1e-6)


def test_a_pitch_that_the_network_does_not_have_is_refused() -> None:
    stream = Frames(100, "wavenet_encoding", TINY.latent)
    with pytest.raises(
        ParameterError, match="pitch is not given; the weights were trained with the pitches 0 to 2: give"
    ):
        pitched(None).node.streams(stream)
    with pytest.raises(ParameterError, match="pitch is 3; the weights were trained with the pitches 0 to 2"):
        pitched(3).node.streams(stream)
    with pytest.raises(ParameterError, match="pitch is 1; the weights were trained without pitches: leave it out"):
        WavenetDecoder(weights=autoencoder_file(), pitch=1).streams(stream)
    with pytest.raises(ParameterError, match="pitch is 128"):
        WavenetDecoder(pitch=128)


def test_the_pipeline_decodes_a_note_with_another_pitch() -> None:
    """The network has the pitches 59 and 60. Both notes have the same encoding, and different distributions."""
    x, notes = speech()[9000:12000], []
    for pitch in (59, 60):
        graph = load("wavenet_pitch", [*overrides("wavenet_pitch"), f"pitch={pitch}"]).expose_all()
        notes.append(graph(speech=x))
    assert_array_equal(notes[0]["encoder.z"], notes[1]["encoder.z"])
    assert len(notes[0]["decoder.y"]) == len(x)
    assert (notes[0]["decoder.distribution"][:20] != notes[1]["decoder.distribution"][:20]).any()


def drawn_by_kernel(name: str, temperature: float, numbers: Array, many: int = 99) -> tuple[Array, Array]:
    """Return the levels [n] that the kernel draws with recorded random numbers [n], and all logits, one row per sample.

    The logits go on to the end of the last frame. name: the recorded network, "small" or "deep"; many: 2 for two equal
    signals in lanes side by side; by default the signal is computed alone.
    """
    golden, config, arrays = recorded(name)
    network = packed_decoder(config, arrays)
    network = network._replace(form=network.form._replace(temperature=temperature))
    count = -(-len(numbers) // config.hop)
    z, whole = golden["encoding"][:count], np.pad(numbers, (0, count * config.hop - len(numbers)))
    segments = []
    for _ in range(1 if many > 2 else 2):
        segment = WaveNetState(network, np.random.default_rng(0)).push(network, z, last=True)
        segments.append(segment._replace(numbers=whole[:, None]))
    samples, logits = synthesise_wavenet(network, segments, many)[-1]
    return levels(samples)[: len(numbers)], logits


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "deep"])
@pytest.mark.parametrize(("case", "power"), [("beta1", 1.0), ("beta1p7", 1.7)])
def test_the_levels_are_those_that_the_published_program_drew(name: str, case: str, power: float) -> None:
    """With the recorded random numbers, all drawn levels equal the recorded ones, for a signal alone and in a lane.

    Probabilities agree to 1e-5. The network "small" has 6 layers, "deep" has the published 30 layers, which are narrow.
    power: 1 / temperature.
    """
    golden = recorded(name)[0]
    numbers = golden[f"gen_{case}_uniform"]
    for many in (99, 2):
        drawn, logits = drawn_by_kernel(name, 1 / power, numbers, many)
        assert_array_equal(drawn, golden[f"gen_{case}_bin"])
    rows = power * logits[golden["gen_prob_index"]].astype(np.float64)
    p = np.exp(rows - rows.max(axis=1, keepdims=True))
    assert_allclose(p / p.sum(axis=1, keepdims=True), golden[f"gen_{case}_probs"], rtol=0, atol=1e-5)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "deep"])
def test_the_logits_of_the_kernel_are_those_of_the_published_program(name: str) -> None:
    golden, config, arrays = recorded(name)
    network, given = packed_decoder(config, arrays), golden["quantized"].astype(np.float64) + 128
    segment = WaveNetState(network, np.random.default_rng(0)).push(network, golden["encoding"], last=True)
    _, logits = synthesise_wavenet(network, [segment._replace(forced=given)])[0]
    assert_allclose(logits[golden["logit_index"]], golden["logits"], rtol=0, atol=1e-4)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "full"])
@pytest.mark.parametrize("many", [99, 2])
def test_levels_and_logits_are_those_of_chainer(name: str, many: int) -> None:
    """With the recorded random numbers and first level, 70, all drawn levels equal the recorded ones.

    Probabilities agree to 1e-5; the logits of a second run, in which the network reads the recorded samples, to 1e-4.
    Measured: 3e-6 and 4e-5. many: 2 for a signal in a lane, 99 for a signal alone.
    """
    golden, config, arrays = recorded_by_chainer(name)
    network, lanes = packed_decoder(config, arrays).at(1 / float(golden["gen_beta"])), 1 if many > 2 else 2
    numbers = golden["gen_uniform"]
    read = golden["read"][: -(-len(numbers) // config.hop)]
    whole = np.pad(numbers, (0, len(read) * config.hop - len(numbers)))[:, None]

    def segment(first: int, rows: Array) -> Segment:
        state = WaveNetState(network, np.random.default_rng(0))
        state.last[:] = first
        return state.push(network, rows, last=True)

    samples, logits = synthesise_wavenet(
        network, [segment(golden["gen_sequence"][0], read)._replace(numbers=whole) for _ in range(lanes)], many
    )[-1]
    assert_array_equal(levels(samples)[: len(numbers)], golden["gen_sequence"][1:])
    p = softmax(golden["gen_beta"] * logits[golden["gen_prob_index"]].astype(np.float64), axis=1)
    assert_allclose(p, golden["gen_probs"], rtol=0, atol=1e-5)
    given = np.append(golden["x"][1:], 0).astype(np.float64)
    _, logits = synthesise_wavenet(
        network, [segment(golden["x"][0], golden["read"])._replace(forced=given) for _ in range(lanes)], many
    )[-1]
    assert_allclose(logits[golden["logit_index"]], golden["logits"], rtol=0, atol=1e-4)
