"""Whether a piece of code does too much work: seconds of the processor, and a count of function calls."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def soon() -> Iterator[None]:
    """Fail if the block takes 30 seconds of processor time.

    It guards code that takes about a second from becoming code that takes minutes or never ends.
    """
    begun = time.process_time()
    yield
    assert time.process_time() - begun < 30


def calls(work: Callable[[], object]) -> int:
    """The number of Python and C functions that `work` calls: the same on a busy machine and under coverage."""
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
