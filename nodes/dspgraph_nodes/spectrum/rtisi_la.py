"""Phase reconstruction that streams."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_HOP, MOST_POINTS
from dspgraph_nodes._kernels.signal.overlap_add import OverlapState
from dspgraph_nodes._kernels.signal.rtisi import Rtisi, RtisiState
from dspgraph_nodes._kernels.signal.windows import Window, window_values


@dataclass
class RtisiLaState:
    """State of the node: of the phases, and of the overlap of the frames whose phases are final."""

    how: Rtisi
    held: RtisiState
    tail: OverlapState


class RtisiLa(Node):
    """Reconstruct audio from magnitudes alone, frame by frame, while they arrive: Griffin and Lim's iteration, live.

    The frame whose phases become final is held with `ahead` later ones. In each iteration all of them are overlapped
    and added to what the earlier, final frames add to their samples, analysed again, and given the magnitudes |X|. A
    new frame begins with the phases of what the frames before it add to its samples. The signal is made of the final
    frames as in `istft`. `griffin_lim` is better, but needs the whole signal. The windows are those of the frames
    everywhere; the paper gives the newest frame another one.

    Source: X. Zhu, G. T. Beauregard and L. L. Wyse, Real-time signal estimation from modified short-time Fourier
    transform magnitude spectra, IEEE Transactions on Audio, Speech, and Language Processing 15(5), 2007.
    """

    magnitude = Input(Frames, "magnitude")
    y = Output(Audio)

    hop: int = Field(256, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    length: int | None = Field(None, ge=1, le=MOST_POINTS, description="width of the window, samples; n_fft by default")
    window: Window = Field("hann", description="the window the frames were cut with")
    iterations: int = Field(8, ge=1, le=1000, description="iterations for every frame")
    ahead: int = Field(3, ge=0, le=64, description="frames of lookahead")

    def streams(self, magnitude: Frames) -> tuple[Audio]:
        self._first(magnitude)
        return (Audio(rate=magnitude.rate * self.hop, dtype=magnitude.dtype),)

    def lookahead(self, magnitude: Frames) -> Fraction:
        return self.ahead / magnitude.rate - self._first(magnitude) / (magnitude.rate * self.hop)

    def start(self, magnitude: Frames) -> State:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap
        from dspgraph_nodes._kernels.signal.rtisi import rtisi_start

        n_fft = 2 * (magnitude.width - 1)
        window = window_values(self.window, "none", self.length or n_fft, magnitude.dtype)
        how = Rtisi(window, self.hop, n_fft, self.iterations, self.ahead)
        tail = overlap.start(len(window), self.hop, self._first(magnitude), magnitude.dtype)
        return RtisiLaState(how, rtisi_start(how), tail)

    def step(self, state: State, magnitude: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.rtisi import rtisi_push

        found = [rtisi_push(state.how, state.held, row) for row in magnitude]
        return state, self._added(state, [row for row in found if row is not None])

    def flush(self, state: State) -> tuple[Array]:
        from dspgraph_nodes._kernels.signal import overlap_add as overlap
        from dspgraph_nodes._kernels.signal.rtisi import rtisi_pop

        y = self._added(state, [rtisi_pop(state.how, state.held) for _ in range(len(state.held.magnitude))])
        return (np.concatenate((y, overlap.flush(state.tail))),)

    def _added(self, state: RtisiLaState, rows: list[Array]) -> Array:
        """Return the samples that are complete after the frames with these final spectra."""
        from dspgraph_nodes._kernels.signal import overlap_add as overlap
        from dspgraph_nodes._kernels.signal.stft import inverse_frames

        window = state.how.window
        if not rows:
            return np.empty(0, window.dtype)
        pieces = inverse_frames([np.array(rows)], len(window))
        y: Array = overlap.step(state.tail, pieces, len(rows), window, window * window, self.hop)
        return y

    def _first(self, magnitude: Frames) -> int:
        """Return where a window begins, in samples from the start of its span."""
        from dspgraph_nodes._kernels.signal.stft import window_start

        try:
            return window_start(magnitude, self.hop, self.length, self.window)
        except ValueError as error:
            raise ParameterError(f"rtisi_la.{error}") from None
