"""The items of a corpus: all ways to name files, and all mistakes, with the line of the mistake."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
import soundfile

from dspgraph import Audio, Graph, render
from dspgraph.errors import RequestError
from dspgraph.io.audio import AUDIO_SUFFIXES
from dspgraph.rendering.corpus import gather
from dspgraph.rendering.item import Item
from helpers.effort import calls
from helpers.speech import speech
from helpers.toys import ToyScale


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def ids(*arguments: Any, out: Path | None = None) -> list[str]:
    return [item.id for item in gather(arguments, AUDIO_SUFFIXES, out)]


def notes(*arguments: Any, out: Path | None = None) -> list[str]:
    """Return the lines about left-out files that `gather` reports for these arguments.

    out: the output folder of the run; None: there is none.
    """
    found: list[str] = []
    gather(arguments, AUDIO_SUFFIXES, out, found.append)
    return found


# ---- files, folders and patterns ------------------------------------------------------------------------------------


def test_a_file_is_taken_whatever_its_suffix_and_whether_it_is_there_or_not(tmp_path: Path) -> None:
    assert gather([tmp_path / "a.b.wav", "nothing"], AUDIO_SUFFIXES) == [
        Item("a.b", tmp_path / "a.b.wav"),
        Item("nothing", Path("nothing")),
    ]


def test_a_folder_is_all_audio_in_it_by_name_below_it_and_nothing_hidden(tmp_path: Path) -> None:
    touched(tmp_path, "b.WAV", "a/z.flac", "a/c/y.x.ogg", ".hidden.wav", ".git/a.wav", "a/notes.txt", "a/none")
    assert ids(tmp_path) == ["a/c/y.x", "a/z", "b"]
    assert [item.path for item in gather([tmp_path], AUDIO_SUFFIXES)][1] == tmp_path / "a" / "z.flac"


def test_every_suffix_of_audio_is_taken_in_capitals_too(tmp_path: Path) -> None:
    names = (
        "a.wav b.sph c.aifc d.aif e.snd F.WAV g.mp2 h.wave i.w64 j.bwf k.flac l.oga m.Opus n.mp3 o.caf p.rf64 q.au r.sf"
    )
    touched(tmp_path, *names.split())
    assert ids(tmp_path) == ids(f"{tmp_path}/*") == sorted(name.partition(".")[0] for name in names.split())
    assert notes(tmp_path, f"{tmp_path}/*") == []


def test_files_of_a_folder_that_are_not_taken_are_counted_with_the_reason(tmp_path: Path) -> None:
    touched(tmp_path, "a.wav", "b.mp4", "c/d.MP4", "c/README", "c/e.", "f.raw", ".hidden.wav", ".git/g.wav", "h.json")
    (tmp_path / "link").symlink_to(tmp_path)
    wanted = (
        "7 files not taken: .mp4 (2), no suffix (2), .json (1), .raw (1), hidden (1); "
        "2 folders not searched: hidden (1), link (1); name a file to take it"
    )
    assert notes(tmp_path) == [f"{tmp_path}: {wanted}"]


def test_files_of_a_pattern_that_are_not_taken_are_counted_too(tmp_path: Path) -> None:
    touched(tmp_path, "in/a.wav", "in/b.txt", "in/deep/c.wav", "in/out/a.flac")
    assert notes(f"{tmp_path}/in/*") == [
        f"{tmp_path}/in/*: 1 file not taken: .txt (1); 2 folders not searched: matched by the pattern (2); "
        "name a file to take it"
    ]
    assert notes(f"{tmp_path}/in/**", out=tmp_path / "in" / "out") == [
        f"{tmp_path}/in/**: 2 files not taken: .txt (1), in the output folder (1); name a file to take it"
    ]
    assert notes(tmp_path / "in", out=tmp_path / "in" / "out") == [
        f"{tmp_path}/in: 1 file not taken: .txt (1); 1 folder not searched: the output folder (1); name a file to take it"
    ]
    assert notes(f"{tmp_path}/in/*.wav", tmp_path / "in" / "b.txt") == []


def test_the_line_about_left_out_files_is_short_and_harmless(tmp_path: Path) -> None:
    touched(tmp_path, "a.wav", "b.\x1b[2J\n", f"c.{'x' * 200}", *(f"{k}.s{k}" for k in range(100)))
    (line,) = notes(tmp_path)
    assert line.isprintable() and len(line) < 300 + len(str(tmp_path))
    assert "102 files not taken: " in line and "others (94)" in line


def test_a_folder_inside_its_own_results_is_taken_and_results_inside_it_are_not(tmp_path: Path) -> None:
    touched(tmp_path, "in/a.wav", "in/out/a.flac", "in/out/deep/b.flac", "in/outer/c.wav")
    assert ids(tmp_path / "in", out=tmp_path / "in" / "out") == ["a", "outer/c"]
    assert ids(f"{tmp_path}/in/**/*", out=tmp_path / "in" / "out") == ["a", "outer/c"]
    assert ids(tmp_path / "in" / "outer", out=tmp_path / "in") == ["c"]
    assert ids(f"{tmp_path}/in/outer/*", out=tmp_path / "in") == ["c"]
    with pytest.raises(RequestError, match="in is the output folder, its files are no inputs: choose another"):
        ids(tmp_path / "in", out=tmp_path / "in")


def test_results_are_known_under_another_name_too(tmp_path: Path) -> None:
    touched(tmp_path, "in/a.wav", "in/out/a.flac")
    (tmp_path / "link").symlink_to("in/out")
    assert ids(tmp_path / "in", out=tmp_path / "link") == ["a"]


def test_a_pattern_gives_what_matches_with_the_folders_below_its_fixed_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path, "s1/a.wav", "s1/d/b.wav", "s2/a.wav", "s2/a.txt", "s3.wav/c.wav", "x.wav")
    assert ids(f"{tmp_path}/**/*.wav") == ["s1/a", "s1/d/b", "s2/a", "s3.wav/c", "x"]  # and not the folder s3.wav
    assert ids(f"{tmp_path}/s?/a.*") == ["s1/a", "s2/a"]
    assert ids(f"{tmp_path}/s[2-9]/*") == ["s2/a"]
    monkeypatch.chdir(tmp_path / "s1")
    assert ids("*.wav", "../s2/*.wav", "./**/b.wav") == ["a", "a", "d/b"]


def test_links_to_folders_are_not_followed_and_links_to_files_are(tmp_path: Path) -> None:
    """In a folder, links to files are taken, and links to folders are not; a folder that is itself a link is searched.

    A link back to a parent folder would list each file forty times.
    """
    touched(tmp_path / "speech", "a.wav", "deep/b.wav")
    (tmp_path / "speech" / "deep" / "back").symlink_to(tmp_path / "speech")
    (tmp_path / "speech" / "c.wav").symlink_to(tmp_path / "speech" / "a.wav")
    assert ids(tmp_path / "speech") == ids(f"{tmp_path}/speech/**") == ["a", "c", "deep/b"]
    (tmp_path / "linked").symlink_to(tmp_path / "speech")
    assert ids(tmp_path / "linked") == ids(f"{tmp_path}/linked/**/*.wav") == ["a", "c", "deep/b"]


def test_a_file_with_a_pattern_in_its_name_is_that_file(tmp_path: Path) -> None:
    touched(tmp_path, "a[1].wav", "a1.wav")
    assert gather([tmp_path / "a[1].wav"], AUDIO_SUFFIXES) == [Item("a[1]", tmp_path / "a[1].wav")]


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    touched(tmp_path, name := os.fsdecode(b"v\xff.wav"))
    assert gather([tmp_path], AUDIO_SUFFIXES) == [Item(name[:-4], tmp_path / name)]


def test_the_order_is_that_of_the_arguments_and_in_each_that_of_names(tmp_path: Path) -> None:
    touched(tmp_path, "b/2.wav", "b/10.wav", "a/1.wav")
    assert ids(tmp_path / "b", tmp_path / "a", tmp_path / "b" / "2.wav") == ["10", "2", "1", "2"]


@pytest.mark.parametrize("pattern", ["", "/*.wav", "/**/*.wav", "/sub"])
def test_an_argument_without_any_file_is_refused(tmp_path: Path, pattern: str) -> None:
    touched(tmp_path, "a.txt", "sub/b.txt")
    with pytest.raises(RequestError, match=r"no file .*: files are taken by their suffix: .*\.flac.*\.wav"):
        gather([f"{tmp_path}{pattern}"], AUDIO_SUFFIXES)


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "a.wav", "locked/b.wav")
    scandir = os.scandir

    def locked(path: Any) -> Any:
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", locked)  # the tests may run as root, whom no permission stops
    with pytest.raises(RequestError, match="locked cannot be read: Permission denied"):
        gather([tmp_path], AUDIO_SUFFIXES)


# ---- manifests ------------------------------------------------------------------------------------------------------


def manifest(folder: Path, name: str, text: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_field_of_a_manifest_is_taken_from_json_lines_and_csv_alike(tmp_path: Path) -> None:
    full = {"id": "s1/a", "path": "wav/a.wav", "start": 0.1, "duration": 2, "channel": 1, "text": "left alone"}
    lines = [
        full,
        {"path": "b/c.d.wav"},
        {"path": "/e.wav", "id": 7, "start": "1e-1", "duration": None, "channel": None},
    ]
    as_json = manifest(tmp_path, "m.jsonl", "\n".join(map(json.dumps, lines)))
    table = (
        "id, path ,start,duration,channel,text\ns1/a,wav/a.wav,0.1,2,1,left alone\n,b/c.d.wav,,,,\n7,/e.wav, 1e-1,,,\n"
    )
    wanted = [
        Item("s1/a", tmp_path / "wav/a.wav", Fraction(1, 10), Fraction(2), 1),
        Item("b/c.d", tmp_path / "b/c.d.wav"),
        Item("7", Path("/e.wav"), Fraction(1, 10)),
    ]
    assert gather([as_json], AUDIO_SUFFIXES) == wanted
    assert gather([manifest(tmp_path, "m.csv", table)], AUDIO_SUFFIXES) == wanted
    assert [item.is_whole_file for item in wanted] == [False, True, False]


def test_byte_order_marks_line_ends_and_empty_lines_change_nothing(tmp_path: Path) -> None:
    texts = {
        "m.jsonl": '{"path": "a.wav"}\n{"path": "b.wav"}\n',
        "m.csv": "path\na.wav\nb.wav\n",
        "wav.scp": "a a.wav\nb b.wav\n",
    }
    for name, text in texts.items():
        wanted = gather([manifest(tmp_path, name, text)], AUDIO_SUFFIXES)
        assert [item.id for item in wanted] == ["a", "b"]
        for other in ("\ufeff" + text, text.replace("\n", "\r\n"), text.replace("\n", "\n\n \n"), text[:-1]):
            assert gather([manifest(tmp_path, name, other)], AUDIO_SUFFIXES) == wanted


def test_a_field_of_csv_may_have_commas_and_line_ends(tmp_path: Path) -> None:
    text = 'path,text\n"a,b.wav","one\n\ntwo ""quoted"""\nc.wav,x\n'
    assert ids(manifest(tmp_path, "m.csv", text)) == ["a,b", "c"]


def test_names_beyond_ascii_are_names(tmp_path: Path) -> None:
    assert ids(manifest(tmp_path, "m.jsonl", '{"path": "größe/音声.wav"}')) == ["größe/音声"]


def test_kaldi_lists_are_read_with_spaces_or_tabs(tmp_path: Path) -> None:
    scp = manifest(tmp_path, "wav.scp", "rec1 /data/rec 1.wav\nrec2\twav/2.flac  \n")
    assert gather([scp], AUDIO_SUFFIXES) == [
        Item("rec1", Path("/data/rec 1.wav")),
        Item("rec2", tmp_path / "wav/2.flac"),
    ]
    segments = manifest(tmp_path, "segments", "rec1-a rec1 0.50 1.75\nrec2-a\trec2 2 -1\n")
    assert gather([segments], AUDIO_SUFFIXES) == [
        Item("rec1-a", Path("/data/rec 1.wav"), Fraction(1, 2), Fraction(5, 4)),
        Item("rec2-a", tmp_path / "wav/2.flac", Fraction(2)),
    ]


def test_commands_in_a_list_are_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "harm"
    for command in (f"touch {mark} |", f"touch {mark}|", f"touch {mark} | "):
        with pytest.raises(RequestError, match=r"wav.scp, line 2: 'touch .*' is a command; commands are not run"):
            gather([manifest(tmp_path, "wav.scp", f"ok a.wav\nx {command}\n")], AUDIO_SUFFIXES)
    assert not mark.exists()


J = "m.jsonl"
BAD_LINES: dict[str, tuple[str, str | bytes, str]] = {
    "no JSON": (J, '{"path": "a.wav"}\n\nnonsense\n', "m.jsonl, line 3: is not JSON: Expecting value"),
    "no object": (J, '["a.wav"]', "line 1: is not an object; found ['a.wav']: write a line such as"),
    "JSON without an end": (J, "[" * 99_999, "line 1: is not JSON"),
    "a number without an end": (J, '{"path": "a.wav", "start": ' + "1" * 9999 + "}", "line 1: is not JSON"),
    "no path": (J, '{"id": "a", "file": "a.wav"}', "line 1: 'path' is missing or not a path; found id, file"),
    "nothing": (J, "{}", "'path' is missing or not a path; found nothing"),
    "an empty path": (J, '{"path": ""}', "'path' is missing or not a path"),
    "a number for a path": (J, '{"path": 3}', "'path' is missing or not a path"),
    "half a letter in a path": (J, '{"path": "\\ud800.wav", "id": "a"}', "'path' is missing or not a path; found path, id"),
    "a NUL in a path": (J, '{"path": "a\\u0000.wav"}', "'path' is missing or not a path"),
    "a path that names no file": (J, '{"path": "/"}', "line 1: the id '/' would name a file outside"),
    "a path that is a point": (J, '{"path": "."}', "line 1: the id '.' would name a file outside"),
    "a path outside and no id": (J, '{"path": "../a.wav"}', "line 1: the id '../a' would name a file outside"),
    "a start that is no number": (J, '{"path": "a.wav", "start": "soon"}', "line 1: 'start' must be a number of seconds, such as 0.25; found 'soon'"),
    "a start that is a truth": (J, '{"path": "a.wav", "start": true}', "'start' must be a number of seconds, such as 0.25; found 'True'"),
    "a start below 0": (J, '{"path": "a.wav", "start": -1}', "'start' must not be below 0; found -1"),
    "a start that is not finite": (J, '{"path": "a.wav", "start": NaN}', "'start' must be a number of seconds, such as 0.25; found 'nan'"),
    "a start beyond numbers": (J, '{"path": "a.wav", "start": "1e999999999"}', "'start' must be a number of seconds"),
    "a start of a list": (J, '{"path": "a.wav", "start": [1]}', "'start' must be a number of seconds"),
    "a duration of 0": (J, '{"path": "a.wav", "duration": 0}', "'duration' is 0; leave it out to take the rest of the file"),
    "a duration of nearly nothing": (J, '{"path": "a.wav", "duration": "1e-999999999"}', "'duration' must be a number of seconds"),
    "an endless duration": (J, '{"path": "a.wav", "duration": Infinity}', "'duration' must be a number of seconds"),
    "a channel that is no number": (J, '{"path": "a.wav", "channel": "left"}', "'channel' must be a whole number from 0 (the first) on; found 'left'"),
    "a channel in part": (J, '{"path": "a.wav", "channel": 0.5}', "'channel' must be a whole number"),
    "a channel below 0": (J, '{"path": "a.wav", "channel": -1}', "'channel' must be a whole number"),
    "a channel that is a truth": (J, '{"path": "a.wav", "channel": true}', "'channel' must be a whole number"),
    "a channel beyond numbers": (J, '{"path": "a.wav", "channel": "' + "9" * 5000 + '"}', "'channel' must be a whole number"),
    "no text": (J, b'{"path": "\xff.wav"}', "m.jsonl is not text in UTF-8: invalid start byte at byte 10"),
    "no line": (J, " \n\n", "m.jsonl names no file"),
    "CSV without a path": ("m.csv", "id,file\na,a.wav\n", "m.csv, line 2: 'path' is missing or not a path; found id, file"),
    "CSV of too few columns": ("m.csv", "id,path\n\na\n", "m.csv, line 3: must have as many columns as the first line, 2"),
    "CSV of too many": ("m.csv", "id,path\na,a.wav\nb,b.wav,c\n", "m.csv, line 3: must have as many columns"),
    "CSV with an open quote": ("m.csv", 'path\n"a.wav\nb.wav\n', "m.csv, line 3: is not CSV: unexpected end of data"),
    "CSV with two columns of a name": ("m.csv", "path,id, path\na,b,c\n", "m.csv, line 1: two columns have the same name; found 'path', 'id', 'path': rename one"),
    "CSV of a first line": ("m.csv", "id,path\n", "m.csv names no file"),
    "a list without a path": ("wav.scp", "a a.wav\nb\n", "wav.scp, line 2: a line is ID PATH; found 'b'"),
    "segments of another length": ("segments", "a r 0\n", "segments, line 1: a line is ID RECORDING START END; found 3 words"),
    "segments of no recording": ("segments", "a x 0 1\n", "segments, line 1: there is no recording 'x' in "),
    "segments that end first": ("segments", "a r 0 1\nb r 1.5 1.5\n", "segments, line 2: the segment ends at 1.5 s, not after its start at 1.5 s"),
    "segments of no time": ("segments", "a r zero 1\n", "segments, line 1: 'start' must be a number of seconds, such as 0.25; found 'zero'"),
    "segments that leave": ("segments", "../a r 0 1\n", "segments, line 1: the id '../a' would name a file outside"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_bad_line_is_named_with_its_file_and_the_way_out(tmp_path: Path, what: str) -> None:
    name, text, message = BAD_LINES[what]
    manifest(tmp_path, "wav.scp", "r r.wav\n")
    with pytest.raises(RequestError) as refused:
        gather([manifest(tmp_path, name, text)], AUDIO_SUFFIXES)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 500


def test_a_list_that_segments_need_is_asked_for(tmp_path: Path) -> None:
    path = manifest(tmp_path, "segments", "a r 0 1\n")
    with pytest.raises(RequestError, match=r"the manifest cannot be read: .*wav.scp does not exist"):
        gather([path], AUDIO_SUFFIXES)
    manifest(tmp_path, "wav.scp", "r a.wav\nr b.wav\n")
    with pytest.raises(RequestError, match=r"wav.scp: two recordings have the id 'r': rename one"):
        gather([path], AUDIO_SUFFIXES)


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "wav.scp", "segments", "a" * 300 + ".jsonl"])
def test_a_manifest_that_is_not_there_is_a_wrong_request(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="the manifest cannot be read: .*(does not exist|File name too long)"):
        gather([tmp_path / name], AUDIO_SUFFIXES)


@pytest.mark.thorough
def test_a_longer_manifest_takes_work_in_proportion(tmp_path: Path) -> None:
    def gathered(count: int) -> int:
        lines = "".join(f'{{"id": "s{k % 100}/{k}", "path": "{k}.wav", "start": 0.5}}\n' for k in range(count))
        return len(gather([manifest(tmp_path, "m.jsonl", lines)], AUDIO_SUFFIXES))

    few = calls(lambda: gathered(500))
    assert calls(lambda: gathered(2000)) < 5 * few
    assert gathered(10_000) == 10_000


def test_a_path_that_is_there_as_seen_from_the_working_directory_is_said_to_be(
    tmp_path: Path, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = manifest(tmp_path / "lists", "m.jsonl", '{"path": "voice.wav"}\n{"path": "nowhere.wav"}')
    here, nowhere = render(GRAPH, [path], tmp_path / "out")
    assert here.error == (
        f"{tmp_path}/lists/voice.wav does not exist; a manifest gives paths relative to its own folder, and voice.wav "
        "exists only as seen from the working directory: move the manifest there, or correct the path"
    )
    assert nowhere.error == f"{tmp_path}/lists/nowhere.wav does not exist"


def test_a_folder_in_another_unicode_form_is_named(tmp_path: Path) -> None:
    touched(tmp_path / normalize("NFD", "größe"), "a.wav")
    with pytest.raises(RequestError, match=r"no file matches .*: .* does not exist, but '.*o\\u0308.*' does"):
        ids(f"{tmp_path}/{normalize('NFC', 'größe')}/*.wav")


def test_a_working_directory_that_was_removed_is_said_to_be(tmp_path: Path) -> None:
    """Relative paths, and workers, need the removed working directory: they are refused. Absolute paths still work.

    The test runs in a process of its own, because it loses its working directory.
    """
    touched(tmp_path, "in/a.wav")
    (tmp_path / "gone").mkdir()
    code = (
        "import os, sys; from pathlib import Path; from dspgraph.errors import RequestError\n"
        "from dspgraph.rendering.corpus import gather\n"
        "from dspgraph.rendering.executors.process import Worker\n"
        "os.rmdir(os.getcwd())\n"
        "print(len(gather([sys.argv[1]], {'.wav'}, Path(sys.argv[1], 'out'))))\n"
        "for needs in (lambda: gather([sys.argv[1]], {'.wav'}, Path('out')), lambda: gather(['in'], {'.wav'}),\n"
        "              lambda: Worker(b'', 1, None)):\n"
        "    try: needs()\n"
        "    except RequestError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "in")], cwd=tmp_path / "gone", capture_output=True, text=True
    )
    assert said.stderr == ""
    assert said.stdout.splitlines() == ["1"] + [
        f"the working directory does not exist any more, and {why}: change to a folder that exists, or give absolute paths"
        for why in ("out is relative to it", "in is relative to it", "worker processes start in it")
    ]


# ---- names that would leave -----------------------------------------------------------------------------------------

LEAVING = [
    "../x",
    "/x",
    "a/../../x",
    "a/..",
    "..",
    "a\\x",
    "",
    ".",
    "./",
    "a/",
    "a\0",
    "a\nb",
    "a\x1b[31m",
    "\u202ea",
    "\udcff",
]


@pytest.mark.parametrize("name", LEAVING)
def test_an_id_stays_in_the_folder_of_the_outputs(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match=r"m.jsonl, line 1: (the id .* would name a file outside|'id' must be text)"):
        gather([manifest(tmp_path, "m.jsonl", json.dumps({"id": name, "path": "a.wav"}))], AUDIO_SUFFIXES)


@pytest.mark.parametrize("name", [None, True, 1.5, [], {}])
def test_an_id_is_a_text(tmp_path: Path, name: Any) -> None:
    with pytest.raises(RequestError, match="line 1: 'id' must be text; found"):
        gather([manifest(tmp_path, "m.jsonl", json.dumps({"id": name, "path": "a.wav"}))], AUDIO_SUFFIXES)


@pytest.mark.parametrize(
    ("name", "known"), [("a/./b", "a/b"), ("a//b", "a/b"), ("./a", "a"), ("..a", "..a"), ("a b", "a b")]
)
def test_an_id_is_written_one_way(tmp_path: Path, name: str, known: str) -> None:
    assert ids(manifest(tmp_path, "m.jsonl", json.dumps({"id": name, "path": "a.wav"}))) == [known]


# ---- what is loaded -------------------------------------------------------------------------------------------------


def test_items_jobs_and_executors_load_no_library_of_audio() -> None:
    modules = "corpus manifests job ledger executors.scheduling executors.serial executors.process executors.ray"
    code = f"import sys, {', '.join(f'dspgraph.rendering.{name}' for name in modules.split())}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"soundfile", "soxr", "numba", "torch", "ray"} & set(loaded)


GRAPH = Graph({"end": ToyScale(factor=0.5)}, {"end.x": "x"}, {"x": Audio(16000)}, {"y": "end"})


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "voice.wav", speech()[8000:9600], 16000)
    return tmp_path / "voice.wav"


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def linked_folder(out: Path, elsewhere: Path) -> None:
    (out / "sub").symlink_to(elsewhere)


def linked_deeper(out: Path, elsewhere: Path) -> None:
    (out / "sub").symlink_to(f"../{elsewhere.name}/not/yet")


def linked_upwards(out: Path, elsewhere: Path) -> None:
    (out / "sub").symlink_to("..")


@pytest.mark.parametrize("link", [linked_folder, linked_deeper, linked_upwards])
@pytest.mark.parametrize("name", ["sub/x", "sub/deep/er/x"])
def test_a_folder_that_is_a_link_leads_nowhere(
    tmp_path: Path, voice: Path, link: Callable[[Path, Path], None], name: str
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    touched(elsewhere, "x.flac")
    link(out, elsewhere)
    before = sorted(tmp_path.rglob("*"))
    lines = [{"id": name, "path": "voice.wav"}, {"id": "good", "path": "voice.wav"}]
    bad, good = render(GRAPH, [manifest(tmp_path, "m.jsonl", "\n".join(map(json.dumps, lines)))], out)
    assert "through a link: nothing is written there" in bad.error
    assert not good.error
    made = {tmp_path / "m.jsonl", *(out / name for name in ("good.flac", "good.json", "ledger.jsonl"))}
    assert set(tmp_path.rglob("*")) == {*before, *made}
    assert everything(elsewhere) == {"x.flac": b""}


def test_a_link_in_the_place_of_an_output_is_replaced_and_not_followed(tmp_path: Path, voice: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    elsewhere = touched(tmp_path / "elsewhere", "a.flac", "a.json")
    for name in ("a.flac", "a.json"):
        (out / name).symlink_to(elsewhere / name)
    (row,) = render(GRAPH, [manifest(tmp_path, "m.jsonl", '{"id": "a", "path": "voice.wav"}')], out)
    assert not row.error
    assert everything(elsewhere) == {"a.flac": b"", "a.json": b""}
    assert not any(path.is_symlink() for path in out.iterdir())
    assert soundfile.info(out / "a.flac").frames == 1600


def test_a_folder_of_outputs_that_is_a_link_itself_is_where_it_leads(tmp_path: Path, voice: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    (row,) = render(GRAPH, [manifest(tmp_path, "m.jsonl", '{"id": "s/a", "path": "voice.wav"}')], tmp_path / "out")
    assert not row.error
    assert sorted(everything(tmp_path / "real")) == ["ledger.jsonl", "s/a.flac", "s/a.json"]


def test_two_lines_of_one_id_are_a_wrong_request(tmp_path: Path, voice: Path) -> None:
    lines = [{"id": "b/voice", "path": "voice.wav"}, {"id": "b//voice", "path": "voice.wav", "start": 0.05}]
    with pytest.raises(RequestError, match=r"2 parts of .*voice.wav would both be written to .*b/voice\.flac: "):
        render(GRAPH, [manifest(tmp_path, "m.jsonl", "\n".join(map(json.dumps, lines)))], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_named_twice_is_said_to_be(tmp_path: Path, voice: Path) -> None:
    with pytest.raises(RequestError, match=r"voice.wav is named 2 times: name it once$"):
        render(GRAPH, [voice, voice], tmp_path / "out")


def test_a_thousand_lines_of_one_id_are_one_short_sentence(tmp_path: Path) -> None:
    lines = "".join(f'{{"id": "a", "path": "{k}.wav"}}\n' for k in range(1000))
    with pytest.raises(
        RequestError, match=r"0.wav and .*1.wav and .*2.wav and 997 more would all be written"
    ) as refused:
        render(GRAPH, [manifest(tmp_path, "m.jsonl", lines)], tmp_path / "out")
    assert len(str(refused.value)) < 1000


def test_an_input_is_not_overwritten_through_whatever_name(tmp_path: Path, voice: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "a.wav").symlink_to("voice.wav")
    before = everything(tmp_path)
    for name in ("voice", "a"):
        path = manifest(tmp_path, "m.jsonl", json.dumps({"id": name, "path": "link/voice.wav"}))
        with pytest.raises(RequestError, match=rf"{name}.wav would overwrite an input file: choose another folder"):
            render(GRAPH, [path], tmp_path / "link", ".wav")
        path.unlink()
    assert everything(tmp_path) == before
