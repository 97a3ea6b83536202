"""Two nodes that undo each other, wired together."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Audio, Frames, Graph
from dspgraph_nodes.emphasis.deemphasis import Deemphasis
from dspgraph_nodes.emphasis.preemphasis import Preemphasis
from dspgraph_nodes.filter.allpole import Allpole
from dspgraph_nodes.filter.inverse_filter import InverseFilter
from dspgraph_nodes.framing.frame import Frame
from dspgraph_nodes.framing.overlap_add import OverlapAdd
from prediction import predictors
from speech import speech


def test_deemphasis_undoes_preemphasis() -> None:
    graph = Graph(
        {"pre": Preemphasis(coef=0.97), "post": Deemphasis(coef=0.97)},
        {"pre.x": "speech", "post.x": "pre"},
        {"speech": Audio(16000)},
        {"speech": "post"},
    )
    x = speech()
    assert_allclose(graph(speech=x)["speech"], x, rtol=0, atol=1e-14)  # 1 / (1 - 0.97) = 33 roundings of 1.1e-16


@pytest.mark.parametrize(
    ("frame", "overlap_add"),
    [
        (Frame(length=320, hop=160), OverlapAdd(hop=160)),
        (Frame(length=1024, hop=160, norm="power"), OverlapAdd(hop=160, norm="power")),  # frames of several spans
        (Frame(length=401, hop=160, window="blackman"), OverlapAdd(hop=160, window="blackman")),
        (Frame(length=320, hop=160, window="hamming", centre=160), OverlapAdd(hop=160, window="hamming")),
        (Frame(length=320, hop=160, centre=1), OverlapAdd(hop=160)),  # the end is carried by the last frame alone
        (Frame(length=160, hop=160, window="boxcar"), OverlapAdd(hop=160, window="boxcar")),
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [1, 160, 3333])
def test_overlap_add_undoes_frame_everywhere(frame: Frame, overlap_add: OverlapAdd, n: int) -> None:
    graph = Graph(
        {"frame": frame, "overlap_add": overlap_add},
        {"frame.x": "speech", "overlap_add.frames": "frame"},
        {"speech": Audio(16000)},
        {"speech": "overlap_add"},
    )
    x = speech()[9000 : 9000 + n]
    assert_allclose(graph(speech=x)["speech"], x, rtol=0, atol=1e-14)  # a few roundings; no two frames cancel


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_allpole_turns_the_residual_back_into_the_speech(rate: int) -> None:
    graph = Graph(
        {"inverse_filter": InverseFilter(), "allpole": Allpole()},
        {
            "inverse_filter.x": "speech",
            "inverse_filter.lpc": "lpc",
            "allpole.x": "inverse_filter",
            "allpole.lpc": "lpc",
        },
        {"speech": Audio(rate), "lpc": Frames(100, "lpc", 17)},
        {"speech": "allpole"},
    )
    rows = predictors(16, 160)
    x = speech()[: int(len(rows) * Fraction(rate, 100))]
    y = graph(speech=x, lpc=rows[: -(-len(x) * 100 // rate)])["speech"]
    assert_allclose(y, x, rtol=0, atol=1e-12 * np.abs(x).max())  # measured 3e-14
