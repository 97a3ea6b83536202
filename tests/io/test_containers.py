"""Containers with one length in bytes: the length is unknown, right, too long or too short."""

import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio
from dspgraph.errors import FileError
from dspgraph.io import containers
from dspgraph.io.audio import AudioSource
from dspgraph.io.ogg import Link, find_links
from dspgraph.testing import check_file
from helpers.audio_files import by_libsndfile, decoded_by_ffmpeg, needs_ffmpeg, piped_by_ffmpeg, run_ffmpeg
from helpers.speech import speech

MONO = Audio(16000)
UNKNOWN = "read to its end: its header has no length"
SAMPLES = np.rint(speech()[8000:24000] * 2**15) / 2**15

LENGTHS = {
    "0": 0, "sox": 0x7FFFF000, "sox less the header": 0x7FFFF000 - 36, "largest signed": 0x7FFFFFFF,
    "largest signed less the header": 0x7FFFFFFF - 36, "arecord": 0x80000000, "largest": 0xFFFFFFFF,
    "largest less the header": 0xFFFFFFFF - 44, "sox aiff": 0x7F000008,
}  # fmt: skip
"""Lengths that programs leave in a header when they write to a pipe."""


def written(path: Path, kind: str) -> bytearray:
    return bytearray(by_libsndfile(path, kind, SAMPLES).read_bytes())


def wav_with(path: Path, length: int, riff: int | None = None) -> Path:
    content = written(path, "wav PCM_16")
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", length)
    content[4:8] = struct.pack("<I", length + 36 & 0xFFFFFFFF if riff is None else riff)
    path.write_bytes(content)
    return path


def aiff_with(path: Path, length: int) -> Path:
    content = written(path, "aiff")
    for name, offset in ((b"SSND", 4), (b"COMM", 10)):
        at = content.index(name) + offset
        content[at : at + 4] = struct.pack(">I", length)
    path.write_bytes(content)
    return path


def read_as_unknown(path: Path) -> Array:
    source = AudioSource(path, MONO)
    assert source.conversions == [UNKNOWN]
    check_file(path, parts=3)
    return source.read()


@pytest.mark.parametrize("name", LENGTHS)
def test_a_wav_of_unknown_length_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    assert_array_equal(read_as_unknown(wav_with(tmp_path / "v.wav", LENGTHS[name])), SAMPLES)


@pytest.mark.parametrize("riff", [0, 8, 36, 0xFFFFFFFF])
def test_a_length_of_0_is_unknown_whatever_the_outer_length_says(tmp_path: Path, riff: int) -> None:
    assert_array_equal(read_as_unknown(wav_with(tmp_path / "v.wav", 0, riff)), SAMPLES)


@pytest.mark.parametrize("name", LENGTHS)
def test_an_aiff_of_unknown_length_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    assert_array_equal(read_as_unknown(aiff_with(tmp_path / "v.aiff", LENGTHS[name])), SAMPLES)


@pytest.mark.parametrize("kind", ["wav IMA_ADPCM", "wav MS_ADPCM", "wav ULAW", "wavex"])
def test_a_wav_of_unknown_length_may_have_any_samples(tmp_path: Path, kind: str) -> None:
    content = written(tmp_path / "v.wav", kind)
    whole = AudioSource(tmp_path / "v.wav", MONO).read()
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "v.wav").write_bytes(content)
    assert_array_equal(read_as_unknown(tmp_path / "v.wav"), whole)


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xf0\x00"])
def test_an_au_of_unknown_length_is_read_to_its_end(tmp_path: Path, length: bytes) -> None:
    content = written(tmp_path / "v.au", "au")
    content[8:12] = length
    (tmp_path / "v.au").write_bytes(content)
    assert_array_equal(read_as_unknown(tmp_path / "v.au"), SAMPLES)


@pytest.mark.parametrize("kind", ["w64", "caf", "rf64"])
@pytest.mark.parametrize("length", [2**64 - 1, 2**63 - 1, 0])
def test_a_length_of_64_bits_may_be_unknown_too(tmp_path: Path, kind: str, length: int) -> None:
    content = written(tmp_path / "v", kind)
    order: Literal["big", "little"] = "big" if kind == "caf" else "little"
    at = content.index(b"ds64") + 16 if kind == "rf64" else content.index(b"data") + (4 if kind == "caf" else 16)
    content[at : at + 8] = length.to_bytes(8, order)
    (tmp_path / "v").write_bytes(content)
    assert_array_equal(read_as_unknown(tmp_path / "v"), SAMPLES)


@pytest.mark.parametrize("length", [32001, 40000, 2**30, 0x7FFFF000 + 2048, 0x60000000])
def test_any_other_length_that_is_not_there_is_a_truncated_file(tmp_path: Path, length: int) -> None:
    with pytest.raises(FileError, match=f"is truncated: its header promises {length} bytes of samples, it has 32000"):
        AudioSource(wav_with(tmp_path / "v.wav", length), MONO)


def test_a_file_without_samples_has_none(tmp_path: Path) -> None:
    """The length 0 in the header is right, and not unknown, if nothing follows, or only other chunks: an error."""
    path = wav_with(tmp_path / "v.wav", 0)
    head = path.read_bytes()[: path.read_bytes().index(b"data") + 8]
    for behind in (b"", b"LIST\4\0\0\0INFO", b"LIST\4\0\0\0INFOid3 \2\0\0\0ab"):
        path.write_bytes(head + behind)
        with pytest.raises(FileError, match=r"v.wav has no samples"):
            AudioSource(path, MONO)


def test_bytes_behind_the_samples_that_are_no_chunk_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    """2000 bytes after the end that the header states are left out, with a note.

    A recorder that is switched off leaves a header that is older than the last samples.
    """
    path = wav_with(tmp_path / "v.wav", 30000)
    source = AudioSource(path, MONO)
    assert source.conversions == ["left out 2000 bytes behind the samples, whose length its header has"]
    assert_array_equal(source.read(), SAMPLES[:15000])


@pytest.mark.parametrize("behind", [b"LIST\4\0\0\0INFO", bytes(600), b"\0"])
def test_chunks_and_zeros_behind_the_samples_are_no_samples(tmp_path: Path, behind: bytes) -> None:
    path = wav_with(tmp_path / "v.wav", 32000)
    path.write_bytes(path.read_bytes() + behind)
    assert AudioSource(path, MONO).conversions == []


def test_a_wav_of_more_than_4_gib_is_refused(tmp_path: Path) -> None:
    """The message has the command that converts the file. The file is sparse: it takes no space on the disk."""
    for length in (0xFFFFFFFF, 0, 1000, 0x7FFFF000):
        path = wav_with(tmp_path / "v.wav", length)
        with path.open("rb+") as file:
            file.truncate(2**32 + 100_000)
        with pytest.raises(FileError, match=r"4 GiB.*ffmpeg -ignore_length 1 -i v.wav out.w64"):
            AudioSource(path, MONO)


def test_an_id3_tag_before_a_wav_changes_nothing(tmp_path: Path) -> None:
    for length in (32000, 0):
        path = wav_with(tmp_path / "v.wav", length)
        path.write_bytes(b"ID3\4\0\0\0\0\0\x14" + bytes(20) + path.read_bytes())
        assert_array_equal(AudioSource(path, MONO).read(), SAMPLES)


@needs_ffmpeg
@pytest.mark.parametrize("form", ["wav", "aiff", "au", "w64", "caf"])
def test_a_file_from_a_pipe_has_all_samples(tmp_path: Path, form: str) -> None:
    path = piped_by_ffmpeg(tmp_path, form, SAMPLES, 16000)
    assert_array_equal(AudioSource(path, MONO).read(), SAMPLES)
    if form not in ("aiff", "w64"):  # ffmpeg does not read what it has written to a pipe in these formats
        assert_array_equal(decoded_by_ffmpeg(path), SAMPLES)


@pytest.mark.parametrize("kind", ["wav PCM_16", "au"])
def test_a_file_of_unknown_length_may_begin_with_silence(tmp_path: Path, kind: str) -> None:
    silent = np.concatenate([np.zeros(8000), SAMPLES])
    content = bytearray(by_libsndfile(tmp_path / "v", kind, silent).read_bytes())
    at = content.index(b"data") + 4 if kind.startswith("wav") else 8
    content[at : at + 4] = bytes(4)
    (tmp_path / "v").write_bytes(content)
    assert_array_equal(read_as_unknown(tmp_path / "v"), silent)


AIFF = ["aiff", "aiff 8", "aifc", "aifc ima"]


@pytest.mark.parametrize("kind", AIFF)
@pytest.mark.parametrize("promised", [8000, 16064, 32000])
def test_an_aiff_with_another_number_of_samples_is_read_to_its_end_and_it_is_said(
    tmp_path: Path, kind: str, promised: int
) -> None:
    """All samples of the chunk SSND are read, with a note, if the chunk COMM states another number of samples.

    promised: the wrong number.
    """
    content = written(tmp_path / "v.aiff", kind)
    whole = AudioSource(tmp_path / "v.aiff", MONO).read()
    at = content.index(b"COMM") + 10
    content[at : at + 4] = struct.pack(">I", promised // (64 if kind == "aifc ima" else 1))
    (tmp_path / "v.aiff").write_bytes(content)
    source = AudioSource(tmp_path / "v.aiff", MONO)
    assert source.conversions == [f"its header promises {promised} samples, the 16000 that are there were read"]
    assert_array_equal(source.read(), whole)


@pytest.mark.parametrize("kind", AIFF)
def test_samples_of_an_aiff_may_stand_some_bytes_later(tmp_path: Path, kind: str) -> None:
    """Samples are read from the offset that the chunk SSND states, here 10 bytes."""
    content = written(tmp_path / "v.aiff", kind)
    whole = AudioSource(tmp_path / "v.aiff", MONO).read()
    at = content.index(b"SSND") + 4
    length = int.from_bytes(content[at : at + 4], "big")
    content[at : at + 12] = struct.pack(">III", length + 10, 10, 0) + bytes(10)
    (tmp_path / "v.aiff").write_bytes(content + b"NAME\0\0\0\4abcd")
    source = AudioSource(tmp_path / "v.aiff", MONO)
    assert source.conversions == []
    assert_array_equal(source.read(), whole)


def test_a_table_of_packets_without_an_end_takes_no_time(tmp_path: Path) -> None:
    content = bytes(written(tmp_path / "v.caf", "caf alac"))
    at = content.index(b"pakt")
    table = b"pakt" + (2**22).to_bytes(8, "big") + bytes(24) + b"\xff" * (2**22 - 24)
    (tmp_path / "v.caf").write_bytes(content[:at] + table + content[content.index(b"data") :])
    begin = time.process_time()
    with suppress(FileError):
        AudioSource(tmp_path / "v.caf", MONO)
    assert time.process_time() - begin < 10  # 2 s were measured


TABLE = "read by its table of packets, which contradicts the length in its header"


@pytest.mark.parametrize("change", [-1000, 1000, -(2**63)])
def test_a_caf_with_a_table_of_packets_is_read_by_it(tmp_path: Path, change: int) -> None:
    content = written(tmp_path / "v.caf", "caf alac")
    whole = AudioSource(tmp_path / "v.caf", MONO).read()
    at = content.index(b"data") + 4
    length = int.from_bytes(content[at : at + 8], "big")
    content[at : at + 8] = (abs(length + change)).to_bytes(8, "big")
    (tmp_path / "v.caf").write_bytes(content)
    source = AudioSource(tmp_path / "v.caf", MONO)
    assert source.conversions == [TABLE]
    assert_array_equal(source.read(), whole)
    (tmp_path / "v.caf").write_bytes(content[:-2])  # a byte of padding, and one of the last packet
    with pytest.raises(FileError, match="is truncated"):
        AudioSource(tmp_path / "v.caf", MONO)


LEVL = bytes.fromhex("6c65766cf3acd3118cd100c04f8edb8a")  # a chunk "levl" of a W64 file
BEHIND = {
    "w64": LEVL + struct.pack("<Q", 64) + b"abcdefgh" * 5,
    "au": b"hello" * 20,
    "au g723": b"hello" * 20,
    "sphere": b"\1\2\3" * 50,
    "sphere ulaw": b"\1\2\3" * 50,
    "iff": b"NAME\0\0\0\4abcd",
}
"""Bytes behind the samples, in formats whose decoder goes on to the end of the file."""


@pytest.mark.parametrize("kind", BEHIND)
def test_what_stands_behind_the_samples_is_never_read_as_samples(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "v"
    content = bytes(written(path, kind))
    whole = AudioSource(path, MONO).read()
    path.write_bytes(content + BEHIND[kind])
    assert_array_equal(AudioSource(path, MONO).read(), whole)
    check_file(path, parts=3)


BLOCKS = {
    "wav IMA_ADPCM": 1024,
    "wav MS_ADPCM": 1024,
    "wav GSM610": 65,
    "wav G721_32": 60,
    "au g723": 45,
    "aifc ima": 34,
}
"""Kind of file -> the bytes of a block. From an incomplete block at the end, decoders make no samples or wrong ones."""


@pytest.mark.parametrize("kind", BLOCKS)
def test_an_incomplete_block_at_the_end_is_left_out_and_it_is_said(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "v"
    content = written(path, kind)
    whole = AudioSource(path, MONO).read()
    field = {"wav": content.find(b"data") + 4, "au": 8, "aifc": content.find(b"SSND") + 4}[kind.split()[0]]
    fields = [field] if kind != "aifc ima" else [field, content.find(b"COMM") + 10]
    for at in fields:
        content[at : at + 4] = b"\xff\xff\xff\xff"
    begin = field + {"wav": 4, "au": 16, "aifc": 12}[kind.split()[0]]
    del content[begin + 2 * BLOCKS[kind] + 30 :]  # two blocks, and a part of a third one
    path.write_bytes(content)
    source = AudioSource(path, MONO)
    assert source.conversions == [UNKNOWN, "left out the last 30 bytes of its samples, which are no whole block"]
    assert_array_equal(source.read(), whole[: source.length])
    path.write_bytes(content[: begin + 2 * BLOCKS[kind]])
    assert source.length == AudioSource(path, MONO).length


@pytest.mark.parametrize("kind", ["aiff", "aifc", "caf"])
def test_a_length_that_counts_no_sample_is_unknown(tmp_path: Path, kind: str) -> None:
    """A length of 8 bytes in AIFF (offset and block size), or of 4 in CAF (edit count), counts as unknown."""
    content = written(tmp_path / "v", kind)
    name, size = (b"data", 8) if kind == "caf" else (b"SSND", 4)
    at = content.index(name) + 4
    content[at : at + size] = (4 if kind == "caf" else 8).to_bytes(size, "big")
    (tmp_path / "v").write_bytes(content)
    found = read_as_unknown(tmp_path / "v")
    assert_array_equal(found, SAMPLES.astype("f4") if kind == "aifc" else SAMPLES)


def sphere(count: str, coding: str = "pcm", header: int = 1024) -> bytes:
    head = (
        f"NIST_1A\n{header:7}\nsample_rate -i 16000\nchannel_count -i 1\nsample_n_bytes -i 2\n"
        f"sample_byte_format -s2 01\n{count}sample_coding -s{len(coding)} {coding}\nend_head\n"
    )
    content: bytes = (SAMPLES * 2**15).astype("<i2").tobytes()
    return head.encode().ljust(1024) + content


@pytest.mark.parametrize("count", ["sample_count -i 0\n", "sample_count -i -1\n", ""])
def test_a_sphere_file_of_unknown_length_is_read_to_its_end(tmp_path: Path, count: str) -> None:
    (tmp_path / "v.sph").write_bytes(sphere(count))
    assert_array_equal(read_as_unknown(tmp_path / "v.sph"), SAMPLES)


def test_a_sphere_file_is_as_long_as_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "v.sph"
    path.write_bytes(sphere("sample_count -i 15000\n"))
    source = AudioSource(path, MONO)
    assert source.conversions == ["left out 2000 bytes behind the samples, whose length its header has"]
    assert_array_equal(source.read(), SAMPLES[:15000])
    for kind in ("sphere", "sphere ulaw"):  # libsndfile writes the number of bytes per sample as a text
        path.write_bytes(bytes(written(path, kind))[:-101])
        with pytest.raises(FileError, match="is truncated"):
            AudioSource(path, MONO)


def test_compressed_sphere_files_are_refused_with_the_command_that_converts_them(tmp_path: Path) -> None:
    (tmp_path / "v.sph").write_bytes(sphere("sample_count -i 16000\n", "pcm,embedded-shorten-v2.00"))
    with pytest.raises(FileError, match="has compressed samples .*shorten.*: convert it: ffmpeg -i v.sph out.wav"):
        AudioSource(tmp_path / "v.sph", MONO)


def test_samples_that_begin_within_the_header_are_damage(tmp_path: Path) -> None:
    """A file whose samples begin within its header is refused.

    The reason: libsndfile reads such a file from one byte on without a seek, and from another byte on after a seek.
    """
    (tmp_path / "v.sph").write_bytes(sphere("sample_count -i 16000\n", header=8))
    content = written(tmp_path / "v.au", "au")
    content[4:8] = bytes(4)
    (tmp_path / "v.au").write_bytes(content)
    for name in ("v.sph", "v.au"):
        with pytest.raises(FileError, match=f"{name} is damaged .* begin at byte [08], which is within the header"):
            AudioSource(tmp_path / name, MONO)


def test_samples_that_begin_behind_their_end_are_damage(tmp_path: Path) -> None:
    au, aiff, far = written(tmp_path / "v.au", "au"), written(tmp_path / "v.aiff", "aiff"), b"\xff\xff\xff\xf0"
    at = aiff.index(b"SSND") + 8  # the offset of the samples
    (tmp_path / "v.au").write_bytes(au[:4] + far + b"\xff" * 4 + au[12:])
    (tmp_path / "v.aiff").write_bytes(aiff[:at] + far + aiff[at + 4 :])
    (tmp_path / "v.sph").write_bytes(sphere("sample_count -i 16000\n", header=99_999_999))
    for name in ("v.au", "v.aiff", "v.sph"):
        with pytest.raises(FileError, match=f"{name} is damaged .* begin at byte [0-9]+, which is behind their end"):
            AudioSource(tmp_path / name, MONO)


def test_a_header_of_text_is_not_taken_for_a_list_of_files(tmp_path: Path) -> None:
    (tmp_path / "v.sph").write_bytes(sphere("sample_count -i 16000\n").replace(b"-s2 01", b"-s2 99"))
    (tmp_path / "v.pvf").write_bytes(b"PVF1\n1 16000 77\n" + b"a" * 1000)
    for name in ("v.sph", "v.pvf"):
        with pytest.raises(FileError, match=f"{name} is not an audio file .* convert it: ffmpeg -i {name} out.wav"):
            AudioSource(tmp_path / name, MONO)


@pytest.mark.parametrize("length", [0, 1000, 32000, 0x7FFFF000, 0xFFFFFFFF])
def test_an_rf64_file_is_as_long_as_its_length_of_64_bits(tmp_path: Path, length: int) -> None:
    content = written(tmp_path / "v.wav", "rf64")
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", length)
    (tmp_path / "v.wav").write_bytes(content)
    source = AudioSource(tmp_path / "v.wav", MONO)
    assert source.conversions == []
    assert_array_equal(source.read(), SAMPLES)


def test_text_behind_the_samples_is_no_chunk_and_it_is_said(tmp_path: Path) -> None:
    path = wav_with(tmp_path / "v.wav", 32000)
    path.write_bytes(path.read_bytes() + b"some text that a program has left")
    source = AudioSource(path, MONO)
    assert source.conversions == ["left out 33 bytes behind the samples, whose length its header has"]
    assert_array_equal(source.read(), SAMPLES)


@pytest.mark.parametrize("behind", [b"", b"more"])
def test_zeros_behind_the_samples_are_padding_unless_more_follows(tmp_path: Path, behind: bytes) -> None:
    path = wav_with(tmp_path / "v.wav", 32000)
    path.write_bytes(path.read_bytes() + bytes(70000) + behind)
    source = AudioSource(path, MONO)
    notes = ["left out 70004 bytes behind the samples, whose length its header has"]
    assert source.conversions == (notes if behind else [])
    assert_array_equal(source.read(), SAMPLES)


@pytest.mark.parametrize("kind", ["wav PCM_16", "aiff", "caf", "rf64", "w64", "au", "sphere"])
def test_a_second_file_behind_the_first_is_left_out_and_it_is_said(tmp_path: Path, kind: str) -> None:
    content = bytes(written(tmp_path / "v", kind))
    (tmp_path / "v").write_bytes(content * 2)
    source = AudioSource(tmp_path / "v", MONO)
    assert source.conversions == [f"left out {len(content)} bytes behind the samples, whose length its header has"]
    assert_array_equal(source.read(), SAMPLES)


def test_a_second_chunk_of_samples_is_left_out_and_it_is_said(tmp_path: Path) -> None:
    content = bytes(written(tmp_path / "v.wav", "wav PCM_16"))
    (tmp_path / "v.wav").write_bytes(content + content[content.index(b"data") :])
    source = AudioSource(tmp_path / "v.wav", MONO)
    assert source.conversions == ["left out 32008 bytes behind the samples, whose length its header has"]
    assert_array_equal(source.read(), SAMPLES)


@needs_ffmpeg
@pytest.mark.parametrize("coder", ["pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"])
@pytest.mark.parametrize("channels", [1, 6])
def test_a_w64_with_the_extensible_header_has_the_samples_of_ffmpeg(tmp_path: Path, coder: str, channels: int) -> None:
    """All samples are equal to those of ffmpeg, although libsndfile takes floats and A-law codes for integers here."""
    path = tmp_path / "v.w64"
    soundfile.write(tmp_path / "source.wav", SAMPLES, 16000)
    run_ffmpeg("-i", tmp_path / "source.wav", "-ac", channels, "-c:a", coder, path)
    assert_array_equal(AudioSource(path, Audio(16000, channels)).read(), decoded_by_ffmpeg(path, channels))


@needs_ffmpeg
@pytest.mark.parametrize("coder", ["libmp3lame", "mp2"])
def test_mpeg_frames_in_a_wav_are_counted(tmp_path: Path, coder: str) -> None:
    path = tmp_path / "v.wav"
    soundfile.write(tmp_path / "source.wav", SAMPLES, 44100)
    run_ffmpeg("-i", tmp_path / "source.wav", "-c:a", coder, path)
    found, expected = AudioSource(path, Audio(44100)).read(), decoded_by_ffmpeg(path)
    assert len(found) == len(expected)
    assert_allclose(found, expected, atol=1e-4)  # ffmpeg decodes layer 2 in integers; 3e-5 was measured
    check_file(path, parts=3)


def test_a_file_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    """A file whose modification time has changed is read again, although the layouts of files are kept in a cache."""
    path = wav_with(tmp_path / "v.wav", 32000)
    os.utime(path, (1000, 1000))
    assert AudioSource(path, MONO).length == AudioSource(path, MONO).length == 16000
    wav_with(path, 30000)  # as many bytes
    assert AudioSource(path, MONO).length == 15000
    wav_with(path, 31000)
    assert AudioSource(path, MONO).length == 15500
    os.utime(path, (2000, 2000))
    assert AudioSource(path, MONO).length == 15500


def test_the_layout_of_a_file_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = by_libsndfile(tmp_path / "v.ogg", "vorbis", SAMPLES)
    os.utime(path, (1000, 1000))
    found: list[Path] = []

    def noted(path: Path, at: int) -> tuple[Link, ...]:
        found.append(path)
        return find_links(path, at)

    monkeypatch.setattr(containers, "find_links", noted)
    for _ in range(3):
        AudioSource(path, MONO).read()
    assert found == [path]
