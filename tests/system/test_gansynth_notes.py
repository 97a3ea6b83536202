"""The pipeline gansynth_notes: from latent vectors and pitches to sound."""

import numpy as np

from dspgraph import load
from dspgraph.testing import check_graph
from helpers.gansynth import SMALL, notes, overrides

WIDE = SMALL["wide"]


def test_it_turns_notes_into_sound() -> None:
    given = notes(WIDE, 3)
    graph = load("gansynth_notes", overrides(WIDE))
    sound = graph(**{name: array for name, (_, array) in given.items()})["notes"]
    assert len(sound) == 3 * WIDE.hop * WIDE.rows
    assert np.isfinite(sound).all() and sound.std() > 0
    check_graph(graph, {name: array for name, (_, array) in notes(WIDE, 64).items()})
