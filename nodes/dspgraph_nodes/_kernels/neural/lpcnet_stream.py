"""One signal on its way through LPCNet: features come in blocks, samples go out as soon as they can be known.

Frame k gives the samples around the middle of its window, k hop - hop / 2 to k hop + hop / 2: frame 0 has only the
second half of these, and the last frame has another half hop at the end.
"""

from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.lpcnet_codes import PEAK
from dspgraph_nodes._kernels.neural.lpcnet_packing import Network
from dspgraph_nodes._kernels.neural.lpcnet_synthesis import (
    FrameNetworkState,
    LaneState,
    Segment,
    deemphasis,
    features,
    frame_inputs,
    sharpness,
)


class SpeechState:
    """The state of one signal. Its methods return segments, which `synthesise` makes into samples."""

    def __init__(
        self, network: Network, bands: int, order: int, dtype: Any, hop: int, draw: np.random.Generator
    ) -> None:
        self.frames, self.lane = FrameNetworkState(network.frame, bands), LaneState(network.sample, order)
        self.lpc, self.sharpness = np.zeros((0, order)), np.zeros(0, np.float32)  # of frames that wait for the next two
        self.received, self.done = 0, 0  # frames
        self.last_output = 0.0
        self.dtype, self.hop, self.draw = dtype, hop, draw

    def push(
        self, network: Network, cepstrum: Array, pitch: Array, correlation: Array, lpc: Array, temperature: float
    ) -> Segment:
        """Take the features of frames, and return the segment of the frames whose conditions are now known."""
        self.received += len(cepstrum)
        self.lpc = np.concatenate((self.lpc, lpc))
        self.sharpness = np.concatenate((self.sharpness, sharpness(correlation[:, 0], temperature)))
        conditions = self.frames.push(network.frame, features(network.frame, cepstrum, pitch, correlation))
        return self._segment(network, conditions, self._first_sample(self.done + len(conditions)))

    def flush(self, network: Network) -> Segment:
        """Return the segment of the remaining frames; the last frame reaches to the end of the signal."""
        return self._segment(network, self.frames.flush(network.frame), self.hop * self.received)

    def _first_sample(self, frame: int) -> int:
        """Return the first sample of a frame, half a hop before the middle of its window."""
        return max(0, self.hop * frame - self.hop // 2)

    def _segment(self, network: Network, conditions: Array, end: int) -> Segment:
        n, begin = len(conditions), self._first_sample(self.done)
        frames = frame_inputs(network.frame, conditions, self.lpc[:n], self.sharpness[:n])
        wait = self._first_sample(self.done + 1) - begin
        self.lpc, self.sharpness, self.done = self.lpc[n:], self.sharpness[n:], self.done + n
        return Segment(self.lane, frames, wait, self.draw.random(end - begin, dtype=np.float32))

    def finish(self, samples: Array, coef: float) -> Array:
        """Return the samples of a segment after de-emphasis, at full scale +-1, in the dtype of the stream."""
        y = deemphasis(samples, coef, self.last_output)
        if len(y):
            self.last_output = float(y[-1])
        return (y / PEAK).astype(self.dtype, copy=False)
