"""The pipeline gansynth_notes, from latent vectors and pitches to sound."""

import numpy as np
import pytest

from dspgraph import load
from dspgraph.testing import check_graph
from helpers.gansynth import SMALL, notes, overrides

WIDE = SMALL["wide"]


@pytest.mark.parametrize("size", SMALL)
def test_it_turns_notes_into_sound_with_the_sizes_of_the_weights(size: str) -> None:
    config = SMALL[size]
    given = notes(config, 3)
    graph = load("gansynth_notes", overrides(config))
    assert graph.inputs == {name: stream for name, (stream, _) in given.items()}
    sound = graph(**{name: array for name, (_, array) in given.items()})["notes"]
    assert len(sound) == 3 * config.hop * config.rows
    assert np.isfinite(sound).all() and sound.std() > 0


def test_no_cut_changes_it() -> None:
    check_graph(load("gansynth_notes", overrides(WIDE)), {k: array for k, (_, array) in notes(WIDE, 64).items()})
