""".npz files of streams: a graph reads exactly the arrays and streams that another graph has written."""

import io
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio, Frames, Graph, Symbols, read_arrays, render
from dspgraph.errors import FileError, RequestError, SignalError
from dspgraph.io.arrays import LONGEST_LIST, ArraySink, ArraySource, stored_streams
from helpers.speech import speech
from helpers.surroundings import files_no_larger_than, no_longer_than
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
    """Return the sorted names of the files in a folder, without the ledger and the sidecars."""
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


@pytest.mark.parametrize("rows", [4, 2000])
def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path, rows: int) -> None:
    """If the disk has room for 50 bytes, one error is raised and no file is left.

    Few rows fail when the file is closed, because they wait in a buffer until then. Many rows do not fit into the
    buffer, so writing them fails. rows: the number of rows.
    """
    sink = ArraySink(tmp_path / "a.npz", {"lpc": STREAMS["lpc"]})

    def write() -> None:
        sink.write("lpc", np.ones((rows, 3)))
        sink.close()

    with files_no_larger_than(50):
        with pytest.raises(FileError, match=r"a\.npz cannot be written: File too large"):
            write()
        sink.discard()
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
    data[data.index(b"\x93NUMPY", data.index(b"lpc.npy")) + 200] ^= 1
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
    "a folder": (_folder, r"a\.npz is a folder, not a file"),
    "no archive": (lambda path: path.write_bytes(b"RIFF"), r"a\.npz is no \.npz file, or is damaged"),
    "truncated": (_cut, r"a\.npz is no \.npz file, or is damaged"),
    "a flipped bit": (_flipped, r"a\.npz is no \.npz file, or is damaged: Bad CRC-32 for file 'lpc\.npy'"),
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
        "'streams' does not describe the arrays: '1e400000' is not a number",
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


# ---- files that are meant to do harm --------------------------------------------------------------------------------


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _described(**fields: object) -> Callable[[Path], None]:
    return _words(json.dumps({"lpc": {"stream": "Frames", "rate": "100", "kind": "lpc", "width": 3, **fields}}))


def _npy(header: str, content: bytes = b"", version: bytes = b"\1\0", length: int | None = None) -> bytes:
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(header) if length is None else length)
    return b"\x93NUMPY" + version + size + header.encode() + content


def _members(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members:
                archive.writestr(name, content)

    return write


def _header(descr: str = "'<f8'", order: str = "False", shape: str = "(9, 3)") -> Callable[[Path], None]:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    return _members(("lpc.npy", _npy(header, bytes(9 * 3 * 8))))


def _changed(at: bytes, offset: int, fields: bytes, make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return a function that writes a file by `make`, then replaces some of its bytes by `fields`.

    The first replaced byte lies `offset` bytes after the first byte of the last place where the bytes `at` occur.
    """

    def write(path: Path) -> None:
        make(path)
        data = path.read_bytes()
        place = data.rindex(at) + offset
        path.write_bytes(data[:place] + fields + data[place + len(fields) :])

    return write


WHOLE = _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9, 3), }", bytes(9 * 3 * 8))
NO_ARRAY = "'lpc' is no array of numbers"
NO_WORDS = "'streams' does not describe the arrays"

HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (_pipe, r"a\.npz is no regular file"),
    "an endless device": (_endless, r"a\.npz is no regular file"),
    "a rate with too many digits": (_described(rate="1e999999999"), f"{NO_WORDS}: '1e999999999' is not a number"),
    "a centre with too many digits": (_described(centre="1e-999999999"), f"{NO_WORDS}: '1e-999999999' is not a number"),
    "a dtype that numpy parses": (_described(dtype=",,"), f"{NO_WORDS}: .*cannot have the dtype ',,'"),
    "a dtype of many types": (_described(dtype="f8," * 9999), f"{NO_WORDS}: .* cannot have the dtype"),
    "a dtype that is a list": (_described(dtype=[["a", "f8"]]), f"{NO_WORDS}: .*texts and numbers"),
    "a list of streams": (_words("[1, 2]"), f"{NO_WORDS}: it is no object"),
    "a number of streams": (_words("7"), NO_WORDS),
    "words of several texts": (
        lambda path: np.savez(path, lpc=np.ones((9, 3)), streams=np.array(["a", "b"])), f"{NO_WORDS}: it is not one text"
    ),
    "words that are numbers": (
        lambda path: np.savez(path, lpc=np.ones((9, 3)), streams=np.array(7)), f"{NO_WORDS}: it is not one text"
    ),
    "words without an end": (_words(" " * 300_000), f"{NO_WORDS}: it is not one text of at most 1048576 bytes"),
    "letters that are none": (
        _members(
            ("lpc.npy", WHOLE),
            ("streams.npy", _npy("{'descr': '<U1', 'fortran_order': False, 'shape': (), }", b"\xff" * 4)),
        ),
        NO_WORDS,
    ),
    "an open bracket": (_members(("lpc.npy", _npy("{'descr': '<i8'"))), NO_ARRAY),
    "nested signs": (_header(shape=f"({'-' * 6000}1,)"), NO_ARRAY),
    "nested brackets": (_header(shape="(" * 3000 + ")" * 3000), NO_ARRAY),
    "a sum of many numbers": (_header(shape=f"({'1+' * 4500}1,)"), NO_ARRAY),
    "a type that is none": (_header("'<i8,,'"), NO_ARRAY),
    "a type with a shape": (_header("'(9,3)<f8'", shape="(1,)"), "'lpc' has the shape"),
    "a type of no bytes": (_header("'V0'"), "is damaged: 'lpc' has 216 bytes; its shape"),
    "Python objects": (_header("'O'"), NO_ARRAY),
    "dates": (_header("'<M8[s]'"), r"'lpc' takes Frames\('lpc', 3 wide, .* found datetime64\[s\]: convert it first"),
    "a shape of truths": (_header(shape="(True, 3)"), rf"{NO_ARRAY}: its shape is \(True, 3\)$"),
    "a shape to be computed": (_header(shape="(9**9, 3)"), rf"{NO_ARRAY}: malformed node or string on line 1: <ast.BinOp>$"),
    "brackets that are not closed": (_header(shape="(" * 900), rf"{NO_ARRAY}: .{{,120}}$"),
    "another version": (lambda path: _members(("lpc.npy", b"\x93NUMPY\x09" + WHOLE[7:]))(path), rf"{NO_ARRAY}: its header has the version 9"),
    "a negative shape": (_header(shape="(-9, -3)"), NO_ARRAY),
    "a shape beyond memory": (_header(shape=f"({2**62}, {2**62})"), "is damaged: 'lpc' has 216 bytes; its shape"),
    "a shape of many digits": (_header(shape=f"({'9' * 4000}, 3)"), "is damaged: 'lpc' has 216 bytes; its shape"),
    "a shape of more digits than Python prints": (
        _header(shape=f"(0x{'f' * 4000}, 3)"), "is damaged: 'lpc' has 216 bytes; its shape .* takes an integer of"
    ),
    "a shape of more digits than Python prints, and a 0": (
        _members(("lpc.npy", _npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': (1, 0, 0x{'f' * 4000}), }}"))),
        "'lpc' has the shape ",
    ),
    "a negative shape of more digits than Python prints": (_header(shape=f"(-0x{'f' * 4000}, 3)"), NO_ARRAY),
    "another width": (
        lambda path: np.savez(path, lpc=np.ones((9, 4))), r"'lpc' has the shape \[9, 4\]; the graph takes .* \[n, 3\]"
    ),
    "more items than said": (_header(shape="(8, 3)"), "is damaged: 'lpc' has 216 bytes; .* takes 192"),
    "a version that is none": (_members(("lpc.npy", _npy("{}", version=b"\7\0"))), NO_ARRAY),
    "a header without an end": (_members(("lpc.npy", _npy(" " * 20_000, version=b"\2\0", length=2**32 - 1))), NO_ARRAY),
    "a name listed twice": (
        _changed(b"lpd.npy", 0, b"lpc", _changed(b"lpd.npy", 0, b"lpc", _members(("lpc.npy", WHOLE), ("lpd.npy", WHOLE)))),
        r"lists the array 'lpc' 2 times: make the file again",
    ),
    "bzip2": (_members(("lpc.npy", WHOLE), method=zipfile.ZIP_BZIP2), "compressed by a method that numpy does not write"),
    "lzma": (_members(("lpc.npy", WHOLE), method=zipfile.ZIP_LZMA), "compressed by a method that numpy does not write"),
    "a password": (
        _changed(b"PK\1\2", 8, b"\1\0", _members(("lpc.npy", WHOLE))), r"is no \.npz file, or is damaged: .* is encrypted"
    ),
    "a list of members without an end": (
        _members(("lpc.npy", WHOLE), *((f"{k}{'x' * 60_000}", b"") for k in range(18))),
        f"damaged: the list of its members has more than {LONGEST_LIST} bytes",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_one_sentence_at_once(tmp_path: Path, what: str) -> None:
    make, message = HOSTILE[what]
    path = save(tmp_path / "a.npz", arrays())
    make(path)
    with no_longer_than(10), pytest.raises(FileError, match=message) as raised:
        list(ArraySource(path, {"lpc": STREAMS["lpc"]}).blocks())
    said = str(raised.value)
    assert "\n" not in said and len(said) < 2500


def test_arrays_that_the_graph_does_not_take_are_neither_read_nor_believed(tmp_path: Path) -> None:
    described = {"lpc": {"stream": "Frames", "rate": "16000/441", "kind": "lpc", "width": 3, "centre": "1/3"},
                 "more": {"stream": "Frames", "rate": "1e999999999", "kind": ",,", "width": 0}}  # fmt: skip
    words = io.BytesIO()
    np.save(words, np.array(json.dumps(described)))
    _members(("lpc.npy", WHOLE), ("more.npy", b"no array"), ("streams.npy", words.getvalue()))(tmp_path / "a.npz")
    damaged = (tmp_path / "a.npz").read_bytes().replace(b"no array", b"of zeros")  # now its check sum is wrong
    (tmp_path / "a.npz").write_bytes(damaged)
    with no_longer_than(10):
        (block,) = ArraySource(tmp_path / "a.npz", {"lpc": STREAMS["lpc"]}).blocks()
    assert_array_equal(block["lpc"], np.zeros((9, 3)))


def test_a_small_file_does_not_become_a_huge_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", lpc=np.zeros((300_000, 3)))  # 7 MB in 7 KB
    (block,) = ArraySource(tmp_path / "a.npz", {"lpc": STREAMS["lpc"]}).blocks(Fraction(10_000))
    assert len(block["lpc"]) == 300_000
    monkeypatch.setattr("dspgraph.io.arrays.UNPACKED", 2**20)
    with pytest.raises(FileError, match=r"would unpack to 7200000, more than 100 times as many: .*numpy\.savez"):
        ArraySource(tmp_path / "a.npz", {"lpc": STREAMS["lpc"]})
    np.savez(tmp_path / "a.npz", lpc=np.zeros((300_000, 3)))  # the way out
    ArraySource(tmp_path / "a.npz", {"lpc": STREAMS["lpc"]})


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2"])
def test_any_layout_of_the_same_numbers_is_read(tmp_path: Path, dtype: str) -> None:
    kept = RNG.standard_normal((40, 3)).astype(dtype)
    for layout in (np.ascontiguousarray(kept), np.asfortranarray(kept)):
        np.savez(tmp_path / "a.npz", lpc=layout)
        blocks = list(ArraySource(tmp_path / "a.npz", {"lpc": STREAMS["lpc"]}).blocks(Fraction(1, 3)))
        assert_array_equal(np.concatenate([block["lpc"] for block in blocks]), kept)


def test_a_stream_that_is_slower_than_the_blocks_has_a_block_for_each_item(tmp_path: Path) -> None:
    streams = {"slow": Frames(Fraction(1, 10**9), "f0", 1), "fast": Frames(3, "f0", 1)}
    slow, fast = np.arange(5.0)[:, None], np.arange(7.0)[:, None]
    np.savez(tmp_path / "a.npz", slow=slow, fast=fast)
    with no_longer_than(10):
        blocks = list(ArraySource(tmp_path / "a.npz", streams).blocks())
    assert [(len(block["slow"]), len(block["fast"])) for block in blocks] == [(1, 3), (0, 3), (0, 1), *[(1, 0)] * 4]
    assert_array_equal(np.concatenate([block["slow"] for block in blocks]), slow)


def test_after_the_last_item_of_all_streams_there_is_no_block(tmp_path: Path) -> None:
    """One item at 0.4 Hz lasts 2.5 s, longer than two blocks of 1 s; but it comes in one block, and none follows."""
    np.savez(tmp_path / "a.npz", lpc=np.ones((1, 3)))
    (block,) = ArraySource(tmp_path / "a.npz", {"lpc": Frames(Fraction(2, 5), "lpc", 3)}).blocks()
    assert len(block["lpc"]) == 1


def test_without_room_to_unpack_the_error_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.npz", arrays())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(FileError, match="cannot be unpacked to the folder for temporary files: .*TMPDIR"):
        list(ArraySource(path, {"lpc": STREAMS["lpc"]}).blocks())


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


def test_on_a_full_disk_every_file_has_a_row_and_a_second_run_gives_the_same_bytes(tmp_path: Path, wav: Path) -> None:
    graph = Graph({"f": ToyFrames()}, {"f.x": "x"}, {"x": Audio(16000)}, {"frames": "f"})
    other = wav.with_name("other.wav")
    soundfile.write(other, speech()[8000:9000], 16000)
    render(graph, [wav, other], tmp_path / "whole")
    for room in (0, 100, 3000, 20_000):
        out = tmp_path / str(room)
        out.mkdir()
        (out / "ledger.jsonl").touch()
        with files_no_larger_than(room + 1), suppress(FileError):  # if there is no room for the ledger, the run ends
            rows = render(graph, [wav, other], out)
            assert all(not row.error or "cannot be written: File too large" in row.error for row in rows)
        assert not [path for path in out.iterdir() if path.name.endswith(".part")]
        assert all(row.error == "" for row in render(graph, [wav, other], out, retry_failed=True))
        for name in ("voice.npz", "other.npz"):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_streams_of_a_file_are_known_without_its_arrays(tmp_path: Path) -> None:
    whole = arrays()
    with ArraySink(tmp_path / "a.npz", STREAMS) as sink:
        for name, array in whole.items():
            sink.write(name, array)
    assert stored_streams(tmp_path / "a.npz") == STREAMS
    assert ArraySource(tmp_path / "a.npz", STREAMS).lengths == {name: len(array) for name, array in whole.items()}
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    assert stored_streams(tmp_path / "b.npz") == {}
    np.savez(tmp_path / "c.npz", x=np.zeros(3), streams=np.array('{"x": {"stream": "Video"}}'))
    with pytest.raises(
        FileError, match="c.npz: 'streams' does not describe the arrays: {'stream': 'Video'} is not a stream"
    ):
        stored_streams(tmp_path / "c.npz")


def test_what_was_written_is_read_with_its_streams(tmp_path: Path) -> None:
    whole = arrays()
    with ArraySink(tmp_path / "a.npz", STREAMS) as sink:
        for name, array in whole.items():
            sink.write(name, array)
    found = read_arrays(tmp_path / "a.npz")
    assert {name: stream for name, (stream, _) in found.items()} == STREAMS
    for name, array in whole.items():
        assert_array_equal(found[name][1], array)
        assert found[name][1].flags.writeable
    np.savez(tmp_path / "plain.npz", a=np.zeros(3))
    with pytest.raises(FileError, match="plain.npz does not say what its arrays are"):
        read_arrays(tmp_path / "plain.npz")
