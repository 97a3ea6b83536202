"""The encoder of a WaveNet autoencoder, compared in any cut with the network in torch and with the published program."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.neural.two_sided import FRAMES_AT_ONCE, EncoderState
from dspgraph_nodes.neural.wavenet_encoder import WavenetEncoder, wavenet_encoding
from helpers.autoencoders import (
    NORMALISED,
    RECORDED,
    TINY,
    Config,
    autoencoder_file,
    frames_in_torch,
    packed_encoder,
    random_arrays,
    recorded,
    recorded_by_chainer,
    tiny,
)
from helpers.speech import speech

WIDE = tiny(encoder=33, layers=4, stacks=1, hop=7, latent=17)
"""33 channels: two blocks of 16, and 1; 17 numbers in a frame: a block, and 1; a dilation of 8, above the hop of 7."""


def example(config: Config, count: int) -> Example:
    node = WavenetEncoder(weights=autoencoder_file(config))
    return Example(node, x=(Audio(2000), speech(count)))


EXAMPLES = [example(TINY, 1613), example(WIDE, 1200), example(NORMALISED, 1613)]


@pytest.mark.parametrize("config", [TINY, WIDE, NORMALISED], ids=["tiny", "wide", "normalised"])
def test_frames_are_what_the_network_gives_in_torch(config: Config) -> None:
    """The frames agree with torch to 3e-6 (measured: 3e-7), also where zeros fill the last frame of a signal."""
    for count in (1, config.hop, 3 * config.hop + 1, (FRAMES_AT_ONCE + 3) * config.hop - 1):
        x = speech(8000)[4000 : 4000 + count]
        found = wavenet_encoding(packed_encoder(config, random_arrays(config)), x)
        assert found.shape == (-(-count // config.hop), config.latent)
        assert_allclose(found, frames_in_torch(config, random_arrays(config), x), rtol=0, atol=3e-6)


def test_a_frame_comes_out_as_soon_as_the_samples_that_it_reads_are_there() -> None:
    session, counts = EXAMPLES[0].graph().session(), []
    for sample in speech(60):
        counts.append(len(session.push(x=np.array([sample]))["z"]))
    assert TINY.reach == 15
    assert np.flatnonzero(counts).tolist() == [20 + 15 - 1, 40 + 15 - 1]
    assert len(session.flush()["z"]) == 1


def test_of_a_signal_without_samples_there_are_no_frames() -> None:
    assert EXAMPLES[0].graph()(x=np.zeros(0))["z"].shape == (0, TINY.latent)


def test_a_long_signal_has_the_same_frames_in_one_block() -> None:
    """A signal of 8000 samples, computed in several runs of frames, has the same frames as in 50 pieces."""
    graph, x = EXAMPLES[0].graph(), np.tile(speech(4000), 2)
    session = graph.session()
    parts = [session.push(x=piece)["z"] for piece in np.split(x, 50)]
    assert_array_equal(np.concatenate([*parts, session.flush()["z"]]), graph(x=x)["z"])


def test_streams_that_do_not_fit_are_refused() -> None:
    node = WavenetEncoder(weights=autoencoder_file())
    assert node.streams(Audio(2000)) == (Frames(100, "wavenet_encoding", TINY.latent),)
    cases: list[tuple[Any, str]] = [
        (Audio(1000), r"weights were trained at 2000 Hz; found .*: put a resample before the node"),
        (Audio(2000, channels=2), "takes one channel"),
    ]
    for stream, message in cases:
        with pytest.raises(ParameterError, match=message):
            node.streams(stream)
    with pytest.raises(ParameterError, match="wavenet_encoder.weights is not given"):
        WavenetEncoder().streams(Audio(2000))


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "deep"])
def test_encodings_are_those_of_the_published_program(name: str) -> None:
    """Encodings agree to 1e-5. The network "small" has 6 layers, "deep" has the published 30, which are narrow."""
    golden, config, arrays = recorded(name)
    found = wavenet_encoding(packed_encoder(config, arrays), golden["wav"])
    assert_allclose(found, golden["encoding"], rtol=0, atol=1e-5)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "full"])
def test_encodings_are_those_of_chainer(name: str) -> None:
    """Encodings agree to 1e-5; measured: 4e-6."""
    golden, config, arrays = recorded_by_chainer(name)
    network, samples = packed_encoder(config, arrays), (golden["target"] - 128) / 128
    assert_allclose(EncoderState(network).push(network, samples, last=True), golden["z"], rtol=0, atol=1e-5)
