"""The WaveNet autoencoder in torch, compared with its equations and with results of NSynth's program."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from dspgraph import Array
from dspgraph_nodes._kernels.signal.mulaw import floor_levels
from dspgraph_nodes.models.wavenet_autoencoder.config import PRESETS, Config
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder, with_pitch
from dspgraph_nodes.models.wavenet_autoencoder.packing import frames_read
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS
from helpers.autoencoders import PITCHED, RECORDED, TINY, random_arrays, recorded


def network(config: Config, arrays: dict[str, Array]) -> WaveNetAutoencoder:
    model = WaveNetAutoencoder(config).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model


def levels(count: int, seed: int = 0) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).integers(256, size=count)


def restated(config: Config, arrays: dict[str, Array], given: Array) -> tuple[Array, Array]:
    """Return the encoding [frames, latent] and the logits [n, 256], computed from the equations in float64.

    config: of the form "gated", without pitches; arrays: the weights, by name; given: the levels [n] of a signal, whole
    frames, which the encoder and the decoder read.
    """
    w: Any = {name: array.astype(np.float64) for name, array in arrays.items()}
    n, width, v = len(given), config.width, (given - 128) / 128

    def at(rows: Array, t: int) -> Array:
        zeros: Array = np.zeros_like(rows[0])
        return rows[t] if 0 <= t < n else zeros

    def dense(name: str, x: Array) -> Array:
        found: Array = w[f"{name}.weight"] @ x + w[f"{name}.bias"]
        return found

    rows = v[:, None]
    h = np.array([dense("encoder.first", np.concatenate([at(rows, t + k - 1) for k in range(3)])) for t in range(n)])
    for i, d in enumerate(config.dilations):
        r, name = np.maximum(h, 0), f"encoder.layers.{i}"
        read = [np.concatenate([at(r, t + (k - 1) * d) for k in range(3)]) for t in range(n)]
        h = h + np.array([dense(f"{name}.out", np.maximum(dense(f"{name}.conv", one), 0)) for one in read])
    z = np.array([dense("encoder.last", one) for one in h]).reshape(-1, config.hop, config.latent).mean(axis=1)
    x = np.array([dense("decoder.first", np.concatenate([at(rows, t + k - 3) for k in range(3)])) for t in range(n)])
    total = np.array([dense("decoder.skip", one) for one in x])
    for i, d in enumerate(config.dilations):
        name, new = f"decoder.layers.{i}", x.copy()
        for t in range(n):
            a = dense(f"{name}.gate", np.concatenate([at(x, t + (k - 2) * d) for k in range(3)]))
            a = a + dense(f"{name}.condition", z[t // config.hop])
            g = np.tanh(a[:width]) / (1 + np.exp(-a[width:]))
            total[t] += dense(f"{name}.skip", g)
            if i + 1 < config.layers:
                new[t] += dense(f"{name}.out", g)
        x = new
    hidden = [
        dense("decoder.head.0", np.maximum(one, 0)) + dense("decoder.condition", z[t // config.hop])
        for t, one in enumerate(total)
    ]
    return z, np.array([dense("decoder.head.1", np.maximum(one, 0)) for one in hidden])


def test_frames_and_logits_are_those_of_the_equations() -> None:
    arrays, given = random_arrays(TINY), levels(4 * TINY.hop)
    model = network(TINY, arrays)
    with torch.no_grad():
        z, logits = model.encoder(torch.from_numpy(given)[None])[0], model(torch.from_numpy(given)[None])[0]
    frames, expected = restated(TINY, arrays, given)
    np.testing.assert_allclose(z, frames, rtol=0, atol=1e-5)  # float32 against float64: found 4e-7
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    assert np.abs(np.diff(frames, axis=0)).max() > 0.1


def test_a_frame_depends_on_samples_within_its_reach_and_on_no_others() -> None:
    """A frame depends on its own samples and on 15 = 1 + 2 * (1 + 2 + 4) before and after them, and on no others.

    All weights and samples are positive, so that no ReLU hides the effect of a sample.
    """
    arrays, hop = {name: np.abs(one) for name, one in random_arrays(TINY).items()}, TINY.hop
    model, given = network(TINY, arrays).double(), torch.from_numpy(128 + levels(8 * hop) // 4)
    assert TINY.reach == 15  # 1 + 2 (1 + 2 + 4)

    def frame(of: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model.encoder(of[None])[0, 3]
        return found

    for inside, outside in ((3 * hop - 15, 3 * hop - 16), (4 * hop + 14, 4 * hop + 15)):
        for at, same in ((inside, False), (outside, True)):
            other = given.clone()
            other[at] += 50
            assert torch.equal(frame(other), frame(given)) == same, at


def test_the_decoder_sees_all_samples_within_its_field_and_none_from_its_own_on() -> None:
    model, given = network(TINY, random_arrays(TINY)), torch.from_numpy(levels(3 * TINY.hop))
    z, other = torch.randn(1, 3, TINY.latent, generator=torch.Generator().manual_seed(0)), given.clone()
    other[5] = 255 - other[5]
    with torch.no_grad():
        moved = (model.decoder(z, other[None]) - model.decoder(z, given[None]))[0].abs().amax(1)
    assert moved[:5].max() == 0
    assert moved[5:36].min() > 0  # 31 lags, 3 + 2 * 2 (1 + 2 + 4): all, also the odd ones
    assert moved[36:].max() == 0


def test_the_published_network_has_its_number_of_weights() -> None:
    """The program has 61,804,048 weights, with the 512 * 513 of a last residual connection, which ours lacks.

    The encoder has 1,976,336 of them. The dilations are 1 to 512 in each of three stacks, the reach is 3070 samples.
    """
    with torch.device("meta"):
        model = WaveNetAutoencoder(PRESETS["wavenet_autoencoder"])
    counts = [sum(one.numel() for one in part.parameters()) for part in (model.encoder, model.decoder)]
    assert counts == [1_976_336, 59_827_712 - 512 * 513]
    dilations = PRESETS["wavenet_autoencoder"].dilations
    assert (min(dilations), max(dilations), len(dilations)) == (1, 512, 30)
    assert all(b in (2 * a, 1) for a, b in pairwise(dilations))
    assert PRESETS["wavenet_autoencoder"].reach == 3070


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="stacks is 4; it must divide the 30 layers"):
        Config(stacks=4)
    with pytest.raises(ValueError, match="lowest \\+ pitches is 129; MIDI has 128 pitches"):
        Config(lowest=100, pitches=29)
    with pytest.raises(ValueError, match="layers / stacks is 30: a convolution would see"):
        Config(stacks=1)


def test_the_encoding_has_a_row_for_every_whole_frame_and_other_lengths_are_refused() -> None:
    model = network(TINY, random_arrays())
    with torch.no_grad():
        assert model.encoder(torch.from_numpy(levels(4 * TINY.hop))[None]).shape == (1, 4, TINY.latent)
        with pytest.raises(ValueError, match="81 samples; expected a multiple of 20, the samples in a frame"):
            model.encoder(torch.from_numpy(levels(81))[None])


def test_the_decoder_reads_the_one_hot_code_of_the_pitch_beside_every_frame() -> None:
    """`with_pitch` and `frames_read` append the code to every frame, and another pitch changes the logits."""
    z = torch.randn(2, 4, PITCHED.latent, generator=torch.Generator().manual_seed(0))
    rows = with_pitch(z, torch.tensor([2, 0]), PITCHED)
    assert torch.equal(rows[..., : PITCHED.latent], z)
    assert rows[..., PITCHED.latent :].tolist() == [[[0, 0, 1]] * 4, [[1, 0, 0]] * 4]
    assert with_pitch(z, None, TINY) is z
    np.testing.assert_array_equal(frames_read(z[0].numpy(), 2, PITCHED), rows[0].numpy())
    model, given = network(PITCHED, random_arrays(PITCHED)), torch.from_numpy(levels(2 * PITCHED.hop))[None]
    with torch.no_grad():
        first, second = (model(given, torch.tensor([pitch])) for pitch in (0, 1))
    assert (first - second).abs().amax() > 0.01


def test_a_file_of_an_older_version_has_no_pitches(tmp_path: Path) -> None:
    older = {name: value for name, value in TINY.model_dump().items() if name not in WEIGHTS.optional}
    said = {**WEIGHTS.metadata(TINY), "config": json.dumps(older)}
    save_file(random_arrays(), tmp_path / "older.safetensors", said)
    config, _ = WEIGHTS.read(tmp_path / "older.safetensors")
    assert config == TINY


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "deep"])
def test_encodings_logits_and_loss_are_those_of_the_published_program(name: str) -> None:
    golden, config, arrays = recorded(name)
    model, given = network(config, arrays), floor_levels(golden["wav"])
    np.testing.assert_array_equal(given - 128, golden["quantized"])
    with torch.no_grad():
        z, logits = model.encoder(torch.from_numpy(given)[None])[0], model(torch.from_numpy(given)[None])[0]
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(given))
    np.testing.assert_allclose(z, golden["encoding"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits[golden["logit_index"]], golden["logits"], rtol=0, atol=1e-4)
    assert loss.item() == pytest.approx(float(golden["loss"]), abs=1e-5)
