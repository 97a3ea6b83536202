from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import check_NOLA, get_window

from dspgraph import Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.windows import _COSINES
from dspgraph_nodes.framing.overlap_add import OverlapAdd, overlap_add

RNG = np.random.default_rng(20)


def cut(length: int, hop: int, first: int | None = None) -> Frames:
    """Return a stream of frames of 16 kHz audio that begin `first` samples after the start of their span.

    By default the frames lie in the middle of their span, or half a sample before it.
    """
    first = (hop - length) // 2 if first is None else first
    return Frames(Fraction(16000, hop), "wave", length, Fraction(2 * first + length, 2 * 16000))


GEOMETRIES = [
    (OverlapAdd(hop=160), cut(400, 160)),
    (OverlapAdd(hop=16, window="hamming", norm="power"), cut(127, 16, first=-3)),
    (OverlapAdd(hop=160, window="boxcar"), cut(160, 160)),  # nothing overlaps
    (OverlapAdd(hop=160), cut(2000, 160)),  # frames of many spans
]

EXAMPLES = [Example(node, frames=(stream, RNG.standard_normal((99, stream.width)))) for node, stream in GEOMETRIES]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_sample_is_the_weighted_mean_of_the_frames_over_it(example: Example) -> None:
    node, stream, frames = example.node, example.signals["frames"][0], example.arrays["frames"]
    assert isinstance(node, OverlapAdd)
    assert isinstance(stream, Frames)
    first = int(stream.centre * 16000 - Fraction(stream.width, 2))
    window = get_window(node.window, stream.width)
    if node.norm == "power":
        window = window / np.linalg.norm(window)
    expected = np.zeros(len(frames) * node.hop)
    for n in range(len(expected)):
        over = [(k, i) for k in range(len(frames)) if 0 <= (i := n - k * node.hop - first) < stream.width]
        expected[n] = sum(frames[k, i] for k, i in over) / sum(window[i] for _, i in over)
    for y in (example.render()["y"], overlap_add(frames, window, node.hop, first)):
        assert_allclose(y, expected, rtol=0, atol=1e-13 * np.abs(expected).max())  # sums of up to 13 roundings


def test_it_takes_the_window_and_hop_pairs_that_scipy_takes() -> None:
    for window, length, hop in product(_COSINES, (31, 32, 64), (8, 16, 30, 31, 32, 33, 63, 64, 65)):
        # check_NOLA sums squares, so its bound is the square of ours; it knows no hop above the length.
        possible = hop <= length and check_NOLA(window, length, length - hop, tol=1e-20)
        try:
            OverlapAdd(hop=hop, window=window).streams(cut(length, hop))
            taken = True
        except ParameterError:
            taken = False
        assert taken == possible, (window, length, hop)


def test_a_sample_that_only_missing_frames_would_carry_is_refused() -> None:
    # Inside the signal the frame before carries sample 0 of a span; at the start there is none.
    with pytest.raises(ParameterError, match=r"cannot restore sample 0 of every 160: a hann window .* begins at 0"):
        OverlapAdd(hop=160).streams(cut(320, 160, first=0))


@pytest.mark.parametrize("first", [-260, 240])
def test_frames_that_lie_outside_their_span_are_refused(first: int) -> None:
    with pytest.raises(ParameterError, match="cannot restore sample"):
        OverlapAdd(hop=16).streams(cut(20, 16, first))


def test_another_hop_than_the_frames_have_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"overlap_add\.hop is 80, .* take the hop the frames were cut with"):
        OverlapAdd(hop=80).streams(cut(321, 160))


def test_the_rate_comes_back() -> None:
    frames = Frames(Fraction(22050, 220), "wave", 440, Fraction(110, 22050))
    assert OverlapAdd(hop=220).streams(frames) == (Audio(22050),)
