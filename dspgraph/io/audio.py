"""Audio files, read and written block by block; a file of another rate or channel count is converted, and says so."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import soundfile
import soxr

from dspgraph.errors import FileError, SignalError
from dspgraph.io.atomic import AtomicFile
from dspgraph.io.containers import check_whole, settle
from dspgraph.streams import Array, Audio, first_bad_item, hertz, to_fraction

SUBTYPES = {".flac": "PCM_24", ".wav": "FLOAT", ".ogg": "VORBIS"}
"""What is written, by suffix: 24-bit FLAC, 32-bit float WAV, Ogg Vorbis."""

AUDIO_SUFFIXES = frozenset({f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".oga", ".opus"})
"""Suffixes by which audio files are found in folders."""

ROUNDED = Fraction(1, 100)
"""Seconds by which a part may end behind its file: who wrote down its end will have rounded it."""

FARTHEST = 256
"""How many times a file's rate may be the graph's, or the other way: a filter for more would not fit into memory."""

WRITTEN = 2**14
"""Samples handed to an encoder at a time: what a lossy one makes of them may depend on it, and must not on the cut."""

BLOCK = 2**20
"""The most numbers in a block (8 MiB), whatever rate and channels a header claims."""


class AudioSource:
    """A file as an `Audio` stream: `blocks()` reads it once, in blocks of about a second, bounded in memory.

    start, duration: seconds, for a part of it, which may end up to 10 ms behind the file; channel: one of its channels,
    the first is 0. `conversions` says what was done to it. Raises FileError: missing, no audio, empty, NaN, shorter
    than the part, without the channel, or truncated where that can be told (see `check_whole`).
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
        check_whole(self.path)
        if info.frames == 0:
            raise FileError(f"{self.path} has no samples")
        self.rate, self.channels = to_fraction(info.samplerate), info.channels
        self.first = round(start * self.rate)
        last = info.frames if duration is None else round((start + duration) * self.rate)  # where a next part begins
        self._over = max(0, last - info.frames) / self.rate
        if self._over <= ROUNDED:
            last = min(last, info.frames)
        self.length = last - self.first
        if self.length <= 0 or last > info.frames:
            end = "its end" if duration is None else f"{float(start + duration):g} s"
            raise FileError(
                f"{self.path} has {float(info.frames / self.rate):g} s; from {float(start):g} s to {end} there is "
                f"{'more' if self.first < min(last, info.frames) else 'nothing'}"
            )
        if channel is not None and channel >= self.channels:
            several = "s" * (self.channels > 1)
            raise FileError(
                f"{self.path} has {self.channels} channel{several}; there is no channel {channel}, the first is 0"
            )
        densest = max(self.rate * self.channels, stream.rate * stream.channels)
        self._rows = max(1, int(self.rate * min(1, BLOCK / densest)))
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
        """The samples as the stream carries them; where the cuts fall changes none of them."""
        blocks = self._mixed()
        if self.rate != self.stream.rate:
            blocks = self._resampled(blocks)
        for block in blocks:
            if len(block):
                yield block.reshape(len(block), *self.stream.item_shape).astype(self.stream.dtype, copy=False)

    def read(self) -> Array:
        """All of it at once."""
        return np.concatenate([*self.blocks(), self.stream.empty()])

    def _mixed(self) -> Iterator[Array]:
        """The file with the channels of the stream."""
        read = 0
        try:
            with soundfile.SoundFile(os.fsencode(self.path)) as file:
                if self.first:
                    file.seek(self.first)
                while len(block := file.read(min(self._rows, self.length - read), dtype="float64", always_2d=True)):
                    if self.channel is not None:
                        block = block[:, self.channel : self.channel + 1]
                    if (bad := first_bad_item(block)) is not None:
                        at = self.first + read + bad
                        where = f"{at} ({float(at / self.rate):.3f} s)"
                        raise FileError(f"{self.path} has a sample that is not a number, at {where}: repair it")
                    read += len(block)
                    if self.stream.channels == 1:
                        block = block.mean(axis=1, keepdims=True)
                    elif self.channels == 1:
                        block = np.repeat(block, self.stream.channels, axis=1)
                    yield block
        except soundfile.LibsndfileError as error:
            at = self.first + read
            raise FileError(f"{self.path} cannot be read beyond sample {at}: {error.error_string}") from None
        if read != self.length:
            promised, there = self.first + self.length, self.first + read
            raise FileError(f"{self.path} is truncated: its header promises {promised} samples, it has {there}")

    def _resampled(self, blocks: Iterable[Array]) -> Iterator[Array]:
        """As many samples as a stream of these seconds has: the file is followed by silence, and cut there."""
        if not 1 / FARTHEST <= self.rate / self.stream.rate <= FARTHEST:
            raise FileError(
                f"{self.path} has {hertz(self.rate)}, the graph takes {hertz(self.stream.rate)}: more than {FARTHEST} "
                "times apart: is its header right?"
            )
        converter = soxr.ResampleStream(
            float(self.rate), float(self.stream.rate), self.stream.channels, dtype="float64", quality="HQ"
        )
        due = self.stream.count(self.length / self.rate)
        silence = np.zeros((math.ceil(self._rows / 8), self.stream.channels))
        for block in chain(blocks, repeat(silence)):
            converted = converter.resample_chunk(np.ascontiguousarray(block))[:due]
            yield converted
            due -= len(converted)
            if due == 0:
                return


class AudioItem(Protocol):
    """A file, or a part of it in seconds, or one of its channels."""

    @property
    def path(self) -> Path:
        """The audio file."""

    @property
    def start(self) -> Fraction:
        """Seconds from the start of the file."""

    @property
    def duration(self) -> Fraction | None:
        """Seconds; None: to the end of the file."""

    @property
    def channel(self) -> int | None:
        """The first is 0; None: all channels, mixed as the stream needs them."""


def open_item(item: AudioItem, stream: Audio) -> AudioSource:
    """Open the file of an item as an `Audio` stream; FileError if it cannot be read."""
    return AudioSource(item.path, stream, item.start, item.duration, item.channel)


def rate_of(path: Path) -> Fraction:
    """The rate of an audio file, by its header. Raises FileError where it has none."""
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
        path.open("rb").close()  # it says what is wrong where libsndfile says "System error"
    except FileNotFoundError:
        raise FileError(f"{path} does not exist") from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    if status.st_size == 0:
        raise FileError(f"{path} is empty (0 bytes)")
    if path.suffix.lower() == ".raw":
        raise FileError(f"{path} has no header that says its rate and format: make it a WAV first")


class _Encoder(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file that is not brought to the disk twice: here as it is closed, and once it is settled."""

    def flush(self) -> None:
        """Leave it to whoever closes the file: `AudioSink.close` syncs it, and sees whether all of it is there."""


class AudioSink:
    """A file being written: under another name in the same folder until it is whole, then put in place at once.

    with AudioSink(path, stream) as sink: sink.write(block). After an exception nothing is left behind. The same samples
    give the same bytes, however they are cut. `clipped` counts the samples beyond full scale that only a float file
    holds. Raises FileError where the file cannot be written,
    SignalError for samples that are not finite.
    """

    def __init__(self, path: str | Path, stream: Audio) -> None:
        self.path, self.stream = Path(path), stream
        self.clipped = self._written = 0
        subtype = SUBTYPES.get(self.path.suffix)
        if subtype is None:
            raise FileError(f"{self.path}: only {', '.join(SUBTYPES)} are written")
        if not has_file_rate(stream):
            raise FileError(
                f"{self.path}: a file has a whole number of samples per second below 2**31, not {hertz(stream.rate)}"
            )
        self._limited, self._held = subtype != "FLOAT", stream.empty()
        self._part = AtomicFile(self.path)  # it says what is wrong where libsndfile says "System error"
        with self._attempt(f"is the disk full, or can a {self.path.suffix} file not hold {stream}?"):
            self._file = _Encoder(
                os.fsencode(self._part.temporary),
                "w",
                int(stream.rate),
                stream.channels,
                subtype,
                format=self.path.suffix[1:].upper(),
            )

    def write(self, block: Array) -> None:
        """Append a block [n] or [n, channels]."""
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
        whole = len(held) // WRITTEN * WRITTEN
        with self._attempt():
            for first in range(0, whole, WRITTEN):
                self._file.write(held[first : first + WRITTEN])
        self._held = held[whole:].copy()

    def close(self) -> None:
        """Bring everything to the disk and check that it is there; leaving the `with` then puts it in place."""
        if self._file.closed:
            return
        with self._attempt():
            self._file.write(self._held)
            self._file.close()
            if not self._written:
                raise FileError(f"{self.path} would have no samples: nothing came out")
            settle(self._part.temporary)
            self._part.sync()
            kept = soundfile.info(
                os.fsencode(self._part.temporary)
            ).frames  # libsndfile is silent about a close that fails
            if kept != self._written:
                raise FileError(
                    f"{self.path} cannot be written: {kept} of {self._written} samples reached it: is the disk full?"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
                self.place()
        finally:
            self.discard()

    def place(self) -> None:
        """Give the file its name, once it is closed."""
        self._part.place()

    def discard(self) -> None:
        """Leave nothing behind of a file that was not put in place."""
        with suppress(soundfile.LibsndfileError, OSError):  # nobody will miss what it still held
            self._file.close()
        self._part.discard()

    @contextmanager
    def _attempt(self, doubt: str = "is the disk full?") -> Iterator[None]:
        """Name the file in what libsndfile complains of, as in what the system does."""
        with self._part.attempt():
            try:
                yield
            except soundfile.LibsndfileError as error:
                raise FileError(f"{self.path} cannot be written: {error.error_string.rstrip('.')}: {doubt}") from None


def has_file_rate(stream: Audio) -> bool:
    """Whether a file's header can say the rate: a whole number below 2**31."""
    return stream.rate.denominator == 1 and stream.rate < 2**31


def example_speech() -> Path:
    """A short real recording that comes with pysptk: what `demo` and `check` use when they are given no file."""
    from importlib.util import find_spec

    spec = find_spec("pysptk")  # not imported: importing it is slow, and only the place of its data is needed
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("example_audio_data/*.wav")):
            return path
    raise FileError("pysptk's example recording was not found: install pysptk, or name a file")
