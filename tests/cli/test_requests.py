"""Bad requests and bad files give a clear message without a traceback, and nothing is written for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.commands import HEAD, TOYS, dspgraph, leftovers, pipeline_file
from helpers.speech import speech


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


BAD_PIPELINES: dict[str, tuple[Any, list[str], str]] = {
    "no such pipeline": (lambda d: "lpc_vocodr", [], "no pipeline is called 'lpc_vocodr'; did you mean 'lpc_vocoder'?"),
    "no such pipeline file": (lambda d: d / "nothing.yaml", [], "nothing.yaml does not exist"),
    "a YAML syntax error": (pipeline_file("nodes: {a: [}\n"), [], "mine.yaml:1: not YAML"),
    "a binary file": (lambda d: _bytes(d / "mine.yaml", b"\xff\xfe\x00\x01"), [], "mine.yaml"),
    "an unwired port": (pipeline_file(HEAD + "  end: {node: toy_scale}\noutputs: {y: end}\n"), [], "nodes.end.x: end.x is not wired; it takes Audio"),
    "a kind mismatch": (pipeline_file(HEAD + "  end: {node: toy_energy, frames: x}\noutputs: {y: end.level}\n"), [], "'toy_frames' node between them"),
    "a loop": (pipeline_file(HEAD + "  a: {node: toy_scale, x: b}\n  b: {node: toy_scale, x: a}\noutputs: {y: b}\n"), [], "the graph has a loop: a -> b -> a"),
    "an unknown node": (pipeline_file(HEAD + "  end: {node: toy_scal, x: x}\noutputs: {y: end}\n"), [], "did you mean 'toy_scale'?"),
    "an import path": (pipeline_file(HEAD + "  end: {node: os.system, x: x}\noutputs: {y: end}\n"), [], "a pipeline names nodes, never an import path"),
    "code in a tag": (pipeline_file("inputs: !!python/object/apply:os.system ['touch /tmp/harm']\n"), [], "a pipeline holds plain values only"),
    "an unknown parameter": (pipeline_file(HEAD + "  end: {node: toy_scale, x: x, facter: 1}\noutputs: {y: end}\n"), [], "toy_scale has no parameter 'facter'; did you mean 'factor'?"),
    "an out-of-range value": (pipeline_file(HEAD + "  end: {node: toy_scale, x: x, factor: 11}\noutputs: {y: end}\n"), [], "must be a number, at least -10, at most 10"),
    "a circular extends": (pipeline_file("extends: mine.yaml\n"), [], "extend each other in a circle"),
    "an override of nothing": (lambda d: d / "scale.yaml", ["-s", "ent.factor=1"], "no node is called 'ent'; did you mean 'end'?"),
    "an override without a value": (lambda d: d / "scale.yaml", ["-s", "end.factor"], "write NODE.PARAMETER=VALUE"),
    "a swap of nothing": (lambda d: d / "scale.yaml", ["--swap", "end=lat"], "'end' has no variant 'lat'; did you mean 'late'?"),
    "a swap without a variant": (lambda d: d / "scale.yaml", ["--swap", "end"], "write SLOT=VARIANT"),
    "a plugin that is not there": (lambda d: d / "scale.yaml", ["--plugin", "nothing.py"], "nothing.py does not exist"),
    "a plugin that is no Python": (lambda d: _bytes(d / "bad.py", b"def (:\n") and d / "scale.yaml", ["--plugin", "{d}/bad.py"], "failed while it was imported: SyntaxError"),
    "a plugin without nodes": (lambda d: _bytes(d / "none.py", b"x = 1\n") and d / "scale.yaml", ["--plugin", "{d}/none.py"], "has no Node class in it"),
    "a plugin with a taken name": (lambda d: _bytes(d / "twice.py", Path(TOYS).read_bytes()) and d / "scale.yaml", ["--plugin", "{d}/twice.py"], "two nodes are called 'toy_"),
    "an output of rows with a name of its own": (pipeline_file(HEAD + "  end: {node: toy_frames, x: x}\noutputs: {streams: end}\n"), [], "a name that is reserved in .npz files"),
    "rows wanted, audio given": (pipeline_file("inputs: {f: {frames: wave, width: 4, rate: 100}}\nnodes: {end: {node: toy_energy, frames: f}}\noutputs: {y: end.level}\n"), [], "give it .npz files that hold these, not"),
    "two inputs": (pipeline_file("inputs: {x: {audio: 16000}, z: {audio: 16000}}\nnodes: {end: {node: toy_sum, x: [x, z]}}\noutputs: {y: end}\n"), [], "a graph with one audio input"),
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
    "a job for every atom": (lambda d: d / "scale.yaml", ["--jobs", "1000000000"], "jobs; found 1000000000"),
    "half a job": (lambda d: d / "scale.yaml", ["--jobs", "1.5"], "'1.5' is not a whole number such as 4"),
    "a timeout that is no number": (lambda d: d / "scale.yaml", ["--timeout", "nan"], "'nan' is not a number such as 16000"),
    "a timeout with an underscore": (lambda d: d / "scale.yaml", ["--timeout", "1_0"], "'1_0' is not a number such as 16000"),
    "an empty batch": (lambda d: d / "scale.yaml", ["--batch", "0"], "0 is not in the range x>=1"),
    "a format that is not written": (lambda d: d / "scale.yaml", ["--format", "mp3"], "'mp3' is not one of 'flac', 'wav', 'ogg'"),
    "results where the input is": (lambda d: d / "scale.yaml", ["{d}/in", "-o", "{d}/in"], "in is the output folder, its files are no inputs"),
    "two swaps of one slot": (lambda d: d / "scale.yaml", ["--swap", "end=late", "--swap", "end=toy_scale"], "swap end=late and swap end=toy_scale: one slot takes one variant"),
    "two swaps of one slot, by a dot and a slash": (lambda d: d / "scale.yaml", ["--swap", "a.b=c", "--swap", "a/b=d"], "swap a.b=c and swap a/b=d: one slot takes one variant"),
    "an override that is no value": (lambda d: d / "scale.yaml", ["-s", "end.factor=!!int 0b_"], "'end.factor=!!int 0b_': the value: '0b_' is no int"),
    "an override that holds itself": (lambda d: d / "scale.yaml", ["-s", "end.factor=&a [*a]"], "20 levels"),
    "an override into a list": (pipeline_file("nodes: [a, b]\n"), ["-s", "a.x=1"], "mine.yaml:1: nodes: must be a mapping"),
    "a control character": (pipeline_file("about: a\x01\n"), [], "mine.yaml:1: not YAML: special characters"),
    "a name longer than names are": (lambda d: "a" * 300, [], "no pipeline is called 'aaa"),
    "a plugin that leaves": (lambda d: _bytes(d / "leaves.py", b"import sys\nsys.exit(0)\n") and d / "scale.yaml", ["--plugin", "{d}/leaves.py"], "failed while it was imported: SystemExit: 0"),
    "an option given twice": (lambda d: d / "scale.yaml", ["--batch", "2", "--batch", "3"], "--batch is given 2 times: give it once"),
    "an option given twice by two names": (lambda d: d / "scale.yaml", ["-j", "1", "--jobs=1"], "--jobs is given 2 times"),
    "two values of one parameter": (lambda d: d / "scale.yaml", ["-s", "end.factor=1", "--set", "end.factor=2"], "'end.factor=1' and 'end.factor=2' set the same value: drop one of them"),
    "an option there is not": (lambda d: d / "scale.yaml", ["--fast"], "No such option"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_PIPELINES)
def test_a_bad_request_gives_a_clear_message_and_nothing_is_written(
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
    pipeline = pipeline_file(HEAD + "  a: {node: toy_frames, x: x}\n  b: {node: toy_frames, x: x, centre: 0.005}\n"
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
    pipeline = pipeline_file(HEAD + "  end: {node: trap, x: x}\noutputs: {y: end}\n")(tmp_path)
    result = dspgraph("render", pipeline, wav, "-o", tmp_path / "out", "--plugin", tmp_path / "trap.py")
    assert result.exit_code == 1
    assert "end (trap) failed in the block that ends at 0.500 s: RuntimeError: no more" in result.output
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["x" * 10**5], ["info", "x" * 10**5], ["render", "lpc_vocoder", "a.wav", "-o", "out", "--format", "x" * 10**5],
        ["plot", "--spectrogram", "x" * 10**5], ["show", "x" * 10**5],
    ],
    ids=["a command", "an argument", "a choice", "a file", "a pipeline"],
)  # fmt: skip
def test_a_message_does_not_repeat_a_long_argument(arguments: list[str]) -> None:
    result = dspgraph(*arguments)
    assert (result.exit_code, "xxx" in result.output) == (2, True)
    assert len(result.output) < 1000
