"""FLAC (RFC 9639): the number of samples that the header of a file promises, and the number that the file has."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_INFO = 8
"""Offset of the content of STREAMINFO in a FLAC file, in bytes: after "fLaC" and the header of the block."""

_TAIL = 2**17
"""The number of bytes at the end of a file in which the last frame is searched. Longer frames are very rare."""

_TRIES = 4
"""The largest number of possible headers of the last frame that are tried. Other data may look like a header."""

_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
"""The beginning of a FLAC file: its mark, and the header of the block STREAMINFO (sections 8.1 and 8.2)."""

_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
"""Code in the header of a frame -> number of samples (section 9.1.1). For codes 6 and 7 the header has the number."""


class Flac(NamedTuple):
    """The length of a FLAC file, in samples per channel.

    promised: the length in the header; 0 if it is not known, -1 if the file ends within the header. found: the length
    up to the end of the last frame; 0 if no last frame was found. head: the first bytes of the file, up to and with the
    length in the header, which is replaced by 0; empty if `promised` is -1.
    """

    promised: int  # length in STREAMINFO; 0: unknown (section 8.2); -1: the file ends before STREAMINFO does
    found: int  # number of samples up to the end of the last frame; 0 if no last frame was found
    head: bytes  # the first bytes of the file, up to and with the length in STREAMINFO, which is replaced by 0


def find_starts(file: BinaryIO, begin: int) -> Iterator[int]:
    """Yield the offset of every FLAC file in an open file, from the byte `begin` on: several if files were joined.

    The position of `file` must not be changed until all offsets are taken.
    """
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

    begin: the offset at which the FLAC file begins, with the bytes "fLaC". size: the offset at which the FLAC file
    ends.
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
    """Return the offset of the first frame, which is after the blocks of metadata (RFC 9639, section 8.1).

    begin: the offset at which the FLAC file begins. If the file ends within these blocks, the offset is not in the
    file.
    """
    at = begin + 4
    while True:
        file.seek(at)
        head = file.read(4)
        at += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or head[0] & 0x80:
            return at


def _last_sample(tail: bytes, fixed: int, promised: int, first: int) -> int:
    """Return the number of samples up to the end of the last frame; 0 if none was found.

    tail: the bytes at the end of the file. fixed: the number of samples in every frame except the last; 0 if it varies.
    promised: the number of samples in STREAMINFO. first: the offset of the first frame in `tail`; negative if it begins
    before `tail`.

    Bytes count as a frame if the check sum of the header is right, and if one of three things is true: the frame ends
    at the promised number of samples, it is the first frame, or the frame before it has a right check sum. Only the
    last _TRIES possible headers are tried. Bytes after the last frame are ignored.
    """
    headers = list(itertools.islice(_headers(tail, fixed), 2 * _TRIES))
    for k, (at, end) in enumerate(headers[:_TRIES]):
        before = headers[k + 1 : k + 1 + _TRIES]
        # The check sum over a whole frame, which ends with its own check sum, is 0.
        if end == promised or at == first or any(_sum(tail[begin:at], *_OF_FRAME) == 0 for begin, _ in before):
            return end
    return 0


def _headers(tail: bytes, fixed: int) -> Iterator[tuple[int, int]]:
    """Yield (offset in `tail`, number of samples up to the end of the frame) for each possible header, last one first.

    A possible header has a right check sum; other data can have it by chance. tail, fixed: as in `_last_sample`.
    """
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if end := _end_of_frame(tail[at : at + 16], fixed):
            yield at, end


def _end_of_frame(header: bytes, fixed: int) -> int:
    """Return the number of samples up to the end of a frame; 0 if the bytes are not the header of a frame.

    header: the first 16 bytes of the frame; fewer at the end of the file. They hold, in this order (RFC 9639, section
    9.1): sync code, block size, sample rate, channels, bits, coded number, check sum of 8 bits. fixed: as in
    `_last_sample`.
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
    """Return (the number that begins at byte 4 of a frame's header, the offset at which it ends).

    It is the number of the frame or, if the sizes of frames vary, of its first sample. The number is coded as UTF-8
    codes a character. It is returned as -1 if its first byte is wrong; the other bytes are not checked. header: at
    least five bytes.
    """
    first = header[4]
    ones = next((k for k in range(8) if not first & 0x80 >> k), 8)
    if ones in (1, 8):
        return -1, 5
    number = first & (0x7F >> ones)
    for byte in header[5 : 5 + max(0, ones - 1)]:
        number = number << 6 | byte & 0x3F
    return number, 5 + max(0, ones - 1)


def _table(bits: int, polynomial: int) -> list[int]:
    """Return [256], the check sum (CRC) of each of the 256 bytes, for a CRC of `bits` bits with this polynomial.

    The highest bit of a byte comes first. polynomial: its coefficients as bits, without the highest one.
    """
    table = []
    for byte in range(256):
        found = byte << bits - 8
        for _ in range(8):
            found = (found << 1) ^ (polynomial if found >> bits - 1 else 0)
            found &= (1 << bits) - 1
        table.append(found)
    return table


_OF_HEADER, _OF_FRAME = (8, _table(8, 0x07)), (16, _table(16, 0x8005))
"""The check sums of a header and of a frame: (number of bits, table of `_table`) (sections 9.1.8 and 9.3)."""


def _sum(content: bytes, bits: int, table: list[int]) -> int:
    """Return the check sum (CRC) of `content`.

    bits, table: the pair _OF_HEADER for the header of a frame, or _OF_FRAME for a whole frame.
    """
    found, mask = 0, (1 << bits) - 1
    for byte in content:
        found = (found << 8 & mask) ^ table[found >> bits - 8 ^ byte]
    return found
