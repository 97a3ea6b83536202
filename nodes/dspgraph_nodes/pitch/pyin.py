"""Pitch by probabilistic YIN."""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.limits import MOST_HOP

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.signal.framing import Framing
    from dspgraph_nodes._kernels.signal.pyin import PitchGrid


def track_pyin(
    x: Array,
    rate: Fraction,
    hop: int,
    low: float,
    high: float,
    periods: float,
    wait: float,
    centre: float | None = None,
) -> Array:
    """Return the pitch by pYIN: one value in Hz for every `hop` samples, [ceil(n / hop)]; 0 where unvoiced.

    x: [n] samples, taken as 0 outside; rate: sampling rate, Hz; low, high: the range of the pitch, Hz; periods: length
    of a frame, in periods of the lowest pitch; wait: seconds of later frames that decide about a frame; centre:
    position of the centre of a frame, in samples after the start of its span, by default the middle of the span. The
    search is wider than the range, see `Pyin`; a pitch at or beyond an end of the range becomes 0. Raises ValueError if
    `centre` is not a multiple of 1/2.
    """
    from dspgraph_nodes._kernels.signal.f0_range import drop_outside
    from dspgraph_nodes._kernels.signal.pyin import end_path, extend_path, start_path

    cut, grid = _search(rate, hop, low, high, periods, centre)
    path = start_path(grid, math.floor(wait * float(rate) / hop))
    f0 = extend_path(grid, path, cut.whole(x)) if len(x) else np.empty(0)
    return drop_outside(np.concatenate((f0, end_path(path))), low, high)


class Pyin(Node):
    """Track the pitch with pYIN as the signal arrives, one row every `hop` samples; 0: unvoiced.

        d(lag) = sum_j (x[j] - x[j + lag])**2,    d'(lag) = lag * d(lag) / (sum over k = 1 .. lag of d(k))

    j runs over a frame of `periods` periods of the lowest pitch, beyond whose end x counts as 0. Without a `centre` the
    frame lies in the middle of the span of its row. Each trough of d' is a candidate with the pitch rate / lag, where
    lag is the lowest point of the parabola through the trough and its two neighbours. The probability of a candidate is
    the share of thresholds, beta-distributed (2, 18) from 0 to 1, for which its trough is chosen: of the troughs below
    a threshold, each is exp(-2) times as probable as the trough before it. If none is below the threshold, the deepest
    trough is chosen with the probability 0.01. The probability of an unvoiced frame is 1 minus the sum of these
    probabilities.

    The pitch is that of the best path (Viterbi) through bins of a tenth of a semitone, each voiced and unvoiced. The
    path may change its pitch by up to 18 octaves per second, rounded to half semitones per frame, and changes its
    voicing with a probability of 0.01 per frame. `wait` seconds of later frames decide about a frame. The node waits
    for these, and for the part of a frame that lies after the span: 0.1142 s with the defaults, at 16 kHz. If the frame
    has a candidate in the bin of the path, the result is the exact pitch of the candidate, otherwise the pitch of the
    bin.

    The search reaches a factor of 1.2 beyond each end of the range. If it finds a pitch at or beyond an end of the
    range f0_min .. f0_max, the frame is unvoiced. The result does not depend on the level of the signal.

    Measured on vowels at 16 kHz, every semitone from 45 to 809 Hz: no frame has an error of more than a fifth of the
    pitch. On speech, a frame for which RAPT and SWIPE' agree about the pitch has the same pitch here, within 2 % on
    average; in 4 % of the frames the node finds a pitch where the other two find none, mostly at the ends of voiced
    sounds.

    Source: M. Mauch and S. Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold
    distributions", ICASSP 2014. Details that the paper does not give, and the settings, are those of librosa, except
    for the exact pitch of the result and `wait`.
    """

    x = Input(Audio)
    f0 = Output(Frames, "f0")

    hop: int = Field(80, ge=1, le=MOST_HOP, description="samples from one frame to the next")
    f0_min: float = Field(60.0, ge=20.0, description="lowest pitch, Hz")
    f0_max: float = Field(400.0, gt=20.0, description="highest pitch, Hz")
    periods: float = Field(2.0, ge=1.5, le=20.0, description="length of a frame, in periods of the lowest pitch")
    centre: float | None = Field(
        None, ge=-1e6, le=1e6, description="centre of a frame, samples after the start of the span of its row"
    )
    wait: float = Field(0.1, ge=0.0, le=1.0, description="length of the later signal that decides about a frame, s")

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        if not self.f0_min < self.f0_max <= x.rate / 4:
            raise ParameterError(
                f"pyin.f0_min is {self.f0_min:g} and f0_max {self.f0_max:g}; at {x} they must rise, and be at most "
                f"{float(x.rate / 4):g} Hz: change them, or put a 'resample' to a higher rate before it"
            )
        cut, _ = self._search(x)
        centre = Fraction(2 * cut.first + cut.length, 2) / x.rate
        return (Frames(x.rate / self.hop, "f0", 1, centre=centre, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> Fraction:
        cut, _ = self._search(x)
        return (cut.beyond + self._frames(x) * self.hop) / x.rate

    def start(self, x: Audio) -> State:
        from dspgraph_nodes._kernels.signal.pyin import start_path

        cut, grid = self._search(x)
        return cut, grid, cut.start(x.dtype), start_path(grid, self._frames(x))

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        from dspgraph_nodes._kernels.signal.pyin import extend_path

        cut, grid, held, path = state
        return state, self._rows(extend_path(grid, path, cut.step(held, x)), x.dtype)

    def flush(self, state: State) -> tuple[Array]:
        from dspgraph_nodes._kernels.signal.pyin import end_path, extend_path

        cut, grid, held, path = state
        f0 = extend_path(grid, path, cut.flush(held)), end_path(path)
        return (self._rows(np.concatenate(f0), held.samples.dtype),)

    def _rows(self, f0: Array, dtype: np.dtype[Any]) -> Array:
        from dspgraph_nodes._kernels.signal.f0_range import drop_outside

        return drop_outside(f0, self.f0_min, self.f0_max).astype(dtype, copy=False).reshape(-1, 1)

    def _search(self, x: Audio) -> "tuple[Framing, PitchGrid]":
        try:
            return _search(x.rate, self.hop, self.f0_min, self.f0_max, self.periods, self.centre)
        except ValueError as error:
            raise ParameterError(f"pyin.{error}") from None

    def _frames(self, x: Audio) -> int:
        """Return the number of later frames that decide about a frame."""
        return math.floor(self.wait * float(x.rate) / self.hop)


def _search(
    rate: Fraction, hop: int, low: float, high: float, periods: float, centre: float | None
) -> "tuple[Framing, PitchGrid]":
    """Return the framing of pYIN, and the grid of lags and pitches that it searches.

    The arguments are those of `track_pyin`, with the same ValueError, whose message begins with "centre"; the grid
    reaches a factor of 1.2 beyond low and high.
    """
    from dspgraph_nodes._kernels.signal.f0_range import SEARCH_MARGIN
    from dspgraph_nodes._kernels.signal.framing import centred_framing
    from dspgraph_nodes._kernels.signal.pyin import pitch_grid

    middle = hop / 2 if centre is None else centre
    odd = round(2 * middle) % 2  # a frame whose middle is between two samples has an odd length
    cut = centred_framing(2 * round(periods * float(rate) / low / 2) + odd, hop, middle)
    return cut, pitch_grid(float(rate), hop, low / SEARCH_MARGIN, high * SEARCH_MARGIN)
