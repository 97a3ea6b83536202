"""The process of the command line: its standard streams, and the signals that end it."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from dspgraph.errors import MESSAGE_LETTERS, RequestError
from dspgraph.rendering.system import check_working_directory
from dspgraph.shown import escaped, shortened

GRACE = 10.0
"""Seconds after a signal during which further signals are ignored, so that they do not interrupt the cleaning up."""

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_DEFAULT = (signal.SIG_DFL, signal.default_int_handler)


class Stopped(KeyboardInterrupt):
    """The exception that `signals_raised` raises in running code after Ctrl-C (SIGINT), SIGTERM or SIGHUP.

    number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `Stopped` inside the `with` block when a signal asks the program to end.

    The exception closes everything that is open, so that no unfinished file is left. Signals that are ignored (SIGHUP
    under nohup) or that other code handles are not changed. Outside the main thread, this does nothing. After a
    signal has come, SIGINT, SIGTERM and SIGHUP are ignored for GRACE seconds. When the `with` block ends after a
    signal, they are ignored for good, because the process is about to end. Objects that were only partly made when the
    signal came may fail in `__del__`; Python's message about this, "Exception ignored in ...", is not printed.
    """
    latest = -GRACE

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal latest
        if time.monotonic() >= latest + GRACE:
            latest = time.monotonic()
            sys.unraisablehook = lambda _: None
            raise Stopped(number)

    replaced = {}
    if threading.current_thread() is threading.main_thread():  # only this thread can set handlers
        replaced = {one: signal.getsignal(one) for one in _ENDING if signal.getsignal(one) in _DEFAULT}
    for number in replaced:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler if latest < 0 else signal.SIG_IGN)


def report_stop(stop: KeyboardInterrupt) -> int:
    """Print to stderr which signal has stopped the program, and the notes of the exception; return the exit code.

    The exit code is 128 + the number of the signal, as in a shell: 130 for Ctrl-C.
    """
    number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
    reason = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    complain("; ".join([reason, *getattr(stop, "__notes__", ())]))
    return 128 + number


def complain(sentence: str) -> None:
    """Print "dspgraph: " and a sentence to stderr. If stderr cannot be written, the sentence is lost."""
    with suppress(OSError):
        click.echo(f"dspgraph: {sentence}", err=True)


def open_standard_streams() -> None:
    """Open the null device for every standard stream that is closed, as the streams of a daemon may be.

    Otherwise the next file that is opened gets the number of the stream, and whatever libraries print goes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # a new file gets the lowest free number, which is this one
            os.set_inheritable(number, True)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115 open until the process ends


def report_system_error(error: OSError) -> int:
    """Print to stderr an error of the system that no other code has handled; return the exit code.

    The exit code is 1 if the output could not be printed, otherwise 2. An error with a number but without a file name
    usually comes from a standard stream. Text that such a stream could not print is then discarded; otherwise Python
    would report the error again when it ends.
    """
    reason = error.strerror or str(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        complain(f"{reason}: allow more, by `ulimit -n 256` for instance")
        return 2
    if error.filename is not None or error.errno is None:  # without a number: an error with the text of a library
        place = f"{error.filename}: " if error.filename is not None else ""
        complain(shortened(escaped(f"{place}{reason}"), MESSAGE_LETTERS))
        return 2
    try:
        check_working_directory("a path is relative to it")
    except RequestError as gone:
        complain(str(gone))
        return 2
    complain(f"the output cannot be printed: {reason}: make room, or print to another place")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "w") as null:
                os.dup2(null.fileno(), stream.fileno())
    return 1
