"""Formats in which files are written: limits are checked before an encoder is opened; 16-bit samples are dithered."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array, Audio
from dspgraph.errors import FileError, RequestError
from dspgraph.io.audio import AudioSink, AudioSource
from dspgraph.io.formats import FORMAT_NAMES, audio_format, round_to_16_bits
from dspgraph.node import generator
from helpers.speech import speech


def write(path: Path, samples: Array, subtype: str = "", rate: int = 16000) -> AudioSink:
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with AudioSink(path, Audio(rate, channels), audio_format(path.suffix, subtype), generator(7)) as sink:
        sink.write(samples)
    return sink


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_every_format_is_written_as_named(tmp_path: Path, name: str) -> None:
    suffix, _, subtype = name.partition(":")
    write(tmp_path / f"v.{suffix}", speech()[8000:12000], subtype)
    info = soundfile.info(tmp_path / f"v.{suffix}")
    assert (info.format, info.subtype) == (
        suffix.upper(),
        subtype or {"flac": "PCM_24", "wav": "FLOAT", "ogg": "VORBIS"}[suffix],
    )
    assert info.frames == 4000


@pytest.mark.parametrize(
    ("suffix", "subtype", "message"),
    [
        (".mp3", "", r"the formats that can be written are .flac, .wav, .ogg; found '.mp3'"),
        ("", "", r"the formats that can be written are .flac, .wav, .ogg; found ''"),
        (".flac", "FLOAT", "flac files can be written as flac:PCM_24, flac:PCM_16; found 'flac:FLOAT'"),
        (".wav", "pcm_16", "wav files can be written as wav:FLOAT, wav:PCM_24, wav:PCM_16; found 'wav:pcm_16'"),
        (".ogg", "OPUS", "ogg files can be written as ogg:VORBIS; found 'ogg:OPUS'"),
    ],
)
def test_any_other_format_is_refused(suffix: str, subtype: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        audio_format(suffix, subtype)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_16_bits_are_the_samples_to_two_steps_and_24_to_one(tmp_path: Path, suffix: str) -> None:
    samples = speech()[:30000]
    for subtype, steps in (
        ("PCM_16", 1.5 * 2**-15),
        ("PCM_24", 2**-23),
    ):  # dither 1 and rounding 1/2; a scale of 2**23 - 1
        path = tmp_path / f"v.{suffix}"
        write(path, samples, subtype)
        assert_allclose(AudioSource(path, Audio(16000)).read(), samples, atol=steps)


def test_the_error_of_dithered_samples_does_not_depend_on_the_signal() -> None:
    """At every level, the error has the mean 0 and the power 1/4 of a squared step.

    With 100,000 samples the standard errors are 0.0016 steps, and at most 0.0014 squared steps.
    """
    for level in (0.0, 0.25, 0.5, 0.75, 1000.3):
        x = np.full(100_000, level / 2**15)
        error = round_to_16_bits(x, generator(1)) - level
        assert abs(error.mean()) < 0.008
        assert abs((error**2).mean() - 0.25) < 0.005


def test_dither_does_not_depend_on_how_a_signal_is_cut() -> None:
    x, noise = speech()[:30000].reshape(-1, 2), generator(3)
    whole = round_to_16_bits(x, generator(3))
    assert_array_equal(np.concatenate([round_to_16_bits(part, noise) for part in np.array_split(x, 11)]), whole)


def test_samples_beyond_full_scale_are_clipped_and_counted(tmp_path: Path) -> None:
    samples = np.array([0.0, 1.5, -2.0, 0.5] * 100)
    sink = write(tmp_path / "v.wav", samples, "PCM_16")
    assert sink.clipped == 200
    found = soundfile.read(tmp_path / "v.wav", dtype="int16")[0]
    assert (found.max(), found.min()) == (2**15 - 1, -(2**15))


LIMITS = {
    "Vorbis rate": (".ogg", Audio(200_001), "ogg:VORBIS holds up to 200000 Hz and 255 channels"),
    "Vorbis channels": (".ogg", Audio(16000, 256), "ogg:VORBIS holds up to 200000 Hz and 255 channels"),
    "FLAC rate": (".flac", Audio(655_351), "flac:PCM_24 holds up to 655350 Hz and 8 channels"),
    "FLAC rate that is no multiple of 10": (".flac", Audio(65_536), "above 65535 Hz, flac holds multiples of 10 Hz only"),
    "FLAC channels": (".flac", Audio(16000, 9), "flac:PCM_24 holds up to 655350 Hz and 8 channels"),
    "WAV channels": (".wav", Audio(16000, 1025), "wav:FLOAT holds up to 2147483647 Hz and 1024 channels"),
}  # fmt: skip


@pytest.mark.parametrize("what", LIMITS)
def test_a_stream_beyond_the_limits_of_an_encoder_is_refused_before_it_is_opened(tmp_path: Path, what: str) -> None:
    suffix, stream, message = LIMITS[what]
    with pytest.raises(FileError, match=f"v{suffix} cannot be written: {message}, the output is Audio.*wav"):
        AudioSink(tmp_path / f"v{suffix}", stream)
    assert list(tmp_path.iterdir()) == []


AT_THE_LIMIT = {
    "Vorbis rate": (".ogg", 200_000, 1), "Vorbis rates": (".ogg", 192_000, 2), "Vorbis channels": (".ogg", 16000, 255),
    "Vorbis low": (".ogg", 1, 1), "Vorbis 7 kHz": (".ogg", 7000, 2), "Vorbis 96": (".ogg", 96000, 6),
    "FLAC rate": (".flac", 655_350, 1), "FLAC channels": (".flac", 16000, 8), "FLAC low": (".flac", 1, 1),
    "WAV channels": (".wav", 16000, 1024), "WAV rate": (".wav", 2**31 - 1, 1),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("what", AT_THE_LIMIT)
def test_the_largest_stream_of_a_format_is_written(tmp_path: Path, what: str) -> None:
    suffix, rate, channels = AT_THE_LIMIT[what]
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (20_000, channels))  # more than one call of the encoder
    write(tmp_path / f"v{suffix}", samples[:, 0] if channels == 1 else samples, rate=rate)
    info = soundfile.info(tmp_path / f"v{suffix}")
    assert (info.samplerate, info.channels, info.frames) == (rate, channels, 20_000)


def test_a_wav_of_more_than_4_gib_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = audio_format(".wav", "PCM_16")
    form.check_size(Path("v.wav"), (2**32 - 2**16) // 2)
    with pytest.raises(FileError, match="the header of a .wav file counts up to 4 GiB: write flac"):
        form.check_size(Path("v.wav"), (2**32 - 2**16) // 2 + 1)
    audio_format(".flac").check_size(Path("v.flac"), 2**40)
