"""Maximum-likelihood parameter generation."""

import math
from collections.abc import Sequence

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.signal.delta import DELTA_SUFFIX, DeltaWindow, DeltaWindows, parse_windows


def mlpg(means: Array, variances: Array, windows: Sequence[DeltaWindow]) -> Array:
    """Return the most likely trajectory y under independent Gaussians on its static and dynamic features.

        (sum_w W_w' * P_w * W_w) * y = sum_w W_w' * P_w * mu_w,    row t of W_w * y: sum_k c_w[l + k] * y[t + k]

    For each window w, mu_w are the means and P_w the reciprocals of the variances, on a diagonal; ' is the transpose. y
    is 0 before its first frame and after its last.

    means: [T, windows * D], all static, then all delta, and so on; variances: the same shape, or one row [windows * D]
    for all frames, each value from 1e-100 to 1e100; windows: tuples (l, u, c) with l + u + 1 coefficients c; the first
    is (0, 0, [1.0]). The dynamic features of the first and the last max(l, u) frames have weight 0. Returns [T, D] in
    the dtype of the means (float32 for int16), computed in float64. Raises ValueError for shapes or windows that do not
    fit, and for invalid variances.
    """
    from dspgraph_nodes._kernels.signal.mlpg import precisions, trajectory, window_terms

    terms = window_terms(windows)
    terms.dimensions(means, variances)
    y, _ = trajectory(means.astype(np.float64, copy=False), precisions(variances, len(means), terms), terms)
    return y.astype(np.result_type(means, np.float32), copy=False)


class Mlpg(Node):
    """Generate the most likely trajectory of static features from means and variances of static and dynamic features.

        y = argmax N(W * y; mu, Sigma):    W' * Sigma**-1 * W * y = W' * Sigma**-1 * mu

    mu are the means, Sigma the variances on a diagonal; ' is the transpose. W * y is what `delta` with the same windows
    computes from y. So the features of a trajectory, taken as means, give the trajectory back, whatever the variances
    are. Rows of the kind "mcep+delta" become "mcep". The node needs the whole signal, because every frame of y depends
    on all means.

    Source: K. Tokuda, T. Yoshimura, T. Masuko, T. Kobayashi and T. Kitamura, Speech Parameter Generation Algorithms for
    HMM-Based Speech Synthesis, ICASSP 2000.
    """

    means = Input(Frames)
    variances = Input(Frames, "variance")
    frames = Output(Frames)

    windows: DeltaWindows = Field(
        ("static", "delta", "delta_delta"), description="windows of the features, in their order"
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

    def lookahead(self, means: Frames, variances: Frames) -> float:
        return math.inf

    def step(self, state: State, means: Array, variances: Array) -> tuple[State, Array]:
        return state, mlpg(means, variances, self._windows())

    def _windows(self) -> list[DeltaWindow]:
        try:
            return parse_windows(self.windows)
        except ValueError as error:
            raise ParameterError(f"mlpg.windows {error}: write 'static' first, then the others") from error
