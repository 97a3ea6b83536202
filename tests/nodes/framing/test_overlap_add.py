from fractions import Fraction
from itertools import product
from typing import get_args

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import check_NOLA

from dspgraph import Audio, Frames, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.windows import Window, taper
from dspgraph_nodes.framing.frame import Frame
from dspgraph_nodes.framing.overlap_add import OverlapAdd, overlap_add
from speech import speech

RNG = np.random.default_rng(20)


def framed(node: Frame, n: int) -> tuple[Frames, np.ndarray]:
    (stream,) = node.streams(Audio(16000))
    return stream, RNG.standard_normal((n, node.length))


EXAMPLES = [
    Example(OverlapAdd(hop=160), frames=framed(Frame(length=400, hop=160), 21)),
    Example(OverlapAdd(hop=16, window="hamming"), frames=framed(Frame(length=127, hop=16, centre=60.5), 199)),
    Example(OverlapAdd(hop=160, window="boxcar"), frames=framed(Frame(length=160, hop=160), 21)),  # nothing overlaps
]


@pytest.mark.parametrize(
    ("window", "length", "hop", "centre", "norm"),
    [
        ("hann", 320, 160, None, "none"),
        ("hann", 1024, 160, None, "power"),  # early frames reach over several spans
        ("blackman", 401, 160, None, "none"),
        ("hamming", 320, 160, 160, "none"),  # begins with its span: nothing but the span's own frame at sample 0
        ("hann", 320, 160, 1, "power"),  # ends with its span: nothing but the last frame at the end
        ("boxcar", 160, 160, None, "none"),
    ],
)
@pytest.mark.parametrize("n", [1, 160, 3333])
def test_it_undoes_frame_everywhere(
    window: Window, length: int, hop: int, centre: float | None, norm: str, n: int
) -> None:
    graph = Graph(
        {
            "frame": Frame(length=length, hop=hop, centre=centre, window=window, norm=norm),
            "overlap_add": OverlapAdd(hop=hop, window=window, norm=norm),
        },
        {"frame.x": "speech", "overlap_add.frames": "frame"},
        {"speech": Audio(16000)},
        {"speech": "overlap_add"},
    )
    x = speech()[9000 : 9000 + n]
    y = graph(speech=x)["speech"]
    assert_allclose(y, x, rtol=0, atol=1e-14)  # a few roundings; one frame alone divides by the weight it carries


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_sample_is_the_weighted_mean_of_the_frames_over_it(example: Example) -> None:
    node = example.node
    assert isinstance(node, OverlapAdd)
    (stream, frames), hop = example.signals["frames"], node.hop
    assert isinstance(stream, Frames)
    first = int(stream.centre * stream.rate * hop - Fraction(stream.width, 2))
    window = taper(node.window, node.norm, stream.width, stream.dtype)
    expected = np.zeros(len(frames) * hop)
    for n in range(len(expected)):
        over = [(k, n - k * hop - first) for k in range(len(frames)) if 0 <= n - k * hop - first < stream.width]
        expected[n] = sum(frames[k, i] for k, i in over) / sum(window[i] for _, i in over)
    peak = np.abs(expected).max()
    assert_allclose(example.render()["y"], expected, rtol=0, atol=1e-14 * peak)
    assert (overlap_add(frames, window, hop, first) == example.render()["y"]).all()


def test_it_takes_the_window_and_hop_pairs_that_scipy_takes() -> None:
    for window, length, hop in product(get_args(Window), (31, 32, 64), (8, 16, 30, 31, 32, 33, 63, 64, 65)):
        (frames,) = Frame(length=length, hop=hop, window=window).streams(Audio(16000))
        # check_NOLA sums squares, so its bound is the square of ours; it knows no hop above the length.
        possible = hop <= length and check_NOLA(window, length, length - hop, tol=1e-20)
        try:
            OverlapAdd(hop=hop, window=window).streams(frames)
            taken = True
        except ParameterError:
            taken = False
        assert taken == possible, (window, length, hop)


def test_a_sample_that_only_missing_frames_would_carry_is_refused() -> None:
    (frames,) = Frame(length=320, hop=160, centre=160).streams(Audio(16000))
    # Inside the signal the frame before carries sample 0 of a span; at the start there is none.
    with pytest.raises(ParameterError, match=r"cannot restore sample 0 of every 160: a hann window .* begins at 0"):
        OverlapAdd(hop=160).streams(frames)


def test_another_hop_than_the_frames_have_is_refused() -> None:
    (frames,) = Frame(length=321, hop=160).streams(Audio(16000))
    with pytest.raises(ParameterError, match=r"overlap_add\.hop is 80, .* take the hop the frames were cut with"):
        OverlapAdd(hop=80).streams(frames)


def test_the_rate_comes_back() -> None:
    (frames,) = Frame(length=441, hop=220).streams(Audio(22050))
    assert OverlapAdd(hop=220).streams(frames) == (Audio(22050),)
