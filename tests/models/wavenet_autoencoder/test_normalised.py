"""The normalised form in torch, compared with its equations and with results of wavenet-autoencoder-chainer."""

from typing import Any

import numpy as np
import pytest
import torch

from dspgraph import Array
from dspgraph_nodes.models.shared.trainer import Run
from dspgraph_nodes.models.wavenet_autoencoder.config import PRESETS, Config
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder
from dspgraph_nodes.models.wavenet_autoencoder.training import Settings, task
from helpers.autoencoders import NORMALISED, RECORDED, random_arrays, recorded_by_chainer, tiny


def network(config: Config, arrays: dict[str, Array]) -> WaveNetAutoencoder:
    model = WaveNetAutoencoder(config).eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model


def levels(count: int) -> Array:
    return np.random.Generator(np.random.Philox(key=0)).integers(256, size=count)


def restated(config: Config, arrays: dict[str, Array], given: Array, read: Array | None = None) -> tuple[Array, Array]:
    """Return the encoding [frames, latent] and the logits [n, 256], computed from the equations in float64.

    arrays: the weights, by name; given: the levels [n] of a signal, whole frames, which the encoder and the decoder
    read; read: [frames, latent + pitches], the frames that the decoder reads; by default the encoding, which is enough
    for a network without pitches.
    """
    w: Any = {name: array.astype(np.float64) for name, array in arrays.items()}
    n = len(given)

    def dense(name: str, x: Array) -> Array:
        found: Array = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return found

    def leaky(x: Array) -> Array:
        return np.where(x > 0, x, x / 5)

    def norm(name: str, x: Array) -> Array:
        scale: Array = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + 1e-5)
        found: Array = (x - w[f"{name}.running_mean"]) * scale + w[f"{name}.bias"]
        return found

    def summed(part: str, h: Array, lags: tuple[int, ...], condition: Array | None = None) -> Array:
        total = np.zeros_like(h)
        for i, d in enumerate(config.dilations):
            name = f"{part}.layers.{i}"
            a = leaky(norm(f"{name}.norms.0", h))
            taken = [np.concatenate([a[t + k * d] if 0 <= t + k * d < n else 0 * a[0] for k in lags]) for t in range(n)]
            sums = np.array(taken) @ w[f"{name}.conv.weight"].T
            sums += w[f"{name}.conv.bias"] if condition is None else condition
            u = dense(f"{name}.out", norm(f"{name}.norms.1", leaky(sums)))
            h, total = h + u, total + u
        return total

    rows = dense("encoder.last", summed("encoder", w["encoder.first.weight"][given], (-1, 0, 1)))
    z = rows.reshape(-1, config.hop, config.latent).mean(axis=1)
    condition = dense("decoder.condition", z if read is None else read).repeat(config.hop, axis=0)
    before = np.append(128, given[:-1])
    total = summed("decoder", w["decoder.first.weight"][before], (-1, 0), condition)
    return z, dense("decoder.head.1", leaky(dense("decoder.head.0", leaky(total))))


@pytest.mark.parametrize("config", [NORMALISED, NORMALISED.replace(least_dilation=2, pitches=0)])
def test_frames_and_logits_are_those_of_the_equations(config: Config) -> None:
    arrays, given = random_arrays(config), levels(4 * config.hop)
    model, pitch = network(config, arrays), torch.tensor([1])
    with torch.no_grad():
        z = model.encoder(torch.from_numpy(given)[None])[0].numpy()
        logits = model(torch.from_numpy(given)[None], pitch)[0].numpy()
    code = np.tile([0, 1, 0], (4, 1)) if config.pitches else np.zeros((4, 0))
    frames, expected = restated(config, arrays, given, np.concatenate((z, code), axis=1))
    np.testing.assert_allclose(z, frames, rtol=0, atol=1e-5)  # float32 against float64
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    assert np.abs(np.diff(frames, axis=0)).max() > 0.05


@pytest.mark.parametrize(("least", "field"), [(1, 15), (2, 29)])
def test_the_decoder_reads_odd_lags_unless_its_dilations_begin_with_2_and_never_a_later_sample(
    least: int, field: int
) -> None:
    """The logits of 1 + 2 * (1 + 2 + 4) samples depend on a sample; with dilations from 2, every second of 29.

    least: the least dilation; field: the number of samples from the first one to the last one that depends on it.
    """
    config = NORMALISED.replace(least_dilation=least)
    model, given = network(config, random_arrays(config)), torch.from_numpy(levels(3 * config.hop))
    z, other = torch.randn(1, 3, config.condition, generator=torch.Generator().manual_seed(0)), given.clone()
    other[5] = 255 - other[5]
    with torch.no_grad():
        moved = (model.decoder(z, other[None]) - model.decoder(z, given[None]))[0].abs().amax(1)
    assert torch.flatten(moved.nonzero()).tolist() == list(range(5, 5 + field, least))


def test_a_frame_depends_on_samples_within_its_reach_and_on_no_others() -> None:
    """A frame depends on its own samples and on 14 = 2 * (1 + 2 + 4) before and after them, and on no others.

    All weights are made positive, biases and running means 0, so that all numbers are positive.
    """
    arrays = {
        name: 0 * one if name.endswith("bias") else np.abs(one) for name, one in random_arrays(NORMALISED).items()
    }
    arrays |= {name: 0 * one for name, one in arrays.items() if name.endswith("running_mean")}
    model, given, hop = network(NORMALISED, arrays).double(), torch.from_numpy(levels(8 * 20)), NORMALISED.hop
    assert NORMALISED.reach == 14

    def frame(of: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model.encoder(of[None])[0, 3]
        return found

    for inside, outside in ((3 * hop - 14, 3 * hop - 15), (4 * hop + 13, 4 * hop + 14)):
        for at, same in ((inside, False), (outside, True)):
            other = given.clone()
            other[at] = 255 - other[at]
            assert torch.equal(frame(other), frame(given)) == same, at


def test_the_published_network_has_its_number_of_weights_and_one_table_for_both_parts() -> None:
    """There are 134,288 weights, as in the published program, and 30 * 2 * 2 * (32 + 16) running statistics.

    The network has 7 pitches. Encoder and decoder read samples by the same table.
    """
    config = PRESETS["wavenet_autoencoder-normalised"].replace(pitches=7)
    model = WaveNetAutoencoder(config)
    assert sum(one.numel() for one in model.parameters()) == 134_288
    assert sum(one.numel() for one in model.buffers()) == 5760
    assert model.decoder.first is model.encoder.first


def test_another_number_of_channels_of_the_skip_connections_is_refused() -> None:
    with pytest.raises(ValueError, match="skip is 18; it must be 9 as encoder, because form is 'normalised'"):
        tiny(form="normalised")


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "full"])
def test_encodings_logits_and_loss_are_those_of_the_published_program(name: str) -> None:
    """Encodings agree to 1e-5, logits to 1e-4 and the loss to 2e-5; measured: 4e-6, 4e-5 and 4e-6."""
    golden, config, arrays = recorded_by_chainer(name)
    model, target = network(config, arrays), torch.from_numpy(golden["target"]).long()
    with torch.no_grad():
        z = model.encoder(target[None])[0].numpy()
        read = torch.from_numpy(golden["read"]).float()[None]
        logits = model.decoder(read, torch.from_numpy(golden["x"]).long()[None])[0]
    np.testing.assert_allclose(z, golden["z"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits.numpy()[golden["logit_index"]], golden["logits"], rtol=0, atol=1e-4)
    loss = torch.nn.functional.cross_entropy(logits, target).item()
    assert loss == pytest.approx(float(golden["mean_ce"]), abs=2e-5)


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
@pytest.mark.parametrize("name", ["small", "full"])
def test_in_training_the_statistics_are_those_of_the_batch(name: str) -> None:
    """Encodings and loss, normalised by the statistics of the batch, agree with the published program to 1e-3.

    That program adds 2e-5 to a variance in place of 1e-5, so all numbers differ by about 1e-5 per layer.
    """
    golden, config, arrays = recorded_by_chainer(name)
    model, target = network(config, arrays).train(), torch.from_numpy(golden["target"]).long()
    code = torch.from_numpy(golden["read"][:, config.latent :]).float()[None]
    with torch.no_grad():
        z = model.encoder(target[None])
        logits = model.decoder(torch.cat((z, code), -1), torch.from_numpy(golden["x"]).long()[None])[0]
    np.testing.assert_allclose(z[0].T, golden["train_z"], rtol=0, atol=1e-3)
    loss = torch.nn.functional.cross_entropy(logits, target).item()
    assert loss == pytest.approx(float(golden["train_ce"]), abs=1e-3)


@pytest.mark.slow
@pytest.mark.training
def test_4096_samples_of_a_tone_are_learnt() -> None:
    """After 60 batches the loss is below 0.1 nats; measured: 0.018.

    A uniform distribution has the loss ln 256 = 5.55 nats. The encoder reads the same samples that the decoder
    predicts.
    """
    settings = Settings(
        preset="wavenet_autoencoder-normalised", rate=16000, frames=8, batch=1, steps=60, learning_rate=3e-3, ema=0.0,
        threads=1, device="cpu",
    )  # fmt: skip
    tone = np.sin(2 * np.pi * 500 * np.arange(4096) / 16000) / 2
    run = Run(task(settings, {"a": tone}, lambda samples: {"samples": samples}), settings)
    for _ in range(settings.steps):
        run.step()
    assert run.validate()["loss"] < 0.1
