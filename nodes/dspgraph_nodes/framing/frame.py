"""Framing of audio."""

from fractions import Fraction

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.limits import MOST_HOP, MOST_LENGTH
from dspgraph_nodes._kernels.signal.framing import FrameBuffer, Framing, centred_framing
from dspgraph_nodes._kernels.signal.windows import Window, WindowNorm, window_values


def frame(x: Array, window: Array, hop: int, first: int) -> Array:
    """Return frames f_k[i] = window[i] * x[k * hop + first + i], in an array [ceil(n / hop), length].

    x: [n], n >= 1, taken as 0 outside; window: [length]; hop: samples from one frame to the next; first: where frame k
    begins, in samples after k * hop.
    """
    frames: Array = Framing(len(window), hop, first).whole(x) * window
    return frames


class Frame(Node):
    """Cut audio into windowed frames of `length` samples, one every `hop` samples.

        f_k[i] = w[i] * x[k * hop + first + i],    first = centre - length / 2,    x = 0 outside the signal

    Frame k belongs to the span [k * hop, (k + 1) * hop). Without a `centre` the window lies in the middle of the span,
    or half a sample before the middle if exactly one of length and hop is odd. Windows are periodic. `norm: power`
    divides the window by sqrt(sum_i w[i]**2), so that the gain of a linear predictor is the RMS of its residual.

    Source: SPTK 4.0 reference, `window` (normalisation); SciPy reference, `scipy.signal.get_window`.
    """

    x = Input(Audio)
    frames = Output(Frames, "wave")

    length: int = Field(ge=1, le=MOST_LENGTH, description="width of the window, samples")
    hop: int = Field(ge=1, le=MOST_HOP, description="samples from one frame to the next")
    window: Window = Field("hann", description="shape of the window")
    norm: WindowNorm = Field("none", description="power: scale the window so that its squares sum to 1")
    centre: float | None = Field(
        None, ge=-1e6, le=1e6, description="centre of the window, samples after the start of the frame's span"
    )

    def first(self) -> int:
        """Return how many samples after the start of its span a frame begins; negative if it begins before.

        Raises ParameterError if a frame would begin between two samples.
        """
        return self._cut().first

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        centre = Fraction(2 * self.first() + self.length, 2) / x.rate
        return (Frames(rate=x.rate / self.hop, kind="wave", width=self.length, centre=centre, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> Fraction:
        return self._cut().beyond / x.rate

    def start(self, x: Audio) -> State:
        return self._cut().start(x.dtype)

    def step(self, held: FrameBuffer, x: Array) -> tuple[State, Array]:
        return held, self._windowed(self._cut().step(held, x))

    def flush(self, held: FrameBuffer) -> tuple[Array]:
        return (self._windowed(self._cut().flush(held)),)

    def _cut(self) -> Framing:
        try:
            return centred_framing(self.length, self.hop, self.centre)
        except ValueError as error:
            raise ParameterError(f"frame.{error}") from None

    def _windowed(self, frames: Array) -> Array:
        windowed: Array = frames * window_values(self.window, self.norm, self.length, frames.dtype)
        return windowed
