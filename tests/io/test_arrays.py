"""Features in files: what a graph gives as rows is what the next graph starts from."""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Frames, Graph, Symbols, render
from dspgraph.errors import FileError, RequestError, SignalError
from dspgraph.io.arrays import ArraySink, ArraySource
from helpers.speech import speech
from helpers.toys import ToyEnergy, ToyFrames

RNG = np.random.default_rng(80)
STREAMS = {
    "lpc": Frames(Fraction(16000, 441), "lpc", 3, Fraction(1, 3)),
    "spectrum": Frames(100, "spectrum", 5, dtype=np.complex64),
    "codes": Symbols(8000, "mulaw", 256),
    "x": Audio(16000, channels=2, dtype=np.float32),
}


def arrays(seconds: Fraction = Fraction(7, 3)) -> dict[str, Array]:
    count = {name: stream.count(seconds) for name, stream in STREAMS.items()}
    return {
        "lpc": RNG.standard_normal((count["lpc"], 3)),
        "spectrum": (RNG.standard_normal((count["spectrum"], 5)) * (1 + 2j)).astype(np.complex64),
        "codes": RNG.integers(0, 256, count["codes"]),
        "x": RNG.standard_normal((count["x"], 2)).astype(np.float32),
    }


def save(path: Path, signals: dict[str, Array], cut: int = 37) -> Path:
    with ArraySink(path, STREAMS) as sink:
        for name, array in signals.items():
            for at in range(0, len(array), cut):
                sink.write(name, array[at : at + cut])
        sink.close()
    return path


def names(folder: Path) -> list[str]:
    """The names in a folder, without the ledger and the sidecars."""
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".json", ".jsonl"))


def test_numpy_reads_what_is_written_and_json_says_what_it_is(tmp_path: Path) -> None:
    signals = arrays()
    with np.load(save(tmp_path / "a.npz", signals), allow_pickle=False) as file:
        assert sorted(file) == sorted([*STREAMS, "streams"])
        for name, array in signals.items():
            assert file[name].dtype == array.dtype
            assert_array_equal(file[name], array)
        said = json.loads(str(file["streams"]))
    assert said["lpc"] == {
        "stream": "Frames",
        "rate": "16000/441",
        "kind": "lpc",
        "width": 3,
        "centre": "1/3",
        "dtype": "float64",
    }
    assert said["codes"] == {"stream": "Symbols", "rate": "8000", "kind": "mulaw", "size": 256, "precision": "float64"}
    assert names(tmp_path) == ["a.npz"]


def test_what_is_read_in_blocks_is_what_was_written(tmp_path: Path) -> None:
    signals = arrays()
    blocks = list(ArraySource(save(tmp_path / "a.npz", signals), STREAMS).blocks(Fraction(1, 10)))
    assert len(blocks) == 24  # 2.33 s
    for name, array in signals.items():
        assert_array_equal(np.concatenate([block[name] for block in blocks]), array)


def test_equal_arrays_give_equal_bytes_however_they_were_cut(tmp_path: Path) -> None:
    signals = arrays()
    assert save(tmp_path / "a.npz", signals).read_bytes() == save(tmp_path / "b.npz", signals, 1000).read_bytes()


def test_files_of_numpy_alone_are_read_too(tmp_path: Path) -> None:
    signals = arrays()
    for saves in (np.savez, np.savez_compressed):
        saves(tmp_path / "a.npz", **signals)  # type: ignore[arg-type]  # numpy's stub takes the names for allow_pickle
        (block,) = ArraySource(tmp_path / "a.npz", STREAMS).blocks(Fraction(10))
        assert_array_equal(block["lpc"], signals["lpc"])


def test_an_interrupted_file_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> None:
        with ArraySink(tmp_path / "a.npz", STREAMS) as sink:
            sink.write("lpc", np.ones((4, 3)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == []


def test_numbers_that_are_not_finite_are_named(tmp_path: Path) -> None:
    signals = {"spectrum": np.ones((200, 5), np.complex64)}
    signals["spectrum"][140, 3] = np.nan
    with pytest.raises(SignalError, match=r"'spectrum' .*a\.npz is not finite from item 140 \(1\.400 s\)"):
        save(tmp_path / "a.npz", signals)
    assert names(tmp_path) == []


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _objects(path: Path) -> None:
    np.savez(path, lpc=np.array([{}, []], object))


def _words(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        np.savez(path, lpc=np.ones((9, 3)), streams=np.array(text))

    return write


def _raw(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lpc.npy", b"none of numpy's")


def _nested(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lpc", b"an array, if it were named so")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, r"a\.npz does not exist"),
    "a folder": (_folder, r"a\.npz cannot be read: Is a directory"),
    "no archive": (lambda path: path.write_bytes(b"RIFF"), r"a\.npz is no \.npz file, or is damaged"),
    "truncated": (_cut, r"a\.npz is no \.npz file, or is damaged"),
    "a flipped bit": (_flipped, r"a\.npz is damaged: the check sum of 'x\.npy' is wrong"),
    "objects": (_objects, "'lpc' is no array of numbers"),
    "no numpy file": (_raw, "'lpc' is no array of numbers"),
    "nothing in it": (lambda path: np.savez(path), "has no array 'lpc', .*; there are: nothing"),
    "another name": (lambda path: np.savez(path, lcp=np.ones(3)), "has no array 'lpc', .*; there are: lcp"),
    "no items": (lambda path: np.savez(path, lpc=np.ones((0, 3))), "'lpc' has no items"),
    "one number": (lambda path: np.savez(path, lpc=np.array(3.0)), "'lpc' has no items"),
    "words that are no JSON": (_words("{"), "'streams' does not describe the arrays"),
    "words about no stream": (_words('{"lpc": {"stream": "Node"}}'), "'streams' does not describe the arrays"),
    "words that never end": (_words("[" * 99_999), "'streams' does not describe the arrays"),
    "a rate beyond numbers": (
        _words('{"lpc": {"stream": "Frames", "kind": "lpc", "rate": "1e400000", "width": 3}}'),
        "'streams' does not describe the arrays: a stream has a rate above 0 Hz and below",
    ),
    "another class of stream": (
        _words('{"lpc": {"stream": "Symbols", "kind": "lpc", "rate": "100", "size": 3}}'),
        r"'lpc' is Symbols\('lpc', 3 levels, 100 Hz\); the graph takes Frames",
    ),
    "a name without its suffix": (_nested, "has no array 'lpc', .*; there are: nothing"),
    "another rate": (
        _words('{"lpc": {"stream": "Frames", "kind": "lpc", "rate": "100", "width": 3, "centre": "1/3"}}'),
        r"'lpc' is Frames\('lpc', 3 wide, 100 Hz, .*; the graph takes Frames\('lpc', 3 wide, 16000/441 Hz",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_an_error_that_names_it(tmp_path: Path, what: str) -> None:
    make, message = BAD[what]
    path = save(tmp_path / "a.npz", arrays())
    make(path)
    with pytest.raises(FileError, match=message):
        list(ArraySource(path, {"lpc": STREAMS["lpc"]}).blocks())


@pytest.mark.parametrize("saves", [np.savez, np.savez_compressed])
def test_a_flipped_byte_is_a_file_error_or_harms_nothing(tmp_path: Path, saves: Callable[..., None]) -> None:
    path, kept = tmp_path / "a.npz", RNG.standard_normal((9, 3))
    saves(path, lpc=kept)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with suppress(FileError):
            (block,) = ArraySource(path, {"lpc": STREAMS["lpc"]}).blocks()
            assert_array_equal(block["lpc"], kept)


def test_a_name_that_leads_out_of_the_archive_leads_nowhere(tmp_path: Path) -> None:
    out = tmp_path / "in" / "a.npz"
    out.parent.mkdir()
    held = io.BytesIO()
    np.save(held, np.ones((9, 3)))
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../lpc.npy", held.getvalue())
    list(ArraySource(out, {"../lpc": STREAMS["lpc"]}).blocks())
    assert names(tmp_path) == ["in"]


# ---- rendering ------------------------------------------------------------------------------------------------------


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "voice.wav", speech()[8000:19999], 16000)
    return tmp_path / "voice.wav"


def test_a_graph_starts_from_the_features_another_one_wrote(tmp_path: Path, wav: Path) -> None:
    frames, energy = ToyFrames(), ToyEnergy()
    whole = Graph({"f": frames, "e": energy}, {"f.x": "x", "e.frames": "f"}, {"x": Audio(16000)}, {"y": "e.level"})
    first = Graph({"f": frames}, {"f.x": "x"}, {"x": Audio(16000)}, {"frames": "f", "dry": "x"})
    second = Graph({"e": energy}, {"e.frames": "frames"}, {"frames": first.outputs["frames"]}, {"y": "e.level"})
    (row,) = render(first, [wav], tmp_path / "features")
    assert row.error == ""
    assert names(tmp_path / "features") == ["voice.flac", "voice.npz"]
    (again,) = render(second, [tmp_path / "features" / "voice.npz"], tmp_path / "out")
    assert again.error == ""
    (straight,) = render(whole, [wav], tmp_path / "whole")
    assert again.targets[0].read_bytes() == straight.targets[0].read_bytes()


def test_a_row_that_fails_leaves_neither_audio_nor_features(tmp_path: Path, wav: Path) -> None:
    graph = Graph({"f": ToyFrames()}, {"f.x": "x"}, {"x": Audio(16000)}, {"frames": "f", "dry": "x"})
    (tmp_path / "out" / "voice.npz").mkdir(parents=True)
    (row,) = render(graph, [wav], tmp_path / "out")
    assert "voice.npz is a folder" in row.error
    assert names(tmp_path / "out") == ["voice.npz"]


def test_streams_that_end_at_different_times_are_a_row(tmp_path: Path) -> None:
    two = Graph({}, {}, {"a": Frames(100, "f0", 1), "b": Frames(50, "f0", 1)}, {"c": "a", "d": "b"})
    np.savez(tmp_path / "v.npz", a=np.ones((100, 1)), b=np.ones((40, 1)))
    (row,) = render(two, [tmp_path / "v.npz"], tmp_path / "out")
    assert "the inputs end at different times" in row.error
    assert names(tmp_path / "out") == []


def test_audio_is_no_features(tmp_path: Path, wav: Path) -> None:
    graph = Graph({"e": ToyEnergy()}, {"e.frames": "f"}, {"f": Frames(100, "wave", 4)}, {"y": "e.level"})
    with pytest.raises(RequestError, match=r"this one takes f: Frames\('wave', 4 wide, 100 Hz\): give it \.npz files"):
        render(graph, [wav], tmp_path / "out")
    assert not (tmp_path / "out").exists()
