"""Environments in which a program runs: a terminal, a shell, or a full disk."""

import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def on_a_terminal(columns: int, *arguments: object, piped: Path | None = None) -> str:
    """Run `dspgraph` with arguments in a terminal, and return the text that the terminal gets, with escape sequences.

    columns: the width of the terminal; piped: a file that gets the standard output in place of the terminal.
    """
    leader, follower = pty.openpty()
    code = f"from dspgraph.cli.main import main; main({[str(argument) for argument in arguments]!r})"
    settings = {"COLUMNS": str(columns), "TERM": "xterm", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with piped.open("w") if piped else os.fdopen(os.dup(follower), "w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=out, stderr=follower, stdin=follower, env={**os.environ, **settings}
        )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux: no process has the other end open any more
            break
        if not part:
            break
        shown += part
    process.wait()
    os.close(leader)
    return shown.decode()


def in_a_shell(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `dspgraph` with arguments in bash, and return its exit code, stdout and stderr.

    line: the command line, in which DSPGRAPH stands for the program and its arguments: "ulimit -n 14; DSPGRAPH 2>&-".
    """
    program = shlex.join([sys.executable, "-m", "dspgraph", *map(str, arguments)])
    line = line.replace("DSPGRAPH", program)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False)


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Return a context that raises AssertionError in the `with` block once it has taken `seconds`, 1 or more.

    It also ends code that waits for ever, for instance for a pipe. It works in the main thread only.
    """

    def late(*_: object) -> None:
        raise AssertionError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Return a context in which a write of this process to a file beyond `size` bytes fails, as on a full disk.

    The OSError is "File too large".
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
