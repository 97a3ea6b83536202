"""The operating systems that rendering runs on."""

from __future__ import annotations

import platform
import signal
from importlib.util import find_spec

from dspgraph.errors import RequestError


def check_system() -> None:
    """Raise RequestError on a system without POSIX file locks and signal masks, such as Windows."""
    if find_spec("fcntl") is None or not hasattr(signal, "pthread_sigmask"):
        raise RequestError(
            f"dspgraph renders and compares on Linux and macOS; this system is {platform.system() or 'unknown'}: use "
            "one of these, or on Windows the Windows Subsystem for Linux (WSL)"
        )
