"""Audio containers: the true length of a file, and the bytes that a decoder must be given to read it to its end.

The lengths in headers of audio files are often wrong: a program that writes to a pipe cannot go back to fill in the
length, files are joined, downloads break off. libsndfile trusts the header, and cuts or refuses such a file.
`find_layout` finds out what the file really contains.
"""

from __future__ import annotations

import itertools
import math
import re
import shlex
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from dspgraph.errors import FileError
from dspgraph.io.filepart import Piece, Span
from dspgraph.io.flac import Flac, find_flac, find_starts
from dspgraph.io.mpeg import find_mpeg, id3_length
from dspgraph.io.ogg import clear_serial_numbers, find_links, pages_of
from dspgraph.io.paths import convert_hint
from dspgraph.io.positions import count_positions
from dspgraph.shown import shown

Order: TypeAlias = Literal["big", "little"]


class FileLayout(NamedTuple):
    """A plan for reading a file to its true end: the pieces that decoders read in turn, and what is known of them.

    pieces: the input of each decoder, in order; None: the file as it is. counted: whether a decoder knows the length
    before it decodes; if not, all samples are decoded to count them. most: the most samples per channel to read from
    each piece; if empty, all. notes: sentences about what is wrong in the file, and what is left out.
    """

    pieces: tuple[Piece | None, ...] = (None,)  # decoded one after the other; None: the file as it is
    counted: bool = True  # whether a decoder knows the length; if not, all samples are decoded to count them
    most: tuple[int, ...] = ()  # the most samples per channel to read from each piece; a decoder may give more
    notes: tuple[str, ...] = ()  # sentences about what is wrong in the file, and what is left out


_IGNORING = "ffmpeg -ignore_length 1 -i"
"""The beginning of a command, for messages: ffmpeg then ignores the length in the header."""

_MOST_JOINED = 20
"""The largest number of FLAC files that are joined in one file. A file with more was made to waste time."""

_KEPT = 64
"""The number of files whose layouts are kept, because finding the layout of an MP3, Ogg or FLAC file takes time."""

_SETTLED = 2 * 10**9
"""The layout of a file is kept only if its last change was more than this number of nanoseconds ago.

Two changes of a file within one tick of the file system's clock (up to 2 s) may have the same time.
"""

UNKNOWN_LENGTH = "read to its end: its header has no length"

_LOOKED_AT = 2**20
"""To find out whether the bytes after the samples are padding, this number of the first and of the last are read."""

_LAST_SAMPLES, _LAST_PAGE = "the samples, whose length its header has", "the last whole page"
"""Names of the last thing that is read of a file, for notes about the bytes after it."""


def find_layout(path: Path) -> FileLayout:
    """Return the layout with which a decoder reads the whole file.

    path: a file that can be opened; otherwise an OSError is raised. A file of a format that is not named here is read
    as it is.

    Raises FileError if the file is truncated (in the formats WAV, RF64, W64, AIFF, IFF, CAF, AU, NIST, Ogg, and in MP3
    if the header has a length), if it is damaged (Ogg, MP3, and AIFF, CAF, AU, NIST if the samples cannot begin where
    the header says), if it has more samples than its format allows (WAV, AIFF, IFF, AU), if its samples are compressed
    (NIST), or if it consists of more than _MOST_JOINED files (FLAC). A damaged or truncated FLAC file is noticed when
    it is decoded. Truncated files of IRCAM and PVF are not noticed, because their headers have no length. The layouts
    of the last files are kept in a cache, because many parts of a long file are often read one after the other.
    """
    stat = path.stat()
    if time.time_ns() - stat.st_mtime_ns < _SETTLED:
        return _layout(path, stat.st_size)
    return _kept_layout(path, stat.st_size, (stat.st_mtime_ns, stat.st_ino, stat.st_dev))


@lru_cache(maxsize=_KEPT)
def _kept_layout(path: Path, size: int, state: tuple[int, int, int]) -> FileLayout:
    """Return the layout of a file, from a cache if it is known.

    size, state: the size in bytes, and (time of the last change in ns, inode, device) of the file. They are part of the
    key of the cache: if the file changes, its layout is found again.
    """
    return _layout(path, size)


def _layout(path: Path, size: int) -> FileLayout:
    """Return the layout of a file of `size` bytes, as `find_layout` does, without the cache."""
    with path.open("rb") as file:
        begin = _behind_id3(file)
        file.seek(begin)
        magic = file.read(4)
        if magic == b"OggS":
            return _ogg_layout(path, file, begin, size)
        whole = None if begin == 0 else Piece((Span(begin, size),))
        if magic == b"fLaC":
            return _flac_layout(file, begin, size, whole)
        if magic in CHUNKED or magic in (b".snd", b"dns.", b"NIST"):
            return _sized_layout(path, file, magic, begin, size, whole)
    mpeg = find_mpeg(path, begin, size)
    if mpeg is None:
        return FileLayout((whole,))
    return FileLayout((mpeg.piece,), most=_most(mpeg.samples), notes=mpeg.notes)


def _behind_id3(file: BinaryIO) -> int:
    """Return the offset, in bytes, at which the ID3 tags (at most 10) at the beginning of a file end; 0 if none."""
    at = 0
    for _ in range(10):
        file.seek(at)
        length = id3_length(file.read(10))
        if not length:
            break
        at += length
    return at


def _ogg_layout(path: Path, file: BinaryIO, begin: int, size: int) -> FileLayout:
    links = find_links(path, begin)
    notes = [f"read {len(links)} chained streams one after the other"] if len(links) > 1 else []
    pieces: list[Piece | None] = []
    for link in links:
        numbered = count_positions(pages_of(path, link))
        as_it_is = None if link.span == (0, size) else Piece((link.span,))
        pieces.append(as_it_is if numbered.is_right and not link.others else numbered.piece)
        if link.others:
            notes.append("left out streams without sound")
        notes += numbered.notes
    end = links[-1].span.last
    notes += _notes_of_left(file, end, size - end, _LAST_PAGE)
    return FileLayout(tuple(pieces), notes=tuple(dict.fromkeys(notes)))


def _flac_layout(file: BinaryIO, begin: int, size: int, whole: Piece | None) -> FileLayout:
    starts = list(itertools.islice(find_starts(file, begin), _MOST_JOINED + 1))
    if len(starts) > _MOST_JOINED:
        raise FileError(
            f"{file.name} has more than {_MOST_JOINED} joined FLAC files: is it whole? If other programs play it, "
            f"{convert_hint(Path(file.name))}"
        )
    if len(starts) > 1:
        return _joined_flac_layout(file, [*starts, size])
    flac = find_flac(file, begin, size)
    if flac.promised == 0:
        return FileLayout((whole,), counted=False, most=_most(flac.found), notes=(UNKNOWN_LENGTH,))
    if flac.found > flac.promised:
        note = f"its header promises {flac.promised} samples, all {flac.found} were read"
        return FileLayout((_without_length(flac, begin, size),), counted=False, most=_most(flac.found), notes=(note,))
    return FileLayout((whole,))


def _joined_flac_layout(file: BinaryIO, ends: list[int]) -> FileLayout:
    """Return the layout of joined FLAC files. ends: the offsets at which they begin, then the end of the last file."""
    pieces: list[Piece] = []
    most: list[int] = []
    counted = True
    for begin, end in itertools.pairwise(ends):
        flac = find_flac(file, begin, end)
        is_right = 0 < flac.promised >= flac.found
        counted &= is_right
        pieces.append(Piece((Span(begin, end),)) if is_right else _without_length(flac, begin, end))
        most += _most(flac.promised if is_right else flac.found)
    return FileLayout(tuple(pieces), counted, tuple(most), (f"read {len(pieces)} joined files one after the other",))


def _most(samples: int | None) -> tuple[int, ...]:
    """Return the field `most` of a layout with one piece.

    samples: the number of samples per channel; None or 0 if it is not known: there is then no limit.
    """
    return (samples or sys.maxsize,)


def _without_length(flac: Flac, begin: int, end: int) -> Piece:
    """Return the FLAC file from byte `begin` to byte `end` as a piece in whose header the length is replaced by 0.

    flac: the result of `find_flac` for this file.
    """
    return Piece((flac.head, Span(begin + len(flac.head), end)))


# ---- containers with one length in bytes ----------------------------------------------------------------------------


class _Chunks(NamedTuple):
    """The form of a container that consists of chunks, such as WAV. A chunk is a name, a length and a content."""

    name: int = 4  # size of the name, in bytes
    length: int = 4  # size of the length, in bytes
    order: Order = "big"  # byte order of the length
    first: int = 12  # offset of the first chunk in the file, in bytes
    align: int = 2  # every chunk begins at a multiple of this number of bytes
    counted: int = 0  # bytes that the length counts besides the content: 0, or those of name and length
    samples: tuple[bytes, ...] = (b"data",)  # possible names of the chunk that has the samples
    inside: int = 0  # bytes in the content of this chunk before its samples
    bounded: bool = True  # whether a decoder stops at the end of this chunk


CHUNKED = {
    b"RIFF": _Chunks(order="little"),
    b"RIFX": _Chunks(),
    b"RF64": _Chunks(order="little"),
    b"FORM": _Chunks(samples=(b"SSND", b"BODY"), inside=8),
    b"caff": _Chunks(length=8, first=8, align=1, inside=4),
    b"riff": _Chunks(  # W64: its names are GUIDs
        16, 8, "little", 40, 8, 24, samples=(bytes.fromhex("64617461f3acd3118cd100c04f8edb8a"),), bounded=False
    ),
}
"""First four bytes of a file -> form of its chunks, for files that consist of chunks."""

_BLOCK_TAGS = (0x02, 0x11, 0x31, 0x38)  # MS ADPCM, IMA ADPCM, GSM 6.10, NMS ADPCM
"""Formats in WAV files whose samples are coded in blocks. The header has the true length of a block.

If the last block is incomplete, libsndfile fills it with bytes of the block before, and decodes wrong samples.
"""

_G721_TAG, _G721_BLOCK = 0x40, 60
"""A format in WAV files, and the length of its blocks in bytes: 120 samples, which libsndfile decodes at a time.

The header gives another length of a block, which is not used.
"""

_EXTENSIBLE = b"\xfe\xff"
"""The format of a WAV or W64 file whose header has the extensible form."""

_MPEG_TAGS = (0x50, 0x55)  # layer 1 or 2, layer 3

_LARGEST_TABLE = 2**22
"""The largest size in bytes of a table of packets. The table of 50 hours of ALAC at 48 kHz has this size."""

_AU_HEADER = 24
"""The smallest length of the header of an AU file, in bytes."""

_AU_BLOCKS = {23: 60, 25: 45, 26: 75}  # G.721, G.723 with 3 and with 5 bits
"""Number of the encoding in an AU file -> bytes of 120 samples, which libsndfile decodes at a time."""

_AIFF_UNITS = {
    **dict.fromkeys((b"", b"NONE", b"twos", b"sowt", b"raw "), (0, 1)),
    **dict.fromkeys((b"ulaw", b"ULAW", b"alaw", b"ALAW"), (1, 1)), **dict.fromkeys((b"in24", b"42ni"), (3, 1)),
    **dict.fromkeys((b"in32", b"23ni", b"fl32", b"FL32"), (4, 1)), **dict.fromkeys((b"fl64", b"FL64"), (8, 1)),
    b"ima4": (34, 64), b"GSM ": (33, 160),
}  # fmt: skip
"""Type of compression in an AIFF or AIFC file -> (bytes, samples) of the smallest unit of one channel.

0 bytes means that the number of bits in the header decides. Types whose samples differ in length are left out.
"""


class _Coding(NamedTuple):
    """The properties of a sample coding that are needed to compute the length of a file.

    block, samples: the number of bytes of a block, and the number of samples per channel in it. promised: the number of
    samples per channel according to the header; 0 if the header does not say it. packets: the number of bytes of all
    packets according to a table in the header; 0 if there is no table. is_mpeg: whether the samples are MPEG audio.
    patch: the offset, from the first byte of the container, of bytes that must be replaced, and their replacement; b""
    if there are none.
    """

    block: int = 1  # bytes of a block; a decoder needs whole blocks
    samples: int = 1  # samples per channel in a block
    promised: int = 0  # number of samples per channel in the header, beside the length in bytes; 0: there is none
    packets: int = 0  # bytes of all packets according to a table; 0: there is no table
    is_mpeg: bool = False
    patch: tuple[int, bytes] = (0, b"")  # offset of bytes to replace in the header, and their replacement


class _Samples(NamedTuple):
    """The place of the samples in a file, according to its header. Offsets count from the first byte of the container.

    begin, length: the offset and the length, in bytes, of the content that ends with the samples; its first `inside`
    bytes are no samples. field, size, order: the offset, the number of bytes and the byte order of the number in the
    header that gives this length.
    """

    begin: int  # offset of the content with the samples, in bytes
    length: int  # of this content, in bytes
    field: int  # offset at which the length stands in the header
    size: int  # bytes that the length has in the header: 4 or 8; 0: the header has no such length
    order: Order = "big"
    counted: int = 0  # bytes that the number in the header counts besides `length`
    inside: int = 0  # bytes between `begin` and the samples
    bounded: bool = True  # whether a decoder stops at the end of the samples; otherwise it reads what follows too
    coding: _Coding = _Coding()

    @property
    def is_unknown(self) -> bool:
        """True if the length in the header leaves no byte for samples, or is a mark for an unknown length."""
        return self.length <= self.inside or _is_mark(self.length + self.counted, self.size)


def _is_mark(length: int, size: int) -> bool:
    """Return whether a length in a header stands for an unknown length: programs write it before the samples.

    Such numbers are -1, the largest signed or unsigned number, 7FFFF000 and 7F000000 (sox, espeak). A number counts too
    if it is at most 256 less, because many programs subtract the length of the header, or at most 64 more. size: the
    bytes that the length has in the header: 4 or 8; for any other size the result is False.
    """
    marks = {4: (2**32, 2**31, 0x7FFFF000, 0x7F000000), 8: (2**64, 2**63)}.get(size, ())
    return any(mark - 256 <= length <= mark + 64 for mark in marks)


def _sized_layout(path: Path, file: BinaryIO, magic: bytes, begin: int, size: int, whole: Piece | None) -> FileLayout:
    """Return the layout of a file whose header states how many bytes of samples follow.

    magic: the first four bytes of the container. begin: the offset of the container in the file. size: bytes of the
    file. whole: the piece to use if the header is right, and if it does not say where the samples are; None: the file
    as it is. Raises FileError if the file is truncated or damaged.
    """
    found = _find_samples(path, file, magic, begin, size)
    if found is None:
        return FileLayout((whole,))
    written = found.length
    if found.coding.packets:
        found = found._replace(length=found.inside + found.coding.packets)
    there = max(0, size - begin - found.begin)
    end = _end_of_chunks(file, magic, begin, found, size)
    left = max(0, size - end)
    is_unknown = there > found.inside and found.is_unknown and (found.length > there or left >= 8)
    length = there if is_unknown else found.length
    _check_length(path, found, length, there, left)
    if length:  # 0: it has no samples
        _check_begin(path, found.begin + found.inside, 0, found.begin + length)
    rest = (length - found.inside) % found.coding.block
    stop = end if found.bounded else begin + found.begin + length
    if length - rest != written or found.coding.patch[1]:
        whole = _with_length(path, begin, found, length - rest)
    elif stop < size:
        whole = Piece((Span(begin, stop),))
    notes = [UNKNOWN_LENGTH] if is_unknown else _notes_of_left(file, end, left, _LAST_SAMPLES)
    if found.length != written:
        notes.append("read by its table of packets, which contradicts the length in its header")
    if found.coding.is_mpeg:
        return _mpeg_layout(path, begin + found.begin, begin + found.begin + length)
    return FileLayout((whole,), notes=(*notes, *_notes_of_samples(found.coding, max(0, length - found.inside))))


def _check_length(path: Path, found: _Samples, length: int, there: int, left: int) -> None:
    """Raise FileError if a file ends before it has `length` bytes, or if its header cannot express its length.

    The header cannot if it gives the length in 4 bytes, and 4 GiB or more follow the samples and all chunks.

    found: the place of the samples according to the header. length: the number of bytes that must be there from
    `found.begin` on. there: the number of bytes from `found.begin` to the end of the file. left: the number of bytes
    after the samples and all chunks.
    """
    if length > there:
        raise FileError(
            f"{path} is truncated: its header promises {length} bytes of samples, it has {there}: fetch it "
            "again, or let an audio editor repair it"
        )
    if left >= 2**32 and found.size == 4:
        raise FileError(
            f"{path} has {left} bytes behind its samples: more than 4 GiB do not fit into its header: "
            f"make it a W64: {_IGNORING} {shlex.quote(path.name)} out.w64"
        )


def _notes_of_left(file: BinaryIO, end: int, left: int, last: str) -> list[str]:
    """Return a list with a note that the last `left` bytes of a file are not used; an empty list if they are padding.

    Padding is fewer than 8 bytes, or bytes whose first and last MiB are zeros. end: the offset at which these bytes
    begin. last: the name of the part of the file that ends there, for the note.
    """

    def is_zero(at: int) -> bool:
        file.seek(at)
        return not file.read(min(left, _LOOKED_AT)).strip(b"\0")

    is_padding = left < 8 or (is_zero(end) and is_zero(end + max(0, left - _LOOKED_AT)))
    return [] if is_padding else [f"left out {left} bytes behind {last}"]


def _notes_of_samples(coding: _Coding, length: int) -> Iterator[str]:
    """Yield notes if a file has another number of samples than its header says, or an incomplete last block.

    coding: the coding of the samples, with the number in the header. length: the number of bytes of the samples.
    """
    blocks, rest = divmod(length, coding.block)
    found = blocks * coding.samples
    if coding.promised not in (0, found):
        yield f"its header promises {coding.promised} samples, the {found} that are there were read"
    if rest:
        yield f"left out the last {rest} bytes of its samples, which are no whole block"


def _mpeg_layout(path: Path, begin: int, end: int) -> FileLayout:
    """Return the layout of a WAV file with MPEG frames.

    begin, end: the offsets at which the samples begin and end, according to the header. Other bytes may come before the
    first frame; a note says so. Raises FileError if no frame is found, and if `find_mpeg` refuses the frames.
    """
    mpeg = find_mpeg(path, begin, end)
    if mpeg is None:
        raise FileError(f"{path} has no MPEG frames where its header says: {convert_hint(path)}")
    return FileLayout((mpeg.piece,), most=_most(mpeg.samples), notes=mpeg.notes)


def _find_samples(path: Path, file: BinaryIO, magic: bytes, begin: int, size: int) -> _Samples | None:
    """Return the place of the samples according to the header of a file, or None if the header does not say it.

    magic: the first four bytes of the container. begin: the offset of the container in the file. size: the size of the
    file in bytes. Raises FileError if the samples of an AU or SPHERE file cannot begin where its header says, or if
    those of a SPHERE file are compressed.
    """
    if magic in CHUNKED:
        return _chunk_of_samples(file, CHUNKED[magic], begin, size)
    if magic in (b".snd", b"dns."):
        return _au_samples(path, file, magic, begin, size)
    return _sphere_samples(path, file, begin, size)


def _au_samples(path: Path, file: BinaryIO, magic: bytes, begin: int, size: int) -> _Samples:
    order: Order = "big" if magic == b".snd" else "little"
    file.seek(begin + 4)
    start, length, encoding = (_integer(file, 4, order) for _ in range(3))
    _check_begin(path, start, _AU_HEADER, size - begin)
    return _Samples(start, length, 8, 4, order, bounded=False, coding=_Coding(_AU_BLOCKS.get(encoding, 1)))


def _sphere_samples(path: Path, file: BinaryIO, begin: int, size: int) -> _Samples | None:
    """Return the place of the samples of a SPHERE file (NIST), or None if its header is not valid.

    begin: the offset of the header in the file. size: the size of the file in bytes. Raises FileError if the samples
    are compressed, or do not begin between the end of the header and the end of the file.
    """
    file.seek(begin)
    head = file.read(1024)
    start = re.match(rb"NIST_1A\s+(\d{1,9})\s", head)
    if start is None:
        return None
    _check_begin(path, int(start[1]), head.find(b"end_head"), size - begin)
    fields = dict(re.findall(rb"^(\w+) -(?:i|s\d+) (\S+)", head, re.MULTILINE))
    coding = fields.get(b"sample_coding", b"").decode("latin-1")
    if "embedded" in coding:
        raise FileError(f"{path} has compressed samples ({shown(coding)}): {convert_hint(path)}")
    numbers = [fields.get(name, b"0") for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    length = math.prod(int(number) if re.fullmatch(rb"\d{1,18}", number) else 0 for number in numbers)
    return _Samples(int(start[1]), length, 0, 0, bounded=False)


def _check_begin(path: Path, start: int, first: int, end: int) -> None:
    """Raise FileError if the header says that the samples begin within the header, or after the end of the samples.

    All offsets count from the beginning of the container. start: where the samples begin, according to the header.
    first: the smallest offset that is allowed, next to the end of the header. end: where the samples, or the file, end.
    """
    if not first <= start <= end:
        place = "within the header" if start < first else f"behind their end, byte {end}"
        raise FileError(
            f"{path} is damaged or truncated: its header says that its samples begin at byte {start}, which is "
            f"{place}: fetch it again, or {convert_hint(path)}"
        )


def _chunk_of_samples(file: BinaryIO, chunks: _Chunks, begin: int, size: int) -> _Samples | None:
    at, large, coding = chunks.first, None, _Coding()
    while begin + at < size:
        file.seek(begin + at)
        name, length = file.read(chunks.name), _integer(file, chunks.length, chunks.order)
        field = at + chunks.name
        at = field + chunks.length
        if name == b"ds64":  # RF64: a length of 64 bits, for a chunk "data" whose own length is the largest number
            file.seek(8, 1)
            large = _Samples(0, _integer(file, 8, chunks.order), at + 8, 8, chunks.order)
        elif name[:4] == b"fmt ":
            coding = _wav_coding(file.read(26), at if chunks is CHUNKED[b"riff"] else None)
        elif name == b"COMM":
            coding = _aiff_coding(file.read(min(length, 22)))
        elif name == b"pakt" and length <= _LARGEST_TABLE:
            coding = _Coding(packets=_packet_bytes(file.read(length)))
        elif name in chunks.samples:
            inside, bounded = (chunks.inside, chunks.bounded) if name != b"BODY" else (0, False)
            if name == b"SSND":  # the samples may begin some bytes later: the chunk says how many
                inside += _integer(file, 4, chunks.order)
            if large:  # a decoder uses this length, and ignores the length of the chunk itself
                return large._replace(begin=at, coding=coding)
            counted = chunks.counted
            return _Samples(at, length - counted, field, chunks.length, chunks.order, counted, inside, bounded, coding)
        at += max(0, length - chunks.counted)
        at += -at % chunks.align
    return None


def _packet_bytes(content: bytes) -> int:
    """Return the number of bytes of all packets, from the content of the chunk "pakt" of a CAF file.

    The content begins with 24 bytes (number of packets, samples). The lengths of the packets follow. A length has 7
    bits in each byte, the highest bits first; the last byte of a length is below 128.
    """
    total = length = 0
    for byte in content[24:]:
        length = (length << 7 | byte & 0x7F) % 2**64
        if byte < 0x80:
            total, length = total + length, 0
    return total


def _wav_coding(content: bytes, w64: int | None) -> _Coding:
    """Return the coding of the samples in a WAV or W64 file.

    content: the first bytes of the chunk "fmt ", which describes the coding. w64: the offset of this content in a W64
    container; None for a WAV file. In the extensible form of the chunk, the format is the beginning of a GUID. In a W64
    file libsndfile ignores the GUID and takes floats for integers; therefore `patch` of the result changes the header,
    as the decoder reads it, to the plain form.
    """
    tag, patch = content[:2], (0, b"")
    if tag == _EXTENSIBLE:
        tag = content[24:26]
        patch = (0, b"") if w64 is None else (w64, tag)
    form, align = int.from_bytes(tag, "little"), int.from_bytes(content[12:14], "little")
    block = align if form in _BLOCK_TAGS else _G721_BLOCK if form == _G721_TAG else 1
    return _Coding(max(1, block), is_mpeg=form in _MPEG_TAGS, patch=patch)


def _aiff_coding(content: bytes) -> _Coding:
    """Return the sample coding that the chunk "COMM" of an AIFF file describes.

    content: the first bytes of the chunk.
    """
    channels, samples, bits = (int.from_bytes(content[a:b], "big") for a, b in ((0, 2), (2, 6), (6, 8)))
    if content[18:22] not in _AIFF_UNITS:
        return _Coding()
    size, count = _AIFF_UNITS[content[18:22]]
    promised = 0 if _is_mark(samples, 4) else samples * count
    return _Coding(max(1, (size or -(-bits // 8)) * channels), count, promised)


def _integer(file: BinaryIO, length: int, order: Order) -> int:
    return int.from_bytes(file.read(length), order)


def _end_of_chunks(file: BinaryIO, magic: bytes, begin: int, found: _Samples, size: int) -> int:
    """Return the offset in the file at which the samples, and the chunks after the samples, end.

    In a container without chunks, this is the end of the samples. Another file that follows does not count. magic: the
    first four bytes of the container. begin: the offset of the container in the file. found: the place of the samples.
    size: the size of the file in bytes.
    """
    at = begin + found.begin + max(0, found.length)
    chunks = CHUNKED.get(magic)
    if chunks:
        at += -(at - begin) % chunks.align
        while size - at >= chunks.name + chunks.length:
            file.seek(at)
            name, length = file.read(chunks.name), _integer(file, chunks.length, chunks.order)
            following = at + chunks.name + chunks.length + max(0, length - chunks.counted)
            is_chunk = all(32 <= byte < 127 for byte in name[:4]) and name not in chunks.samples
            if following > size or not is_chunk or name[:4] == magic:  # another file, or its samples
                break
            at = following + -(following - begin) % chunks.align
    return at


def _with_length(path: Path, begin: int, found: _Samples, there: int) -> Piece:
    """Return a piece of a file that ends `there` bytes after `found.begin`, with this length written into its header.

    The patch of `found.coding` is written into the header too. A header that has no length (`found.size` is 0) is left
    as it is. begin: the offset of the container in the file. found: the place of the samples. Raises FileError if the
    length is too large for the header.
    """
    span = Span(begin, begin + found.begin + there)
    if found.size == 0:
        return Piece((span,))
    length = there + found.counted
    if length >= 2 ** (8 * found.size):
        raise FileError(
            f"{path} has {there} bytes of samples and no length in its header, which holds none above 4 GiB: "
            f"make it a W64: {_IGNORING} {shlex.quote(path.name)} out.w64"
        )
    parts: list[bytes | Span] = []
    at = 0
    for offset, content in sorted((found.coding.patch, (found.field, length.to_bytes(found.size, found.order)))):
        parts += (Span(begin + at, begin + offset), content)
        at = offset + len(content)
    return Piece((*parts, span._replace(first=begin + at)))


# ---- writing --------------------------------------------------------------------------------------------------------


def make_reproducible(path: Path) -> None:
    """Change a new file in place, so that its bytes depend only on its samples and format.

    libsndfile writes the present time into the PEAK chunk of a WAV file, and a random serial number into an Ogg file.
    Both are replaced by 0.
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
