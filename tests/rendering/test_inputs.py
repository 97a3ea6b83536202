"""Several audio files as inputs of one graph: lengths and rates, batches, resuming, manifests, and refused requests."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio, Frames, Graph, render
from dspgraph.cli.main import main
from dspgraph.errors import RequestError
from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.inputs import AlignedFiles
from helpers.renderings import everything, names
from helpers.speech import speech
from helpers.toys import ToySum

PIPELINE = """
inputs:
  a: {audio: 16000}
  b: {audio: 16000}
nodes:
  sum: {node: mix, x: [a, b]}
outputs:
  y: sum
"""


def both(**inputs: Audio) -> Graph:
    streams = inputs or {"a": Audio(16000), "b": Audio(16000)}
    return Graph({"sum": ToySum()}, {"sum.x": list(streams)}, streams, {"y": "sum"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a.wav (2.5 s), short.wav (1.25 s), long.wav (4 s) at 16 kHz, slow.wav (1.875 s) at 8 kHz."""
    for name, begin, end in (("a", 0, 40000), ("short", 8000, 28000), ("long", 0, 64000)):
        soundfile.write(tmp_path / f"{name}.wav", speech()[begin:end], 16000, "DOUBLE")
    soundfile.write(tmp_path / "slow.wav", speech()[:30000:2], 8000, "DOUBLE")
    return tmp_path


def rendered(folder: Path, other: str, out: str = "out") -> Array:
    files = {"a": folder / "a.wav", "b": folder / other}
    (row,) = render(both(), [files], folder / out, ".wav")
    assert not row.error
    return np.asarray(soundfile.read(folder / out / "a.wav")[0])


@pytest.mark.parametrize(
    ("other", "expected", "said"),
    [
        (
            "short.wav",
            np.append(speech()[8000:28000], np.zeros(20000)),
            "b: 1.25 s of silence added, to last as long as 'a'",
        ),
        ("long.wav", speech()[:40000], "b: cut at 2.5 s, where 'a' ends"),
        ("a.wav", speech()[:40000], ""),
    ],
)
def test_the_first_file_decides_how_long_the_signal_lasts(folder: Path, other: str, expected: Array, said: str) -> None:
    assert_allclose(rendered(folder, other), speech()[:40000] + expected, rtol=0, atol=1e-7)
    sidecar = json.loads((folder / "out" / "a.json").read_text())
    assert sidecar["notes"] == ([said] if said else [])
    assert {name: Path(one["path"]).name for name, one in sidecar["inputs"].items()} == {"a": "a.wav", "b": other}


def test_files_of_other_rates_are_converted_and_the_blocks_end_together(folder: Path) -> None:
    streams = {"a": Audio(16000), "b": Audio(11025)}
    files = AlignedFiles({name: (folder / f"{file}.wav", streams[name]) for name, file in (("a", "a"), ("b", "slow"))})
    given = {"a": 0, "b": 0}
    for block in files.blocks():
        given = {name: count + len(block[name]) for name, count in given.items()}
        assert given["b"] == -(-given["a"] * 11025 // 16000)
    assert given == {"a": 40000, "b": 27563}  # 2.5 s, rounded up to whole samples
    assert files.notes == [
        "b: resampled from 8000 Hz to 11025 Hz",
        "b: 0.625034 s of silence added, to last as long as 'a'",
    ]


def test_processes_and_batches_change_nothing(folder: Path) -> None:
    files = [{"a": folder / f"{name}.wav", "b": folder / "long.wav"} for name in ("a", "short")]
    for out, settings in (("one", {}), ("two", {"batch": 2}), ("three", {"executor": Processes(2)})):
        assert not any(row.error for row in render(both(), files, folder / out, ".wav", **settings))
    for name in ("a.wav", "short.wav"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()
        assert (folder / "one" / name).read_bytes() == (folder / "three" / name).read_bytes()


def test_a_change_of_any_file_is_seen_by_a_resumed_run(folder: Path) -> None:
    first = rendered(folder, "short.wav")
    stamp = (folder / "out" / "a.wav").stat().st_mtime_ns
    files = {"a": folder / "a.wav", "b": folder / "short.wav"}
    render(both(), [files], folder / "out", ".wav", resume=True)
    assert (folder / "out" / "a.wav").stat().st_mtime_ns == stamp
    soundfile.write(folder / "short.wav", np.zeros(20000), 16000, "DOUBLE")
    render(both(), [files], folder / "out", ".wav", resume=True)
    assert not np.array_equal(soundfile.read(folder / "out" / "a.wav")[0], first)


@pytest.mark.parametrize("missing", ["a", "short"])
def test_older_results_stay_while_any_input_file_is_missing(folder: Path, missing: str) -> None:
    """The item fails with an error that names the missing file, and its older results stay unchanged.

    Perhaps the disk of the file is not mounted.
    """
    files = {"a": folder / "a.wav", "b": folder / "short.wav"}
    render(both(), [files], folder / "out")
    before = everything(folder / "out")
    (folder / f"{missing}.wav").unlink()
    (row,) = render(both(), [files], folder / "out")
    assert f"{missing}.wav" in row.error
    assert everything(folder / "out") == before


def test_a_manifest_has_a_column_for_each_input(folder: Path) -> None:
    (folder / "list.csv").write_text("id,a,b,note\none,a.wav,long.wav,x\ntwo,long.wav,short.wav,y\n")
    (folder / "list.jsonl").write_text(
        '{"id": "three", "a": "a.wav", "b": "short.wav"}\n{"a": "short.wav", "b": "a.wav"}\n'
    )
    said: list[str] = []
    manifests = [folder / "list.csv", folder / "list.jsonl"]
    rows = render(both(), manifests, folder / "out", ".wav", note=said.append)
    assert [(row.id, row.error) for row in rows] == [("one", ""), ("two", ""), ("three", ""), ("short", "")]
    assert said == [f"{folder / 'list.csv'}: columns not used: note"]
    lengths = {name: len(soundfile.read(folder / "out" / name)[0]) for name in names(folder / "out")}
    assert lengths == {"one.wav": 40000, "two.wav": 64000, "three.wav": 40000, "short.wav": 20000}


def test_the_command_takes_a_file_for_each_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "mix.yaml").write_text(PIPELINE)
    words = ["render", "mix.yaml", "a=a.wav", "b=long.wav", "-o", "out", "--format", "wav"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert_allclose(soundfile.read("out/a.wav")[0], 2 * speech()[:40000], rtol=0, atol=1e-7)
    again = CliRunner().invoke(main, [*words, "--resume"])
    assert again.exit_code == 0, again.output
    assert "a=a.wav b=long.wav" in (folder / "out" / "ledger.jsonl").read_text()
    for given, message in (
        (["a=a.wav"], "the input 'b' has no file: write b=FILE too"),
        (["a=a.wav", "a=long.wav", "b=a.wav"], "the input 'a' is given two files, a.wav and long.wav: give it one"),
        (["a=", "b=a.wav"], "a= names no file: write a=FILE"),
        (["a.wav"], "name the input of each file, as in a=a.wav, or give it .npz files"),
    ):
        refused = CliRunner().invoke(main, ["render", "mix.yaml", *given, "-o", "out2"])
        assert refused.exit_code != 0
        assert message in " ".join(str(refused.exception or refused.output).split()) + refused.output


def test_inputs_that_do_not_fit_are_refused_and_a_missing_file_is_a_failed_item(folder: Path) -> None:
    with pytest.raises(
        RequestError, match=r"a: the graph takes a: Audio.*; found files for a, c: give one audio file for"
    ):
        render(both(), [{"a": folder / "a.wav", "c": folder / "a.wav"}], folder / "out")
    rows = Graph({"sum": ToySum()}, {"sum.x": ["a"]}, {"a": Audio(16000), "f": Frames(100, "f0", 1)}, {"y": "sum"})
    with pytest.raises(RequestError, match="and .npz files if one is not audio"):
        render(rows, [{"a": folder / "a.wav", "f": folder / "a.wav"}], folder / "out")
    with pytest.raises(RequestError, match="a mapping of inputs to files is empty"):
        render(both(), [{}], folder / "out")
    with pytest.raises(RequestError, match="would overwrite an input file"):
        render(
            both(),
            [{"a": folder / "long.wav", "b": folder / "a.wav"}, {"a": folder / "a.wav", "b": folder / "long.wav"}],
            folder,
            ".wav",
        )
    for text, message in (
        ("a,b\na.wav,\n", "line 2: 'b' is missing or not a path; found a"),
        ("a,b,start\na.wav,a.wav,1\n", "start, duration and channel are for items with one file"),
    ):
        (folder / "bad.csv").write_text(text)
        with pytest.raises(RequestError, match=message):
            render(both(), [folder / "bad.csv"], folder / "out")
    (missing,) = render(both(), [{"a": folder / "a.wav", "b": folder / "none.wav"}], folder / "out")
    assert "none.wav" in missing.error
    assert_array_equal(names(folder / "out"), [])
