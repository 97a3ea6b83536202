"""MPEG audio (MP3, MP2): frames are counted, because no header of such a file reliably has its length.

Sources: ISO/IEC 11172-3, section 2.4.1.3, and ISO/IEC 13818-3 for the format of a frame. The tags Xing, Info and VBRI
are not standardised; they are read as LAME and mpg123 read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dspgraph.errors import FileError
from dspgraph.io.filepart import Piece, Span
from dspgraph.io.paths import convert_hint

_REACH = 2**16
"""The number of bytes in which a frame is searched: at the start of a file, and at any place where no frame begins."""

_RATES = (44100, 48000, 32000)
"""The sample rates of MPEG 1 in Hz, in the order of the code in a header. MPEG 2 has half, MPEG 2.5 a quarter."""

_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(version, layer) -> bit rates in kbit/s. Version 2 stands for MPEG 2 and 2.5. The code in a header counts from 1."""

_LARGEST_CODE = 14

_MOST_TAGS = 1000
"""The largest number of text tags (ID3, APE) between frames. A file with more tags was made to waste time."""


class Kind(NamedTuple):
    """The properties that all frames of an MPEG audio file have in common.

    version: 1 for MPEG 1, 2 for MPEG 2, 3 for MPEG 2.5. layer: 1 to 3. rate: the sample rate in Hz.
    """

    version: int  # 1; 2 for MPEG 2; 3 for MPEG 2.5
    layer: int
    rate: int  # Hz
    channels: int

    def __str__(self) -> str:
        return f"{self.rate} Hz, {self.channels} channel{'s' * (self.channels > 1)}, layer {self.layer}"

    @property
    def samples(self) -> int:
        """The number of samples per channel in a frame."""
        return {1: 384, 2: 1152, 3: 1152 if self.version == 1 else 576}[self.layer]

    @property
    def side_information(self) -> int:
        """The length of the side information of a frame of layer 3, in bytes."""
        return ((17, 32) if self.version == 1 else (9, 17))[self.channels - 1]


class Header(NamedTuple):
    """The header of a frame: the kind of the frame, and the length in bytes of the frame with its header."""

    kind: Kind
    length: int


class Tag(NamedTuple):
    """The tag Xing, Info or VBRI of a file, which is in the first frame, in place of sound.

    frames: the number of frames that follow, according to the tag. size: the number of bytes of the file from the frame
    of the tag on, with this frame. lead, padding: the numbers of samples that the encoder added at the beginning and at
    the end. gapless: whether the tag has these two numbers.
    """

    frames: int | None  # number of frames; None: the tag does not have it
    size: int | None  # bytes of the file from the frame of the tag on; None: the tag does not have them
    lead: int = 0  # samples that the encoder has put before the sound
    padding: int = 0  # samples that the encoder has put after the sound
    gapless: bool = False  # whether the tag has `lead` and `padding`


class Mpeg(NamedTuple):
    """The result of a scan of an MPEG audio file: the number of frames with sound, and the piece that a decoder reads.

    samples: the number of samples per channel; None if the decoder computes it from the tag in `piece`. notes:
    sentences about bytes that belong to no frame, and about a wrong number of frames.
    """

    kind: Kind
    frames: int  # number of frames with sound
    piece: Piece  # the input for a decoder
    samples: int | None  # number of samples per channel; None: the decoder computes it from the tag in `piece`
    notes: tuple[str, ...]  # sentences about other bytes in the file, and about a wrong number of frames


def parse_header(header: bytes) -> Header | None:
    """Return the kind and the length of a frame from its header; None if the bytes are not the header of a frame.

    header: the first four bytes of the frame. The header of a frame with free bit rate also gives None, because it does
    not determine the length of the frame.
    """
    if len(header) < 4 or header[0] != 0xFF:
        return None
    parsed = _frame(header[1], header[2])
    channels = 1 if header[3] >> 6 == 3 else 2
    return parsed and Header(parsed.kind._replace(channels=channels), parsed.length)


@cache
def _frame(first: int, second: int) -> Header | None:
    """Return the header of a frame from its second and third byte; None if no frame has these two bytes.

    first, second: the second and the third byte of the frame. A free bit rate also gives None. The result has 0
    channels, because the number of channels is in the fourth byte.
    """
    version = {0b11: 1, 0b10: 2, 0b00: 3}.get(first >> 3 & 3)
    layer = 4 - (first >> 1 & 3)
    code, rate_code, padding = second >> 4, second >> 2 & 3, second >> 1 & 1
    if first < 0xE0 or version is None or layer == 4 or not 1 <= code <= _LARGEST_CODE or rate_code == len(_RATES):
        return None
    rate = _RATES[rate_code] >> (version - 1)
    kind = Kind(version, layer, rate, 0)
    bitrate = 1000 * _BITRATES[min(version, 2), layer][code - 1]
    slot = 4 if layer == 1 else 1  # the unit of padding, bytes
    return Header(kind, (kind.samples // 8 // slot * bitrate // rate + padding) * slot)


_SUFFIXES = {".mp1", ".mp2", ".mp3", ".mpa", ".mpga"}


def find_mpeg(path: Path, begin: int, size: int) -> Mpeg | None:
    """Return the description of the MPEG frames in a file; None if the file is not MPEG audio.

    begin: the offset at which frames can begin, for instance after an ID3 tag. size: the offset at which they end. If
    `begin` is above 0, or if the file has a suffix of MPEG audio, up to _REACH other bytes may come before the first
    frame. Otherwise a frame must begin at `begin`.

    Raises FileError if the file has fewer frames than its tag promises, if it consists of tags, if it has no whole
    frame with sound, if there are other bytes between frames, or if the version, the sample rate, the number of
    channels or the layer changes.
    """
    with path.open("rb") as file:
        scan = _Scan(path, file, size)
        is_likely = begin > 0 or path.suffix.lower() in _SUFFIXES
        first = scan.next_frame(begin, _REACH if is_likely else 1)
        if first is not None:
            return scan.frames(begin, first)
        if is_likely and scan.behind_tags(begin) == size:
            raise FileError(f"{path} has no samples: it consists of tags")
        return None


class _Scan:
    """A search of an open file for MPEG audio frames and tags.

    size: the offset at which the search ends: the end of the file, or in a WAV file the end of the samples.
    """

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size = path, file, size

    def read(self, at: int, length: int) -> bytes:
        """Return `length` bytes from the offset `at`, also beyond `size`; fewer if the file ends before."""
        self.file.seek(at)
        return self.file.read(length)

    def next_frame(self, begin: int, reach: int = _REACH) -> int | None:
        """Return the offset of the first frame from `begin` on; None if no frame begins within `reach` bytes.

        Other data can look like a header by chance. A header therefore counts only if its frame has a tag (Xing, Info
        or VBRI), or if three more frames of its kind follow it, or fewer and then the offset `size` or a text tag.
        """
        window, at = self.read(begin, reach + 3), -1
        while 0 <= (at := window.find(b"\xff", at + 1)) < reach:
            if (parsed := parse_header(window[at : at + 4])) and self._is_followed(begin + at, parsed):
                return begin + at
        return None

    def _is_followed(self, at: int, parsed: Header) -> bool:
        if self._tag(at, parsed):
            return True
        for _ in range(3):
            at += parsed.length
            following = parse_header(self.read(at, 4))
            if following is None or following.kind != parsed.kind:
                return following is None and (at == self.size or self._tag_end(at) > at)
            parsed = following
        return True

    def frames(self, begin: int, first: int) -> Mpeg:
        """Return the description of the file from its first frame on.

        begin: as in `find_mpeg`; first: the offset of the first frame. Raises FileError as `find_mpeg` does.
        """
        header = self.read(first, 4)
        parsed = parse_header(header)
        assert parsed
        tag = self._tag(first, parsed)
        start = min(self.size, first + parsed.length) if tag else first
        spans, found, behind = self._spans(start, parsed.kind)
        self._check_tag(tag, found, (spans[-1].last if spans else start) - first)
        notes = tuple(self._notes(tag, found, first - begin, behind))
        if tag and tag.gapless:
            return Mpeg(parsed.kind, found, Piece((info_frame(header, parsed.kind, found, tag), *spans)), None, notes)
        # A decoder estimates the length as size / length of the first frame, and stops there. Zeros are added, so that
        # it estimates two frames more than there are. It never decodes the zeros.
        first_length = max(parsed.length, self._length(spans[0].first)) + 1
        zeros = max(0, (found + 2) * first_length - Piece(spans).size)
        return Mpeg(parsed.kind, found, Piece(spans, zeros=zeros), found * parsed.kind.samples, notes)

    def _length(self, at: int) -> int:
        parsed = parse_header(self.read(at, 4))
        return parsed.length if parsed else 0

    def _spans(self, at: int, kind: Kind) -> tuple[tuple[Span, ...], int, int]:
        """Return (spans of bytes with frames, number of frames, offset at which the tags after the frames end).

        at: the offset of the first frame. kind: the kind that all frames must have. Between the spans are text tags. A
        frame that does not end by `size` is not counted. Raises FileError if other frames follow.
        """
        spans: list[Span] = []
        count = 0
        for _ in range(_MOST_TAGS):
            begin = at
            while (
                (parsed := parse_header(self.read(at, 4))) and parsed.kind == kind and at + parsed.length <= self.size
            ):
                at, count = at + parsed.length, count + 1
            if at > begin:
                spans.append(Span(begin, at))
            end, at = at, self._tag_end(at)
            if at == end:
                break
        self._check_nothing_follows(at, kind)
        return tuple(spans), count, at

    def _check_nothing_follows(self, at: int, kind: Kind) -> None:
        """Raise FileError if another frame begins within _REACH bytes after the frames that were found.

        at: the offset at which the frames that were found, and the tags after them, end. kind: the kind of these
        frames.
        """
        following = self.next_frame(at)
        if following is None:
            return
        found = parse_header(self.read(following, 4))
        if found and following == at:
            raise FileError(f"{self.path} changes at byte {at} from {kind} to {found.kind}: {convert_hint(self.path)}")
        raise FileError(
            f"{self.path} is damaged: at byte {at} no MPEG frame begins, but more follow: fetch it again, or "
            f"{convert_hint(self.path)}"
        )

    def behind_tags(self, at: int) -> int:
        """Return the offset after the text tags that begin at the offset `at`; `at` itself if there are none."""
        while (end := self._tag_end(at)) > at:
            at = end
        return at

    def _tag_end(self, at: int) -> int:
        """Return the offset after the one text tag that begins at the offset `at`; `at` itself if there is none.

        Text tags are ID3v1, ID3v2 and APE. The result is at most `size`.
        """
        head = self.read(at, 32)
        if head[:3] == b"ID3":
            return min(self.size, at + id3_length(head))
        if head[:3] == b"TAG" and at + 128 <= self.size:
            return at + 128
        if head[:8] == b"APETAGEX":
            return min(self.size, at + 32 + int.from_bytes(head[12:16], "little"))
        return at

    def _tag(self, at: int, parsed: Header) -> Tag | None:
        """Return the tag (Xing, Info or VBRI) in a frame; None if the frame has sound.

        at: the offset of the frame. parsed: the header of the frame.
        """
        if parsed.kind.layer != 3:
            return None
        content = self.read(at, parsed.length)
        if content[36:40] == b"VBRI":
            return Tag(int.from_bytes(content[50:54], "big"), None)
        for check_sum in (0, 2):  # bytes of a check sum, which some encoders put before the side information
            place = 4 + check_sum + parsed.kind.side_information
            if content[place : place + 4] in (b"Xing", b"Info"):
                return _xing(content[place + 4 :])
        return None

    def _check_tag(self, tag: Tag | None, found: int, size: int) -> None:
        """Raise FileError if there are fewer frames than the tag promises, or no frames.

        tag: None if the file has no tag. found: the number of whole frames with sound. size: the number of bytes from
        the frame of the tag to the end of the last frame. Some encoders count the frame of the tag too. One frame less
        than promised is therefore accepted if `size` is the size in the tag.
        """
        promised = tag.frames if tag and tag.frames is not None else 0
        complete = promised <= found or (tag is not None and promised == found + 1 and tag.size == size)
        if not complete:
            raise FileError(
                f"{self.path} is truncated: its header promises {promised} MPEG frames, it has {found}: fetch it "
                "again, or let an audio editor repair it"
            )
        if found == 0:
            raise FileError(f"{self.path} has no samples: it has no whole MPEG frame with sound")

    def _notes(self, tag: Tag | None, found: int, before: int, behind: int) -> Iterator[str]:
        if before:
            yield f"left out {before} bytes before the first MPEG frame"
        if tag and tag.frames is not None and tag.frames < found:
            yield f"its header promises {tag.frames} MPEG frames, all {found} were read"
        if self._left(behind):
            yield f"left out {self._left(behind)} bytes behind the last whole MPEG frame and its tags"

    def _left(self, end: int) -> int:
        """Return the number of bytes from an offset up to `size`; 0 if the first 32 are zeros, as in padding.

        end: the offset after the last frame and the tags that follow it.
        """
        return self.size - end if self.read(end, 32).strip(b"\0") else 0


def id3_length(head: bytes) -> int:
    """Return the length in bytes of the ID3v2 tag that begins with the bytes `head`; 0 if they are no ID3v2 tag.

    head: at least the first 10 bytes. Source: ID3 tag version 2.4.0, section 3.1.
    """
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)  # a footer


def _xing(content: bytes) -> Tag:
    """Return the tag Xing or Info. content: the bytes of the frame after the name of the tag."""
    flags, at = int.from_bytes(content[:4], "big"), 4
    fields: list[int | None] = []
    for flag in (1, 2):  # frames, bytes
        fields.append(int.from_bytes(content[at : at + 4], "big") if flags & flag else None)
        at += 4 * bool(flags & flag)
    at += 100 * bool(flags & 4) + 4 * bool(flags & 8)  # a table of contents, the quality
    encoder = content[at : at + 24]
    if len(encoder) < 24 or encoder[0] == 0:
        return Tag(fields[0], fields[1])
    both = int.from_bytes(encoder[21:24], "big")
    return Tag(fields[0], fields[1], both >> 12, both & 0xFFF, True)


def info_frame(header: bytes, kind: Kind, frames: int, tag: Tag) -> bytes:
    """Return a frame of layer 3 with a tag Info: the number of frames that follow, the lead and the padding.

    header, kind: the first four bytes of the first frame, and its kind. frames: the number of frames that follow. tag:
    the tag of the file, from which lead and padding are taken. If there are more frames than this tag promises, files
    were joined. The padding then belongs to the end of the first file; it is replaced by 0, so that a decoder cuts
    nothing off at the end.
    """
    padding = tag.padding if tag.frames is None or tag.frames >= frames else 0
    encoder = b"LAME3.100" + bytes(12) + (tag.lead << 12 | padding).to_bytes(3, "big") + bytes(12)
    content = bytes(kind.side_information) + b"Info" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big") + encoder
    for code in range(1, _LARGEST_CODE + 1):
        head = bytes((0xFF, header[1] | 1, code << 4 | header[2] & 0x0C, header[3]))  # no check sum, no padding
        parsed = parse_header(head)
        assert parsed
        if parsed.length >= len(head) + len(content):
            return (head + content).ljust(parsed.length, b"\0")
    raise AssertionError("the longest frame of every kind holds a tag")
