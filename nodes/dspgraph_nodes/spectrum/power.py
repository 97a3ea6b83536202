"""Power spectrum."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating


def power(spectrum: Array) -> Array:
    """Return |X|**2, [n, bins], in the precision of the spectrum. spectrum: X, [n, bins], complex."""
    from dspgraph_nodes._kernels.maths.elementary import squared_magnitude

    return squared_magnitude(floating(spectrum))


class Power(Node):
    """Compute the power of spectra: Re(X)**2 + Im(X)**2.

    There is no normalisation: a tone of amplitude A at the centre of a bin has the power (A * sum(w) / 2)**2 in that
    bin, with the window w.

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
