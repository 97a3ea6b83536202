from typing import Any

import numpy as np
import pytest

from dspgraph import Audio, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.mulaw import mulaw_decode, mulaw_encode
from dspgraph_nodes.codes.mulaw_encode import MulawEncode
from helpers.speech import speech

EXAMPLES = [
    Example(MulawEncode(), x=(Audio(16000), speech(5003))),
    Example(MulawEncode(levels=65536, peak=0.5), x=(Audio(22050), speech(4001))),
]

POINTS = np.array([-1, -0.5, -0.03, -0.001, 0, 0.0002, 0.004, 0.07, 0.3, 0.8, 1])
# librosa 0.11.0: librosa.mu_compress(POINTS, mu=255, quantize=False), and with mu=65535
COMPRESSED = {
    256: [-1, -0.87570307, -0.38908752, -0.04096092, 0, 0.00897033, 0.12679441, 0.52956158, 0.78451555, 0.95993501, 1],
    65536: [-1, -0.93750138, -0.68386362, -0.3785026, 0, 0.23864621, 0.50248042, 0.76023695, 0.89144286, 0.97987984, 1],
}


@pytest.mark.parametrize("levels", [256, 65536])
def test_the_curve_is_librosas(levels: int) -> None:
    # The code is the compressed value on a scale of half a table, rounded: at most half a code from librosa's value,
    # and the recorded digits add 0.5e-8 * 32768 = 2e-4 of a code. +1 is one code further than the last: clipped.
    codes = mulaw_encode(POINTS[:-1], levels)
    expected = levels / 2 * (1 + np.array(COMPRESSED[levels][:-1]))
    assert np.abs(codes - expected).max() <= 0.5 + 2e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_full_scale_and_silence(dtype: Any) -> None:
    x = np.array([-1, -0.0, 0.0, 1, -7, 7, -np.inf, np.inf, np.finfo(dtype).max], dtype)
    assert mulaw_encode(x).tolist() == [0, 128, 128, 255, 0, 255, 0, 255, 255]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("peak", [1.0, 32768.0, 1 / 3])
@pytest.mark.parametrize("bits", range(1, 17))
def test_every_code_survives_decoding_and_encoding(bits: int, peak: float, dtype: Any) -> None:
    # Also in float32 at 65536 levels: there the unrounded code comes back within 0.002 of a code (measured, at any
    # peak below overflow), because log1p keeps the small ones and a sum up to 65536 is rounded to 2**-8.
    codes = np.arange(1 << bits)
    assert np.array_equal(mulaw_encode(mulaw_decode(codes, 1 << bits, peak, dtype), 1 << bits, peak), codes)


def test_one_step_of_16_bits_is_silence_with_8_bits_as_in_g711() -> None:
    # Code 129 begins at (256**(1/256) - 1) / 255 = 8.59e-5, 2.8 steps of 16 bits; G.711's second code at 4 steps.
    steps = np.arange(-5, 6) / 32768
    assert (mulaw_encode(steps) - 128).tolist() == [-1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1]


def test_lpcnet_scale() -> None:
    # LPCNet's table, int16 scale: code 0 is -32768 and code 255 +31373 (J.-M. Valin, the C program).
    assert mulaw_encode(np.array([-32768.0, 31373.0, 0.0]), peak=32768.0).tolist() == [0, 255, 128]


def test_larger_samples_never_get_smaller_codes() -> None:
    x = np.sort(np.concatenate((speech(20000), np.linspace(-1.1, 1.1, 20001))))
    assert (np.diff(mulaw_encode(x)) >= 0).all()


def test_nan_is_named() -> None:
    with pytest.raises(ValueError, match="item 2 is NaN"):
        mulaw_encode(np.array([0.0, 1.0, np.nan]))


def test_levels_that_are_no_power_of_two_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"levels is 200; it must be a power of two: take 256"):
        Graph({"mu": MulawEncode(levels=200)}, {"mu.x": "x"}, {"x": Audio(16000)}, {"codes": "mu"})


def test_two_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="put a mono 'mix' before it"):
        Graph({"mu": MulawEncode()}, {"mu.x": "x"}, {"x": Audio(16000, channels=2)}, {"codes": "mu"})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [2, 4, 256, 65536])
def test_the_edge_of_a_code_is_exact(levels: int, dtype: Any) -> None:
    # A step above an edge is the code above it, a step below the one below: no rounding of a log decides it.
    # log(1 + mu x) = (k + 1/2) / h log(levels) has the exact solution below, in extended precision.
    h = levels // 2
    steps = np.arange(0.5, h - 1, 1) if h > 1 else np.array([])
    edges = (np.expm1(steps.astype(np.longdouble) / h * np.log(np.longdouble(levels))) / (levels - 1)).astype(dtype)
    codes = np.arange(h + 1, h + 1 + len(edges))
    above, below = np.nextafter(edges, dtype(2), dtype=dtype), np.nextafter(edges, dtype(0), dtype=dtype)
    assert np.array_equal(mulaw_encode(above, levels), codes)
    assert np.array_equal(mulaw_encode(np.nextafter(below, dtype(0), dtype=dtype), levels), codes - 1)
    # Below silence the same edges, mirrored.
    assert np.array_equal(mulaw_encode(-np.nextafter(below, dtype(0), dtype=dtype), levels), levels - codes + 1)
    assert np.array_equal(mulaw_encode(-np.nextafter(above, dtype(2), dtype=dtype), levels), levels - codes)
