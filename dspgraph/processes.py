"""Processes that the signals of a terminal do not end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

IGNORED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))
"""Signals that a process ignores: a terminal sends them to all processes of a command, which then ends this one."""


def ignore_signals() -> None:
    """Ignore the signals that a terminal sends to all processes of a command, in this process."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block the signals that a terminal sends to all processes of a command, until the `with` block ends.

    They are also blocked in the processes that are started inside the block, so that none of them is ended by a signal
    that comes before it has called `ignore_signals`. On Windows nothing is blocked.
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
