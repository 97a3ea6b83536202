"""Items that a program pushes into an input of a live graph."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from dspgraph.engine.plan import Queue
from dspgraph.streams import Array, Stream


class FrameQueue:
    """The items of one input that wait for the engine. Items beyond the limit are accepted as soon as there is room.

    limit: the largest number of items that wait. The attribute `missing` counts items that the engine needed before
    they were pushed: zeros were used.
    """

    def __init__(self, stream: Stream, limit: int) -> None:
        self.stream, self.limit = stream, limit
        self.missing = 0
        self._line = Queue()
        self._waiting: deque[tuple[Array, Callable[[], None]]] = deque()
        self._lock = threading.Lock()

    def put(self, items: Array, accepted: Callable[[], None]) -> None:
        """Append items as soon as they fit; then call `accepted`."""
        with self._lock:
            self._waiting.append((items, accepted))
            self._accept()

    def wanted(self) -> int:
        """Return how many items fit now."""
        with self._lock:
            return 0 if self._waiting else max(0, self.limit - self._line.held)

    def held(self) -> int:
        """Return how many items wait."""
        with self._lock:
            return self._line.held

    def take(self, n: int) -> Array:
        """Remove and return the next n items. If there are fewer, zeros follow them."""
        with self._lock:
            found = self._line.take(there) if (there := min(n, self._line.held)) else self.stream.empty()
            self.missing += n - there
            self._accept()
        if there == n:
            return found
        return np.concatenate((found, np.zeros((n - there, *self.stream.item_shape), self.stream.dtype)))

    def _accept(self) -> None:
        # An array that alone is longer than the limit is accepted when nothing else waits.
        while self._waiting and self._line.held + len(self._waiting[0][0]) <= max(
            self.limit, 0 if self._line.held else len(self._waiting[0][0])
        ):
            items, accepted = self._waiting.popleft()
            if len(items):
                self._line.put(items)
            accepted()
