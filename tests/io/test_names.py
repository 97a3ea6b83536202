"""File names that look the same: a missing file, and a file whose name has another Unicode form."""

from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from dspgraph import Audio
from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource
from dspgraph.io.names import missing, other_form

Form = Literal["NFC", "NFD"]

FORMS: dict[Form, Form] = {"NFC": "NFD", "NFD": "NFC"}


@pytest.mark.parametrize("there", FORMS)
def test_a_name_in_another_form_is_named_with_its_characters(tmp_path: Path, there: Form) -> None:
    found = tmp_path / normalize(there, "größe") / normalize(there, "é.wav")
    found.parent.mkdir()
    found.touch()
    asked = tmp_path / normalize(FORMS[there], "größe") / normalize(FORMS[there], "é.wav")
    assert other_form(asked) == found
    with pytest.raises(FileError) as refused:
        AudioSource(asked, Audio(16000))
    for message in (missing(asked), str(refused.value)):
        assert message.startswith(f"{asked} does not exist, but {str(found)!a} does, ")
        assert f"another Unicode form ({there}): rename it" in message


def test_a_name_without_another_form_is_missing(tmp_path: Path) -> None:
    (tmp_path / "e.wav").touch()
    (tmp_path / "é.wav").mkdir()
    for name in ("a.wav", "ê.wav", "ê/é.wav"):
        assert other_form(tmp_path / name) is None
        assert missing(tmp_path / name) == f"{tmp_path / name} does not exist"


def test_a_relative_name_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(normalize("NFD", "é.wav")).touch()
    assert other_form(Path(normalize("NFC", "é.wav"))) == Path(normalize("NFD", "é.wav"))


def test_without_a_working_directory_a_relative_name_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "a.wav is relative to the working directory, which does not exist any more: change" in missing(Path("a.wav"))
    assert missing(tmp_path / "a.wav") == f"{tmp_path / 'a.wav'} does not exist"
    monkeypatch.chdir(tmp_path)
