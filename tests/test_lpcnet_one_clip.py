"""LPCNet learns one recording from random weights, and speaks it better than pulses and noise do."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from dspgraph import Array, load
from dspgraph.audio_io import example_speech
from dspgraph_nodes.models import lpcnet, lpcnet_data, lpcnet_excitation, lpcnet_training
from dspgraph_nodes.models.lpcnet_training import Settings
from examples.train_lpcnet_on_one_clip import BATCHES, SETTINGS, learn
from speech import speech

LENGTH, HOP = 512, 160  # 32 and 10 ms


def features(samples: Array) -> dict[str, Array]:
    return load("lpcnet_features")(speech=samples)


def log_magnitude(x: Array, floor: float) -> Array:
    """20 log10 |X| [frames, 257] of Hann windows, nothing below the floor."""
    padded = np.pad(x, LENGTH // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, LENGTH)[::HOP] * np.hanning(LENGTH + 1)[:-1]
    decibels: Array = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(frames, axis=1)), floor))
    return decibels


def log_spectral_distance(original: Array, found: Array) -> float:
    """dB: root mean square over the bins of a frame, mean over frames, floor 60 dB below the original's maximum."""
    floor = 10 ** (log_magnitude(original, 1e-9).max() / 20 - 3)
    difference = log_magnitude(found, floor) - log_magnitude(original, floor)
    return float(np.sqrt((difference**2).mean(axis=1)).mean())


def test_the_distance_is_none_to_itself_and_six_decibels_to_twice_it() -> None:
    noise = np.random.default_rng(0).normal(size=16000)
    assert log_spectral_distance(noise, noise) == 0
    assert log_spectral_distance(noise, 2 * noise) == pytest.approx(20 * np.log10(2), abs=0.01)  # few bins are floored
    assert (
        40 < log_spectral_distance(noise, 1e-9 * noise) < 60
    )  # what is not there is at the floor, 60 dB below the maximum


@pytest.mark.slow
def test_one_clip_is_learnt_and_spoken_better_than_by_pulses_and_noise(tmp_path: Path) -> None:
    begin = time.process_time()
    weights = learn(example_speech(), tmp_path, BATCHES)
    minutes = (time.process_time() - begin) / 60
    clip = lpcnet_data.utterance(speech(), features)
    gain = lpcnet_excitation.fixed_entropy([clip]) - lpcnet_excitation.loss(lpcnet.load(weights), clip)
    distance = {
        "lpcnet": log_spectral_distance(speech(), load("lpcnet", [f"weights={weights}"])(speech=speech())["speech"])
    }
    for pipeline in ("bark_lpc_vocoder", "lpc_vocoder"):
        for name, swap in (("pulse_noise", {}), ("whisper", {"excitation": "whisper"})):
            found = load(pipeline, swap=swap)(speech=speech())["speech"]
            distance[f"{pipeline} {name}"] = log_spectral_distance(speech(), found)
    print(f"{minutes:.1f} CPU minutes, {gain:.3f} nats below the best fixed distribution, distances in dB: {distance}")
    assert gain >= 1.0  # measured 1.15 after 420 batches, 17.9 CPU minutes of a loaded core
    arrays = load_file(weights)
    densities = [
        float(SETTINGS.get(f"density_{gate}", default))
        for gate, default in (("reset", 0.05), ("update", 0.05), ("state", 0.2))
    ]
    for gate, density in zip(np.split(arrays["gru_a.weight_hh_l0"], 3), densities, strict=True):
        blocks = ((gate != 0) & ~np.eye(len(gate), dtype=bool)).reshape(-1, 16, len(gate)).any(axis=1)
        assert abs(blocks.sum() - density * blocks.size) <= 1
    assert distance["lpcnet"] < distance["bark_lpc_vocoder pulse_noise"]
    assert distance["lpcnet"] < distance["bark_lpc_vocoder whisper"]


def test_once_the_last_blocks_are_gone_no_update_is_learnt_with_any_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is learnt in four updates here: what is taken away after it would be back for three of them."""
    seen = []

    def noticed(run: lpcnet_training.Run, update: int) -> None:
        recurrent = run.model.gru_a.weight_hh_l0
        assert isinstance(recurrent, torch.Tensor)
        seen.append((run.batches, float((recurrent != 0).float().mean())))

    monkeypatch.setattr(lpcnet_training.Run, "_follow", noticed)
    settings = Settings(
        preset="lpcnet-small", gru_a=32, gru_b=16, embedding=8, condition=16, batch=4, frames=3, updates=4, augment=0,
        steps=5, sparse_start=0, sparse_end=3, sparse_every=2, device="cpu", threads=1,
    )  # fmt: skip
    lpcnet_training.train({"clip": speech()[16000:24000]}, features, tmp_path, settings)
    assert [batches for batches, _ in seen] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert all(left == seen[11][1] for _, left in seen[11:])
    assert seen[11][1] < 0.2 < seen[10][1]
