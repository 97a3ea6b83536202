"""Speech synthesis by WORLD."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


class WorldSynthesis(Node):
    """Synthesise speech with WORLD from pitch, power spectrum and aperiodicity.

    Once per pitch period, a minimum-phase filter with the spectrum `power` is excited by a pulse and by noise; in
    unvoiced frames, every 2 ms by noise alone. The noise is the same in every run. Row k is valid at the time k /
    f0.rate plus the centre of `f0`; the first row is also used before its time, and the last row after its time.
    Between two rows all values are interpolated linearly. For rows of n_fft / 2 + 1 values, the response of the filter
    has n_fft samples. It must hold at least two periods: a row with a lower pitch counts as unvoiced. A pitch above
    rate / 2 raises ValueError. Where both rows around a pulse have no power, the response is silence. The node waits
    for 1.5 * n_fft samples and two rows, because a response begins before its pulse, and its noise lasts until the next
    pulse.

    Source: M. Morise, F. Yokomori and K. Ozawa, WORLD: a vocoder-based high-quality speech synthesis system for
    real-time applications, IEICE Transactions on Information and Systems E99-D(7), 2016. The samples equal those of
    WORLD's program, as of 2021, with its random numbers, apart from rounding. A sample exactly in the middle between a
    voiced and an unvoiced row, which rounding makes voiced or unvoiced in WORLD, is unvoiced here.
    """

    f0 = Input(Frames, "f0")
    power = Input(Frames, "power")
    aperiodicity = Input(Frames, "aperiodicity")
    y = Output(Audio)

    rate: int = Field(
        16000, ge=8000, le=192000, description="sampling rate of the output, Hz: the rate of the analysed audio"
    )

    def streams(self, f0: Frames, power: Frames, aperiodicity: Frames) -> tuple[Audio]:
        from dspgraph_nodes._kernels.foreign.world import shortest_fft

        if f0.width != 1:
            raise ParameterError(f"world_synthesis takes one pitch per frame; found {f0}")
        if power.width != aperiodicity.width:
            raise ParameterError(
                f"world_synthesis takes rows of one width; found {power} and {aperiodicity}: give both the same n_fft"
            )
        n_fft, least = 2 * (power.width - 1), shortest_fft(Fraction(self.rate))
        if n_fft < least or n_fft & (n_fft - 1):
            raise ParameterError(
                f"world_synthesis takes rows of n_fft / 2 + 1 values, n_fft a power of two, at {self.rate} Hz at least "
                f"{least}; found {power}"
            )
        if f0.rate > self.rate:
            raise ParameterError(
                f"world_synthesis.rate is {self.rate}, less than one sample for every row of {f0}: take the rate of "
                "the audio that was analysed"
            )
        return (Audio(rate=self.rate, dtype=power.dtype),)

    def lookahead(self, f0: Frames, power: Frames, aperiodicity: Frames) -> Fraction:
        from dspgraph_nodes._kernels.signal.world_pulses import samples_beyond

        rows = 2 / f0.rate - f0.centre  # until the row after a sample has come
        return max(Fraction(0), Fraction(samples_beyond(2 * (power.width - 1)), self.rate) + rows)

    def start(self, f0: Frames, power: Frames, aperiodicity: Frames) -> State:
        from dspgraph_nodes._kernels.signal.world_pulses import Responses

        return Responses(Fraction(self.rate), f0.rate, f0.centre, 2 * (power.width - 1)), power.dtype

    def step(self, state: State, f0: Array, power: Array, aperiodicity: Array) -> tuple[State, Array]:
        responses, dtype = state
        pitch, highest = np.maximum(f0[:, 0].astype(np.float64), 0), self.rate / 2
        if not (pitch <= highest).all():
            at = int(np.argmin(pitch <= highest))
            raise ValueError(
                f"a pitch at {self.rate} samples per second is at most {highest:g} Hz; frame {responses.rows + at} "
                f"has {pitch[at]:g} Hz"
            )
        y = responses.push(pitch, power.astype(np.float64), aperiodicity.astype(np.float64))
        return state, y.astype(dtype, copy=False)

    def flush(self, state: State) -> tuple[Array]:
        responses, dtype = state
        none = responses.power[:0]
        return (responses.push(np.zeros(0), none, none, True).astype(dtype, copy=False),)
