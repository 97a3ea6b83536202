"""Decoding of audio files to their true end. Text that decoders print does not reach the terminal."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import soundfile

from dspgraph.errors import FileError
from dspgraph.io.containers import find_layout
from dspgraph.io.filepart import FilePart, Piece
from dspgraph.io.paths import convert_hint, is_text, open_file
from dspgraph.io.printed import Printed, catch_printed
from dspgraph.streams import Array

READABLE_FORMATS = {
    "WAV": ".wav .wave .bwf", "WAVEX": "", "RF64": ".rf64", "W64": ".w64", "FLAC": ".flac", "OGG": ".ogg .oga .opus",
    "MP3": ".mp3 .mp2 .mp1 .mpa .mpga", "AIFF": ".aiff .aif .aifc", "CAF": ".caf", "AU": ".au .snd",
    "NIST": ".nist .sph", "SVX": ".svx .8svx .16sv .iff", "HTK": ".htk", "IRCAM": ".ircam .sf", "PVF": ".pvf",
}  # fmt: skip
"""Name of a format in libsndfile -> suffixes of its files, for the formats that are read.

`.bwf` is a broadcast wave file (EBU Tech 3285), `.sph` a SPHERE file of NIST. libsndfile can read more formats, but in
these a truncated file, or bytes after the samples, could not be noticed. The headers of IRCAM and PVF have no length.
"""

_EXACT_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "NIST", "CAF", "FLAC"})
_EXACT_SUBTYPES = frozenset(
    {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}
)  # fmt: skip
"""Formats and subtypes of libsndfile in which a decoder can seek to an exact sample. Others are read from the start."""

_FOREIGN = {
    "AAC": (0, (b"\xff\xf1", b"\xff\xf9", b"ADIF")),
    "MP4 (m4a, AAC or ALAC)": (4, (b"ftyp",)),
    "WebM or Matroska": (0, (b"\x1a\x45\xdf\xa3",)),
    "Windows Media": (0, (b"\x30\x26\xb2\x75",)),
    "AMR": (0, (b"#!AMR",)),
    "Monkey's Audio": (0, (b"MAC ",)),
    "WavPack": (0, (b"wvpk",)),
    "TTA": (0, (b"TTA",)),
    "DSD": (0, (b"DSD ", b"FRM8")),
    "Dolby Digital": (0, (b"\x0b\x77",)),
    "AVI": (8, (b"AVI ",)),
    "Flash video": (0, (b"FLV\x01",)),
}
"""Name of a format that is not read -> (offset in the file, bytes there by which the format is recognised)."""

_TEXT_HEADERS = (b"NIST_1A", b"PVF1")
"""The first bytes of formats whose headers are text."""

_BLOCK = 2**20
"""The largest number of values (samples of all channels) in one read of the decoder: 8 MiB."""


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A SoundFile that says that it is not seekable, so that a read does not seek. A call of `seek` still works.

    soundfile seeks after every read of a seekable file. In an MP3 or Ogg file, this would change the next samples.
    """

    def seekable(self) -> bool:
        """Return False."""
        return False


class _Link(NamedTuple):
    """A part of an audio file that has a decoder of its own, such as one of several joined files.

    piece: the bytes for the decoder; None: the file as it is. frames: the number of samples per channel.
    """

    piece: Piece | None  # None: the file as it is
    frames: int  # samples per channel


class Decoder:
    """A reader of an audio file at its own rate; `blocks` yields the samples.

    Its attributes: rate, in Hz, from the header; channels; frames, the number of samples per channel; format and
    subtype, as libsndfile names them; notes, as in `FileLayout`.

    If the headers do not give a reliable number of samples, the whole file is decoded once to count them. Raises
    FileError if the file is missing, is empty, is not audio, is of a format that is not read, if its rate or channels
    change in the middle, or if `find_layout` sees that it is truncated or damaged. Other damage, such as that of a FLAC
    file, is noticed by `blocks`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_readable(path)
        layout = find_layout(path)
        self._catch: Callable[[], AbstractContextManager[Printed | None]] = catch_printed
        self.notes = layout.notes
        self.rate = self.channels = 0
        self.format = self.subtype = ""
        self._links: list[_Link] = []
        for piece, most in zip(layout.pieces, layout.most or itertools.repeat(sys.maxsize), strict=False):
            with self._opened(piece) as file:
                self._take_header(file)
                self._links.append(_Link(piece, min(file.frames, most) if layout.counted else self._count(file, most)))
        if self.format == "MP3" and not layout.most:
            raise FileError(f"{path} has MPEG frames that cannot be counted: {convert_hint(path)}")
        self.frames = sum(link.frames for link in self._links)
        self._is_exact = layout.counted and self.format in _EXACT_FORMATS and self.subtype in _EXACT_SUBTYPES
        if self._is_exact:
            self._catch = nullcontext  # the decoders of PCM and FLAC print nothing

    @property
    def _rows(self) -> int:
        """The number of samples per channel in one read of `_count` and `_forward`.

        It is independent of the parameter `rows` of `blocks`: in lossy formats, other reads can give other samples.
        """
        return max(1, min(2**15, _BLOCK // self.channels))

    def _take_header(self, file: _Forward) -> None:
        """Take the rate, channels, format and subtype from the header of a link that was opened, and store them.

        Raises FileError if the format is not read, and if rate or channels differ from those of the previous links.
        """
        if file.format not in READABLE_FORMATS:
            raise FileError(
                f"{self.path} is not an audio file that can be read: {file.format_info} is not supported: "
                f"{convert_hint(self.path)}"
            )
        if self._links and (self.rate, self.channels) != (file.samplerate, file.channels):
            raise FileError(
                f"{self.path} changes from {self.rate} Hz and {self.channels} channels to {file.samplerate} Hz and "
                f"{file.channels} channels: {convert_hint(self.path)}"
            )
        self.rate, self.channels = file.samplerate, file.channels
        self.format, self.subtype = file.format, file.subtype

    def _count(self, file: _Forward, most: int) -> int:
        """Decode an open file to count its samples per channel, and return their number. Stop after `most` samples.

        Raises FileError if the file is damaged.
        """
        frames = 0
        while n := len(self._read(file, min(self._rows, most - frames), frames)):
            frames += n
        return frames

    def blocks(self, first: int, length: int, rows: int) -> Iterator[Array]:
        """Yield `length` samples from sample `first` on, in blocks [n, channels] of up to `rows` samples.

        Samples are counted per channel, and are float64 with full scale +-1. There are fewer samples if the file ends
        earlier. Raises FileError if the file is damaged.
        """
        begin = 0  # number of the link's first sample in the file
        for link in self._links:
            start, end = max(first - begin, 0), min(first + length - begin, link.frames)
            if start < end:
                with self._opened(link.piece) as file:
                    if self._is_exact:
                        yield from self._sought(file, begin, start, end, rows)
                    else:
                        yield from self._forward(file, begin, start, end, rows, link.frames)
            begin += link.frames

    def _sought(self, file: _Forward, begin: int, start: int, end: int, rows: int) -> Iterator[Array]:
        """Yield the samples `start` to `end` - 1 of a link, after seeking.

        start, end: sample numbers that count from the start of the link. begin: the number of the link's first sample,
        counted from the start of the file, for messages. rows: the most samples per channel in a block.
        """
        try:
            at = int(file.seek(start)) if start else 0
        except soundfile.LibsndfileError as error:
            raise self._unreadable(error, begin) from None
        while at < end and len(block := self._read(file, min(rows, end - at), begin + at)):
            at += len(block)
            yield block

    def _forward(self, file: _Forward, begin: int, start: int, end: int, rows: int, frames: int) -> Iterator[Array]:
        """Yield the samples `start` to `end` - 1 of a link, without seeking.

        The link is decoded from its start, in reads of `_rows` samples, so that the samples do not depend on `rows`.
        frames: the number of samples of the link; the decoder is never asked for more. begin, start, end, rows: as in
        `_sought`.
        """
        at = 0
        while at < end and len(block := self._read(file, min(self._rows, frames - at), begin + at)):
            wanted = block[max(0, start - at) : end - at]
            at += len(block)
            for k in range(0, len(wanted), rows):
                yield wanted[k : k + rows]

    @contextmanager
    def _opened(self, piece: Piece | None) -> Iterator[_Forward]:
        part = piece and FilePart(self.path, piece)
        try:
            with catch_printed() as printed:  # a damaged file of any format may be taken for an MP3
                file = _Forward(part or os.fsencode(self.path))
        except soundfile.LibsndfileError as error:
            if part:
                part.close()
            raise FileError(f"{self.path} is not an audio file that can be read: {self._why(error)}") from None
        try:
            self._check_printed(printed, 0)
            yield file
        finally:
            file.close()
            if part:
                part.close()

    def _read(self, file: _Forward, rows: int, at: int) -> Array:
        """Return the next `rows` samples, or fewer at the end: [n, channels].

        at: the number of the first of these samples in the file, for messages. Raises FileError if the file is damaged.
        """
        try:
            with self._catch() as printed:
                block: Array = file.read(rows, dtype="float64", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._unreadable(error, at) from None
        part = file.name
        if isinstance(part, FilePart) and part.error:
            raise FileError(f"{self.path} cannot be read: {part.error.strerror}")
        self._check_printed(printed, at)
        return block

    def _check_printed(self, printed: Printed | None, at: int) -> None:
        """Raise FileError if a decoder has printed a text: decoders print only about damaged files.

        printed: the text; None if nothing was caught. at: the number of the sample being read, for the message.
        """
        if printed and printed.text:
            line = " ".join(printed.text.split())
            raise FileError(
                f"{self.path} is damaged near sample {at}: its decoder says '{line[:100]}': fetch it again, or "
                f"{convert_hint(self.path)}"
            )

    def _unreadable(self, error: soundfile.LibsndfileError, at: int) -> FileError:
        return FileError(
            f"{self.path} is damaged or truncated behind sample {at}: its decoder says '{error.error_string}': "
            f"fetch it again, or {convert_hint(self.path)}"
        )

    def _why(self, error: soundfile.LibsndfileError) -> str:
        """Return why libsndfile did not open the file, and what to do, as the end of a message."""
        with self.path.open("rb") as file:
            head = file.read(512)
        for name, (at, marks) in _FOREIGN.items():
            if head[at:].startswith(marks):
                return f"{name} is not supported: {convert_hint(self.path)}"
        if is_text(head) and not head.startswith(_TEXT_HEADERS):
            return "it is text. A list of files is a manifest if its name ends with .jsonl, .json, .csv, .tsv or .scp"
        reason = error.error_string
        if reason.startswith("File does not exist"):  # a decoder does not accept the header
            reason = "its header is damaged or incomplete."
        return f"{reason} If other programs play it, {convert_hint(self.path)}"


def _check_readable(path: Path) -> None:
    """Raise FileError if a file is missing, is empty, is not a regular file, or has no header (suffix .raw)."""
    with open_file(path) as file:  # its errors say more than "System error", the message of libsndfile
        size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise FileError(f"{path} is empty (0 bytes)")
    if path.suffix.lower() == ".raw":
        raise FileError(f"{path} has no header that says its rate and format: make it a WAV first")
