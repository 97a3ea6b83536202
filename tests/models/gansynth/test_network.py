"""GANSynth's networks: their sizes, their parts, and the results of the published program for the same weights."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor
from torch.nn.functional import leaky_relu

from dspgraph import Array
from dspgraph_nodes.models.gansynth.config import PRESETS, Config
from dspgraph_nodes.models.gansynth.losses import discriminator_loss, generator_loss, gradient_norms, scaled, unscaled
from dspgraph_nodes.models.gansynth.network import (
    Convolution,
    Discriminator,
    GansynthPair,
    Generator,
    StartConvolution,
    mixed,
    normalised,
    reduced,
    shares,
)
from dspgraph_nodes.models.gansynth.training import Settings, task
from dspgraph_nodes.models.shared.notes import made_note
from dspgraph_nodes.models.shared.trainer import Run
from helpers.gansynth import SMALL
from helpers.paths import GOLDEN
from helpers.published_gansynth import PUBLISHED, our_name, ours

RECORDED = GOLDEN / "gansynth"
recorded = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository"
)


def count(module: torch.nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


@pytest.mark.parametrize("preset", ["gansynth", "gansynth-256"])
def test_the_published_networks_have_their_numbers_of_weights(preset: str) -> None:
    """The published generator has 7,311,246 weights, the discriminator 6,831,230, for both shapes of pictures."""
    with torch.device("meta"):
        assert count(Generator(PRESETS[preset])) == 7_311_246
        assert count(Discriminator(PRESETS[preset])) == 6_831_230


@pytest.mark.parametrize("preset", ["gansynth", "gansynth-256"])
def test_a_picture_has_the_published_size_and_its_numbers_lie_between_minus_1_and_1(preset: str) -> None:
    torch.manual_seed(0)
    config = PRESETS[preset]
    with torch.no_grad():
        picture = Generator(config)(torch.randn(1, config.latent), torch.tensor([36]))
    assert picture.shape == (1, 2, *{"gansynth": (128, 1024), "gansynth-256": (256, 512)}[preset])
    assert 0.5 < float(picture.abs().max()) < 1


def test_shares_sum_to_one_at_any_progress() -> None:
    for progress in np.linspace(0, 6, 61):
        found = shares(7, float(progress))
        assert sum(found) == pytest.approx(1)
        assert sum(share > 0 for share in found) <= 2
    assert shares(4, 2.25) == [0, 0, 0.75, 0.25]


def test_at_progress_0_a_picture_has_the_pixels_of_block_1() -> None:
    torch.manual_seed(0)
    config = SMALL["wide"]
    with torch.no_grad():
        picture = Generator(config)(torch.randn(1, config.latent), torch.tensor([3]), 0.0)
    assert picture.shape == (1, 2, config.rows, config.bins)
    for channel in picture[0]:
        assert len(channel.unique()) == config.start_rows * config.start_bins


def test_every_pixel_has_a_mean_square_of_one() -> None:
    torch.manual_seed(0)
    x = normalised(torch.randn(2, 7, 3, 4))
    assert_allclose((x * x).mean(1), 1, atol=1e-5)


def test_the_first_convolution_is_a_dense_layer_with_the_filter_turned() -> None:
    torch.manual_seed(0)
    first = Generator(PRESETS["gansynth-small"]).blocks[0].conv0
    assert isinstance(first, Convolution)
    assert Convolution(317, 256, (2, 16), (1, 15)).gain == pytest.approx(0.01404, abs=5e-6)
    x = torch.randn(1, first.weight.shape[1])
    with torch.no_grad():
        found = first(x[:, :, None, None])[0]
        turned = first.gain * first.weight.flip(2, 3)
        dense = torch.einsum("i,oirb->orb", x[0], turned) + first.bias[:, None, None]
    assert_allclose(found, dense, rtol=1e-5, atol=1e-5)


def test_the_convolution_of_one_pixel_is_that_of_the_pixel_between_zeros() -> None:
    """`StartConvolution` agrees with `Convolution` of a padded pixel to 1e-13; measured: 2e-15."""
    short = StartConvolution(5, 3, (4, 8)).double()
    padded = Convolution(5, 3, (4, 8), (3, 7)).double()
    padded.load_state_dict(short.state_dict())
    x = torch.randn(2, 5, 1, 1, dtype=torch.float64)
    assert_allclose(short(x).detach(), padded(x).detach(), rtol=0, atol=1e-13)


def test_the_penalty_can_be_differentiated() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(SMALL["wide"])
    pictures = torch.randn(3, 2, SMALL["wide"].rows, SMALL["wide"].bins)
    ((gradient_norms(discriminator, pictures, 1.5) - 1) ** 2).mean().backward()  # type: ignore[no-untyped-call]
    gradients = [one.grad for name, one in discriminator.named_parameters() if "pitch" not in name]
    assert all(one is None or one.isfinite().all() for one in gradients)
    assert max(float(one.abs().max()) for one in gradients if one is not None) > 0


@pytest.mark.slow
def test_a_small_generator_learns_a_single_picture() -> None:
    """After 300 updates (6 s), the mean square error for a picture is below 0.02; measured: 0.005.

    The picture has 8 x 64 random pixels, each of which is doubled in both directions. A picture of zeros would have an
    error above 0.1.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = Generator(PRESETS["gansynth-small"])
    latent, pitch = torch.randn(1, generator.config.latent), torch.tensor([12])
    draw = torch.Generator().manual_seed(1)
    target = torch.nn.functional.interpolate(2 * torch.rand(1, 2, 8, 64, generator=draw) - 1, scale_factor=2) * 0.8
    adam, loss = torch.optim.Adam(generator.parameters(), 2e-3), torch.tensor(0.0)
    for _ in range(300):
        loss = ((generator(latent, pitch) - target) ** 2).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    torch.set_num_threads(threads)
    assert loss.item() < 0.02
    assert float((target**2).mean()) > 0.1  # the loss of a picture of zeros


# ---- what the published program gave --------------------------------------------------------------------------------


def published_pair(dtype: torch.dtype) -> GansynthPair:
    with np.load(RECORDED / "gansynth_small_weights.npz") as file:
        arrays = {our_name(name): ours(file[name]) for name in file.files}
    pair = GansynthPair(PUBLISHED).to(dtype)
    pair.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return pair


def off(found: Tensor, expected: Array) -> float:
    """Return the largest difference between two arrays of one shape, relative to the largest one in `expected`."""
    return float(np.abs(found.detach().numpy() - expected).max() / np.abs(expected).max())


def step(case: str) -> tuple[Mapping[str, Array], dict[str, Any]]:
    with np.load(RECORDED / f"gansynth_small_step_{case}.npz") as file:
        given = {name: file[name] for name in file.files}
    real = torch.from_numpy(given["real_mel"]).permute(0, 3, 1, 2)
    inputs = {
        "latent": torch.from_numpy(given["z"]), "pitch": torch.from_numpy(given["label"]).long(),
        "real": real, "real_pitch": torch.from_numpy(given["real_label"]).long(),
        "between": torch.from_numpy(given["alpha"]), "progress": float(given["out/progress"]),
    }  # fmt: skip
    return given, inputs


@recorded
@pytest.mark.parametrize(("case", "gradients"), [("a", 3e-5), ("b", 3e-3)])
def test_pictures_losses_and_gradients_are_those_of_the_published_program(case: str, gradients: float) -> None:
    """Pictures, losses and gradients agree with those that the published program computed in two cases.

    Case a has progress 2.3, where two blocks are mixed, case b has progress 3. Measured differences: pictures 3e-5,
    losses 1e-7, gradients 1e-5 (a) and 1e-3 (b): in case b, rounding decides whether a tanh near 1 is clipped.
    Gradients are compared if they were recorded and are all 0 or have a number above 1e-4. gradients: their tolerance,
    relative to the largest number of an array.
    """
    pair = published_pair(torch.float32)
    given, inputs = step(case)
    noise = {name: inputs[name] for name in ("latent", "pitch", "progress")}
    picture = unscaled(pair.generator(**noise), PUBLISHED)
    assert off(picture.permute(0, 2, 3, 1), given["out/fake"]) < 1e-4
    assert off(mixed(inputs["real"], 4, inputs["progress"]).permute(0, 2, 3, 1), given["out/real_blend"]) < 1e-6
    made = generator_loss(pair.generator, pair.discriminator, **noise)
    made["loss"].backward()  # type: ignore[no-untyped-call]
    of_generator = {f"generator.{name}": one.grad for name, one in pair.generator.named_parameters()}
    pair.zero_grad()
    judged = discriminator_loss(pair.generator, pair.discriminator, **inputs)
    judged["loss"].backward()  # type: ignore[no-untyped-call]
    of_discriminator = {f"discriminator.{name}": one.grad for name, one in pair.discriminator.named_parameters()}
    figures = {"g_loss": made["loss"], "ac_fake": made["made_pitch"], "d_loss": judged["loss"]}
    for name, value in {**figures, "ac_real": judged["real_pitch"]}.items():
        assert value.item() == pytest.approx(float(given[f"out/{name}"]), rel=1e-5), name
    for name, gradient in {**of_generator, **of_discriminator}.items():
        theirs = next((given[key] for key in given if key.startswith("grad/") and our_name(key[5:]) == name), None)
        if theirs is None:
            continue
        if gradient is None or not theirs.any():
            assert gradient is None or (not gradient.any() and not theirs.any()), name
        elif np.abs(theirs).max() > 1e-4:  # below, it is a sum of numbers that cancel
            assert off(gradient, ours(theirs)) < gradients, name


def layer_outputs(pair: GansynthPair, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the output of every convolution of both networks after its activation, and the scores and logits.

    Outputs of the generator are also normalised, except its pictures. The names are those of the published program. The
    discriminator judges the pictures that the generator makes. pair: the networks of `published_pair`, whose layers
    keep the hooks that this function adds; inputs: "latent", "pitch" and "progress", as `step` returns them.
    """
    sums: dict[str, Tensor] = {}
    generator: Any = pair.generator
    discriminator: Any = pair.discriminator
    places = [f"Generator/progressive_gan_generator/progressive_gan_block_{k}" for k in range(1, 5)]
    judged = [place.replace("Generator", "Discriminator").replace("generator", "discriminator") for place in places]
    for place, block in zip(places + judged, (*generator.blocks, *discriminator.blocks), strict=True):
        for name in ("conv0", "conv1"):
            hook = partial(sums.__setitem__, f"act/{place}/{name}")
            block.get_submodule(name).register_forward_hook(lambda _module, _x, y, hook=hook: hook(y))
    with torch.no_grad():
        pictures = generator(inputs["latent"], inputs["pitch"], inputs["progress"])
        pictures = scaled(unscaled(pictures, PUBLISHED), PUBLISHED).clamp(-1, 1)
        score, logits = discriminator(pictures, inputs["progress"])
        active = {name: leaky_relu(y, 0.2) for name, y in sums.items()}
        found = {name: normalised(y) if "Generator" in name else y for name, y in active.items()}
        for k in range(4):
            rgb = generator.blocks[k].picture(found[f"act/{places[k]}/conv1"])
            found[f"act/{places[k]}/to_rgb"] = torch.tanh(rgb)
            found[f"act/{judged[k]}/from_rgb"] = discriminator.blocks[k].read(reduced(pictures, 2 ** (3 - k)))
    found[f"act/{judged[0]}/logits"] = score[:, None]
    found["act/Discriminator/discriminator_cond/classification_logits"] = logits
    return found


@recorded
@pytest.mark.parametrize("case", ["a", "b"])
def test_every_layer_of_both_networks_gives_what_it_gives_in_the_published_program(case: str) -> None:
    """Outputs, for the notes that were recorded, agree to 1e-4 of the largest number of a layer; measured: 4e-5."""
    given, inputs = step(case)
    found = layer_outputs(published_pair(torch.float32), inputs)
    theirs = {name: array for name, array in given.items() if name.startswith("act/")}
    assert found.keys() == theirs.keys()
    for name, array in theirs.items():
        mine = found[name][: len(array)]
        assert off(mine.permute(0, 2, 3, 1) if mine.ndim == 4 else mine, array) < 1e-4, name


@recorded
@pytest.mark.parametrize("case", ["a", "b"])
def test_scores_and_slopes_of_the_penalty_are_those_of_the_published_program(case: str) -> None:
    pair = published_pair(torch.float32)
    given, inputs = step(case)
    with torch.no_grad():
        made = unscaled(pair.generator(inputs["latent"], inputs["pitch"], inputs["progress"]), PUBLISHED)
        real = mixed(inputs["real"], 4, inputs["progress"])
        for name, pictures in (("d_fake", made), ("d_real", real)):
            score, _ = pair.discriminator(scaled(pictures, PUBLISHED), inputs["progress"])
            assert off(score[:, None], given[f"out/{name}"]) < 1e-5, name
    between = inputs["between"][:, None, None, None]
    slopes = gradient_norms(pair.discriminator, real + between * (made - real), inputs["progress"])
    assert off(slopes, given["out/gp_slopes"]) < 1e-4


@recorded
def test_two_updates_of_both_networks_are_those_of_the_published_program() -> None:
    """After two updates of each network, the changes of at least 99.8 % of all weights agree to 1e-5.

    The optimiser is Adam, and the generator is updated first. The other weights have tiny gradients, whose sign depends
    on rounding.
    """
    _, inputs = step("a")
    settings = Settings(preset="gansynth-tiny", device="cpu", threads=1)
    x = made_note(0, 0, 4000).samples
    whole = task(settings, {"a": x}, lambda clip: features_of_zeros(settings.config), {"a": {"pitch": "60"}})
    noise = inputs["latent"], inputs["pitch"]
    batch = {**inputs, "generator": noise, "discriminator": noise}
    run = Run(replace(whole, network=lambda: published_pair(torch.float32), batch=lambda number: batch), settings)
    before = {name: one.clone() for name, one in run.network.state_dict().items()}
    run.step()
    run.step()
    now, close, count_of_all = run.network.state_dict(), 0, 0
    with np.load(RECORDED / "gansynth_small_after2steps_delta.npz") as file:
        for key in file.files:
            if "ExponentialMovingAverage" in key:
                continue
            name = our_name(key.removeprefix("after2/"))
            apart = np.abs((now[name] - before[name]).numpy() - ours(file[key]))
            close, count_of_all = close + int((apart < 1e-5).sum()), count_of_all + apart.size
    assert close / count_of_all > 0.998  # measured 0.9992
    assert count_of_all > 10_000


def features_of_zeros(config: Config) -> dict[str, Array]:
    """Return zeros in place of the features of a note, by name: [rows, bins] each."""
    return dict.fromkeys(("magnitude", "angle"), np.zeros((config.rows, config.bins)))


def test_a_configuration_with_impossible_sizes_is_refused() -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"start_bins": 3}, "start_bins is 3; it must be a power of two"),
        ({"channels": 64, "blocks": 7}, "block 7 would have none"),
        ({"lowest": 100, "pitches": 61}, r"lowest \+ pitches is 161; MIDI has 128"),
        ({"start_rows": 4096, "start_bins": 2048}, "is too large: set fewer blocks"),
    )
    for fields, message in cases:
        with pytest.raises(ValueError, match=message):
            Config(**fields)
