"""MPEG audio: the frames are counted, whatever number a header states. ffmpeg is the reference."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Audio
from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource, rate_of
from dspgraph.io.mpeg import parse_header
from helpers.audio_files import by_ffmpeg, decoded_by_ffmpeg, needs_ffmpeg, piped_by_ffmpeg, run_ffmpeg, stereo
from helpers.speech import speech

pytestmark = needs_ffmpeg

KINDS = ["mp3 cbr", "mp3 vbr", "mp3 vbr 9", "mp3 vbr without xing", "mp3 cbr without xing"]

CLOSE = 2e-6
"""The largest difference of two decoders of MP3 in floats, relative to full scale; 8e-7 was measured."""


def source(path: Path, channels: int = 1) -> AudioSource:
    return AudioSource(path, Audio(rate_of(path), channels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [44100, 48000, 22050])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_has_the_samples_and_the_length_of_ffmpeg(tmp_path: Path, kind: str, rate: int, channels: int) -> None:
    samples = speech()[:50000] if channels == 1 else stereo(50000)
    path = by_ffmpeg(tmp_path, kind, samples, rate)
    found, expected = source(path, channels).read(), decoded_by_ffmpeg(path, channels)
    n = min(len(found), len(expected))
    assert_allclose(found[:n], expected[:n], atol=CLOSE)
    if "without" in kind:  # whole frames: none is cut
        assert len(found) == len(expected)
        assert len(found) % 576 == 0
        assert 50000 <= len(found) < 50000 + 4 * 1152  # the delay of the encoder and of the decoder
    else:  # the tag has the delay and the padding
        assert len(found) == 50000


def test_an_mp3_from_a_pipe_is_read_whole(tmp_path: Path) -> None:
    path = piped_by_ffmpeg(tmp_path, "mp3", speech()[:50000], 22050)
    found, expected = source(path).read(), decoded_by_ffmpeg(path)
    assert len(found) >= 50000
    assert_allclose(found[: len(expected)], expected[: len(found)], atol=CLOSE)


def test_a_layer_2_file_is_read_whole(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path, "mp2", speech()[:50000], 44100)
    found, expected = source(path).read(), decoded_by_ffmpeg(path)
    assert len(found) == len(expected)
    assert_allclose(found, expected, atol=1e-4)  # ffmpeg decodes layer 2 in integers; 3e-5 was measured


def test_joined_files_are_read_to_the_end_and_it_is_said(tmp_path: Path) -> None:
    """After `cat a.mp3 b.mp3`, all frames are read, although the tag of the first file counts only its own."""
    first = by_ffmpeg(tmp_path, "mp3 cbr", speech()[:20000], 44100).read_bytes()
    path = tmp_path / "both.mp3"
    path.write_bytes(first * 2)
    joined = source(path)
    (note,) = joined.conversions
    assert note.startswith("its header promises 19 MPEG frames, all ")
    assert len(joined.read()) > 39000  # the second file's tag is a silent frame, the padding between stays


def test_a_file_that_lost_its_last_frames_is_refused(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path, "mp3 cbr", speech()[:20000], 44100)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(FileError, match="is truncated: its header promises 19 MPEG frames, it has 1[4-8]"):
        source(path)


def test_a_file_without_a_length_that_ends_within_a_frame_is_read_up_to_there(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path, "mp3 cbr without xing", speech()[:20000], 44100)
    whole = source(path).read()
    path.write_bytes(path.read_bytes()[:-100])
    cut = source(path)
    assert [note for note in cut.conversions if note.startswith("left out ")]
    assert_array_equal(cut.read(), whole[: cut.length])
    assert len(whole) - cut.length == 1152


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), b"APETAGEX\xd0\7\0\0" + bytes(20), bytes(5000)])
def test_a_tag_behind_the_frames_is_no_sound(tmp_path: Path, tail: bytes) -> None:
    path = by_ffmpeg(tmp_path, "mp3 vbr without xing", speech()[:20000], 44100)
    whole = source(path).read()
    path.write_bytes(path.read_bytes() + tail)
    assert source(path).conversions == []
    assert_array_equal(source(path).read(), whole)


def test_bytes_before_the_first_frame_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path, "mp3 cbr without xing", speech()[:20000], 44100)
    whole = source(path).read()
    content = path.read_bytes()
    start = content.index(b"\xff\xfb")
    path.write_bytes(content[start + 100 :])  # as a recorded broadcast begins
    cut = source(path)
    assert [note for note in cut.conversions if "before the first MPEG frame" in note]
    assert len(whole) - len(cut.read()) == 1152


def test_bytes_between_frames_are_damage(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path, "mp3 cbr", speech()[:40000], 44100)
    content = bytearray(path.read_bytes())
    content[4000:4050] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"is damaged: at byte \d+ no MPEG frame begins.*ffmpeg -i"):
        source(path)


def test_a_change_of_rate_is_refused(tmp_path: Path) -> None:
    first = by_ffmpeg(tmp_path, "mp3 cbr without xing", speech()[:20000], 44100).read_bytes()
    second = by_ffmpeg(tmp_path, "mp3 cbr without xing", speech()[:20000], 22050).read_bytes()
    path = tmp_path / "both.mp3"
    path.write_bytes(first + second)
    with pytest.raises(FileError, match="changes at byte .* from 44100 Hz, 1 channel, layer 3 to 22050 Hz"):
        source(path)


def test_a_tag_alone_is_truncated_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = by_ffmpeg(tmp_path, "mp3 vbr", speech()[:20000], 44100).read_bytes()
    start = content.index(b"\xff\xfb")
    (tmp_path / "tag.mp3").write_bytes(content[start : start + 318])
    with pytest.raises(FileError, match=r"tag.mp3 is truncated: its header promises \d+ MPEG frames, it has 0"):
        source(tmp_path / "tag.mp3")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("tag", [b"", b"ID3\4\0\0\0\0\0\x14" + bytes(20)])
def test_frames_of_free_bit_rate_cannot_be_counted(tmp_path: Path, tag: bytes) -> None:
    content = bytearray(by_ffmpeg(tmp_path, "mp3 cbr without xing", speech()[:20000], 44100).read_bytes())
    at = content.index(b"\xff\xfb")
    del content[:at]
    at = 0
    while frame := parse_header(bytes(content[at : at + 4])):
        content[at + 2] &= 0x0F  # the code of the bit rate
        at += frame.length
    (tmp_path / "v.mp3").write_bytes(tag + content)
    with pytest.raises(FileError, match=r"has MPEG frames that cannot be counted: convert it: ffmpeg -i v.mp3 out.wav"):
        source(tmp_path / "v.mp3")


TAGS = {
    "id3": b"ID3\4\0\0\0\0\0\x14" + bytes(20), "id3v1": b"TAG" + bytes(125),
    "ape": b"APETAGEX\xd0\7\0\0\x20\0\0\0" + bytes(48),
}  # fmt: skip


@pytest.mark.parametrize("kinds", [["id3"], ["id3v1"], ["ape"], ["id3", "ape", "id3v1"]])
def test_a_file_of_tags_has_no_samples(tmp_path: Path, kinds: list[str]) -> None:
    (tmp_path / "v.mp3").write_bytes(b"".join(TAGS[kind] for kind in kinds))
    with pytest.raises(FileError, match="v.mp3 has no samples: it consists of tags"):
        source(tmp_path / "v.mp3")


def test_a_file_whose_tag_tells_of_no_frame_has_no_samples(tmp_path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=44100:cl=mono", "-t", "0", tmp_path / "v.mp3")
    with pytest.raises(FileError, match="v.mp3 has no samples: it has no whole MPEG frame with sound"):
        source(tmp_path / "v.mp3")


def test_a_damaged_frame_fails_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = by_ffmpeg(tmp_path, "mp3 cbr", speech()[:100000], 44100)
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(0)
    headers = [k for k in range(2000, len(content) - 4) if parse_header(bytes(content[k : k + 4]))]
    for k in range(2000, len(content)):
        if not any(0 <= k - header < 4 for header in headers if abs(k - header) < 5) and random.random() < 0.3:
            content[k] = random.integers(256)
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"is damaged.*ffmpeg -i"):
        source(path).read()
    assert capfd.readouterr() == ("", "")


FRAMES = {
    "fffb9064": (44100, 2, 417), "fffb9264": (44100, 2, 418), "fff338c4": (16000, 1, 108), "fffb54c0": (48000, 1, 192),
    "ffe318c4": (8000, 1, 72), "fffd8400": (48000, 2, 384),
}  # fmt: skip
"""A frame header in hexadecimal -> the sample rate in Hz, the channels, and the length of the frame in bytes. The
length is 144 * bit rate / sample rate, or 72 * for MPEG 2 and 2.5, rounded down, plus 1 if the frame is padded.
"""


@pytest.mark.parametrize("header", FRAMES)
def test_a_header_says_how_long_its_frame_is(header: str) -> None:
    frame = parse_header(bytes.fromhex(header))
    assert frame
    assert (frame.kind.rate, frame.kind.channels, frame.length) == FRAMES[header]


@pytest.mark.parametrize(
    "header", ["fffb0064", "fffbf064", "fffb9c64", "ffeb9064", "fff99064", "ff1b9064", "fffb90", "00"]
)
def test_what_is_no_header_is_no_frame(header: str) -> None:
    assert parse_header(bytes.fromhex(header)) is None


def test_the_first_bit_rate_says_nothing_of_the_length(tmp_path: Path) -> None:
    path = by_ffmpeg(tmp_path, "mp3 vbr without xing", np.concatenate([np.zeros(40000), speech()[:40000]]), 44100)
    assert soundfile.info(path).frames != len(decoded_by_ffmpeg(path))  # silence first: the bit rate is guessed from it
    assert len(source(path).read()) == len(decoded_by_ffmpeg(path))
