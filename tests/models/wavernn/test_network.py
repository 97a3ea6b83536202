"""WaveRNN in torch: its equations, the sizes of the published networks, and the inputs that outputs depend on."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from dspgraph import Array
from dspgraph_nodes.models.wavernn.config import PRESETS, Config
from dspgraph_nodes.models.wavernn.network import Split, WaveRNN, network
from dspgraph_nodes.models.wavernn.weights import shapes
from helpers.wavernn import SMALL, PlainWaveRNN, random_weights


def loaded(config: Config, seed: int = 0) -> WaveRNN:
    model = network(config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in random_weights(config, seed).items()})
    return model.eval()


def frames_and_samples(config: Config, count: int, seed: int = 0) -> tuple[Array, Array]:
    """Return random frames [count, features], and random inputs of the network [count * hop, d], both from -1 to 1.

    d is 3 for the kind coarse_fine, otherwise 1.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    width = 3 if config.kind == "coarse_fine" else 1
    return 2 * draw.random((count, config.features)) - 1, 2 * draw.random((count * config.hop, width)) - 1


def forward(model: WaveRNN, frames: Array, samples: Array) -> Tensor:
    """Return the outputs [n, outputs] of the network in torch.

    frames: [frames, features], to which zeros are added as context; samples: the inputs [n, d] of the network, where n
    = frames * hop.
    """
    context = model.config.context
    known = torch.from_numpy(np.pad(frames, ((context, context), (0, 0)))).float()[None]
    given = torch.from_numpy(samples).float()[None]
    outputs: Tensor = model(known, given if isinstance(model, Split) else given[..., 0])[0][0]
    return outputs


@pytest.mark.parametrize("name", SMALL)
def test_the_network_computes_its_equations(name: str) -> None:
    """The outputs agree to 2e-5 with those of the equations, computed in float64, sample by sample."""
    config = SMALL[name]
    frames, samples = frames_and_samples(config, 5)
    plain = PlainWaveRNN(config, random_weights(config), frames)
    expected = []
    for n, row in enumerate(samples):
        if config.kind == "coarse_fine":
            expected.append(np.concatenate((plain.coarse(n, row[:2]), plain.fine(row[2]))))
        else:
            expected.append(plain.stacked(n, row[0]))
    with torch.no_grad():
        assert_allclose(forward(loaded(config), frames, samples).numpy(), expected, atol=2e-5)  # found: 4e-6


@pytest.mark.parametrize("config", [*SMALL.values(), *PRESETS.values()])
def test_the_shapes_are_those_of_the_network(config: Config) -> None:
    found = {name: tuple(value.shape) for name, value in network(config).state_dict().items()}
    assert found == shapes(config)


def test_networks_have_as_many_parameters_as_the_published_ones() -> None:
    """The paper states the size of a network with a divided state, here `wavernn-split`.

    fatchord/WaveRNN prints 4.481 million for `wavernn` and 4.234 million for `wavernn-mixture`.
    """
    counts = {name: sum(one.numel() for one in network(config).parameters()) for name, config in PRESETS.items()}
    assert counts["wavernn-split"] == 3_050_048
    assert counts["wavernn"] == 4_480_941
    assert counts["wavernn-mixture"] == 4_233_675


@pytest.mark.parametrize("name", ["one bias", "two biases"])
def test_the_fine_half_alone_knows_the_coarse_half(name: str) -> None:
    """The gradient of the coarse logits with respect to the coarse half of the same sample is exactly 0.

    That of the fine logits is not. The logits of both depend on every earlier sample, and on no later one.
    """
    config = SMALL[name]
    model = loaded(config)
    frames, samples = frames_and_samples(config, 3)
    context = config.context
    known = torch.from_numpy(np.pad(frames, ((context, context), (0, 0)))).float()[None]
    given = torch.from_numpy(samples).float()[None].requires_grad_()
    y, _ = model(known, given)
    at = 12
    for half, first in (("coarse", 0), ("fine", config.levels)):
        weights = torch.linspace(-1, 1, config.levels)
        gradient = torch.autograd.grad(
            (weights * y[0, at, first : first + config.levels]).sum(), given, retain_graph=True
        )
        found = gradient[0][0]
        assert (found[at, 2] != 0) == (half == "fine")
        assert (found[at, :2] != 0).all()
        assert not found[at + 1 :].any()  # nothing of later samples
        assert found[:at].any(1).all()  # everything of the samples before


def test_both_halves_read_the_whole_state() -> None:
    """The logits of each half depend on every unit of the state before, which has one half for each."""
    config = SMALL["one bias"]
    model = loaded(config)
    frames, samples = frames_and_samples(config, 1)
    known = torch.from_numpy(np.pad(frames, ((config.context, config.context), (0, 0)))).float()[None]
    state = torch.zeros(1, config.units, requires_grad=True)
    y, _ = model(known, torch.from_numpy(samples[:1]).float()[None].expand(1, config.hop, 3), (state,))
    for first in (0, config.levels):
        weights = torch.linspace(-1, 1, config.levels)
        (found,) = torch.autograd.grad(
            (weights * y[0, 0, first : first + config.levels]).sum(), state, retain_graph=True
        )
        assert (found[0] != 0).all()


def test_a_mixture_begins_with_the_log_scale_of_speech() -> None:
    bias = network(SMALL["mixture"]).get_parameter("dense3.bias")
    third = len(bias) // 3
    assert bias[2 * third :].tolist() == [-3.0] * third
    assert not (bias[: 2 * third] == -3).any()


def test_a_state_carries_over() -> None:
    for name in ("mixture", "two biases"):
        config = SMALL[name]
        model, (frames, samples) = loaded(config), frames_and_samples(config, 4)
        known = torch.from_numpy(np.pad(frames, ((config.context, config.context), (0, 0)))).float()[None]
        given = torch.from_numpy(samples).float()[None]
        given = given if isinstance(model, Split) else given[..., 0]
        half, size = 2 * config.hop, 2 + 2 * config.context
        with torch.no_grad():
            whole, _ = model(known, given)
            first, state = model(known[:, :size], given[:, :half])
            second, _ = model(known[:, 2:], given[:, half:], state)
        assert_allclose(torch.cat((first, second), 1).numpy(), whole.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "say"),
    [
        ({"units": 500}, "units is 500; it must be .*a multiple of 16"),
        ({"kind": "coarse_fine", "bits": 9, "auxiliary": 0}, "bits is 9; .*even number"),
        ({"bits": 12}, "bits is 12; one softmax has at most 10 bits"),
        ({"features": 0}, "features is 0, auxiliary is 128; both can be 0 only for coarse_fine"),
        ({"kind": "coarse_fine", "bits": 16}, "auxiliary is 128; coarse_fine has no residual network"),
        ({"factors": (5, 5)}, "widths are .*there must be 2 odd numbers"),
        ({"factors": (100, 100), "widths": (3, 3)}, "their product 4096 at most"),
        ({"widths": (10, 11, 23)}, "widths are .*odd"),
    ],
)
def test_sizes_that_cannot_be_are_refused(given: dict[str, Any], say: str) -> None:
    with pytest.raises(ValueError, match=say):
        Config(**given)
