"""The command `check`."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.commands import HEAD, TOYS, dspgraph, leftovers, pipeline_file
from helpers.speech import speech


def test_check_says_of_each_file_whether_the_cut_changes_nothing(tmp_path: Path, wav: Path) -> None:
    (wav.parent / "cut.wav").write_bytes(wav.read_bytes()[:-100])
    soundfile.write(wav.parent / "b.ogg", speech()[:8000], 16000)
    result = dspgraph("check", "--files", wav.parent, wav)
    assert result.exit_code == 1
    assert f"{wav}: WAV, PCM_16, 16000 Hz, 8000 samples: the cut changes nothing" in result.output
    assert f"{wav.parent / 'b.ogg'}: OGG, VORBIS, 16000 Hz, 8000 samples: the cut changes nothing" in result.output
    assert f"failed: {wav.parent / 'cut.wav'} is truncated" in result.output
    assert len(result.output.splitlines()) == 3
    assert dspgraph("check", "--files", wav).exit_code == 0


@pytest.mark.parametrize("arguments", [["--files"], [], ["lpc_vocoder", "a.wav", "b.wav"]])
def test_check_says_what_it_takes(arguments: list[str]) -> None:
    result = dspgraph("check", *arguments)
    assert result.exit_code == 2
    assert re.search(
        "check takes a pipeline and at most one file, or --files and files|--files needs at least one file",
        result.output,
    )


def test_check_says_what_it_left_out_of_a_folder(wav: Path) -> None:
    wav.with_name("a.mp4").touch()
    result = dspgraph("check", "--files", wav.parent)
    assert result.exit_code == 0
    assert result.stderr == f"note: {wav.parent}: 1 file not taken: .mp4 (1); name a file to take it\n"


def test_check_finds_nothing_in_a_sound_graph(scale: Path, wav: Path) -> None:
    result = dspgraph("check", scale, wav, "--plugin", TOYS, "--variants", "--seconds", "0.2")
    assert result.exit_code == 0, result.output
    assert result.output.count("the cut changes nothing") == 2


FEATURES = {
    "first": "inputs: {x: {audio: 16000}}\nnodes: {f: {node: toy_frames, x: x, hop: 80}}\noutputs: {frames: f}\n",
    "second": "inputs: {frames: {frames: wave, width: 80, rate: 200}}\n"
    "nodes: {e: {node: toy_energy, frames: frames}}\noutputs: {level: e.level}\n",
}


def test_features_that_one_pipeline_wrote_are_what_the_next_one_starts_from(tmp_path: Path, wav: Path) -> None:
    for name, text in FEATURES.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    out = tmp_path / "out"
    first = dspgraph("render", tmp_path / "first.yaml", wav, "-o", out, "--plugin", TOYS)
    assert first.output.strip() == str(out / "voice.npz")
    assert leftovers(out) == ["voice.npz"]
    second = dspgraph(
        "render", tmp_path / "second.yaml", out / "voice.npz", "-o", tmp_path / "levels", "--plugin", TOYS
    )
    assert second.exit_code == 0
    with np.load(tmp_path / "levels" / "voice.npz") as file:
        assert file["level"].shape == (100, 1)
        assert file["level"].max() > 0
    checked = dspgraph("check", tmp_path / "second.yaml", out / "voice.npz", "--plugin", TOYS)
    assert checked.exit_code == 0, checked.output
    refused = dspgraph("check", tmp_path / "second.yaml", tmp_path / "levels" / "voice.npz", "--plugin", TOYS)
    assert refused.exit_code == 2
    assert "has no array 'frames'" in refused.output


def test_check_finds_a_fault_on_features_too(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from dspgraph import Node, Input, Output, Frames\n"
        "class PerBlock(Node):\n"
        "    frames = Input(Frames)\n    y = Output(Frames)\n"
        "    def step(self, state, frames):\n        return state, frames - frames[:1]\n"
    )
    pipeline = tmp_path / "bad.yaml"
    pipeline.write_text(
        "inputs: {f: {frames: wave, width: 2, rate: 100}}\n"
        "nodes: {bad: {node: per_block, frames: f}}\noutputs: {y: bad}\n"
    )
    np.savez(tmp_path / "f.npz", f=np.arange(400.0).reshape(200, 2))
    result = dspgraph("check", pipeline, tmp_path / "f.npz", "--plugin", tmp_path / "bad.py")
    assert result.exit_code == 1
    assert "(law 2: the cut changes nothing)" in result.output


def test_check_of_a_straight_wire_finds_nothing(tmp_path: Path) -> None:
    path = pipeline_file(HEAD + "  a: {node: toy_scale, x: x}\noutputs: {y: x}\n")(tmp_path)
    result = dspgraph("check", path, "--plugin", TOYS, "--seconds", "0.1")
    assert (result.exit_code, "the cut changes nothing" in result.output) == (0, True), result.output


@pytest.mark.parametrize("seconds", ["0", "-0.2", "nan", "1e-9"])
def test_check_refuses_a_duration_without_a_sample(scale: Path, seconds: str) -> None:
    result = dspgraph("check", scale, "--plugin", TOYS, "--seconds", seconds)
    assert result.exit_code == 2, result.output
    assert "changes nothing" not in result.output
    assert "Traceback" not in result.output


def test_check_names_the_first_node_and_sample_that_differ(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from dspgraph import *\n\nclass Forgets(Node):\n    '''Forget.'''\n    x = Input(Audio)\n    y = Output(Audio)\n\n"
        "    def step(self, state, x):\n        y = x.copy()\n        y[0] = 0\n        return state, y\n"
    )
    pipeline = pipeline_file(HEAD + "  first: {node: toy_scale, x: x}\n  second: {node: forgets, x: first}\n"
                         "  third: {node: toy_scale, x: second}\noutputs: {y: third}\n")(tmp_path)  # fmt: skip
    result = dspgraph("check", pipeline, "--plugin", TOYS, "--plugin", tmp_path / "bad.py")
    assert result.exit_code == 1
    assert "cut into 1: 'second.y' differs first at item 1 of" in result.output
    assert "law 2: the cut changes nothing" in result.output
