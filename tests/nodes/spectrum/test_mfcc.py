"""MFCCs, compared with librosa's: from log mel bands, and from audio by the pipeline."""

from typing import Any

import librosa
import numpy as np
import pytest
from numpy.testing import assert_allclose

from dspgraph import Frames, ParameterError, load
from dspgraph.testing import Example
from dspgraph_nodes.spectrum.mfcc import Mfcc, mfcc
from helpers.integers import check_integers, integers
from helpers.speech import speech

RNG = np.random.default_rng(57)
STREAM = Frames(100, "mel_db", 40, "1/200")
ROWS = 20 * RNG.standard_normal((80, 40)) - 40
EXAMPLES = [Example(Mfcc(count=13, lifter=22), log_mel=(STREAM, ROWS)), Example(Mfcc(), log_mel=(STREAM, ROWS))]


@pytest.mark.parametrize("lifter", [0, 22])
def test_they_are_librosas(lifter: int) -> None:
    expected = librosa.feature.mfcc(S=ROWS.T, n_mfcc=13, lifter=lifter).T
    assert_allclose(mfcc(ROWS, 13, lifter), expected, rtol=0, atol=1e-11)  # levels of 40 dB in 40 bands


def test_the_pipeline_gives_librosas_features_of_a_recording() -> None:
    x = speech()[8000:24000]
    found = load("mfcc_features")(speech=x)
    power = librosa.feature.melspectrogram(y=x, sr=16000, n_fft=1024, hop_length=256, n_mels=128, pad_mode="constant")
    mel = librosa.power_to_db(power, top_db=None)
    count = len(found["mel"])  # librosa has one row more if the length is a multiple of the hop
    assert_allclose(found["mel"], mel.T[:count], rtol=0, atol=1e-6)
    assert_allclose(found["mfcc"], librosa.feature.mfcc(S=mel).T[:count], rtol=0, atol=1e-6)  # its filters are float32


def test_the_pipeline_has_librosas_default_range() -> None:
    x = speech()[8000:24000]
    rows = {reach: load("mfcc_features", range=reach)(speech=x)["mfcc"] for reach in (80, None)}
    expected = librosa.feature.mfcc(y=x, sr=16000, n_fft=1024, hop_length=256, n_mels=128, pad_mode="constant")
    assert_allclose(rows[80], expected.T[: len(rows[80])], rtol=0, atol=1e-6)
    assert np.abs(rows[80] - rows[None]).max() > 1  # the recording has bands more than 80 dB below the peak


def test_more_coefficients_than_bands_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"mfcc\.count is 41; .* has 40 bands: take at most 40"):
        Mfcc(count=41).streams(STREAM)


@integers
def test_integers_are_numbers(dtype: Any, floats: Any) -> None:
    check_integers(mfcc, dtype, floats, (9, 33))
