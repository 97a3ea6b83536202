from fractions import Fraction

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import get_window

from dspgraph import Array, Audio, Frames, Graph, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.freqt import mc2b
from dspgraph_nodes._kernels.signal.mcep import mel_cepstrum
from dspgraph_nodes._kernels.signal.mlsa import initial_state
from dspgraph_nodes.filter.mlsa import Mlsa, MlsaState, mlsa
from helpers.speech import speech

HOP = 80
NOISE = np.random.default_rng(7).standard_normal(64000)


def melcepstra(order: int = 24, alpha: float = 0.42, hop: int = HOP, n: int | None = None) -> Array:
    """Return mel-cepstra [frames, order + 1] of the recording `speech`, one for every `hop` samples.

    n: how many samples of the recording are used; None: all.
    """
    x = speech(n)
    window = get_window("blackman", 512)
    frames = sliding_window_view(np.pad(x, (256, 512)), 512)[: len(x) : hop] * (window / np.linalg.norm(window))
    spectra = np.fft.rfft(frames, axis=1)
    return mel_cepstrum(spectra.real**2 + spectra.imag**2 + 1e-12, 512, order, alpha, 1e-3, 30)


def whole(
    x: Array, mcep: Array, hop: int | Fraction = HOP, alpha: float = 0.42, pade: int = 4, sections: int = 1
) -> Array:
    return mlsa(x, mcep, 1 / Fraction(hop), alpha, pade, MlsaState(initial_state(mcep.shape[1] - 1, sections)))


EXAMPLES = [
    Example(Mlsa(), x=(Audio(16000), NOISE[:3333]), mcep=(Frames(200, "mcep", 25), melcepstra(n=20000)[200:242])),
    Example(  # 220.5 samples to a frame
        Mlsa(alpha=0.45, pade=5, sections=3),
        x=(Audio(22050), NOISE[:4000]),
        mcep=(Frames(100, "mcep", 31), melcepstra(30, 0.45)[300:319]),
    ),
    Example(  # a gain alone, and 5 frames to 4 samples
        Mlsa(), x=(Audio(80), NOISE[:80]), mcep=(Frames(100, "mcep", 1), melcepstra(0, 0.0)[:100])
    ),
    Example(Mlsa(alpha=-0.3), x=(Audio(8000), NOISE[:900]), mcep=(Frames(100, "mcep", 2), melcepstra(1)[100:112])),
]


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize("n", [64000, 63990, 63921])
@pytest.mark.parametrize("pade", [4, 5])
def test_it_is_pysptks_synthesizer_on_every_sample(pade: int, n: int) -> None:
    from pysptk.synthesis import MLSADF, Synthesizer

    mcep = melcepstra()
    # pysptk drops the last partial frame: it is given zeros to the end of it.
    padded = np.pad(NOISE[:n], (0, -n % HOP))
    expected = Synthesizer(MLSADF(order=24, alpha=0.42, pd=pade), HOP).synthesis(padded, mc2b(mcep, 0.42))
    found = whole(NOISE[:n], mcep, pade=pade)
    assert len(found) == n
    # 1e-10 is promised. The sums run in another order: measured 2.2e-14 of the peak.
    assert_allclose(found, expected[:n], rtol=0, atol=2e-13 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize(("order", "alpha"), [(1, 0.42), (2, 0.42), (24, 0.0), (59, 0.55)])
def test_it_is_pysptks_of_other_orders(order: int, alpha: float) -> None:
    from pysptk.synthesis import MLSADF, Synthesizer

    mcep = melcepstra(order, alpha, n=8000)
    expected = Synthesizer(MLSADF(order=order, alpha=alpha, pd=5), HOP).synthesis(NOISE[:8000], mc2b(mcep, alpha))
    found = whole(NOISE[:8000], mcep, alpha=alpha, pade=5)
    assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("pade", "decibels"), [(4, 0.24), (5, 0.20)])
def test_the_impulse_response_has_the_spectrum_of_the_mel_cepstrum(pade: int, decibels: float) -> None:
    # Pade's coefficients are published as good to 0.24 dB up to |F| = 4.5, order 4, and 0.20 dB up to 6, order 5.
    z = np.exp(2j * np.pi * np.arange(2049) / 4096)
    powers = ((1 / z - 0.42) / (1 - 0.42 / z)) ** np.arange(25)[:, None]
    for c in melcepstra()[100:700:50]:
        response = whole(np.eye(1, 4096)[0], np.tile(c, (52, 1)), pade=pade)
        error = 20 * np.log10(np.abs(np.fft.rfft(response))) - 20 / np.log(10) * (c @ powers).real
        assert np.abs(error).max() < 2 * decibels  # two approximations in a row


def test_sections_share_an_exponent_that_is_too_large_for_one() -> None:
    c = np.zeros((52, 25))
    c[:, 1:5] = [8.0, 5.0, -2.0, 1.0]  # from -9 to 12 nepers, 183 dB; the two exponents reach 7.8 and 6.5
    z = np.exp(2j * np.pi * np.arange(2049) / 4096)
    expected = 20 / np.log(10) * (c[0] @ ((1 / z - 0.42) / (1 - 0.42 / z)) ** np.arange(25)[:, None]).real

    def error(sections: int) -> float:
        response = whole(np.eye(1, 4096)[0], c, pade=5, sections=sections)
        return float(np.abs(20 * np.log10(np.abs(np.fft.rfft(response))) - expected).max())

    assert error(1) > 10
    for dtype, way_out in ((np.float64, "more sections"), (np.float32, "Pade's order 5 in 1 section")):
        with pytest.raises(ValueError, match=f"the filter is unstable: .*{way_out}"):
            whole(np.resize(NOISE, 100_000).astype(dtype), np.tile(c, (25, 1)), pade=5)
    assert error(4) < 0.05  # eight approximations in a row, of exponents below 2: measured 0.013 dB
    gentle = 0.5 * melcepstra(n=8000)  # exponents below 2.1
    one, four = (whole(NOISE[:8000], gentle, sections=sections) for sections in (1, 4))
    assert_allclose(four, one, rtol=0, atol=0.02 * np.abs(one).max())  # the same filter: measured 0.94 %


def test_coefficients_and_log_gain_run_on_a_line_from_frame_to_frame() -> None:
    gains = np.array([1.0, 2.0, 4.0, 3.0])[:, None]
    found = np.log(whole(np.ones(14), gains, 4))
    # The first row stands still; row k is reached at the end of span k; the last span is a partial one.
    assert_allclose(found, [1, 1, 1, 1, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 3.75], rtol=1e-15)
    found = np.log(whole(np.ones(10), gains, Fraction(5, 2)))
    assert_allclose(found, [1, 1, 1, 1.2, 1.6, 2, 2.8, 3.6, 3.8, 3.4], rtol=1e-15)  # at 0, 0.4, 0.8 ... frames


def test_an_order_of_1_without_warping_is_an_exponential_of_one_delay() -> None:
    found = whole(np.eye(1, 6)[0], np.array([[0.0, 0.5]]), 6, alpha=0.0)
    expected = 0.5 ** np.arange(6) / [1, 1, 2, 6, 24, 120]  # exp(0.5 z^-1)
    assert_allclose(found, expected, rtol=0, atol=2e-4)  # what Pade's modified coefficients leave: p_1 is 0.49993


def test_a_cut_anywhere_between_frames_changes_nothing() -> None:
    mcep = melcepstra(n=8000)
    heard = MlsaState(initial_state(24))
    parts = [
        mlsa(NOISE[k * HOP : (k + n) * HOP], mcep[k : k + n], Fraction(1, HOP), 0.42, 4, heard)
        for k, n in ((0, 1), (1, 7), (8, 2), (10, 90))
    ]
    assert_array_equal(np.concatenate(parts), whole(NOISE[:8000], mcep))


def test_a_new_frame_does_not_step_the_signal() -> None:
    loud, soft = np.zeros((50, 25)), np.zeros((50, 25))
    loud[:, :3] = [3, 1, -0.5]
    y = whole(np.ones(8000), np.concatenate((loud, soft)))
    # A direct current of 1 comes out as |H(0)|; from loud to soft it glides over one hop of 80 samples.
    steps = np.abs(np.diff(np.log(np.abs(y[3500:]))))
    assert steps.max() < 1.5 * 3.5 / HOP


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_the_coefficients_are_pysptks_bit_for_bit() -> None:
    import pysptk

    c = melcepstra(n=8000)
    assert_array_equal(mc2b(c, 0.42), [pysptk.mc2b(row, 0.42) for row in c])


def test_a_float32_signal_is_filtered_in_float64_and_rounded_once() -> None:
    x, mcep = NOISE[:8000].astype(np.float32), melcepstra(n=8000).astype(np.float32)
    found = whole(x, mcep)
    assert found.dtype == np.float32
    assert_array_equal(found, whole(x.astype(np.float64), mcep.astype(np.float64)).astype(np.float32))


def test_silence_comes_out_of_silence() -> None:
    assert_array_equal(whole(np.zeros(8000), melcepstra(n=8000)), np.zeros(8000))


def test_what_it_cannot_filter_is_refused() -> None:
    with pytest.raises(ParameterError, match="mlsa takes one channel; found .*: put a mono 'mix' before it"):
        Mlsa().streams(Audio(16000, channels=2), Frames(200, "mcep", 25))
    with pytest.raises(ParameterError, match=r"mlsa\.pade is 3; it must be 4 or 5"):
        Mlsa(pade=3)
    with pytest.raises(ParameterError, match=r"mlsa\.alpha is 1"):
        Mlsa(alpha=1)


def test_the_audio_keeps_its_rate_and_length() -> None:
    graph = Graph(
        {"mlsa": Mlsa()},
        {"mlsa.x": "x", "mlsa.mcep": "c"},
        {"x": Audio(16000), "c": Frames(200, "mcep", 25)},
        {"y": "mlsa"},
    )
    found = graph(x=NOISE[:1000], c=melcepstra(n=1000))["y"]
    assert_array_equal(found, whole(NOISE[:1000], melcepstra(n=1000)))
