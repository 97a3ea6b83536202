from fractions import Fraction
from itertools import product
from typing import Any, get_args

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import check_NOLA, get_window

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.stft import spectra
from dspgraph_nodes._kernels.signal.windows import Window, window_values
from dspgraph_nodes.spectrum.istft import Istft, istft
from helpers.integers import check_integers, integers
from helpers.speech import speech

RNG = np.random.default_rng(30)


def cut(n_fft: int, hop: int, length: int | None = None, first: int | None = None) -> Frames:
    """Return a stream of spectra of 16 kHz audio whose windows begin `first` samples after the start of their span.

    By default the windows lie in the middle of their span. length: the length of the windows, in samples; by default
    n_fft.
    """
    length = n_fft if length is None else length
    first = (hop - length) // 2 if first is None else first
    centre = Fraction(2 * first + length, 2 * 16000)
    return Frames(Fraction(16000, hop), "spectrum", n_fft // 2 + 1, centre, np.complex128)


GEOMETRIES = [
    (Istft(hop=160), cut(512, 160)),
    (Istft(hop=101, length=201, window="hamming"), cut(256, 101, 201, first=-33)),  # odd, in the middle of 256
    (Istft(hop=64, window="boxcar"), cut(64, 64)),  # nothing overlaps
    (Istft(hop=31), cut(512, 31)),  # frames of many spans
]


def rows(count: int, stream: Frames) -> Array:
    return RNG.standard_normal((count, stream.width, 2)).view(np.complex128)[..., 0]


EXAMPLES = [Example(node, spectrum=(stream, rows(70, stream))) for node, stream in GEOMETRIES]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_sample_is_the_least_squares_mean_of_the_frames_over_it(example: Example) -> None:
    node, stream, spectrum = example.node, example.signals["spectrum"][0], example.arrays["spectrum"]
    assert isinstance(node, Istft)
    assert isinstance(stream, Frames)
    n_fft = 2 * (stream.width - 1)
    length = node.length or n_fft
    first = int(stream.centre * 16000 - Fraction(length, 2))
    window, left = get_window(node.window, length), (n_fft - length) // 2
    frames = np.fft.irfft(spectrum, n_fft)[:, left : left + length]
    total, weight = np.zeros((2, len(frames) * node.hop + 2 * n_fft))
    for k, frame in enumerate(frames):
        at = slice(n_fft + k * node.hop + first, n_fft + k * node.hop + first + length)
        total[at] += window * frame
        weight[at] += window**2
    expected = (total / np.maximum(weight, 1e-300))[n_fft : n_fft + len(frames) * node.hop]
    for y in (example.render()["y"], istft(spectrum, window, node.hop, first)):
        # rounding of values of about 1 / 16, divided by windows that go down to 0.1
        assert_allclose(y, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize(("n_fft", "hop"), [(512, 128), (512, 200), (256, 160)])
def test_inside_the_signal_it_is_librosas(n_fft: int, hop: int) -> None:
    stream = cut(n_fft, hop)
    spectrum = rows(40, stream)
    expected = librosa.istft(spectrum.T, hop_length=hop, n_fft=n_fft, center=False)
    first = (hop - n_fft) // 2
    y = istft(spectrum, get_window("hann", n_fft), hop, first)
    inside = slice(n_fft, len(y) - n_fft)
    assert_allclose(y[inside], expected[-first:][: len(y)][inside], rtol=0, atol=1e-13)  # values of about 1


def test_it_gives_the_signal_back_for_every_pair_that_can() -> None:
    """Pairs of a window and a hop that restore the signal do so to 1e-12 of full scale, edges included.

    All other pairs are refused; scipy says which these are. A transform and its inverse lose up to 10 eps, and 1e-12 is
    4500 eps. So the signal is lost at a sample where the sum of the squared windows is below (1 / 450)**2 of the peak.
    """
    x = speech()[9000:9700]
    x = x / np.abs(x).max()
    refused = set()
    for window, n_fft, hop in product(
        get_args(Window),
        (32, 64, 256, 512),
        (1, 7, 8, 16, 30, 31, 32, 33, 63, 64, 128, 192, 255, 256, 384, 511, 512, 513),
    ):
        stream = cut(n_fft, hop)
        first = (hop - n_fft) // 2
        values: Any = window_values(window, "none", n_fft, np.dtype(np.float64))
        possible = hop <= n_fft and check_NOLA(values, n_fft, n_fft - hop, tol=(10 * np.finfo(float).eps / 1e-12) ** 2)
        try:
            Istft(hop=hop, window=window).streams(stream)
        except ParameterError:
            refused.add((window, n_fft, hop))
            assert not possible, (window, n_fft, hop)
            continue
        assert possible, (window, n_fft, hop)
        for n in (1, hop, 700):
            spectrum = spectra(Framing(n_fft, hop, first).whole(x[:n]), values, n_fft)
            y = istft(spectrum, values, hop, first)
            assert np.abs(y[: min(n, 700)] - x[:n]).max() <= 1e-12, (window, n_fft, hop, n)
    assert ("hann", 64, 64) in refused  # its first sample is 0
    assert ("hann", 512, 511) in refused  # 1.4e-9 of the square of the peak: 3e-12 would be lost


@pytest.mark.parametrize("window", ["hann", "blackman", "vorbis"])
@pytest.mark.parametrize("n_fft", [2048, 4096, 8192, 16384, 65536, 2 * 1021, 2 * 8191])
def test_a_long_transform_gives_full_scale_noise_back_at_the_largest_hop(n_fft: int, window: Window) -> None:
    """At the largest hop that the node takes, at least 0.7 * n_fft, noise of full scale is restored to 1e-12.

    The hops that are tried go up to n_fft in steps of n_fft / 512. Rounding errors grow with the length of a transform,
    most of all if the length has a large prime factor.
    """

    def taken(hop: int) -> bool:
        try:
            Istft(hop=hop, window=window).streams(cut(n_fft, hop))
        except ParameterError:
            return False
        return True

    hop = max(hop for hop in (n_fft * k // 512 for k in range(256, 513)) if taken(hop))
    assert hop >= 0.7 * n_fft, "what is refused is the end alone: blackman's is 1/450 a ninth from it"
    values, first = window_values(window, "none", n_fft, np.dtype(np.float64)), (hop - n_fft) // 2
    for seed in range(3):
        x = np.random.default_rng(seed).choice([-1.0, 1.0], 2 * n_fft + 7)
        y = istft(spectra(Framing(n_fft, hop, first).whole(x), values, n_fft), values, hop, first)
        assert np.abs(y[: len(x)] - x).max() <= 1e-12


@pytest.mark.parametrize(("n_fft", "hop", "first"), [(2048, 2032, None), (65536, 65024, None), (4096, 4065, -16)])
def test_a_window_that_hardly_carries_its_edge_is_refused(n_fft: int, hop: int, first: int | None) -> None:
    """With these windows, full-scale noise would be restored with errors above 1e-12: 1.7e-12, 2.8e-12 and 1.8e-12."""
    with pytest.raises(ParameterError, match="is 0 there, or nearly"):
        Istft(hop=hop).streams(cut(n_fft, hop, first=first))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_short_windows_give_the_signal_back(dtype: Any) -> None:
    x = speech(3000).astype(dtype)
    window = window_values("hann", "none", 301, np.dtype(dtype))
    y = istft(spectra(Framing(301, 100, -100).whole(x), window, 512), window, 100, -100)
    # A few roundings, divided by windows of at least 0.75
    assert_allclose(y[:3000], x, rtol=0, atol=20 * np.finfo(dtype).eps * np.abs(x).max())
    assert y.dtype == dtype


def test_silence_comes_back_as_silence() -> None:
    assert_array_equal(istft(np.zeros((9, 33), np.complex64), np.ones(64, np.float32), 16, -24), np.zeros(9 * 16))


def test_a_sample_that_only_missing_frames_would_carry_is_refused() -> None:
    with pytest.raises(
        ParameterError,
        match=r"istft\.hop is 160, but sample 0 of every 160 cannot be restored: .* hann window .* at 0 is 0",
    ):
        Istft(hop=160).streams(cut(320, 160, first=0))


@pytest.mark.parametrize(
    ("node", "stream", "sentence"),
    [
        (Istft(hop=80), cut(512, 161), r"istft\.hop is 80, .* take the hop and the length the frames were cut with"),
        (Istft(hop=160, length=513), cut(512, 160), r"istft\.length is 513; rows of 257 bins have n_fft = 512 samples"),
        (Istft(hop=1), Frames(100, "spectrum", 1, 0, np.complex64), r"rows of 1 bins have n_fft = 0 samples"),
        (Istft(hop=160), cut(512, 160).like(dtype=np.dtype(np.float64)), "istft takes complex rows"),
    ],
)
def test_what_has_no_inverse_is_refused(node: Istft, stream: Frames, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        node.streams(stream)


def test_the_rate_and_the_precision_come_back() -> None:
    stream = Frames(Fraction(22050, 220), "spectrum", 221, Fraction(110, 22050), np.complex64)
    assert Istft(hop=220).streams(stream) == (Audio(22050, dtype="float32"),)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x, window: istft(x, window + 1, 16, -24), dtype, floats, (9, 33), (64,))
