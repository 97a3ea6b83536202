"""The law of files: the samples are those of one read from start to end, however the reading is cut."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

from dspgraph import Audio
from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource
from dspgraph.io.decoding import Decoder
from dspgraph.streams import Array
from dspgraph.testing import check_file, files
from helpers.audio_files import (
    BY_FFMPEG,
    BY_LIBSNDFILE,
    MONO_ONLY,
    by_ffmpeg,
    by_libsndfile,
    needs_ffmpeg,
    piped_by_ffmpeg,
    stereo,
)
from helpers.speech import speech

KINDS_OF_LIBSNDFILE = [
    pytest.param(kind, channels, marks=[] if channels == (1 if kind in MONO_ONLY else 2) else [pytest.mark.slow])
    for kind in BY_LIBSNDFILE
    for channels in (1, 2)
    if channels == 1 or kind not in MONO_ONLY
]
"""Every kind of file with two channels, or with one if it cannot have two.

In the slow tests, the kinds that can have two channels are there with one too.
"""


@pytest.mark.parametrize(("kind", "channels"), KINDS_OF_LIBSNDFILE)
def test_the_law_holds_in_files_of_libsndfile(tmp_path: Path, kind: str, channels: int) -> None:
    samples = speech()[8000:16000] if channels == 1 else stereo(8000)
    check_file(by_libsndfile(tmp_path / "v", kind, samples), parts=5)
    check_file(by_libsndfile(tmp_path / "short", kind, samples[:700]), parts=5)  # all of it one sample at a time


@needs_ffmpeg
@pytest.mark.parametrize("kind", BY_FFMPEG)
@pytest.mark.parametrize(("rate", "channels"), [pytest.param(44100, 1, marks=pytest.mark.slow), (48000, 2), (22050, 2)])
def test_the_law_holds_in_files_of_ffmpeg(tmp_path: Path, kind: str, rate: int, channels: int) -> None:
    samples = speech()[8000:24000] if channels == 1 else stereo(16000)
    check_file(by_ffmpeg(tmp_path, kind, samples, rate), parts=4)


@needs_ffmpeg
@pytest.mark.parametrize("form", ["mp3", "flac", "wav", "aiff", "ogg", "au", "w64", "caf"])
def test_the_law_holds_in_files_from_a_pipe(tmp_path: Path, form: str) -> None:
    check_file(piped_by_ffmpeg(tmp_path, form, stereo(16000), 44100), parts=4)


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize("kind", BY_FFMPEG)
@pytest.mark.parametrize("rate", [44100, 48000, 22050])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_law_holds_at_200_parts_of_files_of_ffmpeg(tmp_path: Path, kind: str, rate: int, channels: int) -> None:
    samples = speech()[:50000] if channels == 1 else stereo(30000)
    check_file(by_ffmpeg(tmp_path, kind, samples, rate), parts=200)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "channels"), KINDS_OF_LIBSNDFILE)
def test_the_law_holds_at_200_parts_of_files_of_libsndfile(tmp_path: Path, kind: str, channels: int) -> None:
    samples = speech()[:50000] if channels == 1 else stereo(30000)
    check_file(by_libsndfile(tmp_path / "v", kind, samples), parts=200)
    check_file(by_libsndfile(tmp_path / "short", kind, samples[8000:11000]), parts=200)


@needs_ffmpeg
@pytest.mark.slow
@pytest.mark.parametrize("form", ["mp3", "flac", "wav", "aiff", "ogg", "au", "w64", "caf"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (48000, 2), (22050, 1), (22050, 2)])
def test_the_law_holds_at_200_parts_of_files_from_a_pipe(tmp_path: Path, form: str, rate: int, channels: int) -> None:
    samples = speech()[:40000] if channels == 1 else stereo(40000)
    check_file(piped_by_ffmpeg(tmp_path, form, samples, rate), parts=200)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vorbis", "opus", "flac 16"])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_law_holds_at_200_parts_of_files_one_behind_the_other(tmp_path: Path, kind: str, channels: int) -> None:
    samples = speech()[:30000] if channels == 1 else stereo(30000)
    lengths = (16000, 1, 9000, 12345)
    parts = [by_libsndfile(tmp_path / "part", kind, samples[-n:]).read_bytes() for n in lengths]
    (tmp_path / "v").write_bytes(b"".join(parts))
    assert check_file(tmp_path / "v", parts=200).endswith(f" {sum(lengths)} samples")


UNKNOWN = {
    "wav PCM_U8": b"data", "wav PCM_16": b"data", "wav PCM_24": b"data", "wav PCM_32": b"data", "wav FLOAT": b"data",
    "wav DOUBLE": b"data", "wav ALAW": b"data", "wav ULAW": b"data", "wav IMA_ADPCM": b"data", "wav MS_ADPCM": b"data",
    "wavex": b"data", "aiff": b"SSND", "aifc": b"SSND",
}  # fmt: skip
"""Kind of file -> the chunk whose length the test makes unknown."""


LENGTHS = (0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "length"),
    [(kind, n) for kind in UNKNOWN for n in (LENGTHS if kind in ("wav PCM_16", "aiff") else [LENGTHS[-1]])],
)
def test_the_law_holds_at_200_parts_of_files_of_unknown_length(tmp_path: Path, kind: str, length: int) -> None:
    content = bytearray(by_libsndfile(tmp_path / "v", kind, stereo(30000)).read_bytes())
    at = content.index(UNKNOWN[kind]) + 4
    content[at : at + 4] = length.to_bytes(4, "big" if kind.startswith("ai") else "little")
    (tmp_path / "v").write_bytes(content)
    check_file(tmp_path / "v", parts=200)


def test_a_low_rate_in_the_header_makes_no_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check uses no blocks of a second at 1 Hz, which would be one sample: a file of 6 MB once took minutes."""
    soundfile.write(tmp_path / "v.wav", speech()[:20000], 1)
    blocks, cuts = Decoder.blocks, set[tuple[int, int]]()

    def noted(self: Decoder, first: int, length: int, rows: int) -> Iterator[Array]:
        cuts.add((rows, length))
        return blocks(self, first, length, rows)

    monkeypatch.setattr(Decoder, "blocks", noted)
    check_file(tmp_path / "v.wav")
    assert {rows for rows, length in cuts if length > 4096} == {37, 4096, 20000}


def test_what_was_not_compared_is_said_and_channels_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check says how many samples it compared: half as many with two channels, so that its memory does not grow."""
    monkeypatch.setattr(files, "_LONGEST", 2**12)
    soundfile.write(tmp_path / "v.wav", stereo(5000), 16000)
    assert check_file(tmp_path / "v.wav").endswith(", 5000 samples, the first 2048 compared")


def test_a_file_that_breaks_the_law_is_named_with_its_format_the_cut_and_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: in blocks of 37 samples, sample 5 of each block is wrong, as after a seek in an MP3 file."""
    path = by_libsndfile(tmp_path / "v.mp3", "mp3", speech()[:16000])
    blocks = Decoder.blocks

    def broken(self: Decoder, first: int, length: int, rows: int) -> object:
        for block in blocks(self, first, length, rows):
            yield block + (rows == 37) * (np.arange(len(block))[:, None] == 5)

    monkeypatch.setattr(Decoder, "blocks", broken)
    with pytest.raises(FileError, match=r"v.mp3 \(MP3, MPEG_LAYER_III, .*in blocks of 37 samples, sample 5 differs"):
        check_file(path)


def test_what_is_checked_is_said(tmp_path: Path) -> None:
    said = check_file(by_libsndfile(tmp_path / "v", "flac 16", speech()[:1600]))
    assert said == "FLAC, PCM_16, 16000 Hz, 1600 samples"


def test_a_file_of_one_sample_keeps_the_law(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.wav", np.array([0.5]), 16000)
    assert check_file(tmp_path / "v.wav").endswith(" 1 samples")


def test_a_part_of_a_long_file_is_its_slice(tmp_path: Path) -> None:
    """Parts near the end are slices of the whole, although libvorbis returns samples 24 ms later after a seek there."""
    samples = np.tile(speech(), 8)[:320000]
    path = by_libsndfile(tmp_path / "v.ogg", "vorbis", samples)
    whole = AudioSource(path, Audio(16000)).read()
    for start in ("5", "19.0", "19.12", "19.3", "19.48"):
        first = round(Fraction(start) * 16000)
        found = AudioSource(path, Audio(16000), Fraction(start), Fraction("0.3")).read()
        assert_array_equal(found, whole[first : first + 4800])
