"""The formats in which audio files are written: their limits, and the dither of 16-bit samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dspgraph.errors import FileError, RequestError
from dspgraph.streams import Array, Audio, hertz


@dataclass(frozen=True)
class AudioFormat:
    """A format in which audio files are written, and the largest streams that its encoder accepts.

    The limits are checked before an encoder is opened. Beyond its limits, libvorbis would end the process, and other
    encoders would not say what is wrong.
    """

    suffix: str  # suffix of the file, with the dot
    subtype: str  # type of the samples, as libsndfile names it
    rate: int  # the largest sample rate, Hz
    channels: int  # the largest number of channels
    bits: int = 0  # bits of a sample; 0: samples have no fixed number of bits
    clips: bool = True  # whether samples above 1 or below -1 are clipped
    size: int = 2**63  # the largest number of bytes of samples

    @property
    def name(self) -> str:
        """The value of `--format` that selects this format, for instance "wav:PCM_16"."""
        return f"{self.suffix[1:]}:{self.subtype}"

    @property
    def dither(self) -> str:
        """The noise that is added to the samples before they are rounded: "TPDF" or "none"."""
        return "TPDF" if self.bits == 16 else "none"

    def check(self, path: Path, stream: Audio) -> None:
        """Raise FileError if a file of this format cannot have the rate or the channels of a stream.

        path: the file, for the message.
        """
        if not has_file_rate(stream):
            raise FileError(
                f"{path}: a file has a whole number of samples per second below 2**31, not {hertz(stream.rate)}"
            )
        if self.suffix == ".flac" and 65535 < stream.rate <= self.rate and stream.rate % 10:
            raise FileError(
                f"{path} cannot be written: above 65535 Hz, flac holds multiples of 10 Hz only, the output is "
                f"{stream}: write another format, for instance wav"
            )
        if stream.rate > self.rate or stream.channels > self.channels:
            raise FileError(
                f"{path} cannot be written: {self.name} holds up to {self.rate} Hz and {self.channels} channels, the "
                f"output is {stream}: write another format, for instance wav"
            )

    def check_size(self, path: Path, samples: int) -> None:
        """Raise FileError if a file of this format cannot contain `samples` samples, counted over all channels."""
        if samples * self.bits // 8 > self.size:
            raise FileError(
                f"{path} cannot be written: the header of a {self.suffix} file counts up to 4 GiB: write flac"
            )


_GIB_4 = 2**32 - 2**16  # the most bytes that the header of a WAV file can count, minus room for other chunks

_FORMATS = (
    AudioFormat(".flac", "PCM_24", 655350, 8, 24),  # RFC 9639, sections 9.1.2 and 9.1.3; libsndfile has the same limits
    AudioFormat(".flac", "PCM_16", 655350, 8, 16),
    AudioFormat(".wav", "FLOAT", 2**31 - 1, 1024, 32, clips=False, size=_GIB_4),  # 1024: the limit of libsndfile
    AudioFormat(".wav", "PCM_24", 2**31 - 1, 1024, 24, size=_GIB_4),
    AudioFormat(".wav", "PCM_16", 2**31 - 1, 1024, 16, size=_GIB_4),
    AudioFormat(".ogg", "VORBIS", 200_000, 255),  # the limits of libvorbis 1.3.7
)
"""All formats. The first format with a suffix is the default for this suffix."""

SUFFIXES = tuple(dict.fromkeys(one.suffix for one in _FORMATS))
"""The suffixes of audio files that are written."""

FORMAT_NAMES = (*(suffix[1:] for suffix in SUFFIXES), *(one.name for one in _FORMATS))
"""Values of `--format`: a suffix alone, for its default subtype, or a suffix with a subtype."""


def audio_format(suffix: str, subtype: str = "") -> AudioFormat:
    """Return the format with a suffix, such as ".wav", and a subtype; with subtype "", the default of the suffix.

    Raises RequestError if there is no such format.
    """
    for one in _FORMATS:
        if one.suffix == suffix and subtype in ("", one.subtype):
            return one
    if suffix in SUFFIXES:
        known = ", ".join(one.name for one in _FORMATS if one.suffix == suffix)
        raise RequestError(f"{suffix[1:]} files can be written as {known}; found '{suffix[1:]}:{subtype}'")
    raise RequestError(f"the formats that can be written are {', '.join(SUFFIXES)}; found '{suffix}'")


def has_file_rate(stream: Audio) -> bool:
    """Return whether an audio file can have the rate of a stream: a whole number of Hz below 2**31."""
    return stream.rate.denominator == 1 and stream.rate < 2**31


def round_to_16_bits(samples: Array, noise: np.random.Generator) -> Array:
    """Return samples as 16-bit integers, with TPDF dither.

        q[n] = clip(round(2**15 * x[n] + u[n] - v[n]), -2**15, 2**15 - 1)

    u and v are independent and uniform in [0, 1). For any signal, the error q[n] - 2**15 * x[n] then has the mean 0 and
    the power 1/4, in steps of the integers, unless samples are clipped. samples: the signal x, [n] or [n, channels],
    full scale +-1. noise: the generator; it is asked for two numbers for each sample, in order, so that the result does
    not depend on the cut.

    Source: S. P. Lipshitz, R. A. Wannamaker, J. Vanderkooy, "Quantization and dither: a theoretical survey", Journal of
    the Audio Engineering Society 40 (5), 1992, pages 355-375.
    """
    pairs = noise.random((*samples.shape, 2))
    dithered = np.rint(np.asarray(samples, "f8") * 2**15 + pairs[..., 0] - pairs[..., 1])
    return np.clip(dithered, -(2**15), 2**15 - 1).astype("i2")
