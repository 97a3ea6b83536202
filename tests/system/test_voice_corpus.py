"""The programs of examples/voice: a corpus of recorded speech, and tables that compare vocoders on it."""

import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.paths import ROOT
from helpers.speech import speech

FOLDER = ROOT / "examples" / "voice"


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return name -> value of all that a program of examples/voice defines; its main part is not run.

    name: that of its file, without .py. For the rest of the test the program is in `sys.modules`.
    """
    monkeypatch.setitem(sys.modules, name, type(sys)(name))
    found = runpy.run_path(str(FOLDER / f"{name}.py"), run_name=name)
    vars(sys.modules[name]).update(found)
    return found


def test_a_recording_is_trimmed_and_has_the_level_of_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    levelled = example("corpus", monkeypatch)["levelled"]
    x = 0.01 * np.sin(np.arange(16000))
    padded = np.concatenate((np.zeros(9000), x, np.zeros(5000)))
    found = levelled(padded)
    assert 16000 + 2 * 1600 - 320 <= len(found) <= 16000 + 2 * 1600 + 320, "100 ms of pause stay at each end"
    frames = found[: len(found) // 160 * 160].reshape(-1, 160)
    power = (frames**2).mean(1)
    loud = power > 1e-4 * power.max()
    assert abs(10 * np.log10(power[loud].mean()) + 26) < 0.3
    peaky = np.zeros(16000)
    peaky[::1600] = 1.0
    assert np.abs(levelled(peaky)).max() <= 0.95
    assert levelled(np.zeros(16000)) is None
    assert levelled(x[:4000]) is None


def test_a_prompt_is_in_one_part_whatever_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    part_of = example("corpus", monkeypatch)["part_of"]
    parts = [part_of(f"digits/{k}") for k in range(4000)]
    assert parts == [part_of(f"digits/{k}") for k in range(4000)]
    assert 0.055 < parts.count("test") / 4000 < 0.085
    assert 0.005 < parts.count("validation") / 4000 < 0.016


def make_packages(folder: Path, sources: Sequence[Any]) -> None:
    """Write three recordings for every source to paths that fit its pattern, one of them in a folder `silence`.

    They are always WAV files, whatever the suffix of their names is. sources: SOURCES of corpus.py.
    """
    for k, source in enumerate(sources):
        for name in ("one", "two", "silence/5"):
            path = folder / source.pattern.replace("**/", "").replace("*/", "da/").replace("*", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, speech()[8000 + 100 * k : 24000], 16000, format="WAV")


def test_the_corpus_has_a_manifest_for_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = example("corpus", monkeypatch)
    made = found["make_corpus"]

    def unpack(packages: Sequence[str], folder: Path, given: Path | None) -> None:
        make_packages(folder, found["SOURCES"])

    def decoded(files: Sequence[Path]) -> Iterator[tuple[Path, Any]]:
        yield from ((path, soundfile.read(path)[0]) for path in files)

    monkeypatch.setitem(made.__globals__, "unpack", unpack)
    monkeypatch.setitem(made.__globals__, "decoded", decoded)
    minutes = made(tmp_path / "data")
    rows = {
        part: [json.loads(line) for line in (tmp_path / "data" / f"{part}.jsonl").read_text().splitlines()]
        for part in minutes
    }
    assert {row["language"] for row in rows["unseen"]} == {"da"}
    known = [row for part in ("train", "validation", "test") for row in rows[part]]
    assert len(known) == 2 * 6
    assert not any("silence" in row["id"] for row in known)
    assert {row["speaker"] for row in known} == {
        "Allison Smith", "June Wallack", "Carlo Flora", "Maxim Topal", "msu_ru_nsh",
    }  # fmt: skip
    assert all(row["licence"] and row["source"] for row in known)
    for row in known:
        assert soundfile.info(tmp_path / "data" / row["path"]).samplerate == 16000
    total = sum(len(soundfile.read(path)[0]) for path in (tmp_path / "data" / "wav").iterdir())
    assert total / 16000 / 60 == pytest.approx(sum(minutes.values()))
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(
        ["wav", *(f"{part}.jsonl" for part in minutes)]
    )


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack = example("corpus", monkeypatch)["unpack"]
    with pytest.raises(
        SystemExit, match=r"there is no festvox-ru_\*.deb in .*: get it by 'apt-get download festvox-ru'"
    ):
        unpack(["festvox-ru"], tmp_path, tmp_path)


def test_packages_are_unpacked_into_a_folder_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack = example("corpus", monkeypatch)["unpack"]
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    fields = {"Package": "voice", "Version": "1", "Architecture": "all", "Maintainer": "a <a@b.c>", "Description": "a"}
    (package / "DEBIAN" / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    (package / "prompt.wav").write_bytes(b"")
    (tmp_path / "given").mkdir()
    subprocess.run(["dpkg-deb", "-b", package, tmp_path / "given" / "voice_1_all.deb"], check=True)
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    unpack(["voice"], Path("data"), Path("given"))
    assert (tmp_path / "data" / "prompt.wav").is_file()


def test_the_tables_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = example("evaluate", monkeypatch)
    corpus = tmp_path / "data"
    (corpus / "wav").mkdir(parents=True)
    rows: dict[str, list[str]] = {"test": [], "unseen": []}
    for k, (part, language) in enumerate([("test", "en"), ("test", "ru"), ("unseen", "da"), ("unseen", "ru")]):
        soundfile.write(corpus / "wav" / f"{k}.wav", speech()[8000 + 1000 * k : 33000], 16000)
        rows[part].append(json.dumps({"path": f"wav/{k}.wav", "source": part, "language": language}) + "\n")
    for part, lines in rows.items():
        (corpus / f"{part}.jsonl").write_text("".join(lines))
    chosen = found["chosen"]
    assert [path.stem for path in chosen(corpus, "test", 60)] == ["0", "1"]
    assert [path.stem for path in chosen(corpus, "unseen", 60)] == ["2"], "Russian is a language of the training"
    evaluate, kept = found["evaluate"], found["candidates"]
    monkeypatch.setitem(evaluate.__globals__, "candidates", lambda *weights: kept(*weights)[-1:])
    monkeypatch.setitem(evaluate.__globals__, "METRICS", ("mcd", "lsd"))
    for _ in range(2):
        evaluate(corpus, tmp_path / "out", None, 2)
        lines = capsys.readouterr().out.splitlines()
        assert sum(line.startswith("| `fargan` |") for line in lines) == 3
        assert lines[1].startswith("2 prompts of the speakers of the training, held out; 0.1 minutes")
        monkeypatch.setitem(evaluate.__globals__, "compare", None)  # the second time, all results are known


def test_ffmpeg_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = example("corpus", monkeypatch)["decoded"]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="the program ffmpeg is needed"):
        list(decoded([Path("a.g722")]))
