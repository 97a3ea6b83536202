"""Conversion of checkpoints whose arrays or settings have a wrong form: each gives an error in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dspgraph import Array
from dspgraph.errors import FileError
from dspgraph.training import conversion
from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.gansynth.convert import convert as convert_gansynth
from helpers import autoencoders, gansynth, published_gansynth, wavenets

pytestmark = pytest.mark.training


def of_gansynth() -> dict[str, Array]:
    arrays = gansynth.random_weights(gansynth.SMALL["wide"])
    return {published_gansynth.their_name(name): published_gansynth.theirs(one) for name, one in arrays.items()}


def of_wavenet() -> dict[str, Array]:
    config = wavenets.tiny(layers=2, stacks=1)
    return dict(wavenets.published(config, wavenets.random_arrays(config)))


def of_transposed_wavenet() -> dict[str, Array]:
    return dict(wavenets.published(wavenets.TRANSPOSED, wavenets.random_arrays(wavenets.TRANSPOSED)))


def of_autoencoder() -> dict[str, Array]:
    config = autoencoders.tiny(layers=2, stacks=1)
    found = autoencoders.published(config, autoencoders.random_arrays(config))
    return {name: one for name, one in found.items() if not name.startswith("res_2/")}  # nothing reads it


@pytest.mark.parametrize(
    ("whole", "given"),
    [
        pytest.param(of_autoencoder, {"stacks": 1}, marks=pytest.mark.slow),
        (of_gansynth, {"pitches": 7}),
        pytest.param(of_wavenet, {"stacks": 1}, marks=pytest.mark.slow),
        pytest.param(of_transposed_wavenet, {"stacks": 2}, marks=pytest.mark.slow),
    ],
)
def test_an_array_with_other_axes_is_an_error_in_words(
    whole: Callable[[], dict[str, Array]], given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = whole()
    monkeypatch.setattr(conversion, "_settings", lambda path: given)
    others = (np.zeros(()), np.zeros(0), np.zeros(3), np.zeros((2, 2)), np.zeros((1, 1, 1, 1, 1)))
    for k, name in enumerate(found):
        for other in (others[k % 5], others[(k + 2) % 5]):  # two of them in turn: all five took half a minute
            unused = name in ("conv_layers.1.conv1x1_out.bias", "conv_layers.5.conv1x1_out.bias")  # of the last layer
            if unused or other.shape == found[name].shape or other.size == found[name].size == 1:
                continue
            damaged = {**found, name: other}
            monkeypatch.setattr(conversion, "read_checkpoint", lambda path, damaged=damaged: damaged)
            with pytest.raises(FileError, match=r"^a.pth: ."):
                conversion.convert_weights(Path("a.pth"), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_setting_of_another_type_is_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "_settings", lambda path: {"pitches": "61"})
    monkeypatch.setattr(conversion, "read_checkpoint", lambda path: of_gansynth())
    with pytest.raises(FileError, match="an array or a setting does not fit a published gansynth"):
        conversion.convert_weights(Path("a.pth"), tmp_path / "a.safetensors")


def test_a_block_with_a_huge_number_is_refused_at_once() -> None:
    """A huge block number in the name of an array is not taken for the number of blocks.

    If it were, the sizes of the arrays, which double from block to block, would be computed for all blocks.
    """
    name = "Generator/progressive_gan_generator/progressive_gan_block_99999999999999/conv1/conv2d/kernel"
    with pytest.raises(ValueError, match="lacks the array 'blocks.3.conv1.bias'"):
        convert_gansynth({**of_gansynth(), name: np.zeros((3, 3, 1, 1))}, {"pitches": 7})


@pytest.mark.parametrize("bad", [(np.nan, 0.0), (np.inf, 0.0), (1.0, np.nan)])
def test_scales_of_pictures_are_finite(bad: tuple[float, float]) -> None:
    for name in ("magnitude", "angle"):
        with pytest.raises(ValueError, match="scales and shifts finite"):
            Config().replace(**{name: bad})
