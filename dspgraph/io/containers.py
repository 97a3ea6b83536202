"""Containers of audio: find truncated files, and make the bytes of a file reproducible. libsndfile does neither."""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from dspgraph.errors import FileError

Order: TypeAlias = Literal["big", "little"]


class _Chunks(NamedTuple):
    """The layout of a file of chunks. A name and a length stand before each chunk."""

    name: int = 4  # bytes of a chunk's name
    length: int = 4  # bytes of its length
    order: Order = "big"
    first: int = 12  # where the first chunk begins
    align: int = 2  # the next chunk begins at a multiple of this
    counted: int = 0  # bytes of name and length that are included in the length
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
"""The layouts, by the first four bytes of a file."""

OGG_PAGE = 65307
"""Length of the longest Ogg page in bytes (RFC 3533, section 6)."""


def check_not_truncated(path: Path) -> None:
    """Raise FileError for a file that ends earlier than its header says, or without a last page.

    This covers WAV, RF64, W64, AIFF, IFF, CAF, AU, NIST and Ogg. A truncated FLAC file, or MP3 file that has its length
    in it, is found when it is decoded. Other formats do not tell: they are read as they are.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
        if magic == b"OggS":
            found, complete = "its last page is missing", _ogg_ends(file, size)
        else:
            begin, length = _promise(file, magic, size)
            found = f"its header promises {length} bytes of samples, it has {max(0, size - begin)}"
            complete = begin + length <= size
    if not complete:
        raise FileError(f"{path} is truncated: {found}: fetch it again, or let an audio editor repair it")


def _promise(file: BinaryIO, magic: bytes, size: int) -> tuple[int, int]:
    """Return the first byte of the samples and their length in bytes; (0, 0) if the header does not say."""
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
    """Return a length from a field of `size` bytes; 0 for the largest, which a recorder to a pipe leaves there."""
    return length if length < 0xFFFFFF00 << 8 * (size - 4) else 0


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    """Return whether the last page is complete and marked as the end of its stream (RFC 3533, section 6)."""
    file.seek(max(0, size - 2 * OGG_PAGE))
    end = file.read()
    page = end[end.rfind(b"OggS\0") :]
    if len(page) < 27:
        return False
    length = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return bool(page[5] & 4) and length <= len(page)


# ---- the same bytes each time ---------------------------------------------------------------------------------------

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def make_reproducible(path: Path) -> None:
    """Make the bytes of a new file depend on its samples alone.

    Sets to 0 the time in the PEAK chunk of a WAV file, and the serial number of an Ogg stream, which libsndfile draws
    at random.
    """
    with path.open("rb+") as file:
        magic = file.read(4)
        if magic == b"RIFF":
            _clear_peak_time(file, path.stat().st_size)
        elif magic == b"OggS":
            _clear_serial_numbers(file)


def _clear_peak_time(file: BinaryIO, size: int) -> None:
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


def _clear_serial_numbers(file: BinaryIO) -> None:
    at = 0
    while True:
        file.seek(at)
        head = bytearray(file.read(27))
        if not head:
            return
        sizes = file.read(head[26])
        page = head + sizes + file.read(sum(sizes))
        page[14:18] = page[22:26] = bytes(4)  # serial number and check sum; the sum is computed with 0 in its place
        page[22:26] = _ogg_sum(page).to_bytes(4, "little")
        file.seek(at)
        file.write(page)
        at += len(page)


def _ogg_sum(page: bytes | bytearray) -> int:
    """Return the check sum of a page (RFC 3533, section 6): zlib's polynomial, bits mirrored, not inverted."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
