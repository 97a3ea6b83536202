"""The sidecar of a result: what the result is, and what it was made from."""

import hashlib
import json
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dspgraph import Array, Audio, File, Graph, Input, Node, Output, State, render
from dspgraph.closure import closure
from dspgraph.io.arrays import ArraySource
from dspgraph.registry import load_all
from dspgraph.rendering.render import render_file
from helpers.paths import TOYS
from helpers.renderings import everything, graph, noisy, said
from helpers.speech import speech
from helpers.toys import ToyEnergy, ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum


class Tabled(Node):
    """Return the signal; the parameter `table` is a file, which the node does not read."""

    x = Input(Audio)
    y = Output(Audio)

    table: File

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x


def test_the_sidecar_says_what_the_outputs_are_and_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "v.wav", np.stack([speech()[:44100], speech()[:44100]], axis=1), 44100, "DOUBLE")
    manifest = tmp_path / "in" / "m.jsonl"
    manifest.write_text('{"id": "s/v", "path": "v.wav", "start": 0.25, "duration": "0.5", "channel": 1}')
    (row,) = render(noisy(), [manifest], tmp_path / "out")
    found = said(tmp_path / "out", "s/v")
    assert list(found) == [
        "id",
        "source",
        "input",
        "digest",
        "reader",
        "format",
        "start",
        "duration",
        "channel",
        "notes",
        "outputs",
        "graph",
    ]
    assert (found["id"], found["source"], found["format"]) == ("s/v", f"{tmp_path}/in/v.wav", "flac:PCM_24")
    assert (found["start"], found["duration"], found["channel"]) == ("1/4", "1/2", 1)
    assert found["digest"] == noisy().digest
    source = closure("dspgraph.io.audio", "dspgraph.io.arrays").digest
    assert found["reader"] == {"source": source, **{name: version(name) for name in ("numpy", "soundfile", "soxr")}}
    assert tuple(found["notes"]) == row.notes == ("resampled from 44100 Hz to 16000 Hz", "took channel 1 of 2")
    assert {name: (one["file"], one["items"]) for name, one in found["outputs"].items()} == {
        "y": ("v.y.flac", 8000), "z": ("v.z.flac", 8000), "rows": ("v.npz", 80)
    }  # fmt: skip
    assert {"stream": "Frames", "rate": "160", "kind": "wave", "width": 100}.items() <= found["outputs"]["rows"].items()
    audio = {
        "stream": "Audio",
        "rate": "16000",
        "channels": 1,
        "dtype": "float64",
        "subtype": "PCM_24",
        "dither": "none",
    }
    assert audio.items() <= found["outputs"]["y"].items()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_hash_is_of_the_samples_as_they_were_computed(tmp_path: Path, dtype: type) -> None:
    """The hash is taken before the samples are encoded, so it is the same for all file formats."""
    soundfile.write(tmp_path / "v.wav", speech()[:20000], 16000)
    x = soundfile.read(tmp_path / "v.wav")[0].astype(dtype)
    whole = noisy()
    exact = Graph(whole.nodes, whole.wires, {"x": Audio(16000, dtype=dtype)}, whole.origins, seed=7)
    wanted = {name: hashlib.sha256(samples.tobytes()).hexdigest() for name, samples in exact(x=x).items()}
    for suffix in ".flac", ".ogg":
        render(exact, [tmp_path / "v.wav"], tmp_path / "out", suffix)
        found = said(tmp_path / "out", "v")["outputs"]
        assert {name: one["sha256"] for name, one in found.items()} == wanted


def test_the_sidecar_is_the_same_in_every_run(tmp_path: Path, good: Path) -> None:
    for out in "a", "b":
        render(noisy(), [good], tmp_path / out)
    assert (tmp_path / "a" / "good.json").read_bytes() == (tmp_path / "b" / "good.json").read_bytes()


def test_the_sidecar_is_enough_to_make_the_graph_again(tmp_path: Path, good: Path) -> None:
    """A graph made from the sidecar and the classes of the nodes alone gives the same bytes."""
    render(noisy(), [good], tmp_path / "out")
    found = said(tmp_path / "out", "good")["graph"]
    classes = load_all([TOYS])
    by_name = {kind.type_name: kind for kind in (ToyFrames, ToyLate, ToyNoise, ToyPeak, ToyScale, ToySum)}
    assert by_name.keys() <= classes.keys()
    nodes = {name: by_name[node["type"]](**node["parameters"]) for name, node in found["nodes"].items()}
    wires = {
        f"{name}.{port}": origin if isinstance(origin, str) else tuple(origin)
        for name, node in found["nodes"].items()
        for port, origin in node["wires"].items()
    }
    inputs = {
        name: Audio(Fraction(one["rate"]), one["channels"], one["dtype"]) for name, one in found["inputs"].items()
    }
    again = Graph(nodes, wires, inputs, found["outputs"], seed=found["seed"])
    assert again.digest == noisy().digest
    render(again, [good], tmp_path / "again")
    assert everything(tmp_path / "again") == everything(tmp_path / "out")


def test_the_sidecar_holds_the_sources_of_the_graph(tmp_path: Path, good: Path) -> None:
    (tmp_path / "table").write_text("1")
    one = graph(Tabled(table=str(tmp_path / "table")))
    render(one, [good], tmp_path / "out")
    found = said(tmp_path / "out", "good")["graph"]
    assert found == json.loads(json.dumps(one.description))
    assert found["versions"]["numpy"] == np.__version__
    assert list(found["sources"].values()) == [["tabled"]]


def test_outputs_without_audio_have_a_sidecar_too(tmp_path: Path, good: Path) -> None:
    nodes = {"f": ToyFrames(), "e": ToyEnergy()}
    rows = Graph(nodes, {"f.x": "x", "e.frames": "f"}, {"x": Audio(16000)}, {"level": "e.level", "sign": "e.sign"})
    render(rows, [good], tmp_path / "out")
    found = said(tmp_path / "out", "good")["outputs"]
    (blocks,) = ArraySource(tmp_path / "out" / "good.npz", rows.outputs).blocks(Fraction(10))
    for name, array in blocks.items():
        assert found[name]["sha256"] == hashlib.sha256(array.tobytes()).hexdigest()
        assert (found[name]["file"], found[name]["items"]) == ("good.npz", 50)


def test_render_file_writes_no_sidecar(tmp_path: Path, good: Path) -> None:
    row = render_file(graph(), good, {"y": tmp_path / "voice.flac"})
    assert (row.error, row.targets) == ("", (tmp_path / "voice.flac",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "voice.flac"]
