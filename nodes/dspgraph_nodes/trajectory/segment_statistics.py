"""Means and variances of short segments."""

import numpy as np

from dspgraph import Array, Field, Frames, Input, Node, Output, ParameterError, State
from dspgraph_nodes._kernels.limits import MOST_HOP


def segment_statistics(frames: Array, floor: float) -> tuple[Array, Array]:
    """Return the mean and the variance of each column of one segment, repeated in every row.

    frames: [n, width], n >= 1. Returns means and variances, both [n, width], in the dtype of the frames (float32
    for int16); the sums are in float64, from the first row to the last. A variance is at least `floor`.
    """
    mean = np.zeros(frames.shape[1])
    for row in frames:
        mean += row
    mean /= len(frames)
    variance = np.zeros(frames.shape[1])
    for row in frames:
        variance += (row - mean) ** 2
    variance = np.maximum(variance / len(frames), floor)
    dtype = np.result_type(frames, np.float32)
    means, variances = (np.tile(row.astype(dtype), (len(frames), 1)) for row in (mean, variance))
    return means, variances


class SegmentStatistics(Node):
    """Compute the mean and the variance of every segment of `length` frames, repeated for each frame of the segment.

        m[k] = 1 / n * sum_j x[j],    v[k] = max(1 / n * sum_j (x[j] - m[k])**2, floor)

    j runs over the n frames of the segment that contains frame k. Segment s has the frames
    s * length .. (s + 1) * length - 1; the last segment has the frames that are left. Means and variances stand for the
    Gaussians of the states of a statistical model. With a length of 1 the means are the frames and every variance is
    the floor.

    Source: K. Tokuda, T. Yoshimura, T. Masuko, T. Kobayashi and T. Kitamura, Speech Parameter Generation Algorithms for
    HMM-Based Speech Synthesis, ICASSP 2000 (the Gaussians of a given sequence of states).
    """

    frames = Input(Frames)
    means = Output(Frames)
    variances = Output(Frames, "variance")

    length: int = Field(5, ge=1, le=MOST_HOP, description="frames in a segment")
    floor: float = Field(1e-4, gt=0.0, description="smallest variance; mlpg accepts 1e-100 to 1e100")

    def streams(self, frames: Frames) -> tuple[Frames, Frames]:
        if frames.dtype.kind == "c":
            raise ParameterError(
                f"segment_statistics takes real rows; found {frames} in {frames.dtype}: take a part of them first"
            )
        least, most = float(np.finfo(frames.dtype).tiny), float(np.finfo(frames.dtype).max)
        if not least <= self.floor <= most:
            raise ParameterError(
                f"segment_statistics.floor is {self.floor:g}, which {frames.dtype} cannot hold: take "
                f"{least:.3g} to {most:.3g}"
            )
        return frames, frames.like(kind="variance")

    def block_size(self, frames: Frames) -> int:
        return self.length

    def step(self, state: State, frames: Array) -> tuple[State, Array, Array]:
        return state, *segment_statistics(frames, self.floor)
