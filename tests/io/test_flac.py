"""FLAC: a length of 0 means unknown (RFC 9639, section 8.2), and a wrong length is not trusted."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Array, Audio
from dspgraph.errors import FileError
from dspgraph.io import flac
from dspgraph.io.audio import AudioSource
from dspgraph.io.flac import find_flac, find_starts
from dspgraph.testing import check_file
from helpers.audio_files import needs_ffmpeg, piped_by_ffmpeg
from helpers.speech import speech

MONO = Audio(16000)
SAMPLES = speech()[8000:28000]


def with_length(path: Path, length: int) -> Path:
    """Write a FLAC file of SAMPLES whose STREAMINFO states `length` samples (36 bits), and return its path."""
    soundfile.write(path, SAMPLES, 16000, "PCM_16", format="FLAC")
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | length >> 32
    content[22:26] = (length & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def expected() -> Array:
    return np.asarray(np.rint(SAMPLES * 2**15) / 2**15)


def test_a_length_of_0_is_unknown(tmp_path: Path) -> None:
    source = AudioSource(with_length(tmp_path / "v.flac", 0), MONO)
    assert source.conversions == ["read to its end: its header has no length"]
    assert_array_equal(source.read(), expected())
    check_file(tmp_path / "v.flac")


@pytest.mark.parametrize("length", [1, 4096, 19999])
def test_samples_beyond_the_promised_are_read_and_it_is_said(tmp_path: Path, length: int) -> None:
    source = AudioSource(with_length(tmp_path / "v.flac", length), MONO)
    assert source.conversions == [f"its header promises {length} samples, all 20000 were read"]
    assert_array_equal(source.read(), expected())
    check_file(tmp_path / "v.flac")


@pytest.mark.parametrize("length", [20001, 2**35])
def test_a_file_that_has_fewer_samples_than_promised_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(FileError, match="is truncated: its header promises|is damaged or truncated"):
        AudioSource(with_length(tmp_path / "v.flac", length), MONO).read()


@pytest.mark.parametrize("n", [1, 15, 16, 255, 256, 4095, 4096, 4097, 16384, 600_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_the_last_frame_says_how_long_a_file_is(tmp_path: Path, n: int, channels: int) -> None:
    """The header of the last frame has its number and its size, from which the length of the file follows.

    The number takes 1 byte, in the longest file 2; the size is a code, or takes 1 or 2 bytes. n: the number of samples
    of the file, which decides the form of the size.
    """
    random = np.random.default_rng(n)
    soundfile.write(tmp_path / "v.flac", random.uniform(-0.9, 0.9, (n, channels)), 44100, "PCM_16")
    with (tmp_path / "v.flac").open("rb") as file:
        found = find_flac(file, 0, (tmp_path / "v.flac").stat().st_size)
    assert (found.promised, found.found) == (n, n)


@needs_ffmpeg
def test_a_file_from_a_pipe_has_all_samples(tmp_path: Path) -> None:
    path = piped_by_ffmpeg(tmp_path, "flac", SAMPLES, 16000)
    assert_array_equal(AudioSource(path, MONO).read(), expected())


@needs_ffmpeg
@pytest.mark.parametrize("length", [0, 4000])
def test_an_id3_tag_before_it_changes_nothing(tmp_path: Path, length: int) -> None:
    path = with_length(tmp_path / "v.flac", length)
    path.write_bytes(b"ID3\4\0\0\0\0\0\x14" + bytes(20) + path.read_bytes())
    assert_array_equal(AudioSource(path, MONO).read(), expected())


def test_a_file_that_ends_in_its_header_is_refused(tmp_path: Path) -> None:
    path = with_length(tmp_path / "v.flac", 20000)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(FileError, match="is not an audio file that can be read"):
        AudioSource(path, MONO)


BEHIND = {
    "ID3v1": b"TAG" + bytes(125), "APE": b"APETAGEX\xd0\7\0\0\x20\0\0\0" + bytes(16), "zeros": bytes(999),
    "others": b"\1\2\xff\xf8" * 99,
}  # fmt: skip


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("length", [0, 4000, 20000])
def test_bytes_behind_the_last_frame_are_no_samples(tmp_path: Path, length: int, behind: str) -> None:
    path = with_length(tmp_path / "v.flac", length)
    path.write_bytes(path.read_bytes() + BEHIND[behind])
    assert_array_equal(AudioSource(path, MONO).read(), expected())
    check_file(path, parts=3)


@pytest.mark.parametrize("lengths", [(20000, 20000), (0, 20000), (20000, 4000), (0, 0), (4000, 0, 20000)])
@pytest.mark.parametrize("behind", [b"", b"ID3\4\0\0\0\0\0\x14" + bytes(20)])
def test_joined_files_are_read_one_after_the_other_and_it_is_said(
    tmp_path: Path, lengths: tuple[int, ...], behind: bytes
) -> None:
    path = tmp_path / "v.flac"
    parts = [with_length(path, length).read_bytes() for length in lengths]
    path.write_bytes(behind.join(parts))
    source = AudioSource(path, MONO)
    assert source.conversions == [f"read {len(lengths)} joined files one after the other"]
    assert_array_equal(source.read(), np.tile(expected(), len(lengths)))
    check_file(path, parts=3)


def test_joined_files_of_different_rates_are_refused(tmp_path: Path) -> None:
    path = with_length(tmp_path / "v.flac", 20000)
    soundfile.write(tmp_path / "other.flac", SAMPLES, 22050, "PCM_16")
    path.write_bytes(path.read_bytes() + (tmp_path / "other.flac").read_bytes())
    with pytest.raises(FileError, match="changes from 16000 Hz and 1 channels to 22050 Hz"):
        AudioSource(path, MONO)


def test_very_many_joined_files_are_refused(tmp_path: Path) -> None:
    path = with_length(tmp_path / "v.flac", 20000)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:42] * 200)
    with pytest.raises(FileError, match="has more than 20 joined FLAC files: .* convert it: ffmpeg -i v.flac out.wav"):
        AudioSource(path, MONO)


def test_the_end_of_a_file_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No byte is tried twice. Four headers are followed by many bytes that could begin a header, then by four headers.

    A file with 100 times these bytes once took a minute.
    """
    tried: list[bytes] = []
    end_of_frame = flac._end_of_frame

    def noted(header: bytes, fixed: int) -> int:
        tried.append(header)
        return end_of_frame(header, fixed)

    monkeypatch.setattr(flac, "_end_of_frame", noted)
    four = bytes.fromhex("fff8c90800")
    four = (four + bytes((flac._sum(four, *flac._OF_HEADER),)) + bytes(3)) * 4  # a header, and three bytes more
    assert flac._last_sample(four + b"\xff\xf8" * 1000 + four, 4096, 999_999, -1) == 0
    assert len(tried) == 1008


@pytest.mark.parametrize("at", [0, 1, 2**20 - 43, 2**20 - 3, 2**20 + 5])
def test_a_second_file_is_found_wherever_it_begins(tmp_path: Path, at: int) -> None:
    """A second file is found at any place.

    The file is searched in pieces of 2**20 bytes. at: the number of zeros between the first 42 bytes of a FLAC file and
    the second file, which begins near the start or near the end of the first piece.
    """
    content = with_length(tmp_path / "v.flac", 20000).read_bytes()
    (tmp_path / "v.flac").write_bytes(content[:42] + bytes(at) + content)
    with (tmp_path / "v.flac").open("rb") as file:
        assert list(find_starts(file, 0)) == [0, 42 + at]
