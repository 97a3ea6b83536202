"""A training run of FARGAN: its data, the schedule of the learning rate, and training in two processes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array
from dspgraph_nodes.models.fargan.data import FarganChunks, another_voice, utterance
from dspgraph_nodes.models.fargan.training import Settings, rate, train
from helpers.speech import speech
from helpers.utterances import features

pytestmark = pytest.mark.training


def settings(**changes: object) -> Settings:
    small = dict.fromkeys(("frame_units", "frame_channels", "condition", "first", "gru1", "gru2", "gru3", "skip"), 16)
    given = {
        "batch": 2,
        "frames": 4,
        "augment": 1,
        "steps": 4,
        "finish": 0,
        "warm_up": 1,
        "device": "cpu",
        "threads": 1,
    }
    return Settings(**{**small, **given, **changes})


def recordings() -> dict[str, Array]:
    return {"a": speech()[16000:22000], "b": speech()[24000:30000]}


def test_a_chunk_is_a_part_of_the_signal_with_its_features() -> None:
    one = utterance(speech()[:16000], features)
    whole = features(np.concatenate((np.zeros(480), speech()[:16000])))
    emphasised = speech()[:16000] - 0.85 * np.append(0, speech()[:15999])
    assert_allclose(one.signal[560 : 560 + 15000], emphasised[:15000], atol=1e-7)
    chunks = FarganChunks([one], 5, seed=0)
    inputs, period, past, true = (each.numpy() for each in chunks[-1, 3])
    first = chunks.crops.at(-1, 3)[1]
    assert_array_equal(inputs, one.inputs[first - 1 : first + 6])
    assert_array_equal(period, one.period[first - 1 : first + 6])
    assert_array_equal(np.append(past, true), one.signal[160 * first - 256 : 160 * (first + 5)])
    assert_allclose(inputs[:, :18], whole["cepstrum"][first - 1 : first + 6], rtol=1e-6, atol=1e-6)


def test_another_level_is_heard_in_the_cepstrum() -> None:
    """A chunk of training, whose level is changed, has the features of the whole signal at that level.

    The signal is white noise, so that no band is below its floor, where the cepstrum would not follow the level.
    """
    loud = 8 * np.random.default_rng(0).standard_normal(16000) / 32
    one = utterance(loud, features)
    chunk = FarganChunks([one], 5, seed=0)[0, 7]
    first = FarganChunks([one], 5, seed=0).crops.at(0, 7)[1]
    factor = float((chunk[3].numpy() @ one.signal[160 * first : 160 * (first + 5)]) / np.square(chunk[3].numpy()).sum())
    assert factor != pytest.approx(1, abs=0.01)
    again = utterance(loud / factor, features)
    assert_allclose(chunk[0].numpy(), again.inputs[first - 1 : first + 6], atol=1e-3)


def test_a_copy_has_another_pitch() -> None:
    """With a largest factor of 1.25, copies of a tone of 200 Hz have pitches from 160 to 250 Hz.

    The length of a copy is divided by the factor by which its pitch is multiplied, to 1 %. Among six copies, at least
    one is below 190 Hz and at least one above 210 Hz.
    """
    tone = 0.1 * np.sin(2 * np.pi * 200 / 16000 * np.arange(16000))
    heights = []
    for seed in range(6):
        copy = another_voice(tone, np.random.default_rng(seed), 1.25)
        heights.append(np.argmax(np.abs(np.fft.rfft(copy[:8000] * np.hanning(8000)))) * 2)
        assert len(copy) / 16000 == pytest.approx(200 / heights[-1], rel=0.01)
    assert 160 <= min(heights) < 190
    assert 210 < max(heights) <= 250


def test_the_learning_rate_rises_stays_and_falls_before_the_last_update() -> None:
    one = settings(steps=1000, finish=100, warm_up=9)
    assert rate(0, one) == pytest.approx(0.1)
    assert rate(9, one) == rate(500, one) == rate(900, one) == 1
    assert rate(950, one) == pytest.approx(0.5)
    assert rate(999, one) == pytest.approx(0.05)
    assert rate(950, settings(steps=2000, finish=100)) == 1


def weights(path: Path) -> dict[str, Array]:
    from safetensors.numpy import load_file

    return load_file(path)


def same(a: Path, b: Path) -> bool:
    first, second = weights(a), weights(b)
    return all((first[name] == second[name]).all() for name in first)


def test_chunks_too_short_for_a_cepstrum_are_refused() -> None:
    with pytest.raises(ValueError, match="frames is 3; with a weight of the cepstrum it must be at least 4"):
        settings(frames=3, cepstrum=0.5)


def test_a_run_with_the_cepstral_loss_logs_it(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train(recordings(), features, tmp_path, settings(steps=1, cepstrum=0.5))
    header, first = (line.split(",") for line in (tmp_path / "logs" / "metrics.csv").read_text().splitlines()[:2])
    row = {name: float(value) for name, value in zip(header, first, strict=True) if value}
    parts = row["train_spectrum"] + 0.03 * row["train_start"] + 0.5 * row["train_cepstrum"]
    assert row["train_loss"] == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize("processes", [1, 2])
def test_stopped_and_resumed_five_times_it_is_the_same_run(processes: int, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = train(recordings(), features, tmp_path / "whole", settings(steps=6, processes=processes))
    for steps in range(1, 7):
        parts = train(recordings(), features, tmp_path / "parts", settings(steps=steps, processes=processes), steps > 1)
    assert same(whole, parts)
