from fractions import Fraction
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_array_equal
from scipy.signal import get_window

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.spectrum.stft import Stft, stft
from helpers.integers import check_integers, integers
from helpers.speech import speech

AUDIO = Audio(16000)

GEOMETRIES = [
    Stft(n_fft=512, hop=160),
    Stft(n_fft=256, hop=101, length=201, window="blackman"),  # a window of odd length in the middle of 256 samples
    Stft(n_fft=64, hop=80, window="boxcar"),  # gaps between the frames
    Stft(n_fft=128, hop=31, length=20, centre=200, window="hamming"),  # lies wholly after its span
]

EXAMPLES = [Example(node, x=(AUDIO, speech(2222))) for node in GEOMETRIES]


def strided(node: Stft, x: Array) -> Array:
    """Return the frames [ceil(n / hop), n_fft] of x [n], times the window of the node, by numpy's sliding view.

    A window shorter than n_fft lies in the middle of zeros. The signal is padded with 1000 zeros on each side, beyond
    which no frame may reach.
    """
    length = node.length or node.n_fft
    centre = (node.hop - length) // 2 + length / 2 if node.centre is None else node.centre
    margin = 1000
    begin = margin + int(centre - length / 2)
    window = window_values(node.window, "none", length, x.dtype)
    rows = [sliding_window_view(np.pad(x, margin), length)[begin + k] * window for k in range(0, len(x), node.hop)]
    left = (node.n_fft - length) // 2
    return np.pad(rows, ((0, 0), (left, node.n_fft - length - left)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_it_is_scipys_rfft_of_strided_frames_bit_for_bit(example: Example, dtype: Any) -> None:
    node, x = example.node, speech(2222).astype(dtype)
    assert isinstance(node, Stft)
    expected = scipy.fft.rfft(strided(node, x), axis=1)
    window = window_values(node.window, "none", node.length or node.n_fft, x.dtype)
    whole = stft(x, window, node.hop, node._cut().first, node.n_fft)
    assert whole.dtype == expected.dtype == np.result_type(dtype, np.complex64)
    assert_array_equal(whole, expected)
    assert_array_equal(example.render(dtype)["spectrum"], expected)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (512, 160), (64, 64), (64, 100)])
def test_it_is_librosas_bit_for_bit(n_fft: int, hop: int) -> None:
    x = speech()
    count = 1 + (len(x) - n_fft) // hop  # librosa gives the frames that lie within the signal
    for dtype, window in ((np.float64, "boxcar"), (np.float32, np.ones(n_fft, np.float32))):
        signal = x.astype(dtype)
        expected = librosa.stft(signal, n_fft=n_fft, hop_length=hop, center=False, window=window).T
        assert_array_equal(stft(signal, np.ones(n_fft, dtype), hop, 0)[:count], expected)
    # A window that librosa takes by its name is float64: then float32 samples are transformed in double and rounded.
    expected = librosa.stft(x.astype(np.float32), n_fft=n_fft, hop_length=hop, center=False, window="boxcar").T
    double = stft(x.astype(np.float32).astype(np.float64), np.ones(n_fft), hop, 0)[:count]
    assert_array_equal(double.astype(np.complex64), expected)


def test_a_short_window_lies_where_librosa_puts_it() -> None:
    x, window = speech(8000), get_window("hann", 301)
    expected = librosa.stft(x, n_fft=512, hop_length=160, win_length=301, center=False, window="hann").T
    found = stft(x, window, 160, (512 - 301) // 2, 512)[: len(expected)]
    assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_frames_have_the_bits_of_few(dtype: Any) -> None:
    """Spectra of many frames, computed in pieces that fit the cache, have the bits of scipy's for one frame alone.

    60,000 samples are more than one piece.
    """
    x, window = speech(60_000).astype(dtype), window_values("hann", "none", 1024, np.dtype(dtype))
    whole = stft(x, window, 64, -480)
    for k in (0, 1, 255, 256, 511, 512, 900):
        row = scipy.fft.rfft(np.pad(x, 1000)[1000 - 480 + 64 * k :][:1024] * window)
        assert_array_equal(whole[k], row)


def test_the_stream_says_rate_width_centre_and_precision() -> None:
    (spectrum,) = Stft(n_fft=512, hop=160, length=400).streams(Audio(16000, dtype="float32"))
    assert spectrum == Frames(100, "spectrum", 257, "1/200", np.complex64)
    assert Stft(n_fft=512, hop=160, centre=256).streams(AUDIO)[0].centre == Fraction(256, 16000)


def test_lookahead_is_what_the_window_reaches_beyond_the_span() -> None:
    assert Stft(n_fft=512, hop=160, length=400).lookahead(AUDIO) == Fraction(120, 16000)  # not that of n_fft
    assert Stft(n_fft=512, hop=160, centre=-96).lookahead(AUDIO) == 0


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (Stft(n_fft=512, hop=160, length=513), r"stft\.length is 513; a window is at most as long as n_fft, 512"),
        (Stft(n_fft=512, hop=160, centre=80.5), r"stft\.centre is 80\.5, .* whole sample: take 80 or 81"),
    ],
)
def test_windows_that_do_not_fit_are_refused(node: Stft, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        node.streams(AUDIO)


def test_an_odd_n_fft_a_centre_out_of_sight_and_two_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"stft\.n_fft is 511; it must be .*a multiple of 2"):
        Stft(n_fft=511)
    with pytest.raises(ParameterError, match=r"stft\.centre is 1e[+]?300; it must be a number, at least -1000000"):
        Stft(centre=1e300)
    with pytest.raises(ParameterError, match="put a mono 'mix' before it"):
        Stft().streams(Audio(16000, channels=2))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(
        lambda x: stft(x, window_values("hann", "none", 64, np.dtype(np.float32)), 16, 0), dtype, floats, (999,)
    )
