"""Checkpoints of the two published programs: what is read from them, and which are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array
from dspgraph.training.conversion import convert_weights
from dspgraph_nodes.models.wavenet_autoencoder.config import Config
from dspgraph_nodes.models.wavenet_autoencoder.convert import convert, recognises
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS
from helpers.autoencoders import NORMALISED, TINY, published, published_by_chainer, random_arrays, tiny
from helpers.tensorflow_files import checkpoint

AVERAGE = "/ExponentialMovingAverage"
GIVEN = {"stacks": 2, "hop": 20, "rate": 2000}


def whole() -> dict[str, Array]:
    return published(TINY, random_arrays())


def test_the_weights_are_converted_and_not_their_moving_averages() -> None:
    found = whole()
    found |= {f"{name}{AVERAGE}": np.ones_like(one) for name, one in found.items()}
    found |= {"global_step": np.array(3), "ae_startconv/W/Adam": np.ones(3), "beta1_power": np.ones(())}
    assert recognises(set(found))
    config, arrays, untold = convert(found, GIVEN)
    assert (config, untold) == (TINY, [])
    assert arrays.keys() == random_arrays().keys()
    for name, one in random_arrays().items():
        assert_array_equal(arrays[name], one)


def test_moving_averages_are_converted_where_there_is_nothing_else() -> None:
    found = {f"{name}{AVERAGE}": one for name, one in whole().items()}
    assert recognises(set(found))
    arrays = convert(found, GIVEN)[1]
    for name, one in random_arrays().items():
        assert_array_equal(arrays[name], one)
    with pytest.raises(ValueError, match="lacks the array 'ae_res_2/W'"):  # weights and averages are not mixed
        convert({**found, **{name: one for name, one in whole().items() if name != "ae_res_2/W"}}, GIVEN)


def test_files_of_tensorflow_become_a_file_of_weights(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"stacks": 2, "hop": 20}')
    done = convert_weights(checkpoint(tmp_path, whole()), tmp_path / "a.safetensors", settings=tmp_path / "a.json")
    assert (done.model, done.untold) == ("wavenet_autoencoder", ("rate (16000)",))
    config, arrays = WEIGHTS.read(tmp_path / "a.safetensors")
    assert config == tiny(rate=16000)
    assert_array_equal(arrays["decoder.layers.3.gate.weight"], random_arrays()["decoder.layers.3.gate.weight"])


def test_what_does_not_fit_is_refused() -> None:
    found = whole()
    assert not recognises(set(found) - {"cond_map_out1/W"})
    with pytest.raises(ValueError, match="into how many stacks its 6 layers are divided: give a file"):
        convert(found, {})
    with pytest.raises(ValueError, match="width is given as 7, but it is 20 in the checkpoint"):
        convert(found, {**GIVEN, "width": 7})
    with pytest.raises(ValueError, match="has no setting bands; it has form"):
        convert(found, {"bands": 7})
    with pytest.raises(ValueError, match="lacks the array 'skip_3/biases'"):
        convert({name: one for name, one in found.items() if name != "skip_3/biases"}, GIVEN)
    with pytest.raises(ValueError, match=r"dilatedconv_2/W has the shape \[3, 1, 20, 40\]; expected \[1, 3, inputs"):
        convert({**found, "dilatedconv_2/W": found["dilatedconv_2/W"].swapaxes(0, 1)}, GIVEN)
    with pytest.raises(ValueError, match=r"decoder.layers.1.out.weight has shape \[20, 19\]"):
        convert({**found, "res_2/W": found["res_2/W"][:, :, :19]}, GIVEN)
    with pytest.raises(ValueError, match="convolutions of 2 taps and 256 levels; NSynth has 3 taps and 256 levels"):
        convert({**found, "ae_startconv/W": np.zeros((1, 2, 1, 9))}, GIVEN)


def test_the_default_configuration_is_that_of_the_published_program() -> None:
    c = Config()
    assert (c.layers, c.stacks, c.encoder, c.latent, c.width, c.skip, c.hop) == (30, 3, 128, 16, 512, 256, 512)


CHAINER = {"stacks": 2, "hop": 20, "rate": 2000, "lowest": 0, "least_dilation": 1}


def of_chainer() -> dict[str, Array]:
    return published_by_chainer(NORMALISED, random_arrays(NORMALISED))


def test_weights_of_chainer_are_converted() -> None:
    """The arrays equal those that the checkpoint was made from, also the configuration; nothing has to be assumed.

    Rounding to float32 is allowed where a bias is divided by 6, the number of layers, and a variance changed by 1e-5.
    """
    found = of_chainer()
    assert recognises(set(found)) and not recognises(set(found) - {"dcd_bias_conv/W"})
    config, arrays, untold = convert(found, CHAINER)
    assert (config, untold) == (NORMALISED, [])
    assert arrays.keys() == random_arrays(NORMALISED).keys()
    for name, one in random_arrays(NORMALISED).items():
        if name.endswith("running_var") or name == "encoder.last.bias":
            assert_allclose(arrays[name], one, rtol=2e-7)
        else:
            assert_array_equal(arrays[name], one)


def test_a_file_of_chainer_has_dilations_from_2_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    arrays: Any = of_chainer()
    np.savez(tmp_path / "a.npz", **arrays)
    (tmp_path / "a.json").write_text('{"stacks": 2, "hop": 20}')
    done = convert_weights(tmp_path / "a.npz", tmp_path / "a.safetensors", settings=tmp_path / "a.json")
    assert (done.model, done.untold) == ("wavenet_autoencoder", ("least_dilation (2)", "rate (4410)", "lowest (0)"))
    config, _ = WEIGHTS.read(tmp_path / "a.safetensors")
    assert config == NORMALISED.replace(rate=4410, least_dilation=2)
    assert config.dilations == (2, 4, 8, 2, 4, 8)


def test_what_does_not_fit_chainer_is_refused() -> None:
    found = of_chainer()
    with pytest.raises(ValueError, match="into how many stacks its 6 layers are divided: give a file"):
        convert(found, {})
    with pytest.raises(ValueError, match="form is given as 'gated', but it is 'normalised' in the checkpoint"):
        convert(found, {**CHAINER, "form": "gated"})
    with pytest.raises(ValueError, match="lacks the array 'dcd_afr_bn3/avg_mean'"):
        convert({name: one for name, one in found.items() if name != "dcd_afr_bn3/avg_mean"}, CHAINER)
    with pytest.raises(ValueError, match=r"encoder.layers.2.conv.weight has shape \[9, 36\]; its configuration says"):
        convert({**found, "ecd_conv2/W": found["ecd_conv2/W"][:, :, :2]}, CHAINER)
    with pytest.raises(
        ValueError, match="256 levels and convolutions of 2 and 2 taps; .* has 256 levels, 3 and 2 taps"
    ):
        convert({**found, "ecd_conv0/W": found["ecd_conv0/W"][:, :, :2]}, CHAINER)
