"""The sounds of files. Short files are read before they are played, long ones while they are played."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from queue import Full, Queue
from typing import Any

import numpy as np

from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource
from dspgraph.io.resampling import resample_blocks
from dspgraph.streams import Array, Audio

READ_WHOLE = 60
"""Seconds of sound up to which a file is read before it is played. Longer ones are read while they are played."""

_PIECE = 10
"""Seconds of a file, at least, in each of the pieces that are resampled on their own; the last may be shorter."""

_MARGIN = 2048
"""Samples, at the lower of the two rates, that are resampled with a piece on each side; the filter is shorter."""

_AHEAD = 3
"""Blocks, of up to a second, that lie ready."""

_LOOK = 0.1
"""Seconds between two looks at whether blocks are still wanted."""


@dataclass(frozen=True, eq=False)
class FileSound:
    """A part of a sound file, which takes the place of an array of samples.

    `len` is the number of samples per channel, at the rate of `stream`. `blocks` and `read` read the samples.

    path: the file. stream: the stream of the input into which it is played; the samples get its rate, channels and
    dtype. start, duration: the part, in seconds of the file; None: to the end of the file. speed: 2 plays it in half
    the time. rounds: whether the samples are rounded to float32, the precision of recordings. Raises FileError for a
    file that cannot be read, and for a part that the file does not have.
    """

    path: Path
    stream: Audio
    start: Fraction = Fraction(0)
    duration: Fraction | None = None
    speed: Fraction = Fraction(1)
    rounds: bool = True

    def __post_init__(self) -> None:
        source = self._source()
        object.__setattr__(self, "_length", source.stream.count(source.length / source.rate))
        object.__setattr__(self, "_mark", self._state())

    def __len__(self) -> int:
        return int(self._length)  # type: ignore[attr-defined]

    @property
    def long(self) -> bool:
        """True for a part that sounds for more than READ_WHOLE seconds. It is read while it is played."""
        return len(self) > READ_WHOLE * self.stream.rate

    @property
    def size(self) -> int:
        """The number of values, of all channels."""
        return len(self) * self.stream.channels

    @property
    def key(self) -> tuple[Any, ...]:
        """A key; sounds with equal keys have the same samples: path and state of the file, and all other fields.

        The state is the size and the time of the last change, as they were when this object was made.
        """
        state = self._mark  # type: ignore[attr-defined]
        return self.path, state, self.stream, self.start, self.duration, self.speed, self.rounds

    def blocks(self, skip: int = 0) -> Iterator[Array]:
        """Yield the samples from the number `skip` on, below `len`, in blocks [n] or [n, channels] of up to a second.

        Earlier samples are not read, except in lossy formats and, if the rate is converted, up to about 10 s of them.
        The samples do not depend on `skip`. Raises FileError if the file has changed since this object was made, if it
        is damaged, or if its rate is too far from that of the stream.
        """
        try:
            state = self._state()
        except OSError as error:
            raise FileError(f"{self.path} cannot be read any more: {error.strerror}") from None
        if state != self._mark:  # type: ignore[attr-defined]
            raise FileError(f"{self.path} has changed since it was to be played: play it again")
        source = self._source()
        same = source.rate == source.stream.rate
        for block in self._frames(source, skip) if same else self._resampled(source, skip):
            found = block.reshape(len(block), *self.stream.item_shape)
            yield (found.astype(np.float32) if self.rounds else found).astype(self.stream.dtype)

    def read(self) -> Array:
        """Return all samples, [n] or [n, channels]. Raises the errors of `blocks`."""
        return np.concatenate([self.stream.empty(), *self.blocks()])

    def passes(self, loops: int | None, skip: int) -> Iterator[Array]:
        """Yield the samples of `loops` passes through the sound, in blocks; if `loops` is None, without end.

        skip: how many samples are left out at the beginning of the first pass. Raises the errors of `blocks`.
        """
        done = 0
        while loops is None or done < loops:
            yield from self.blocks(skip)
            done, skip = done + 1, 0

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.read().astype(dtype or self.stream.dtype)

    def _source(self) -> AudioSource:
        played = self.stream.like(rate=self.stream.rate / self.speed, dtype=np.float64)
        return AudioSource(self.path, played, self.start, self.duration)

    def _frames(self, source: AudioSource, first: int) -> Iterator[Array]:
        """Yield the samples of the part from the number `first` on, at the rate of the file, [n, channels].

        The channels are those of the stream. source: the part, as `_source` returns it. first: counted from the
        beginning of the part.
        """
        own = source.stream.like(rate=source.rate)
        begin, duration = (source.first + first) / source.rate, (source.length - first) / source.rate
        for block in AudioSource(self.path, own, begin, duration).blocks():
            yield block.reshape(len(block), -1)

    def _resampled(self, source: AudioSource, skip: int) -> Iterator[Array]:
        """Yield the samples from the number `skip` on, resampled for the input and the speed, [n, channels].

        source: the part, as `_source` returns it. Raises FileError if the rates are too far apart.

        Each piece of the file is resampled on its own, together with a margin on each side, whose samples are then
        left out. Pieces begin where a sample of the file and one of the output have the same time. So the samples of a
        piece are the same wherever the reading begins.
        """
        source.check_rates()
        rate, to, channels = source.rate, source.stream.rate, self.stream.channels
        step = (to / rate).denominator  # samples of the file from one common time to the next
        piece = step * math.ceil(_PIECE * rate / step)
        margin = step * math.ceil(_MARGIN * max(Fraction(1), rate / to) / step)
        number = int(skip / (piece * to / rate))
        begin = max(0, number * piece - margin)
        frames, x = Forward(self._frames(source, begin)), np.zeros((0, channels))
        while (first := int(number * piece * to / rate)) < len(self):
            end = min(source.length, (number + 1) * piece + margin)
            if (new := end - begin - len(x)) > 0:
                x = np.concatenate((x, frames.take(new)))
            at, last = int(begin * to / rate), min(len(self), int((number + 1) * piece * to / rate))
            cut = (x[k : k + source.rows] for k in range(0, len(x), source.rows))
            for block in resample_blocks(cut, rate, to, channels, last - at, math.ceil(source.rows / 8)):
                wanted = block[max(0, max(first, skip) - at) :]
                at += len(block)
                if len(wanted):
                    yield wanted
            number += 1
            before, begin = begin, max(0, number * piece - margin)
            x = x[begin - before :]

    def _state(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns


class ReadAhead:
    """A sound that a thread reads before it is needed, so that no file makes a live graph late.

    The constructor reads the first 3 blocks, so that they lie ready, and raises the FileError of a file that cannot be
    read. loops, skip: as in `FileSound.passes`. `len` is the number of samples of the sound, in one pass without skip.
    """

    def __init__(self, sound: FileSound, loops: int | None, skip: int) -> None:
        self._length = len(sound)
        blocks = sound.passes(loops, skip)
        self._ready = list(islice(blocks, _AHEAD))
        self._queue: Queue[Array | Exception | None] = Queue(_AHEAD)
        self._closed = threading.Event()
        weakref.finalize(self, self._closed.set)
        given = (blocks, self._queue, self._closed)
        threading.Thread(target=_read, args=given, name="file", daemon=True).start()

    def __len__(self) -> int:
        return self._length

    def passes(self, loops: int | None, skip: int) -> Iterator[Array]:
        """Yield the blocks that were read; wait for a block that is not read yet. Call this once only.

        loops, skip: not used; the constructor was given these values. Raises the error of a block that cannot be read.
        """
        try:
            while self._ready:
                yield self._ready.pop(0)
            while (found := self._queue.get()) is not None:
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            self._closed.set()
            self._ready, self._queue = [], Queue()  # the event that holds this object may be kept for long


def _read(blocks: Iterator[Array], queue: Queue[Array | Exception | None], closed: threading.Event) -> None:
    """Put blocks into a queue, and at the end None; if a block cannot be read, put the error in its place and return.

    While the queue is full, the function waits. closed: the function returns when this event is set.
    """

    def put(one: Array | Exception | None) -> bool:
        while not closed.is_set():
            try:
                queue.put(one, timeout=_LOOK)
            except Full:
                continue
            return True
        return False

    try:
        for block in blocks:
            if not put(block):
                return
        put(None)
    except Exception as error:
        put(error)


class Forward:
    """A reader of a sound that comes in blocks: it returns the samples in order, any number at a time.

    blocks: yields arrays [n] or [n, channels].
    """

    def __init__(self, blocks: Iterator[Array]) -> None:
        self._blocks, self._held = blocks, list[Array]()

    def take(self, n: int) -> Array:
        """Return the next n samples, n > 0. Raises FileError if there are fewer."""
        parts, there = self._held, sum(map(len, self._held))
        while there < n:
            block = next(self._blocks, None)
            if block is None:
                raise FileError("a sound has fewer samples than its file promised")
            parts.append(block)
            there += len(block)
        whole = np.concatenate(parts)
        self._held = [whole[n:]] if there > n else []
        return whole[:n]
