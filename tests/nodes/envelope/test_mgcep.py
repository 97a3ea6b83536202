"""Mel-generalised cepstra: the criterion that they minimise, and the special cases gamma = 0 and gamma = -1."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import solve_toeplitz
from scipy.signal import get_window

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.mcep import mel_cepstrum
from dspgraph_nodes.envelope.mgcep import Mgcep, mgcep
from helpers.speech import speech

WINDOW = get_window("blackman", 512)
FRAMES = np.lib.stride_tricks.sliding_window_view(speech()[9000:16000], 512)[::100] * WINDOW
STREAM = Frames(160, "wave", 128, "1/320")
EXAMPLES = [
    Example(Mgcep(order=8), frames=(STREAM, FRAMES[:64, 192:320])),
    Example(Mgcep(order=5, gamma=-1, alpha=0), frames=(STREAM.like(width=75), FRAMES[:64, 192:267])),
]


def criterion(c: Array, frame: Array, alpha: float, gamma: float) -> float:
    """Return the published criterion: the mean over frequency of I / |H|**2 + ln(|H|**2).

    I is the power spectrum of the frame, plus 1e-16, and H the transfer function of the mel-generalised cepstrum c. The
    mean is over 512 frequencies. c: [order + 1]; frame: [512].
    """
    w = 2 * np.pi * np.arange(512) / 512
    z = np.exp(-1j * w)
    warped = (z - alpha) / (1 - alpha * z)
    total = sum(value * warped**m for m, value in enumerate(c))
    log_h = total.real if gamma == 0 else np.log(np.abs(1 + gamma * total)) / gamma
    power = np.abs(np.fft.fft(frame)) ** 2 + 1e-16
    return float(np.mean(power * np.exp(-2 * log_h) + 2 * log_h))


@pytest.mark.parametrize(("gamma", "slack"), [(-1.0, 1e-3), (-0.5, 0.0), (-0.25, 0.0), (0.0, 0.0)])
def test_no_neighbour_has_a_lower_criterion(gamma: float, slack: float) -> None:
    """If any coefficient is changed a little, the criterion is not lower than before, or lower by less than `slack`.

    With gamma = -1, the node, like SPTK, solves the equations of a truncated autocorrelation in one step. The criterion
    is then 5e-4 above its least value.
    """
    frame = FRAMES[30]
    c = mgcep(frame[None], 12, 0.42, gamma, tolerance=1e-8, iterations=100)[0]
    least = criterion(c, frame, 0.42, gamma)
    for m in range(13):
        for step in (-1e-3, 1e-3):
            moved = c.copy()
            moved[m] += step * max(1, abs(c[m]))
            assert criterion(moved, frame, 0.42, gamma) > least - slack


def test_gamma_0_is_the_mel_cepstrum() -> None:
    power = np.abs(np.fft.rfft(FRAMES)) ** 2 + 1e-16
    expected = mel_cepstrum(power, 512, 12, 0.42, 1e-9, 100)
    assert_allclose(mgcep(FRAMES, 12, 0.42, 0.0, 1e-9, 100), expected, rtol=0, atol=1e-6)


def test_gamma_minus_1_without_warping_is_linear_prediction() -> None:
    """For alpha = 0, c[0] = 1 - 1 / K and c[m] = -a[m] / K, with the gain K and predictor a of linear prediction."""
    for frame, c in zip(FRAMES[::10], mgcep(FRAMES[::10], 10, 0.0, -1.0, 1e-9), strict=True):
        r = np.correlate(frame, frame, "full")[511:522]
        r[0] += 1e-16
        a = -solve_toeplitz(r[:-1], r[1:])
        gain = np.sqrt(r[0] + a @ r[1:])
        assert_allclose(c, np.concatenate(([1 - 1 / gain], -a / gain)), rtol=1e-4, atol=1e-4)  # its lags wrap around


def test_silence_is_the_floor_and_the_kind_says_the_power() -> None:
    silent = mgcep(np.zeros((1, 64)), 4, 0.42, 0.0)
    assert_allclose(silent[0], [np.log(1e-8), 0, 0, 0, 0], atol=1e-9)
    assert Mgcep(gamma=0).streams(STREAM) == (STREAM.like(kind="mcep", width=25),)
    assert Mgcep(order=3).streams(STREAM) == (STREAM.like(kind="mgc", width=4),)


def test_frames_that_are_too_short_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"mgcep\.order is 24; it takes frames of 96 to 16384 samples"):
        Mgcep().streams(STREAM.like(width=95))
