"""`dspgraph train` and `dspgraph plot --distribution`: from recordings to weights and a picture; refused requests."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from matplotlib.image import imread
from safetensors.numpy import load_file

from dspgraph import Audio, RequestError, load
from dspgraph.cli.main import main
from dspgraph.io.audio import AudioSource
from dspgraph.plotting.canvas import save
from dspgraph.plotting.distribution import distribution as draw
from dspgraph.training.run import train
from helpers.networks import weights_file
from helpers.speech import speech
from helpers.surroundings import no_longer_than

pytestmark = pytest.mark.training

TINY = ["preset=lpcnet-small", "gru_a=16", "gru_b=16", "condition=16", "embedding=4", "batch=2", "frames=3"]
BRIEF = [*TINY, "steps=2", "validate_every=1", "device=cpu", "threads=1"]


def dspgraph(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def asked(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-s", setting)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with two recordings, and with two files that are not recordings.

    The first recording has 16000 Hz; the second one, in a subfolder, has two channels and 22050 Hz.
    """
    folder = tmp_path / "data"
    (folder / "more").mkdir(parents=True)
    soundfile.write(folder / "a.wav", speech()[16000:22000], 16000)
    soundfile.write(folder / "more" / "b.flac", np.stack([speech()[30000:38000]] * 2, axis=1), 22050)
    (folder / "notes.txt").write_text("no audio")
    (folder / ".hidden.wav").write_text("no audio")
    return folder


def test_train_makes_weights_that_the_node_takes(tmp_path: Path, data: Path) -> None:
    result = dspgraph("train", "lpcnet", "--data", data, "-o", tmp_path / "out", *asked(*BRIEF))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:2] == [
        f"note: {data}: 2 files not taken: .txt (1), hidden (1); name a file to take it",
        "computing lpcnet_features of 2 recordings",
    ]
    assert "2 of 2 batches: loss 5." in lines[-2]
    assert lines[-1] == str(tmp_path / "out" / "weights.safetensors")
    y = load("lpcnet", [f"weights={lines[-1]}"])(speech=speech(4000))["speech"]
    assert len(y) == 4000


def test_train_resumes_where_it_was(tmp_path: Path, data: Path) -> None:
    common = ["train", "lpcnet", "--data", data, "-o", tmp_path / "out"]
    assert dspgraph(*common, *asked(*BRIEF)).exit_code == 0
    again = dspgraph(*common, *asked(*BRIEF))
    assert again.exit_code == 2
    assert "exists already: add --resume to continue that run, or choose another folder" in again.output
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "weights.safetensors").write_bytes(b"of somebody else")
    other = dspgraph(*common[:-1], tmp_path / "other", *asked(*BRIEF))
    assert (other.exit_code, "weights.safetensors exists already: move it away" in other.output) == (2, True)
    result = dspgraph(*common, "--resume", "-s", "steps=3")
    assert result.exit_code == 0, result.output
    assert "3 of 3 batches" in result.output
    assert "2 of 3 batches" not in result.output


def test_train_begins_with_given_weights(tmp_path: Path, data: Path) -> None:
    common = ["train", "lpcnet", "--data", data]
    assert dspgraph(*common, "-o", tmp_path / "a", *asked(*BRIEF)).exit_code == 0
    first = tmp_path / "a" / "weights.safetensors"
    still = asked(*BRIEF, "learning_rate=1e-30", "sparse_start=100", "sparse_end=200")
    result = dspgraph(*common, "-o", tmp_path / "b", "--init", first, *still)
    assert result.exit_code == 0, result.output
    a, b = (load_file(tmp_path / name / "weights.safetensors") for name in ("a", "b"))
    assert all(np.abs(a[name] - b[name]).max() < 1e-6 for name in a)
    larger = asked("gru_a=32", *(one for one in BRIEF if not one.startswith("gru_a=")))
    result = dspgraph(*common, "-o", tmp_path / "c", "--init", first, *larger)
    assert result.exit_code == 2
    assert "holds a network with gru_a 16 (asked: 32): set its sizes in this run, or choose" in result.output


def test_train_lists_the_settings() -> None:
    output = dspgraph("train", "lpcnet", "--settings").output
    assert "learning_rate     default 0.001    first learning rate of Adam (amsgrad)" in output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["lpcnett", "--settings"], "no model is called 'lpcnett'; did you mean 'lpcnet'?"),
        (["lpcnet"], "give --data FOLDER and --out FOLDER"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "steps=1_0"], "the setting 'steps': '1_0' is not a number"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "learning_rate=nan"], "the setting 'learning_rate': 'nan' is not a"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "step=2"], "no setting 'step'; did you mean 'steps'?"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "steps"], "expected SETTING=VALUE"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "steps=1", "-s", "steps=2"], "a setting has one value"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "batch=1000000000"], "a batch of 1000000000 chunks of 15 frames has more than 1000000 frames: set batch or frames to less"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "steps=few"], "steps: input should be a valid integer"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "preset=big"], "there are: lpcnet, lpcnet-small"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "updates=7"], "must divide the 2400 samples of a chunk"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "gru_a=100"], "gru_a is 100; it must be a whole number, at least 1, at most 4096, a multiple of 16"),
        (["lpcnet", "--data", "data", "-o", "out", "-s", "frames=60"], "a.wav has 6000 samples; a chunk"),
        (["lpcnet", "--data", "data", "-o", "out", "--resume"], "there is no out/checkpoint.ckpt to resume"),
        (["lpcnet", "--data", "none", "-o", "out"], "none does not exist"),
        (["lpcnet", "--data", "empty", "-o", "out"], "no file in empty can be taken"),
        (["lpcnet", "--data", "data", "-o", "data/a.wav"], "the folder data/a.wav cannot be written to"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(
    data: Path, arguments: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    (data.parent / "empty").mkdir()
    result = dspgraph("train", *arguments)
    assert result.exit_code == 2
    assert complaint in result.output
    assert not list(data.parent.glob("out/*"))


def test_a_broken_recording_is_refused_by_name(tmp_path: Path, data: Path) -> None:
    (data / "c.wav").write_text("no audio")
    result = dspgraph("train", "lpcnet", "--data", data, "-o", tmp_path / "out", *asked(*BRIEF))
    assert result.exit_code == 2
    assert "c.wav is not an audio file that can be read" in result.output


def test_a_missing_package_is_named_with_the_extra_that_installs_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named 'tensorboard', which {name} imports", name="tensorboard")

    monkeypatch.setattr("dspgraph.training.contract.import_module", without)
    with pytest.raises(RequestError, match=r"training needs tensorboard: pip install 'dspgraph\[train\]'"):
        train("lpcnet", data, tmp_path / "out", {})


# ---- looking inside -------------------------------------------------------------------------------------------------


def test_the_picture_of_a_distribution_is_drawn(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.wav", speech()[16000:20000], 22050)
    target = tmp_path / "picture.png"
    result = dspgraph("plot", tmp_path / "voice.wav", "--distribution", weights_file(), "-o", target)
    assert result.exit_code == 0, result.output
    assert result.output == f"{target}\n"
    assert target.read_bytes().startswith(b"\x89PNG")


def test_likely_levels_are_light_and_true_levels_are_dotted(tmp_path: Path) -> None:
    """Light and dotted levels coincide where the model is right, and lie apart where it is wrong.

    The model is certain of level 200 in the first half and of 50 in the second. This is right in the first picture, and
    wrong in the second.
    """
    levels = np.repeat([200, 50], 4000)
    certain = np.eye(256, dtype=np.float32)[levels]
    rows = {}
    for name, there in (("right", levels), ("wrong", levels[::-1])):
        save(draw(certain, there, 16000, name), tmp_path / "p.png")
        picture = imread(tmp_path / "p.png")[:430, 100:400, :3]  # of the upper axes the left part
        cyan = picture[..., 1] - picture[..., 0] > 0.5
        light = (picture.min(axis=2) > 0.55) & (picture[..., 0] - picture[..., 2] > 0.15)
        rows[name] = [float(np.nonzero(mask)[0].mean()) for mask in (cyan, light)]
    assert abs(rows["right"][0] - rows["right"][1]) < 3  # pixels
    assert rows["wrong"][0] - rows["wrong"][1] > 150


def test_entropy_and_cross_entropy_are_drawn_below() -> None:
    """Both curves are ln 256 nats in the first half, and 0 in the second.

    In the first half all levels are equally likely; in the second the model is certain and right.
    """
    levels = np.full(8000, 3)
    expected = np.repeat([np.full(256, 1 / 256), np.eye(256)[3]], 4000, axis=0)
    below = draw(expected, levels, 16000, "half").axes[1]
    lines = {str(line.get_label()): np.asarray(line.get_ydata()) for line in below.get_lines()}
    assert set(lines) == {"entropy, mean 2.77", "-ln p of the true level, mean 2.77"}
    for values in lines.values():
        half = len(values) // 2
        assert np.allclose(values[:half], np.log(256), atol=1e-6)
        assert np.allclose(values[half:], 0, atol=1e-6)


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    soundfile.write(tmp_path / "voice.wav", speech()[16000:20000], 16000)
    (tmp_path / "text.safetensors").write_text("no weights at all")
    (tmp_path / "short.safetensors").write_bytes(Path(weights_file()).read_bytes()[:-7])
    save_file({"a": np.zeros(3)}, tmp_path / "other.safetensors")
    save_file({"a": np.zeros(3)}, tmp_path / "model.safetensors", {"config": '{"model": "glotnet"}'})
    for name, complaint in {
        "none": "does not exist",
        "text": "holds no weights of a model",
        "short": "holds no weights of a model",
        "other": "holds no weights of a model",
        "model": "no model is called 'glotnet'",
    }.items():
        path = tmp_path / f"{name}.safetensors"
        result = dspgraph("plot", tmp_path / "voice.wav", "--distribution", path, "-o", tmp_path / "p.png")
        assert result.exit_code == 2
        assert complaint in result.output
        assert "Traceback" not in result.output
    assert not (tmp_path / "p.png").exists()


@pytest.mark.parametrize("command", ["plot", "demo", "render"])
def test_weights_that_are_meant_to_do_harm_are_one_sentence_at_once(tmp_path: Path, command: str) -> None:
    from safetensors.numpy import save_file

    soundfile.write(tmp_path / "voice.wav", speech()[16000:20000], 16000)
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "device.safetensors").symlink_to("/dev/zero")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", 90_000_000) + b"{" + b" " * 90_000_000)
    save_file({"a": np.zeros(3)}, tmp_path / "deep.safetensors", {"config": "[" * 20_000 + "]" * 20_000})
    save_file(
        {"a": np.zeros(3)}, tmp_path / "model.safetensors", {"config": json.dumps({"model": "\x1b]0;x\7\n" * 999})}
    )
    for path in sorted(tmp_path.glob("*.safetensors")):
        arguments = {
            "plot": [tmp_path / "voice.wav", "--distribution", path, "-o", tmp_path / "p.png"],
            "demo": ["--out", tmp_path / "out", "--weights", path],
            "render": ["lpcnet", tmp_path / "voice.wav", "-s", f"weights={path}", "-o", tmp_path / "out"],
        }[command]
        with no_longer_than(20):
            result = dspgraph(command, *arguments)
        assert result.exit_code == 2, (path, result.output)
        assert result.output.count("\n") == 1 and result.output[:-1].isprintable(), (path, result.output)
        assert path.name in result.output or path.stem in ("model", "device"), result.output
        assert "Error" not in result.output, result.output


def test_the_picture_of_a_distribution_has_no_pipeline_to_change(tmp_path: Path) -> None:
    result = dspgraph("plot", tmp_path / "v.wav", "--distribution", "w", "--swap", "a=b")
    assert result.exit_code == 2
    assert "the picture of a distribution has none: drop it" in result.output


def test_a_manifest_selects_parts_of_recordings(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train` gives the model the parts of recordings that a manifest lists, by their ids."""
    parts = [{"id": f"part {k}", "path": str(data / "a.wav"), "start": k / 4, "duration": 0.125} for k in range(2)]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(map(json.dumps, parts)))
    seen: dict[str, Any] = {}

    def taken(recordings: dict[str, Any], *rest: Any) -> Path:
        seen.update(recordings)
        return tmp_path / "weights"

    monkeypatch.setattr("dspgraph_nodes.models.lpcnet.training.train", taken)
    train("lpcnet", manifest, tmp_path / "out", {})
    whole = AudioSource(data / "a.wav", Audio(16000)).read()
    assert list(seen) == ["part 0", "part 1"]
    assert np.array_equal(seen["part 0"], whole[:2000])
    assert np.array_equal(seen["part 1"], whole[4000:6000])


def test_a_model_gets_the_labels_that_it_asks_for_and_its_pipeline_the_values_of_its_settings(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "m.jsonl"
    lines: list[dict[str, Any]] = [
        {"id": "a", "path": "data/a.wav", "pitch": 60},
        {"id": "b", "path": "data/more/b.flac"},
    ]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    seen: list[Any] = []

    def taken(recordings: dict[str, Any], *rest: Any) -> Path:
        seen.extend((recordings, rest))
        return tmp_path / "weights"

    module = "dspgraph_nodes.models.lpcnet.training"
    monkeypatch.setattr(f"{module}.train", taken)
    monkeypatch.setattr(f"{module}.LABELS", ("pitch", "timbre"), raising=False)
    monkeypatch.setattr(f"{module}.PIPELINE", "gansynth")
    monkeypatch.setattr(f"{module}.Settings.overrides", ("rate=8000", "bins=64"), raising=False)
    said: list[str] = []
    train("lpcnet", manifest, tmp_path / "out", {}, report=said.append)
    recordings, (*_, init, labels) = seen
    assert (init, labels) == (None, {str(data / "a.wav"): {"pitch": "60"}, str(data / "more" / "b.flac"): {}})
    assert len(recordings[str(data / "a.wav")]) == 3000  # 6000 samples at 16 kHz
    assert said == ["computing gansynth of 2 recordings"]


@pytest.mark.parametrize(
    ("ids", "part"), [("xx", {"duration": 0.5}), ("xy", {})], ids=["parts of one id", "a file named twice"]
)
def test_recordings_of_one_name_are_refused_and_none_is_left_out(
    ids: str, part: dict[str, float], data: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(json.dumps({"id": id, "path": str(data / "a.wav"), **part}) for id in ids))
    with pytest.raises(
        RequestError, match="there are 2 recordings '(x|.*a.wav)': list it once, or give ids to its parts"
    ):
        train("lpcnet", manifest, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()
