"""Text that C libraries print themselves. It is caught, so that it does not reach the terminal.

The decoders of MP3 and SDS files print warnings about damaged files to stderr and stdout, and libsndfile has no option
that turns this off. The manual of glibc ("Standard Streams") says that the C variables `stdout` and `stderr` may be set
to another stream. Python does not use these variables: text that Python prints, in any thread, is not caught. With
other C libraries than glibc, no text is caught.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_ROOM = 4096
"""The largest number of bytes of text that are kept. Further text is lost."""


class Printed:
    """Text that C libraries have printed. `text` is set when the `with` block of `catch_printed` ends."""

    text = ""


@contextmanager
def catch_printed() -> Iterator[Printed]:
    """Catch the text that C libraries print in the `with` block: `with catch_printed() as printed: ...`.

    After the block, `printed.text` is the text that they printed to stdout and stderr, up to _ROOM bytes; it is empty
    with other C libraries than glibc. Only one thread at a time can run such a block; other threads wait. A block
    inside another one would wait for ever.
    """
    printed, stream = Printed(), _stream()
    if stream is None:
        yield printed
        return
    with stream.lock:
        before = [variable.value for variable in stream.variables]
        for variable in stream.variables:
            variable.value = stream.file
        try:
            yield printed
        finally:
            for variable, value in zip(stream.variables, before, strict=True):
                variable.value = value
            printed.text = stream.take()


class _Stream:
    """A C stream that writes into memory.

    file: its address; None if it cannot be opened. variables: the C variables `stdout` and `stderr`, which can be set
    to this address. lock: to be held while they are.
    """

    def __init__(self, libc: ctypes.CDLL) -> None:
        self._libc, self._buffer, self.lock = libc, ctypes.create_string_buffer(_ROOM), threading.Lock()
        libc.fmemopen.restype = ctypes.c_void_p
        libc.fmemopen.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
        libc.ftell.restype = ctypes.c_long
        for function in (libc.fflush, libc.ftell, libc.rewind):
            function.argtypes = [ctypes.c_void_p]
        self.file = libc.fmemopen(self._buffer, _ROOM, b"w")
        self.variables = [ctypes.c_void_p.in_dll(libc, name) for name in ("stdout", "stderr")]

    def take(self) -> str:
        """Return the text that was written since the last call."""
        self._libc.fflush(self.file)
        length = self._libc.ftell(self.file)
        self._libc.rewind(self.file)
        return self._buffer.raw[:length].decode(errors="replace")


@cache
def _stream() -> _Stream | None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return None
    stream = _Stream(libc)
    return stream if stream.file else None
