"""Positions in Ogg streams: the samples of Opus and Vorbis packets are counted, and wrong positions are corrected.

The position of a page should be the number of samples up to the end of the page. A decoder computes the length of the
stream from it. In recorded broadcasts, in cut files and after a pause of an encoder, positions are larger or smaller.
libsndfile then loses samples at the end, does not skip the first samples of an Opus stream, or refuses the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from dspgraph.io.filepart import Piece, Span
from dspgraph.io.ogg import ENDS, HEAD, OPUS, Page, page_head

_IN_THE_MIDDLE = "it begins in the middle of a stream"
_WRONG = "its positions do not count its samples, all samples were read"


class Numbered(NamedTuple):
    """A stream of an Ogg file in which every page has its right position, after corrections if they were needed.

    piece: the bytes of the stream; empty if its headers cannot be read. is_right: whether nothing had to be corrected.
    notes: sentences about what was wrong.
    """

    piece: Piece
    is_right: bool  # whether nothing had to be corrected: the stream can be used as it is in the file
    notes: tuple[str, ...] = ()  # sentences about what was wrong


class _Codec(Protocol):
    """The codec of a stream, Opus or Vorbis: it knows how many samples a packet has."""

    def samples(self, packet: bytes) -> int:
        """Return the number of samples per channel that a decoder returns for a packet, as positions count them.

        packet: not empty, and no header. Packets must be given in order.
        """


class _Opus:
    """The codec Opus (RFC 6716, section 3.1; RFC 7845, section 4). Its positions count samples at 48 kHz."""

    def samples(self, packet: bytes) -> int:
        """Return the number of samples per channel of a packet, which is not empty, at 48 kHz."""
        config, code = packet[0] >> 3, packet[0] & 3
        if config < 12:  # SILK
            size = (480, 960, 1920, 2880)[config & 3]
        elif config < 16:  # hybrid
            size = (480, 960)[config & 1]
        else:  # CELT
            size = (120, 240, 480, 960)[config & 3]
        return size * (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[code]


class _Vorbis:
    """The codec Vorbis (Vorbis I specification, sections 4.2, 4.3 and A.2).

    identification, setup: the first and the third header packet of the stream, after the checks of `_codec`.
    """

    def __init__(self, identification: bytes, setup: bytes) -> None:
        sizes = identification[28] & 15, identification[28] >> 4
        self._sizes = [1 << sizes[flag] for flag in _block_flags(setup)]
        self._mask = (1 << (len(self._sizes) - 1).bit_length()) - 1
        self._before = 0  # size of the block before

    def samples(self, packet: bytes) -> int:
        """Return the number of samples per channel of a packet: (size of its block + size of the block before) / 4.

        Packets must be given in order, and none may be empty. The first packet has 0 samples. A packet that is not
        sound also has 0, because a decoder ignores it.
        """
        mode = packet[0] >> 1 & self._mask
        if packet[0] & 1 or mode >= len(self._sizes):
            return 0
        size, before = self._sizes[mode], self._before
        self._before = size
        return (before + size) // 4 if before else 0


def _block_flags(setup: bytes) -> list[int]:
    """Return one number for each mode of a Vorbis stream: 1 if its blocks are long, 0 if they are short.

    setup: the last header of the stream. It ends with the number of modes minus 1 (6 bits); then for each mode the flag
    (1 bit), 32 bits that are 0, and a number (8 bits); then a bit that is 1. This header is read from its end, because
    the lengths of the parts before the modes are not known. The list is empty if no modes are found.
    """
    bits = int.from_bytes(setup[-400:], "little")  # 64 modes, the most there can be, take 329 bytes
    end, flags = bits.bit_length() - 1, list[int]()
    found = flags
    for count in range(1, 65):
        at = end - 41 * count
        if at < 6 or bits >> at + 1 & 0xFFFFFFFF:
            break
        flags = [bits >> at & 1, *flags]
        if bits >> at - 6 & 63 == count - 1:
            found = flags
    return found


_LARGEST_PACKET = 2**24
"""The largest number of bytes of a packet that are kept. A packet of comments with pictures can have megabytes."""


class _Packets:
    """A reader that joins the parts of packets from the pages of a stream."""

    def __init__(self) -> None:
        self._begun = bytearray()  # the packet that has no end yet

    def ending_on(self, page: Page) -> list[bytes]:
        """Return the packets that end on `page`, the next page of the stream. Large ones are cut (_LARGEST_PACKET)."""
        body, at = page.body, 0
        found: list[bytes] = []
        for size in page.segments:
            if len(self._begun) < _LARGEST_PACKET:
                self._begun += body[at : at + size]
            at += size
            if size < 255:
                found.append(bytes(self._begun))
                self._begun.clear()
        return found


def _headers(pages: Iterator[Page], packets: _Packets) -> tuple[list[Page], list[bytes]]:
    """Return the pages before the first sound, and the header packets on them: two for Opus, three for Vorbis.

    pages: an iterator over the pages of the stream; afterwards it is at the first page with sound. packets: the reader
    that joins the packets. If the stream ends before its last header, there are fewer header packets.
    """
    heads: list[Page] = []
    found: list[bytes] = []
    for page in pages:
        heads.append(page)
        found += packets.ending_on(page)
        if len(found) >= 2 and (found[0].startswith(OPUS) or len(found) >= 3):
            break
    return heads, found


def _codec(headers: list[bytes]) -> _Codec | None:
    """Return the codec of a stream; None if its headers cannot be read."""
    if len(headers) >= 2 and headers[0].startswith(OPUS):
        return _Opus()
    if len(headers) >= 3 and len(headers[0]) > 28 and _block_flags(headers[2]):
        return _Vorbis(headers[0], headers[2])
    return None


class _Positions:
    """A counter of the samples of a stream, which gives each page the position that follows from the count.

    codec: the codec of the stream. packets: the reader that joins its packets. Call `write` for each page with headers,
    then `add` for each page with sound, and `finish` at the end.
    """

    def __init__(self, codec: _Codec, packets: _Packets) -> None:
        self.parts: list[bytes | Span] = []  # the pages with right positions
        self.is_right = True  # whether no page was changed or left out
        self.notes: dict[str, None] = {}
        self._codec, self._packets = codec, packets
        self._last: Page | None = None  # the last page with sound, which is not among the parts yet
        self._count = 0  # samples up to the end of the last page
        self._position: int | None = None  # position of the last page, as it stands in the file

    def add(self, page: Page) -> None:
        """Add the next page with sound, and count its samples. A page without content is left out."""
        if not page.segments:  # some encoders end a stream by a page without content
            self.is_right = False
            return
        if self._last:
            self.write(self._last._replace(flags=self._last.flags & ~ENDS))
        self._last = page._replace(position=self._counted(page, self._packets.ending_on(page)))

    def finish(self) -> None:
        """Write the last page that was added, marked as the end of the stream. Call this after the last `add`."""
        if self._last:
            self.write(self._last._replace(flags=self._last.flags | ENDS))

    def _counted(self, page: Page, packets: list[bytes]) -> int:
        """Return the position of the next page, counted from the samples of all packets; -1 if no packet ends on it.

        On a page that ends the stream, a smaller position in the file says that the last samples are padding; they are
        not counted. Notes about wrong positions are added. packets: the packets that end on the page.
        """
        if not packets:
            return -1
        samples = sum(self._codec.samples(packet) for packet in packets if packet)
        if self._position is None:
            self._position = max(0, page.position - samples)
            if self._position:
                self.notes[_IN_THE_MIDDLE] = None
        expected = self._position + samples
        self._position = page.position
        self._count += samples
        if page.position < expected and page.flags & ENDS:  # the last samples are padding
            return self._count - (expected - page.position)
        if page.position != expected:
            self.notes[_WRONG] = None
        return self._count

    def write(self, page: Page) -> None:
        """Append a page to the parts of the result, with `page.flags` and `page.position` in its head.

        If they differ from those in the file, `is_right` becomes False.
        """
        head = page_head(page)
        self.is_right &= head == page.content[:HEAD]
        self.parts += (head, Span(page.at + HEAD, page.at + len(page.content)))


def count_positions(pages: Iterator[Page]) -> Numbered:
    """Return an Opus or Vorbis stream in which the position of every page is the number of samples up to its end.

    pages: the pages of the stream, in order. A page on which no packet ends has the position -1. Pages without content
    are left out. Only the last page is marked as the end; padding at its end is not counted. If the headers of the
    stream cannot be read, the result has an empty piece, and `is_right` is True: use the stream as it is in the file.
    """
    packets = _Packets()
    heads, headers = _headers(pages, packets)
    codec = _codec(headers)
    if codec is None:  # the decoder will say what is wrong
        return Numbered(Piece(()), True)
    positions = _Positions(codec, packets)
    for page in heads:
        positions.write(page)
    for page in pages:
        positions.add(page)
    positions.finish()
    return Numbered(Piece(tuple(positions.parts)), positions.is_right, tuple(positions.notes))
