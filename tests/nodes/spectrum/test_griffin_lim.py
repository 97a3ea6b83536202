from fractions import Fraction
from typing import Any

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, Frames, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal import stft as transform
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.stft import resynthesise, spectra
from dspgraph_nodes._kernels.signal.windows import window_values
from dspgraph_nodes.spectrum.griffin_lim import GriffinLim, griffin_lim
from helpers.integers import check_integers, integers
from helpers.notes import RATE, note
from helpers.speech import speech

N_FFT, HOP, FIRST = 1024, 256, -384
WINDOW = window_values("hann", "none", N_FFT, np.dtype(np.float64))


def cut(n_fft: int, hop: int, length: int | None = None) -> Frames:
    length = n_fft if length is None else length
    centre = Fraction((hop - length) // 2 * 2 + length, 2 * RATE)
    return Frames(Fraction(RATE, hop), "magnitude", n_fft // 2 + 1, centre)


def magnitudes(x: Array, n_fft: int = N_FFT, hop: int = HOP) -> Array:
    window = window_values("hann", "none", n_fft, x.dtype)
    spectrum = spectra(Framing(n_fft, hop, (hop - n_fft) // 2).whole(x), window, n_fft)
    found: Array = np.sqrt(spectrum.real**2 + spectrum.imag**2)  # not np.abs: the same on every machine
    return found


EXAMPLES = [
    Example(GriffinLim(hop=64, iterations=4), magnitude=(cut(256, 64), magnitudes(speech(4300), 256, 64))),
    Example(
        GriffinLim(hop=50, length=101, window="hamming", iterations=3, momentum=0, seed=5),
        magnitude=(cut(128, 50, 101), magnitudes(speech(3500), 128, 50)),
    ),
]


def convergence(y: Array, wanted: Array) -> float:
    """Return the error of the magnitudes of y, in dB: the norm of their difference from `wanted` over that of `wanted`.

    y: [n], with as many frames as `wanted`, [frames, 513].
    """
    return float(20 * np.log10(np.linalg.norm(magnitudes(y) - wanted) / np.linalg.norm(wanted)))


def phases(shape: tuple[int, ...], seed: int = 7) -> Array:
    return 2 * np.pi * np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize(("momentum", "after_32", "after_300"), [(0.99, -21, -43), (0, -15, -23)])
@pytest.mark.parametrize(
    "midi", [pytest.param(36, marks=pytest.mark.slow), 60, pytest.param(84, marks=pytest.mark.slow)]
)
def test_a_note_comes_nearer_round_by_round(
    midi: int, momentum: float, after_32: float, after_300: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is at most `after_32` dB after 32 iterations and `after_300` dB after 300.

    No iteration raises it by more than 0.1 dB. In every case the error must be at most -13 dB after 32
    iterations and -18 dB after 300.
    """
    wanted, found = magnitudes(note(midi).astype(np.float32)), []

    def seen(*arguments: Any) -> Array:
        y = resynthesise(*arguments)
        found.append(convergence(y, wanted))
        return y

    monkeypatch.setattr(transform, "resynthesise", seen)
    start, window = phases(wanted.shape).astype(np.float32), WINDOW.astype(np.float32)
    griffin_lim(wanted, start, window, HOP, FIRST, 300, momentum)
    assert len(found) == 301
    assert found[32] <= min(after_32, -13)
    assert found[300] <= min(after_300, -18)
    assert np.diff(found).max() <= 0.1  # with momentum it rises by up to 0.093 dB in a round; without, never


def test_without_momentum_no_round_makes_it_worse() -> None:
    """Without momentum, which is the algorithm of 1984, no iteration raises the error by more than 0.1 dB.

    Each iteration is a call that starts from the phases of the result of the previous one. One call with 59 iterations
    ends with the same error as the 60th call.
    """
    wanted = magnitudes(note(60)[:16000])
    phase, found = phases(wanted.shape), []
    for _ in range(60):
        y = griffin_lim(wanted, phase, WINDOW, HOP, FIRST, 0)
        found.append(convergence(y, wanted))
        phase = np.angle(spectra(Framing(N_FFT, HOP, FIRST).whole(y), WINDOW, N_FFT))
    assert (np.diff(found) <= 0.1).all()  # dB
    at_once = griffin_lim(wanted, phases(wanted.shape), WINDOW, HOP, FIRST, 59, 0)
    # The same algorithm; a rounding grows a little in each of 59 rounds.
    assert_allclose(convergence(at_once, wanted), found[-1], rtol=0, atol=1e-3)


@pytest.mark.slow
def test_it_comes_as_near_as_librosas() -> None:
    """For 2 s of speech, the error is at most 0.3 dB above librosa's, and at least 4 dB below that without momentum.

    The errors are means over three sets of initial phases, which change an error by 1 dB.
    """
    x = speech()[16000:48000].astype(np.float32)
    wanted, theirs = magnitudes(x), np.abs(librosa.stft(x, n_fft=N_FFT, hop_length=HOP))
    ours, peer, classic = [], [], []
    for seed in range(3):
        y = librosa.griffinlim(theirs, n_iter=32, hop_length=HOP, random_state=seed)
        left = np.abs(librosa.stft(y, n_fft=N_FFT, hop_length=HOP)) - theirs
        peer.append(20 * np.log10(np.linalg.norm(left) / np.linalg.norm(theirs)))
        start = phases(wanted.shape, seed).astype(np.float32)
        ours.append(convergence(griffin_lim(wanted, start, WINDOW.astype(np.float32), HOP, FIRST), wanted))
        classic.append(convergence(griffin_lim(wanted, start, WINDOW.astype(np.float32), HOP, FIRST, 32, 0), wanted))
    assert np.mean(ours) <= np.mean(peer) + 0.3  # measured -24.5 and -23.9 dB
    assert np.mean(ours) <= np.mean(classic) - 4  # measured -18.5 dB: momentum is what makes it fast


def test_the_true_phases_give_the_signal_itself() -> None:
    x = speech(8000)
    true = spectra(Framing(N_FFT, HOP, FIRST).whole(x), WINDOW, N_FFT)
    for rounds in (0, 3):
        y = griffin_lim(np.abs(true), np.angle(true), WINDOW, HOP, FIRST, rounds)
        assert_allclose(y[: len(x)], x, rtol=0, atol=1e-12)  # a few roundings


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_is_silence(dtype: Any) -> None:
    y = griffin_lim(np.zeros((9, 33), dtype), np.ones((9, 33), dtype), np.ones(64, dtype), 16, -24)
    assert_array_equal(y, np.zeros(144, dtype))
    assert y.dtype == dtype


def rendered(seed: int = 0, **parameters: Any) -> Array:
    wanted = magnitudes(speech(3000), 256, 64)
    node = GriffinLim(hop=64, iterations=2, **parameters)
    graph = Graph({"node": node}, {"node.magnitude": "m"}, {"m": cut(256, 64)}, {"y": "node"}, seed)
    return graph(m=wanted)["y"]


def test_another_seed_begins_with_other_phases_and_zero_with_none() -> None:
    assert (rendered() != rendered(seed=1)).any()
    assert_array_equal(rendered(begin="zero"), rendered(begin="zero", seed=1))
    wanted = magnitudes(speech(3000), 256, 64)
    window = window_values("hann", "none", 256, np.dtype(np.float64))
    assert_array_equal(rendered(begin="zero"), griffin_lim(wanted, np.zeros_like(wanted), window, 64, -96, 2))


def test_random_phases_are_spread_over_the_whole_turn() -> None:
    """The phases are uniform from 0 to 2 * pi; without iterations the signal has these phases."""
    wanted = magnitudes(speech(3000), 256, 64)
    start = 2 * np.pi * np.random.Generator(np.random.Philox(key=3)).random(wanted.shape)
    frames = np.fft.irfft(wanted * np.exp(1j * start))
    window = window_values("hann", "none", 256, np.dtype(np.float64))
    total, weight = np.zeros((2, 64 * len(frames) + 192))
    for k, frame in enumerate(frames):
        total[64 * k : 64 * k + 256] += window * frame
        weight[64 * k : 64 * k + 256] += window**2
    node = GriffinLim(hop=64, iterations=0, seed=3)
    _, found = node.step(node.start(cut(256, 64)), wanted)  # the engine would mix the seed with its own
    assert_allclose(found, (total / np.maximum(weight, 1e-300))[96 : 96 + len(found)], rtol=0, atol=1e-12)


def test_the_rate_comes_back_and_the_whole_signal_is_awaited() -> None:
    assert GriffinLim(hop=64).streams(cut(256, 64)) == (Audio(RATE),)
    assert GriffinLim(hop=64).lookahead(cut(256, 64)) == float("inf")


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (
            GriffinLim(hop=256),
            r"griffin_lim\.hop is 256, but sample 0 of every 256 cannot be restored: a hann window of 256",
        ),
        (GriffinLim(hop=64, length=300), r"griffin_lim\.length is 300; rows of 129 bins have n_fft = 256 samples"),
        (GriffinLim(hop=80, length=201), r"griffin_lim\.hop is 80, .* take the hop and the length the frames were"),
    ],
)
def test_frames_that_give_no_signal_are_refused(node: GriffinLim, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        node.streams(cut(256, node.hop))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x, phase: griffin_lim(x, phase, WINDOW, HOP, FIRST, 2), dtype, floats, (9, 513), (9, 513))
