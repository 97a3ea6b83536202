"""Speech synthesis by WORLD."""

import math
from fractions import Fraction

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


class WorldSynthesis(Node):
    """Synthesise speech with WORLD from pitch, power spectrum and aperiodicity.

    Once per pitch period, a minimum-phase filter with the spectrum `power` is excited by a pulse and by noise; in
    unvoiced frames, by noise alone. The noise is the same in every run. Row k is valid at the time k / f0.rate plus the
    centre of `f0`; the first row is also used before its time, and the last row after its time. If all powers of the
    signal are 0, the output is silence; otherwise, powers below 2.2e-308 are raised to this number, the smallest normal
    float64. The node needs the whole signal.

    Source: M. Morise, F. Yokomori and K. Ozawa, WORLD: a vocoder-based high-quality speech synthesis system for
    real-time applications, IEICE Transactions on Information and Systems E99-D(7), 2016; the code is WORLD's, called
    through pyworld (`pip install 'dspgraph[world]'`).
    """

    f0 = Input(Frames, "f0")
    power = Input(Frames, "power")
    aperiodicity = Input(Frames, "aperiodicity")
    y = Output(Audio)

    rate: int = Field(
        16000, ge=8000, le=192000, description="sampling rate of the output, Hz: the rate of the analysed audio"
    )

    def streams(self, f0: Frames, power: Frames, aperiodicity: Frames) -> tuple[Audio]:
        from dspgraph_nodes._kernels.foreign.world import PYWORLD_MISSING, is_installed, shortest_fft

        if not is_installed():
            raise ParameterError(f"world_synthesis {PYWORLD_MISSING}")
        if f0.width != 1:
            raise ParameterError(f"world_synthesis takes one pitch per frame; found {f0}")
        if power.width != aperiodicity.width:
            raise ParameterError(
                f"world_synthesis takes rows of one width; found {power} and {aperiodicity}: give both the same n_fft"
            )
        n_fft = 2 * (power.width - 1)
        shortest = shortest_fft(Fraction(self.rate))
        if n_fft < shortest or n_fft & (n_fft - 1):
            raise ParameterError(
                f"world_synthesis takes rows of n_fft / 2 + 1 values, n_fft a power of two, at {self.rate} Hz at least "
                f"{shortest}; found {power}"
            )
        if f0.rate > self.rate:
            raise ParameterError(
                f"world_synthesis.rate is {self.rate}, less than one sample for every row of {f0}: take the rate of "
                "the audio that was analysed"
            )
        return (Audio(rate=self.rate, dtype=power.dtype),)

    def lookahead(self, f0: Frames, power: Frames, aperiodicity: Frames) -> float:
        return math.inf

    def start(self, f0: Frames, power: Frames, aperiodicity: Frames) -> State:
        return f0.rate, f0.centre

    def step(self, state: State, f0: Array, power: Array, aperiodicity: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.foreign.world import synthesis

        frames, centre = state
        n = min(len(f0), len(power), len(aperiodicity))
        y = synthesis(f0[:n, 0], power[:n], aperiodicity[:n], Fraction(self.rate), frames, centre)
        return state, y.astype(power.dtype, copy=False)
