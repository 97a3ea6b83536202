"""Power, magnitude and mel bands from their logarithms."""

from typing import Literal

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, State
from dspgraph_nodes._kernels.arrays import floating

_KINDS = {
    "log_power": "power",
    "log_magnitude": "magnitude",
    "log_mel": "mel",
    "power_db": "power",
    "magnitude_db": "magnitude",
    "mel_db": "mel",
}
"""Kind of the output, by the kind of the input."""


def exp_rows(x: Array, factor: float, reference: float) -> Array:
    """Return reference * e**(x / factor), in the dtype of x (float32 for int16); infinite where it is too large.

    x: of any shape; factor: 1 for natural logarithms, 10 / ln 10 for dB of a power, 20 / ln 10 for dB of a magnitude.
    """
    from dspgraph_nodes._kernels.maths.elementary import exp

    x = floating(x)
    with np.errstate(over="ignore"):
        y: Array = (exp(x.astype(np.float64) / factor) * reference).astype(x.dtype)
    return y


class Exp(Node):
    """Compute power, magnitude or mel bands from their logarithms: the inverse of `log`.

        y[n, i] = reference * exp(x[n, i] / f)
        f = 1 (natural),    f = 10 / ln(10) for dB of a power,    f = 20 / ln(10) for dB of a magnitude

    The kind of the rows says whether they are natural logarithms or dB; for mel bands in dB, `mel_of` says of what.
    Values that `log` replaced, because they were below its floor or outside its range, are not restored.

    Source: librosa 0.11 reference, `librosa.db_to_power` and `librosa.db_to_amplitude`.
    """

    x = Input(Frames, *_KINDS)
    y = Output(Frames, "power", "magnitude", "mel")

    mel_of: Literal["power", "magnitude"] = Field("power", description="the spectrum that mel bands were summed from")
    reference: float = Field(1.0, gt=0, description="value with logarithm 0")

    def streams(self, x: Frames) -> tuple[Frames]:
        return (x.like(kind=_KINDS[x.kind]),)

    def start(self, x: Frames) -> State:
        from dspgraph_nodes._kernels.maths.elementary import LN_10

        of = self.mel_of if x.kind == "mel_db" else _KINDS[x.kind]
        return 1.0 if x.kind.startswith("log_") else (20 if of == "magnitude" else 10) / LN_10

    def step(self, factor: State, x: Array) -> tuple[State, Array]:
        return factor, exp_rows(x, factor, self.reference)
