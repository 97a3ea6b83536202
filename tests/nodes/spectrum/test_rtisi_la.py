"""Phase reconstruction frame by frame: the error of the magnitudes, compared with librosa's Griffin-Lim."""

from fractions import Fraction

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.stft import resynthesise, spectra
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.spectrum.rtisi_la import RtisiLa
from helpers.speech import speech

X = speech()[9000:14000]
STREAM = Frames(Fraction(16000, 128), "magnitude", 257, Fraction(64, 16000))


def analysed(x: Array, n_fft: int = 512, hop: int = 128) -> Array:
    window = window_values("hann", "none", n_fft, x.dtype)
    return spectra(Framing(n_fft, hop, (hop - n_fft) // 2).whole(x), window, n_fft)


MAGNITUDE = np.abs(analysed(X))
SHORT = Frames(Fraction(16000, 50), "magnitude", 65, Fraction(25, 16000))
EXAMPLES = [
    Example(RtisiLa(hop=128, iterations=2), magnitude=(STREAM, np.tile(MAGNITUDE[8:], (2, 1))[:64])),
    Example(
        RtisiLa(hop=50, length=100, window="hamming", iterations=1, ahead=0),
        magnitude=(SHORT, np.abs(analysed(X[:4000], 128, 50))),
    ),
]


def convergence(y: Array) -> float:
    """Return the error of the magnitudes of y in dB.

    It is the norm of their difference from MAGNITUDE, over the norm of MAGNITUDE. y: [n], with as many
    frames as MAGNITUDE.
    """
    left = np.linalg.norm(np.abs(analysed(y)) - MAGNITUDE) / np.linalg.norm(MAGNITUDE)
    return float(20 * np.log10(left))


def reached(**settings: int) -> float:
    return convergence(Example(RtisiLa(hop=128, **settings), magnitude=(STREAM, MAGNITUDE)).render()["y"])


def test_it_comes_as_near_as_librosas_griffin_lim_on_the_whole_signal() -> None:
    phases = np.random.default_rng(1).uniform(0, 2 * np.pi, MAGNITUDE.shape)
    begin = resynthesise(
        [MAGNITUDE * np.exp(1j * phases)],
        len(MAGNITUDE),
        window_values("hann", "none", 512, np.dtype(float)),
        128,
        -192,
    )
    librosas = librosa.griffinlim(MAGNITUDE.T, n_iter=32, hop_length=128, momentum=0, random_state=1, length=len(X))
    whole = np.abs(librosa.stft(librosas, n_fft=512, hop_length=128)).T[: len(MAGNITUDE)]
    peer = 20 * np.log10(np.linalg.norm(whole - MAGNITUDE) / np.linalg.norm(MAGNITUDE))
    found = reached(iterations=8, ahead=3)  # 32 iterations for every frame, as it is held for four
    assert found < peer < convergence(begin) - 5, (found, peer)


def test_more_iterations_and_more_lookahead_come_nearer() -> None:
    assert reached(iterations=8, ahead=3) < reached(iterations=2, ahead=3) - 1 < reached(iterations=2, ahead=0) - 2


def test_the_phases_of_a_tone_are_found() -> None:
    """In the middle of a steady tone, the result is a sine of the same frequency, with the same level to 2 percent.

    All that is not this sine has less than 2 percent of the energy.
    """
    x = np.sin(2 * np.pi * 440 / 16000 * np.arange(16000))
    node = RtisiLa(hop=128)
    y = Example(node, magnitude=(STREAM, np.abs(analysed(x)))).render()["y"][4000:12000]
    at = np.arange(8000)
    basis = np.stack((np.sin(2 * np.pi * 440 / 16000 * at), np.cos(2 * np.pi * 440 / 16000 * at)), axis=1)
    fit, rest, *_ = np.linalg.lstsq(basis, y, rcond=None)
    assert_allclose(np.hypot(*fit), 1, rtol=0.02)
    assert rest[0] < 0.02 * (y @ y)


def test_silence_stays_silent() -> None:
    y = Example(RtisiLa(hop=128), magnitude=(STREAM, np.zeros((70, 257)))).render()["y"]
    assert_array_equal(y, np.zeros(70 * 128))


def test_a_hop_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"rtisi_la\.hop is 129"):
        RtisiLa(hop=129).streams(STREAM)
