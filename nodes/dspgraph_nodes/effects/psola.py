"""Pitch shifting of speech by pitch-synchronous overlap-add."""

import math

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.arrays import by_channel, by_time


class Psola(Node):
    """Raise or lower the pitch of a voice and keep its formants and its duration: TD-PSOLA.

    Marks are set at the largest peak of each period of the given pitch, and every 5 ms where the pitch is 0. The grain
    of a mark is the signal times a Hann window that reaches from one period before the mark to one period after it,
    where the pitch is 0 from 5 ms before it to 5 ms after it. The output is a sum of grains. The distance from one
    grain to the next is period / r in voiced sounds, with r = 2**(semitones / 12), and 5 ms where the pitch is 0. At
    each place the grain of the nearest mark is added. Grains of voiced sounds are divided by sqrt(r), so that the power
    stays as it is. Several channels have the same marks: those of the channel with the largest sample. The node waits
    for the whole signal, because all marks follow from the first. `pitch_shift` is for any sound, and moves the
    formants too.

    Source: E. Moulines and F. Charpentier, Pitch-synchronous waveform processing techniques for text-to-speech
    synthesis using diphones, Speech Communication 9(5-6), 1990.
    """

    x = Input(Audio)
    f0 = Input(Frames, "f0")
    y = Output(Audio)

    semitones: float = Field(ge=-24, le=24, description="interval, semitones")

    def streams(self, x: Audio, f0: Frames) -> tuple[Audio]:
        if f0.width != 1:
            raise ParameterError(f"psola takes one pitch per frame; found {f0}")
        return (x,)

    def lookahead(self, x: Audio, f0: Frames) -> float:
        return math.inf

    def start(self, x: Audio, f0: Frames) -> State:
        return float(x.rate), float(f0.rate), float(f0.centre)

    def step(self, state: State, x: Array, f0: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.maths.elementary import LN_2, exp
        from dspgraph_nodes._kernels.signal.psola import pitch_marks, psola

        rate, rows, centre = state
        nearest = np.floor((np.arange(len(x)) / rate - centre) * rows + 0.5).astype(np.int64)
        pitch = f0[np.clip(nearest, 0, len(f0) - 1), 0].astype(np.float64)
        high = pitch > rate / 4
        if high.any():
            raise ValueError(f"the pitch must be at most {rate / 4:g} Hz; found {float(pitch.max()):g} Hz")
        periods = np.where(pitch > 0, rate / np.where(pitch > 0, pitch, 1), 0.0)
        ratio = float(exp(np.array(LN_2 * self.semitones / 12)))
        rows = by_channel(x.astype(np.float64))
        loudest = max(rows, key=lambda row: np.abs(row).max(initial=0))
        marks = pitch_marks(loudest, rate, periods)
        return state, by_time(np.stack([psola(row, marks, ratio) for row in rows])).astype(x.dtype)
