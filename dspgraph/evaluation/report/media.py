"""The places for the sounds and pictures of the page: inside the page, or in a folder beside it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import soundfile

from dspgraph.errors import FileError
from dspgraph.io.atomic import AtomicFile
from dspgraph.io.audio import reading

_BLOCK = 2**18
"""Samples copied at a time."""


class Inside:
    """The sounds and pictures of a page, stored in the page itself as data URIs."""

    policy = "img-src data:; media-src blob: data:"
    """The part of the page's content security policy that allows the page to load its sounds and pictures."""

    def picture(self, png: bytes) -> str:
        """Return a data URI that contains a picture. png: the bytes of a PNG file."""
        return data_uri(png, "image/png")

    def sound(self, flac: bytes) -> str:
        """Return a data URI that contains a sound. flac: the bytes of a FLAC file."""
        return data_uri(flac, "audio/flac")

    def discard(self) -> None:
        """Do nothing. `Beside.discard` removes files of a failed page; this class writes no files."""

    def tidy(self) -> None:
        """Do nothing. `Beside.tidy` removes files of an earlier page; this class writes no files."""


class Beside:
    """The sounds and pictures of a page, stored as files in the folder `<stem>_files` beside the page.

    The folder is made at once. The name of a file is a hash of the bytes that `picture` or `sound` was given. Therefore
    no file of an old page is changed while a new page is written, and the name does not reveal the variant in a blind
    test. target: the file of the page. Raises FileError if the folder cannot be made or is a link, or if a file has its
    name.
    """

    policy = "img-src 'self' file: data:; media-src 'self' file:"

    _OURS = re.compile(r"[0-9a-f]{32}\.(wav|png)")

    def __init__(self, target: Path) -> None:
        self.folder = target.with_name(f"{target.stem}_files")
        self.used: set[str] = set()
        self.new: list[Path] = []
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise FileError(f"{self.folder} is a link or a file, not a folder: move it, or write elsewhere")
        self.made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{self.folder} cannot be made: {error.strerror}") from None

    def picture(self, png: bytes) -> str:
        """Write a picture to a file in the folder; return its address relative to the page.

        png: the bytes of a PNG file.
        """
        return self._place(png, "png", lambda part: part.write_bytes(png))

    def sound(self, flac: bytes) -> str:
        """Write the samples of a FLAC file to a WAV file, and return its address relative to the page.

        flac: the bytes of the file. WAV is used because Chromium cannot seek to every position of a short FLAC file.
        The page cannot decode FLAC by a script, because scripts of a page from a disk may not read the files beside it.
        """
        return self._place(flac, "wav", lambda part: _copy(flac, part))

    def discard(self) -> None:
        """Remove the files, and the folder, that were made for the new page.

        Call this if the page could not be written.
        """
        for path in self.new:
            path.unlink(missing_ok=True)
        if self.made:
            with suppress(OSError):
                self.folder.rmdir()

    def tidy(self) -> None:
        """Remove the files of earlier pages that the new page does not use. Call this when the new page is complete.

        Only files whose names have the form of this class, 32 hexadecimal digits and .wav or .png, are removed.
        """
        for path in self.folder.iterdir():
            if self._OURS.fullmatch(path.name) and path.name not in self.used:
                path.unlink(missing_ok=True)

    def _place(self, content: bytes, suffix: str, write: Callable[[Path], object]) -> str:
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
        path = self.folder / name
        if name not in self.used:
            self.used.add(name)
            if path.is_symlink() or not path.is_file():
                self.new.append(path)
            part = AtomicFile(path)
            with part.attempt():
                write(part.temporary)
            part.place()
        return quote(os.fsencode(f"{self.folder.name}/{name}"))


def data_uri(content: bytes, kind: str) -> str:
    """Return a data URI that contains `content`. kind: the media type, for instance "image/png"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _copy(flac: bytes, target: Path) -> None:
    """Write the samples of a FLAC file, given as bytes, to the WAV file `target`. Raises OSError if that fails."""
    with soundfile.SoundFile(io.BytesIO(flac)) as file:
        form = {"samplerate": file.samplerate, "channels": file.channels, "subtype": file.subtype, "format": "WAV"}
        try:
            with soundfile.SoundFile(os.fsencode(target), "w", **form) as made:
                while len(block := file.read(_BLOCK, dtype="int32")):
                    made.write(block)
        except soundfile.SoundFileError as error:  # the FLAC file has been read before, for its picture
            raise OSError(str(error)) from None


def flac_bytes(path: Path) -> bytes:
    """Return the bytes of a FLAC file. Raises FileError if the file cannot be read."""
    with reading(path):
        return path.read_bytes()
