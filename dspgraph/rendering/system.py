"""The system that rendering runs on, its working directory, and what numpy may print."""

from __future__ import annotations

import os
import platform
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from dspgraph.errors import TRACEBACK, RequestError


def check_system() -> None:
    """Raise RequestError on a system without POSIX file locks and signal masks, such as Windows."""
    if find_spec("fcntl") is None or not hasattr(signal, "pthread_sigmask"):
        raise RequestError(
            f"dspgraph renders and compares on Linux and macOS; this system is {platform.system() or 'unknown'}: use "
            "one of these, or on Windows the Windows Subsystem for Linux (WSL)"
        )


def check_working_directory(reason: str) -> None:
    """Raise RequestError if the working directory has been removed; reason: why it is needed, for the message."""
    try:
        os.getcwd()
    except OSError:
        raise RequestError(
            f"the working directory does not exist any more, and {reason}: change to a folder that exists, or give "
            "absolute paths"
        ) from None


@contextmanager
def numpy_warnings_hidden() -> Iterator[None]:
    """Hide the warnings of numpy about overflow, division by zero and NaN until the `with` block ends.

    They show a line of code, and say nothing of the file. A result that is not finite is an error that names the file
    and the time. The warnings are shown if DSPGRAPH_TRACEBACK is set, and to a user who has set warnings (python -W).
    """
    with warnings.catch_warnings():
        if not os.environ.get(TRACEBACK) and not sys.warnoptions:
            warnings.simplefilter("ignore", RuntimeWarning)
        yield
