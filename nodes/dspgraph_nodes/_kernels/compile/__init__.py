"""Compilation of kernels.

This package imports numba before its modules do, and hides scipy.linalg meanwhile: numba imports it only to see that it
is there, which takes a fifth of a second. When a kernel needs it, numba imports it again.
"""

import sys
from types import ModuleType

_BLAS = "scipy.linalg.cython_blas"

if "numba" not in sys.modules and _BLAS not in sys.modules:
    sys.modules[_BLAS] = ModuleType(_BLAS)
    try:
        import numba  # noqa: F401
    finally:
        del sys.modules[_BLAS]
