"""What libsndfile leaves to others: to see that a file has lost its end, and to write the same bytes each time."""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from dspgraph.errors import FileError

Order: TypeAlias = Literal["big", "little"]


class _Chunks(NamedTuple):
    """A file of chunks, each with a name and a length before it."""

    name: int = 4  # bytes of a chunk's name
    length: int = 4  # bytes of its length
    order: Order = "big"
    first: int = 12  # where the first chunk begins
    align: int = 2  # the next chunk begins at a multiple of this
    counted: int = 0  # bytes of the name and the length that the length counts too
    samples: tuple[bytes, ...] = (b"data",)


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
"""By the first four bytes of the file."""

OGG_PAGE = 65307
"""Bytes of the longest Ogg page (RFC 3533, section 6)."""


def check_whole(path: Path) -> None:
    """Raise FileError for a file that ends before its header, or its last page, says so.

    Known here: WAV, RF64, W64, AIFF, IFF, CAF, AU, NIST and Ogg. FLAC and MP3 tell while they are decoded, an MP3 if it
    has a length in it. Of other formats it cannot be told: they are taken as they are.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
        if magic == b"OggS":
            found, whole = "its last page is missing", _ogg_ends(file, size)
        else:
            begin, length = _promise(file, magic, size)
            found = f"its header promises {length} bytes of samples, it has {max(0, size - begin)}"
            whole = begin + length <= size
    if not whole:
        raise FileError(f"{path} is truncated: {found}: fetch it again, or let an audio editor repair it")


def _promise(file: BinaryIO, magic: bytes, size: int) -> tuple[int, int]:
    """Where the samples begin and how many bytes they are; (0, 0) where nothing is promised."""
    if magic in CHUNKED:
        return _chunk_of_samples(file, CHUNKED[magic], size)
    if magic in (b".snd", b"dns."):  # AU
        order: Order = "big" if magic == b".snd" else "little"
        begin, length = _integer(file, 4, order), _integer(file, 4, order)
        return begin, _known(length, 4)
    if magic == b"NIST":
        head = file.read(1024)
        start = re.match(rb"_1A\s+(\d+)\s", head)
        fields = dict(re.findall(rb"^(\w+) -i (\d+)", head, re.MULTILINE))
        length = math.prod(int(fields.get(name, 0)) for name in (b"sample_count", b"channel_count", b"sample_n_bytes"))
        return (int(start[1]), length) if start else (0, 0)
    return 0, 0


def _chunk_of_samples(file: BinaryIO, chunks: _Chunks, size: int) -> tuple[int, int]:
    at, total = chunks.first, 0
    while at < size:
        file.seek(at)
        name, length = file.read(chunks.name), _integer(file, chunks.length, chunks.order) - chunks.counted
        at += chunks.name + chunks.length
        if name == b"ds64":  # RF64: the length that 32 bits cannot hold
            file.seek(8, 1)
            total = _known(_integer(file, 8, chunks.order), 8)
        elif name in chunks.samples:
            return at, _known(length, chunks.length) or total
        at += max(0, length)
        at += -at % chunks.align
    return 0, 0


def _integer(file: BinaryIO, length: int, order: Order) -> int:
    return int.from_bytes(file.read(length), order)


def _known(length: int, size: int) -> int:
    """The length, of so many bytes; 0 for the largest, which a recorder leaves that could not seek back to write it."""
    return length if length < 0xFFFFFF00 << 8 * (size - 4) else 0


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    """Whether the last page is all there and says that it ends its stream (RFC 3533, section 6)."""
    file.seek(max(0, size - 2 * OGG_PAGE))
    end = file.read()
    page = end[end.rfind(b"OggS\0") :]
    if len(page) < 27:
        return False
    length = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return bool(page[5] & 4) and length <= len(page)


# ---- the same bytes each time ---------------------------------------------------------------------------------------

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def settle(path: Path) -> None:
    """Take out of a file just written what is not in its samples: the time in a WAV's PEAK chunk, the number of an Ogg
    stream that is drawn at random."""
    with path.open("rb+") as file:
        magic = file.read(4)
        if magic == b"RIFF":
            _settle_wav(file, path.stat().st_size)
        elif magic == b"OggS":
            _settle_ogg(file)


def _settle_wav(file: BinaryIO, size: int) -> None:
    at = CHUNKED[b"RIFF"].first
    while at < size:
        file.seek(at)
        name, length = file.read(4), _integer(file, 4, "little")
        if name == b"data":
            return
        if name == b"PEAK":  # its version, then the time, four bytes each
            file.seek(at + 12)
            file.write(bytes(4))
        at += 8 + length + length % 2


def _settle_ogg(file: BinaryIO) -> None:
    at = 0
    while True:
        file.seek(at)
        head = bytearray(file.read(27))
        if not head:
            return
        sizes = file.read(head[26])
        page = head + sizes + file.read(sum(sizes))
        page[14:18] = page[22:26] = bytes(4)  # the number of the stream; the sum is of a page with none in it
        page[22:26] = _ogg_sum(page).to_bytes(4, "little")
        file.seek(at)
        file.write(page)
        at += len(page)


def _ogg_sum(page: bytes | bytearray) -> int:
    """The check sum of a page (RFC 3533, section 6): zlib's polynomial, other end first, from 0, not inverted."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
