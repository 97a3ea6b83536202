"""Maximum-likelihood parameter generation."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.delta import DELTA_SUFFIX, DeltaWindow, DeltaWindows, parse_windows


def mlpg(means: Array, variances: Array, windows: Sequence[DeltaWindow], first: int = 0) -> Array:
    """Return the most likely trajectory y under independent Gaussians on its static and dynamic features.

        (sum_w W_w' * P_w * W_w) * y = sum_w W_w' * P_w * mu_w,    row t of W_w * y: sum_k c_w[l + k] * y[t + k]

    For each window w, mu_w are the means and P_w the reciprocals of the variances, on a diagonal; ' is the transpose. y
    is 0 before its first frame and after its last.

    means: [T, windows * D], all static, then all delta, and so on; variances: the same shape, or one row [windows * D]
    for all frames, each value from 1e-100 to 1e100; windows: tuples (l, u, c) with l + u + 1 coefficients c, for k = -l
    .. u; the first is (0, 0, [1.0]); first: the number of the frame means[0] in the whole signal, only for the texts of
    errors. The dynamic features of the first and the last max(l, u) frames have weight 0. Returns [T, D] in the dtype
    of the means (float32 for int16), computed in float64. Raises ValueError for shapes or windows that do not fit, and
    for invalid variances.
    """
    from dspgraph_nodes._kernels.signal.mlpg import precisions, trajectory, window_terms

    terms = window_terms(windows)
    terms.dimensions(means, variances)
    p = precisions(variances, len(means), terms, first)
    y, _ = trajectory(means.astype(np.float64, copy=False), p, terms, first)
    return y.astype(np.result_type(means, np.float32), copy=False)


class Mlpg(Node):
    """Generate the most likely trajectory of static features from means and variances of static and dynamic features.

        y = argmax N(W * y; mu, Sigma):    W' * Sigma**-1 * W * y = W' * Sigma**-1 * mu

    mu are the means, Sigma the variances on a diagonal; ' is the transpose. W * y is what `delta` with the same windows
    computes from y. So the features of a trajectory, taken as means, give the trajectory back, whatever the variances
    are. Rows of the kind "mcep+delta" become "mcep".

    Every frame of y depends on all means, so that the node needs the whole signal. With a `reach`, the node waits for
    `reach` frames only, and frame t of y is computed from the frames t - reach .. t + reach that exist: it is frame t
    of the trajectory of these frames. The influence of a frame on another falls with the distance between them by a
    constant factor per frame, which the variances determine.

    Source: K. Tokuda, T. Yoshimura, T. Masuko, T. Kobayashi and T. Kitamura, Speech Parameter Generation Algorithms for
    HMM-Based Speech Synthesis, ICASSP 2000. With a reach: T. Muramatsu, Y. Ohtani, T. Toda, H. Saruwatari and K.
    Shikano, Low-Delay Voice Conversion Based on Maximum Likelihood Estimation of Spectral Parameter Trajectory,
    Interspeech 2008, where the frames before t are kept in a recursion.
    """

    means = Input(Frames)
    variances = Input(Frames, "variance")
    frames = Output(Frames)

    windows: DeltaWindows = Field(
        ("static", "delta", "delta_delta"), description="windows of the features, in their order"
    )
    reach: int | None = Field(
        None, ge=1, le=1000, description="frames before and after a frame that decide about it; null: all"
    )

    def streams(self, means: Frames, variances: Frames) -> tuple[Frames]:
        count = len(self._windows())
        if means.dtype.kind == "c" or variances.dtype.kind == "c":
            raise ParameterError(f"mlpg takes real rows; found {means} in {means.dtype}: take a part of them first")
        if not means.kind.removesuffix(DELTA_SUFFIX) or not means.kind.endswith(DELTA_SUFFIX):
            raise ParameterError(
                f"mlpg takes static and dynamic features, of a kind such as 'mcep{DELTA_SUFFIX}'; found {means}: put a "
                "'delta' node before it"
            )
        if means.width % count:
            raise ParameterError(
                f"mlpg.windows are {count}, which do not divide the {means.width} features of a row: take the windows "
                "the features were made with"
            )
        if variances.width != means.width:
            raise ParameterError(
                f"mlpg takes a variance for every feature; found {means.width} features and {variances.width} "
                "variances: give as many"
            )
        return (means.like(kind=means.kind.removesuffix(DELTA_SUFFIX), width=means.width // count),)

    def lookahead(self, means: Frames, variances: Frames) -> Fraction | float:
        return math.inf if self.reach is None else self.reach / means.rate

    def start(self, means: Frames, variances: Frames) -> State:
        return means.empty(), variances.empty(), 0, 0

    def step(self, state: State, means: Array, variances: Array) -> tuple[State, Array]:
        if self.reach is None:
            return state, mlpg(means, variances, self._windows())
        return self._near(state, means, variances, self.reach)

    def flush(self, state: State) -> tuple[Array, ...]:
        return () if self.reach is None else (self._near(state, state[0][:0], state[1][:0], 0)[1],)

    def _near(self, state: State, means: Array, variances: Array, wait: int) -> tuple[State, Array]:
        """Return (next state, output frames): the waiting frames after which at least `wait` input frames have come.

        state: the means and the variances of the frames that are kept, for how many of these frames the output was
        returned already, and the number of the first kept frame in the signal; means, variances: those of the next
        frames.
        """
        kept, spread, given, number = state
        means, variances = np.concatenate((kept, means)), np.concatenate((spread, variances))
        windows, reach = self._windows(), self.reach or 0
        rows = [means[:0, : means.shape[1] // len(windows)]]
        for t in range(given, len(means) - wait):
            first = max(0, t - reach)
            part = slice(first, t + reach + 1)
            rows.append(mlpg(means[part], variances[part], windows, number + first)[t - first : t - first + 1])
        done = max(given, len(means) - wait)
        gone = max(0, done - reach)
        return (means[gone:].copy(), variances[gone:].copy(), done - gone, number + gone), np.concatenate(rows)

    def _windows(self) -> list[DeltaWindow]:
        try:
            return parse_windows(self.windows)
        except ValueError as error:
            raise ParameterError(f"mlpg.windows {error}: write 'static' first, then the others") from error
