"""Logarithms of power, magnitude and mel bands."""

import math
from typing import Literal

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import floating

LogUnit = Literal["natural", "db"]
_NAMES = {
    "natural": {"power": "log_power", "magnitude": "log_magnitude", "mel": "log_mel"},
    "db": {"power": "power_db", "magnitude": "magnitude_db", "mel": "mel_db"},
}


def log_rows(x: Array, factor: float, floor: float, reference: float | None, reach: float | None) -> Array:
    """Return factor * (ln(max(x, floor)) - ln(max(reference, floor))), with a limited range if `reach` is given.

    x: [n, width], n >= 1, at least 0; factor: 1 for natural logarithms, 10 / ln 10 for dB of a power, 20 / ln 10 for dB
    of a magnitude; floor: a floor below finfo(dtype).tiny is replaced by finfo(dtype).tiny; reference: None for the
    largest value of x; reach: None for no limit, otherwise the result is at least its own largest value minus `reach`,
    which is in the unit of the result. The result has the dtype of x (float32 for int16).
    """
    from dspgraph_nodes._kernels.maths.elementary import log

    x = floating(x)
    least = max(float(np.finfo(x.dtype).tiny), floor)
    level = max(float(x.max()) if reference is None else reference, least)
    y = (log(np.maximum(x.astype(np.float64), least)) - float(log(np.array(level)))) * factor
    if reach is not None:
        y = np.maximum(y, y.max() - reach)
    return y.astype(x.dtype)


class Log(Node):
    """Compute logarithms of power, magnitude or mel bands, natural or in dB, relative to a reference.

        y[n, i] = f * (ln(max(x[n, i], floor)) - ln(max(reference, floor)))
        f = 1 (natural),    f = 10 / ln(10) for dB of a power,    f = 20 / ln(10) for dB of a magnitude

    With a `range`, the output is at least its largest value in the whole signal minus `range`. With `reference: null`
    the reference is the largest value of the signal. In both cases the node waits for the whole signal. In dB of a
    power, with a floor of 1e-10, the output is that of librosa's `power_to_db` with top_db=range. `exp` is the inverse.

    Source: librosa 0.11 reference, `librosa.power_to_db` and `librosa.amplitude_to_db`.
    """

    x = Input(Frames, *_NAMES["db"])
    y = Output(Frames, *_NAMES["db"].values(), *_NAMES["natural"].values())

    unit: LogUnit = Field("db", description="natural logarithm or decibel")
    mel_of: Literal["power", "magnitude"] = Field("power", description="the spectrum that mel bands were summed from")
    floor: float | None = Field(1e-10, gt=0, description="smallest value; null: the smallest normal number")
    reference: float | None = Field(1.0, gt=0, description="value with logarithm 0; null: the largest of the signal")
    range: float | None = Field(None, gt=0, description="largest distance to the peak, in the unit of the output")

    def streams(self, x: Frames) -> tuple[Frames]:
        if x.dtype.kind == "c":
            raise ParameterError(f"log takes real rows; found {x} in {x.dtype}: put a 'power' or 'polar' before it")
        return (x.like(kind=_NAMES[self.unit][x.kind]),)

    def lookahead(self, x: Frames) -> float:
        return 0.0 if self.reference is not None and self.range is None else math.inf

    def start(self, x: Frames) -> State:
        from dspgraph_nodes._kernels.maths.elementary import LN_10

        of = self.mel_of if x.kind == "mel" else x.kind
        return 1.0 if self.unit == "natural" else (20 if of == "magnitude" else 10) / LN_10

    def step(self, factor: State, x: Array) -> tuple[State, Array]:
        return factor, log_rows(x, factor, self.floor or 0.0, self.reference, self.range)
