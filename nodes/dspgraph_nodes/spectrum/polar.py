"""Magnitude and phase."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating


def polar(spectrum: Array) -> tuple[Array, Array]:
    """Return magnitude |X| and phase arg X, [n, bins] each, in the precision of the spectrum.

    spectrum: [n, bins], complex. The phase is in radians, -pi to pi; where the magnitude is 0, the phase is 0.
    """
    from dspgraph_nodes._kernels.maths.elementary import angle, squared_magnitude

    spectrum = floating(spectrum)
    wide = spectrum.astype(np.complex128, copy=False)  # which holds the square of any float32
    magnitude = np.sqrt(squared_magnitude(wide)).astype(spectrum.real.dtype, copy=False)
    phase: Array = np.where(magnitude > 0, angle(spectrum), magnitude)
    return magnitude, phase


class Polar(Node):
    """Split complex spectra into magnitude and phase.

        |X| = sqrt(Re(X)**2 + Im(X)**2),    arg X in radians, -pi to pi

    Where the magnitude is 0, the phase is 0.

    Source: NumPy reference, `numpy.absolute` and `numpy.angle`.
    """

    spectrum = Input(Frames, "spectrum", "constant_q")
    magnitude = Output(Frames, "magnitude", "constant_q_magnitude")
    phase = Output(Frames, "phase", "constant_q_phase")

    def streams(self, spectrum: Frames) -> tuple[Frames, Frames]:
        if spectrum.dtype.kind != "c":
            raise ParameterError(f"polar takes complex rows; found {spectrum} of {spectrum.dtype}")
        real = np.empty(0, spectrum.dtype).real.dtype
        of = "constant_q_" if spectrum.kind == "constant_q" else ""  # its bins differ from those of an stft
        return spectrum.like(kind=f"{of}magnitude", dtype=real), spectrum.like(kind=f"{of}phase", dtype=real)

    def step(self, state: State, spectrum: Array) -> tuple[State, Array, Array]:
        return state, *polar(spectrum)
