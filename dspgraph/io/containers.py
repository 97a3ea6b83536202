"""Audio containers (WAV, AIFF, Ogg ...): checks for truncated files, and reproducible bytes, which libsndfile lacks."""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

from dspgraph.errors import FileError

Order: TypeAlias = Literal["big", "little"]


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

OGG_PAGE = 65307
"""Length of the longest Ogg page in bytes (RFC 3533, section 6)."""


def check_not_truncated(path: Path) -> None:
    """Raise FileError if a file is shorter than its header says, or if it is an Ogg file without its last page.

    Recognises truncated files in the formats WAV, RF64, W64, AIFF, IFF, CAF, AU, NIST and Ogg. A truncated FLAC file is
    recognised later, when it is decoded, and so is a truncated MP3 file if its header has its length. Files of other
    formats do not say how long they should be.
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
    """Return what the header says: where the samples begin, and their length, both in bytes.

    Returns (0, 0) if the header does not say. file: open behind its first four bytes, `magic`; size: its length in
    bytes.
    """
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
        if name == b"ds64":  # RF64: a length of 64 bits, for a chunk "data" whose own length is unknown
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
    """Return a length that was read from a field of `size` bytes, or 0 if the length is unknown.

    A program that writes to a pipe cannot know the length. It leaves the largest value of the field, or one near it.
    """
    return length if length < 0xFFFFFF00 << 8 * (size - 4) else 0


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    """Return whether the last page of an Ogg file is complete and marked as the end (RFC 3533, section 6).

    size: the length of the file in bytes.
    """
    file.seek(max(0, size - 2 * OGG_PAGE))
    end = file.read()
    page = end[end.rfind(b"OggS\0") :]
    if len(page) < 27:
        return False
    length = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return bool(page[5] & 4) and length <= len(page)


# ---- reproducible bytes ---------------------------------------------------------------------------------------------

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def make_reproducible(path: Path) -> None:
    """Change a new file in place, so that its bytes depend on the samples alone.

    libsndfile writes the present time into the PEAK chunk of a WAV file, and a random serial number into an Ogg file.
    Both become 0.
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
        if name == b"PEAK":  # after name and length: a version and the time, four bytes each
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
        page[14:18] = page[22:26] = bytes(4)  # serial number; check sum, which must be 0 while the sum is computed
        page[22:26] = _ogg_sum(page).to_bytes(4, "little")
        file.seek(at)
        file.write(page)
        at += len(page)


def _ogg_sum(page: bytes | bytearray) -> int:
    """Return the check sum of an Ogg page (RFC 3533, section 6).

    It is a CRC-32 with the same polynomial as `zlib.crc32`. It differs in three points: it takes the bits of each byte
    in the opposite order, it starts from 0, and its result is not inverted.
    """
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
