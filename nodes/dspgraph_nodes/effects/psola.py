"""Pitch shifting of speech by pitch-synchronous overlap-add."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State


class Psola(Node):
    """Raise or lower the pitch of a voice and keep its formants and its duration: TD-PSOLA.

    Marks are set at the largest peak of each period of the given pitch, and every 5 ms where the pitch is 0. Peaks are
    maxima of x, or of -x if the sample of the largest magnitude so far is negative. Several channels have the same
    marks: those of the channel with the largest magnitude so far. The grain of a mark is the signal times a Hann window
    that reaches from one period before the mark to one period after it; where the pitch is 0, from 5 ms before the mark
    to 5 ms after it. The output is a sum of grains. The distance from one grain to the next is period / r in voiced
    sounds, with r = 2**(semitones / 12), and 5 ms where the pitch is 0. Each grain of the output is the grain of the
    nearest mark. Grains of voiced sounds are divided by sqrt(r), so that the power stays as it is.

    The node waits for 3.5 periods of `f0_min`, 17.5 ms at least, because it must first find the marks around a sample,
    and for up to 1.5 rows of `f0`. A pitch below `f0_min` counts as 0; a pitch above rate / 4 raises ValueError.
    `pitch_shift` is for any sound, and moves the formants too.

    Source: E. Moulines and F. Charpentier, Pitch-synchronous waveform processing techniques for text-to-speech
    synthesis using diphones, Speech Communication 9(5-6), 1990.
    """

    x = Input(Audio)
    f0 = Input(Frames, "f0")
    y = Output(Audio)

    semitones: float = Field(ge=-24, le=24, description="interval, semitones")
    f0_min: float = Field(60.0, ge=20.0, le=1000.0, description="lowest pitch, Hz")

    def streams(self, x: Audio, f0: Frames) -> tuple[Audio]:
        if f0.width != 1:
            raise ParameterError(f"psola takes one pitch per frame; found {f0}")
        return (x,)

    def lookahead(self, x: Audio, f0: Frames) -> Fraction:
        from dspgraph_nodes._kernels.signal.psola import samples_beyond

        row = max(Fraction(0), Fraction(3, 2) / f0.rate - f0.centre)  # until the row nearest to a sample has come
        return samples_beyond(float(x.rate), float(x.rate) / self.f0_min) / x.rate + row

    def start(self, x: Audio, f0: Frames) -> State:
        from dspgraph_nodes._kernels.maths.elementary import LN_2, exp
        from dspgraph_nodes._kernels.signal.psola import NearestRows, PsolaSignal

        ratio = float(exp(np.array(LN_2 * self.semitones / 12)))
        rows = NearestRows(float(x.rate), float(f0.rate), float(f0.centre), f0.empty()[:, 0].astype(np.float64))
        return rows, PsolaSignal(float(x.rate), ratio, float(x.rate) / self.f0_min, x.channels), x

    def step(self, state: State, x: Array, f0: Array) -> tuple[State, Array]:
        return state, self._shifted(state, x, f0)

    def flush(self, state: State) -> tuple[Array]:
        return (self._shifted(state, state[2].empty(), np.zeros((0, 1)), True),)

    def _shifted(self, state: State, x: Array, f0: Array, end: bool = False) -> Array:
        rows, shift, stream = state
        pitch = f0[:, 0].astype(np.float64)
        if (pitch > rows.rate / 4).any():
            at = int(np.argmax(pitch > rows.rate / 4))
            raise ValueError(
                f"the pitch must be at most {rows.rate / 4:g} Hz; frame {rows.first + len(rows.held) + at} has "
                f"{pitch[at]:g} Hz"
            )
        nearest = rows.push(len(x), np.where(pitch >= self.f0_min, pitch, 0.0), end)
        periods = np.where(nearest > 0, rows.rate / np.where(nearest > 0, nearest, 1), 0.0)
        found = shift.push(x.reshape(-1, stream.channels).astype(np.float64), periods, end)
        samples: Array = found.reshape(-1, *stream.item_shape).astype(stream.dtype)
        return samples
