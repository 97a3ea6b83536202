from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Frames, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes.mix.blend import Blend, blend
from helpers.speech import speech

CONTROL = Frames(100, "control", 1)
SWITCHED = np.repeat([0.0, 1.0, 0.0, 0.5], 8)[:, None]

EXAMPLES = [
    Example(
        Blend(), dry=(Audio(16000), speech(5003)), wet=(Audio(16000), speech(9000)[3997:]), position=(CONTROL, SWITCHED)
    ),
    Example(
        Blend(),
        dry=(Audio(22050, channels=2), speech(8000).reshape(-1, 2)),
        wet=(Audio(22050, channels=2), speech(16000)[8000:].reshape(-1, 2)),
        position=(CONTROL, SWITCHED[:19]),
    ),
]


def blended(dry: Array, wet: Array, position: Array) -> Array:
    inputs = {"dry": Audio(16000, dtype=dry.dtype), "wet": Audio(16000, dtype=dry.dtype), "position": CONTROL}
    wires = {f"blend.{name}": name for name in inputs}
    return Graph({"blend": Blend()}, wires, inputs, {"y": "blend"})(dry=dry, wet=wet, position=position)["y"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_off_is_exactly_dry_and_on_exactly_wet(dtype: Any) -> None:
    draw = np.random.default_rng(0)
    dry, wet = (scale * draw.standard_normal(3200).astype(dtype) for scale in (1000, 1))
    y = blended(dry, wet, np.repeat([0.0, 1.0], 10)[:, None])
    assert y[:1600].tobytes() == dry[:1600].tobytes()
    assert y[1760:].tobytes() == wet[1760:].tobytes()  # after a ramp of one item, 160 samples
    assert not np.array_equal(dry + (wet - dry), wet)  # so the plain formula would not be exact


def test_between_the_two_it_is_the_formula() -> None:
    dry, wet, w = np.array([1.0, 2.0, 3.0]), np.array([5.0, 4.0, 3.0]), np.array([0.0, 0.25, 1.0])
    assert_array_equal(blend(dry, wet, w), [1.0, 2.5, 3.0])


def test_the_position_goes_straight_from_item_to_item() -> None:
    items = np.random.default_rng(0).uniform(0.01, 0.99, 20)
    expected = np.interp(np.arange(3200) / 16000, np.arange(21) / 100, np.concatenate((items[:1], items)))
    np.testing.assert_allclose(blended(np.zeros(3200), np.ones(3200), items[:, None]), expected, atol=1e-12)


def test_signals_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="one rate"):
        Blend().streams(Audio(16000), Audio(8000), CONTROL)
    with pytest.raises(ParameterError, match="one number per item"):
        Blend().streams(Audio(16000), Audio(16000), Frames(100, "control", 2))
