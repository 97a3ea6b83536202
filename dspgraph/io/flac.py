"""FLAC (RFC 9639): the number of samples that a file promises, and the number that it has."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_INFO = 8
"""Offset of the content of STREAMINFO in a FLAC file, in bytes: behind "fLaC" and the header of the block."""

_TAIL = 2**17
"""The number of bytes at the end of a file in which the last frame is looked for: longer frames are very rare."""

_TRIES = 4
"""The largest number of headers that are tried: other data may look like a header by chance."""

_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""The beginning of a file: the mark, and the header of STREAMINFO, of 34 bytes (sections 8.1 and 8.2)."""

_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
"""Numbers of samples in a frame, by the code in its header (section 9.1.1). Codes 6 and 7: the number stands there."""


class Flac(NamedTuple):
    """The length of a FLAC file, in samples per channel."""

    promised: int  # by STREAMINFO; 0: unknown (section 8.2); -1: the file ends before STREAMINFO does
    found: int  # end of the last frame; 0 if no last frame was found
    head: bytes  # the beginning of the file up to the number of samples in STREAMINFO, with 0 in its place


def find_starts(file: BinaryIO, begin: int) -> Iterator[int]:
    """Yield where FLAC files begin in an open file, from the byte `begin` on: several, if files were joined."""
    at, overlap = begin, b""
    file.seek(begin)
    while part := file.read(2**20):
        window = overlap + part
        for found in _START.finditer(window):
            yield at - len(overlap) + found.start()
        at += len(part)
        overlap = window[-7:]  # one byte less than the mark with the header


def find_flac(file: BinaryIO, begin: int, size: int) -> Flac:
    """Return the length of a FLAC file.

    begin: where "fLaC" stands in the open file; size: where the FLAC file ends. Both are in bytes.
    """
    file.seek(begin)
    head = file.read(_INFO + 18)
    if len(head) < _INFO + 18:
        return Flac(-1, 0, b"")
    content = head[_INFO:]
    promised = int.from_bytes(content[13:18], "big") & (2**36 - 1)
    smallest, largest = int.from_bytes(content[0:2], "big"), int.from_bytes(content[2:4], "big")
    start = max(begin, size - _TAIL)
    file.seek(start)
    fixed = largest if smallest == largest else 0
    found = _last_sample(file.read(size - start), fixed, promised, _first_frame(file, begin) - start)
    return Flac(promised, found, head[: _INFO + 13] + bytes((content[13] & 0xF0, 0, 0, 0, 0)))


def _first_frame(file: BinaryIO, begin: int) -> int:
    """Return where the first frame begins: behind the blocks of metadata (section 8.1)."""
    at = begin + 4
    while True:
        file.seek(at)
        head = file.read(4)
        at += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or head[0] & 0x80:
            return at


def _last_sample(tail: bytes, fixed: int, promised: int, first: int) -> int:
    """Return the number of samples up to the end of the last frame; 0 if none was found.

    tail: the end of the file. fixed: the number of samples in each frame but the last; 0 if it varies. promised: the
    number in STREAMINFO. first: where the first frame begins in `tail`; a negative number if it is not there.

    A frame is believed if the check sum of its header is right, and if it ends where STREAMINFO promises, or begins
    where another frame ends, whose own check sum is right. Bytes behind the last frame do not matter.
    """
    headers = list(itertools.islice(_headers(tail, fixed), 2 * _TRIES))
    for k, (at, end) in enumerate(headers[:_TRIES]):
        before = headers[k + 1 : k + 1 + _TRIES]
        # With its own check sum, the sum of a frame is 0.
        if end == promised or at == first or any(_sum(tail[begin:at], *_OF_FRAME) == 0 for begin, _ in before):
            return end
    return 0


def _headers(tail: bytes, fixed: int) -> Iterator[tuple[int, int]]:
    """Yield for each header of a frame, from the last one on, where it is and what `_end_of_frame` returns for it."""
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if end := _end_of_frame(tail[at : at + 16], fixed):
            yield at, end


def _end_of_frame(header: bytes, fixed: int) -> int:
    """Return the number of samples up to the end of a frame; 0 if the bytes are not the header of a frame.

    Section 9.1: sync code, block size, sample rate, channels, bits, coded number, check sum of 8 bits.
    """
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[3] & 1:
        return 0
    number, at = _coded_number(header)
    size_code, rate_code = header[2] >> 4, header[2] & 0x0F
    size = _SIZES.get(size_code, 0)
    if size_code in (6, 7):
        size = int.from_bytes(header[at : at + size_code - 5], "big") + 1
        at += size_code - 5
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if not size or number < 0 or at >= len(header) or _sum(header[:at], *_OF_HEADER) != header[at]:
        return 0
    is_variable = header[1] & 1
    return number + size if is_variable else number * (fixed or size) + size


def _coded_number(header: bytes) -> tuple[int, int]:
    """Return the number at byte 4 of a header, which is coded as UTF-8 codes a letter, and where it ends; -1: none."""
    first = header[4]
    ones = next((k for k in range(8) if not first & 0x80 >> k), 8)
    if ones in (1, 8):
        return -1, 5
    number = first & (0x7F >> ones)
    for byte in header[5 : 5 + max(0, ones - 1)]:
        number = number << 6 | byte & 0x3F
    return number, 5 + max(0, ones - 1)


def _table(bits: int, polynomial: int) -> list[int]:
    """Return the check sum of every byte (CRC, highest bit first)."""
    table = []
    for byte in range(256):
        found = byte << bits - 8
        for _ in range(8):
            found = (found << 1) ^ (polynomial if found >> bits - 1 else 0)
            found &= (1 << bits) - 1
        table.append(found)
    return table


_OF_HEADER, _OF_FRAME = (8, _table(8, 0x07)), (16, _table(16, 0x8005))
"""The check sums of a header and of a frame: number of bits, and the sums of all bytes (sections 9.1.8 and 9.3)."""


def _sum(content: bytes, bits: int, table: list[int]) -> int:
    """Return the check sum of bytes."""
    found, mask = 0, (1 << bits) - 1
    for byte in content:
        found = (found << 8 & mask) ^ table[found >> bits - 8 ^ byte]
    return found
