"""Complex spectra from magnitude and phase."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating
from dspgraph_nodes._kernels.signal.phase import from_polar


def cartesian(magnitude: Array, phase: Array) -> Array:
    """Return complex spectra |X| * (cos(p) + i * sin(p)), [n, bins]: complex64 for float32, complex128 for float64.

    magnitude: |X|, [n, bins]; phase: p, [n, bins], radians, in the same dtype.
    """
    return from_polar(floating(magnitude), floating(phase))


class Cartesian(Node):
    """Convert magnitude and phase to complex spectra: the inverse of `polar`.

        X = |X| * (cos(p) + i * sin(p)),    p in radians

    Source: NumPy reference, `numpy.angle`.
    """

    magnitude = Input(Frames, "magnitude", "constant_q_magnitude")
    phase = Input(Frames, "phase", "constant_q_phase")
    spectrum = Output(Frames, "spectrum", "constant_q")

    def streams(self, magnitude: Frames, phase: Frames) -> tuple[Frames]:
        if magnitude.width != phase.width:
            raise ParameterError(
                f"cartesian takes as many magnitudes as phases; found {magnitude} and {phase}: take both from one "
                "spectrum"
            )
        kind = "constant_q" if magnitude.kind == "constant_q_magnitude" else "spectrum"
        if (phase.kind == "constant_q_phase") != (kind == "constant_q"):
            raise ParameterError(
                f"cartesian takes magnitudes and phases of the same bins; found {magnitude} and {phase}: take both "
                "from one spectrum"
            )
        return (magnitude.like(kind=kind, dtype=np.result_type(magnitude.dtype, np.complex64)),)

    def step(self, state: State, magnitude: Array, phase: Array) -> tuple[State, Array]:
        return state, cartesian(magnitude, phase)
