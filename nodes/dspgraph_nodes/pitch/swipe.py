"""Pitch by SWIPE'."""

import math

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.limits import MOST_HOP


class Swipe(Node):
    """Track the pitch with SWIPE' (spectra matched to that of a sawtooth), one row every `hop` samples; 0: unvoiced.

    The windows are eight periods of a pitch long, rounded to a power of two, and centred on the start of each frame's
    span, so the centre of the rows is 0 (measured on chirps, within 0.3 ms). `frame` with centre 0 cuts frames that are
    aligned with them. The signal is taken as 0 before its start and after its end. The node needs the whole signal.

    At most settings pysptk's code reads past the end of its tables, and the result differs from call to call. At these
    settings the node tells pysptk a sampling rate that is up to 1 % too high, with which the code stays inside its
    tables, and scales the pitch back. At all other settings the result is pysptk's own.

    Source: A. Camacho and J. G. Harris, "A sawtooth waveform inspired pitch estimator for speech and music", Journal of
    the Acoustical Society of America 124(3), 2008; the code is SPTK's, called through pysptk.
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    f0_min: float = Field(60.0, ge=20.0, description="lowest pitch, Hz")
    f0_max: float = Field(400.0, gt=20.0, description="highest pitch, Hz")
    threshold: float = Field(0.3, ge=0.0, le=1.0, description="pitch strength above which a frame is voiced")

    def streams(self, x: Audio) -> tuple[Frames]:
        from dspgraph_nodes._kernels.foreign.sptk import swipe_rate

        require_mono(x, self)
        try:
            swipe_rate(x.rate, self.f0_min, self.f0_max)
        except ValueError as error:
            raise ParameterError(f"swipe: {error}") from None
        return (Frames(rate=x.rate / self.hop, kind="f0", width=1, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> float:
        return math.inf

    def start(self, x: Audio) -> State:
        return x.rate

    def step(self, rate: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.sptk import swipe

        f0 = swipe(x, rate, self.hop, self.f0_min, self.f0_max, self.threshold)
        return rate, f0.astype(x.dtype, copy=False).reshape(-1, 1)
