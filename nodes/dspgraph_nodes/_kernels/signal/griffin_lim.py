"""One step of the fast Griffin-Lim algorithm: spectra get the wanted magnitudes."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel


@kernel
def impose_magnitudes(found: Array, before: Array, magnitude: Array, share: Array) -> None:
    """Replace `found` by the difference found - share * before, scaled to the wanted magnitudes.

    `before` gets the values that `found` had. found, before: [n, bins], complex, both changed in place; magnitude: [n,
    bins], the wanted magnitudes; share: an array of one number. Where the difference is 0, or so small that its square
    is 0, the new value is 0.
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
