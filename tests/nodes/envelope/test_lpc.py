import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import irfft, rfft
from scipy.linalg import solve_toeplitz
from scipy.signal import get_window, lfilter, lfiltic

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.levinson import autocorrelation, levinson
from dspgraph_nodes.envelope.lpc import Lpc, lpc
from helpers.speech import speech


def framed(window: str = "blackman", length: int = 512, hop: int = 80) -> Array:
    """Return windowed frames [n, length] of the recording, `hop` samples apart; the squares of the window sum to 1."""
    w = get_window(window, length)
    return sliding_window_view(speech(), length)[::hop] * (w / np.linalg.norm(w))


EXAMPLES = [
    Example(Lpc(order=16), frames=(Frames(rate=200, kind="wave", width=512), framed()[:333])),
    Example(
        Lpc(order=25, bandwidth=60.0, white_noise=0.0), frames=(Frames(rate=200, kind="wave", width=512), framed()[:99])
    ),
    Example(Lpc(order=40), frames=(Frames(rate=1000, kind="wave", width=41), framed("boxcar", 41, 16)[:3333])),
]


@pytest.mark.parametrize("order", [1, 16, 25, 40, 64])
def test_the_autocorrelation_is_numpys(order: int) -> None:
    frames = framed()
    expected = [np.correlate(x, x, "full")[511 : 512 + order] for x in frames]
    r = autocorrelation(frames, order)
    # Two orders of a sum of 512 products, each rounded to 1.1e-16, differ by at most 512 * 2.2e-16 of the energy.
    assert (np.abs(r - expected) <= 1.2e-13 * r[:, :1]).all()


@pytest.mark.parametrize(("window", "order"), [("blackman", 25), ("hann", 16), ("hamming", 12), ("boxcar", 64)])
def test_it_solves_the_normal_equations_on_every_frame_of_speech(window: str, order: int) -> None:
    frames = framed(window)
    r = autocorrelation(frames, order)
    rows = lpc(frames, order)
    expected = np.array([solve_toeplitz(lags[:-1], -lags[1:]) for lags in r])
    gain = np.sqrt(r[:, 0] + np.sum(expected * r[:, 1:], axis=1))
    size = np.abs(expected).max(axis=1, keepdims=True)
    # The systems' condition numbers reach 3e7 (blackman, order 25): two backward stable solvers may part by 1e-8 at
    # worst; measured 1e-10 (coefficients) and 2e-11 (gain).
    assert_allclose(rows[:, 1:] / size, expected / size, rtol=0, atol=1e-9)
    assert_allclose(rows[:, 0], gain, rtol=1e-9)


@pytest.mark.parametrize(("length", "order"), [(320, 16), (512, 25)])
def test_it_solves_the_equations_of_an_autocorrelation_taken_elsewhere(length: int, order: int) -> None:
    # The sums in extended precision and scipy's solver: nothing of ours. With float64 sums in one run the coefficients
    # would be off by 6e-9 (condition numbers reach 3e7); in runs of 24 they are within 9e-10, measured.
    frames = framed("hann", length, 160)
    rows = lpc(frames, order)
    wide = frames.astype(np.longdouble)
    lags = np.array([(wide[:, : length - j] * wide[:, j:]).sum(axis=1) for j in range(order + 1)], float).T
    expected = np.array([solve_toeplitz(r[:-1], -r[1:]) for r in lags])
    assert_allclose(rows[:, 1:], expected, rtol=0, atol=1e-9)
    assert_allclose(rows[:, 0], np.sqrt(lags[:, 0] + (expected * lags[:, 1:]).sum(axis=1)), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_it_is_pysptks_on_every_frame_of_speech() -> None:
    import pysptk

    frames = framed()
    expected = np.array([pysptk.lpc(x, 25, min_det=0.0, use_scipy=False) for x in frames])
    # The same recursion on sums in another order: 3e7, the condition, roundings of them.
    assert_allclose(lpc(frames, 25), expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_a_frame_has_the_same_bits_in_any_batch() -> None:
    frames = framed()
    rows = lpc(frames, 25)
    assert_array_equal(np.concatenate([lpc(x[None], 25) for x in frames]), rows)
    assert_array_equal(lpc(frames[1::3].copy(), 25), rows[1::3])


def test_the_gain_is_the_rms_of_the_residual() -> None:
    frames = framed()
    for x, row in zip(frames, lpc(frames, 25), strict=True):
        residual = lfilter([1.0, *row[1:]], [1.0], np.pad(x, (0, 25)))  # with its tail: the autocorrelation method
        assert_allclose(np.sqrt(np.sum(residual**2)), row[0], rtol=1e-8)  # condition 3e7; measured 2e-10


def test_a_silent_frame_has_gain_0_and_predictor_0() -> None:
    for silent in (np.zeros(512), np.full(512, 1e-160), np.full(512, 5e-324)):  # squares below finfo.tiny
        assert_array_equal(lpc(silent[None], 16), np.zeros((1, 17)))
    assert_array_equal(lpc(np.full((1, 512), 1e-45, np.float32), 16), np.zeros((1, 17), np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictable_frames_are_finite_and_stable(dtype: type) -> None:
    n = np.arange(512)
    window = get_window("hann", 512)
    predictable = np.array(
        [
            np.sin(0.3 * n),
            window * np.sin(0.3 * n),
            window * np.cos(np.pi * n),
            n == 0,
            n == 511,
            np.ones(512),
            window,
            window * 1e-15,
            0.999**n,
        ]
    )
    for order in (1, 16, 64):
        rows = lpc(predictable.astype(dtype), order)
        assert np.isfinite(rows).all()
        assert (rows[:, 0] >= 0).all()
        # The predictor of the autocorrelation method is minimum phase. Roots of order 64 are too ill-conditioned to
        # show it; the reflection coefficients are asked.
        for row in lpc(predictable, order):
            assert (np.abs(reflections(row[1:])) <= 1 + 1e-9).all()


def reflections(a: Array) -> list[float]:
    """Return the reflection coefficients of the predictor a[1..order], the last one first, by the step-down recursion.

    The filter is stable if all magnitudes are below 1 - 1e-9. The list ends with the first coefficient k whose
    magnitude is 1 - 1e-9 or more, because the recursion divides by 1 - k**2.
    """
    found = []
    while len(a):
        k = a[-1]
        found.append(float(k))
        if abs(k) >= 1 - 1e-9:
            break
        a = (a[:-1] - k * a[-2::-1]) / (1 - k * k)
    return found


def test_an_impulse_and_a_decay_have_the_predictors_of_the_textbook() -> None:
    impulse = np.eye(1, 512, 7)
    assert_array_equal(lpc(impulse, 3), [[1, 0, 0, 0]])
    decay = 0.9 ** np.arange(512)[None]  # 1 / (1 - 0.9 z^-1), cut where 0.9**512 = 4e-24 is rounding
    assert_allclose(lpc(decay, 3), [[1, -0.9, 0, 0]], rtol=0, atol=1e-13)  # sums of 512 roundings of 1.1e-16


def test_a_sinusoid_is_predicted_by_two_coefficients_and_nothing_more() -> None:
    w = np.linspace(0.05, 3.1, 20)[:, None]
    rows = levinson(np.cos(w * np.arange(33)), 0.0)
    # x[n] = 2 cos(w) x[n-1] - x[n-2]; the reflection of 1 may be eps short, and sqrt(2 eps) of gain is then left.
    assert_allclose(rows[:, 1:3], np.c_[-2 * np.cos(w), np.ones(20)], rtol=0, atol=1e-14)
    assert (rows[:, 0] <= 3e-8).all()
    assert_array_equal(rows[:, 3:], 0)


def test_float32_frames_are_solved_as_exactly_as_they_were_given() -> None:
    frames = framed().astype(np.float32)
    assert_array_equal(lpc(frames, 25), lpc(frames.astype(np.float64), 25).astype(np.float32))


def test_the_rows_of_levinson_know_silence_by_the_given_bound() -> None:
    r = np.array([[1.0, 0.5], [1e-3, 0.5e-3]])
    assert_allclose(levinson(r, 1e-3), [[np.sqrt(0.75), -0.5], [0, 0]], rtol=1e-15)


def test_the_corrections_are_those_of_the_standard() -> None:
    frames, w = framed("hann")[::16], 2 * np.pi * 60 / 12800 * np.arange(17)
    r = autocorrelation(frames, 16) * np.where(w == 0, 1.0001, np.exp(-(w**2) / 2))  # TS 26.190, equation 8
    expected = np.array([solve_toeplitz(lags[:-1], -lags[1:]) for lags in r])
    rows = lpc(frames, 16, 1e-4, 60.0, 12800)
    assert_allclose(rows[:, 1:], expected, rtol=0, atol=1e-10)
    assert_allclose(rows[:, 0], np.sqrt(r[:, 0] + (expected * r[:, 1:]).sum(axis=1)), rtol=1e-10)
    assert_array_equal(lpc(frames, 16), lpc(frames, 16, 0.0, 0.0))


def adversarial() -> dict[str, Array]:
    """Return difficult signals, name -> [8000], with samples of 24 bits.

    Their spectra are empty in all but a few lines or a band, except for rounding errors.
    """
    n, x = np.arange(8000), speech()[8000:16000]
    low = irfft(np.where(np.arange(4001) < 2000, rfft(x), 0), 8000)  # recorded at 8 kHz
    signals = {
        "1000 Hz": 0.45 * np.sin(2 * np.pi / 16 * n),
        "two tones": 0.2 * np.sin(0.274 * n) + 0.2 * np.sin(0.475 * n),
        "an empty band": low,
        "almost all empty": irfft(np.where(np.arange(4001) < 400, rfft(x), 0), 8000),
        "the highest frequency": 0.4 * np.cos(np.pi * n),
    }
    return {name: np.round(signal * 2**23) / 2**23 for name, signal in signals.items()}


@pytest.mark.parametrize("order", [16, 32])
@pytest.mark.parametrize("name", adversarial())
def test_noise_through_the_filters_of_a_difficult_signal_is_as_loud_as_the_signal(name: str, order: int) -> None:
    x = adversarial()[name]
    window = get_window("hann", 320)
    frames = sliding_window_view(np.pad(x, (80, 240)), 320)[: len(x) : 160] * (window / np.linalg.norm(window))
    example = Example(Lpc(order=order, bandwidth=100.0), frames=(Frames(rate=100, kind="wave", width=320), frames))
    noise, past, y = np.random.default_rng(0).standard_normal((len(frames), 160)), np.zeros(order), []
    for (gain, *a), source in zip(example.render()["lpc"], noise, strict=True):
        out, _ = lfilter([gain], [1, *a], source, zi=lfiltic([gain], [1, *a], past[::-1]))
        y.append(out)
        past = np.concatenate((past, out))[-order:]
    out = np.concatenate(y)
    # Measured within 1.0 dB, and peaks up to 5 times as high, since noise in a narrow band comes and goes. Without the
    # white noise: levels 12 to 50 dB too high, and peaks 20 to 2700 times as high.
    assert abs(10 * np.log10((out**2).mean() / (x**2).mean())) < 2
    assert np.abs(out).max() < 6 * np.abs(x).max()


def test_an_order_of_the_frame_length_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"lpc\.order is 16; frames of 16 samples .* at most 15"):
        Lpc(order=16).streams(Frames(rate=100, kind="wave", width=16))


def test_rate_and_centre_are_kept() -> None:
    frames = Frames(rate=Audio(16000).rate / 160, kind="wave", width=320, centre="1/200", dtype=np.float32)
    assert Lpc(order=16).streams(frames) == (frames.like(kind="lpc", width=17),)
