"""Published checkpoints of GANSynth: the arrays that are read from them, and the sound of the notes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array, load
from dspgraph.training.conversion import convert_weights
from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.gansynth.convert import convert, recognises
from helpers.gansynth import SMALL, random_weights
from helpers.paths import GOLDEN
from helpers.published_gansynth import their_name, theirs

RECORDED = GOLDEN / "gansynth"


def as_published(arrays: dict[str, Array], average: bool) -> dict[str, Array]:
    """Return the arrays of a generator with the names and the order of axes that the published program gives them.

    arrays: ours, by name; average: whether they are stored as moving averages, beside weights that are all 0.
    """
    found = {}
    for name, array in arrays.items():
        name, array = their_name(name), theirs(array)
        found[name] = array if not average else np.zeros_like(array)
        if average:
            found[f"{name}/ExponentialMovingAverage"] = array
    return found


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_both_shapes_are_converted_the_moving_average_where_there_is_one(name: str, average: bool) -> None:
    config, arrays = SMALL[name], random_weights(SMALL[name])
    found = as_published(arrays, average)
    assert recognises(set(found))
    given = {"pitches": config.pitches, "scale": "linear", "rate": 800}
    converted, weights, untold = convert(found, given if name == "wide" else {**given, "scale": "mel"})
    assert converted == config
    assert weights.keys() == arrays.keys()
    for key, array in arrays.items():
        assert_array_equal(weights[key], array)
    assert all(one.endswith(")") for one in untold)
    assert [one.partition(" (")[0] for one in untold] == ["lowest", "form", "drop", "magnitude", "angle"]


def test_what_does_not_fit_is_refused() -> None:
    found = as_published(random_weights(SMALL["wide"]), False)
    assert not recognises(set(found) - {next(iter(found))})
    with pytest.raises(ValueError, match="blocks is given as 7, but it is 3 in the checkpoint"):
        convert(found, {"blocks": 7})
    with pytest.raises(ValueError, match="a GANSynth has no setting bands; it has latent"):
        convert(found, {"bands": 7})
    missing = {name: array for name, array in found.items() if "block_1/conv0/conv2d" not in name}
    with pytest.raises(ValueError, match=r"lacks the array 'blocks.0.conv0.weight'"):
        convert(missing, {})
    odd = {**found, their_name("blocks.1.conv1.weight"): np.zeros((3, 3, 2, 2), np.float32)}
    with pytest.raises(ValueError, match="blocks.1.conv1.weight"):
        convert(odd, {"pitches": 7})


@pytest.mark.skipif(not RECORDED.is_dir(), reason="what other programs gave is recorded beside the repository")
def test_the_notes_of_a_published_checkpoint_are_those_of_its_program(tmp_path: Path) -> None:
    """Notes agree with those of the published program to 5e-5 of the peak; measured: 1.6e-5.

    The test goes from the files of TensorFlow to samples.
    """
    checkpoint = RECORDED / "tf_checkpoint_small" / "stage_00005" / "model.ckpt-4800.index"
    assert convert_weights(checkpoint, tmp_path / "a.safetensors").model == "gansynth"
    graph = load("gansynth_notes", [f"weights={tmp_path / 'a.safetensors'}"])
    with np.load(RECORDED / "gansynth_small_ema_waves.npz") as notes:
        for latent, pitch, wave in zip(notes["z"], notes["label"], notes["waves"], strict=True):
            found = graph(latent=latent[None].astype(np.float64), pitch=np.array([pitch]))["notes"]
            assert np.abs(found - wave).max() < 5e-5 * np.abs(wave).max()


def test_the_default_configuration_is_the_published_one() -> None:
    assert (Config().rows, Config().bins, Config().hop) == (128, 1024, 512)
    assert [Config().width(k) for k in range(8)] == [256, 256, 256, 256, 256, 128, 64, 32]
