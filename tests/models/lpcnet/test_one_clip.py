"""LPCNet, trained on one recording, resynthesises this recording better than pulses and noise do."""

import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dspgraph import Array, load
from dspgraph.evaluation.metrics import measure
from dspgraph.io.audio import example_speech
from dspgraph_nodes.models.lpcnet import data as lpcnet_data
from dspgraph_nodes.models.lpcnet import training as lpcnet_training
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.training import Settings
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.distributions.categorical import fixed_entropy
from dspgraph_nodes.models.shared.modules import load as load_network
from examples.train_lpcnet_on_one_clip import BATCHES, SETTINGS, learn
from helpers.speech import speech
from helpers.utterances import features, loss


def log_spectral_distance(copy: Array) -> float:
    """Return the distance of a copy from the recording `speech()` by the metric `lsd`, in dB. copy: [n], 16 kHz."""
    found = measure(speech(), copy, 16000, ["lsd"])["lsd"]
    assert found is not None
    return found


@pytest.mark.slow
def test_one_clip_is_resynthesised_better_than_by_pulses_and_noise(tmp_path: Path) -> None:
    begin = time.process_time()
    weights = learn(example_speech(), tmp_path, BATCHES)
    minutes = (time.process_time() - begin) / 60
    clip = lpcnet_data.utterance(speech(), features)
    gain = fixed_entropy([clip.clean[1]], 256) - loss(load_network(WEIGHTS, LPCNet, weights), clip)
    copy = load("lpcnet", [f"weights={weights}"])(speech=speech())["speech"]
    distance = {"lpcnet": log_spectral_distance(copy)}
    for excitation in ("pulse_noise", "whisper"):
        copy = load("bark_lpc_vocoder", swap={"excitation": excitation})(speech=speech())["speech"]
        distance[excitation] = log_spectral_distance(copy)
    print(f"{minutes:.1f} CPU minutes, {gain:.3f} nats below the best fixed distribution, distances in dB: {distance}")
    assert gain >= 1.0  # measured 1.019, in 19.0 CPU minutes
    arrays = load_file(weights)
    densities = [
        float(SETTINGS.get(f"density_{gate}", default))
        for gate, default in (("reset", 0.05), ("update", 0.05), ("state", 0.2))
    ]
    for gate, density in zip(np.split(arrays["gru_a.weight_hh_l0"], 3), densities, strict=True):
        blocks = ((gate != 0) & ~np.eye(len(gate), dtype=bool)).reshape(-1, 16, len(gate)).any(axis=1)
        assert abs(blocks.sum() - density * blocks.size) <= 1
    assert distance["lpcnet"] < min(distance["pulse_noise"], distance["whisper"])  # measured 8.04 < 8.12 < 8.49


def test_after_the_last_removal_no_removed_block_comes_back_between_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has four updates here. If blocks were removed once per batch, they would grow back in three of them."""
    seen = []

    def noticed(run: trainer.Run) -> None:
        recurrent = run.network.get_parameter("gru_a.weight_hh_l0")
        seen.append((run.batches, float((recurrent != 0).float().mean())))

    monkeypatch.setattr(trainer.Run, "_follow", noticed)
    settings = Settings(
        preset="lpcnet-small", gru_a=32, gru_b=16, embedding=8, condition=16, batch=4, frames=3, updates=4, augment=0,
        steps=5, sparse_start=0, sparse_end=3, sparse_every=2, device="cpu", threads=1,
    )  # fmt: skip
    lpcnet_training.train({"clip": speech()[16000:24000]}, features, tmp_path, settings)
    assert [batches for batches, _ in seen] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    assert all(left == seen[12][1] for _, left in seen[12:])  # blocks are removed at the end of batch 3
    assert seen[12][1] < 0.2 < seen[11][1]
