"""Ogg (RFC 3533): pages, and the links of a chained file, which are decoded one after the other."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dspgraph.errors import FileError
from dspgraph.io.filepart import Span
from dspgraph.io.paths import convert_hint

HEAD = 27
"""Length of the head of a page in bytes. The last byte of the head is the number of segments; their lengths follow."""

_UNKNOWN = 2**64 - 1
"""The number that stands for the position of a page on which no packet ends."""

OPUS, VORBIS = b"OpusHead", b"\1vorbis"
"""The first bytes of the first packet of a stream of Opus, and of a stream of Vorbis."""

_CONTINUED, _BEGINS, ENDS = 1, 2, 4  # flags of a page


class Page(NamedTuple):
    """A page of an Ogg file, which holds a piece of one stream.

    at: the offset of the page in the file. flags: bits that say whether the page continues a packet, and begins or ends
    the stream. position: the number of samples up to the end of the last packet that ends on the page, according to the
    page; -1: no packet ends there. serial: the number of the stream. number: the number of the page in the stream.
    content: all bytes of the page.
    """

    at: int  # offset in the file
    flags: int
    position: int  # number of samples up to the end of the last packet that ends on the page; -1: no packet ends there
    serial: int  # number of the stream
    number: int  # number of the page in its stream
    content: bytes  # the whole page

    @property
    def segments(self) -> bytes:
        """The lengths of the segments of the page, one in each byte."""
        return self.content[HEAD : HEAD + self.content[HEAD - 1]]

    @property
    def body(self) -> bytes:
        """The content of all segments."""
        return self.content[HEAD + len(self.segments) :]


class Link(NamedTuple):
    """A link of a chained Ogg file, which consists of several complete Ogg files in a row; each of them is a link.

    An Ogg file that is not chained is one link. span: the bytes of the link. serial: the serial number of its stream of
    sound. others: how many other streams it has.
    """

    span: Span
    serial: int  # serial number of its stream of sound
    others: int  # how many other streams it has


@dataclass
class _Sound:
    """The progress in one stream of sound while its pages are read.

    number: that of the last page that was read (see `Page`). position: the largest position so far. begun: whether a
    page with a position above 0 was read. ended: whether the last page of the stream was read.
    """

    number: int  # number of the last page that was read
    position: int = 0  # the largest position so far
    begun: bool = False  # whether a page with a position above 0 was read
    ended: bool = False


@dataclass
class _OpenLink:
    begin: int
    sounds: dict[int, _Sound] = field(default_factory=dict)
    others: set[int] = field(default_factory=set)  # numbers of streams of pictures, text or descriptions
    heads_only: bool = True  # whether only first pages of streams were read


def pages(path: Path, file: BinaryIO, at: int) -> Iterator[Page]:
    """Yield the pages of an open file from the offset `at` on. path: for messages.

    The position of `file` must not be changed until all pages are taken. An incomplete page at the end, and bytes after
    the last page, such as a tag, are ignored. Raises FileError for a page with a wrong check sum, and for bytes between
    pages.
    """
    file.seek(at)
    while True:
        head = file.read(HEAD)
        if head[:5] != b"OggS\0" or len(head) < HEAD:
            if _has_page(file, at):
                raise _damaged(path, f"at byte {at} no page begins, but more follow")
            return
        sizes = file.read(head[26])
        content = head + sizes + file.read(sum(sizes))
        if len(content) < HEAD + head[26] + sum(sizes) or len(sizes) < head[26]:
            return
        if page_sum(content) != int.from_bytes(head[22:26], "little"):
            raise _damaged(path, f"the page at byte {at} has a wrong check sum")
        position, serial, number = (int.from_bytes(head[a:b], "little") for a, b in ((6, 14), (14, 18), (18, 22)))
        yield Page(at, head[5], -1 if position == _UNKNOWN else position, serial, number, content)
        at += len(content)


def _has_page(file: BinaryIO, at: int) -> bool:
    """Return whether the mark "OggS", with which a page begins, occurs anywhere after the offset `at`."""
    overlap = b""
    file.seek(at)
    while part := file.read(2**20):
        place = (overlap + part).find(b"OggS\0", 1 if not overlap else 0)
        if place >= 0:
            return True
        overlap = part[-4:]
    return False


def find_links(path: Path, at: int) -> tuple[Link, ...]:
    """Return the links of a file. at: the offset of the first page.

    A stream of sound is one of Opus or Vorbis. Raises FileError if the file is truncated, if a page is damaged, if
    pages of sound are missing, if positions fall, and if a link has no stream of sound or several streams of sound.
    """
    links: list[Link] = []
    link = _OpenLink(at)
    end = at
    with path.open("rb") as file:
        for page in pages(path, file, at):
            if page.flags & _BEGINS and not link.heads_only:
                links.append(_closed(path, link, page.at))
                link = _OpenLink(page.at)
            _add(path, link, page)
            end = page.at + len(page.content)
    last = _closed(path, link, end)
    if not link.sounds[last.serial].ended:
        raise FileError(f"{path} is truncated: its last page is missing: fetch it again, or {convert_hint(path)}")
    return (*links, last)


def _add(path: Path, link: _OpenLink, page: Page) -> None:
    """Add the next page to a link that is being read.

    Raises FileError if pages of sound are missing before this page, if its stream has not begun, or if its position is
    smaller than that of the page before it.
    """
    if page.flags & _BEGINS:
        if page.body.startswith((OPUS, VORBIS)):
            link.sounds[page.serial] = _Sound(page.number)
        else:
            link.others.add(page.serial)
        return
    link.heads_only = False
    if page.serial in link.others:
        return
    sound = link.sounds.get(page.serial)
    if sound is None:
        raise _damaged(path, f"the page at byte {page.at} belongs to a stream that has not begun")
    # A recorded broadcast lacks pages between its headers and its sound.
    if page.number != sound.number + 1 and (sound.begun or page.flags & _CONTINUED):
        raise _damaged(path, f"page {sound.number + 1} of the stream is missing, before byte {page.at}")
    if 0 <= page.position < sound.position:
        raise _damaged(path, f"the page at byte {page.at} is earlier than the page before it")
    sound.begun |= page.position > 0
    sound.number, sound.position = page.number, max(sound.position, page.position)
    sound.ended |= bool(page.flags & ENDS)


def _closed(path: Path, link: _OpenLink, end: int) -> Link:
    """Return the link whose pages have all been read. Raises FileError unless it has exactly one stream of sound.

    link: what was read of the link. end: the offset at which the link ends.
    """
    if not link.sounds:
        raise FileError(
            f"{path} is not an audio file that can be read: no Vorbis or Opus is in it: {convert_hint(path)}"
        )
    if len(link.sounds) > 1:
        raise FileError(
            f"{path} has {len(link.sounds)} streams at the same time: convert one of them: ffmpeg -i "
            f"{shlex.quote(path.name)} -map 0:a:0 out.wav"
        )
    (serial,) = link.sounds
    return Link(Span(link.begin, end), serial, len(link.others))


def _damaged(path: Path, fault: str) -> FileError:
    return FileError(f"{path} is damaged: {fault}: fetch it again, or {convert_hint(path)}")


def pages_of(path: Path, link: Link) -> Iterator[Page]:
    """Yield the pages of a link that belong to its stream of sound."""
    with path.open("rb") as file:
        for page in pages(path, file, link.span.first):
            if page.at >= link.span.last:
                return
            if page.serial == link.serial:
                yield page


def page_head(page: Page) -> bytes:
    """Return the first HEAD bytes of a page, in which the flags, the position and the check sum are written anew.

    The flags and the position are those of `page`, which may differ from those in `page.content`.
    """
    old = page.content[:HEAD]
    head = old[:5] + bytes((page.flags,)) + (page.position & _UNKNOWN).to_bytes(8, "little") + old[14:]
    if head == old:
        return old
    return head[:22] + page_sum(head + page.content[HEAD:]).to_bytes(4, "little") + head[26:]


# ---- writing --------------------------------------------------------------------------------------------------------

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def clear_serial_numbers(path: Path) -> None:
    """Set the serial number of an Ogg file to 0, in place. libsndfile writes random numbers.

    The check sums of the pages are changed to match. path: a file that has one stream.
    """
    with path.open("rb") as file, path.open("rb+") as changed:
        for page in pages(path, file, 0):
            content = bytearray(page.content)
            content[14:18] = bytes(4)
            content[22:26] = page_sum(content).to_bytes(4, "little")
            changed.seek(page.at)
            changed.write(content)


def page_sum(page: bytes | bytearray) -> int:
    """Return the check sum of an Ogg page (RFC 3533, section 6). The check sum inside the page counts as 0.

    This is a CRC-32 with the same polynomial as `zlib.crc32`. Three things differ: the bits of each byte are taken in
    the opposite order, the sum starts from 0, and the result is not inverted.
    """
    content = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(content.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
