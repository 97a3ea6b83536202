import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.signal import get_window

from dspgraph import Array, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.freqt import freqt, mel_cosines
from dspgraph_nodes.envelope.mcep import Mcep, mcep
from helpers.speech import speech

SILENCE = np.log(1e-16) / 2  # c[0] of nothing but the floor


def framed(length: int = 512, hop: int = 80, window: str = "blackman") -> Array:
    """Return windowed frames [n, length] of the recording, `hop` samples apart; the squares of the window sum to 1."""
    w = get_window(window, length)
    return sliding_window_view(speech(), length)[::hop] * (w / np.linalg.norm(w))


def distortion(a: Array, b: Array, n_fft: int, alpha: float) -> Array:
    """Return for each row the RMS difference between the log spectra of two mel-cepstra, [n], in dB.

    The mean is over the bins 0 to n_fft / 2. a, b: [n, order + 1], the mel-cepstra.
    """
    found: Array = 20 / np.log(10) * np.sqrt((((a - b) @ mel_cosines(n_fft, a.shape[1] - 1, alpha)) ** 2).mean(axis=1))
    return found


HARD = framed(75, 160, "hann")[:70]  # an odd length; and in it a silent stretch, a click and a whistle
HARD[20:30] = 0
HARD[30] = np.eye(75)[40]
HARD[31] = np.sin(0.3 * np.arange(75))

EXAMPLES = [
    Example(Mcep(), frames=(Frames(rate=200, kind="wave", width=512), framed()[200:280])),
    Example(Mcep(order=20, alpha=0.3, tolerance=1e-6, floor=1e-9), frames=(Frames(100, "wave", 75), HARD)),
]


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize(
    ("length", "hop", "order", "alpha"), [(512, 80, 24, 0.42), (1024, 160, 20, 0.41), (512, 160, 39, 0.0)]
)
def test_it_is_pysptks_on_every_frame_of_speech(length: int, hop: int, order: int, alpha: float) -> None:
    import pysptk

    frames = framed(length, hop)
    expected = np.array([pysptk.mcep(x, order, alpha) for x in frames])
    # 1e-3 dB is promised. The steps and where they stop are the same. What is left is the floor of 1e-16, which pysptk
    # has not, beside the softest bins of this clip: measured 2e-7 dB.
    assert distortion(mcep(frames, order, alpha), expected, length, alpha).max() < 1e-6
    alike = mcep(frames, order, alpha, floor=1e-30)
    assert distortion(alike, expected, length, alpha).max() < 1e-10  # roundings: measured 5e-12


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_a_small_tolerance_finds_the_minimum_that_pysptk_finds_with_one() -> None:
    import pysptk

    frames = framed()[::4]
    expected = np.array([pysptk.mcep(x, 24, 0.42, threshold=1e-9, maxiter=100) for x in frames])
    # Measured 1.5e-8, the floor; 1.2e-3 dB is what the default tolerance leaves of the way on the worst frame.
    assert distortion(mcep(frames, 24, 0.42, tolerance=1e-9), expected, 512, 0.42).max() < 1e-7
    assert 1e-6 < distortion(mcep(frames, 24, 0.42), expected, 512, 0.42).max() < 1.3e-3


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
@pytest.mark.parametrize("relative_floor", [1e-6, 1e-2])
def test_the_relative_floor_is_that_of_sptk(relative_floor: float) -> None:
    import pysptk

    frames = np.concatenate((framed()[::8], hard()[:6]))
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-16
    power = np.maximum(power, relative_floor * power.max(axis=1, keepdims=True))
    # pysptk is given the floored periodogram (itype 4): its own floor in dB (etype 2) refuses numbers below 0.
    expected = np.array([pysptk.mcep(row, 24, 0.42, itype=4) for row in power])
    found = mcep(frames, 24, 0.42, relative_floor=relative_floor)
    assert distortion(found, expected, 512, 0.42).max() < 1e-6  # roundings; measured 1e-9


def test_the_range_of_an_envelope_is_limited() -> None:
    n, draw = np.arange(512), np.random.default_rng(0)
    tones = [np.sin(w * n) for w in (0.0002, 0.1, 0.4, 1.0, 2.5)]
    low = np.fft.irfft(np.where(np.arange(257) < 128, np.fft.rfft(draw.standard_normal(512)), 0))  # an empty band
    window = get_window("blackman", 512)
    for x in [*tones, low, np.ones(512)]:
        frames = ((x + 1e-8 * draw.standard_normal(512)) * window / np.linalg.norm(window))[None]  # 24 bits
        (found,) = Example(Mcep(), frames=(Frames(rate=200, kind="wave", width=512), frames)).render()["mcep"]
        log_power = 20 / np.log(10) * found @ mel_cosines(512, 24, 0.42)
        # 80 dB, and what 24 cosines overshoot: measured 72 to 85 dB. Without the relative floor 138 to 196 dB, which is
        # beyond the range of the MLSA filter.
        assert np.ptp(log_power) < 90


def test_it_minimises_the_criterion_of_the_paper() -> None:
    frames = framed()[[100, 300, 500]]
    basis = mel_cosines(512, 12, 0.42)
    basis = np.concatenate((basis, basis[:, -2:0:-1]), axis=1)  # over all 512 bins
    for frame, found in zip(frames, mcep(frames, 12, 0.42, tolerance=1e-12), strict=True):
        log_power = np.log(np.abs(np.fft.fft(frame)) ** 2 + 1e-16)

        def criterion(c: Array, log_power: Array = log_power) -> tuple[float, Array]:
            log_ratio = log_power - 2 * c @ basis
            ratio = np.exp(log_ratio)
            return float((ratio - log_ratio).mean()), 2 * basis @ (1 - ratio) / 512

        best = minimize(criterion, found + 0.05 * np.cos(np.arange(13)), jac=True, tol=1e-12)
        assert criterion(found)[0] <= best.fun + 1e-12
        assert np.abs(criterion(found)[1]).max() < 1e-9  # the gradient, of terms of size 1: rounding
        assert_allclose(found, best.x, rtol=0, atol=1e-5)  # where scipy stops: measured 3e-7


def test_a_frame_has_the_same_bits_in_any_batch() -> None:
    frames = framed()[:300]  # several tiles, and rows that are done early and late
    rows = mcep(frames, 24, 0.42)
    assert_array_equal(np.concatenate([mcep(x[None], 24, 0.42) for x in frames]), rows)
    assert_array_equal(mcep(frames[1::3], 24, 0.42), rows[1::3])
    assert_array_equal(mcep(frames[::-1], 24, 0.42), rows[::-1])


def test_a_minimum_phase_response_is_its_own_mel_cepstrum() -> None:
    c = np.array([[-1.0, 1.2, -0.5, 0.3, 0.2, -0.1]])
    plain = np.zeros(2048)
    plain[:1025] = freqt(c, 1024, -0.42)[0]
    response = np.fft.ifft(np.exp(np.fft.fft(plain))).real  # h of exp(sum c z~^-m), aliased below 1e-16
    found = mcep(response[None], 12, 0.42, tolerance=1e-12)
    # The model fits the spectrum exactly. The floor of 1e-16 shifts it least where |H|**2 is least, 3e-3: 3e-14.
    assert_allclose(found, np.pad(c, ((0, 0), (0, 7))), rtol=0, atol=1e-12)


def test_the_model_has_the_power_of_the_frame() -> None:
    frames = framed()[::8]
    found = mcep(frames, 24, 0.42, tolerance=1e-9)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    whitened = power * np.exp(-2 * found @ mel_cosines(512, 24, 0.42))
    mean = (2 * whitened.sum(axis=1) - whitened[:, 0] - whitened[:, -1]) / 512
    # Where the gradient is 0, the mean of I / |H|**2 is 1; the floor of 1e-16 is 1e-6 of the softest bins.
    assert_allclose(mean, 1, rtol=0, atol=1e-6)


def test_a_louder_frame_has_a_larger_first_coefficient_and_nothing_else() -> None:
    frames = framed()[::16]
    loud = mcep(8 * frames, 24, 0.42, floor=64e-16) - mcep(frames, 24, 0.42)
    assert_allclose(loud[:, 0], np.log(8), rtol=0, atol=1e-12)
    assert_allclose(loud[:, 1:], 0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_is_the_floor(dtype: type) -> None:
    silent = mcep(np.zeros((2, 512), dtype), 24, 0.42)
    assert silent.dtype == dtype
    assert_allclose(silent, [[SILENCE, *[0] * 24]] * 2, rtol=1e-6, atol=1e-14)
    below = mcep(np.full((1, 512), 1e-30), 24, 0.42)  # 512 of them: a power of 2.6e-55 in bin 0
    assert_allclose(below, silent[:1], rtol=1e-6, atol=1e-14)


def gradient(frames: Array, found: Array, alpha: float) -> float:
    """Return half the largest magnitude of a derivative of the criterion that `mcep` minimises.

    The maximum is over all frames and coefficients; at the minimum of the criterion it is 0. frames: [n, n_fft], n_fft
    even; found: the mel-cepstra of the frames, [n, order + 1], at which the derivatives are taken. The floor is 1e-16.
    """
    n_fft, order = frames.shape[1], found.shape[1] - 1
    cosines = mel_cosines(n_fft, order, alpha)
    weights = np.r_[1, np.full(n_fft // 2 - 1, 2), 1] / n_fft
    log_power = np.log(np.abs(np.fft.rfft(frames.astype(float), axis=1)) ** 2 + 1e-16)
    r = (np.exp(log_power - 2 * found @ cosines) * weights) @ cosines.T
    return float(np.abs(r - (-alpha) ** np.arange(order + 1)).max())


def hard() -> Array:
    """Return 20 difficult frames of 512 samples, some soft, some very loud.

    They are whistles, clicks (frames 2 and 3), an offset, a window, a decay, a very loud window, and bands of noise.
    """
    n, window, draw = np.arange(512), get_window("blackman", 512), np.random.default_rng(0)
    frames = [np.sin(0.3 * n), window * np.sin(2.0 * n), n == 0, n == 511, np.ones(512), window, 0.5**n, 1e15 * window]
    for _ in range(12):
        low, high = np.sort(draw.integers(0, 257, 2))
        band = np.zeros(257, complex)
        band[low : high + 1] = draw.standard_normal(high - low + 1) + 1j * draw.standard_normal(high - low + 1)
        frames.append(np.fft.irfft(band) * 10 ** draw.uniform(-3, 3))
    return np.array(frames, np.float64)


@pytest.mark.parametrize(("order", "alpha"), [(0, 0.42), (1, 0.42), (24, 0.42), (33, 0.77), (60, 0.0), (12, -0.5)])
def test_the_minimum_is_found_where_almost_every_bin_is_empty(order: int, alpha: float) -> None:
    frames = hard()
    # Up to 50 nepers between one bin and the next: 100 trials give the minimum, where the slope of terms of size 1 is
    # rounding, measured 1e-14; 30 give a level within 5 dB, r[0] < 3, measured 2.5.
    assert gradient(frames, mcep(frames, order, alpha, 1e-9, 100), alpha) < 1e-12
    assert gradient(frames, mcep(frames, order, alpha), alpha) < 2
    for given in (frames, frames.astype(np.float32)):
        assert np.abs(mcep(given, order, alpha)).max() < 100


def test_no_trial_makes_it_worse() -> None:
    frames, weights = hard(), np.r_[1, np.full(255, 2), 1] / 512

    def criterion(c: Array) -> Array:
        log_ratio = np.log(np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-16) - 2 * c @ mel_cosines(512, 24, 0.42)
        found: Array = (np.exp(log_ratio) - log_ratio) @ weights
        return found

    steps = np.array([criterion(mcep(frames, 24, 0.42, 1e-12, k)) for k in range(1, 60)])
    assert (np.diff(steps, axis=0) <= 1e-9 * np.abs(steps[:-1])).all()


def test_an_impulse_is_flat_wherever_it_is() -> None:
    assert_allclose(mcep(hard()[2:4], 24, 0.42), 0, rtol=0, atol=1e-13)


def test_float32_frames_are_analysed_as_exactly_as_they_were_given() -> None:
    frames = framed()[::8].astype(np.float32)
    assert_array_equal(mcep(frames, 24, 0.42), mcep(frames.astype(np.float64), 24, 0.42).astype(np.float32))


def test_a_frame_that_is_no_number_is_refused() -> None:
    frames = framed()[:3]
    for bad in (np.nan, np.inf, 1e200):
        frames[1, 7] = bad
        with pytest.raises(ValueError, match="frame 1 has others"):
            mcep(frames, 24, 0.42)


def test_an_order_beyond_the_frame_is_refused() -> None:
    # 2 * 24 samples where nothing is warped, (1 + 0.42) / (1 - 0.42) times as many where 0.42 is: 117.5.
    with pytest.raises(ParameterError, match=r"mcep\.order is 24; frames of 117 samples .* at most 23 with alpha 0.42"):
        Mcep().streams(Frames(rate=100, kind="wave", width=117))
    Mcep().streams(Frames(rate=100, kind="wave", width=118))
    with pytest.raises(ParameterError, match=r"at most 23 with alpha -0.42: lower"):
        Mcep(alpha=-0.42).streams(Frames(rate=100, kind="wave", width=117))
    with pytest.raises(ParameterError, match=r"at most 23 with alpha 0: lower"):
        Mcep(alpha=0).streams(Frames(rate=100, kind="wave", width=47))
    with pytest.raises(ValueError, match="frames of 20 samples determine an order of at most 4 .*; found 24"):
        mcep(np.ones((1, 20)), 24, 0.42)
    for parameters in ({"alpha": 1.0}, {"floor": 0.0}, {"tolerance": 0.0}, {"order": -1}):
        with pytest.raises(ParameterError, match=r"mcep\.\w+ is .*; it must be"):
            Mcep(**parameters)


def test_rate_and_centre_are_kept() -> None:
    frames = Frames(rate=200, kind="wave", width=512, centre="1/200", dtype=np.float32)
    assert Mcep(order=30).streams(frames) == (frames.like(kind="mcep", width=31),)
