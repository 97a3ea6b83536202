"""File names that look the same but differ in their Unicode normalisation form."""

from __future__ import annotations

import os
from pathlib import Path
from unicodedata import is_normalized, normalize


def missing(path: Path) -> str:
    """Return the message for a path that does not exist.

    If there is a file whose path differs only in the Unicode form, the message names this file. If the path is relative
    and the working directory no longer exists, the message says so.
    """
    try:
        os.getcwd()
    except OSError:
        if not path.is_absolute():
            return (
                f"{path} is relative to the working directory, which does not exist any more: change to a folder that "
                "exists, or give an absolute path"
            )
    other = other_form(path)
    if other is None:
        return f"{path} does not exist"
    form = next((form for form in ("NFC", "NFD") if is_normalized(form, str(other))), "a mixed form")
    return (
        f"{path} does not exist, but {str(other)!a} does, whose name has the same letters in another Unicode form "
        f"({form}): rename it, or write the name in that form"
    )


def other_form(path: Path) -> Path | None:
    """Return the existing path that differs from the missing `path` only in the Unicode form of its names.

    None: there is no such path, or a folder has several such names.
    """
    if str(path).isascii():
        return None
    found = Path(path.anchor)
    for name in path.parts[1 if path.anchor else 0 :]:
        if not os.path.lexists(found / name):
            name = _same_letters(found, name)
        if not name:
            return None
        found /= name
    return found if found != path else None


def _same_letters(folder: Path, name: str) -> str:
    """Return the entry of a folder that equals `name` in another Unicode form, or "" unless there is exactly one."""
    try:
        names = os.listdir(folder)
    except OSError:
        return ""
    same = [one for one in names if normalize("NFC", one) == normalize("NFC", name)]
    return same[0] if len(same) == 1 else ""
