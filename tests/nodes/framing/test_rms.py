from typing import Any

import librosa
import numpy as np
from numpy.testing import assert_allclose

from dspgraph import Frames
from dspgraph.testing import Example
from dspgraph_nodes.framing.rms import Rms, rms
from helpers.integers import check_integers, integers
from helpers.speech import speech

STREAM = Frames(100, "wave", 320, "1/100")
FRAMES = np.lib.stride_tricks.sliding_window_view(speech(20000), 320)[::160].copy()
EXAMPLES = [Example(Rms(), frames=(STREAM, FRAMES))]


def test_it_is_librosas() -> None:
    expected = librosa.feature.rms(y=speech(20000), frame_length=320, hop_length=160, center=False)
    assert_allclose(rms(FRAMES)[:, 0], expected[0], rtol=2e-7)  # it computes in float32
    assert_allclose(rms(FRAMES)[:, 0], np.sqrt(np.mean(FRAMES**2, axis=1)), rtol=1e-13)
    assert Rms().streams(STREAM) == (STREAM.like(kind="rms", width=1),)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(rms, dtype, floats, (9, 33))
