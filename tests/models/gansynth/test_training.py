"""Training of GANSynth: data and labels, growing pictures, exact resume, and the results of training on made notes."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from dspgraph import Array, RequestError, load
from dspgraph.cli.main import main
from dspgraph.training import run
from dspgraph_nodes.models.gansynth.config import PRESETS, Config
from dspgraph_nodes.models.gansynth.data import NotePictures, picture, sound, timbre_latent
from dspgraph_nodes.models.gansynth.judge import Judge, heard_figures, normalised, small
from dspgraph_nodes.models.gansynth.losses import regression_loss
from dspgraph_nodes.models.gansynth.network import Generator
from dspgraph_nodes.models.gansynth.training import PIPELINE, Settings, data_of, progress_of, stage_of, task, train
from dspgraph_nodes.models.gansynth.weights import WEIGHTS
from dspgraph_nodes.models.shared.data import FeatureFunction
from dspgraph_nodes.models.shared.notes import heard_pitch, made_note, pitch_figures
from dspgraph_nodes.models.shared.trainer import Run
from examples.make_notes import make_notes

pytestmark = pytest.mark.training

TINY: dict[str, Any] = {
    "preset": "gansynth-tiny", "blocks": 2, "channels": 32, "most_channels": 8, "batch": 4, "steps": 8,
    "validate_every": 4, "ema": 0.5, "threads": 1, "device": "cpu",
}  # fmt: skip
"""Settings of a short run with pictures of 4 x 32 pixels."""

Notes = tuple[dict[str, Array], dict[str, dict[str, str]]]


def features(settings: Settings) -> FeatureFunction:
    graph = load(PIPELINE, settings.overrides)
    return lambda x: graph(speech=x)


def notes(preset: str, count: int, seed: int = 0) -> Notes:
    """Return `count` made notes at the rate and with the pitches of a preset, and their labels, as two mappings.

    The keys are the names of the notes, "0.wav" and so on. A label has the "pitch", a MIDI number, and the "timbre".
    """
    c = PRESETS[preset]
    made = {f"{k}.wav": made_note(seed, k, c.rate, c.lowest, c.lowest + c.pitches - 1) for k in range(count)}
    labels = {name: {"pitch": str(note.pitch), "timbre": note.timbre} for name, note in made.items()}
    return {name: note.samples for name, note in made.items()}, labels


def trained(out: Path, resume: bool = False, init: Path | None = None, **more: Any) -> Path:
    settings = Settings(**{**TINY, **more})
    recordings, labels = notes("gansynth-tiny", 12)
    return train(recordings, features(settings), out, settings, resume, init=init, labels=labels)


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "logs" / "metrics.csv") as file:
        return list(csv.DictReader(file))


# ---- growing --------------------------------------------------------------------------------------------------------


def test_the_picture_grows_as_in_the_published_schedule() -> None:
    """The published formula for progress is floor(n / 2s) + max(0, (n mod 2s - s) / s), up to the last block.

    n: the number of pictures seen in training; s: the number of pictures in a stage. The stage is floor(n / s), up to
    12 with seven blocks. With s = 0 the progress is that of the last block from the start.
    """
    size, blocks = 800_000, 7
    for n in range(0, 14 * size, 12_345):
        capped = min(n, blocks * size + (blocks - 1) * size - 1)
        published = capped // (2 * size) + max(0.0, (capped % (2 * size) - size) / size)
        assert progress_of(n, size, blocks) == pytest.approx(published)
        assert stage_of(n, size, blocks) == min(n // size, 12)
    assert progress_of(0, 0, blocks) == blocks - 1


def test_the_moments_begin_anew_with_every_stage_and_other_blocks_stay() -> None:
    """With two blocks, Adam begins anew with the stages, at batches 0, 2 and 4.

    Stage 0 does not train block 2, nor does batch 2, in which the share of this block is still 0.
    """
    settings = Settings(**{**TINY, "stage_images": 8})
    recordings, labels = notes("gansynth-tiny", 12)
    begun = Run(task(settings, recordings, features(settings), labels), settings)
    second = {name: one.clone() for name, one in begun.network.state_dict().items() if "blocks.1." in name}
    steps = []
    for _ in range(6):
        begun.step()
        steps.append(int(max(one["step"] for one in begun.optimizers[0].state.values())))
        same = [torch.equal(one, begun.network.state_dict()[name]) for name, one in second.items()]
        assert all(same) == (begun.batches <= 3), begun.batches  # in batch 2 the share of the new block is still 0
    assert steps == [1, 2, 1, 2, 1, 2]


def test_two_processes_grow_together() -> None:
    """Both processes have the same progress, which counts the pictures of both.

    With two blocks, a stage of 12 pictures lasts one and a half updates of two processes with 4 pictures each. The
    optimisers begin anew with the first update in each new stage.
    """
    settings = Settings(**{**TINY, "stage_images": 12, "processes": 2})
    recordings, labels = notes("gansynth-tiny", 12)
    made = task(settings, recordings, features(settings), labels)
    shares = [[made.batch(2 * n + process)["progress"] for process in range(2)] for n in range(6)]
    assert shares == [[progress_of(8 * n, 12, 2)] * 2 for n in range(6)]
    assert len({first for first, _ in shares}) > 2
    assert made.restart is not None
    stages = [stage_of(8 * n, 12, 2) for n in range(6)]
    assert [made.restart(n) for n in range(6)] == [n > 0 and stages[n] != stages[n - 1] for n in range(6)]


def test_generator_first_each_update_changes_one_of_both() -> None:
    settings = Settings(**{**TINY, "stage_images": 0})
    recordings, labels = notes("gansynth-tiny", 12)
    one = task(settings, recordings, features(settings), labels)
    begun = Run(one, settings)
    changed = []
    for loss in one.losses(begun.network, one.batch(0)):
        before = {name: value.clone() for name, value in begun.network.state_dict().items()}
        begun._update(loss["loss"])  # type: ignore[index]  # a mapping
        now = begun.network.state_dict()
        changed.append({name.partition(".")[0] for name in now if not torch.equal(before[name], now[name])})
    assert changed == [{"generator"}, {"discriminator"}]
    assert np.isfinite(list(begun.validate().values())).all()


# ---- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pytest.param("adversarial", marks=pytest.mark.slow), "regression"])
def test_a_resumed_run_is_the_unbroken_one(kind: str, tmp_path: Path) -> None:
    """Weights and the last line of the log are the same; the run is interrupted after batch 5, within a stage.

    Only the column for the speed may differ. The share of right pitches in the validation lies between 0 and 1; in an
    adversarial run, the penalty and the cross-entropy of real pitches are finite.
    """
    more: dict[str, Any] = {"kind": kind, "stage_images": 12}
    whole = trained(tmp_path / "whole", **more)
    trained(tmp_path / "parts", **more, steps=5)
    resumed = trained(tmp_path / "parts", resume=True, **more)
    assert whole.read_bytes() == resumed.read_bytes()
    ends = [rows(tmp_path / name)[-1] for name in ("whole", "parts")]
    for row in ends:
        del row["batches_per_second"]
    assert ends[0] == ends[1]
    assert 0 <= float(ends[0]["validation_right_pitches"]) <= 1
    if kind == "adversarial":
        assert np.isfinite([float(ends[0][f"validation_{name}"]) for name in ("penalty", "real_pitch")]).all()


def test_weights_to_begin_with_are_kept(tmp_path: Path) -> None:
    first = trained(tmp_path / "one", steps=2)
    second = trained(tmp_path / "two", init=first, steps=1, learning_rate=1e-9)
    arrays, again = WEIGHTS.read(first)[1], WEIGHTS.read(second)[1]
    assert max(np.abs(arrays[name] - again[name]).max() for name in arrays) < 1e-6


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="loss is (nan|inf).*: begin a new run with a lower learning_rate"):
        trained(tmp_path, learning_rate=1e30, steps=20)


@pytest.mark.parametrize(("preset", "form"), [("gansynth-tiny", "phase"), ("gansynth-small", "if")])
def test_train_makes_weights_that_the_pipeline_of_notes_plays(preset: str, form: str, tmp_path: Path) -> None:
    c = PRESETS[preset]
    manifest = make_notes(tmp_path / "data", 6, 0, c.rate, c.lowest, c.lowest + c.pitches - 1)
    given = {
        "preset": preset,
        "form": form,
        "steps": 2,
        "batch": 2,
        "audio": 0.3,
        "device": "cpu",
        "threads": 1,
        "channels": 64,
    }
    settings = [word for name, value in given.items() for word in ("-s", f"{name}={value}")]
    result = CliRunner().invoke(
        main, ["train", "gansynth", "--data", str(manifest), "-o", str(tmp_path / "o"), *settings]
    )
    assert result.exit_code == 0, result.output
    assert "5 notes for training, 1 for validation; " in result.output
    assert "nats" not in result.output
    (path,) = (tmp_path / "o").glob("audio/*.wav")
    samples, rate = soundfile.read(path)
    seconds = c.hop * c.rows / c.rate
    (drawn,) = (tmp_path / "o").glob("pictures/*.png")  # a column for each row of the notes that are heard
    with Image.open(drawn) as picture:
        assert (picture.size, picture.mode) == ((c.rows * round(0.3 / seconds), c.bins), "RGB")
        assert np.asarray(picture).max() > 100
    assert (rate, len(samples)) == (4000, c.hop * c.rows * round(0.3 / seconds))
    latent = np.random.default_rng(0).standard_normal((2, c.latent))
    graph = load("gansynth_notes", [f"weights={tmp_path / 'o' / 'weights.safetensors'}"])
    y = graph(latent=latent, pitch=np.array([0, 5]))["notes"]
    assert len(y) == 2 * c.hop * c.rows
    assert np.abs(y).max() > 1e-4
    config, arrays = WEIGHTS.read(tmp_path / "o" / "weights.safetensors")
    assert config.form == form
    network = Generator(config)
    network.load_state_dict({name: torch.from_numpy(one) for name, one in arrays.items()})
    with torch.no_grad():
        made = network(torch.from_numpy(latent[:1]).float(), torch.tensor([0]))[0].numpy()
    kept = c.hop * (c.rows - 3)  # then the second note begins to be heard
    assert_allclose(sound(made, config)[:kept], y[:kept], atol=1e-4 * np.abs(y).max())


# ---- data -----------------------------------------------------------------------------------------------------------


def test_a_picture_is_that_of_the_published_program() -> None:
    """The picture equals the result of `gansynth_spectrogram` for the first 64000 samples, 4 s."""
    from dspgraph_nodes.spectrum.gansynth_spectrogram import gansynth_spectrogram

    settings = Settings(preset="gansynth")
    x = np.append(made_note(0, 0).samples, np.ones(5))
    found = picture(x, features(settings), settings.config)
    expected = gansynth_spectrogram(x[:64000], drop="dc", scale="mel")
    assert_array_equal(found, expected.transpose(2, 0, 1).astype(np.float32))


def test_a_short_recording_is_followed_by_silence() -> None:
    settings = Settings(preset="gansynth-tiny")
    x = made_note(0, 0, 4000).samples[:50]
    given = features(settings)
    longer = np.append(x, np.zeros(1000))
    assert_array_equal(picture(x, given, settings.config), picture(longer, given, settings.config))


def test_a_judge_hears_the_pitch_of_a_picture_and_misses_what_is_missing() -> None:
    """The judge is given real notes of another seed: their pitches are right, and the classifier is sure of them.

    If all notes have the same pitch, more of the judge's bins (groups of similar notes) differ from the real notes,
    and the classifier score is near its least value, 1. If all labels are wrong by a semitone, no pitch is right. In
    silence, the pitch that is heard is 0, and the error in cents is NaN.
    """
    settings = Settings(preset="gansynth-tiny", validation_share=0)
    c = settings.config
    recordings, labels = notes("gansynth-tiny", 120)
    training = data_of(settings, recordings, features(settings), labels).training
    judge = Judge(training, c, 0, 120)
    recordings, labels = notes("gansynth-tiny", 120, seed=1)
    others = data_of(settings, recordings, features(settings), labels).training
    shown, pitch = normalised(others, c), others.pitch.numpy()
    found = judge.figures(shown, pitch)
    assert found["right_pitches"] == 1 and found["cents"] < 15
    assert found["different_bins"] <= 0.25  # by chance 0.05, one bin of 12 more
    assert found["classifier_score"] > 0.8 * c.pitches
    assert judge.figures(shown, pitch + 1)["right_pitches"] == 0
    one = judge.figures(shown[pitch == 3], pitch[pitch == 3])
    assert one["classifier_score"] < 2 and one["different_bins"] > found["different_bins"]
    still = pitch_figures([np.zeros(256)], 4000, [60])
    assert heard_pitch(np.zeros(256), 4000) == 0 and still["right_pitches"] == 0 and np.isnan(still["cents"])


def test_a_validation_sees_a_generator_that_makes_the_same_note_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """If all notes are the same, at least 80 % of the judge's bins (groups of similar notes) differ from real notes.

    For 64 real notes of another seed, less than 20 % differ: in a third of the seeds, one of 6 bins differs by chance.
    The 500 real notes for the comparison are read in parts of at most 64, so that large pictures fit in memory.
    """
    settings = Settings(preset="gansynth-tiny", kind="regression", validation_share=0)
    c, read = settings.config, []

    def counted(part: NotePictures, config: Config) -> Array:
        read.append(len(part))
        return normalised(part, config)

    monkeypatch.setattr("dspgraph_nodes.models.gansynth.judge.normalised", counted)
    recordings, labels = notes("gansynth-tiny", 500)
    one = task(settings, recordings, features(settings), labels)
    assert sum(read) == 500 and max(read) <= 64
    network = one.network()
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
        assert one.validate(network)["different_bins"] >= 0.8
    judge = Judge(data_of(settings, recordings, features(settings), labels).training, c, settings.seed, 64)
    recordings, labels = notes("gansynth-tiny", 64, seed=1)
    shown = normalised(data_of(settings, recordings, features(settings), labels).training, c)
    assert judge.bins.different(small(shown)) < 0.2
    assert min(judge.bins.different(small(np.repeat(shown[[k]], 64, 0))) for k in range(64)) >= 0.8


@pytest.mark.parametrize("kind", ["adversarial", "regression"])
def test_a_generator_that_diverges_in_a_validation_is_refused(kind: Any) -> None:
    settings = Settings(**{**TINY, "kind": kind})
    recordings, labels = notes("gansynth-tiny", 12)
    one = task(settings, recordings, features(settings), labels)
    network = one.network()
    with torch.no_grad():
        for weights in network.parameters():
            weights.fill_(float("nan"))
    with pytest.raises(RequestError, match=r"makes pictures with numbers that are not finite: .* lower learning_rate"):
        one.validate(network)


@pytest.mark.parametrize(
    ("labels", "more", "complaint"),
    [
        ({}, {}, r"b.wav has no pitch; expected a column 'pitch' with its MIDI number: give a manifest that has this"),
        ({"pitch": "C4"}, {}, "b.wav: 'pitch' must be a MIDI number, a whole number from 0 to 127; found 'C4': correct"),
        ({"pitch": "60.5"}, {}, "found '60.5'"),
        ({"pitch": "128"}, {}, "found '128'"),
        ({"pitch": "nan"}, {}, "found 'nan'"),
        ({"pitch": "61"}, {"kind": "regression"}, "b.wav has no timbre; expected a column 'timbre' with any name"),
        ({"pitch": "61"}, {"lowest": 90}, "no recording has a pitch from 90 to 113, which the network has; found 60 to 61"),
    ],
)  # fmt: skip
def test_a_recording_without_what_is_needed_is_refused(
    labels: dict[str, str], more: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    x = made_note(0, 0, 4000).samples
    given = {"a.wav": {"pitch": "60", "timbre": "bell"}, "b.wav": labels}
    settings = Settings(**{**TINY, **more})
    with pytest.raises(RequestError, match=complaint):
        train({"a.wav": x, "b.wav": x}, features(settings), tmp_path, settings, labels=given)
    assert not list(tmp_path.iterdir())


def test_the_latents_of_a_timbre_are_scattered_in_training_and_not_in_validation() -> None:
    recordings, labels = notes("gansynth-tiny", 12)
    given = {**TINY, "kind": "regression", "batch": 8}
    both = [Settings(**given, latent_noise=noise) for noise in (0.0, 0.5)]
    still, noisy = (task(one, recordings, features(one), labels) for one in both)
    apart = [noisy.batch(k)["latent"] - still.batch(k)["latent"] for k in range(60)]
    assert float(torch.stack(apart).std()) == pytest.approx(0.5, rel=0.05)  # 3840 numbers: 1.1 % is one deviation
    assert_array_equal(noisy.batch(3)["latent"], noisy.batch(3)["latent"])
    network = still.network()
    with torch.no_grad():
        assert noisy.validate(network) == still.validate(network)


def test_a_file_of_weights_says_how_latents_are_drawn(tmp_path: Path) -> None:
    recordings, labels = notes("gansynth-tiny", 12)

    def saved(**more: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
        settings = Settings(**{**TINY, "validation_share": 0, **more})
        one = task(settings, recordings, features(settings), labels)
        one.save(one.network(), tmp_path / "weights.safetensors")
        config = WEIGHTS.read(tmp_path / "weights.safetensors")[0]
        assert config.replace(latent_means=(), latent_deviations=()) == settings.config
        assert one.load(tmp_path / "weights.safetensors").config == settings.config
        return config.latent_means, config.latent_deviations

    assert saved(latent_scale=0.3) == ((), (0.3,) * 8)
    c = PRESETS["gansynth-tiny"]
    latents = np.stack([timbre_latent(one["timbre"], c) for one in labels.values()])
    means, deviations = saved(kind="regression")
    assert_allclose(means, latents.mean(0), atol=1e-6)
    assert_allclose(deviations, latents.std(0) / 2, atol=1e-6)
    assert saved(kind="regression", latent_noise=0.5)[1] == (0.5,) * 8


def test_a_folder_has_no_pitches_and_the_error_says_what_has(tmp_path: Path) -> None:
    make_notes(tmp_path / "data", 1, 0, 4000, 60, 61)
    result = CliRunner().invoke(main, ["train", "gansynth", "--data", f"{tmp_path}/data", "-o", f"{tmp_path}/o"])
    assert result.exit_code == 2
    assert "000000.wav has no pitch; expected a column 'pitch' with its MIDI number: give a manifest" in result.output


def test_the_pitches_of_nsynth_reach_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file examples.json names the notes, their pitches and their instruments, which are the timbres.

    Recordings at 16 kHz are converted to the rate of the preset, 4 kHz.
    """
    names = {f"bell_synthetic_00{k}-0{k}0-100": 60 + k for k in range(3)}  # the names say other pitches
    (tmp_path / "audio").mkdir()
    for name in names:
        soundfile.write(tmp_path / "audio" / f"{name}.wav", made_note(0, 0).samples[:8000], 16000)
    content = {name: {"note_str": name, "pitch": pitch, "instrument_str": name[:-8]} for name, pitch in names.items()}
    (tmp_path / "examples.json").write_text(json.dumps(content))
    seen: list[Any] = []
    monkeypatch.setattr("dspgraph_nodes.models.gansynth.training.train", lambda *given: seen.extend(given))
    run.train(
        "gansynth", tmp_path / "examples.json", tmp_path / "out", {"preset": "gansynth-tiny", "kind": "regression"}
    )
    recordings, given_features, _, settings, *_, labels = seen
    one = task(settings, recordings, given_features, labels)
    assert [len(samples) for samples in recordings.values()] == [2000] * 3
    assert [given["pitch"] for given in labels.values()] == ["60", "61", "62"]
    assert labels[str(tmp_path / "audio" / "bell_synthetic_001-010-100.wav")]["timbre"] == "bell_synthetic_001"
    assert set(one.batch(0)["pitch"].tolist()) <= {0, 1, 2}


def test_pitches_that_the_network_lacks_are_left_out_and_counted() -> None:
    settings = Settings(**TINY)
    recordings, labels = notes("gansynth-tiny", 6)
    labels["0.wav"]["pitch"] = "84"
    assert task(settings, recordings, features(settings), labels).summary.startswith(
        "4 notes for training, 1 for validation; 1 left out, whose pitch the network does not have; "
    )


def test_silent_recordings_are_refused(tmp_path: Path) -> None:
    settings = Settings(**TINY)
    with pytest.raises(RequestError, match="all recordings are silent"):
        train({"a": np.zeros(900)}, features(settings), tmp_path, settings, labels={"a": {"pitch": "60"}})


def test_the_loss_of_regression_is_zero_for_the_picture_made_and_phases_count_where_there_is_sound() -> None:
    from dspgraph_nodes.models.gansynth.losses import unscaled

    c = PRESETS["gansynth-tiny"]
    torch.manual_seed(0)
    network, latent, pitch = Generator(c), torch.from_numpy(timbre_latent("saw", c)).float()[None], torch.tensor([3])
    with torch.no_grad():
        made = unscaled(network(latent, pitch), c)
        assert float(regression_loss(network, latent, pitch, made)["loss"]) < 1e-6
        loud = made.clone()
        loud[:, 0] = -10
        loud[:, 0, 0, :32] = 0  # half of the first row
        loud[:, 1, 0, :32] += 1  # opposite phases there
        found = regression_loss(network, latent, pitch, loud)
    assert float(found["angle"]) == pytest.approx(2 / (1 + (512 - 32) / 32 * np.exp(-5)), rel=1e-4)
    assert float(found["magnitude"]) == pytest.approx(float((made[:, 0] - loud[:, 0]).abs().mean()))


# ---- what training reaches ------------------------------------------------------------------------------------------


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread during the test, so that CPU time measures work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run_of(preset: str, **more: Any) -> tuple[Run, Notes]:
    """Return a training run on made notes, with each pitch once in each timbre, and the notes with their labels.

    The notes and the labels are those of `notes`. more: further settings, other than preset, device, threads and
    learning_rate.
    """
    settings = Settings(preset=preset, device="cpu", threads=1, learning_rate=2e-3, **more)
    given = notes(preset, 5 * settings.config.pitches)
    return Run(task(settings, given[0], features(settings), given[1]), settings), given


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("preset", "batches"), [("gansynth-tiny", 1000), ("gansynth-small", 2000)])
def test_the_generator_can_learn_the_notes_and_their_pitches(preset: str, batches: int) -> None:
    """After training by regression, at least half of all notes, with those that are held out, have their pitch.

    5 % of the notes are held out. The training takes about 45 CPU seconds (tiny) and 300 (small).
    """
    begun, (_, labels) = run_of(preset, kind="regression", ema=0.99)
    for _ in range(batches):
        begun.step()
    c, all_labels = PRESETS[preset], list(labels.values())
    pitch = np.array([int(one["pitch"]) - c.lowest for one in all_labels])
    latent = np.stack([timbre_latent(one["timbre"], c) for one in all_labels])
    network: Any = begun.result
    with torch.no_grad():
        made = network.generator(torch.from_numpy(latent).float(), torch.from_numpy(pitch)).numpy()
    share = heard_figures(made, pitch, c)["right_pitches"]
    assert share >= 0.5  # measured 0.88 and 0.87


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_adversarial_run_stays_finite_and_the_discriminator_learns_the_pitches() -> None:
    """In the last 200 of 600 batches the penalty is below 0.2 and the cross-entropy of real pitches below 0.5 nats.

    These are means over the batches. All figures of the run and of its validation are finite. The run takes about 150
    CPU seconds.
    """
    begun, _ = run_of("gansynth-tiny", stage_images=0, latent_scale=0.3)
    found: dict[str, list[float]] = {}
    for _ in range(600):
        for name, value in begun.step().items():
            found.setdefault(name, []).append(value)
    assert all(np.isfinite(values).all() for values in found.values())
    figures = {name: float(np.mean(values[-200:])) for name, values in found.items()}
    assert figures["penalty"] < 0.2  # measured 0.157
    assert figures["real_pitch"] < 0.5  # measured 0.115
    assert np.isfinite(list(begun.validate().values())).all()
