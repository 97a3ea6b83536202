import tracemalloc
from fractions import Fraction
from typing import Any

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, Frames, ParameterError
from dspgraph.testing import Example
from dspgraph_nodes._kernels.signal.constant_q import constant_q_filters, constant_q_rows
from dspgraph_nodes.spectrum.constant_q import ConstantQ, ConstantQBins, constant_q
from helpers.integers import check_integers, integers
from helpers.speech import speech

QUIET = np.concatenate([speech()[9000:10100], np.zeros(300), speech()[14000:15001]])  # 2401 samples, with silence

EXAMPLES = [
    Example(ConstantQ(hop=100, f_min=200, bins=24), x=(Audio(16000), QUIET)),
    Example(ConstantQ(hop=37, f_min=1000, bins=30, bins_per_octave=10, filter_scale=0.5), x=(Audio(22050), QUIET)),
    Example(ConstantQ(hop=700, f_min=3000, bins=5), x=(Audio(16000), QUIET)),  # a hop longer than any window
    Example(ConstantQ(hop=3, f_min=7000, bins=2, filter_scale=0.01), x=(Audio(16000), QUIET)),  # windows of a sample
]

NSYNTH: dict[str, Any] = {
    "hop": 256, "f_min": 65.40639132514966, "bins": 240, "bins_per_octave": 40, "filter_scale": 0.8,
}  # fmt: skip


def transform(x: Array, **parameters: Any) -> Array:
    return Example(ConstantQ(**parameters), x=(Audio(16000), x)).render()["spectrum"]


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_value_is_the_sum_of_the_definition(example: Example) -> None:
    """Every value equals Brown's sum, computed alone, with the window as a formula. Function and node are equal."""
    node, (stream, x) = example.node, example.signals["x"]
    assert isinstance(node, ConstantQ)
    rate = float(stream.rate)
    found = example.render()["spectrum"]
    assert len(found) == -(-len(x) // node.hop)
    for b in range(node.bins):
        frequency = node.f_min * 2 ** (b / node.bins_per_octave)
        length = node.filter_scale / (2 ** (1 / node.bins_per_octave) - 1) * rate / frequency
        m = np.arange(-int(length), int(length) + 1)
        window = np.where(np.abs(m) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * m / length), 0)
        wave = window * np.exp(-2j * np.pi * frequency * m / rate) * np.sqrt(length) / window.sum()
        for k in range(len(found)):
            n = k * node.hop + node.hop // 2 + m
            there = (n >= 0) & (n < len(x))
            expected = (wave[there] * x[n[there]]).sum()
            assert abs(found[k, b] - expected) < 1e-12 * np.sqrt(length) * np.abs(x).max()
    parameters = node.model_dump()
    assert_array_equal(constant_q(x, rate, **parameters), found)


def test_the_filters_are_librosas() -> None:
    """A row equals that of librosa's filters to 2e-3. librosa rounds the lengths of filters, a difference of 8e-4."""
    x, ratio = speech(16000), 2 ** (1 / 40)
    frequencies = NSYNTH["f_min"] * ratio ** np.arange(240)
    relative: Any = np.full(240, ratio - 1)  # librosa takes one per bin, whatever its annotation says
    waves, lengths = librosa.filters.wavelet(
        freqs=frequencies, sr=16000, filter_scale=0.8, alpha=relative, dtype=np.complex128
    )
    found = transform(x, **NSYNTH)[31]
    over = waves.shape[1] // 2
    around = np.pad(x, over)[31 * 256 + 128 :][: 2 * over]
    expected = (waves.conj() * around).sum(axis=1) * np.sqrt(lengths)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_it_is_librosas_constant_q_transform() -> None:
    """The spectrum equals that of librosa.cqt to 2 %; measured: 0.9 %.

    librosa resamples the signal for the lowest octaves, and has another rule for Q, which the test compensates.
    """
    x, ratio = speech(32000), 2 ** (1 / 40)
    stretch = (ratio**2 - 1) / (ratio**2 + 1) / (ratio - 1)
    expected = librosa.cqt(
        np.append(x[128:], np.zeros(128)), sr=16000, hop_length=256, fmin=NSYNTH["f_min"], n_bins=240,
        bins_per_octave=40, filter_scale=0.8 * stretch, sparsity=0, dtype=np.complex128,
    ).T[:125]  # fmt: skip
    found = transform(x, **NSYNTH)
    assert np.linalg.norm(found - expected) < 0.02 * np.linalg.norm(expected)


@pytest.mark.parametrize("bin_number", [0, 17, 35])
def test_a_tone_has_the_scale_of_its_window_and_turns_with_its_frequency(bin_number: int) -> None:
    frequency = 100 * 2 ** (bin_number / 12)
    x = 0.5 * np.cos(2 * np.pi * frequency * np.arange(16000) / 16000)
    rows = transform(x, hop=160, f_min=100, bins=36)[20:-20]
    length = 16000 / frequency / (2 ** (1 / 12) - 1)
    # The tone's mirror image at -f leaks 1e-4 of it through the 17 periods of the window.
    assert_allclose(np.abs(rows[:, bin_number]), 0.25 * np.sqrt(length), rtol=1e-3)
    assert (np.abs(rows).argmax(axis=1) == bin_number).all()
    # The middle of row k is sample 160 k + 80.
    at = (np.arange(20, 80) * 160 + 80) / 16000
    turn = rows[:, bin_number] * np.exp(-2j * np.pi * frequency * at)
    assert np.abs(np.angle(turn)).max() < 1e-3


def test_rows_are_centred_in_their_spans() -> None:
    (rows,) = ConstantQ(hop=256, bins=48).streams(Audio(16000))
    assert rows == Frames(Fraction(125, 2), "constant_q", 48, Fraction(8, 1000), np.complex128)
    (rows,) = ConstantQ(hop=101, bins=48).streams(Audio(16000, dtype=np.float32))
    assert rows == Frames(Fraction(16000, 101), "constant_q", 48, Fraction(50, 16000), np.complex64)
    click = np.zeros(4000)
    click[10 * 101 + 50] = 1
    loudness = np.abs(transform(click, hop=101, f_min=500, bins=24)).sum(axis=1)
    assert loudness.argmax() == 10
    assert_allclose(loudness[9], loudness[11], rtol=1e-12)


def test_bins_at_half_the_rate_and_above_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"bins is 13; the last of them would be at 8000 Hz, .* at most 12 bins"):
        ConstantQ(f_min=4000, bins=13).streams(Audio(16000))
    ConstantQ(f_min=4000, bins=12).streams(Audio(16000))
    with pytest.raises(ParameterError, match=r"take an f_min below 8000 Hz"):
        ConstantQ(f_min=9000, bins=1).streams(Audio(16000))


def test_windows_that_no_memory_holds_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"f_min is 0\.01; .* take a higher f_min"):
        ConstantQ(f_min=0.01).streams(Audio(16000))


def test_filters_are_not_built_side_by_side() -> None:
    """Building the filters takes at most 1.5 times the memory of the result.

    An array [lags, bins] of all filters would consist mostly of zeros: the filters take less than 40 % of it.
    """
    scale = ConstantQBins.of(16000, 40, 400, 50, 0.05)
    constant_q_filters(scale.cycles[-2:], scale.lengths[-2:])  # what is compiled is no part of it
    tracemalloc.start()
    bank = constant_q_filters(scale.cycles, scale.lengths)
    peak, held = tracemalloc.get_traced_memory()[1], bank.cosines.nbytes + bank.sines.nbytes
    tracemalloc.stop()
    assert held < 0.4 * 8 * len(bank.counts) * 400
    assert peak < 1.5 * held


def test_frames_that_overlap_are_not_copied_all_at_once() -> None:
    """The memory stays below 5 % of a copy of all frames: 1000 frames of 13,000 samples would take 107 MB."""
    scale = ConstantQBins.of(16000, 20, 12, 12, 1.0)
    bank, frames = constant_q_filters(scale.cycles, scale.lengths), scale.cut(1).whole(speech(1000))
    constant_q_rows(frames[:1], bank)
    tracemalloc.start()
    rows = constant_q_rows(frames, bank)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.05 * 8 * frames.size
    assert_array_equal(rows[500:501], constant_q_rows(frames[500:501], bank))


def test_several_channels_are_refused() -> None:
    with pytest.raises(ParameterError, match="takes one channel"):
        ConstantQ().streams(Audio(16000, 2))


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(lambda x: constant_q(x, 16000, 100, 1000, 9, 12), dtype, floats, (999,))
