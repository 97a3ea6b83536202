"""The decoder: messages about files that are not read, and damage that a library reports."""

from pathlib import Path

import pytest
import soundfile

from dspgraph import Audio
from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource
from helpers.audio_files import BY_LIBSNDFILE, by_libsndfile, needs_ffmpeg, run_ffmpeg
from helpers.speech import speech

MONO = Audio(16000)

FOREIGN = {
    "m4a": "MP4", "aac": "AAC", "webm": "WebM or Matroska", "mka": "WebM or Matroska", "wma": "Windows Media",
    "wv": "WavPack", "tta": "TTA", "ac3": "Dolby Digital", "mp4": "MP4", "mov": "MP4", "avi": "AVI", "flv": "Flash video",
}  # fmt: skip


@needs_ffmpeg
@pytest.mark.parametrize("suffix", FOREIGN)
def test_a_format_that_is_not_read_is_named_with_the_command_that_converts_it(tmp_path: Path, suffix: str) -> None:
    by_libsndfile(tmp_path / "v.wav", "wav PCM_16", speech()[:16000])
    run_ffmpeg(
        "-i", tmp_path / "v.wav", "-ar", "44100" if suffix in ("flv", "mp4") else "48000", tmp_path / f"v.{suffix}"
    )
    with pytest.raises(
        FileError,
        match=f"is not an audio file that can be read: {FOREIGN[suffix]}.*: convert it: ffmpeg -i v.{suffix} out.wav",
    ):
        AudioSource(tmp_path / f"v.{suffix}", MONO)


@pytest.mark.parametrize(("head", "name"), [
    (b"\0\0\0\x20ftypM4A ", "MP4"), (b"\xff\xf1\x50\x80", "AAC"), (b"\x1a\x45\xdf\xa3", "WebM"), (b"#!AMR\n", "AMR"),
    (b"MAC \x96\x0f", "Monkey's Audio"), (b"DSD \x1c", "DSD"),
])  # fmt: skip
def test_a_format_is_known_by_its_first_bytes(tmp_path: Path, head: bytes, name: str) -> None:
    (tmp_path / "my file.wav").write_bytes(head + bytes(1000))
    with pytest.raises(FileError, match=f"{name}.* is not supported: convert it: ffmpeg -i 'my file.wav' out.wav"):
        AudioSource(tmp_path / "my file.wav", MONO)


@pytest.mark.parametrize(
    "content", [b"hello\n" * 100, bytes(1000), b"\xff\xfb\x90\x64" + bytes(100), b"ID3\4\0\0\0\0\0\0"]
)
@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_what_is_no_audio_is_refused_in_one_sentence_and_nothing_is_printed(
    tmp_path: Path, content: bytes, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"v.{suffix}").write_bytes(content)
    with pytest.raises(
        FileError, match=f"v.{suffix} (is not an audio file|is damaged|is truncated|has MPEG frames|has no samples)"
    ) as error:
        AudioSource(tmp_path / f"v.{suffix}", MONO)
    assert "File does not exist" not in str(error.value)
    assert capfd.readouterr() == ("", "")


UNCHECKED = {
    "sds": ("SDS", "PCM_16"), "voc": ("VOC", "PCM_16"), "paf": ("PAF", "PCM_24"), "xi": ("XI", "DPCM_16"),
    "mat": ("MAT5", "PCM_16"), "avr": ("AVR", "PCM_16"), "wve": ("WVE", "ALAW"), "snd": ("MPC2K", "PCM_16"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", UNCHECKED)
def test_a_format_whose_length_is_not_checked_is_not_read(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Formats are refused in which libsndfile reads a truncated file, or bytes after the samples, without an error."""
    form, subtype = UNCHECKED[suffix]
    soundfile.write(tmp_path / f"v.{suffix}", speech()[:2000], 8000, subtype, format=form)
    with pytest.raises(FileError, match=rf"{form[:3]}.* is not supported: convert it: ffmpeg -i v.{suffix} out.wav"):
        AudioSource(tmp_path / f"v.{suffix}", MONO)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [kind for kind in BY_LIBSNDFILE if kind not in ("ircam", "pvf")])
def test_a_file_that_is_cut_short_is_never_read(tmp_path: Path, kind: str) -> None:
    """A file without its last third is refused, in all formats whose header has a length: not in ircam and pvf."""
    path = by_libsndfile(tmp_path / "v", kind, speech()[8000:24000])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(FileError):
        AudioSource(path, MONO).read()


def test_a_damaged_wav_that_is_taken_for_an_mp3_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = by_libsndfile(tmp_path / "v.wav", "wav PCM_16", speech()[:2000]).rename(tmp_path / "v.mp3")
    content = bytearray(path.read_bytes())
    for k in (8, 9, 10, 11):  # RIFF, but not WAVE: libsndfile then goes by the suffix
        content[k] = 0
    path.write_bytes(content)
    with pytest.raises(FileError, match="v.mp3 (is not an audio file|has MPEG frames|is damaged)"):
        AudioSource(path, MONO)
    assert capfd.readouterr() == ("", "")
