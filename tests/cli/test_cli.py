"""The command line: what it prints, what it writes, and what it refuses."""

import json
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner, Result

from dspgraph.cli.main import main
from dspgraph.cli.render import AUDIO_FORMATS
from dspgraph.io.formats import FORMAT_NAMES
from dspgraph.rendering.ledger import Ledger
from helpers import paths
from helpers.speech import speech
from helpers.surroundings import on_a_terminal

TOYS = str(paths.TOYS)


def dspgraph(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Half a second of real speech, 16-bit."""
    path = tmp_path / "in" / "voice.wav"
    path.parent.mkdir()
    soundfile.write(path, speech()[8000:16000], 16000)
    return path


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    path = tmp_path / "scale.yaml"
    path.write_text("inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_scale, x: x, factor: 0.5}}\noutputs: {y: end}\n"
                    "variants: {end: {late: {node: toy_late, x: x}}}\n")  # fmt: skip
    return path


def leftovers(folder: Path) -> list[str]:
    """Return every file in a folder, except ledgers and sidecars."""
    made = (".json", ".jsonl", ".pyc")  # Python writes .pyc files beside plugins
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in made]
    return sorted(str(path.relative_to(folder)) for path in files)


# ---- render ---------------------------------------------------------------------------------------------------------


def test_the_formats_of_render_are_those_that_are_written() -> None:
    assert set(AUDIO_FORMATS) == set(FORMAT_NAMES)  # a list of its own: the command line does not import numpy


@pytest.mark.parametrize("name", ["wav:PCM_16", "flac:pcm_16"])
def test_render_writes_the_kind_of_samples_that_is_asked_for(tmp_path: Path, wav: Path, scale: Path, name: str) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--format", name)
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "out" / f"voice.{name.partition(':')[0]}").subtype == "PCM_16"


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


def test_render_writes_the_output_of_the_graph(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 0, result.output
    assert leftovers(tmp_path / "out") == ["voice.flac"]
    samples, rate = soundfile.read(tmp_path / "out" / "voice.flac")
    assert rate == 16000
    np.testing.assert_allclose(samples, speech()[8000:16000] / 2, atol=2**-23)  # a step of 24 bits


def test_render_takes_overrides_swaps_and_formats(tmp_path: Path, wav: Path, scale: Path) -> None:
    out = tmp_path / "out"
    common = ["-o", out, "--plugin", TOYS, "--format", "wav"]
    assert dspgraph("render", scale, wav, *common, "-s", "end.factor=-1").exit_code == 0
    np.testing.assert_allclose(soundfile.read(out / "voice.wav")[0], -speech()[8000:16000], atol=1e-7)  # float32
    assert dspgraph("render", scale, wav, *common, "--swap", "end=late", "--overwrite").exit_code == 0
    np.testing.assert_allclose(soundfile.read(out / "voice.wav")[0], speech()[8000:16000], atol=1e-7)


def test_a_file_of_another_rate_and_channel_count_is_converted_and_reported(tmp_path: Path, scale: Path) -> None:
    path = tmp_path / "stereo.wav"
    time = np.arange(22050) / 44100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([tone, tone / 2], axis=1), 44100, "FLOAT")
    result = dspgraph("render", scale, path, "-o", tmp_path / "out", "--plugin", TOYS)
    assert "resampled from 44100 Hz to 16000 Hz; mixed 2 channels to 1" in result.output
    samples, rate = soundfile.read(tmp_path / "out" / "stereo.flac")
    assert (rate, len(samples)) == (16000, 8000)
    expected = 0.5 * 0.75 * 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    np.testing.assert_allclose(samples[400:-400], expected[400:-400], atol=1e-5)  # soxr HQ: better than -100 dB


def test_clipping_is_reported(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "-s", "end.factor=10")
    beyond = int(np.count_nonzero(np.abs(speech()[8000:16000] * 10) > 1))
    assert beyond > 0
    assert f"{beyond} samples of 'y' beyond full scale were clipped" in result.output


def test_several_outputs_are_several_files(tmp_path: Path, wav: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text("inputs: {x: {audio: 16000}}\nnodes: {end: {node: toy_scale, x: x}}\noutputs: {dry: x, wet: end}\n")
    assert dspgraph("render", path, wav, "-o", tmp_path / "out", "--plugin", TOYS).exit_code == 0
    assert leftovers(tmp_path / "out") == ["voice.dry.flac", "voice.wet.flac"]


def test_some_bad_files_cost_themselves_only(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, tmp_path / "nothing.wav", wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 1
    assert f"failed: {tmp_path}/nothing.wav does not exist" in result.output
    assert "1 of 2 files failed; the reasons are printed above" in result.output
    assert leftovers(tmp_path / "out") == ["voice.flac"]


def test_a_line_of_json_for_each_item_and_one_for_all(tmp_path: Path, wav: Path, scale: Path) -> None:
    request = (
        "render",
        scale,
        wav.parent,
        tmp_path / "nothing.wav",
        "-o",
        tmp_path / "out",
        "--plugin",
        TOYS,
        "--log-json",
    )
    for cached in False, True:
        result = dspgraph(*request, *["--resume"] * cached)
        assert result.exit_code == 1
        assert result.stderr == "dspgraph: 1 of 2 files failed; the reasons are printed above\n"
        first, second, last = map(json.loads, result.stdout.splitlines())
        assert {name: first[name] for name in first if name != "seconds"} == {
            "id": "voice", "source": str(wav), "status": "done", "cached": cached, "notes": [], "audio_seconds": 0.5,
            "targets": [str(tmp_path / "out" / "voice.flac")],
        }  # fmt: skip
        assert 0 < first["seconds"] < 60
        assert second == {
            "id": "nothing", "source": f"{tmp_path}/nothing.wav", "status": "failed", "cached": cached,
            "error": f"{tmp_path}/nothing.wav does not exist",
        }  # fmt: skip
        assert 0 < last.pop("seconds") < 60
        assert last == {
            "done": int(not cached),
            "failed": 1,
            "cached": int(cached),
            "audio_seconds": 0.5 * (not cached),
        }


def test_a_resumed_run_counts_finished_files_and_names_failed_ones(tmp_path: Path, wav: Path, scale: Path) -> None:
    request = ("render", scale, wav, tmp_path / "late.wav", "-o", tmp_path / "out", "--plugin", TOYS)
    assert dspgraph(*request).exit_code == 1
    again = dspgraph(*request, "--resume")
    assert again.exit_code == 1
    assert f"failed before: {tmp_path}/late.wav does not exist" in again.stderr
    assert "0 rendered in" in again.stderr
    assert ", 1 were done before\n" in again.stderr
    assert again.stdout == ""
    retried = dspgraph(*request, "--retry-failed")
    assert f"failed: {tmp_path}/late.wav does not exist" in retried.stderr
    _audio(tmp_path / "late.wav", speech()[:1600])
    last = dspgraph(*request, "--resume")
    assert (last.exit_code, last.stdout) == (0, f"{tmp_path}/out/late.flac\n")


def test_a_manifest_names_the_files(tmp_path: Path, wav: Path, scale: Path) -> None:
    lines = [{"id": f"part/{k}", "path": "voice.wav", "start": k / 10, "duration": 0.1} for k in range(5)]
    (wav.parent / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = dspgraph("render", scale, wav.parent / "m.jsonl", "-o", tmp_path / "out", "--plugin", TOYS, "--batch", 4)
    assert result.exit_code == 0, result.output
    assert leftovers(tmp_path / "out") == [f"part/{k}.flac" for k in range(5)]
    whole = [soundfile.read(tmp_path / "out" / "part" / f"{k}.flac")[0] for k in range(5)]
    np.testing.assert_allclose(np.concatenate(whole), speech()[8000:16000] / 2, atol=2**-23)  # a step of 24 bits
    assert "5 rendered in" in result.stderr


def test_ogg_is_written(tmp_path: Path, wav: Path, scale: Path) -> None:
    result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--format", "ogg")
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "out" / "voice.ogg").subtype == "VORBIS"


def test_a_second_run_into_a_folder_in_use_is_refused(tmp_path: Path, wav: Path, scale: Path) -> None:
    (tmp_path / "out").mkdir()
    with Ledger(tmp_path / "out"):
        result = dspgraph("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 2
    assert (
        result.stderr == f"dspgraph: another run is writing to {tmp_path}/out: wait for it, or choose another folder\n"
    )
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize(
    "change",
    [("-s", "end.factor=0.25"), ("--swap", "end=late"), ("--format", "wav"), ("--resume", "-s", "end.factor=0.25")],
)
def test_another_setting_does_not_replace_results_unless_it_is_told_to(
    tmp_path: Path, wav: Path, scale: Path, change: tuple[str, ...]
) -> None:
    request = ("render", scale, wav, "-o", tmp_path / "out", "--plugin", TOYS)
    assert dspgraph(*request).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    refused = dspgraph(*request, *change)
    assert refused.exit_code == 2
    assert refused.output.startswith(
        f"dspgraph: {tmp_path}/out holds results of another run, which this run would replace: 'voice': "
    )
    assert "choose another folder, or give --overwrite to replace them" in refused.output
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert dspgraph(*request).exit_code == dspgraph(*request, *change, "--overwrite").exit_code == 0


def test_the_command_line_is_recorded(tmp_path: Path, wav: Path, scale: Path) -> None:
    out = tmp_path / "an out"
    result = dspgraph(
        "render", scale, wav, "-o", out, "--plugin", TOYS, "--set", "end.factor=0.25", "--batch", 2, "--format", "wav"
    )
    assert result.exit_code == 0, result.output
    (line,) = map(json.loads, (out / "ledger.jsonl").read_text().splitlines())
    settings = f"dspgraph render {scale}"
    more = f"-s end.factor=0.25 --plugin {TOYS}"
    assert line["command"] == f"{settings} {wav} {more} -o '{out}' --format wav --batch 2"
    assert json.loads((out / "voice.json").read_text())["command"] == f"{settings} {more} --format wav"


def test_a_command_line_of_many_files_is_recorded_with_the_first_ones(tmp_path: Path, wav: Path, scale: Path) -> None:
    files = [tmp_path / f"{k}.wav" for k in range(25)]
    dspgraph("render", scale, *files, "-o", tmp_path / "out", "--plugin", TOYS)
    lines = (tmp_path / "out" / "ledger.jsonl").read_text().splitlines()
    words = shlex.split(json.loads(lines[0])["command"])
    assert words[3:24] == [*map(str, files[:20]), "... 5 more files"]


def test_check_says_what_it_left_out_of_a_folder(wav: Path) -> None:
    wav.with_name("a.mp4").touch()
    result = dspgraph("check", "--files", wav.parent)
    assert result.exit_code == 0
    assert result.stderr == f"note: {wav.parent}: 1 file not taken: .mp4 (1); name a file to take it\n"


def test_a_folder_says_what_it_left_out(tmp_path: Path, wav: Path, scale: Path) -> None:
    for name in ("a.txt", "b.mp4", ".hidden"):
        (wav.parent / name).touch()
    result = dspgraph("render", scale, wav.parent, "-o", tmp_path / "out", "--plugin", TOYS, "--log-json")
    assert result.exit_code == 0
    assert result.stderr == (
        f"note: {wav.parent}: 3 files not taken: .mp4 (1), .txt (1), hidden (1); name a file to take it\n"
    )


# ---- help -----------------------------------------------------------------------------------------------------------


def test_the_list_of_commands_fits_into_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A summary that is too long would be cut off, with dots."""
    monkeypatch.setenv("COLUMNS", "80")
    listing = dspgraph("--help").output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listing] == sorted(main.commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in listing), listing


@pytest.mark.parametrize("name", main.commands)
def test_every_option_is_explained_in_a_sentence(name: str) -> None:
    command = main.commands[name]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help[0].isupper(), option.help
            assert option.help.endswith("."), option.help


# ---- bad requests ---------------------------------------------------------------------------------------------------


def _audio(path: Path, samples: Any, rate: int = 16000, subtype: str = "FLOAT") -> Path:
    soundfile.write(path, np.asarray(samples), rate, subtype)
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _cut(path: Path, source: Path) -> Path:
    content = source.read_bytes()
    return _bytes(path, content[: len(content) * 2 // 3])


def _flac(path: Path) -> Path:
    soundfile.write(path, speech()[:32000], 16000)
    return path


def _nan(n: int) -> Any:
    samples = np.zeros(n)
    samples[n // 2] = np.nan
    return samples


BAD_FILES: dict[str, tuple[Any, str]] = {
    "missing": (lambda d, wav: d / "nothing.wav", "nothing.wav does not exist"),
    "text renamed .wav": (lambda d, wav: _bytes(d / "text.wav", b"This is no sound.\n" * 100), "text.wav is not an audio file that can be read"),
    "empty": (lambda d, wav: _bytes(d / "empty.wav", b""), "empty.wav is empty"),
    "only a header": (lambda d, wav: _audio(d / "short.wav", []), "short.wav has no samples"),
    "truncated WAV": (lambda d, wav: _cut(d / "cut.wav", wav), "cut.wav is truncated: its header promises 16000 bytes"),
    "truncated FLAC": (lambda d, wav: _cut(d / "cut.flac", _flac(d / "whole.flac")), "cut.flac"),
    "NaN samples": (lambda d, wav: _audio(d / "nan.wav", _nan(8000)), "nan.wav has a sample that is not a number, at 4000 (0.250 s)"),
    "infinite samples": (lambda d, wav: _audio(d / "inf.wav", [0.0, np.inf]), "inf.wav has a sample that is not a number, at 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_is_refused_and_nothing_is_written(tmp_path: Path, wav: Path, scale: Path, what: str) -> None:
    make, message = BAD_FILES[what]
    bad = make(tmp_path, wav)
    out = tmp_path / "out"
    for good in [], [wav]:
        result = dspgraph("render", scale, bad, *good, "-o", out, "--plugin", TOYS)
        assert result.exit_code == 1, result.output
        assert message in result.output
        assert "Traceback" not in result.output
        assert leftovers(out) == ["voice.flac"][: len(good)]


def _pipeline(text: str) -> Any:
    def make(folder: Path) -> Path:
        (folder / "mine.yaml").write_text(text)
        return folder / "mine.yaml"

    return make


HEAD = "inputs: {x: {audio: 16000}}\nnodes:\n"

BAD_PIPELINES: dict[str, tuple[Any, list[str], str]] = {
    "no such pipeline": (lambda d: "lpc_vocodr", [], "no pipeline is called 'lpc_vocodr'; did you mean 'lpc_vocoder'?"),
    "no such pipeline file": (lambda d: d / "nothing.yaml", [], "nothing.yaml does not exist"),
    "a YAML syntax error": (_pipeline("nodes: {a: [}\n"), [], "mine.yaml:1: not YAML"),
    "a binary file": (lambda d: _bytes(d / "mine.yaml", b"\xff\xfe\x00\x01"), [], "mine.yaml"),
    "an unwired port": (_pipeline(HEAD + "  end: {node: toy_scale}\noutputs: {y: end}\n"), [], "nodes.end.x: end.x is not wired; it takes Audio"),
    "a kind mismatch": (_pipeline(HEAD + "  end: {node: toy_energy, frames: x}\noutputs: {y: end.level}\n"), [], "'toy_frames' node between them"),
    "a loop": (_pipeline(HEAD + "  a: {node: toy_scale, x: b}\n  b: {node: toy_scale, x: a}\noutputs: {y: b}\n"), [], "the graph has a loop: a -> b -> a"),
    "an unknown node": (_pipeline(HEAD + "  end: {node: toy_scal, x: x}\noutputs: {y: end}\n"), [], "did you mean 'toy_scale'?"),
    "an import path": (_pipeline(HEAD + "  end: {node: os.system, x: x}\noutputs: {y: end}\n"), [], "a pipeline names nodes, never an import path"),
    "code in a tag": (_pipeline("inputs: !!python/object/apply:os.system ['touch /tmp/harm']\n"), [], "a pipeline holds plain values only"),
    "an unknown parameter": (_pipeline(HEAD + "  end: {node: toy_scale, x: x, facter: 1}\noutputs: {y: end}\n"), [], "toy_scale has no parameter 'facter'; did you mean 'factor'?"),
    "an out-of-range value": (_pipeline(HEAD + "  end: {node: toy_scale, x: x, factor: 11}\noutputs: {y: end}\n"), [], "must be a number, at least -10, at most 10"),
    "a circular extends": (_pipeline("extends: mine.yaml\n"), [], "extend each other in a circle"),
    "an override of nothing": (lambda d: d / "scale.yaml", ["-s", "ent.factor=1"], "no node is called 'ent'; did you mean 'end'?"),
    "an override without a value": (lambda d: d / "scale.yaml", ["-s", "end.factor"], "write NODE.PARAMETER=VALUE"),
    "a swap of nothing": (lambda d: d / "scale.yaml", ["--swap", "end=lat"], "'end' has no variant 'lat'; did you mean 'late'?"),
    "a swap without a variant": (lambda d: d / "scale.yaml", ["--swap", "end"], "write SLOT=VARIANT"),
    "a plugin that is not there": (lambda d: d / "scale.yaml", ["--plugin", "nothing.py"], "nothing.py does not exist"),
    "a plugin that is no Python": (lambda d: _bytes(d / "bad.py", b"def (:\n") and d / "scale.yaml", ["--plugin", "{d}/bad.py"], "failed while it was imported: SyntaxError"),
    "a plugin without nodes": (lambda d: _bytes(d / "none.py", b"x = 1\n") and d / "scale.yaml", ["--plugin", "{d}/none.py"], "has no Node class in it"),
    "a plugin with a taken name": (lambda d: _bytes(d / "twice.py", Path(TOYS).read_bytes()) and d / "scale.yaml", ["--plugin", "{d}/twice.py"], "two nodes are called 'toy_"),
    "an output of rows with a name of its own": (_pipeline(HEAD + "  end: {node: toy_frames, x: x}\noutputs: {streams: end}\n"), [], "a name that is reserved in .npz files"),
    "rows wanted, audio given": (_pipeline("inputs: {f: {frames: wave, width: 4, rate: 100}}\nnodes: {end: {node: toy_energy, frames: f}}\noutputs: {y: end.level}\n"), [], "give it .npz files that hold these, not"),
    "two inputs": (_pipeline("inputs: {x: {audio: 16000}, z: {audio: 16000}}\nnodes: {end: {node: toy_sum, x: [x, z]}}\noutputs: {y: end}\n"), [], "a graph with one audio input"),
    "an output folder that is a file": (lambda d: _bytes(d / "taken", b"") and d / "scale.yaml", ["-o", "{d}/taken"], "taken cannot be written to"),
    "an output folder below a file": (lambda d: _bytes(d / "taken", b"") and d / "scale.yaml", ["-o", "{d}/taken/out"], "cannot be written to"),
    "the input's own folder": (lambda d: d / "scale.yaml", ["-o", "{d}/in", "--format", "wav"], "would overwrite an input file"),
    "two files of one name": (lambda d: d / "scale.yaml", ["{d}/other/voice.wav"], "would both be written to"),
    "one file twice": (lambda d: d / "scale.yaml", ["{d}/in/voice.wav"], "voice.wav is named 2 times: name it once"),
    "a folder without audio": (lambda d: (d / "empty").mkdir() or d / "scale.yaml", ["{d}/empty"], "no file in"),
    "a pattern without a match": (lambda d: d / "scale.yaml", ["{d}/**/*.mp3"], "no file matches"),
    "a manifest that is no JSON": (lambda d: _bytes(d / "m.jsonl", b"a.wav\n") and d / "scale.yaml", ["{d}/m.jsonl"], "m.jsonl, line 1: is not JSON"),
    "a manifest that leaves": (lambda d: _bytes(d / "m.csv", b"id,path\n../a,in/voice.wav\n") and d / "scale.yaml", ["{d}/m.csv"], "m.csv, line 2: the id '../a' would name a file outside"),
    "a command in a list": (lambda d: _bytes(d / "wav.scp", b"a touch /tmp/harm |\n") and d / "scale.yaml", ["{d}/wav.scp"], "is a command; commands are not run"),
    "digits of another script": (lambda d: d / "scale.yaml", ["--jobs", "\u0663"], "'\u0663' is not a whole number such as 4"),
    "an underscore in a number": (lambda d: d / "scale.yaml", ["--batch", "1_0"], "'1_0' is not a whole number such as 4"),
    "a number of many digits": (lambda d: d / "scale.yaml", ["--batch", "9" * 5000], "... is not a whole number such as 4"),
    "half a job": (lambda d: d / "scale.yaml", ["--jobs", "1.5"], "'1.5' is not a whole number such as 4"),
    "a timeout that is no number": (lambda d: d / "scale.yaml", ["--timeout", "nan"], "'nan' is not a number such as 16000"),
    "a timeout with an underscore": (lambda d: d / "scale.yaml", ["--timeout", "1_0"], "'1_0' is not a number such as 16000"),
    "an empty batch": (lambda d: d / "scale.yaml", ["--batch", "0"], "0 is not in the range x>=1"),
    "a format that is not written": (lambda d: d / "scale.yaml", ["--format", "mp3"], "'mp3' is not one of 'flac', 'wav', 'ogg'"),
    "results where the input is": (lambda d: d / "scale.yaml", ["{d}/in", "-o", "{d}/in"], "in is the output folder, its files are no inputs"),
    "two swaps of one slot": (lambda d: d / "scale.yaml", ["--swap", "end=late", "--swap", "end=toy_scale"], "--swap end=late and --swap end=toy_scale: one slot takes one variant"),
    "an override that is no value": (lambda d: d / "scale.yaml", ["-s", "end.factor=!!int 0b_"], "'end.factor=!!int 0b_': the value: '0b_' is no int"),
    "an override that holds itself": (lambda d: d / "scale.yaml", ["-s", "end.factor=&a [*a]"], "20 levels"),
    "an override into a list": (_pipeline("nodes: [a, b]\n"), ["-s", "a.x=1"], "mine.yaml:1: nodes: must be a mapping"),
    "a control character": (_pipeline("about: a\x01\n"), [], "mine.yaml:1: not YAML: special characters"),
    "a name longer than names are": (lambda d: "a" * 300, [], "no pipeline is called 'aaa"),
    "a plugin that leaves": (lambda d: _bytes(d / "leaves.py", b"import sys\nsys.exit(0)\n") and d / "scale.yaml", ["--plugin", "{d}/leaves.py"], "failed while it was imported: SystemExit: 0"),
    "an option given twice": (lambda d: d / "scale.yaml", ["--batch", "2", "--batch", "3"], "--batch is given 2 times: give it once"),
    "an option given twice by two names": (lambda d: d / "scale.yaml", ["-j", "1", "--jobs=1"], "--jobs is given 2 times"),
    "two values of one parameter": (lambda d: d / "scale.yaml", ["-s", "end.factor=1", "--set", "end.factor=2"], "'end.factor=1' and 'end.factor=2' set the same value: drop one of them"),
    "an option there is not": (lambda d: d / "scale.yaml", ["--fast"], "No such option"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_PIPELINES)
def test_a_bad_request_is_one_clear_message_and_nothing_is_written(
    tmp_path: Path, wav: Path, scale: Path, what: str
) -> None:
    make, options, message = BAD_PIPELINES[what]
    pipeline = make(tmp_path)
    before = leftovers(tmp_path)
    options = [option.format(d=tmp_path) for option in options]
    out = [] if "-o" in options else ["-o", tmp_path / "out"]
    result = dspgraph("render", pipeline, wav, *out, "--plugin", TOYS, *options)
    assert result.exit_code == 2, result.output
    assert message in result.output.replace("\n", " ") or message in result.output
    assert "Traceback" not in result.output
    assert leftovers(tmp_path) == before


def test_a_centre_mismatch_is_refused(tmp_path: Path, wav: Path) -> None:
    (tmp_path / "meet.py").write_text(
        "from dspgraph import *\n\nclass Meet(Node):\n    '''Meet.'''\n    a = Input(Frames, 'wave')\n    b = Input(Frames, 'wave')\n"
        "    y = Output(Frames, 'wave')\n"
    )
    pipeline = _pipeline(HEAD + "  a: {node: toy_frames, x: x}\n  b: {node: toy_frames, x: x, centre: 0.005}\n"
                         "  end: {node: meet, a: a, b: b}\noutputs: {y: end}\n")(tmp_path)  # fmt: skip
    result = dspgraph(
        "render", pipeline, wav, "-o", tmp_path / "out", "--plugin", TOYS, "--plugin", tmp_path / "meet.py"
    )
    assert result.exit_code == 2
    assert "mine.yaml:5: nodes.end.b: the frames that meet in 'end' differ" in result.output
    assert "centre 5 ms" in result.output
    assert leftovers(tmp_path / "out") == []


def test_a_failing_node_is_a_failed_row_with_its_place(tmp_path: Path, wav: Path) -> None:
    (tmp_path / "trap.py").write_text(
        "from dspgraph import *\n\nclass Trap(Node):\n    '''Trap.'''\n    x = Input(Audio)\n    y = Output(Audio)\n\n"
        "    def step(self, state, x):\n        raise RuntimeError('no more')\n"
    )
    pipeline = _pipeline(HEAD + "  end: {node: trap, x: x}\noutputs: {y: end}\n")(tmp_path)
    result = dspgraph("render", pipeline, wav, "-o", tmp_path / "out", "--plugin", tmp_path / "trap.py")
    assert result.exit_code == 1
    assert "end (trap) failed in the block that ends at 0.500 s: RuntimeError: no more" in result.output
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize("command", ["render", "show"])
def test_a_computed_import_of_a_plugin_is_noted_once(tmp_path: Path, wav: Path, command: str) -> None:
    (tmp_path / f"by_name_{command}.py").write_text(
        "from importlib import import_module\nfrom dspgraph import *\n\nclass ByName(Node):\n    '''By name.'''\n"
        "    x = Input(Audio)\n    y = Output(Audio)\n\n    def step(self, state, x):\n"
        "        import_module('js' + 'on')\n        return state, x\n"
    )
    pipeline = _pipeline(HEAD + "  end: {node: by_name, x: x}\noutputs: {y: end}\n")(tmp_path)
    more = [wav, wav.with_name("other.wav"), "-o", tmp_path / "out"] if command == "render" else []
    wav.with_name("other.wav").write_bytes(wav.read_bytes())
    result = dspgraph(command, pipeline, *more, "--plugin", tmp_path / f"by_name_{command}.py")
    assert result.exit_code == 0, result.output
    assert result.stderr.count(f"by_name_{command}.py:10: a module is imported by a computed name") == 1
    assert "computed name" not in dspgraph("show", "lpc_vocoder").output


# ---- show, check, nodes, schema -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "head"), [("text", "scale:"), ("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg")]
)
def test_show_draws_the_graph(scale: Path, form: str, head: str) -> None:
    result = dspgraph("show", scale, "--plugin", TOYS, "--format", form)
    assert result.exit_code == 0, result.output
    assert head in result.output
    assert "toy_scale" in result.output


def test_show_names_variants_latency_and_the_nodes_that_hold_the_whole_signal(tmp_path: Path, scale: Path) -> None:
    assert "--swap end= toy_scale | late" in dspgraph("show", scale, "--plugin", TOYS).output
    late = dspgraph("show", scale, "--plugin", TOYS, "--swap", "end=late").output
    assert "6.25 ms" in late
    path = _pipeline(HEAD + "  end: {node: toy_peak, x: x}\noutputs: {y: end}\n")(tmp_path)
    assert "the whole signal" in dspgraph("show", path, "--plugin", TOYS).output


def test_show_of_a_wrong_graph_prints_nothing_but_the_error(tmp_path: Path) -> None:
    path = _pipeline("about: Wrong.\n" + HEAD + "  end: {node: toy_scale}\noutputs: {y: end}\n")(tmp_path)
    result = dspgraph("show", path, "--plugin", TOYS)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_node_can_be_set_by_the_name_that_show_prints(tmp_path: Path) -> None:
    """Set a node of a pipeline within a pipeline, by its name in the graph and by its path."""
    swap = ("--swap", "excitation=mulaw_residual")
    for name in ("excitation.codes", "excitation/codes"):
        result = dspgraph("show", "lpc_vocoder", *swap, "-s", f"{name}.levels=64")
        assert result.exit_code == 0, result.output
        assert "levels=64" in result.output


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
    path = _pipeline(HEAD + "  a: {node: toy_scale, x: x}\noutputs: {y: x}\n")(tmp_path)
    result = dspgraph("check", path, "--plugin", TOYS, "--seconds", "0.1")
    assert (result.exit_code, "the cut changes nothing" in result.output) == (0, True), result.output


@pytest.mark.parametrize("seconds", ["0", "-0.2", "nan", "1e-9"])
def test_a_check_of_nothing_is_refused(scale: Path, seconds: str) -> None:
    result = dspgraph("check", scale, "--plugin", TOYS, "--seconds", seconds)
    assert result.exit_code == 2, result.output
    assert "changes nothing" not in result.output
    assert "Traceback" not in result.output


def test_check_names_the_first_node_and_sample_that_differ(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "from dspgraph import *\n\nclass Forgets(Node):\n    '''Forget.'''\n    x = Input(Audio)\n    y = Output(Audio)\n\n"
        "    def step(self, state, x):\n        y = x.copy()\n        y[0] = 0\n        return state, y\n"
    )
    pipeline = _pipeline(HEAD + "  first: {node: toy_scale, x: x}\n  second: {node: forgets, x: first}\n"
                         "  third: {node: toy_scale, x: second}\noutputs: {y: third}\n")(tmp_path)  # fmt: skip
    result = dspgraph("check", pipeline, "--plugin", TOYS, "--plugin", tmp_path / "bad.py")
    assert result.exit_code == 1
    assert "cut into 1: 'second.y' differs first at item 1 of" in result.output
    assert "law 2: the cut changes nothing" in result.output


def test_nodes_lists_and_explains(scale: Path) -> None:
    listing = dspgraph("nodes", "--plugin", TOYS)
    assert "toy_scale" in listing.output
    assert "Multiply by a factor." in listing.output
    one = dspgraph("nodes", "toy_scale", "--plugin", TOYS)
    for part in (
        "Multiply by a factor.",
        "factor",
        "a number, at least -10, at most 10 (default 2)",
        "what to multiply by",
        "Audio",
    ):
        assert part in one.output
    wrong = dspgraph("nodes", "toy_scal", "--plugin", TOYS)
    assert wrong.exit_code == 2
    assert "did you mean 'toy_scale'?" in wrong.output


def test_a_piped_table_has_one_line_per_row_however_wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    summary = "Long [bold] :smile: " + "and long " * 40 + "words."
    (tmp_path / "long.py").write_text(
        f"from dspgraph import *\n\nclass Long(Node):\n    '''{summary}'''\n    x = Input(Audio)\n    y = Output(Audio)\n"
        f"    n: int = Field(1, description={summary!r})\n"
    )
    for command in (["nodes"], ["nodes", "long"]):
        lines = dspgraph(*command, "--plugin", tmp_path / "long.py").output.splitlines()
        assert any(line.startswith("  ") and line.endswith(summary) for line in lines)
        assert not any("\x1b" in line or line != line.rstrip() for line in lines)


@pytest.mark.process
def test_a_terminal_shows_a_progress_bar_and_a_pipe_plain_lines(tmp_path: Path, wav: Path, scale: Path) -> None:
    other = wav.with_name("other.wav")
    other.write_bytes(wav.read_bytes())
    request = ("render", scale, wav, other, tmp_path / "nothing.wav", "-o", tmp_path / "out", "--plugin", TOYS)
    targets = [str(tmp_path / "out" / name) for name in ("voice.flac", "other.flac")]
    shown = on_a_terminal(60, *request)
    assert "3/3" in shown
    assert all(target in shown for target in targets)
    piped = on_a_terminal(60, *request, piped=tmp_path / "list")
    assert "3/3" in piped
    assert "nothing.wav does not exist" in piped
    assert (tmp_path / "list").read_text().splitlines() == targets
    assert "\x1b" not in dspgraph(*request).output


def test_a_table_is_folded_at_the_width_of_a_terminal() -> None:
    shown = on_a_terminal(60, "nodes", "--plugin", TOYS)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "Multiply by a factor." in plain
    assert max(map(len, plain.splitlines())) <= 60


def test_pipelines_lists_every_shipped_one_with_its_purpose_and_slots() -> None:
    lines = [line.strip() for line in dspgraph("pipelines").output.splitlines()[1:]]
    shipped = {path.stem: yaml.safe_load(path.read_text()) for path in (paths.ROOT / "pipelines").glob("*.yaml")}
    assert [line.split()[0] for line in lines] == sorted(shipped)
    for line in lines:
        name, about, *slots = re.split("  +", line)
        assert about == shipped[name]["about"].strip()
        assert slots == ([f"slots: {', '.join(shipped[name]['variants'])}"] if "variants" in shipped[name] else [])


def test_info_gives_versions_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError, version

    from dspgraph.cli import info

    def no_world(package: str) -> str:
        if package == "pyworld":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(info, "version", no_world)
    lines = dict(line.split(maxsplit=1) for line in dspgraph("info").output.splitlines() if line.startswith(" "))
    assert lines["version"] == "0.1.0"
    assert lines["Python"].startswith(platform.python_version())
    assert lines["numpy"] == np.__version__
    assert lines["metrics"] == f"pesq {version('pesq')}, pystoi {version('pystoi')}"
    assert lines["world"] == "missing pyworld: pip install 'dspgraph[world]'"
    assert "dev" not in lines


def test_info_imports_none_of_the_packages_it_names() -> None:
    code = "import sys; from dspgraph.cli.main import main; main(['info'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "numba"} & set(done.stdout.splitlines()[-1].split())


def test_schema_prints_json() -> None:
    assert json.loads(dspgraph("schema", "--plugin", TOYS).output)["$defs"]["node.toy_scale"]


def test_python_m_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "dspgraph", "--version"], capture_output=True, text=True, check=True)
    assert "0.1.0" in done.stdout


@pytest.mark.parametrize("arguments", [("-o", ""), ("", "-o", "out")])
def test_an_empty_path_is_refused(scale: Path, wav: Path, arguments: tuple[str, ...]) -> None:
    result = dspgraph("render", scale, wav, *arguments, "--plugin", TOYS)
    assert result.exit_code == 2
    assert "an empty path names nothing" in result.stderr


def test_unprintable_characters_of_a_file_name_are_escaped(tmp_path: Path, wav: Path, scale: Path) -> None:
    """An escape sequence would colour the terminal; a line end would look like two files."""
    odd = wav.rename(wav.with_name("a\x1b[31m\nb.wav"))
    result = dspgraph("render", scale, odd, "-o", tmp_path / "out", "--plugin", TOYS)
    assert result.exit_code == 0
    assert result.stdout.endswith("a\\x1b[31m\\nb.flac\n")
    assert "\x1b" not in result.stdout


def test_a_node_that_calls_exit_is_an_error_not_a_success(tmp_path: Path, wav: Path, scale: Path) -> None:
    (tmp_path / "ends.py").write_text(
        "import sys\nfrom dspgraph import Audio, Input, Node, Output\n\n\nclass Ends(Node):\n    x = Input(Audio)\n"
        "    y = Output(Audio)\n\n    def step(self, state, x):\n        sys.exit(0)\n"
    )
    (tmp_path / "p.yaml").write_text(
        "inputs: {x: {audio: 16000}}\nnodes: {end: {node: ends, x: x}}\noutputs: {y: end}\n"
    )
    result = dspgraph("render", tmp_path / "p.yaml", wav, "-o", tmp_path / "out", "--plugin", tmp_path / "ends.py")
    assert result.exit_code == 2
    assert "ended the program (exit code 0); finished files are kept" in result.stderr
    assert leftovers(tmp_path / "out") == []


def test_traceback_shows_where_an_error_was_raised() -> None:
    plain, whole = dspgraph("show", "lpc_vocodr"), dspgraph("--traceback", "show", "lpc_vocodr")
    assert (plain.exit_code, whole.exit_code) == (2, 2)
    assert "Traceback" not in plain.output
    assert whole.output.startswith(plain.output)
    assert "Traceback" in whole.output
    assert "Traceback" not in dspgraph("show", "lpc_vocodr").output


def test_traceback_shows_the_line_of_a_node_that_fails_on_a_file(tmp_path: Path, wav: Path) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(
        "from dspgraph import Audio, Input, Node, Output\n\n\nclass Broken(Node):\n    x = Input(Audio)\n"
        "    y = Output(Audio)\n\n    def step(self, state, x):\n        return state, x / None\n"
    )
    pipeline = tmp_path / "broken.yaml"
    pipeline.write_text("inputs: {x: {audio: 16000}}\nnodes: {bad: {node: broken, x: x}}\noutputs: {y: bad}\n")
    common = ("render", pipeline, wav, "--plugin", plugin)
    result = dspgraph(*common, "-o", tmp_path / "plain")
    assert result.exit_code == 1
    assert f"({plugin}, line 9)" in result.output
    assert "Traceback" not in result.output
    result = dspgraph("--traceback", *common, "-j", "2", "-o", tmp_path / "whole")  # the worker prints it too
    assert "Traceback" in result.output
    assert "return state, x / None" in result.output


# ---- text of files at a terminal ------------------------------------------------------------------------------------


def test_show_escapes_the_text_of_a_file(tmp_path: Path) -> None:
    """`about`, the names of variants and the kinds of streams are free texts."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        'about: "a\\e]0;title\\a\\nforged"\ninputs: {x: {frames: "k\\e[31m", rate: 100, width: 1}}\n'
        "nodes: {end: {node: select_columns, frames: x, count: 1}}\noutputs: {y: end}\n"
        'variants: {end: {"v\\e[31m\\n": {node: select_columns, frames: x, count: 1}}}\n'
    )
    for form in ("text", "mermaid", "dot", "svg"):
        result = dspgraph("show", path, "--format", form)
        assert result.exit_code == 0, result.output
        assert all(line.isprintable() for line in result.output.split("\n")), result.output
        assert "x1b" in result.output
    lines = dspgraph("show", path).output.split("\n")
    assert lines[0] == r"mine: a\x1b]0;title\x07\nforged"
    assert lines[1] == r"--swap end= select_columns | v\x1b[31m\n"


def test_an_fft_too_short_for_the_voice_is_noted_before_the_run(tmp_path: Path, wav: Path) -> None:
    options = ["-s", "power.n_fft=512", "-s", "aperiodicity.n_fft=512"]
    runs: list[list[object]] = [
        ["show", "world"],
        ["render", "world", wav, "-o", tmp_path / "out"],
        ["compare", "world", wav, "-o", tmp_path / "c"],
    ]
    for arguments in runs:
        result = dspgraph(*arguments, *options)
        assert result.exit_code == 0, result.output
        assert "note: power: cheaptrick.n_fft is 512, too short for a pitch below 94 Hz" in result.stderr
