"""Items that a program pushes into an input of a live graph."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from dspgraph.engine.plan import Queue
from dspgraph.streams import Array, Stream


class FrameQueue:
    """The items of one input that wait for the engine.

    limit: the largest number of items that wait. Further items are kept apart, and added when the engine has taken
    others. The attribute `missing` counts items that the engine needed before they were pushed: zeros were used.
    """

    def __init__(self, stream: Stream, limit: int) -> None:
        self.stream, self.limit = stream, limit
        self.missing = 0
        self._line = Queue()
        self._waiting: deque[tuple[Array, Callable[[Exception | None], None]]] = deque()
        self._error: Exception | None = None
        self._lock = threading.Lock()

    def put(self, items: Array, answer: Callable[[Exception | None], None]) -> None:
        """Append items, each as soon as the limit allows. They are not copied, and must fit the stream.

        answer: a function that is called with None when the last item is appended, or with the error of `refuse`. It is
        called inside `put`, `take` or `refuse`, and must not use the queue.
        """
        with self._lock:
            self._waiting.append((items, answer))
            self._accept()

    def refuse(self, error: Exception) -> None:
        """Drop the items that are kept apart, and all that come later; answer their calls of `put` with the error.

        Items that already wait, within the limit, are still taken.
        """
        with self._lock:
            self._error = error
            self._accept()

    def wanted(self) -> int:
        """Return how many more items can wait now without exceeding the limit."""
        with self._lock:
            return 0 if self._waiting else max(0, self.limit - self._line.held)

    def held(self) -> int:
        """Return how many items wait for the engine."""
        with self._lock:
            return self._line.held

    def take(self, n: int) -> Array:
        """Remove and return the next n items. If there are fewer, zeros follow them, and `missing` counts the zeros."""
        with self._lock:
            found = self._line.take(there) if (there := min(n, self._line.held)) else self.stream.empty()
            self.missing += n - there
            self._accept()
        if there == n:
            return found
        return np.concatenate((found, np.zeros((n - there, *self.stream.item_shape), self.stream.dtype)))

    def _accept(self) -> None:
        while self._waiting:
            items, answer = self._waiting.popleft()
            n = 0 if self._error is not None else min(len(items), self.limit - self._line.held)
            if n:
                self._line.put(items[:n])
            if n < len(items) and self._error is None:
                self._waiting.appendleft((items[n:], answer))
                return
            answer(self._error)
