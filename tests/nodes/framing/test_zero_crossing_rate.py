from typing import Any

import librosa
import numpy as np
from numpy.testing import assert_allclose

from dspgraph import Frames
from dspgraph.testing import Example
from dspgraph_nodes.framing.zero_crossing_rate import ZeroCrossingRate, zero_crossing_rate
from helpers.integers import check_integers, integers
from helpers.speech import speech

STREAM = Frames(100, "wave", 320, "1/100")
FRAMES = np.lib.stride_tricks.sliding_window_view(speech(20000), 320)[::160].copy()
EXAMPLES = [Example(ZeroCrossingRate(threshold=0.01), frames=(STREAM, FRAMES))]


def test_it_is_librosas() -> None:
    for threshold in (1e-10, 0.01):
        expected = librosa.feature.zero_crossing_rate(
            speech(20000), frame_length=320, hop_length=160, center=False, threshold=threshold
        )
        assert_allclose(zero_crossing_rate(FRAMES, threshold)[:, 0], expected[0], rtol=1e-15)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: zero_crossing_rate(x - 500), dtype, floats, (9, 33))
