"""Audio files, read and written block by block. Samples are converted to the rate and channels that a graph takes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from dspgraph.errors import FileError, SignalError
from dspgraph.io.containers import make_reproducible
from dspgraph.io.decoding import READABLE_FORMATS, Decoder
from dspgraph.io.formats import AudioFormat, audio_format, round_to_16_bits
from dspgraph.io.paths import convert_hint
from dspgraph.io.resampling import resample_blocks
from dspgraph.io.sink import Sink
from dspgraph.streams import Array, Audio, first_bad_item, hertz, to_fraction

AUDIO_SUFFIXES = frozenset(" ".join(READABLE_FORMATS.values()).split())
"""The suffixes of audio files, in lower case. In a folder, files with other suffixes are ignored."""

ROUNDED = Fraction(1, 100)
"""A part may end by this time, in seconds, after the end of its file, because times in manifests may be rounded."""

LARGEST_RATIO = 256
"""The largest ratio, in either direction, of the rate of a file to the rate that a graph takes.

A larger ratio means that the rate in a header is wrong. It is refused before soxr makes a filter for it, because the
memory that soxr takes grows with the ratio.
"""

ENCODED = 2**14
"""The number of samples per channel in each call of an encoder, except the last call of a file.

The number is fixed, because the output of a lossy encoder depends on it.
"""

_FEW = 2**12
"""A block can always have this number of samples per channel, unless it would then have more than `_BLOCK` values.

Without this rule, a block of a second would be one sample if the header of a file has a rate of 1 Hz.
"""

_BLOCK = 2**20
"""The largest number of values in a block, of 8 bytes each: 8 MiB even if a header has a huge rate or many channels."""


class AudioSource:
    """An audio file, or a part of one, as an `Audio` stream.

    `blocks()` reads blocks of up to a second, or of up to 4096 samples if a second has fewer.

    start, duration: the part of the file to read, in seconds; None as `duration` for a part that ends with the file.
    The part may end up to 10 ms after the file. channel: the number of the channel to read, from 0; None for all
    channels. The attribute `conversions` lists in words how the samples are converted, for instance "resampled from
    44100 Hz to 16000 Hz", and where the header of the file is wrong. The attribute `rows` is the largest number of
    samples, at the rate of the file, in a block. The attribute `rate` is the rate of the file, in Hz; `first` and
    `length` give the place of the part in the file, in samples per channel.

    In every format, at the rate of the file, a part has the same samples as the corresponding slice of the whole file.
    The samples do not depend on the sizes of the blocks (`dspgraph.testing.check_file` checks this). In formats such as
    MP3 and Ogg, the samples before the part are decoded too.

    Raises FileError if the file is missing, is empty, is not audio, or is truncated (`find_layout` lists the formats);
    if the part or the channel does not exist; if the number of channels cannot be converted. Channels can be averaged
    to one, and one channel can be copied to several; nothing else is possible. `blocks()` and `read()` raise FileError
    if the file turns out to be damaged or truncated, if a sample is NaN or infinite, and if the ratio of the rates is
    above LARGEST_RATIO.
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
        self._decoder = Decoder(self.path)
        frames = self._decoder.frames
        if frames == 0:
            raise FileError(f"{self.path} has no samples")
        self.rate, self.channels = to_fraction(self._decoder.rate), self._decoder.channels
        self.first = round(start * self.rate)
        # The end is rounded like the start, so that the next part begins exactly where this part ends.
        last = frames if duration is None else round((start + duration) * self.rate)
        self._over = max(0, last - frames) / self.rate
        if self._over <= ROUNDED:
            last = min(last, frames)
        self.length = last - self.first
        if self.length <= 0 or last > frames:
            end = "its end" if duration is None else f"{float(start + duration):g} s"
            fault = "ends after the file" if self.first < min(last, frames) else "has no samples"
            raise FileError(
                f"{self.path} has {float(frames / self.rate):g} s; the part from {float(start):g} s to {end} "
                f"{fault}: correct its start and duration"
            )
        if channel is not None and channel >= self.channels:
            several = "s" * (self.channels > 1)
            raise FileError(
                f"{self.path} has {self.channels} channel{several}; there is no channel {channel}, the first is 0"
            )
        densest = max(self.rate * self.channels, stream.rate * stream.channels)
        self.rows = max(1, int(min(max(self.rate, Fraction(_FEW)), self.rate * _BLOCK / densest)))
        self.conversions = list(self._conversions())

    def _conversions(self) -> Iterator[str]:
        yield from self._decoder.notes
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
        """Return all samples of the part, [n] or [n, channels], with the rate, channels and dtype of the stream."""
        return np.concatenate([*self.blocks(), self.stream.empty()])

    def _file_blocks(self) -> Iterator[Array]:
        """Yield the part in blocks, at the rate of the file: [n, channels], or [n, 1] if one channel was chosen.

        Raises FileError if a sample is NaN or infinite, or if the file ends before the part does.
        """
        read = 0
        for block in self._decoder.blocks(self.first, self.length, self.rows):
            if self.channel is not None:
                block = block[:, self.channel : self.channel + 1]
            self._check_finite(block, self.first + read)
            read += len(block)
            yield block
        if read != self.length:
            promised, there = self.first + self.length, self.first + read
            raise FileError(
                f"{self.path} is truncated: its header promises {promised} samples, it has {there}: fetch it again, or "
                f"{convert_hint(self.path)}"
            )

    def _check_finite(self, block: Array, first: int) -> None:
        if self._decoder.subtype.startswith("PCM_"):
            return  # whole numbers
        if (bad := first_bad_item(block)) is not None:
            at = first + bad
            where = f"{at} ({float(at / self.rate):.3f} s)"
            raise FileError(f"{self.path} has a sample that is not a number, at {where}: repair it")

    def _with_channels_of_stream(self, block: Array) -> Array:
        if self.stream.channels == 1 and block.shape[1] > 1:
            block = block.mean(axis=1, keepdims=True)
        elif self.channels == 1 < self.stream.channels:
            block = np.repeat(block, self.stream.channels, axis=1)
        return block

    def check_rates(self) -> None:
        """Raise FileError if the ratio of the rates of the file and the stream is above LARGEST_RATIO."""
        if not 1 / LARGEST_RATIO <= self.rate / self.stream.rate <= LARGEST_RATIO:
            raise FileError(
                f"{self.path} has {hertz(self.rate)}, the graph takes {hertz(self.stream.rate)}: more than "
                f"{LARGEST_RATIO} times apart: is its header right?"
            )

    def _resampled(self, blocks: Iterable[Array]) -> Iterator[Array]:
        """Return blocks at the rate of the stream: ceil(seconds of the part * rate of the stream) samples in total.

        blocks: [n, channels], the whole part at the rate of the file, with the channels of the stream. Raises FileError
        if `check_rates` does.
        """
        self.check_rates()
        due, tail = self.stream.count(self.length / self.rate), math.ceil(self.rows / 8)
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
        """The number of the channel, from 0. None: all channels, averaged if the stream has one channel."""


def open_item(item: AudioItem, stream: Audio) -> AudioSource:
    """Open the file of an item, or its part, converted to the rate and channels of a stream.

    Raises FileError as `AudioSource` does.
    """
    return AudioSource(item.path, stream, item.start, item.duration, item.channel)


def rate_of(path: Path) -> Fraction:
    """Return the sample rate in Hz of an audio file. Raises FileError if the file cannot be read (see `Decoder`)."""
    return to_fraction(Decoder(path).rate)


class _Encoder(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A SoundFile whose `flush` does nothing: `AudioSink` syncs the file to the disk once, when it is complete."""

    def flush(self) -> None:
        """Do nothing."""


class AudioSink(Sink):
    """An audio file, written block by block. The file appears when it is complete, or not at all.

    `with AudioSink(path, stream) as sink: sink.write(block)`. The bytes of the file depend on the samples, not on the
    sizes of the blocks. A WAV file with floats, the default, keeps samples above 1 or below -1. In every other format
    such samples are clipped to +-1; the attribute `clipped` counts them.

    form: the format, with the suffix of the path; by default, the suffix decides (see `formats.audio_format`). noise:
    the generator for the dither of 16-bit samples; by default one with a fixed seed. keeps: with True, `write` raises
    nothing if the samples cannot be written, for instance to a full disk: the attribute `failed` has the error, and
    `close` completes the file with what was written before. Raises RequestError if no format has the suffix, and
    FileError if the format does not allow the stream or its length, or if the file cannot be written or would have no
    samples. `write` raises SignalError if a sample is not finite.
    """

    def __init__(
        self,
        path: str | Path,
        stream: Audio,
        form: AudioFormat | None = None,
        noise: np.random.Generator | None = None,
        keeps: bool = False,
    ) -> None:
        path, self.stream, self.keeps = Path(path), stream, False
        self.failed: FileError | None = None
        self.form = form or audio_format(path.suffix)
        self._noise = noise or np.random.Generator(np.random.Philox(key=0))
        self.clipped = self._written = 0
        self._held = stream.empty()
        self.form.check(path, stream)
        super().__init__(path)  # makes the file: an error of Python says more than "System error" of libsndfile
        with self._attempt(f"is the disk full, or can a {path.suffix} file not hold {stream}?"):
            self._encoder = _Encoder(
                os.fsencode(self._file.temporary),
                "w",
                int(stream.rate),
                stream.channels,
                self.form.subtype,
                format=path.suffix[1:].upper(),
            )
        self.keeps = keeps

    def write(self, block: Array) -> None:
        """Append a block of samples: [n], or [n, channels] for a stream with several channels. It is not changed."""
        if self.failed is not None:
            return
        if (bad := first_bad_item(block)) is not None:
            at = self._written + bad
            raise SignalError(
                f"the output for {self.path} is not finite from sample {at} ({float(self.stream.seconds(at)):.3f} s): "
                "find the node that divides by zero or grows without bound"
            )
        if self.form.clips:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))
            block = np.clip(block, -1, 1)
        self._written += len(block)
        self.form.check_size(self.path, self._written * self.stream.channels)
        held = np.concatenate((self._held, block)) if len(self._held) else block
        whole = len(held) // ENCODED * ENCODED
        for first in range(0, whole, ENCODED):
            self._encode(held[first : first + ENCODED])
        self._held = held[whole:].copy()

    def _encode(self, samples: Array) -> None:
        if self.form.dither != "none":
            samples = round_to_16_bits(samples, self._noise)
        try:
            with self._attempt():
                self._encoder.write(samples)
        except FileError as error:
            self.failed = error
            if not self.keeps:
                raise

    def _finish(self) -> None:
        if self.failed is None:
            self._encode(self._held)
        with self._attempt():
            self._encoder.close()
            if not self._written:
                raise FileError(f"{self.path} would have no samples: nothing came out")
            make_reproducible(self._file.temporary)
            self._file.sync()
            # libsndfile does not report an error of close: the number of samples is read back from the file.
            kept = soundfile.info(os.fsencode(self._file.temporary)).frames
            if kept != self._written and not (self.failed and 0 < kept < self._written):
                there = f"{kept} of {self._written} samples" if kept < self._written else "no length"
                raise FileError(f"{self.path} cannot be written: {there} reached it: is the disk full?")

    def _release(self) -> None:
        with suppress(soundfile.LibsndfileError, OSError):  # the file is complete, or it is discarded
            self._encoder.close()

    @contextmanager
    def _attempt(self, doubt: str = "is the disk full?") -> Iterator[None]:
        """Turn an error of libsndfile, or an OSError, into a FileError with the path of the file.

        doubt: a question about the likely cause, for the end of the message after an error of libsndfile.
        """
        with self._file.attempt(self.keeps):
            try:
                yield
            except soundfile.LibsndfileError as error:
                raise FileError(f"{self.path} cannot be written: {error.error_string.rstrip('.')}: {doubt}") from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Return a context in which an error of reading with soundfile becomes a FileError that names `path`."""
    try:
        yield
    except (OSError, soundfile.SoundFileError) as error:
        raise FileError(f"{path} cannot be read: {error}") from None


def sound_info(path: Path) -> Any:
    """Return the result of `soundfile.info` for an audio file, such as its rate. Raises FileError if this fails."""
    with reading(path):
        return soundfile.info(os.fsencode(path))


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
