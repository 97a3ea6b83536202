"""Ogg: the links of a chained file are read one after the other, and pages are checked."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Audio
from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource
from dspgraph.io.ogg import page_sum, pages
from dspgraph.testing import check_file
from helpers.audio_files import by_ffmpeg, by_libsndfile, decoded_by_ffmpeg, needs_ffmpeg
from helpers.speech import speech

MONO = Audio(16000)


def chained(path: Path, kind: str, lengths: tuple[int, ...] = (16000, 9000, 12345)) -> Path:
    """Write a chained Ogg file (RFC 3533, section 4) with a link of n samples for each n in `lengths`; return its path.

    kind: the codec, "vorbis" or "opus". The links are also written as files of their own, with the suffixes ".0", ".1"
    ... in place of that of `path`.
    """
    parts = []
    for k, n in enumerate(lengths):
        parts.append(by_libsndfile(path.with_suffix(f".{k}"), kind, speech()[5000 * k :][:n]).read_bytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
def test_a_chained_file_is_its_links_one_after_the_other(tmp_path: Path, kind: str) -> None:
    path = chained(tmp_path / "v.ogg", kind)
    links = [AudioSource(path.with_suffix(f".{k}"), MONO).read() for k in range(3)]
    source = AudioSource(path, MONO)
    assert source.conversions == ["read 3 chained streams one after the other"]
    assert_array_equal(source.read(), np.concatenate(links))
    assert len(source.read()) == 16000 + 9000 + 12345
    check_file(path)


def test_two_links_with_the_same_number_are_two_links(tmp_path: Path) -> None:
    once = by_libsndfile(tmp_path / "once.ogg", "vorbis", speech()[8000:24000])
    (tmp_path / "twice.ogg").write_bytes(once.read_bytes() * 2)
    whole = AudioSource(once, MONO).read()
    assert_array_equal(AudioSource(tmp_path / "twice.ogg", MONO).read(), np.concatenate([whole, whole]))


def test_links_of_different_rates_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", speech()[:8000], 16000)
    soundfile.write(tmp_path / "b.ogg", speech()[:8000], 22050)
    (tmp_path / "v.ogg").write_bytes((tmp_path / "a.ogg").read_bytes() + (tmp_path / "b.ogg").read_bytes())
    with pytest.raises(FileError, match="changes from 16000 Hz and 1 channels to 22050 Hz .*ffmpeg -i v.ogg"):
        AudioSource(tmp_path / "v.ogg", MONO)


def test_two_streams_at_the_same_time_are_refused(tmp_path: Path) -> None:
    parts = []
    for k in range(2):
        path = by_libsndfile(tmp_path / f"{k}.ogg", "vorbis", speech()[8000 * k :][:8000])
        with path.open("rb") as file:
            parts.append([page.content for page in pages(path, file, 0)])
    (tmp_path / "v.ogg").write_bytes(b"".join([parts[0][0], parts[1][0], *parts[0][1:], *parts[1][1:]]))
    with pytest.raises(FileError, match="has 2 streams at the same time: .*ffmpeg -i v.ogg -map 0:a:0 out.wav"):
        AudioSource(tmp_path / "v.ogg", MONO)


def split(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [page.content for page in pages(path, file, 0)]


def with_number(page: bytes, number: int) -> bytes:
    changed = page[:18] + number.to_bytes(4, "little") + page[22:]
    return changed[:22] + page_sum(changed).to_bytes(4, "little") + changed[26:]


def page(number: int, flags: int, content: bytes) -> bytes:
    """Return the bytes of an Ogg page with one packet, `content`, of up to 254 bytes.

    number: of the page in its stream; flags: 2 for the first page of a stream, 4 for the last, 0 for others.
    """
    head = b"OggS\0" + bytes((flags,)) + bytes(8) + b"mine" + number.to_bytes(4, "little") + bytes(4)
    whole = head + bytes((1, len(content))) + content
    return whole[:22] + page_sum(whole).to_bytes(4, "little") + whole[26:]


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
@pytest.mark.parametrize("first", [b"fishead\0" + bytes(56), b"\x80theora" + bytes(35)])
def test_streams_without_sound_are_left_out_and_it_is_said(tmp_path: Path, kind: str, first: bytes) -> None:
    """A Skeleton stream, which describes a file, and a film are left out, with a note.

    first: the beginning of the first page of such a stream.
    """
    path = by_libsndfile(tmp_path / "v.ogg", kind, np.tile(speech(), 2))
    content, whole = split(path), AudioSource(path, MONO).read()
    middle = [page(k, 0, b"picture") for k in (1, 2)]
    path.write_bytes(b"".join([page(0, 2, first), content[0], *middle, *content[1:4], page(3, 4, b""), *content[4:]]))
    source = AudioSource(path, MONO)
    assert source.conversions == ["left out streams without sound"]
    assert_array_equal(source.read(), whole)
    check_file(path, parts=3)


@pytest.mark.parametrize("first", [b"\x7fFLAC\1\0", b"Speex   1.2", b"\x80theora"])
def test_a_file_without_vorbis_or_opus_is_refused(tmp_path: Path, first: bytes) -> None:
    (tmp_path / "v.ogg").write_bytes(page(0, 2, first) + page(1, 4, b"sound"))
    with pytest.raises(FileError, match=r"no Vorbis or Opus is in it: convert it: ffmpeg -i v.ogg out.wav"):
        AudioSource(tmp_path / "v.ogg", MONO)


def test_a_lost_page_is_damage(tmp_path: Path) -> None:
    path = by_libsndfile(tmp_path / "v.ogg", "vorbis", speech())
    content = split(path)
    assert len(content) > 6
    path.write_bytes(b"".join(content[:5] + content[6:]))
    with pytest.raises(FileError, match="is damaged: page 5 of the stream is missing, before byte"):
        AudioSource(path, MONO)


def test_a_changed_byte_is_damage(tmp_path: Path) -> None:
    path = by_libsndfile(tmp_path / "v.ogg", "vorbis", speech())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"is damaged: the page at byte \d+ has a wrong check sum"):
        AudioSource(path, MONO)


def test_bytes_between_pages_are_damage_and_behind_them_are_not(tmp_path: Path) -> None:
    path = by_libsndfile(tmp_path / "v.ogg", "vorbis", speech())
    content, whole = split(path), AudioSource(path, MONO).read()
    path.write_bytes(b"".join(content[:4]) + b"x" * 10 + b"".join(content[4:]))
    with pytest.raises(FileError, match=r"is damaged: at byte \d+ no page begins, but more follow"):
        AudioSource(path, MONO)
    for behind in (b"TAG" + bytes(125), content[0][:40]):  # a tag; another link, which was cut off in its first page
        path.write_bytes(b"".join(content) + behind)
        source = AudioSource(path, MONO)
        assert source.conversions == [f"left out {len(behind)} bytes behind the last whole page"]
        assert_array_equal(source.read(), whole)
    path.write_bytes(b"".join(content) + bytes(4096))
    assert AudioSource(path, MONO).conversions == []


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
def test_a_recorded_broadcast_is_read_to_its_end(tmp_path: Path, kind: str) -> None:
    """Headers followed by pages from the middle of a broadcast are read to the end, with a note.

    The positions of these pages count from the start of the broadcast.
    """
    path = by_libsndfile(tmp_path / "v.ogg", kind, speech())
    content = split(path)
    heads = 2 if kind == "opus" else next(k for k, page in enumerate(content) if int.from_bytes(page[6:14], "little"))
    start = next(k for k in range(heads + 2, len(content)) if not content[k][5] & 1)
    path.write_bytes(b"".join(content[:heads] + content[start:]))
    source = AudioSource(path, MONO)
    assert source.conversions == ["it begins in the middle of a stream"]
    assert 0 < len(source.read()) < len(speech())
    check_file(path)


@needs_ffmpeg
@pytest.mark.parametrize(("kind", "rate"), [("vorbis", 48000), ("vorbis", 44100), ("opus", 48000)])
def test_an_ogg_file_has_the_samples_of_ffmpeg(tmp_path: Path, kind: str, rate: int) -> None:
    path = by_ffmpeg(tmp_path, kind, speech()[:50000], rate)
    found, expected = AudioSource(path, Audio(rate)).read(), decoded_by_ffmpeg(path)
    n = min(len(found), len(expected))
    assert len(found) == 50000
    # Vorbis is defined to the sample; two decoders of Opus differ by some 16-bit steps (measured: 1e-4).
    assert_allclose(found[:n], expected[:n], atol=5e-4 if kind == "opus" else 2e-6)
    assert abs(len(expected) - 50000) <= 1152  # ffmpeg keeps the end that the last position cuts off
