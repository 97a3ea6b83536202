"""Audio files: they are read completely, and written completely or not at all."""

import os
import re
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio
from dspgraph.errors import FileError, SignalError
from dspgraph.io.audio import AudioSink, AudioSource
from helpers.speech import speech
from helpers.surroundings import files_no_larger_than

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
    """A file that lacks a byte or more at its end is refused.

    An MP3 header states frames, not bytes, so an MP3 file lacks 1000 bytes or more. left: the share of the bytes that
    are left.
    """
    content = written(tmp_path / "whole", kind, speech()[:32000]).read_bytes()
    lost = 1000 if kind == "mp3" else 1
    (tmp_path / "cut").write_bytes(content[: min(int(len(content) * left), len(content) - lost)])
    with pytest.raises(
        FileError, match="cut (is truncated|is damaged or truncated|cannot be read|is not an audio file)"
    ):
        AudioSource(tmp_path / "cut", MONO).read()


def test_a_truncated_file_of_a_format_that_has_no_length_is_read_as_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.pvf", speech()[:1600], 16000, "PCM_16", format="PVF")
    (tmp_path / "cut.pvf").write_bytes((tmp_path / "v.pvf").read_bytes()[:-1600])
    assert len(AudioSource(tmp_path / "cut.pvf", MONO).read()) == 800


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
    "a folder": (lambda d: d, "is a folder, not a file"),
    "a name of 300 characters": (lambda d: d / ("a" * 300), "aaa cannot be read: File name too long"),
    "a link to itself": (linked, "me cannot be read: Too many levels"),
    "a pipe": (piped, "pipe is no regular file: save its content in a regular file"),
    "headerless": (headerless, "a.raw has no header .* make it a WAV"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_says_why(tmp_path: Path, what: str) -> None:
    make, message = UNREADABLE[what]
    with pytest.raises(FileError, match=message):
        AudioSource(make(tmp_path), MONO)


def test_a_file_whose_name_is_not_utf8_is_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"v\xff.wav")
    write(path, MONO, [speech()[:1600]])
    assert_array_equal(AudioSource(path, MONO).read(), speech()[:1600].astype("f4"))


# ---- conversion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 11025, 15999, 16001, 22050, 44100, 48000, 192000])
def test_a_converted_file_has_its_seconds_in_samples(tmp_path: Path, rate: int) -> None:
    """The number of samples is ceil(16000 * the seconds of the file), as in every stream at 16 kHz."""
    for n in (1, 2, 3, 10, 100, 101, rate - 1, rate, rate + 1):
        soundfile.write(tmp_path / "v.wav", np.full(n, 0.5), rate)
        assert len(AudioSource(tmp_path / "v.wav", MONO).read()) == MONO.count(Fraction(n, rate)), n


def test_the_end_of_a_converted_file_is_sound_and_not_padding(tmp_path: Path) -> None:
    """Sample k at 16 kHz is sample 3 * k of the file at 48 kHz, within 0.003: the last 201 samples of a low tone."""
    n = 3 * 800 + 1
    time = np.arange(n) / 48000
    tone = np.sin(2 * np.pi * 440 * time) * np.minimum(1, time[-1] - time) ** 2 * 400  # fades out: no step at the end
    soundfile.write(tmp_path / "v.wav", tone, 48000, "DOUBLE")
    found = AudioSource(tmp_path / "v.wav", MONO).read()
    assert len(found) == 801
    assert_allclose(found[600:], tone[::3][600:], atol=0.003)  # the fade's corner rings by that much; the tone is 0.06


def test_a_converted_file_is_the_same_in_blocks_of_any_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "v.wav", speech()[:32000], 44100, "DOUBLE")
    whole = AudioSource(tmp_path / "v.wav", MONO).read()
    monkeypatch.setattr("dspgraph.io.audio._BLOCK", 1000)
    source = AudioSource(tmp_path / "v.wav", MONO)
    assert len(list(source.blocks())) >= 20  # of about 11600 samples
    assert_array_equal(source.read(), whole)


@pytest.mark.parametrize(("rate", "channels"), [(48000, 1000), (2**31 - 1, 2)])
def test_the_rate_and_channels_of_a_header_cost_no_memory(tmp_path: Path, rate: int, channels: int) -> None:
    """Reading takes less than 32 MiB, four times the 8 MiB of the largest block, whatever the header says.

    By the header, a second of the file takes 366 MiB or 32 GiB in memory; all samples of the file take 64 MiB.
    """
    n = 2**23 // channels
    soundfile.write(tmp_path / "v.wav", np.zeros((n, channels), "i2"), rate, "PCM_U8")
    source = AudioSource(tmp_path / "v.wav", Audio(rate))
    tracemalloc.start()
    try:
        assert sum(map(len, source.blocks())) == n
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**23  # room for the copies that are made of a block
    finally:
        tracemalloc.stop()


def test_a_file_of_one_hertz_is_not_read_sample_by_sample(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.wav", np.full(10_000, 0.5), 1)
    blocks = list(AudioSource(tmp_path / "v.wav", Audio(1)).blocks())
    assert list(map(len, blocks)) == [4096, 4096, 1808]


def test_ten_hours_in_a_header_are_not_ten_hours_in_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "v.flac", "flac", speech()[:1600])
    content = bytearray(path.read_bytes())
    content[22:26] = struct.pack(">I", 36000 * 16000)  # the samples in all, in a FLAC file's first block
    path.write_bytes(content)
    source = AudioSource(path, MONO)
    assert source.length == 36000 * 16000
    with pytest.raises(FileError, match="is damaged or truncated|is truncated"):
        source.read()


# ---- parts of files -------------------------------------------------------------------------------------------------


def part(path: Path, stream: Audio, start: str, duration: str | None = None, channel: int | None = None) -> AudioSource:
    return AudioSource(path, stream, Fraction(start), None if duration is None else Fraction(duration), channel)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "opus", "mp3", "caf"])
@pytest.mark.parametrize(
    ("start", "duration"), [("0", "1"), ("0.5", None), ("1/3", "0.77"), ("1.99", "0.01"), ("0", None)]
)
def test_a_part_is_that_slice_of_the_whole(tmp_path: Path, kind: str, start: str, duration: str | None) -> None:
    path = written(tmp_path / "v", kind, speech()[:32000])
    whole = AudioSource(path, MONO).read()
    first = round(Fraction(start) * 16000)
    end = None if duration is None else round((Fraction(start) + Fraction(duration)) * 16000)
    found = part(path, MONO, start, duration).read()
    assert_array_equal(found, whole[first:end])


def test_parts_that_meet_neither_share_a_sample_nor_lose_one(tmp_path: Path) -> None:
    """Parts of a third of a second, joined, are the whole file.

    A third of a second is no whole number of samples: the parts have 5333 or 5334 samples.
    """
    path = written(tmp_path / "v.wav", "wav", speech()[:32000])
    ends = [Fraction(k, 3) for k in range(7)]
    parts = [AudioSource(path, MONO, begin, end - begin).read() for begin, end in pairwise(ends)]
    assert_array_equal(np.concatenate(parts), AudioSource(path, MONO).read())


def test_a_converted_part_is_the_slice_converted(tmp_path: Path) -> None:
    time = np.arange(44100) / 44100
    stereo = np.stack([speech()[:44100], np.sin(2 * np.pi * 440 * time)], axis=1)
    soundfile.write(tmp_path / "v.wav", stereo, 44100, "DOUBLE")
    soundfile.write(tmp_path / "cut.wav", stereo[11025:33075], 44100, "DOUBLE")
    soundfile.write(tmp_path / "one.wav", stereo[11025:33075, 1], 44100, "DOUBLE")
    for name, channel in (("cut.wav", None), ("one.wav", 1)):
        found = part(tmp_path / "v.wav", MONO, "0.25", "0.5", channel).read()
        assert len(found) == 8000
        assert_array_equal(found, AudioSource(tmp_path / name, MONO).read())


def test_a_channel_is_that_channel_alone_and_it_is_said(tmp_path: Path) -> None:
    three = np.stack([speech()[k * 1000 :][:8000] for k in range(3)], axis=1)
    soundfile.write(tmp_path / "v.wav", three, 16000, "DOUBLE")
    for channel in range(3):
        source = part(tmp_path / "v.wav", MONO, "0.1", "0.2", channel)
        assert_array_equal(source.read(), three[1600:4800, channel])
        assert source.conversions == [f"took channel {channel} of 3"]
    two = part(tmp_path / "v.wav", Audio(16000, 2), "0", None, 2)
    assert_array_equal(two.read(), np.repeat(three[:, 2:], 2, axis=1))
    assert two.conversions == ["took channel 2 of 3", "copied 1 channel to 2"]
    mono = written(tmp_path / "mono.wav", "wav", speech()[:1600])
    assert part(mono, MONO, "0", None, 0).conversions == []


BEYOND: dict[str, tuple[str, str | None, int | None, str]] = {
    "a start at the end": ("0.1", None, None, "has 0.1 s; the part from 0.1 s to its end has no samples"),
    "a start beyond it": ("7", "1", None, "has 0.1 s; the part from 7 s to 8 s has no samples"),
    "a start beyond it, to the end": ("7", None, None, "has 0.1 s; the part from 7 s to its end has no samples"),
    "an end beyond it": ("0.05", "0.0602", None, "has 0.1 s; the part from 0.05 s to 0.1102 s ends after the file"),
    "less than a sample": ("0.05", "1/40000", None, "has 0.1 s; the part from 0.05 s to 0.050025 s has no samples"),
    "a channel too many": ("0", None, 1, "has 1 channel; there is no channel 1, the first is 0"),
    "a start beyond counting": ("1e300", None, None, "has 0.1 s; the part from 1e\\+300 s to its end has no samples"),
}  # fmt: skip


@pytest.mark.parametrize("what", BEYOND)
def test_a_part_that_is_not_there_is_refused(tmp_path: Path, what: str) -> None:
    start, duration, channel, message = BEYOND[what]
    path = written(tmp_path / "v.wav", "wav", speech()[:1600])
    with pytest.raises(FileError, match=f"v.wav {message}"):
        part(path, MONO, start, duration, channel)


def test_a_nan_in_a_part_is_named_by_its_place_in_the_file_and_outside_of_it_harms_nothing(tmp_path: Path) -> None:
    samples = np.zeros(16000)
    samples[8000] = np.nan
    soundfile.write(tmp_path / "v.wav", samples, 16000, "FLOAT")
    with pytest.raises(FileError, match=r"not a number, at 8000 \(0.500 s\)"):
        part(tmp_path / "v.wav", MONO, "0.4", "0.2").read()
    assert not part(tmp_path / "v.wav", MONO, "0.6", None).read().any()


# ---- headers that lie -----------------------------------------------------------------------------------------------


def riff(channels: int, rate: int, length: int, samples: bytes, bits: int = 16) -> bytes:
    """Return the bytes of a WAV file: a header with these fields, then `samples`.

    length: how many bytes of samples the header promises; bits: bits per sample.
    """
    align = channels * bits // 8 % 2**16
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * align % 2**32, align, bits)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", length)
    return b"RIFF" + struct.pack("<I", min(length + len(head), 2**32 - 1)) + head + samples


def flac_of_ten_hours(path: Path) -> bytes:
    content = bytearray(written(path, "flac", speech()[:1600]).read_bytes())
    content[22:26] = struct.pack(">I", 36000 * 16000)
    return bytes(content)


LIARS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "1000 channels": (lambda path: riff(1000, 48000, 2**30, b"\1" * 9000), "is truncated: its header promises"),
    "1000 channels of no known length": (lambda path: riff(1000, 48000, 2**32 - 1, b"\1" * 9000), ""),
    "1024 channels at a high rate": (lambda path: riff(1024, 192000, 2**32 - 1, b"\1" * 9000), ""),
    "65535 channels": (lambda path: riff(65535, 48000, 2**30, b"\1" * 9000), "is not an audio file|truncated"),
    "ten hours": (lambda path: riff(2, 16000, 36000 * 64000, b"\1" * 9000), "is truncated: its header promises 2304000000 bytes"),
    "ten hours of FLAC": (flac_of_ten_hours, "is damaged or truncated|is truncated"),
}  # fmt: skip


@pytest.mark.thorough
def test_headers_that_lie_cost_no_memory(tmp_path: Path) -> None:
    """Every file with a wrong header is read to its end, or refused with a reason, by a process of less than 200 MB.

    Python, numpy and libsndfile alone take 60 MB; a block of 8 MiB and all its copies take less than 100 MB.
    """
    for number, (make, _) in enumerate(LIARS.values()):
        (tmp_path / f"{number}.wav").write_bytes(make(tmp_path / "first"))
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\nfrom pathlib import Path\n"
        "from dspgraph import Audio, Graph, render\nfrom helpers.toys import ToyScale\n"
        "graph = Graph({'a': ToyScale()}, {'a.x': 'x'}, {'x': Audio(16000)}, {'y': 'a'})\n"
        f"rows = render(graph, sorted(Path({str(tmp_path)!r}).glob('*.wav')), {str(tmp_path / 'out')!r})\n"
        "peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]  # ru_maxrss counts the parent\n"
        "print(*(row.error for row in rows), peak[0].split()[1], sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *errors, kilobytes = done.stdout.splitlines()
    for error, (_, message) in zip(errors, LIARS.values(), strict=True):
        assert re.search(message, error) if message else not error
    assert int(kilobytes) < 200_000


# ---- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg"])
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


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_not_written(tmp_path: Path, suffix: str, bad: float) -> None:
    block = np.zeros((800, 2))
    block[5, 1] = bad
    with pytest.raises(SignalError, match=rf"v\.{suffix} .* not finite from sample 805 \(0.050 s\)"):
        write(tmp_path / f"v.{suffix}", Audio(16000, 2), [np.zeros((800, 2)), block])
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg"])
def test_a_file_of_no_samples_is_not_written(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileError, match="would have no samples"):
        write(tmp_path / f"v.{suffix}", MONO, [np.zeros(0)])
    assert names(tmp_path) == []


def pages(content: bytes) -> Iterator[bytes]:
    """Yield the bytes of each page of an Ogg file (RFC 3533, section 6)."""
    at = 0
    while at < len(content):
        sizes = content[at + 27 : at + 27 + content[at + 26]]
        end = at + 27 + len(sizes) + sum(sizes)
        yield content[at:end]
        at = end


def crc(page: bytes) -> int:
    """Return the check sum of an Ogg page, computed bit by bit as in RFC 3533: polynomial 0x04c11db7, start value 0.

    The check sum inside the page counts as 0.
    """
    found = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        found ^= byte << 24
        for _ in range(8):
            found = (found << 1 ^ (0x04C11DB7 if found >> 31 else 0)) & 0xFFFFFFFF
    return found


def test_an_ogg_file_has_the_sums_of_the_standard_and_one_number(tmp_path: Path) -> None:
    """Every page has the check sum of the standard and the serial number 0.

    The first page is marked as the first of the stream, and the last page as the last. The expected check sum is
    computed bit by bit; this computation is first compared with pages written by libogg.
    """
    written(tmp_path / "own.ogg", "ogg", speech()[:8000])
    for page in pages((tmp_path / "own.ogg").read_bytes()):
        assert crc(page) == int.from_bytes(page[22:26], "little")
    write(tmp_path / "v.ogg", MONO, [speech()[:40000]])
    found = list(pages((tmp_path / "v.ogg").read_bytes()))
    assert len(found) >= 3
    for page in found:
        assert crc(page) == int.from_bytes(page[22:26], "little")
        assert page[14:18] == bytes(4)
    assert found[0][5] & 2 and found[-1][5] & 4  # the first page of the stream, and the last


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("n", [1, 100, 16384, 16385, 40001])
def test_an_ogg_file_is_decoded_to_the_length_it_had_and_nearly_the_samples(
    tmp_path: Path, n: int, channels: int
) -> None:
    samples = np.stack([speech()[8000 + k :][:n] for k in range(channels)], axis=1).reshape(
        n, *[channels] * (channels > 1)
    )
    write(tmp_path / "v.ogg", Audio(16000, channels), [samples])
    found, rate = soundfile.read(tmp_path / "v.ogg")
    assert (rate, found.shape) == (16000, samples.shape)
    if n > 16000:  # Vorbis at its middle quality: the error of speech is 15 dB and more below it
        assert np.sum((found - samples) ** 2) < np.sum(samples**2) / 10**1.5
    assert AudioSource(tmp_path / "v.ogg", Audio(16000, channels)).read().shape == samples.shape


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg"])
def test_the_same_samples_give_the_same_bytes_in_every_run_and_at_every_cut(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = speech()[:50000]
    write(tmp_path / f"whole.{suffix}", MONO, [samples])
    monkeypatch.setattr("time.time", lambda: 2e9)
    cuts = [np.array_split(samples, 7), np.array_split(samples, 500), [samples[:16384], samples[16384:], samples[:0]]]
    for number, blocks in enumerate(cuts):
        write(tmp_path / f"{number}.{suffix}", MONO, blocks)
        assert (tmp_path / f"{number}.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\nimport ctypes, numpy as np\nfrom dspgraph import Audio\n"
        "from dspgraph.io.audio import AudioSink\nfrom helpers.speech import speech\nctypes.CDLL(None).srand(7)\n"
        f"with AudioSink({str(tmp_path / f'other.{suffix}')!r}, Audio(16000)) as sink: sink.write(speech()[:50000])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # by now the second is another one, and the seed
    assert (tmp_path / f"other.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()


UNWRITABLE: dict[str, tuple[str, Audio, str]] = {
    "a folder of that name": ("folder.flac", MONO, "folder.flac is a folder"),
    "no folder": ("nowhere/v.flac", MONO, "v.flac cannot be written: No such file or directory"),
    "a name of 300 characters": ("a" * 300 + ".flac", MONO, "cannot be written: File name too long"),
    "a rate beyond files": ("v.wav", Audio(3_000_000_000), "a whole number of samples per second below 2.*3000000000 Hz"),
    "a rate that is no integer": ("v.wav", Audio("44100/160"), "a whole number of samples per second below 2.*275.625 Hz"),
    "a rate beyond FLAC": ("v.flac", Audio(700_000), r"v.flac cannot be written: flac:PCM_24 holds up to 655350 Hz .*, the output is Audio\(700000 Hz\)"),
    "channels beyond FLAC": ("v.flac", Audio(16000, 9), r"holds .* 8 channels, the output is Audio\(16000 Hz, 9 channels\)"),
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


def test_an_end_that_was_rounded_is_the_end_of_the_file(tmp_path: Path) -> None:
    """A part that ends up to 10 ms after the end of the file is cut there, with a note.

    Manifests give times with two decimals.
    """
    path = written(tmp_path / "v.wav", "wav", speech()[:1600])
    source = AudioSource(path, Audio(16000), Fraction("0.05"), Fraction("0.06"))
    assert source.conversions == ["cut at the end of the file, 0.01 s before that of the part"]
    assert np.array_equal(source.read(), AudioSource(path, Audio(16000), Fraction("0.05")).read())


@pytest.mark.parametrize("rate", [1, 62])
def test_a_rate_that_no_audio_has_is_refused_before_a_filter_is_made_for_it(tmp_path: Path, rate: int) -> None:
    """Files below 62.5 Hz (16000 / 256) are not converted to 16000 Hz: a filter from 1 Hz would take a gigabyte."""
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(10), rate)
    with pytest.raises(FileError, match=rf"slow.wav has {rate} Hz, .* 16000 Hz: more than 256 times apart"):
        AudioSource(path, Audio(16000)).read()
