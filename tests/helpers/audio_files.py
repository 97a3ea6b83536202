"""Audio files of many formats, made by libsndfile and by ffmpeg, and the samples that ffmpeg decodes from them."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dspgraph import Array
from helpers.speech import speech

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None and os.environ.get("CI") != "true", reason="ffmpeg is not installed"
)

BY_LIBSNDFILE = {
    **{f"wav {one}": ("WAV", one) for one in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW",
                                            "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32")},
    "wavex": ("WAVEX", "PCM_24"), "rf64": ("RF64", "PCM_16"), "w64": ("W64", "PCM_16"), "flac 8": ("FLAC", "PCM_S8"),
    "flac 16": ("FLAC", "PCM_16"), "flac 24": ("FLAC", "PCM_24"), "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"), "aiff": ("AIFF", "PCM_16"), "aiff 8": ("AIFF", "PCM_S8"), "aifc": ("AIFF", "FLOAT"),
    "aifc ima": ("AIFF", "IMA_ADPCM"), "aifc dwvw": ("AIFF", "DWVW_16"), "caf": ("CAF", "PCM_16"), "caf alac": ("CAF", "ALAC_16"), "au": ("AU", "PCM_16"),
    "au g723": ("AU", "G723_24"), "sphere": ("NIST", "PCM_16"), "sphere ulaw": ("NIST", "ULAW"), "iff": ("SVX", "PCM_16"),
    "ircam": ("IRCAM", "PCM_16"), "pvf": ("PVF", "PCM_16"), "htk": ("HTK", "PCM_16"),
}  # fmt: skip
"""Name of a kind of file -> its format and subtype, with which libsndfile writes it."""

MONO_ONLY = {"wav GSM610", "wav G721_32", "aifc ima", "aifc dwvw", "au g723", "htk", "caf alac", "iff"}

BY_FFMPEG = {
    "mp3 cbr": ("mp3", "-b:a 64k"), "mp3 vbr": ("mp3", "-q:a 4"), "mp3 vbr 9": ("mp3", "-q:a 9"),
    "mp3 vbr without xing": ("mp3", "-q:a 4 -write_xing 0"), "mp3 cbr without xing": ("mp3", "-b:a 64k -write_xing 0"),
    "mp2": ("mp2", "-b:a 96k"), "vorbis": ("ogg", "-c:a libvorbis"),
    "opus": ("opus", "-c:a libopus"), "w64": ("w64", ""), "w64 float": ("w64", "-c:a pcm_f32le"), "rf64": ("wav", "-rf64 always"),
    "wav ima": ("wav", "-c:a adpcm_ima_wav"), "wav ms": ("wav", "-c:a adpcm_ms"),
}  # fmt: skip
"""Name of a kind of file -> its suffix, and the options with which ffmpeg writes it."""

PIPED = {
    "mp3": "mp3",
    "flac": "flac",
    "wav": "wav",
    "aiff": "aiff",
    "ogg": "ogg",
    "au": "au",
    "w64": "w64",
    "caf": "caf",
}


def by_libsndfile(path: Path, kind: str, samples: Array, rate: int = 16000) -> Path:
    form, subtype = BY_LIBSNDFILE[kind]
    soundfile.write(path, samples, rate, subtype, format=form)
    return path


def by_ffmpeg(folder: Path, kind: str, samples: Array, rate: int) -> Path:
    suffix, options = BY_FFMPEG[kind]
    path = folder / f"{kind.replace(' ', '_')}_{rate}.{suffix}"
    run_ffmpeg("-i", _source(folder, samples, rate), *options.split(), path)
    return path


def piped_by_ffmpeg(folder: Path, form: str, samples: Array, rate: int, *options: str) -> Path:
    """Write a file whose header states no length, because ffmpeg writes it to a pipe; return its path, piped.FORM.

    folder: gets this file and source.wav, its input; form: a key of PIPED, such as "wav"; samples: [n] or
    [n, channels], rounded to 16 bits; rate: Hz; options: arguments of ffmpeg for the output.
    """
    path = folder / f"piped.{form}"
    path.write_bytes(run_ffmpeg("-i", _source(folder, samples, rate), *options, "-f", PIPED[form], "-"))
    return path


def run_ffmpeg(*arguments: object) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def decoded_by_ffmpeg(path: Path, channels: int = 1) -> Array:
    """Return the samples that ffmpeg decodes from a file, [n] for one channel or [n, channels] for several.

    They are float64, rounded to float32, with full scale +-1, at the rate of the file. channels: the number of channels
    of the file; nothing is converted.
    """
    found = np.frombuffer(run_ffmpeg("-i", path, "-f", "f32le", "-"), "<f4").astype("f8")
    return found if channels == 1 else found.reshape(-1, channels)


def stereo(n: int) -> Array:
    """Return two channels [n, 2]: the first n samples of the recording, and its last n samples in reverse."""
    return np.stack([speech()[:n], speech()[::-1][:n]], axis=1)


def _source(folder: Path, samples: Array, rate: int) -> Path:
    path = folder / "source.wav"
    soundfile.write(path, samples, rate, "PCM_16")
    return path
