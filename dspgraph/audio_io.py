"""Audio files, read and written block by block; a file of another rate or channel count is converted, and says so."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soundfile
import soxr

from dspgraph.errors import FileError
from dspgraph.streams import Array, Audio, exact, hertz

SUBTYPES = {".flac": "PCM_24", ".wav": "FLOAT"}
"""What is written, by suffix: 24-bit FLAC, 32-bit float WAV."""


class AudioSource:
    """A file as an `Audio` stream: `blocks()` reads it once, in blocks of about a second, bounded in memory.

    `conversions` says what was done to it. Raises FileError: missing, no audio, empty, truncated, NaN.
    """

    def __init__(self, path: str | Path, stream: Audio) -> None:
        self.path, self.stream = Path(path), stream
        if not self.path.is_file():
            what = "is a folder, not an audio file" if self.path.is_dir() else "does not exist"
            raise FileError(f"{self.path} {what}")
        if self.path.stat().st_size == 0:
            raise FileError(f"{self.path} is empty (0 bytes)")
        try:
            info = soundfile.info(str(self.path))
        except soundfile.LibsndfileError as error:
            raise FileError(f"{self.path} is not an audio file that can be read: {error.error_string}") from None
        if info.frames == 0:
            raise FileError(f"{self.path} has no samples")
        _check_whole(self.path)
        self.rate, self.channels, self.length = exact(info.samplerate), info.channels, info.frames
        self.conversions = list(self._conversions())

    def _conversions(self) -> Iterator[str]:
        if self.rate != self.stream.rate:
            yield f"resampled from {hertz(self.rate)} to {hertz(self.stream.rate)}"
        if self.channels != self.stream.channels:
            if self.stream.channels != 1 and self.channels != 1:
                raise FileError(
                    f"{self.path} has {self.channels} channels, the graph takes {self.stream.channels}: mix it first"
                )
            yield (f"mixed {self.channels} channels to 1" if self.stream.channels == 1
                   else f"copied 1 channel to {self.stream.channels}")  # fmt: skip

    def blocks(self) -> Iterator[Array]:
        """The samples as the stream carries them; where the cuts fall changes none of them."""
        converter = None
        if self.rate != self.stream.rate:
            converter = soxr.ResampleStream(
                float(self.rate), float(self.stream.rate), self.stream.channels, dtype="float64", quality="HQ"
            )
        read = 0
        try:
            with soundfile.SoundFile(str(self.path)) as file:
                while len(block := file.read(int(self.rate) or 1, dtype="float64", always_2d=True)):
                    self._check_finite(block, read)
                    read += len(block)
                    yield from self._shaped(self._mixed(block), converter, last=False)
        except soundfile.LibsndfileError as error:
            raise FileError(f"{self.path} cannot be read beyond sample {read}: {error.error_string}") from None
        if read != self.length:
            raise FileError(f"{self.path} is truncated: its header promises {self.length} samples, it has {read}")
        if converter is not None:
            yield from self._shaped(np.empty((0, self.stream.channels)), converter, last=True)

    def _check_finite(self, block: Array, read: int) -> None:
        if not np.isfinite(block).all():
            at = read + int(np.argmin(np.isfinite(block).all(axis=1)))
            raise FileError(
                f"{self.path} has a sample that is not a number, at {at} ({float(at / self.rate):.3f} s): repair it"
            )

    def _mixed(self, block: Array) -> Array:
        if self.channels == self.stream.channels:
            return block
        if self.stream.channels == 1:
            mono: Array = block.mean(axis=1, keepdims=True)
            return mono
        return np.repeat(block, self.stream.channels, axis=1)

    def _shaped(self, block: Array, converter: Any, last: bool) -> Iterator[Array]:
        if converter is not None:
            block = converter.resample_chunk(np.ascontiguousarray(block), last=last)
        if len(block):
            yield block.reshape(len(block), *self.stream.item_shape).astype(self.stream.dtype, copy=False)

    def read(self) -> Array:
        """All of it at once."""
        return np.concatenate([*self.blocks(), self.stream.empty()])


def _check_whole(path: Path) -> None:
    """A WAV whose data chunk is longer than its file has lost its end; libsndfile would read on without a word."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return
        at = 12
        while at + 8 <= size:
            file.seek(at)
            name, length = struct.unpack("<4sI", file.read(8))
            if name == b"data":
                if length < 0xFFFFFF00 and at + 8 + length > size:  # larger: a recorder that could not seek back
                    raise FileError(
                        f"{path} is truncated: its header promises {length} bytes of samples, it has {size - at - 8}"
                    )
                return
            at += 8 + length + length % 2


class AudioSink:
    """A file being written: under another name in the same folder until it is whole, then put in place at once.

    with AudioSink(path, stream) as sink: sink.write(block). After an exception nothing is left behind. `clipped`
    counts the samples beyond full scale that a PCM file cannot hold.
    """

    def __init__(self, path: str | Path, stream: Audio) -> None:
        self.path = Path(path)
        self.clipped = 0
        subtype = SUBTYPES.get(self.path.suffix)
        if subtype is None:
            raise FileError(f"{self.path}: only {' and '.join(SUBTYPES)} are written")
        if stream.rate.denominator != 1:
            raise FileError(f"{self.path}: a file has a whole number of samples per second, not {hertz(stream.rate)}")
        self._limited = subtype.startswith("PCM")
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            self._file = soundfile.SoundFile(
                str(self._temporary),
                "w",
                int(stream.rate),
                stream.channels,
                subtype,
                format=self.path.suffix[1:].upper(),
            )
        except (soundfile.LibsndfileError, OSError) as error:
            self._discard()
            raise FileError(f"{self.path} cannot be written: {error}") from None

    def write(self, block: Array) -> None:
        """Append a block [n] or [n, channels]."""
        if self._limited:
            self.clipped += int(np.count_nonzero(np.abs(block) > 1))
            block = np.clip(block, -1, 1)
        try:
            self._file.write(block)
        except (soundfile.LibsndfileError, OSError) as error:
            raise FileError(f"{self.path} cannot be written: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            os.replace(self._temporary, self.path)
        else:
            self._discard()

    def _discard(self) -> None:
        with suppress(FileNotFoundError):
            self._temporary.unlink()


def example_speech() -> Path:
    """A short real recording that comes with pysptk: what `demo` and `check` use when they are given no file."""
    from importlib.util import find_spec

    spec = find_spec("pysptk")  # not imported: importing it is slow, and only the place of its data is needed
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("example_audio_data/*.wav")):
            return path
    raise FileError("pysptk's example recording was not found: install pysptk, or name a file")
