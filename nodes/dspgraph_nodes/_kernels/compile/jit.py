"""Compilation of kernels by numba, and the cache of their machine code on disk."""

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pickle import UnpicklingError
from typing import IO, Any, TypeVar, cast

from numba import njit
from numba.core import caching
from numba.core.runtime.nrt import rtsys

from dspgraph.closure import closure

Function = TypeVar("Function", bound=Callable[..., Any])

_LONGEST_WAIT = 60.0
"""The most seconds that a process waits for the machine code that another process compiles.

A process whose compilation fails holds the lock until the process ends, so every wait needs a limit.
"""


def kernel(function: Function) -> Function:
    """Return `function` as a kernel: numba compiles it on its first call with each set of argument types.

    The arithmetic follows IEEE 754, in the order in which it is written, without fastmath and without fused
    multiply-adds. So neither the cut of a signal nor the width of a machine's vectors changes any bit of a result. A
    division by zero gives inf or NaN, as in numpy.

    In a kernel, copy arrays item by item and not by `x[a:b] = y`. For that statement numba also compiles the error
    about different lengths, which takes three seconds or more in every process that compiles the kernel.

    The machine code is kept in a cache on disk. It is compiled again when the kernel's module, or any file that it
    imports directly or indirectly, has changed. If there is no folder for the cache that can be written to, every
    process compiles the kernels again.
    """
    return _compiled(function, counted=True)


def loop_kernel(function: Function) -> Function:
    """Return `function` as a kernel that makes no arrays; numba counts no references to the arrays that it reads.

    In an ordinary kernel numba counts references where it cannot show that it need not, also in loops. In the loop over
    samples of a WaveNet of 32 channels this took half of the time. A loop kernel that would make an array itself, as by
    `np.zeros(n)`, cannot be compiled: make arrays before the call. A view, such as x[n] or x.reshape(4, -1), is no
    array of its own. A function that a loop kernel calls must not return an array, whose memory would never be freed.

    In all other respects it is a kernel, see `kernel`.
    """
    return _compiled(function, counted=False)


def _compiled(function: Function, counted: bool) -> Function:
    """Return `function` as a kernel, with the cache on disk. counted: whether numba counts references to arrays.

    The option is always given: otherwise numba takes it from the kernel that calls this one first, and the code that is
    kept on disk would depend on the order of the calls.
    """
    options: Any = {"error_model": "numpy", "_nrt": counted}  # numba's types do not name `_nrt`
    compiled = njit(**options)(function)
    try:
        compiled._cache = _Cache(function)  # type: ignore[no-untyped-call]  # where `njit(cache=True)` puts numba's own cache
    except RuntimeError:  # numba found no folder for a cache
        _say_that_nothing_is_kept()
    return cast(Function, compiled)


def part_of_kernel(function: Function) -> Function:
    """Return `function` as a part of kernels: numba compiles it into each kernel that calls it, as if written there.

    If one compiled function passes arrays to another, numba may count references to them, which takes time in a loop. A
    part of a kernel often avoids this, as long as the loop makes no view, such as `x.reshape(4, -1)`: make views before
    the loop. `loop_kernel` avoids it always. The part alone has no machine code on disk.
    """
    return cast(Function, njit(error_model="numpy", inline="always")(function))


@cache
def _say_that_nothing_is_kept() -> None:
    print(
        "dspgraph: compiled kernels cannot be kept: neither the folders of their source files nor the cache folder of "
        "the user can be written to. Every process compiles them again, which takes some seconds. To keep them, set "
        "NUMBA_CACHE_DIR to a folder that can be written to.",
        file=sys.stderr,
    )


class CompilationNotice:
    """A message on stderr that is printed once if the kernels of a process take long to compile.

    patience: the seconds of compilation, of all kernels together, after which it is printed. Of several worker
    processes only the first prints it. Each call of `begin` needs a call of `end`.
    """

    def __init__(self, patience: float = 2.0) -> None:
        self.patience = patience
        self._running = 0
        self._begun = 0.0
        self._timer: threading.Timer | None = None
        worker = multiprocessing.current_process().name if multiprocessing.parent_process() else ""
        self._said = bool(worker) and not worker.endswith("-1")

    def begin(self) -> None:
        """Note that the compilation of a kernel begins. Compilations of several kernels may overlap."""
        self._running += 1
        if self._running == 1 and not self._said:
            self._begun = time.monotonic()
            self._timer = threading.Timer(max(0.0, self.patience), self._say)
            self._timer.daemon = True
            self._timer.start()

    def end(self) -> None:
        """Note that the compilation of a kernel has ended."""
        self._running -= 1
        if self._running == 0 and self._timer:
            self._timer.cancel()
            self.patience -= time.monotonic() - self._begun

    def _say(self) -> None:
        if not self._said and sys.stderr:
            self._said = True
            print("dspgraph: compiling kernels, once: later runs begin at once", file=sys.stderr, flush=True)


NOTICE = CompilationNotice()


class _StampedByImports:
    """A numba cache locator that drops machine code if the function's file, or any file that it imports, has changed.

    A locator is an object of numba that finds the folder for the machine code of a function. Numba's own locators check
    only the function's file.
    """

    _module: str

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        """Return a locator for a function in the file `file`, or None if the locator's folder cannot be used."""
        locator = super().from_function(function, file)  # type: ignore[misc]  # defined by the second base class
        if locator is not None:
            locator._module = function.__module__
        return locator

    def get_source_stamp(self) -> str:
        """Return a hash of the function's file and of all project files that it imports, directly or indirectly."""
        return closure(self._module).digest


class _GivenFolder(_StampedByImports, caching.UserProvidedCacheLocator):
    """The cache locator for the folder that the environment variable NUMBA_CACHE_DIR names."""


class _BesideTheSource(_StampedByImports, caching.InTreeCacheLocator):
    """The cache locator for the folder `__pycache__` beside the source file."""


class _UserFolder(_StampedByImports, caching.UserWideCacheLocator):
    """The cache locator for a folder in the user's cache folder."""


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [_GivenFolder, _BesideTheSource, _UserFolder, caching.IPythonCacheLocator]


class _Cache(caching.FunctionCache):
    """The cache on disk for the machine code of one kernel.

    While one process compiles the kernel, other processes wait for its machine code and do not compile it too. If they
    have waited `_LONGEST_WAIT` seconds, they compile it.
    """

    _impl_class = _CacheImpl
    _locked: IO[bytes] | None = None  # the file whose lock is held while this process compiles the kernel

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        found = self._loaded(signature, target_context)
        if found is not None:
            return found
        NOTICE.begin()
        self._lock()
        found = self._loaded(signature, target_context)
        if found is not None:  # kept by another process meanwhile
            self._end()
        return found  # if None, numba now compiles the kernel, and then saves it

    def _loaded(self, signature: Any, target_context: Any) -> Any:
        """Return the machine code on disk for a signature; None if there is none, or if a file of the cache is damaged.

        The method of numba for this first loads all that a compilation needs, which takes a fifth of a second. Machine
        code needs only numba's functions for memory. If a file of the cache is cut, for instance after a power failure,
        a line on stderr says so, and all machine code of the kernel on disk is dropped; if that fails, the cache of the
        kernel is off in this process.
        """
        rtsys.initialize(target_context)
        try:
            with self._guard_against_spurious_io_errors():
                return self._load_overload(signature, target_context)  # type: ignore[no-untyped-call]
        except (EOFError, UnpicklingError):
            print(
                f"dspgraph: {self.cache_path}: a file is damaged; compiling `{self._py_func.__name__}` again",
                file=sys.stderr,
            )
        try:
            self.flush()  # type: ignore[no-untyped-call]
        except OSError:  # the index cannot be replaced, and numba cannot read it: every process says so and compiles
            self.disable()  # type: ignore[no-untyped-call]
        return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)  # type: ignore[no-untyped-call]
        except OSError:  # the disk is full, or can no longer be written to
            _say_that_nothing_is_kept()
        finally:
            self._end()

    def _lock(self) -> None:
        """Wait until no other process compiles this kernel, then lock it; wait at most `_LONGEST_WAIT` seconds.

        After this time, and where files cannot be locked, return without the lock; in the latter case at once.
        """
        if self._locked or find_spec("fcntl") is None:
            return
        import fcntl  # Windows does not have it

        deadline = time.monotonic() + _LONGEST_WAIT
        try:
            self._impl.locator.ensure_cache_path()
            file = open(f"{self._cache_file._index_path}.lock", "wb")  # noqa: SIM115  # stays open while the lock is held
        except OSError:
            return
        while time.monotonic() < deadline:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # a file system without locks
                break
            else:
                self._locked = file
                return
        file.close()

    def _end(self) -> None:
        NOTICE.end()
        if self._locked:
            import fcntl

            fcntl.flock(self._locked, fcntl.LOCK_UN)  # a process that was forked meanwhile has the file open too
            self._locked.close()
            self._locked = None
