"""Checks that a piece of code does not do too much work: by processor time, and by the number of function calls."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def soon() -> Iterator[None]:
    """Return a context that fails, after the `with` block, if the block took 30 seconds of processor time or more.

    It does not stop the block. It is for code that takes about a second, but that took minutes, or did not end, before
    a fault was mended.
    """
    begun = time.process_time()
    yield
    assert time.process_time() - begun < 30


def calls(work: Callable[[], object]) -> int:
    """Call `work`, and return the number of calls of Python and C functions in it, at any depth, in this thread.

    The call of `work` counts, and so does one call of `sys.setprofile` after it. The number is the same on a busy
    machine and under coverage.
    """
    count = 0

    def called(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
