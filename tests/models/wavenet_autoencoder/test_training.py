"""Training of the WaveNet autoencoder: its inputs and targets, exact resume, and its results."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, RequestError, load
from dspgraph.cli.main import main
from dspgraph_nodes._kernels.signal.mulaw import floor_levels
from dspgraph_nodes.models.shared.data import fingerprint
from dspgraph_nodes.models.shared.notes import TIMBRES, frequency_of, heard_pitch, made_note
from dspgraph_nodes.models.shared.trainer import Run
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder
from dspgraph_nodes.models.wavenet_autoencoder.training import (
    PIPELINE,
    Settings,
    figures_of,
    task,
    timbre_loss,
    train,
)
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS
from examples.make_notes import make_notes
from helpers.autoencoders import TINY, random_arrays, settings_of

pytestmark = pytest.mark.training

SMALL: dict[str, Any] = {
    **settings_of(TINY), "batch": 2, "frames": 4, "steps": 8, "validate_every": 4, "ema": 0.5, "threads": 1,
    "device": "cpu",
}  # fmt: skip


def tone(count: int = 1000, frequency: float = 110.0, rate: int = 2000) -> Array:
    found: Array = 0.5 * np.sin(2 * np.pi * frequency * np.arange(count) / rate)
    return found


def features(settings: Settings) -> Any:
    graph = load(PIPELINE, settings.overrides)
    return lambda x: graph(speech=x)


def trained(out: Path, resume: bool = False, init: Path | None = None, **more: Any) -> Path:
    settings = Settings(**{**SMALL, **more})
    recordings = {"a": tone(), "b": tone() ** 2}
    return train(recordings, features(settings), out, settings, resume, init=init)


@pytest.mark.parametrize("optimizer", ["muon", pytest.param("adam", marks=pytest.mark.slow)])
def test_a_resumed_run_is_the_unbroken_one(optimizer: str, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", optimizer=optimizer)
    trained(tmp_path / "parts", optimizer=optimizer, steps=3)
    resumed = trained(tmp_path / "parts", resume=True, optimizer=optimizer)
    assert whole.read_bytes() == resumed.read_bytes()
    assert WEIGHTS.read(whole)[0] == TINY


def test_the_pitch_of_a_recording_comes_with_each_of_its_crops(tmp_path: Path) -> None:
    """Recordings whose pitch is not one of the pitches of the network are left out, and the summary says so.

    Missing pitches, and recordings that are all left out, are refused. Other labels give another fingerprint, which
    covers the recordings in use and their pitches, and no more.
    """
    settings = Settings(**{**SMALL, "lowest": 60, "pitches": 3, "validation_share": 0.0})
    labels = {"a": {"pitch": "61"}, "b": {"pitch": "62"}, "c": {"pitch": "63"}}
    recordings = {"a": tone(), "b": tone() ** 2, "c": tone() ** 3}
    one = task(settings, recordings, features(settings), labels)
    assert "for validation; 1 left out, whose pitch the network does not have; " in one.summary
    seen = set()
    for number in range(12):
        for crop, pitch, read, timbre in zip(*one.batch(number), strict=True):
            assert torch.equal(crop, read) and timbre == 0
            seen.add((int(pitch), bool((crop < 128).any())))  # the squares are not below 0
    assert seen == {(1, True), (2, False)}
    with pytest.raises(RequestError, match="b has no pitch; expected a column 'pitch' with its MIDI number"):
        train(recordings, features(settings), tmp_path, settings, labels={**labels, "b": {}})
    with pytest.raises(
        RequestError, match="no recording has a pitch from 0 to 2, which the network has; found 61 to 63"
    ):
        task(Settings(**{**SMALL, "pitches": 3}), recordings, features(settings), labels)
    other = task(settings, recordings, features(settings), {**labels, "b": {"pitch": "61"}})
    assert other.fingerprint != one.fingerprint  # a run is not resumed with other labels
    signals = [floor_levels(recordings[name]) for name in "ab"]
    used = [array for k, x in enumerate(signals) for array in (x, np.full(len(x) // TINY.hop, k + 1))]
    assert one.fingerprint == fingerprint([*used, *used])  # the data that the run reads, and no more


def test_the_loss_has_the_information_of_the_encoding_and_training_has_its_noise() -> None:
    model = WaveNetAutoencoder(TINY)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in random_arrays(TINY).items()})
    levels = torch.from_numpy(floor_levels(tone(80)))[None]
    with torch.no_grad():
        plain, z = figures_of(0.0, model, levels), model.encoder(levels)
        noisy = [figures_of(2.0, model, levels)["loss"].item() for _ in range(2)]
        model.eval()
        found = figures_of(2.0, model, levels)
    information = (z**2).sum(-1).mean().item() / 2  # of a frame of 20 samples
    assert_allclose(found["information"], information, rtol=1e-6)
    assert_allclose(found["loss"], plain["loss"] + 2.0 * information / 20, rtol=1e-6)
    assert noisy[0] != noisy[1]


def test_with_partners_the_encoder_reads_a_recording_of_the_same_timbre_at_the_same_frames() -> None:
    """Every recording of the timbre of a crop can be its partner, also the crop's own recording."""
    settings = Settings(**{**SMALL, "partners": True, "validation_share": 0.0, "lowest": 60, "pitches": 4})
    recordings = {name: np.random.default_rng(k).uniform(-1, 1, 400) for k, name in enumerate("abcd")}
    labels = {name: {"pitch": str(60 + k), "timbre": "xxyx"[k]} for k, name in enumerate("abcd")}
    one = task(settings, recordings, features(settings), labels)
    signals = [floor_levels(samples) for samples in recordings.values()]
    seen = set()
    for number in range(60):
        for crop, pitch, read, timbre in zip(*one.batch(number), strict=True):
            assert timbre == [0, 0, 1, 0][pitch]  # in the order of the names, x and y
            (begin,) = (k for k in range(0, 321, 20) if np.array_equal(signals[pitch][k : k + 80], crop))
            (partner,) = (k for k in range(4) if np.array_equal(signals[k][begin : begin + 80], read))
            seen.add((int(pitch), partner))
    assert seen == {(k, other) for k in (0, 1, 3) for other in (0, 1, 3)} | {(2, 2)}
    with pytest.raises(RequestError, match="c has no timbre; expected a column 'timbre' with any name"):
        task(settings, recordings, features(settings), {**labels, "c": {"pitch": "62"}})


def test_the_timbre_loss_is_that_of_the_formula() -> None:
    """The loss equals its formula in numpy; the crop whose timbre no other crop has is left out.

    If all timbres differ, or all are the same, the loss is 0.
    """
    z, timbre = np.random.default_rng(0).standard_normal((6, 3)), [0, 1, 0, 2, 1, 0]
    surprises = []
    for i in (0, 1, 2, 4, 5):
        near = {j: np.exp(-np.sum((z[i] - z[j]) ** 2)) for j in range(6) if j != i}
        surprises.append(-np.log(sum(p for j, p in near.items() if timbre[j] == timbre[i]) / sum(near.values())))
    found = timbre_loss(torch.from_numpy(z), torch.tensor(timbre))
    assert_allclose(found, np.mean(surprises), rtol=1e-12)
    assert timbre_loss(torch.from_numpy(z), torch.arange(6)) == 0
    assert timbre_loss(torch.from_numpy(z), torch.zeros(6)) == 0


def test_separation_adds_the_timbre_loss_of_crops_and_in_training_of_their_partners() -> None:
    model = WaveNetAutoencoder(TINY)
    levels, read = (torch.from_numpy(np.random.default_rng(k).integers(256, size=(3, 80))) for k in (0, 1))
    timbre = torch.tensor([0, 1, 0])
    for training in (True, False):
        model.train(training)
        with torch.no_grad():
            plain = figures_of(0.0, model, levels, None, read)["loss"]
            found = figures_of(0.0, model, levels, None, read, timbre, separation=0.5)
            z = [model.encoder(one).mean(1) for one in (read, levels)]
        expected = timbre_loss(torch.cat(z), timbre.repeat(2)) if training else timbre_loss(z[0], timbre)
        assert_allclose(found["timbre_loss"], expected, rtol=1e-5)
        assert_allclose(found["loss"], plain + 0.5 * expected, rtol=1e-5)
    with pytest.raises(ValueError, match="separation is 0.5, but without partners no timbre is known: set partners"):
        Settings(**SMALL, separation=0.5)


def test_the_log_has_the_timbre_loss_with_separation_alone(tmp_path: Path) -> None:
    recordings = {name: np.random.default_rng(k).uniform(-1, 1, 400) for k, name in enumerate("abcd")}
    labels = {name: {"timbre": "xxyx"[k]} for k, name in enumerate("abcd")}
    for separation in (0.0, 0.5):
        settings = Settings(**SMALL, partners=True, separation=separation)
        out = tmp_path / str(separation)
        train(recordings, features(settings), out, settings, labels=labels)
        head = (out / "logs" / "metrics.csv").read_text(encoding="utf-8").splitlines()[0]
        assert ("train_timbre_loss" in head) == ("validation_timbre_loss" in head) == (separation > 0)


def test_a_validation_with_audio_says_whether_changed_pitches_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recording is decoded three semitones higher; pitches above the highest continue from the lowest on.

    The figures of `pitch_figures` for these sounds are those of the validation.
    """
    settings = Settings(**{**SMALL, "audio": 0.1, "validation_share": 0.0, "lowest": 60, "pitches": 5})
    recordings = {"a": tone(), "b": tone() ** 2}
    labels = {"a": {"pitch": "61"}, "b": {"pitch": "63"}}
    one = task(settings, recordings, features(settings), labels)
    heard = []

    def figures(sounds: list[Array], rate: float, wanted: list[int]) -> dict[str, float]:
        heard.append(([len(sound) for sound in sounds], rate, wanted))
        return {"right_pitches": 0.5, "cents": 7.0}

    monkeypatch.setattr("dspgraph_nodes.models.wavenet_autoencoder.training.pitch_figures", figures)
    with torch.no_grad():
        found = one.validate(WaveNetAutoencoder(settings.config).eval())
    assert (found["right_pitches"], found["cents"], one.measured) == (0.5, 7.0, ("right_pitches", "cents"))
    assert heard == [([200, 200], 2000, [64, 61])]


def test_weights_to_begin_with_are_kept(tmp_path: Path) -> None:
    first = trained(tmp_path / "one", steps=2)
    second = trained(tmp_path / "two", init=first, steps=1, learning_rate=1e-9)
    arrays, again = WEIGHTS.read(first)[1], WEIGHTS.read(second)[1]
    assert max(np.abs(arrays[name] - again[name]).max() for name in arrays) < 1e-6


def test_a_batch_has_the_levels_of_crops_and_the_loss_is_their_mean_surprise() -> None:
    """Each level is predicted from the encoding of the crop and the levels before it; the first one after silence.

    Crops begin with a frame, and reach the end of the last whole one.
    """
    settings = Settings(**{**SMALL, "validation_share": 0.0})
    one = task(settings, {"a": tone(217)}, features(settings))  # ten frames of 20 samples, and a rest
    signal, seen = floor_levels(tone(217)), set()
    for number in range(9):
        levels, _, _, _ = one.batch(number)
        assert levels.shape == (2, 80)
        for crop in levels.numpy():
            (begin,) = (k for k in range(0, 121, 20) if np.array_equal(crop, signal[k : k + 80]))
            seen.add(begin)
    assert len(seen) > 2 and max(seen) == 120  # crops move in every epoch, up to the end of the last whole frame
    model = WaveNetAutoencoder(TINY)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in random_arrays(TINY).items()})
    with torch.no_grad():
        z, previous = model.encoder(levels), torch.nn.functional.pad(levels[:, :-1], (1, 0), value=128)
        logits = model.decoder(z, previous).double().numpy()
        found = figures_of(0.0, model, levels)["loss"].item()
    logits -= logits.max(axis=-1, keepdims=True)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -np.log(np.take_along_axis(p, levels.numpy()[..., None], -1)).mean()
    assert_allclose(found, expected, rtol=1e-5)


def test_muon_updates_the_hidden_matrices_and_adam_the_layers_that_read_or_predict_samples() -> None:
    settings = Settings(**{**SMALL, "optimizer": "muon"})
    run = Run(task(settings, {"a": tone()}, features(settings)), settings)
    names = {id(value): name for name, value in run.network.named_parameters()}
    adam, muon = ({names[id(each)] for group in one.param_groups for each in group["params"]} for one in run.optimizers)
    assert {name for name in adam if name.endswith("weight")} == {
        "encoder.first.weight", "decoder.first.weight", "decoder.head.1.weight",
    }  # fmt: skip
    assert {"encoder.layers.0.conv.weight", "decoder.layers.5.condition.weight", "encoder.last.weight"} <= muon


def test_a_recording_shorter_than_a_crop_is_refused(tmp_path: Path) -> None:
    settings = Settings(**SMALL)
    with pytest.raises(RequestError, match=r"a has 79 samples; a chunk with its context has 80 \(4 frames"):
        train({"a": tone(79)}, features(settings), tmp_path, settings)


@pytest.mark.slow
def test_train_makes_weights_that_the_pipeline_plays_and_a_validation_can_be_heard(tmp_path: Path) -> None:
    """`dspgraph train` writes weights that the pipeline can use, and the sound of a validation.

    The recording has another rate than the preset.
    """
    soundfile.write(tmp_path / "a.wav", tone(8000, rate=8000), 8000)
    given = {"preset": "wavenet_autoencoder-tiny", "steps": 2, "batch": 2, "frames": 2, "layers": 4, "audio": 0.1,
             "device": "cpu", "threads": 1}  # fmt: skip
    settings = [word for name, value in given.items() for word in ("-s", f"{name}={value}")]
    out = tmp_path / "out"
    result = CliRunner().invoke(
        main, ["train", "wavenet_autoencoder", "--data", str(tmp_path / "a.wav"), "-o", str(out), *settings]
    )
    assert result.exit_code == 0, result.output
    assert "15 crops of 2 frames for training" in result.output  # 4000 samples at 4 kHz are 31 frames of 128
    (path,) = out.glob("audio/*.wav")
    samples, rate = soundfile.read(path)
    assert (len(samples), rate) == (3 * 128, 4000)
    assert np.ptp(samples) > 0.01
    graph = load("wavenet_autoencoder", [f"weights={out / 'weights.safetensors'}", "rate=4000"])
    assert len(graph(speech=tone(500))["speech"]) == 500


def test_notes_of_a_manifest_train_a_network_that_changes_their_pitch(tmp_path: Path) -> None:
    manifest = make_notes(tmp_path / "data", 3, 0, 4000, 60, 62)
    given = {"preset": "wavenet_autoencoder-tiny", "steps": 1, "batch": 2, "frames": 2, "layers": 4, "lowest": 60,
             "pitches": 3, "audio": 0.1, "device": "cpu", "threads": 1}  # fmt: skip
    settings = [word for name, value in given.items() for word in ("-s", f"{name}={value}")]
    out = tmp_path / "out"
    result = CliRunner().invoke(
        main, ["train", "wavenet_autoencoder", "--data", str(manifest), "-o", str(out), *settings]
    )
    assert result.exit_code == 0, result.output
    graph = load("wavenet_pitch", [f"weights={out / 'weights.safetensors'}", "rate=4000", "pitch=62"])
    assert len(graph(speech=tone(500))["note"]) == 500


def test_the_audio_of_a_validation_is_the_recording_encoded_and_decoded(tmp_path: Path) -> None:
    settings = Settings(**{**SMALL, "audio": 1.0, "validation_share": 0.0})
    path = tmp_path / "weights.safetensors"
    WEIGHTS.write(path, TINY, random_arrays(TINY))
    one = task(settings, {"a": tone(1000)}, features(settings))
    assert one.audio
    samples, rate, colours = one.audio(path)["validation"]
    levels = torch.from_numpy(floor_levels(tone(1000)))[None]
    model = WaveNetAutoencoder(TINY)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in random_arrays(TINY).items()})
    drawn = torch.from_numpy(floor_levels(samples))[None]
    with torch.no_grad():
        own = model.decoder(model.encoder(levels), torch.nn.functional.pad(drawn[:, :-1], (1, 0), value=128))
        other = model.decoder(model.encoder(levels).flip(1), torch.nn.functional.pad(drawn[:, :-1], (1, 0), value=128))
    a, b = (torch.nn.functional.cross_entropy(logits[0], drawn[0]).item() for logits in (own, other))
    assert rate == 2000 and len(samples) == 1000
    assert colours is not None and colours.shape == (256, 8, 3)  # a column for every 128 samples
    assert a < b  # the samples were drawn with this encoding, and not with that of the signal turned round


def test_samples_of_the_pipeline_are_those_of_the_recording_times_a_gain() -> None:
    assert_array_equal(load(PIPELINE)(speech=tone())["samples"], tone())
    assert_array_equal(load(PIPELINE, ["gain=0.5"])(speech=tone())["samples"], tone() / 2)


@pytest.mark.slow
def test_4096_samples_of_a_tone_are_learnt() -> None:
    """After 70 batches the loss is below 0.1 nats; that of a uniform distribution is ln 256 = 5.55 nats.

    The encoder reads the same samples that the decoder predicts.
    """
    settings = Settings(
        preset="wavenet_autoencoder-tiny", hop=512, rate=16000, frames=8, batch=1, steps=70, learning_rate=1e-2,
        optimizer="muon", ema=0.0, threads=1, device="cpu",
    )  # fmt: skip
    run = Run(task(settings, {"a": tone(4096, 500, 16000)}, features(settings)), settings)
    for _ in range(settings.steps):
        run.step()
    assert run.validate()["loss"] < 0.1


def partials(samples: Array, pitch: int, rate: int) -> Array:
    """Return the levels of the partials of a note, in dB relative to the strongest, at least -50.

    The result has one number for each partial up to 0.48 times the rate. They are measured in the samples from 200 to
    2600, 0.6 s at 4 kHz. samples: at least 2600; pitch: a MIDI number; rate: Hz.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples[200:2600], 400)[::200]
    k = np.arange(1, int(0.48 * rate / frequency_of(pitch)) + 1)
    waves = np.exp(-2j * np.pi * frequency_of(pitch) / rate * np.outer(np.arange(400), k))
    power = (np.abs((frames * np.hanning(400)) @ waves) ** 2).mean(0)
    found: Array = np.maximum(10 * np.log10(power / power.max() + 1e-12), -50)
    return found


def settings_for_notes(**more: Any) -> Settings:
    return Settings(
        preset="wavenet_autoencoder-tiny", layers=8, latent=4, lowest=60, pitches=8, partners=True, optimizer="muon",
        ema=0.99, frames=4, validation_share=0, threads=1, device="cpu", **more,
    )  # fmt: skip


def trained_on_notes(out: Path, count: int, settings: Settings) -> Path:
    made = {str(k): made_note(0, k, 4000, 60, 67) for k in range(count)}
    labels = {name: {"pitch": str(note.pitch), "timbre": note.timbre} for name, note in made.items()}
    return train({name: note.samples for name, note in made.items()}, features(settings), out, settings, labels=labels)


def with_other_pitch(weights: Path, index: int) -> tuple[Array, int]:
    """Return the first 1.6 s of a made note at 4 kHz, decoded five semitones higher, and its new pitch, a MIDI number.

    Pitches above the highest, 67, continue from the lowest, 60. weights: the file of a network with these 8 pitches;
    index: the number of the note.
    """
    note = made_note(0, index, 4000, 60, 67)
    pitch = 60 + (note.pitch - 60 + 5) % 8
    graph = load("wavenet_pitch", [f"weights={weights}", "rate=4000", f"pitch={pitch}"])
    return graph(speech=note.samples[:6400])["note"], pitch


@pytest.mark.slow
def test_a_note_whose_label_is_changed_has_the_new_pitch(tmp_path: Path) -> None:
    """At least 8 of 10 notes have the pitch of the new label, to 20 cents; measured: all 10.

    The training on 16 notes takes about 250 seconds.
    """
    weights = trained_on_notes(tmp_path, 16, settings_for_notes(steps=2000, validate_every=2000))
    right = 0
    for index in range(10):
        found, pitch = with_other_pitch(weights, index)
        right += abs(heard_pitch(found[:4000], 4000) - pitch) < 0.2
    assert right >= 8


@pytest.mark.slow
def test_with_separation_a_note_whose_label_is_changed_keeps_a_part_of_its_timbre(tmp_path: Path) -> None:
    """The partials of notes with changed labels are, in the mean, over 2 dB nearer to their own timbre than to others.

    At least 32 of 40 notes have the pitch of the new label, to 20 cents. There are 40 notes, one of each pitch and
    timbre; the training takes about 140 seconds. Measured: partials 10.3 dB from those of the true note, and 14.2 dB,
    in the mean, from those of the same note in the four other timbres; 37 pitches within 20 cents. Without separation
    the partials were 13.1 and 12.9 dB away.
    """
    settings = settings_for_notes(steps=800, validate_every=800, batch=16, separation=0.3)
    weights = trained_on_notes(tmp_path, 40, settings)
    right, own, others = 0, [], []
    for index in range(40):
        found, pitch = with_other_pitch(weights, index)
        right += abs(heard_pitch(found[:4000], 4000) - pitch) < 0.2
        true = {
            timbre: partials(made_note(0, index, 4000, 60, 67, pitch, timbre).samples, pitch, 4000)
            for timbre in TIMBRES
        }
        apart = {timbre: np.sqrt(np.mean((partials(found, pitch, 4000) - one) ** 2)) for timbre, one in true.items()}
        own.append(apart.pop(made_note(0, index, 4000, 60, 67).timbre))
        others.append(np.mean(list(apart.values())))
    assert right >= 32
    assert np.mean(own) < np.mean(others) - 2
