"""Import of modules by one process at a time."""

import fcntl
import tempfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

LIBROSA = ("librosa.beat", "librosa.core.audio", "librosa.core.pitch", "librosa.util.utils")
"""The modules of librosa with gufuncs, which numba compiles and caches when they are imported.

numba keeps the machine code of a gufunc in one file and that of its wrapper in another. If two processes compile a gufunc
at the same time, one of them can load the wrapper that the other has saved; this wrapper has another name than the one
that the process looks for, so that it calls address 0 and dies. Later processes that load such a pair of files die too.
"""

LOCK = Path(tempfile.gettempdir(), "dspgraph_tests_import.lock")
"""The file that a process locks while it imports."""


def import_alone(names: Iterable[str]) -> None:
    """Import modules as soon as no other process is importing modules by this function. names: of the modules."""
    with open(LOCK, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for name in names:
            import_module(name)
