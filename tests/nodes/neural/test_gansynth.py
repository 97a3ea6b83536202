from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Frames, ParameterError, Symbols
from dspgraph.engine.batch import Batch
from dspgraph.testing import Example
from dspgraph_nodes.neural.gansynth import Gansynth
from helpers.gansynth import SMALL, gansynth_file, notes, pictures

WIDE, TALL = SMALL["wide"], SMALL["tall"]


EXAMPLES = [
    Example(Gansynth(weights=gansynth_file(WIDE)), **notes(WIDE, 70)),
    Example(Gansynth(weights=gansynth_file(TALL)), **notes(TALL, 66)),
]


@pytest.mark.parametrize("name", SMALL)
def test_a_note_is_what_the_network_gives_in_torch(name: str) -> None:
    config = SMALL[name]
    given = notes(config, 9)
    out = Example(Gansynth(weights=gansynth_file(config)), **given).render(np.float64)
    expected = pictures(config, given["latent"][1], given["pitch"][1])
    assert_allclose(out["magnitude"], expected[:, 0], rtol=0, atol=1e-4)  # found: 2e-5, in float32
    assert_allclose(out["angle"], expected[:, 1], rtol=0, atol=1e-4)
    assert np.abs(expected).max() > 0.5


def test_notes_of_a_batch_are_those_of_each_alone() -> None:
    graph = EXAMPLES[0].graph()
    signals = [{name: array for name, (_, array) in notes(WIDE, 3, seed=k).items()} for k in range(5)]
    for k, outputs in Batch(graph, 4).render(signals):
        assert isinstance(outputs, dict), outputs
        alone = graph(**signals[k])
        for output in ("magnitude", "angle"):
            assert_array_equal(outputs[output], alone[output])


def test_streams_that_do_not_fit_the_weights_are_refused() -> None:
    node, given = Gansynth(weights=gansynth_file(WIDE)), notes(WIDE, 1)
    latent, pitch = given["latent"][0], given["pitch"][0]
    assert node.takes() == {"latent": latent, "pitch": pitch}
    assert node.lowest_pitch == WIDE.lowest
    assert_array_equal(node.latent_draws, [[0] * 5, [1] * 5])
    told = Gansynth(weights=gansynth_file(WIDE.replace(latent_means=[2.0] * 5, latent_deviations=[0.5] * 5)))
    assert_array_equal(told.latent_draws, [[2] * 5, [0.5] * 5])
    magnitude, angle = node.streams(latent, pitch)
    assert magnitude == Frames(25, "scaled_gansynth_magnitude", 64, Fraction(-32, 800))
    assert angle.kind == "scaled_gansynth_if"
    with pytest.raises(ParameterError, match="latent vectors of 5 numbers; found"):
        node.streams(latent.like(width=6), pitch)
    with pytest.raises(ParameterError, match=r"know 7 pitches, from MIDI 24 on; found .*: give symbols of 7 levels"):
        node.streams(latent, Symbols(pitch.rate, "pitch", 61))
    with pytest.raises(ParameterError, match=r"a note of gansynth.weights lasts 0.32 s \(8 rows, .*give both at"):
        node.streams(Frames(3, "latent", 5), Symbols(3, "pitch", 7))
    with pytest.raises(ParameterError, match=r"gansynth.weights is not given, and the node ships without weights"):
        Gansynth().streams(latent, pitch)
