"""The magnitude step of the fast Griffin-Lim algorithm."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def impose_magnitudes(found: Array, before: Array, magnitude: Array, share: Array) -> None:
    """Give found - share before the wanted magnitudes, in place, and store the given `found` in `before`.

    All arrays are [n, bins], the first two complex; share: [1]. Where the difference or its square is 0, the result is
    0.
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
