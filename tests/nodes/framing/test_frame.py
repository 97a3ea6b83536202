import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose
from scipy.signal import get_window

from dspgraph import Array, Audio, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.windows import _COSINES, Window, window_values
from dspgraph_nodes.framing.frame import Frame, frame
from helpers.speech import speech

AUDIO = Audio(16000)

GEOMETRIES = [
    Frame(length=320, hop=160),
    Frame(length=401, hop=160, window="blackman", norm="power"),  # odd length: half a sample off the middle
    Frame(length=512, hop=80, centre=256, window="hamming"),  # begins with its span, looks 432 samples ahead
    Frame(length=400, hop=160, centre=-40),  # ends with its span
    Frame(length=100, hop=160, window="boxcar"),  # gaps between the frames
    Frame(length=20, hop=16, centre=250),  # lies wholly after its span
    Frame(length=20, hop=16, centre=-250),  # lies wholly before its span
]

EXAMPLES = [Example(node, x=(AUDIO, speech(3333))) for node in GEOMETRIES]


def obvious(node: Frame, x: Array) -> Array:
    """Return frames [ceil(n / hop), length] of x [n] by the definition: scipy's windows, and numpy's sliding view.

    The signal is padded with 1000 zeros on each side, beyond which no frame may reach.
    """
    window = get_window(node.window, node.length)
    if node.norm == "power":
        window = window / np.sqrt(np.sum(window**2))
    centre = node.hop // 2 - node.length % 2 / 2 if node.centre is None else node.centre
    margin = 1000
    padded = np.pad(x, margin)
    first = int(centre - node.length / 2)
    return np.array(
        [sliding_window_view(padded, node.length)[margin + k + first] for k in range(0, len(x), node.hop)] * window
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_frame_k_is_the_window_times_the_samples_around_its_span(example: Example) -> None:
    node, x = example.node, speech(3333)
    assert isinstance(node, Frame)
    expected = obvious(node, x)
    assert_allclose(example.render()["frames"], expected, rtol=0, atol=1e-15)  # the windows differ by 2 eps
    whole = frame(x, window_values(node.window, node.norm, node.length, x.dtype), node.hop, node.first())
    assert (whole == example.render()["frames"]).all()


def test_1000_samples_are_seven_frames_of_160() -> None:
    assert frame(speech(1000), np.ones(160), 160, 0).shape == (7, 160)


def test_the_declared_centre_is_where_the_window_is_centred() -> None:
    for node in GEOMETRIES:
        (frames,) = node.streams(AUDIO)
        ramp = np.arange(-2000.0, 2000.0)  # a sample's value is its time: the mean under the window is its centre
        k = 2000 // node.hop
        weights = window_values(node.window, "none", node.length, np.dtype(np.float64))[
            1:
        ]  # periodic: symmetric from 1 on
        row = frame(ramp, np.ones(node.length), node.hop, node.first())[k][1:]
        begin = -2000 + k * node.hop
        centre = np.sum(weights * row) / np.sum(weights) - begin
        assert_allclose(centre, float(frames.centre * 16000), rtol=0, atol=1e-9)


def test_lookahead_is_what_reaches_beyond_the_span() -> None:
    assert Frame(length=320, hop=160).lookahead(AUDIO) == Fraction(80, 16000)
    assert Frame(length=512, hop=80, centre=256).lookahead(AUDIO) == Fraction(432, 16000)
    assert Frame(length=400, hop=160, centre=-40).lookahead(AUDIO) == 0


@pytest.mark.parametrize("window", _COSINES)
def test_windows_are_scipys(window: Window) -> None:
    for length in (1, 2, 401, 512):
        values = window_values(window, "none", length, np.dtype(np.float64))
        # at most three cosines of angles up to 4 pi, rounded to 9e-16
        assert_allclose(values, get_window(window, length), rtol=0, atol=1e-15)


@pytest.mark.parametrize("length", [1, 2, 320, 401, 512])
def test_vorbis_is_its_definition_and_loses_no_power(length: int) -> None:
    values = window_values("vorbis", "none", length, np.dtype(np.float64))
    expected = [math.sin(math.pi / 2 * math.sin(math.pi * (n + 0.5) / length) ** 2) for n in range(length)]
    assert_allclose(values, expected, rtol=0, atol=1e-15)
    if length % 2 == 0:
        half = length // 2  # Princen and Bradley's condition
        assert_allclose(values[:half] ** 2 + values[half:] ** 2, np.ones(half), rtol=0, atol=1e-15)


def test_power_normalisation_makes_the_gain_an_rms() -> None:
    for dtype, rounding in ((np.float64, 1e-14), (np.float32, 1e-5)):
        window = window_values("blackman", "power", 512, np.dtype(dtype))
        assert_allclose(np.sum(window**2), 1, rtol=rounding)  # then E[sum (w x)**2] = E[x**2] for any white x


def test_a_centre_between_two_samples_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"frame\.centre is 80\.5, .* whole sample: take 80 or 81"):
        Frame(length=320, hop=160, centre=80.5).streams(AUDIO)
    with pytest.raises(ParameterError, match=r"frame\.centre is 80, .* half sample: take 79\.5 or 80\.5"):
        Frame(length=321, hop=160, centre=80).streams(AUDIO)


def test_two_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="put a mono 'mix' before it"):
        Frame(length=320, hop=160).streams(Audio(16000, channels=2))


@pytest.mark.parametrize("centre", [-1e12, 1e12])
def test_a_centre_beyond_any_memory_is_refused(centre: float) -> None:
    with pytest.raises(ParameterError, match=r"frame\.centre is"):
        Frame(length=4, hop=1, centre=centre)
