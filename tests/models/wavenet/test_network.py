"""WaveNet in torch, compared with its equations and the published programs; the samples that a sample depends on."""

from typing import Any

import numpy as np
import pytest
import torch

from dspgraph import Array
from dspgraph_nodes.models.shared.distributions.logistic_mixture import LogisticMixture
from dspgraph_nodes.models.wavenet.config import PRESETS, Config
from dspgraph_nodes.models.wavenet.convert import convert
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.weights import shapes
from helpers import paths
from helpers.wavenets import LEVELS, MIXTURE, TRANSPOSED, random_arrays, restated, tiny

GOLDEN = paths.GOLDEN / "wavenet"
FORMS = pytest.mark.parametrize("config", [MIXTURE, LEVELS, TRANSPOSED], ids=["mixture", "levels", "transposed"])


def model_of(config: Config, seed: int = 0) -> WaveNet:
    model = WaveNet(config)
    model.load_state_dict({name: torch.from_numpy(one) for name, one in random_arrays(config, seed).items()})
    return model.eval()


def signal(config: Config, frames: int, seed: int = 0) -> tuple[Array, Array]:
    """Return random features [frames + 2 * context, bands], and the random sample or level before each sample, [n].

    n = frames * hop; samples lie between -1 and 1, levels between 0 and 63.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    rows = draw.standard_normal((frames + 2 * config.context, config.bands))
    count = frames * config.hop
    return rows, draw.integers(0, 64, count) if config.kind == "categorical" else 2 * draw.random(count) - 1


@pytest.mark.parametrize("config", [*PRESETS.values(), MIXTURE, LEVELS, TRANSPOSED])
def test_the_file_has_the_arrays_of_the_network(config: Config) -> None:
    with torch.device("meta"):
        assert {name: tuple(one.shape) for name, one in WaveNet(config).state_dict().items()} == shapes(config)


def test_the_published_network_has_the_published_size() -> None:
    """The published network has 3,702,210 weights, of which ours lacks an output of the last layer that nothing reads.

    This output has 128 * 128 weights and 128 biases. The receptive field is 505 samples.
    """
    with torch.device("meta"):
        found = sum(one.numel() for one in WaveNet(PRESETS["wavenet"]).parameters())
    assert found + 128 * 128 + 128 == 3_702_210
    assert PRESETS["wavenet"].receptive_field == 505


@FORMS
def test_the_network_computes_its_equations_in_float64(config: Config) -> None:
    model, arrays = model_of(config).double(), random_arrays(config)
    rows, previous = signal(config, 6)
    with torch.no_grad():
        c = model.condition(torch.from_numpy(rows)[None])
        found = model(c, torch.from_numpy(previous)[None])[0].numpy()
    np.testing.assert_allclose(found, restated(config, arrays, c[0].numpy(), previous), rtol=0, atol=1e-12)
    assert np.ptp(found, axis=0).min() > 0.01


@pytest.mark.slow
def test_sample_by_sample_24_layers_give_the_same_2048_samples_in_float64() -> None:
    """The outputs of the network, which computes 2048 samples at once, are those of its equations, to 1e-12.

    The equations are computed sample by sample.
    """
    config = tiny(layers=24, stacks=4, residual=8, gate=8, skip=8, bands=2, context=0)
    model, arrays = model_of(config).double(), random_arrays(config)
    draw = np.random.Generator(np.random.Philox(key=1))
    c, previous = draw.standard_normal((2048, 2)), 2 * draw.random(2048) - 1
    with torch.no_grad():
        found = model(torch.from_numpy(c)[None], torch.from_numpy(previous)[None])[0].numpy()
    np.testing.assert_allclose(found, restated(config, arrays, c, previous), rtol=0, atol=1e-12)


def test_the_upsampling_repeats_and_smooths() -> None:
    model, config = model_of(MIXTURE), MIXTURE
    rows, _ = signal(config, 4)
    w = random_arrays(config)
    x = (rows - w["mean"]) / w["deviation"]
    first = w["stretch.first.weight"]
    y = np.stack([sum(first[:, :, k] @ x[j + k] for k in range(3)) for j in range(4)])
    for k, s in enumerate(config.scales):
        y = np.repeat(y, s, axis=0)
        taps = w[f"stretch.taps.{k}"]
        y = np.stack([np.convolve(band, taps[::-1], "same") for band in y.T], axis=1)
    with torch.no_grad():
        found = model.condition(torch.from_numpy(rows).float()[None])[0].numpy()
    np.testing.assert_allclose(found, y, rtol=0, atol=1e-6)


def test_a_sample_depends_on_the_past_within_the_receptive_field_only() -> None:
    config = tiny(layers=8, stacks=2, context=0)
    model = model_of(config).double()
    count = config.receptive_field + 30
    frames = -(-count // config.hop)
    previous = torch.rand(1, frames * config.hop, dtype=torch.float64, requires_grad=True)
    c = model.condition(torch.zeros(1, frames, config.bands, dtype=torch.float64))
    t = config.receptive_field + 20
    (gradient,) = torch.autograd.grad(model(c, previous)[0, t].sum(), previous)
    lags = t - torch.nonzero(gradient[0])[:, 0]
    assert lags.min() == 0  # the sample before sample t, which stands at place t
    assert lags.max() == config.receptive_field - 1


def golden(name: str) -> tuple[Any, WaveNet]:
    path = GOLDEN / f"wavenet_{name}.npz"
    if not path.is_file():
        pytest.skip("what the programs gave is recorded beside the repository")
    file = np.load(path)
    config, arrays, _ = convert({key[3:]: file[key] for key in file if key.startswith("sd/")}, {})
    model = WaveNet(config)
    model.load_state_dict({key: torch.from_numpy(one) for key, one in arrays.items()})
    return file, model.eval()


@pytest.mark.parametrize("name", ["head", "y2018"])
def test_teacher_forced_it_is_the_published_program(name: str) -> None:
    file, model = golden(name)
    x = torch.from_numpy(file["x"])[:, 0]
    with torch.no_grad():
        c = model.condition(torch.from_numpy(file["c"]).mT)
        y = model(c, x)
        loss = LogisticMixture(10, floor=model.config.loss_floor, formula="published").loss(y[:, :-1], x[:, 1:])
    assert np.abs(c.mT.numpy() - file["c_up"]).max() <= 1e-5  # measured 7e-7
    assert np.abs(y.mT.numpy() - file["y"]).max() <= 1e-4  # measured 2.9e-6
    # The float32 formula of the program loses digits where two values of the distribution function nearly agree.
    assert np.abs(loss.numpy() - file["nll"]).max() <= 2e-2  # measured 1.1e-2
    assert np.median(np.abs(loss.numpy() - file["nll"])) <= 1e-5
