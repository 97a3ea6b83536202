"""The sounds of long files, which are read while they are played."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from queue import Full, Queue
from typing import Any

import numpy as np

from dspgraph.errors import FileError
from dspgraph.io.audio import AudioSource
from dspgraph.streams import Array, Audio

READ_WHOLE = 60
"""Seconds of sound up to which a file is read before it is played. Longer ones are read while they are played."""

_AHEAD = 3
"""Blocks, of up to a second, that lie ready."""

_LOOK = 0.1
"""Seconds between two looks at whether blocks are still wanted."""


@dataclass(frozen=True, eq=False)
class FileSound:
    """A part of a sound file, which takes the place of an array of samples. `len` is the number of samples.

    path: the file. stream: that of the input into which it is played. start, duration: the part, in seconds; None: to
    the end of the file. speed: 2 plays it in half the time. rounds: whether the samples are rounded to float32, the
    precision of recordings. Raises FileError for a part that the file does not have.
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
        """Whether the part is too long to be read before it is played."""
        return len(self) > READ_WHOLE * self.stream.rate

    @property
    def size(self) -> int:
        """The number of values, of all channels."""
        return len(self) * self.stream.channels

    def blocks(self) -> Iterator[Array]:
        """Yield the samples in blocks of up to a second. Raises FileError if the file has changed, or is damaged."""
        if self._state() != self._mark:  # type: ignore[attr-defined]
            raise FileError(f"{self.path} has changed since it was to be played: play it again")
        for block in self._source().blocks():
            yield (block.astype(np.float32) if self.rounds else block).astype(self.stream.dtype)

    def read(self) -> Array:
        """Return all samples, [n] or [n, channels]."""
        return np.concatenate([self.stream.empty(), *self.blocks()])

    def passes(self, loops: int | None, skip: int) -> Iterator[Array]:
        """Yield the samples of `loops` passes through the sound, in blocks; None: without end.

        skip: how many samples are left out at the beginning of the first pass.
        """
        done = 0
        while loops is None or done < loops:
            for block in self.blocks():
                left = min(skip, len(block))
                skip -= left
                if left < len(block):
                    yield block[left:]
            done += 1

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.read().astype(dtype or self.stream.dtype)

    def _source(self) -> AudioSource:
        played = self.stream.like(rate=self.stream.rate / self.speed, dtype=np.float64)
        return AudioSource(self.path, played, self.start, self.duration)

    def _state(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns


class ReadAhead:
    """A sound that a thread reads before it is needed, so that no file makes a live graph late.

    loops, skip: as in `FileSound.passes`, which the thread calls. `len`: as that of the sound.
    """

    def __init__(self, sound: FileSound, loops: int | None, skip: int) -> None:
        self._length = len(sound)
        self._queue: Queue[Array | Exception | None] = Queue(_AHEAD)
        self._closed = threading.Event()
        weakref.finalize(self, self._closed.set)
        given = (sound.passes(loops, skip), self._queue, self._closed)
        threading.Thread(target=_read, args=given, name="file", daemon=True).start()

    def __len__(self) -> int:
        return self._length

    def passes(self, loops: int | None, skip: int) -> Iterator[Array]:
        """Yield the blocks that the thread reads. Call this once only.

        loops, skip: not used; those given to the constructor count.
        """
        try:
            while (found := self._queue.get()) is not None:
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            self._closed.set()


def _read(blocks: Iterator[Array], queue: Queue[Array | Exception | None], closed: threading.Event) -> None:
    """Put blocks into a queue, and at the end None; in place of a block that cannot be read, put the error.

    closed: when it is set, stop.
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
    """The samples of a sound that comes in blocks, taken in order, each once.

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
