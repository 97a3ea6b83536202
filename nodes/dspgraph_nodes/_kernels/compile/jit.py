"""Compilation of kernels, and the cache of their machine code."""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import caching

from dspgraph.closure import closure

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile `function` on its first call for each dtype, and keep the result on disk.

    The arithmetic is IEEE's, in the order it is written (no fastmath, no fused multiply-add), so that neither the cut
    of a signal nor the vectors of a machine change a bit. A division by zero gives inf or NaN, as in numpy.

    A kernel may call kernels of other files: kept code is used only while none of the files that the kernel's module
    imports has changed. Where nothing can be written, kernels are compiled anew in every process.
    """
    compiled = njit(error_model="numpy")(function)
    try:
        compiled._cache = _Cache(function)  # type: ignore[attr-defined, no-untyped-call]  # as `njit(cache=True)` does with its own
    except RuntimeError:  # numba found no folder for a cache
        _say_that_nothing_is_kept()
    return cast(Function, compiled)


def part_of_kernel(function: Function) -> Function:
    """Compile `function` into each kernel that calls it, as if it were written there. Nothing of its own is kept.

    Numba counts references to arrays that are handed from function to function; this spares a loop the time.
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


class _StampedByImports:
    """A place for kept machine code that goes out of date when any file changes that the function's module imports.

    numba's own locators look at the function's file alone.
    """

    _module: str

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        """Return a locator for a function, or None if its folder cannot be written to."""
        locator = super().from_function(function, file)  # type: ignore[misc]  # that of the class mixed in
        if locator is not None:
            locator._module = function.__module__
        return locator

    def get_source_stamp(self) -> str:
        """Return the hash of the function's file and of all that it imports."""
        return closure(self._module).digest


class _GivenFolder(_StampedByImports, caching.UserProvidedCacheLocator):
    """NUMBA_CACHE_DIR."""


class _BesideTheSource(_StampedByImports, caching.InTreeCacheLocator):
    """The folder `__pycache__`."""


class _UserFolder(_StampedByImports, caching.UserWideCacheLocator):
    """The user's folder for caches."""


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [_GivenFolder, _BesideTheSource, _UserFolder, caching.IPythonCacheLocator]


class _Cache(caching.FunctionCache):
    """The machine code of one kernel on disk."""

    _impl_class = _CacheImpl

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)  # type: ignore[no-untyped-call]
        except OSError:  # the disk is full, or can no longer be written to
            _say_that_nothing_is_kept()
