"""Audio files: what is read is all there is, what is written is all there or not there at all."""

import os
import resource
import shutil
import struct
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio
from dspgraph.audio_io import AudioSink, AudioSource
from dspgraph.errors import FileError, SignalError
from speech import speech

MONO = Audio(16000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, stream: Audio, blocks: Iterable[Array]) -> None:
    with AudioSink(path, stream) as sink:
        for block in blocks:
            sink.write(block)


# ---- reading --------------------------------------------------------------------------------------------------------

FORMATS = {
    "wav": ("WAV", "PCM_16"), "wavex": ("WAVEX", "PCM_24"), "rf64": ("RF64", "PCM_16"), "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"), "aifc": ("AIFF", "FLOAT"), "au": ("AU", "PCM_16"), "little au": ("AU", "FLOAT"),
    "nist": ("NIST", "PCM_16"), "iff": ("SVX", "PCM_16"), "caf": ("CAF", "PCM_16"), "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"),
}  # fmt: skip


def written(path: Path, kind: str, samples: Array) -> Path:
    form, subtype = FORMATS[kind]
    soundfile.write(path, samples, 16000, subtype, "LITTLE" if kind == "little au" else "FILE", form)
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("n", [16000, 16001], ids=["even", "odd"])
def test_a_whole_file_is_read_whole(tmp_path: Path, kind: str, n: int) -> None:
    path = written(tmp_path / "whole", kind, speech()[8000 : 8000 + n])
    assert len(AudioSource(path, MONO).read()) == soundfile.info(path).frames


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("left", [0.33, 0.67, 0.99, 1])
def test_a_file_that_lost_its_end_is_refused(tmp_path: Path, kind: str, left: float) -> None:
    """At the least a byte. An MP3 promises frames, not bytes, and the last of them may be padding: it needs a few."""
    content = written(tmp_path / "whole", kind, speech()[:32000]).read_bytes()
    lost = 1000 if kind == "mp3" else 1
    (tmp_path / "cut").write_bytes(content[: min(int(len(content) * left), len(content) - lost)])
    with pytest.raises(FileError, match="cut (is truncated|cannot be read|is not an audio file)"):
        AudioSource(tmp_path / "cut", MONO).read()


def test_a_file_of_which_it_cannot_be_told_is_taken_as_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.voc", speech()[:1600], 16000, "PCM_16", format="VOC")
    (tmp_path / "cut.voc").write_bytes((tmp_path / "v.voc").read_bytes()[:-1600])
    assert len(AudioSource(tmp_path / "cut.voc", MONO).read()) == pytest.approx(800, abs=1)


def test_chunks_after_the_samples_may_be_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "v.wav", "wav", speech()[:1600])
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 1000) + b"INFO")
    assert len(AudioSource(path, MONO).read()) == 1600


@pytest.mark.parametrize("kind", ["wav", "au"])
def test_a_recorder_that_could_not_write_the_length_is_believed(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / "piped", kind, speech()[:1600])
    content = path.read_bytes()
    length = struct.pack("<I" if kind == "wav" else ">I", 3200)
    path.write_bytes(content.replace(length, b"\xff\xff\xff\xff", 1))
    assert len(AudioSource(path, MONO).read()) == 1600


def piped(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def linked(folder: Path) -> Path:
    (folder / "me").symlink_to("me")
    return folder / "me"


def headerless(folder: Path) -> Path:
    (folder / "a.raw").write_bytes(b"ab")
    return folder / "a.raw"


UNREADABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda d: d / "nothing.wav", "nothing.wav does not exist"),
    "a folder": (lambda d: d, "is a folder, not an audio file"),
    "a name of 300 characters": (lambda d: d / ("a" * 300), "aaa cannot be read: File name too long"),
    "a link to itself": (linked, "me cannot be read: Too many levels"),
    "a pipe": (piped, "pipe is no regular file: record it to a file"),
    "headerless": (headerless, "a.raw has no header .* make it a WAV"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_says_why(tmp_path: Path, what: str) -> None:
    make, message = UNREADABLE[what]
    with pytest.raises(FileError, match=message):
        AudioSource(make(tmp_path), MONO)


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"v\xff.wav")
    write(path, MONO, [speech()[:1600]])
    assert_array_equal(AudioSource(path, MONO).read(), speech()[:1600].astype("f4"))


# ---- conversion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 11025, 15999, 16001, 22050, 44100, 48000, 192000])
def test_a_converted_file_has_its_seconds_in_samples(tmp_path: Path, rate: int) -> None:
    """ceil(seconds * rate), the number that every stream has."""
    for n in (1, 2, 3, 10, 100, 101, rate - 1, rate, rate + 1):
        soundfile.write(tmp_path / "v.wav", np.full(n, 0.5), rate)
        assert len(AudioSource(tmp_path / "v.wav", MONO).read()) == MONO.count(Fraction(n, rate)), n


def test_the_end_of_a_converted_file_is_sound_and_not_padding(tmp_path: Path) -> None:
    """Every third sample of a slow tone, up to the last: sample k of 16 kHz is sample 3 k of 48 kHz."""
    n = 3 * 800 + 1
    time = np.arange(n) / 48000
    tone = np.sin(2 * np.pi * 440 * time) * np.minimum(1, time[-1] - time) ** 2 * 400  # fades out: no step at the end
    soundfile.write(tmp_path / "v.wav", tone, 48000, "DOUBLE")
    found = AudioSource(tmp_path / "v.wav", MONO).read()
    assert len(found) == 801
    assert_allclose(found[600:], tone[::3][600:], atol=0.003)  # the fade's corner rings by that much; the tone is 0.5


def test_a_converted_file_is_the_same_in_blocks_of_any_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "v.wav", speech()[:32000], 44100, "DOUBLE")
    whole = AudioSource(tmp_path / "v.wav", MONO).read()
    monkeypatch.setattr("dspgraph.audio_io.BLOCK", 1000)
    source = AudioSource(tmp_path / "v.wav", MONO)
    assert len(list(source.blocks())) >= 20  # of about 11600 samples
    assert_array_equal(source.read(), whole)


@pytest.mark.parametrize(("rate", "channels"), [(48000, 1000), (2**31 - 1, 2)])
def test_a_header_cannot_ask_for_memory(tmp_path: Path, rate: int, channels: int) -> None:
    """A second of these files is 366 MiB and 32 GiB; all the samples they have are 64 MiB, a block is at most 8 MiB."""
    n = 2**23 // channels
    soundfile.write(tmp_path / "v.wav", np.zeros((n, channels), "i2"), rate, "PCM_U8")
    source = AudioSource(tmp_path / "v.wav", Audio(rate))
    tracemalloc.start()
    try:
        assert sum(map(len, source.blocks())) == n
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**23  # room for the copies that are made of a block
    finally:
        tracemalloc.stop()


def test_ten_hours_in_a_header_are_not_ten_hours_in_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "v.flac", "flac", speech()[:1600])
    content = bytearray(path.read_bytes())
    content[22:26] = struct.pack(">I", 36000 * 16000)  # the samples in all, in a FLAC file's first block
    path.write_bytes(content)
    source = AudioSource(path, MONO)
    assert source.length == 36000 * 16000
    with pytest.raises(FileError, match="cannot be read beyond|is truncated"):
        source.read()


# ---- writing --------------------------------------------------------------------------------------------------------


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk does to a file, without a disk to fill."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_a_file_is_whole_or_not_there_wherever_the_disk_ends(tmp_path: Path, suffix: str) -> None:
    path, samples = tmp_path / f"v.{suffix}", speech()[8000:18000]
    write(path, MONO, [samples])
    length, whole = path.stat().st_size, soundfile.read(path)[0]
    path.unlink()
    refused = 0
    for size in [*range(0, length, 531), *range(length - 9, length + 9)]:
        try:
            with files_no_larger_than(size):
                write(path, MONO, np.array_split(samples, 3))
        except FileError as error:
            refused += 1
            assert f"v.{suffix} cannot be written" in str(error)  # noqa: PT017
            assert names(tmp_path) == []
        else:
            assert_array_equal(soundfile.read(path)[0], whole)
            path.unlink()
    assert refused > length // 531


@pytest.mark.parametrize("suffix", ["flac", "wav"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_not_written(tmp_path: Path, suffix: str, bad: float) -> None:
    block = np.zeros((800, 2))
    block[5, 1] = bad
    with pytest.raises(SignalError, match=rf"v\.{suffix} .* not finite from sample 805 \(0.050 s\)"):
        write(tmp_path / f"v.{suffix}", Audio(16000, 2), [np.zeros((800, 2)), block])
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_a_file_of_no_samples_is_not_written(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileError, match="would have no samples"):
        write(tmp_path / f"v.{suffix}", MONO, [np.zeros(0)])
    assert names(tmp_path) == []


UNWRITABLE: dict[str, tuple[str, Audio, str]] = {
    "a folder of that name": ("folder.flac", MONO, "folder.flac is a folder"),
    "no folder": ("nowhere/v.flac", MONO, "v.flac cannot be written: No such file or directory"),
    "a name of 300 characters": ("a" * 300 + ".flac", MONO, "cannot be written: File name too long"),
    "a format there is not": ("v.mp3", MONO, r"v.mp3: only .flac and .wav are written"),
    "a rate beyond files": ("v.wav", Audio(3_000_000_000), "a whole number of samples per second below 2.*3000000000 Hz"),
    "a rate that is no integer": ("v.wav", Audio("44100/160"), "a whole number of samples per second below 2.*275.625 Hz"),
    "a rate beyond FLAC": ("v.flac", Audio(700_000), r"v.flac cannot be written: .*can a .flac file not hold Audio\(700000 Hz\)"),
    "channels beyond FLAC": ("v.flac", Audio(16000, 9), r"can a .flac file not hold Audio\(16000 Hz, 9 channels\)"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNWRITABLE)
def test_what_cannot_be_written_says_why_before_anything_is(tmp_path: Path, what: str) -> None:
    (tmp_path / "folder.flac").mkdir()
    name, stream, message = UNWRITABLE[what]
    with pytest.raises(FileError, match=message):
        AudioSink(tmp_path / name, stream)
    assert names(tmp_path) == ["folder.flac"]


def test_the_longest_name_there_is_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / ("a" * 250 + ".flac"), MONO, [speech()[:1600]])  # 255 bytes is the most a file system takes
    assert names(tmp_path) == ["a" * 250 + ".flac"]


def test_a_folder_that_disappears_is_a_file_error(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()

    def blocks() -> Iterator[Array]:
        yield speech()[:1600]
        shutil.rmtree(folder)

    with pytest.raises(FileError, match="v.wav cannot be written: No such file"):
        write(folder / "v.wav", MONO, blocks())
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_file_leaves_what_was_there_before(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "v.wav").write_bytes(b"before")

    def blocks() -> Iterator[Array]:
        yield speech()[:1600]
        raise error

    with pytest.raises(error):
        write(tmp_path / "v.wav", MONO, blocks())
    assert names(tmp_path) == ["v.wav"]
    assert (tmp_path / "v.wav").read_bytes() == b"before"


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write(tmp_path / "v.wav", MONO, [speech()[:1600]])
    assert (tmp_path / "v.wav").stat().st_mode == (tmp_path / "other").stat().st_mode
