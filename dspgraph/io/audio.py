"""Audio files, read and written block by block. A file is converted to the rate and channels that a graph takes."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from dspgraph.errors import FileError, SignalError
from dspgraph.io.containers import check_not_truncated, make_reproducible
from dspgraph.io.names import missing
from dspgraph.io.resampling import resample_blocks
from dspgraph.io.sink import Sink
from dspgraph.streams import Array, Audio, first_bad_item, hertz, to_fraction

SUBTYPES = {".flac": "PCM_24", ".wav": "FLOAT", ".ogg": "VORBIS"}
"""The sample formats that are written, by suffix of the file: 24-bit FLAC, 32-bit float WAV, Ogg Vorbis."""

_SUFFIXES = {
    "AIFF": ".aif .aifc", "AU": ".snd", "IRCAM": ".sf", "MP3": ".mp1 .mp2 .mpa .mpga", "NIST": ".sph",
    "OGG": ".oga .opus", "SVX": ".8svx .16sv .iff", "WAV": ".wave .bwf",
}  # fmt: skip
"""Other suffixes of formats that libsndfile reads, by its name of the format. Every format also has its name as suffix.

`.bwf` is a broadcast wave file (EBU Tech 3285), `.sph` a SPHERE file of NIST.
"""

AUDIO_SUFFIXES = frozenset(
    suffix
    for name in soundfile.available_formats()
    if name != "RAW"  # has no header, so it is never read
    for suffix in (f".{name.lower()}", *_SUFFIXES.get(name, "").split())
)
"""The suffixes of audio files, in lower case. In a folder, files with other suffixes are not taken."""

ROUNDED = Fraction(1, 100)
"""The longest time in seconds by which a part may end after the end of its file: times in manifests are rounded."""

LARGEST_RATIO = 256
"""The largest ratio, in either direction, of the rate of a file to the rate that a graph takes.

Rates of audio are closer together than this: a larger ratio means that a header is wrong. It is refused before soxr
makes a filter for it, because the memory that soxr takes grows with the ratio.
"""

ENCODED = 2**14
"""The number of samples per channel in each call of an encoder, except the last call of a file.

The number is fixed, because the output of a lossy encoder depends on it.
"""

_BLOCK = 2**20
"""The largest size of a block, in numbers of 8 bytes: 8 MiB, also if a header has a huge rate or many channels."""


class AudioSource:
    """An audio file, or a part of one, as an `Audio` stream: `blocks()` reads it in blocks of up to a second.

    start, duration: the part of the file that is read, in seconds; the part may end up to 10 ms after the file.
    duration=None: up to the end of the file. channel: the number of the channel that is read, from 0; None: all
    channels. The attribute `conversions` lists in words what is done to the samples, for instance "resampled from
    44100 Hz to 16000 Hz".

    Raises FileError if the file is missing, is empty, is not audio, or is truncated (`check_not_truncated` lists the
    formats); if the part or the channel does not exist; if the number of channels cannot be converted. `blocks()` and
    `read()` raise FileError if a sample is NaN or infinite, and if the ratio of the rates is above LARGEST_RATIO.
    """

    def __init__(
        self,
        path: str | Path,
        stream: Audio,
        start: Fraction = Fraction(0),
        duration: Fraction | None = None,
        channel: int | None = None,
    ) -> None:
        self.path, self.stream, self.channel = Path(path), stream, channel
        info = _header(self.path)
        check_not_truncated(self.path)
        if info.frames == 0:
            raise FileError(f"{self.path} has no samples")
        self.rate, self.channels = to_fraction(info.samplerate), info.channels
        self.first = round(start * self.rate)
        # The end is rounded like the start, so that a part that follows begins exactly where this one ends.
        last = info.frames if duration is None else round((start + duration) * self.rate)
        self._over = max(0, last - info.frames) / self.rate
        if self._over <= ROUNDED:
            last = min(last, info.frames)
        self.length = last - self.first
        if self.length <= 0 or last > info.frames:
            end = "its end" if duration is None else f"{float(start + duration):g} s"
            fault = "ends after the file" if self.first < min(last, info.frames) else "has no samples"
            raise FileError(
                f"{self.path} has {float(info.frames / self.rate):g} s; the part from {float(start):g} s to {end} "
                f"{fault}: correct its start and duration"
            )
        if channel is not None and channel >= self.channels:
            several = "s" * (self.channels > 1)
            raise FileError(
                f"{self.path} has {self.channels} channel{several}; there is no channel {channel}, the first is 0"
            )
        densest = max(self.rate * self.channels, stream.rate * stream.channels)
        self._rows = max(1, int(self.rate * min(1, _BLOCK / densest)))
        self.conversions = list(self._conversions())

    def _conversions(self) -> Iterator[str]:
        if self._over:
            yield f"cut at the end of the file, {float(self._over):g} s before that of the part"
        if self.rate != self.stream.rate:
            yield f"resampled from {hertz(self.rate)} to {hertz(self.stream.rate)}"
        if self.channel is not None and self.channels > 1:
            yield f"took channel {self.channel} of {self.channels}"
            self.channels = 1
        if self.channels != self.stream.channels:
            if self.stream.channels != 1 and self.channels != 1:
                raise FileError(
                    f"{self.path} has {self.channels} channels, the graph takes {self.stream.channels}: mix it first"
                )
            yield (f"mixed {self.channels} channels to 1" if self.stream.channels == 1
                   else f"copied 1 channel to {self.stream.channels}")  # fmt: skip

    def blocks(self) -> Iterator[Array]:
        """Yield blocks [n] or [n, channels] with the rate, channels and dtype of the stream.

        The samples do not depend on the sizes of the blocks.
        """
        blocks: Iterator[Array] = map(self._with_channels_of_stream, self._file_blocks())
        if self.rate != self.stream.rate:
            blocks = self._resampled(blocks)
        for block in blocks:
            if len(block):
                yield block.reshape(len(block), *self.stream.item_shape).astype(self.stream.dtype, copy=False)

    def read(self) -> Array:
        """Return all samples, [n] or [n, channels], with the rate, channels and dtype of the stream."""
        return np.concatenate([*self.blocks(), self.stream.empty()])

    def _file_blocks(self) -> Iterator[Array]:
        """Yield blocks [n, channels] of the part at the rate of the file; [n, 1] if one channel was chosen."""
        read = 0
        try:
            with soundfile.SoundFile(os.fsencode(self.path)) as file:
                if self.first:
                    file.seek(self.first)
                while len(block := file.read(min(self._rows, self.length - read), dtype="float64", always_2d=True)):
                    if self.channel is not None:
                        block = block[:, self.channel : self.channel + 1]
                    self._check_finite(block, self.first + read)
                    read += len(block)
                    yield block
        except soundfile.LibsndfileError as error:
            at = self.first + read
            raise FileError(f"{self.path} cannot be read beyond sample {at}: {error.error_string}") from None
        if read != self.length:
            promised, there = self.first + self.length, self.first + read
            raise FileError(f"{self.path} is truncated: its header promises {promised} samples, it has {there}")

    def _check_finite(self, block: Array, first: int) -> None:
        if (bad := first_bad_item(block)) is not None:
            at = first + bad
            where = f"{at} ({float(at / self.rate):.3f} s)"
            raise FileError(f"{self.path} has a sample that is not a number, at {where}: repair it")

    def _with_channels_of_stream(self, block: Array) -> Array:
        if self.stream.channels == 1:
            block = block.mean(axis=1, keepdims=True)
        elif self.channels == 1:
            block = np.repeat(block, self.stream.channels, axis=1)
        return block

    def _resampled(self, blocks: Iterable[Array]) -> Iterator[Array]:
        """Return the blocks at the rate of the stream: ceil(length of the part in seconds * rate) samples in all."""
        if not 1 / LARGEST_RATIO <= self.rate / self.stream.rate <= LARGEST_RATIO:
            raise FileError(
                f"{self.path} has {hertz(self.rate)}, the graph takes {hertz(self.stream.rate)}: more than "
                f"{LARGEST_RATIO} times apart: is its header right?"
            )
        due, tail = self.stream.count(self.length / self.rate), math.ceil(self._rows / 8)
        return resample_blocks(blocks, self.rate, self.stream.rate, self.stream.channels, due, tail)


class AudioItem(Protocol):
    """An audio file, or a part of one: a span of time, a single channel, or both."""

    @property
    def path(self) -> Path:
        """The path of the audio file."""

    @property
    def start(self) -> Fraction:
        """The time at which the part begins, in seconds from the start of the file."""

    @property
    def duration(self) -> Fraction | None:
        """The length of the part in seconds. None: the part ends with the file."""

    @property
    def channel(self) -> int | None:
        """The number of the channel, from 0. None: all channels, mixed if the stream has one channel."""


def open_item(item: AudioItem, stream: Audio) -> AudioSource:
    """Open the file of an item as an `Audio` stream. Raises FileError if the file cannot be read."""
    return AudioSource(item.path, stream, item.start, item.duration, item.channel)


def rate_of(path: Path) -> Fraction:
    """Return the sample rate in Hz, from the header of an audio file. Raises FileError if the file is not audio."""
    return to_fraction(_header(path).samplerate)


def _header(path: Path) -> Any:
    _check_readable(path)
    try:
        return soundfile.info(os.fsencode(path))
    except soundfile.LibsndfileError as error:
        raise FileError(f"{path} is not an audio file that can be read: {error.error_string}") from None


def _check_readable(path: Path) -> None:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise FileError(f"{path} is a folder, not an audio file")
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path} is no regular file: record it to a file first")
        path.open("rb").close()  # an error of Python says more than "System error", the message of libsndfile
    except FileNotFoundError:
        raise FileError(missing(path)) from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    if status.st_size == 0:
        raise FileError(f"{path} is empty (0 bytes)")
    if path.suffix.lower() == ".raw":
        raise FileError(f"{path} has no header that says its rate and format: make it a WAV first")


class _Encoder(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A SoundFile whose `flush` does nothing: `AudioSink` syncs the file to the disk once, when it is complete."""

    def flush(self) -> None:
        """Do nothing."""


class AudioSink(Sink):
    """An audio file, written block by block. The file appears when it is complete, or not at all.

    `with AudioSink(path, stream) as sink: sink.write(block)`. The bytes of the file depend on the samples, not on the
    sizes of the blocks. A WAV file, which has floats, keeps samples above 1 or below -1. In a FLAC or Ogg file such
    samples are clipped to +-1; the attribute `clipped` counts them. Raises FileError if the file cannot be written, and
    SignalError if a sample is not finite.
    """

    def __init__(self, path: str | Path, stream: Audio) -> None:
        path, self.stream = Path(path), stream
        self.clipped = self._written = 0
        subtype = SUBTYPES.get(path.suffix)
        if subtype is None:
            raise FileError(f"{path}: only {', '.join(SUBTYPES)} are written")
        if not has_file_rate(stream):
            raise FileError(
                f"{path}: a file has a whole number of samples per second below 2**31, not {hertz(stream.rate)}"
            )
        self._limited, self._held = subtype != "FLOAT", stream.empty()
        super().__init__(path)  # an error of Python says more than "System error", the message of libsndfile
        with self._attempt(f"is the disk full, or can a {path.suffix} file not hold {stream}?"):
            self._encoder = _Encoder(
                os.fsencode(self._file.temporary),
                "w",
                int(stream.rate),
                stream.channels,
                subtype,
                format=path.suffix[1:].upper(),
            )

    def write(self, block: Array) -> None:
        """Append a block of samples: [n], or [n, channels] for a stream with several channels."""
        if (bad := first_bad_item(block)) is not None:
            at = self._written + bad
            raise SignalError(
                f"the output for {self.path} is not finite from sample {at} ({float(self.stream.seconds(at)):.3f} s): "
                "find the node that divides by zero or grows without bound"
            )
        if self._limited:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))
            block = np.clip(block, -1, 1)
        self._written += len(block)
        held = np.concatenate((self._held, block)) if len(self._held) else block
        whole = len(held) // ENCODED * ENCODED
        with self._attempt():
            for first in range(0, whole, ENCODED):
                self._encoder.write(held[first : first + ENCODED])
        self._held = held[whole:].copy()

    def _finish(self) -> None:
        with self._attempt():
            self._encoder.write(self._held)
            self._encoder.close()
            if not self._written:
                raise FileError(f"{self.path} would have no samples: nothing came out")
            make_reproducible(self._file.temporary)
            self._file.sync()
            # libsndfile does not report an error of close: the number of samples is read back from the file.
            kept = soundfile.info(os.fsencode(self._file.temporary)).frames
            if kept != self._written:
                raise FileError(
                    f"{self.path} cannot be written: {kept} of {self._written} samples reached it: is the disk full?"
                )

    def _release(self) -> None:
        with suppress(soundfile.LibsndfileError, OSError):  # no error matters: the file is complete, or is discarded
            self._encoder.close()

    @contextmanager
    def _attempt(self, doubt: str = "is the disk full?") -> Iterator[None]:
        """Turn an error of libsndfile, or an OSError, into a FileError with the path of the file.

        doubt: a question about the likely cause, which ends the message after an error of libsndfile.
        """
        with self._file.attempt():
            try:
                yield
            except soundfile.LibsndfileError as error:
                raise FileError(f"{self.path} cannot be written: {error.error_string.rstrip('.')}: {doubt}") from None


def has_file_rate(stream: Audio) -> bool:
    """Return whether the header of an audio file can hold the rate of a stream: a whole number of Hz below 2**31."""
    return stream.rate.denominator == 1 and stream.rate < 2**31


def example_speech() -> Path:
    """Return the path of a short recording of speech that is part of the package pysptk.

    `dspgraph demo` and `dspgraph check` use it by default. Raises FileError if there is no such recording.
    """
    from importlib.util import find_spec

    spec = find_spec("pysptk")  # not imported: the import is slow, and only the folder is needed
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("example_audio_data/*.wav")):
            return path
    raise FileError("pysptk's example recording was not found: install pysptk, or name a file")
