"""Audio containers: how long a file really is, and what a decoder must be given to read it to that end.

The headers of audio files are wrong more often than expected: a program that writes to a pipe cannot go back to fill in
the length, files are joined, downloads break off. libsndfile believes a header, and cuts or refuses such a file.
`find_layout` finds out what the file holds.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from dspgraph.errors import FileError
from dspgraph.io.filepart import Piece, Span
from dspgraph.io.flac import find_flac
from dspgraph.io.mpeg import find_mpeg, id3_length
from dspgraph.io.ogg import clear_serial_numbers, find_links

Order: TypeAlias = Literal["big", "little"]


class FileLayout(NamedTuple):
    """The bytes of a file that a decoder reads, and the questions that it answers about them."""

    pieces: tuple[Piece | None, ...] = (None,)  # decoded one after the other; None: the file as it is
    counted: bool = True  # whether a decoder knows the length; otherwise all samples are decoded to count them
    samples: int | None = None  # per channel, of the one piece, if a decoder takes it to be longer
    notes: tuple[str, ...] = ()  # where the header was not believed, in words


_IGNORING = "ffmpeg -ignore_length 1 -i"
"""The command of a program that reads a file to its end, whatever its header says."""

UNKNOWN_LENGTH = "read to its end: its header has no length"


def find_layout(path: Path) -> FileLayout:
    """Return what a decoder must be given in order to read a file whole.

    Raises FileError if the file is truncated (in the formats WAV, RF64, W64, AIFF, IFF, CAF, AU, NIST, Ogg, and MP3 if
    its header has its length), if it is damaged (Ogg, MP3), or if it has more samples than its format can hold (WAV).
    A damaged or truncated FLAC file is recognised when it is decoded. Other formats do not say how long they should be.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = _behind_id3(file)
        file.seek(begin)
        magic = file.read(4)
        if magic == b"OggS":
            return _ogg_layout(path, begin, size)
        whole = None if begin == 0 else Piece((Span(begin, size),))
        if magic == b"fLaC":
            return _flac_layout(file, begin, size, whole)
        if magic in CHUNKED or magic in (b".snd", b"dns.", b"NIST"):
            return _sized_layout(path, file, magic, begin, size, whole)
    mpeg = find_mpeg(path, begin, size)
    if mpeg is None:
        return FileLayout((whole,))
    return FileLayout((mpeg.piece,), samples=mpeg.samples, notes=mpeg.notes)


def _behind_id3(file: BinaryIO) -> int:
    """Return where the ID3 tags at the beginning of a file end, in bytes."""
    at = 0
    for _ in range(10):
        file.seek(at)
        length = id3_length(file.read(10))
        if not length:
            break
        at += length
    return at


def _ogg_layout(path: Path, begin: int, size: int) -> FileLayout:
    links = find_links(path, begin, size)
    notes = [f"read {len(links)} chained streams one after the other"] if len(links) > 1 else []
    if not all(link.from_its_start for link in links):
        notes.append("it begins in the middle of a stream")
    pieces: Sequence[Piece | None] = [Piece((link.span,)) for link in links]
    if len(links) == 1 and links[0].span == (0, size):
        pieces = [None]
    return FileLayout(tuple(pieces), all(link.from_its_start for link in links), notes=tuple(notes))


def _flac_layout(file: BinaryIO, begin: int, size: int, whole: Piece | None) -> FileLayout:
    flac = find_flac(file, begin, size)
    if flac.promised == 0:
        return FileLayout((whole,), counted=False, notes=(UNKNOWN_LENGTH,))
    if flac.found > flac.promised:
        note = f"its header promises {flac.promised} samples, all {flac.found} were read"
        return FileLayout((Piece((Span(begin + len(flac.head), size),), flac.head),), counted=False, notes=(note,))
    return FileLayout((whole,))


# ---- containers with one length in bytes ----------------------------------------------------------------------------


class _Chunks(NamedTuple):
    """The layout of a file that consists of chunks. Before the content of a chunk stand its name and its length."""

    name: int = 4  # size of the name, in bytes
    length: int = 4  # size of the length, in bytes
    order: Order = "big"  # byte order of the length
    first: int = 12  # offset of the first chunk in the file, in bytes
    align: int = 2  # every chunk begins at a multiple of this number of bytes
    counted: int = 0  # what the length counts besides the content: 0, or the bytes of name and length
    samples: tuple[bytes, ...] = (b"data",)  # possible names of the chunk that has the samples


CHUNKED = {
    b"RIFF": _Chunks(order="little"),
    b"RIFX": _Chunks(),
    b"RF64": _Chunks(order="little"),
    b"FORM": _Chunks(samples=(b"SSND", b"BODY")),
    b"caff": _Chunks(length=8, first=8, align=1),
    b"riff": _Chunks(  # W64: its names are GUIDs
        16, 8, "little", first=40, align=8, counted=24, samples=(bytes.fromhex("64617461f3acd3118cd100c04f8edb8a"),)
    ),
}
"""The layouts of files that consist of chunks, by the first four bytes of the file."""


class _Samples(NamedTuple):
    """The place of the samples in a file, by its header. All offsets count from the first byte of the container."""

    begin: int  # offset of the samples, in bytes
    length: int  # in bytes
    field: int  # offset of the length
    size: int  # of the length: 4 or 8 bytes
    order: Order = "big"
    counted: int = 0  # what the length counts besides the samples, in bytes

    @property
    def is_unknown(self) -> bool:
        """True if the length is one that a program writes before it knows the length.

        Programs leave 0, -1, the largest signed or unsigned number, or 7FFFF000 or 7F000000 (sox, espeak), or one of
        these less the length of the header.
        """
        value, bits = self.length + self.counted, 8 * self.size
        marks = [2**bits, 2 ** (bits - 1), *(0x7FFFF000, 0x7F000000)[: 2 * (bits == 32)]]
        return self.length <= 0 or any(mark - 256 <= value <= mark + 64 for mark in marks)


def _sized_layout(path: Path, file: BinaryIO, magic: bytes, begin: int, size: int, whole: Piece | None) -> FileLayout:
    """Return the layout of a file with one length in bytes.

    begin: offset of the container in the file; size: of the file; whole: the layout of a file with the right length.
    """
    found = _find_samples(file, magic, begin, size)
    if found is None:
        return FileLayout((whole,))
    there = max(0, size - begin - found.begin)
    end = _end_of_chunks(file, magic, begin, found, size)
    left = max(0, size - end)
    if there and found.is_unknown and (found.length > there or left >= 8):
        return FileLayout((_with_length(path, file, begin, found, there, size),), notes=(UNKNOWN_LENGTH,))
    if found.length > there:
        raise FileError(
            f"{path} is truncated: its header promises {found.length} bytes of samples, it has {there}: fetch it "
            "again, or let an audio editor repair it"
        )
    if left >= 2**32 and found.size == 4:
        raise FileError(
            f"{path} has {left} bytes behind its samples: more than 4 GiB do not fit into its header: "
            f"make it a W64: {_IGNORING} {shlex.quote(path.name)} out.w64"
        )
    file.seek(min(end, size))
    is_padding = left < 8 or not file.read(4096).strip(b"\0")
    note = f"left out {left} bytes behind the samples, whose length its header has"
    return FileLayout((whole,), notes=() if is_padding else (note,))


def _find_samples(file: BinaryIO, magic: bytes, begin: int, size: int) -> _Samples | None:
    """Return where the samples are, as the header says; None if it does not say."""
    if magic in CHUNKED:
        return _chunk_of_samples(file, CHUNKED[magic], begin, size)
    if magic in (b".snd", b"dns."):  # AU
        order: Order = "big" if magic == b".snd" else "little"
        file.seek(begin + 4)
        return _Samples(_integer(file, 4, order), _integer(file, 4, order), 8, 4, order)
    file.seek(begin)
    head = file.read(1024)
    start = re.match(rb"NIST_1A\s+(\d{1,9})\s", head)
    fields = dict(re.findall(rb"^(\w+) -i (\d{1,18})", head, re.MULTILINE))
    length = math.prod(int(fields.get(name, 0)) for name in (b"sample_count", b"channel_count", b"sample_n_bytes"))
    return _Samples(int(start[1]), length, 0, 0) if start and length else None


def _chunk_of_samples(file: BinaryIO, chunks: _Chunks, begin: int, size: int) -> _Samples | None:
    at, large = chunks.first, None
    while begin + at < size:
        file.seek(begin + at)
        name, length = file.read(chunks.name), _integer(file, chunks.length, chunks.order)
        field = at + chunks.name
        at = field + chunks.length
        if name == b"ds64":  # RF64: a length of 64 bits, for a chunk "data" whose own length is the largest number
            file.seek(8, 1)
            large = _Samples(0, _integer(file, 8, chunks.order), at + 8, 8, chunks.order)
        elif name in chunks.samples:
            if large and length == 2**32 - 1:
                return large._replace(begin=at)
            return _Samples(at, length - chunks.counted, field, chunks.length, chunks.order, chunks.counted)
        at += max(0, length - chunks.counted)
        at += -at % chunks.align
    return None


def _integer(file: BinaryIO, length: int, order: Order) -> int:
    return int.from_bytes(file.read(length), order)


def _end_of_chunks(file: BinaryIO, magic: bytes, begin: int, found: _Samples, size: int) -> int:
    """Return where the samples and the chunks behind them end, in bytes from the start of the file."""
    at = begin + found.begin + max(0, found.length)
    chunks = CHUNKED.get(magic)
    if chunks:
        at += -(at - begin) % chunks.align
        while size - at >= chunks.name + chunks.length:
            file.seek(at)
            name, length = file.read(chunks.name), _integer(file, chunks.length, chunks.order)
            if not all(32 <= byte < 127 for byte in name[:4]):
                break
            at += chunks.name + chunks.length + max(0, length - chunks.counted)
            at += -(at - begin) % chunks.align
    return at


def _with_length(path: Path, file: BinaryIO, begin: int, found: _Samples, there: int, size: int) -> Piece:
    """Return a file whose header has the length of the samples that are there; there: in bytes."""
    length = there + found.counted
    if length >= 2 ** (8 * found.size):
        raise FileError(
            f"{path} has {there} bytes of samples and no length in its header, which holds none above 4 GiB: "
            f"make it a W64: {_IGNORING} {shlex.quote(path.name)} out.w64"
        )
    file.seek(begin)
    head = bytearray(file.read(found.begin))
    head[found.field : found.field + found.size] = length.to_bytes(found.size, found.order)
    return Piece((Span(begin + found.begin, size),), bytes(head))


# ---- writing --------------------------------------------------------------------------------------------------------


def make_reproducible(path: Path) -> None:
    """Change a new file in place, so that its bytes depend on the samples alone.

    libsndfile writes the present time into the PEAK chunk of a WAV file, and a random serial number into an Ogg file.
    Both become 0.
    """
    with path.open("rb+") as file:
        magic = file.read(4)
        if magic == b"RIFF":
            _clear_peak_time(file, path.stat().st_size)
    if magic == b"OggS":
        clear_serial_numbers(path)


def _clear_peak_time(file: BinaryIO, size: int) -> None:
    at = CHUNKED[b"RIFF"].first
    while at < size:
        file.seek(at)
        name, length = file.read(4), _integer(file, 4, "little")
        if name == b"data":
            return
        if name == b"PEAK":  # after name and length: a version and the time, four bytes each
            file.seek(at + 12)
            file.write(bytes(4))
        at += 8 + length + length % 2
