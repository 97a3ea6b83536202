"""LPCNet's training data: noise in the prediction loop, chunks, and augmented copies."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.signal import lfilter, lfiltic, welch

from dspgraph import Array
from dspgraph_nodes._kernels.neural.lpcnet_codes import decode, encode
from dspgraph_nodes._kernels.neural.lpcnet_noise import Excitation, closed_loop, inputs, open_loop
from dspgraph_nodes.models.lpcnet import data as lpcnet_data
from dspgraph_nodes.models.lpcnet.config import HOP
from dspgraph_nodes.models.lpcnet.data import Chunks
from dspgraph_nodes.models.shared.data import BatchOrder, augmented, rng
from helpers.speech import speech
from helpers.utterances import clip, features


def gaussian(deviation: float, seed: int = 0) -> Array:
    return np.round(np.random.default_rng(seed).normal(0, deviation, len(clip().signal))).astype(np.int64)


def zero() -> Array:
    return np.zeros(len(clip().signal), np.int64)


def predicted(noisy: Array, lpc: Array) -> Array:
    """Return the prediction -sum_k a[k] * s[n-k], [n], of every sample of `noisy` [n]; before it there are zeros.

    lpc: [frames, order], the coefficients a[1] .. a[order] of each frame of HOP samples; n = frames * HOP.
    """
    order, past = lpc.shape[1], np.concatenate((np.zeros(lpc.shape[1]), noisy))
    rows = np.repeat(lpc, HOP, axis=0).astype(np.float64)
    return -sum(
        (rows[:, k - 1] * past[order - k : order - k + len(noisy)] for k in range(1, order + 1)), np.zeros(len(noisy))
    )


# ---- codes and noise ------------------------------------------------------------------------------------------------


def test_every_code_survives_decoding() -> None:
    assert_array_equal(encode(decode(np.arange(256))), np.arange(256))


@pytest.mark.parametrize("deviation", [0, 1, 5])
def test_in_the_closed_loop_the_inputs_are_what_synthesis_would_give(deviation: float) -> None:
    noise = gaussian(deviation)
    found = closed_loop(clip().signal, clip().lpc, noise)
    assert_array_equal(found.noisy, found.prediction + decode(found.given))  # exactly: it is made this way
    assert_array_equal(found.target, encode(clip().signal - found.prediction))
    assert_array_equal(found.given, np.clip(found.target + noise, 0, 255))
    # The sums run in the same order here and there, but one of them may be made with fused multiply-adds.
    np.testing.assert_allclose(found.prediction, predicted(found.noisy, clip().lpc), rtol=0, atol=1e-8)


def test_every_frame_has_equally_many_samples() -> None:
    with pytest.raises(ValueError, match="the signal has 321 samples, for 2 frames"):
        closed_loop(np.zeros(321), np.zeros((2, 16)), np.zeros(321, np.int64))


def test_in_the_open_loop_the_noise_is_on_the_signal_and_the_excitation_makes_up_for_it() -> None:
    noise = gaussian(1)
    found = open_loop(clip().signal, clip().lpc, noise)
    assert_array_equal(encode(found.noisy), np.clip(encode(clip().signal) + noise, 0, 255))
    assert_array_equal(found.target, encode(clip().signal - found.prediction))
    assert_array_equal(found.given, found.target)
    np.testing.assert_allclose(found.prediction, predicted(found.noisy, clip().lpc), rtol=0, atol=1e-8)


@pytest.mark.parametrize("form", [closed_loop, open_loop])
def test_the_inputs_are_the_sample_before_and_the_prediction_of_this_one(form: Callable[..., Excitation]) -> None:
    found = form(clip().signal, clip().lpc, gaussian(1))
    codes = inputs(found)
    assert_array_equal(codes[0, [0, 2]], 128)  # silence before the signal
    assert_array_equal(codes[1:, 0], encode(found.noisy[:-1]))
    assert_array_equal(codes[:, 1], encode(found.prediction))
    assert_array_equal(codes[1:, 2], found.given[:-1])


def snr(found: Array) -> float:
    signal = clip().signal.astype(np.float64)
    return float(10 * np.log10((signal**2).sum() / ((found - signal) ** 2).sum()))


def flatness(x: Array) -> float:
    """Return the mean spectral flatness of quarters of a second of x, at 16 kHz.

    The spectrum of a long signal could be flat on average although it changes. x: [k * 4000], a whole number of
    quarters.
    """
    density = welch(x.reshape(-1, 4000), nperseg=256, axis=1)[1]
    return float((np.exp(np.log(density).mean(axis=1)) / density.mean(axis=1)).mean())


def filtered(excitation: Array, lpc: Array) -> Array:
    """Filter an excitation [n] by 1 / A, whose coefficients change with every frame; return the samples [n].

    lpc: [frames, order], the coefficients of A without the first one, 1; the order is at most 16.
    """
    out = np.zeros(16)
    for row, frame in zip(lpc.astype(np.float64), excitation.reshape(-1, HOP), strict=True):
        a = np.concatenate(([1.0], row))
        out = np.concatenate((out, lfilter([1], a, frame, zi=lfiltic([1], a, out[:-17:-1]))[0]))
    return out[16:]


@pytest.mark.parametrize("deviation", [1, 2])
def test_the_right_target_leaves_the_error_white_and_small(deviation: float) -> None:
    """In place of a network that makes errors, noise is added to the targets.

    If the targets come from the loop that contains the noise, the error of the signal is white, and at least 8 dB lower
    than if they come from the clean signal. In that second case, the error has a spectrum like that of speech.
    deviation: the standard deviation of the noise, in levels.
    """
    noise = gaussian(deviation)
    right = closed_loop(clip().signal, clip().lpc, noise).noisy
    clean = encode(clip().signal - predicted(clip().signal, clip().lpc))
    wrong = filtered(decode(np.clip(clean + noise, 0, 255)), clip().lpc)
    assert snr(right) - snr(wrong) >= 8  # dB; measured 9.1 (33.9 - 24.8) and 8.7 (28.0 - 19.3)
    assert flatness(right - clip().signal) >= 0.85  # measured 0.955
    assert flatness(wrong - clip().signal) <= 0.5  # the shape of speech; measured 0.32


def test_the_predictor_gains_on_speech_with_its_sign_and_loses_with_the_other() -> None:
    signal, prediction = clip().signal, predicted(clip().signal, clip().lpc)
    energy = (signal.astype(np.float64) ** 2).sum()
    assert 10 * np.log10(energy / ((signal - prediction) ** 2).sum()) >= 6  # measured 9.4 dB
    assert 10 * np.log10(energy / ((signal + prediction) ** 2).sum()) < 0  # measured -5.5 dB


@pytest.mark.parametrize("deviation", [2.0, 4.0])
def test_the_noise_has_the_deviation_asked_for(deviation: float) -> None:
    drawn_noise = lpcnet_data.rounded_laplace(deviation, 400_000, rng(1))
    # Rounding to whole levels adds 1/12; of Laplace's distribution with kurtosis 6 the estimate is good to 0.2 %.
    assert abs(drawn_noise.std() / np.sqrt(deviation**2 + 1 / 12) - 1) < 0.01
    assert abs(drawn_noise.std() / deviation - 1) < 0.03
    assert abs(drawn_noise.mean()) < 4 * deviation / np.sqrt(400_000)


def test_the_strengths_of_the_noise_are_those_of_the_program() -> None:
    # In the mean 2.0 levels, 95 of 100 draws below 5.1, as measured for the published formula.
    spread = np.array([lpcnet_data.noise("c", 2000, rng(2, k)).std() for k in range(1500)])
    assert abs(spread.mean() - 2.0) < 0.15
    assert abs((spread < 5.1).mean() - 0.95) < 0.02


def test_the_papers_noise_has_four_strengths_and_no_bias() -> None:
    draws = [lpcnet_data.noise("2018", 500, rng(3, k)) for k in range(2000)]
    most = np.array([np.abs(one).max() for one in draws])
    for level, share in ((0, 0.2), (3, 0.2), (2, 0.2), (1, 0.4)):
        assert abs((most == level).mean() - share) < 0.05  # four deviations of 2000 draws
    assert abs(np.concatenate(draws).mean()) < 0.01


# ---- data -----------------------------------------------------------------------------------------------------------


def test_the_samples_of_a_frame_lie_around_the_centre_of_its_window() -> None:
    x = np.zeros(3200)
    x[1600 - 80] = 0.5  # the first sample of frame 10
    one = lpcnet_data.utterance(x, features)
    assert one.frames == 20
    assert one.signal[1600] == 16384
    assert one.signal[1601] == np.float32(-0.85 * 16384)


def test_a_chunk_without_noise_is_the_whole_utterance_cut() -> None:
    whole_codes, whole_target = clip().clean
    chunks = Chunks([clip()], 15, "c", 0)
    cepstrum, pitch, correlation, codes, target = chunks[-1, 3]
    first = 2 + 3 * 15
    assert_array_equal(cepstrum.numpy(), clip().cepstrum[first - 2 : first + 17])
    assert_array_equal(pitch.numpy(), clip().pitch[first - 2 : first + 17])
    assert_array_equal(correlation.numpy(), clip().correlation[first - 2 : first + 17])
    span = slice(first * HOP, (first + 15) * HOP)
    assert_array_equal(codes.numpy(), whole_codes[span])
    assert_array_equal(target.numpy(), whole_target[span])
    whole = closed_loop(clip().signal, clip().lpc, zero())
    assert_array_equal(whole_target, whole.target)
    assert_array_equal(whole_codes, inputs(whole))


@pytest.mark.parametrize("form", ["c", "2018"])
def test_the_inputs_of_a_chunk_with_noise_are_near_those_without(form: str) -> None:
    """The codes of a chunk with noise differ by less than 8 levels, in the mean, from those of the clean signal there.

    From those of the next clean chunk they differ by more than 20. They are so near because the loop begins two frames
    before the chunk.
    """
    codes, target = Chunks([clip()], 15, form, 3)[0, 3][3:]
    assert codes.shape == (2400, 3)
    assert target.shape == (2400,)
    heard = {
        place: np.abs(Chunks([clip()], 15, "none", 3)[0, place][3].numpy() - codes.numpy()).mean() for place in (3, 4)
    }
    assert heard[3] < 8 < 20 < heard[4]


def test_without_noise_two_epochs_are_the_same_and_with_noise_no_two_are() -> None:
    chunks = Chunks([clip()], 15, "c", 0)
    assert all(torch.equal(a, b) for a, b in zip(chunks[-1, 5], chunks[-1, 5], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(chunks[4, 5], chunks[4, 5], strict=True))
    exact = Chunks([clip().part(0, 49)], 15, "c", 0)  # no frames are left over: only the noise can differ
    assert torch.equal(exact[4, 1][0], exact[5, 1][0])
    assert not torch.equal(exact[4, 1][4], exact[5, 1][4])
    assert not torch.equal(chunks[4, 5][4], Chunks([clip()], 15, "c", 1)[4, 5][4])


def test_every_chunk_comes_once_in_an_epoch_and_a_later_start_continues_the_same_order() -> None:
    order = BatchOrder(7, 3, 0)
    whole = [order[number] for number in range(14)]
    places = [pair for batch in whole for pair in batch]
    for turn in range(6):
        assert sorted(place for t, place in places if t == turn) == list(range(7))
    assert [BatchOrder(7, 3, 0)[number] for number in range(5, 14)] == whole[5:]


def test_the_share_of_chunks_without_noise_is_the_one_asked_for() -> None:
    chunks = Chunks([clip().part(0, 49)], 15, "c", 0, clean_share=0.3)
    plain = chunks[-1, 1][4]
    same_as_plain = np.mean([torch.equal(chunks[turn, 1][4], plain) for turn in range(300)])
    assert abs(same_as_plain - 0.3) < 0.1  # four deviations of 300 draws


def test_the_noise_level_scales_with_noise_scale() -> None:
    for form in ("c", "2018"):
        single, triple = (
            np.concatenate([lpcnet_data.noise(form, 500, rng(1, k), strength) for k in range(200)]).std()
            for strength in (1, 3)
        )
        assert triple / single == pytest.approx(3, rel=0.15)  # whole levels: not quite three times


def test_an_augmented_copy_is_stable_within_full_scale_and_another_each_time() -> None:
    copies = [augmented(speech(), rng(0, k)) for k in range(40)]
    assert max(np.abs(copy).max() for copy in copies) <= 1
    levels = [10 * np.log10((copy**2).mean()) for copy in copies]
    assert max(levels) - min(levels) > 20
    assert len({copy.tobytes() for copy in copies}) == 40


def test_an_augmented_copy_has_the_levels_and_the_filters_it_says() -> None:
    """The filter is seen in its response to a click: y[0] is the gain, and y[1] / y[0] = b1 - a1, each in -3/8 .. 3/8.

    Over 2000 copies, the extreme levels come within 1 dB of -20 and 19 dB, and the largest |b1 - a1| lies between 0.7
    and 0.75. The sign is negative for about half of the copies.
    """
    click = 1e-3 * np.eye(1, 100)[0]
    copies = np.array([augmented(click, rng(0, k)) for k in range(2000)])
    levels, tilts = 20 * np.log10(np.abs(copies[:, 0]) / 1e-3), copies[:, 1] / copies[:, 0]
    assert -20 <= levels.min() < -19
    assert 18 < levels.max() <= 19
    assert 0.7 < np.abs(tilts).max() <= 0.75
    assert 0.45 < (copies[:, 0] < 0).mean() < 0.55
