"""Power spectra."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating


def power(spectrum: Array) -> Array:
    """|X|**2. spectrum: [n, bins], complex. Returns [n, bins] in its precision."""
    from dspgraph_nodes._kernels.maths.elementary import squared_magnitude

    return squared_magnitude(floating(spectrum))


class Power(Node):
    """Power of spectra: Re(X)**2 + Im(X)**2.

    It is not divided by anything: a tone of amplitude A in the middle of a bin has (A sum(w) / 2)**2 there.

    Source: P. D. Welch, The Use of Fast Fourier Transform for the Estimation of Power Spectra, IEEE Transactions on
    Audio and Electroacoustics 15(2), 1967.
    """

    spectrum = Input(Frames, "spectrum")
    power = Output(Frames, "power")

    def streams(self, spectrum: Frames) -> tuple[Frames]:
        if spectrum.dtype.kind != "c":
            raise ParameterError(f"power takes complex rows; found {spectrum} of {spectrum.dtype}")
        return (spectrum.like(kind="power", dtype=np.empty(0, spectrum.dtype).real.dtype),)

    def step(self, state: State, spectrum: Array) -> tuple[State, Array]:
        return state, power(spectrum)
