"""Manifests: columns of other programs, parts of files, limits, and files that are not manifests."""

import gzip
import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dspgraph.errors import RequestError
from dspgraph.io.audio import AUDIO_SUFFIXES
from dspgraph.rendering import manifests
from dspgraph.rendering.corpus import gather
from dspgraph.rendering.item import Item


def written(folder: Path, name: str, lines: list[Any]) -> Path:
    path = folder / name
    text = "\n".join(map(json.dumps, lines)).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def items(folder: Path, *lines: Any, name: str = "m.jsonl") -> list[Item]:
    return gather([written(folder, name, list(lines))], AUDIO_SUFFIXES)


def refusal(folder: Path, *lines: Any, name: str = "m.jsonl") -> str:
    with pytest.raises(RequestError) as refused:
        items(folder, *lines, name=name)
    assert len(str(refused.value)) < 700
    return str(refused.value)


# ---- times ----------------------------------------------------------------------------------------------------------

QUARTER = (Fraction(1, 4), Fraction(1, 2))
"""The part from 0.25 s to 0.75 s, as start and duration."""

SAME_PART: list[dict[str, Any]] = [
    {"start": 0.25, "duration": 0.5},
    {"offset": 0.25, "duration": 0.5},
    {"offset": "0.25", "dur": "0.5"},
    {"begin": 0.25, "end": 0.75},
    {"start": 0.25, "stop": 0.75},
    {"start": 0.25, "finish_time": 0.75},
    {"onset": 0.25, "end": 0.75},
    {"start": 0.25, "offset": 0.25, "end": 0.75, "duration": 0.5},
    {"start": 0.25, "offset": None, "end": 0.75},
    {"Start": 0.25, "END": 0.75},
    {"startTime": 0.25, "endTime": 0.75},
    {"start_time": 0.25, "end_time": 0.75},
    {"segment_start": 0.25, "segment_end": 0.75},
    {"start_sec": 0.25, "duration_s": 0.5},
    {"begin time (s)": 0.25, "length (s)": 0.5},
    {"start": 0.25, "duration": 0.5, "end": 0.752},
    {"start": 0.25, "duration": 0.5, "start_ms": 250, "length": 8000},
    {"start": 0.25, "end": 0.75, "length": 8000},
]


@pytest.mark.parametrize("columns", SAME_PART, ids=str)
def test_a_part_is_the_same_under_all_names_of_its_columns(tmp_path: Path, columns: dict[str, Any]) -> None:
    (item,) = items(tmp_path, {"id": "a", "path": "a.wav", **columns})
    assert (item.start, item.duration) == QUARTER
    table = {name: value for name, value in columns.items() if value is not None}
    (tmp_path / "m.csv").write_text(f"id,path,{','.join(table)}\na,a.wav,{','.join(map(str, table.values()))}\n")
    assert gather([tmp_path / "m.csv"], AUDIO_SUFFIXES) == [item]


def test_an_end_without_a_start_begins_with_the_file(tmp_path: Path) -> None:
    (item,) = items(tmp_path, {"path": "a.wav", "end": 0.75})
    assert (item.start, item.duration) == (Fraction(0), Fraction(3, 4))


OTHER_COLUMNS: list[dict[str, Any]] = [
    {"text": "from end to end", "speaker": 3, "sampling_rate": 16000, "num_samples": 16000, "num_frames": 100},
    {"text_length": 7, "end_of_sentence": 1, "started_by": 2, "endpoint": 3, "backend": 1},
    {"from": "a radio", "to": "", "length": "long"},
    {"Text": "a", "text": "b", "#": 1, "%": 2},
]


@pytest.mark.parametrize("columns", OTHER_COLUMNS, ids=str)
def test_other_columns_are_ignored(tmp_path: Path, columns: dict[str, Any]) -> None:
    assert items(tmp_path, {"path": "a.wav", **columns}) == [Item("a", tmp_path / "a.wav")]


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "two starts": ({"start": 0, "offset": 0.25}, "'start' (0) and 'offset' (0.25) both give the start of the part: keep one of them, as 'start'"),
    "onset and offset": ({"onset": 0.25, "offset": 0.75}, "'onset' (0.25) and 'offset' (0.75) both give the start"),
    "two ends": ({"end": 1, "stop": 2}, "'end' (1) and 'stop' (2) both give the end"),
    "two durations": ({"dur": 1, "duration": 2}, "'dur' (1) and 'duration' (2) both give the duration"),
    "an end and a duration": ({"offset": 0.25, "duration": 0.5, "end": 1}, "by 'duration' the part ends at 0.75 s, by 'end' at 1 s: correct one of them"),
    "an end before the start": ({"begin": 2, "stop": 1}, "the part ends at 1 s ('stop'), not after its start at 2 s"),
    "an end of 0": ({"end": 0}, "the part ends at 0 s ('end'), not after its start at 0 s"),
    "a dur of 0": ({"dur": 0}, "'dur' is 0; leave it out to take the rest of the file"),
    "an end below 0": ({"end": -1}, "'end' must not be below 0; found -1"),
    "an end that is no number": ({"stop": "soon"}, "'stop' must be a number of seconds, such as 0.25; found 'soon'"),
    "milliseconds": ({"start_ms": 250}, "'start_ms' may be a time, but not surely in seconds: rename it to 'start', in seconds, or leave it out"),
    "samples": ({"start": 0.25, "end_sample": 12000}, "'end_sample' may be a time, but not surely in seconds: rename it to 'end'"),
    "frames": ({"frame_offset": 4000}, "'frame_offset' may be a time, but not surely in seconds: rename it to 'start'"),
    "a length": ({"start": 0.25, "length": "8000"}, "'length' may be a time, but not surely in seconds: rename it to 'duration'"),
    "from and to": ({"from": 0.25, "to": 0.75}, "'from' may be a time, but not surely in seconds: rename it to 'start'"),
    "one name twice": ({"start": 1, "Start": 2}, "the columns 'start' and 'Start' say the same thing: keep one of them"),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_columns_that_contradict_or_are_unclear_are_refused_with_the_right_name(tmp_path: Path, what: str) -> None:
    columns, message = CONTRADICTIONS[what]
    assert f"m.jsonl, line 2: {message}" in refusal(tmp_path, {"path": "b.wav"}, {"path": "a.wav", **columns})


# ---- paths and ids --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "columns",
    [
        {"audio_filepath": "d/a.wav"},
        {"audio": "d/a.wav"},
        {"audio": {"path": "d/a.wav", "bytes": None}},
        {"file_name": "d/a.wav"},
        {"wav": "d/a.wav", "text": "a"},
        {"audio_filepath": "d/a.wav", "wav": "d/a.wav"},
        {"path": "d/a.wav", "audio": {"array": [0.0]}},
        {"path": "d/a.wav", "file_name": "a.wav"},
    ],
    ids=str,
)
def test_a_path_is_found_under_the_names_of_other_programs(tmp_path: Path, columns: dict[str, Any]) -> None:
    assert items(tmp_path, columns) == [Item("d/a", tmp_path / "d/a.wav")]


def test_two_paths_that_differ_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"audio_filepath": "a.wav", "wav": "b.wav"})
    assert "'audio_filepath' ('a.wav') and 'wav' ('b.wav') name different files: keep one of them, as 'path'" in message


def test_a_path_that_is_longer_than_any_is_refused_in_a_short_sentence(tmp_path: Path) -> None:
    assert "'path' is missing or not a path" in refusal(tmp_path, {"path": "a" * 3_000_000})
    (tmp_path / "wav.scp").write_text(f"a {'b' * 9999}\n")
    with pytest.raises(RequestError, match=r"wav.scp, line 1: 'bbb.*' cannot be the path of a file"):
        gather([tmp_path / "wav.scp"], AUDIO_SUFFIXES)
    assert "an id has at most 4096 characters; found 5000000" in refusal(tmp_path, {"path": "a", "id": "x" * 5_000_000})


def test_control_characters_of_a_manifest_are_escaped_in_messages(tmp_path: Path) -> None:
    for line in (
        {"path": 3, "\x1b]0;forged\x07": 1},
        {"path": "a", "id": "\x1b[2J\nforged"},
        {"path": "a", "end": "\x1b"},
    ):
        message = refusal(tmp_path, line)
        assert message.isprintable()


def test_nemo_manifests_are_read_and_parts_of_one_file_get_ids_of_their_own(tmp_path: Path) -> None:
    lines = [
        {"audio_filepath": "/data/a.wav", "offset": 0.25, "duration": 0.5, "text": "one"},
        {"audio_filepath": "/data/a.wav", "offset": 12.5, "duration": 1.25, "text": "two"},
        {"audio_filepath": "/data/a.wav", "offset": 60, "text": "three"},
        {"audio_filepath": "b.wav", "duration": 2.0, "text": "alone"},
    ]
    wanted = [
        Item("data/a-000250-000750", Path("/data/a.wav"), *QUARTER),
        Item("data/a-012500-013750", Path("/data/a.wav"), Fraction(25, 2), Fraction(5, 4)),
        Item("data/a-060000-end", Path("/data/a.wav"), Fraction(60)),
        Item("b", tmp_path / "b.wav", Fraction(0), Fraction(2)),
    ]
    assert items(tmp_path, *lines, name="train_manifest.json") == wanted
    assert items(tmp_path, *lines) == wanted
    (tmp_path / "list.json").write_text(json.dumps(lines, indent=2))
    assert gather([tmp_path / "list.json"], AUDIO_SUFFIXES) == wanted


def test_channels_of_one_file_get_ids_of_their_own(tmp_path: Path) -> None:
    found = items(tmp_path, {"path": "a.wav", "channel": 0}, {"path": "a.wav", "channel": 1}, {"path": "a.wav"})
    assert [item.id for item in found] == ["a-c0", "a-c1", "a"]


# ---- lhotse ---------------------------------------------------------------------------------------------------------


def recording(*channels: list[int], **more: Any) -> dict[str, Any]:
    sources = [{"type": "file", "channels": one, "source": f"wav/r{k}.wav"} for k, one in enumerate(channels)]
    return {"id": "r", "sources": sources, "sampling_rate": 16000, "num_samples": 160000, "duration": 10.0, **more}


def cut(channel: Any = 0, kind: str = "MonoCut", **more: Any) -> dict[str, Any]:
    return {
        "id": "r-1", "start": 0.25, "duration": 0.5, "channel": channel, "type": kind, "recording": recording([0]),
        "supervisions": [{"id": "s", "recording_id": "r", "start": 0.0, "duration": 0.5, "channel": 0, "text": "A"}],
        **more,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz", "cuts.json", "cuts.json.gz"])
def test_cuts_of_lhotse_are_parts_of_files(tmp_path: Path, name: str) -> None:
    both = recording([0, 1])
    found = items(tmp_path, cut(), cut(1, id="right", recording=both), cut([0, 1], "MultiCut", id="all", recording=both),
                  cut([1], "MultiCut", id="one", recording=both), cut(4, id="far", recording=recording([3], [4])),
                  name=name)  # fmt: skip
    wav = tmp_path / "wav"
    assert found == [
        Item("r-1", wav / "r0.wav", *QUARTER, 0),
        Item("right", wav / "r0.wav", *QUARTER, 1),
        Item("all", wav / "r0.wav", *QUARTER),
        Item("one", wav / "r0.wav", *QUARTER, 1),
        Item("far", wav / "r1.wav", *QUARTER, 0),
    ]


def test_recordings_of_lhotse_are_whole_files(tmp_path: Path) -> None:
    assert items(tmp_path, recording([0]), recording([0, 1], id="s")) == [
        Item("r", tmp_path / "wav" / "r0.wav"),
        Item("s", tmp_path / "wav" / "r0.wav"),
    ]


def source(kind: str) -> dict[str, Any]:
    return {**recording([0]), "sources": [{"type": kind, "channels": [0], "source": "touch harm"}]}


NO_PARTS: dict[str, tuple[dict[str, Any], str]] = {
    "a mixture": ({"id": "m", "tracks": [], "type": "MixedCut"}, "a 'MixedCut' is not a part of one audio file: write the audio to files"),
    "padding": ({"id": "p", "duration": 1.0, "type": "PaddingCut"}, "a 'PaddingCut' is not a part of one audio file"),
    "features": ({key: value for key, value in cut().items() if key != "recording"}, "has no recording with a list of sources; found None"),
    "no sources": (cut(recording=recording()), "has no recording with a list of sources; found []"),
    "a transform": (cut(recording=recording([0], transforms=[{"name": "Speed", "kwargs": {"factor": 1.1}}])), "lhotse changes this recording after it has read it, by [{'name': 'Speed'"),
    "a command": (cut(recording=source("command")), "the source of the recording is a 'command'; only a 'file' is read"),
    "an address": (cut(recording=source("url")), "the source of the recording is a 'url'"),
    "a channel there is not": (cut(2), "no file of the recording holds exactly the channel 2"),
    "channels of several files": (cut([0, 1], "MultiCut", recording=recording([0], [1])), "no file of the recording holds exactly the channel [0, 1]"),
    "some channels of a file": (cut([0, 1], "MultiCut", recording=recording([0, 1, 2])), "no file of the recording holds exactly the channel [0, 1]"),
    "a recording in several files": (recording([0], [1]), "the channels of the recording are in 2 files"),
    "no path": (cut(recording={**recording([0]), "sources": [{"type": "file", "channels": [0], "source": 7}]}), "the source of the recording is not a path; found 7"),
    "no id": ({key: value for key, value in cut().items() if key != "id"}, "'id' must be text; found ''"),
    "a mixture without its type": ({"id": "m", "tracks": [{"cut": cut(), "offset": 0}]}, "a 'MixedCut' is not a part of one audio file"),
    "the name of a recording": (cut(recording="r"), "has no recording with a list of sources; found None"),
    "a channel that is a truth": (cut(True, recording=recording([0, 1])), "'channel' must be a whole number; found True"),
    "no time": (cut(start=None), "'start' must be a number of seconds, such as 0.25; found 'None'"),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_PARTS)
def test_a_cut_that_is_not_a_part_of_a_file_is_refused(tmp_path: Path, what: str) -> None:
    line, message = NO_PARTS[what]
    assert f"m.jsonl, line 1: {message}" in refusal(tmp_path, line)


# ---- files that are no manifests ------------------------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, zeros])
@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz", "m.json", "m.csv", "wav.scp", "segments"])
def test_a_manifest_is_a_regular_file(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    (tmp_path / ("wav.scp" if name == "segments" else "segments")).write_text("a a.wav\n")
    make(tmp_path / name)
    with pytest.raises(RequestError, match=f"the manifest cannot be read: .*{name} is no regular file"):
        gather([tmp_path / name], AUDIO_SUFFIXES)


@pytest.mark.parametrize("make", [pipe, zeros])
def test_the_list_that_segments_need_is_a_regular_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "segments").write_text("a r 0 1\n")
    make(tmp_path / "wav.scp")
    with pytest.raises(RequestError, match=r"wav.scp is no regular file"):
        gather([tmp_path / "segments"], AUDIO_SUFFIXES)


@pytest.mark.thorough
def test_a_manifest_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest with too many lines or bytes is refused.

    A compressed file of a few kB can have any size after decompression.
    """
    line = {"path": "a.wav"}
    for name in ("MANIFEST_BYTES", "MANIFEST_LINES"):
        with monkeypatch.context() as patch:
            patch.setattr(manifests, name, 40)
            assert len(items(tmp_path, line, line)) == 2
            for where in ("m.jsonl", "m.jsonl.gz"):
                assert "a manifest has at most" in refusal(tmp_path, *[line] * 41, name=where)
    (tmp_path / "empty.jsonl.gz").write_bytes(gzip.compress(b"\n" * 5_000_000))
    with pytest.raises(RequestError, match=r"at most 1,000,000 lines and 536,870,912 bytes: divide it"):
        gather([tmp_path / "empty.jsonl.gz"], AUDIO_SUFFIXES)


def test_a_line_has_bounds(tmp_path: Path) -> None:
    """A line of more than 16 MiB is refused.

    A file of zeros has no line end. It is sparse, so that it takes no space on the disk.
    """
    path = tmp_path / "m.jsonl"
    path.touch()
    os.truncate(path, 3 * 2**30)
    with pytest.raises(RequestError, match=r"m.jsonl, line 1: a line has at most 16777216 bytes"):
        gather([path], AUDIO_SUFFIXES)


def test_a_packed_file_that_is_damaged_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"path": "a.wav"}\n' * 50)
    for content in (b"no gzip", whole[:-9], whole[:20] + b"\xff" * 20 + whole[40:]):
        (tmp_path / "m.jsonl.gz").write_bytes(content)
        with pytest.raises(RequestError, match=r"m.jsonl.gz cannot be unpacked: .*: pack it again with gzip"):
            gather([tmp_path / "m.jsonl.gz"], AUDIO_SUFFIXES)


# ---- tables of other programs ---------------------------------------------------------------------------------------

TABLES: dict[str, tuple[str, str]] = {
    "tabs in .tsv": ("m.tsv", "path\tstart\tend\na.wav\t0.25\t0.75\n"),
    "tabs in .csv": ("m.csv", "path\tstart\tend\r\na.wav\t0.25\t0.75\r\n"),
    "semicolons": ("m.csv", "path;start;end\na.wav;0.25;0.75\n"),
    "blanks after commas": ("m.csv", 'path, "start", end\n"a.wav", "0.25", 0.75\n'),
    "a first column that is empty": ("m.tsv", "note\tpath\tstart\tend\n\ta.wav\t0.25\t0.75\n"),
    "a last column that is empty": ("m.tsv", "path\tstart\tend\tnote\na.wav\t0.25\t0.75\t\n"),
    "a quote in a text of .tsv": ("m.tsv", 'path\tstart\tend\ttext\na.wav\t0.25\t0.75\t"No", he said\n'),
    "a byte order mark": ("m.csv", "\ufeffpath,start,end\r\na.wav,0.25,0.75\r\n"),
}


@pytest.mark.parametrize("what", TABLES)
def test_the_tables_of_other_programs_are_read(tmp_path: Path, what: str) -> None:
    name, text = TABLES[what]
    (tmp_path / name).write_text(text)
    (item,) = gather([tmp_path / name], AUDIO_SUFFIXES)
    assert (item.path, item.start, item.duration) == (tmp_path / "a.wav", *QUARTER)


BAD_TABLES: dict[str, tuple[bytes, str]] = {
    "a decimal comma": (b"path;start\na.wav;0,25\n", "'start' must be a number of seconds, such as 0.25; found '0,25'"),
    "UTF-16": ("path,start\na.wav,0.25\n".encode("utf-16"), "is not text in UTF-8: .*: save it in UTF-8"),
    "line ends of an old Mac": (b"path,start\ra.wav,0.25\r", "is not CSV: it has line ends CR: save it again"),
    "no names of columns": (b"a.wav,0.25\nb.wav,0.5\n", "'path' is missing or not a path; found a.wav, 0.25"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_table_that_cannot_be_read_has_a_way_out(tmp_path: Path, what: str) -> None:
    content, message = BAD_TABLES[what]
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(RequestError, match=message):
        gather([tmp_path / "m.csv"], AUDIO_SUFFIXES)


# ---- what is not used, and what would be guessed --------------------------------------------------------------------


def test_columns_without_a_meaning_are_named(tmp_path: Path) -> None:
    notes: list[str] = []
    line = {"path": "a.wav", "text": "x", "utt_id": "u", "num_channels": 2, "speed": None, "\x1b[2J": 1}
    gather([written(tmp_path, "m.jsonl", [line])], AUDIO_SUFFIXES, note=notes.append)
    (tmp_path / "m.csv").write_text("path,start,text\na.wav,0,x\n")
    gather([tmp_path / "m.csv"], AUDIO_SUFFIXES, note=notes.append)
    gather(
        [written(tmp_path, "ok.jsonl", [{"path": "a.wav", "id": "a", "start": 0, "channel": 0}])],
        AUDIO_SUFFIXES,
        note=notes.append,
    )
    assert notes == [
        f"{tmp_path}/m.jsonl: columns not used: \\x1b[2J, num_channels, text, utt_id",
        f"{tmp_path}/m.csv: columns not used: text",
    ]  # fmt: skip


# ---- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.jsonl", '{"path": "a.wav", "pitch": 60, "Timbre": "bell", "text": "x"}'),
        ("m.csv", "path,pitch,Timbre,text\na.wav,60,bell,x\n"),
        ("m.tsv", "path\tpitch\tTimbre\ttext\na.wav\t60\tbell\tx\n"),
    ],
)
def test_the_labels_that_are_wanted_are_kept_and_not_named_as_unused(tmp_path: Path, name: str, text: str) -> None:
    notes: list[str] = []
    (tmp_path / name).write_text(text)
    (item,) = gather([tmp_path / name], AUDIO_SUFFIXES, note=notes.append, labels=("pitch", "timbre", "velocity"))
    assert item.labels == {"pitch": "60", "timbre": "bell"}
    assert notes == [f"{tmp_path}/{name}: columns not used: text"]
    (plain,) = gather([tmp_path / name], AUDIO_SUFFIXES)
    assert plain.labels == {}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"path": "a", "pitch": [60]}, r"line 1: 'pitch' must be a text or a number; found \[60\]"),
        ({"path": "a", "pitch": True}, "'pitch' must be a text or a number; found True"),
        ({"path": "a", "pitch": 60, "Pitch": 61}, "two columns are called 'pitch', with different values: keep one"),
    ],
)
def test_a_label_that_is_no_text_or_number_or_has_two_values_is_refused(
    tmp_path: Path, line: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RequestError, match=complaint):
        gather([written(tmp_path, "m.jsonl", [line])], AUDIO_SUFFIXES, labels=("pitch",))


NSYNTH = {
    "bass_synthetic_033-022-050": {
        "qualities": [0, 1], "pitch": 22, "note": 201034, "sample_rate": 16000, "velocity": 50,
        "note_str": "bass_synthetic_033-022-050", "instrument_str": "bass_synthetic_033", "instrument": 417,
    },
    "vocal_acoustic_000-060-127": {
        "note_str": "vocal_acoustic_000-060-127", "pitch": 60, "instrument_str": "vocal_acoustic_000"
    },
}  # fmt: skip


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("name", ["examples.json", "my notes.json.gz"])
def test_the_notes_of_nsynth_are_read(tmp_path: Path, indent: int | None, name: str) -> None:
    content = json.dumps(NSYNTH, indent=indent).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    items = gather([tmp_path / name], AUDIO_SUFFIXES, labels=("pitch", "timbre"))
    assert [item.id for item in items] == list(NSYNTH)
    assert [item.path for item in items] == [tmp_path / "audio" / f"{one}.wav" for one in NSYNTH]
    assert [item.labels for item in items] == [
        {"pitch": "22", "timbre": "bass_synthetic_033"}, {"pitch": "60", "timbre": "vocal_acoustic_000"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": {"note_str": "b", "pitch": 3}}', "note 'a': must be an object with 'note_str': 'a': copy the file"),
        ('{"a": {"note_str": "a"}, "b": 3}', "note 'b': must be an object"),
        ('{"../a": {"note_str": "../a"}}', "would name a file outside of the output folder"),
        ('{"a": {"note_str": "a"}, ', "is not JSON"),
        ('{"a": {"note_str": "a", "pitch": [1]}}', "note 'a': 'pitch' must be a text or a number"),
    ],
)
def test_a_damaged_file_of_nsynth_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "examples.json").write_text(text)
    with pytest.raises(RequestError, match=complaint):
        gather([tmp_path / "examples.json"], AUDIO_SUFFIXES, labels=("pitch",))


@pytest.mark.parametrize("column", ["channel_id", "channelIndex", "ch", "Channel Number", "channels"])
def test_a_column_that_may_choose_a_channel_is_refused(tmp_path: Path, column: str) -> None:
    value: Any = [1] if column == "channels" else 1
    message = refusal(tmp_path, {"path": "a.wav", column: value})
    assert f"'{column}' may choose a channel: rename it to 'channel', counted from 0, or leave it out" in message
    assert items(tmp_path, {"path": "a.wav", "channel": 1, column: value})[0].channel == 1
    assert items(tmp_path, {"path": "a.wav", column: None})[0].channel is None


def test_the_channel_of_nemo_is_taken_and_a_number_of_channels_is_not(tmp_path: Path) -> None:
    assert items(tmp_path, {"audio_filepath": "a.wav", "channel_selector": 1})[0].channel == 1
    assert items(tmp_path, {"path": "a.wav", "channels": 2})[0].channel is None
    assert "'channel_selector' must be a whole number from 0" in refusal(
        tmp_path, {"path": "a", "channel_selector": "average"}
    )
    assert "choose different channels" in refusal(tmp_path, {"path": "a", "channel_selector": 1, "channel": 0})


@pytest.mark.parametrize("pair", [("xmin", "xmax"), ("t0", "t1"), ("tmin", "tmax")])
def test_other_names_of_times_are_refused(tmp_path: Path, pair: tuple[str, str]) -> None:
    assert "'start', in seconds" in refusal(tmp_path, {"path": "a.wav", pair[0]: 0.25})
    assert "'end', in seconds" in refusal(tmp_path, {"path": "a.wav", pair[1]: 0.75})


RAW: dict[str, tuple[str, str]] = {
    "a key that is written twice": ('{"path": "a.wav", "start": 0.25, "start": 0.5}', "'start' is written twice"),
    "a key inside that is written twice": ('{"audio": {"path": "a.wav", "path": "b.wav"}}', "'path' is written twice"),
    "an integer of too many digits": (f'{{"path": "a.wav", "start": {"9" * 5000}}}', "an integer has 5000 digits"),
    "a comma at the end": ('{"path": "a.wav"},', "is not JSON: Extra data"),
    "an object on several lines": ('{\n"path": "a.wav"\n}', "is not JSON: Expecting property name"),
}  # fmt: skip


@pytest.mark.parametrize("what", RAW)
def test_a_line_that_is_no_json_has_a_way_out(tmp_path: Path, what: str) -> None:
    text, message = RAW[what]
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(RequestError, match=rf"line 1: .*{message}.*: write a line such as .* for each item$"):
        gather([tmp_path / "m.jsonl"], AUDIO_SUFFIXES)


@pytest.mark.parametrize("address", ["https://a.b/c.wav", "file:///c.wav", "s3://bucket/c.wav"])
def test_an_address_is_not_taken_for_a_path(tmp_path: Path, address: str) -> None:
    assert f"'{address}' is an address, not a path: copy the file" in refusal(tmp_path, {"path": address})
    (tmp_path / "wav.scp").write_text(f"a {address}\n")
    with pytest.raises(RequestError, match="is an address, not a path"):
        gather([tmp_path / "wav.scp"], AUDIO_SUFFIXES)


def test_samples_inside_a_manifest_and_paths_of_windows_without_an_id_are_refused(tmp_path: Path) -> None:
    assert "'audio' has the samples in 'bytes'" in refusal(tmp_path, {"audio": {"path": "a.wav", "bytes": "UklG"}})
    assert "has a '\\': write '/' between folders" in refusal(tmp_path, {"path": "d\\a.wav"})
    assert items(tmp_path, {"path": "d\\a.wav", "id": "a"})[0].id == "a"


def test_a_part_of_an_archive_of_kaldi_is_refused(tmp_path: Path) -> None:
    for path in ("wav.ark:1234", "a.wav[0:100]"):
        (tmp_path / "wav.scp").write_text(f"a {path}\n")
        with pytest.raises(RequestError, match="is a part of a file of Kaldi, which is not read"):
            gather([tmp_path / "wav.scp"], AUDIO_SUFFIXES)


def test_a_line_with_a_path_is_no_cut_of_lhotse(tmp_path: Path) -> None:
    line = {"path": "a.wav", "recording": {"date": "2020"}, "sources": ["web"], "type": "MonoCut", "tracks": []}
    assert items(tmp_path, line)[0].path == tmp_path / "a.wav"
