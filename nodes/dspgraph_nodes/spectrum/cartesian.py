"""Complex spectra from magnitude and phase."""

import numpy as np

from dspgraph import Array, Frames, Input, Node, Output, ParameterError, State


def cartesian(magnitude: Array, phase: Array) -> Array:
    """|X| (cos p + i sin p). magnitude, phase (radians): [n, bins]. Returns [n, bins], complex, in their precision."""
    from dspgraph_nodes._kernels.elementary import phasor

    spectrum = phasor(phase)
    spectrum.real *= magnitude
    spectrum.imag *= magnitude
    return spectrum


class Cartesian(Node):
    """Spectra from their magnitude and phase: the inverse of `polar`.

        X = |X| (cos p + i sin p),    p in radians

    Source: NumPy reference, `numpy.angle`.
    """

    magnitude = Input(Frames, "magnitude")
    phase = Input(Frames, "phase")
    spectrum = Output(Frames, "spectrum")

    def streams(self, magnitude: Frames, phase: Frames) -> tuple[Frames]:
        if magnitude.width != phase.width:
            raise ParameterError(
                f"cartesian takes as many magnitudes as phases; found {magnitude} and {phase}: take both from one "
                "spectrum"
            )
        return (magnitude.like(kind="spectrum", dtype=np.result_type(magnitude.dtype, np.complex64)),)

    def step(self, state: State, magnitude: Array, phase: Array) -> tuple[State, Array]:
        return state, cartesian(magnitude, phase)
