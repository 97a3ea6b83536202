"""Spectra given the magnitudes that were asked for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel

Array = NDArray[Any]


@kernel
def accelerated(found: Array, before: Array, magnitude: Array, share: Array) -> None:
    """Give found - share before the magnitudes wanted, in place, and keep what was found in `before`.

    All [n, bins], the first two complex; share: [1]. Where the difference is 0, or its square is, the result is 0.
    """
    s = share[0]
    for k in range(len(found)):
        new, old, wanted = found[k], before[k], magnitude[k]
        for b in range(len(wanted)):
            re = new[b].real - s * old[b].real
            im = new[b].imag - s * old[b].imag
            size = np.sqrt(re * re + im * im)
            scale = wanted[b] / size if size > 0 else wanted[b] * 0
            old[b] = new[b]
            new[b] = complex(re * scale, im * scale)
