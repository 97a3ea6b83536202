"""Static and dynamic features."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.delta import (
    DELTA_SUFFIX,
    DeltaWindow,
    DeltaWindows,
    delta_features,
    parse_windows,
    valid_delta_features,
    window_context,
)


def delta(x: Array, windows: Sequence[DeltaWindow]) -> Array:
    """Return the features of every window: o_w[t] = sum_k c_w[l + k] * x[t + k], k = -l .. u.

    x: [n, D], taken as 0 outside; windows: tuples (l, u, c) with l + u + 1 coefficients c. Returns [n, windows * D],
    the D features of the first window first, in the dtype of x (float32 for int16); the sums are in float64.
    """
    return delta_features(x, windows).astype(np.result_type(x, np.float32), copy=False)


class Delta(Node):
    """Append dynamic features to rows: all static features, then all delta, then all delta-delta.

        o_w[t] = sum_k c_w[k] * x[t + k],    x = 0 outside the signal

    A window is "static", with the coefficient 1; "delta", with -0.5, 0, 0.5; "delta_delta", with 1, -2, 1; or a list of
    an odd number of coefficients, the middle one for the frame itself. The first window must be static. Rows of the
    kind "mcep" become "mcep+delta"; `mlpg` with the same windows turns them into "mcep" again.

    Source: K. Tokuda, T. Yoshimura, T. Masuko, T. Kobayashi and T. Kitamura, Speech Parameter Generation Algorithms for
    HMM-Based Speech Synthesis, ICASSP 2000.
    """

    frames = Input(Frames)
    features = Output(Frames)

    windows: DeltaWindows = Field(
        ("static", "delta", "delta_delta"), description="windows of the features, in their order"
    )

    def streams(self, frames: Frames) -> tuple[Frames]:
        if frames.dtype.kind == "c":
            raise ParameterError(f"delta takes real rows; found {frames} in {frames.dtype}: take a part of them first")
        return (frames.like(kind=frames.kind + DELTA_SUFFIX, width=frames.width * len(self._windows())),)

    def lookahead(self, frames: Frames) -> Fraction:
        return window_context(self._windows())[1] / frames.rate

    def start(self, frames: Frames) -> State:
        return np.zeros((window_context(self._windows())[0], frames.width), frames.dtype)

    def step(self, held: State, frames: Array) -> tuple[State, Array]:
        back, ahead = window_context(self._windows())
        rows = np.concatenate((held, frames))
        features = valid_delta_features(rows, self._windows()).astype(rows.dtype, copy=False)
        return rows[max(0, len(rows) - back - ahead) :].copy(), features

    def flush(self, held: State) -> tuple[Array]:
        after = np.zeros((window_context(self._windows())[1], held.shape[1]), held.dtype)
        return (self.step(held, after)[1],)

    def _windows(self) -> list[DeltaWindow]:
        try:
            return parse_windows(self.windows)
        except ValueError as error:
            raise ParameterError(f"delta.windows {error}: write 'static' first, then the others") from error
