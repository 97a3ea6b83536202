"""The distribution of items to workers, and the search for an item that crashes its worker or never ends."""

from __future__ import annotations

import math
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Generic

from dspgraph.errors import RequestError
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Job, R

MAX_TRIES = 2
"""An item that has failed alone this many times is reported as failed."""

MAX_CHUNK = 64
"""Largest number of items in a chunk: the items that a worker is given at a time. A batch may have more items."""

CHUNKS_PER_WORKER = 2
"""Number of chunks that a Ray actor has at a time: when it has finished one, it can begin the next without waiting."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_jobs(jobs: int | None) -> int | None:
    """Return `jobs`. Raises RequestError if it is below 1. jobs: the number of workers, or None for the default."""
    if jobs is not None and jobs < 1:
        raise RequestError(f"the number of jobs is at least 1; found {jobs}")
    return jobs


def check_timeout(timeout: float | None) -> float | None:
    """Return `timeout`, in seconds; None means no timeout. Raises RequestError if it is not a finite number above 0."""
    if timeout is not None and not 0 < timeout < math.inf:
        raise RequestError(f"a timeout is a number of seconds above 0; found {timeout:g}")
    return timeout


class ItemQueue(Generic[R]):
    """Items that wait for a worker.

    When a worker fails (it dies, or an item takes too long), one of its open items is the cause: an item that the
    worker has begun and not finished. The open items are put back as two chunks, each with half of the items, and the
    items that were not begun as one chunk. If a chunk of open items fails, it is halved again, until a chunk has one
    item. An item that fails alone is tried alone once more. If it fails again (MAX_TRIES), it is reported as failed.

    job: the job that the workers run. workers: the number of workers, 1 or more; chunks are smaller if there are more
    workers.
    """

    def __init__(self, job: Job[R], items: Sequence[Item], workers: int) -> None:
        self.job = job
        self._new = deque(items)
        self._returned: deque[list[Item]] = deque()
        self._failures: Counter[str] = Counter()
        self._workers = workers

    def __bool__(self) -> bool:
        """Return whether items are waiting."""
        return bool(self._returned or self._new)

    def next_chunk(self) -> list[Item]:
        """Take the items for the next free worker out of the queue; return an empty list if no item is waiting.

        Chunks that were put back come first. Chunks become smaller towards the end of the corpus, so that all workers
        end at about the same time.
        """
        if self._returned:
            return self._returned.popleft()
        left = len(self._new)
        size = max(self.job.open_items, min(MAX_CHUNK, left // (2 * CHUNKS_PER_WORKER * self._workers)), 1)
        return [self._new.popleft() for _ in range(min(size, -(-left // self._workers)))]

    def put_back(self, items: list[Item]) -> None:
        """Put items that no worker has begun back into the queue, as one chunk. An empty list is ignored."""
        if items:
            self._returned.append(items)

    def worker_failed(self, chunk: list[Item], reason: str, advice: str) -> Iterator[R]:
        """Put the unfinished items of a worker that failed back into the queue, while the results are iterated.

        An item that has failed alone MAX_TRIES times is not put back: its failed result is yielded. chunk: the
        unfinished items; the open items come first, and it may be empty. reason, advice: what happened to the worker,
        and a likely cause, for the message.
        """
        suspects = chunk[: self.job.open_items]
        self.put_back(chunk[self.job.open_items :])
        if len(suspects) > 1:
            half = len(suspects) // 2
            self._returned.extend((suspects[:half], suspects[half:]))
            return
        for item in suspects:
            self._failures[item.id] += 1
            if self._failures[item.id] < MAX_TRIES:
                self._returned.append([item])
            else:
                yield self.job.failed_result(item, f"{reason}, {MAX_TRIES} times: {advice}")
