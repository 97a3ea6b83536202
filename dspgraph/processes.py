"""Protection of processes from the signals of a terminal: Ctrl-C (SIGINT), and the end of the terminal (SIGHUP)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

IGNORED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))
"""Signals that a terminal sends to all processes of a command. The main process acts on them and ends the others."""


def ignore_signals() -> None:
    """Make this process ignore the signals that a terminal sends to all processes of a command (IGNORED)."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block, in this thread, the signals of a terminal (IGNORED), until the `with` block ends.

    A process that this thread starts inside the block inherits the blocking. Such a signal therefore cannot end it
    before it has called `ignore_signals`. On Windows nothing is blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # in the block its start would unblock the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
