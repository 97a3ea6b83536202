"""Checks of the operating system and the working directory, and a filter for warnings of numpy."""

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
    """Raise RequestError if the working directory has been removed.

    reason: a clause that says why it is needed, for the message, such as "a path is relative to it".
    """
    try:
        os.getcwd()
    except OSError:
        raise RequestError(
            f"the working directory does not exist any more, and {reason}: change to a folder that exists, or give "
            "absolute paths"
        ) from None


@contextmanager
def numpy_warnings_hidden() -> Iterator[None]:
    """Hide all RuntimeWarnings, such as numpy's about overflow, division by zero and NaN, in a `with` block.

    These warnings name a line of code and not the audio file. They are not needed: a result that is not finite raises
    an error that names the file and the time. The warnings are shown if the environment variable DSPGRAPH_TRACEBACK is
    set, or if Python was started with the option -W or with PYTHONWARNINGS.
    """
    with warnings.catch_warnings():
        if not os.environ.get(TRACEBACK) and not sys.warnoptions:
            warnings.simplefilter("ignore", RuntimeWarning)
        yield
