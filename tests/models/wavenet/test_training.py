"""Training of WaveNet: the loss falls, a resumed run equals an unbroken one, and the result can be synthesised."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.neural.conditioning import FrameWindows, unwound
from dspgraph_nodes.models.shared.mel import Edges, MelChunks
from dspgraph_nodes.models.shared.trainer import Run
from dspgraph_nodes.models.wavenet.config import Config
from dspgraph_nodes.models.wavenet.packing import level_samples, levels_of
from dspgraph_nodes.models.wavenet.training import Settings, loss_of, prepared, task, train
from dspgraph_nodes.models.wavenet.weights import WEIGHTS

SMALL: dict[str, Any] = {
    "layers": 4, "stacks": 2, "residual": 8, "gate": 16, "skip": 8, "components": 2, "batch": 2, "frames": 4,
    "validate_every": 4, "ema": 0.5, "threads": 1,
}  # fmt: skip


def tone(seconds: float = 0.5) -> Array:
    t = np.arange(int(16000 * seconds)) / 16000
    found: Array = 0.3 * np.sum([np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 6)], axis=0)
    return found


def bands(samples: Array) -> dict[str, Array]:
    """Return made features that depend on the samples: rows "mel" [frames, 80] for frames of 256 samples.

    Each number is the logarithm of the sum of the magnitudes of four samples. The signal is filled with zeros to whole
    frames and then repeated; row k has its samples from 320 * k on, so it is not made from those of frame k alone.
    """
    frames = -(-len(samples) // 256)
    padded = np.pad(samples, (0, 256 * frames - len(samples))).reshape(frames, 256)
    return {"mel": np.log(1e-5 + np.abs(np.resize(padded, (frames, 320)).reshape(frames, 80, 4)).sum(-1))}


def losses(out: Path) -> list[float]:
    with open(out / "logs" / "metrics.csv") as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file) if row.get("train_loss")]


@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [
        ("mixture", "muon"),
        pytest.param("mixture", "adam", marks=pytest.mark.slow),
        pytest.param("categorical", "adam", marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_is_the_unbroken_one(kind: str, optimizer: str, tmp_path: Path) -> None:
    recordings = {"a": tone(), "b": tone() ** 2}

    def run(out: str, steps: int, resume: bool = False) -> Path:
        settings = Settings(steps=steps, kind=kind, optimizer=optimizer, upsampling_start="random", **SMALL)
        return train(recordings, bands, tmp_path / out, settings, resume=resume)

    whole = run("whole", 8)
    run("parts", 4)
    resumed = run("parts", 8, resume=True)
    assert whole.read_bytes() == resumed.read_bytes()
    config, arrays = WEIGHTS.read(whole)
    assert config.rate == 16000
    assert config.kind == kind
    rows = np.concatenate([bands(one[: len(one) // 256 * 256])["mel"] for one in recordings.values()])
    assert np.abs(arrays["mean"] - rows.mean(axis=0)).max() < 2  # one of the recordings is kept for validation


def test_the_loss_falls(tmp_path: Path) -> None:
    settings = Settings(steps=40, learning_rate=0.01, **{**SMALL, "ema": 0.0, "validate_every": 40})
    train({"a": tone(0.3)}, bands, tmp_path, settings)
    found = losses(tmp_path)
    assert np.mean(found[-5:]) < found[0] - 0.5


def test_weights_to_begin_with_are_kept(tmp_path: Path) -> None:
    first = train({"a": tone()}, bands, tmp_path / "one", Settings(steps=4, **SMALL))
    second = train(
        {"a": tone()}, bands, tmp_path / "two", Settings(steps=1, **{**SMALL, "learning_rate": 1e-9}), init=first
    )
    arrays, again = WEIGHTS.read(first)[1], WEIGHTS.read(second)[1]
    assert max(np.abs(arrays[name] - again[name]).max() for name in arrays) < 1e-6


def test_a_validation_can_be_heard(tmp_path: Path) -> None:
    import soundfile

    train({"a": tone()}, bands, tmp_path, Settings(steps=4, audio=0.1, **SMALL))
    (path,) = tmp_path.glob("audio/*.wav")
    samples, rate = soundfile.read(path)
    assert rate == 16000
    assert len(samples) == 6 * 256  # 0.1 s are 6.25 frames
    assert np.ptp(samples) > 0.01


def test_a_chunk_has_the_sample_before_each_sample_and_features_on_both_sides() -> None:
    settings = Settings(**{**SMALL, "gain": 0.5, "preemphasis": 0.85})
    config = settings.config
    x = tone()
    one = prepared(x, bands, config)
    features, samples, _ = MelChunks([one], 4, Edges(2, repeat=True), 0, 0)[-1, 1]
    begin = 4 * 256  # the chunk before
    emphasised = 0.5 * (x - 0.85 * np.append(0, x[:-1]))
    np.testing.assert_allclose(samples.numpy(), emphasised[begin - 1 : begin + 1024], atol=1e-7)
    first = MelChunks([one], 4, Edges(0, repeat=True), -1, 0)[-1, 0][1].numpy()
    np.testing.assert_allclose(
        first, np.append(-1, emphasised[:1024]), atol=1e-7
    )  # the first one has silence before it
    assert_array_equal(features.numpy(), bands(x)["mel"][2 : 2 + 8].astype(np.float32))


@pytest.mark.parametrize("kind", ["mixture", "categorical"])
def test_the_beginning_and_the_end_of_a_recording_are_learnt_with_the_edges_that_synthesis_has(kind: str) -> None:
    """The first and the last frame are repeated beyond the ends; before the first sample there is silence.

    A chunk has the samples that its first sample depends on, and the frames of all samples; its last item says which of
    the frames lie in the recording.
    """
    x = tone(4.5 * 256 / 16000)  # the last of five frames is filled with zeros; a chunk has four
    settings = Settings(steps=1, **{**SMALL, "kind": kind, "batch": 1})
    config, rows = settings.config, bands(x)["mel"].astype(np.float32)
    lead = config.receptive_field - 1
    before, after = config.reach + 1, config.reach  # one frame for the samples before the chunk
    assert lead < 256
    wide = np.pad(unwound(FrameWindows(config.context, 80, repeat=True).push(rows, last=True)),
                  ((before, after), (0, 0)), mode="edge")  # fmt: skip
    inside = np.pad(np.ones(5), (before, after))
    y = np.concatenate((np.zeros(1 + lead), x, np.zeros(128)))
    signal = levels_of(y, config) if kind == "categorical" else y.astype(np.float32)
    data, seen = task(settings, {"a": x}, bands), set()
    for features, samples, _, real in map(data.batch, range(12)):
        first = int(bool(real[0, before - 1]))
        assert_array_equal(features[0].numpy(), wide[first : first + before + 4 + after + 2 * config.context])
        assert_array_equal(samples[0].numpy(), signal[256 * first : 256 * (first + 4) + 1 + lead])
        assert_array_equal(real[0].numpy(), inside[first : first + before + 4 + after])
        seen.add(first)
    assert seen == {0, 1}


@pytest.mark.parametrize(
    "sizes",
    [
        {"preset": "wavenet-small"},
        {"preset": "wavenet-small", "kind": "categorical", "layers": 9, "stacks": 1},
        {"preset": "wavenet-2018"},
    ],
)
def test_the_loss_of_a_chunk_is_that_of_the_same_samples_in_the_whole_recording(sizes: dict[str, Any]) -> None:
    """Nothing is missing at the ends of a chunk: neither frames nor samples before it.

    Among 20 chunks are the first and the last one of the recording. sizes: settings that replace those of SMALL.
    """
    settings = Settings(**{**SMALL, **sizes, "batch": 1, "frames": 3, "upsampling_start": "random"})
    config, x = settings.config, tone(10 * settings.config.hop / 16000)
    data = task(settings, {"a": x}, bands)
    torch.manual_seed(0)
    model: Any = data.network()
    one, met = prepared(x, bands, config), set()
    given = torch.from_numpy(one.signal)
    mel = np.pad(one.features["mel"], ((config.context, config.context), (0, 0)), mode="edge")
    before = torch.cat((torch.full((1,), config.silence, dtype=given.dtype), given[:-1]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        c = model.condition(torch.from_numpy(mel)[None])
        every = model.distribution.loss(model(c, before[None]), given[None])[0]
        for batch in map(data.batch, range(20)):
            places = [k for k in range(8) if torch.equal(given[256 * k : 256 * (k + 3)], batch[1][0, -768:])]
            found = float(loss_of(model, *batch)["loss"])
            assert [found] == pytest.approx([float(every[256 * k : 256 * (k + 3)].mean()) for k in places], rel=1e-5)
            met |= set(places)
    assert met >= {0, 7}
    assert len(met) > 3


def test_the_learning_rate_falls_by_both_settings() -> None:
    """After n updates, the learning rate is divided by 1 + decay * n, and halved once per `halve_every` updates."""
    settings = Settings(steps=9, decay=0.5, halve_every=2, **SMALL)
    run = Run(task(settings, {"a": tone()}, bands), settings)
    run.updates = 2
    assert run.rate() == 1 / 2 / 2


@pytest.mark.parametrize("start", ["smooth", "random"])
@pytest.mark.parametrize("preset", ["wavenet-small", "wavenet-2018"])
def test_the_first_filters_of_the_upsampling_are_those_that_were_asked_for(preset: str, start: Any) -> None:
    found = task(Settings(upsampling_start=start, **{**SMALL, "preset": preset}), {"a": tone()}, bands).network()
    filters = [one for name, one in found.named_parameters() if "stretch.taps" in name or "stretch.weights" in name]
    assert len(filters) == 4
    assert [float(one.detach().std()) > 0.01 for one in filters] == [start == "random"] * 4


def test_more_copies_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1000"):
        Settings(augment=1001)


@pytest.mark.parametrize("mulaw", ["centred", "even"])
def test_a_sample_gets_the_nearest_level(mulaw: Any) -> None:
    config = Config(kind="categorical", mulaw=mulaw)
    centres = level_samples(config)
    assert_array_equal(levels_of(centres, config), np.arange(256))
    assert levels_of(np.array([-1.0, 1.0]), config).tolist() == [0, 255]


@pytest.mark.slow
def test_one_second_of_a_tone_is_learnt() -> None:
    """After 300 batches, a network of 46,000 weights predicts a tone with at most 8 nats per sample; measured: 7.54.

    A uniform distribution has ln 65536 = 11.09 nats, the best mixture that is the same for all samples 10.10.
    """
    from dspgraph_nodes.models.wavenet.network import WaveNet

    torch.manual_seed(0)
    model = WaveNet(Config(layers=12, stacks=2, residual=24, gate=48, skip=24, bands=1, context=0, scales=(250,)))
    x = torch.from_numpy(tone(1.0)).float()[None]
    c = torch.zeros(1, 16000, 1)
    previous = torch.cat((torch.zeros(1, 1), x[:, :-1]), 1)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(300):
        first = int(torch.randint(0, 12000, ()))
        part = slice(first, first + 4000)
        loss = model.distribution.loss(model(c[:, part], previous[:, part]), x[:, part]).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        found = model.distribution.loss(model(c, previous), x).mean()
    assert float(found) <= 8.0  # measured 7.54
