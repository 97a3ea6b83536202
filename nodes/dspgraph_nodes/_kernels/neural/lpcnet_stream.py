"""LPCNet for one signal whose features come in blocks: samples are synthesised as soon as they are determined.

Frame k determines the samples from k * hop - hop / 2 to k * hop + hop / 2, around the middle of its window; of frame 0
only the second half of these. The last frame also determines the last half hop of the signal.
"""

from typing import Any

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.conditioning import check_finite
from dspgraph_nodes._kernels.neural.lanes import Segment
from dspgraph_nodes._kernels.neural.lpcnet_codes import PEAK
from dspgraph_nodes._kernels.neural.lpcnet_packing import Network
from dspgraph_nodes._kernels.neural.lpcnet_synthesis import (
    FrameNetworkState,
    LaneState,
    deemphasis,
    features,
    frame_inputs,
    sharpness,
    synthesise,
)


def speech(
    network: Network, cepstrum: Array, pitch: Array, correlation: Array, lpc: Array, draw: np.random.Generator,
    hop: int, temperature: float, threshold: float, coef: float,
) -> Array:  # fmt: skip
    """Return the samples [n * hop] of a whole signal of n frames, full scale +-1, in the dtype of `cepstrum`.

    cepstrum, pitch, correlation, lpc, temperature, threshold: the inputs and parameters of the node `lpcnet`. draw: the
    generator of random numbers. hop: samples per frame. coef: the coefficient of the de-emphasis. Raises ValueError for
    features that are not finite.
    """
    state = SpeechState(network, cepstrum.shape[1], lpc.shape[1], cepstrum.dtype, hop, draw)
    found = []
    for segment in (state.push(network, cepstrum, pitch, correlation, lpc, temperature), state.flush(network)):
        ((samples, _),) = synthesise(network.sample, [segment], hop, threshold)
        found.append(state.finish(samples, coef))
    return np.concatenate(found)


class FrameClock:
    """A counter that says which samples of a signal its frames determine.

    Frame k determines the samples from hop * k - lead up to hop * (k + 1) - lead, except those before sample 0; the
    last frame determines all samples up to the end of the signal, hop samples for each frame received. hop: samples
    per frame; lead: hop / 2 for frames whose window is centred on the start of their span, 0 for frames that determine
    the samples of their own span.
    """

    def __init__(self, hop: int, lead: int) -> None:
        self.hop, self.lead = hop, lead
        self.received, self.done = 0, 0  # numbers of frames

    def _first_sample(self, frame: int) -> int:
        return max(0, self.hop * frame - self.lead)

    def receive(self, frames: int) -> None:
        """Count `frames` more frames that have arrived."""
        self.received += frames

    def advance(self, frames: int, last: bool = False) -> tuple[int, int]:
        """Move on by `frames` frames; return (number of samples that they determine, part of the first frame).

        The second number says how many of these samples the first of the frames determines, if it is not the last frame
        of the signal, which determines all that remain. last: whether these are the last frames of the signal.
        """
        begin = self._first_sample(self.done)
        end = self.hop * self.received if last else self._first_sample(self.done + frames)
        wait = self._first_sample(self.done + 1) - begin
        self.done += frames
        return end - begin, wait


class SpeechState:
    """The state of LPCNet for one signal whose features arrive in blocks.

    `push` and `flush` return a `Segment`, the description of the samples to compute next. The function `synthesise`
    computes the samples of segments; `finish` de-emphasises them and divides them by 32768.

    bands: numbers in a cepstrum; order: that of the linear prediction; dtype: that of the samples from `finish`; hop:
    samples per frame; draw: the generator of random numbers.
    """

    def __init__(
        self, network: Network, bands: int, order: int, dtype: Any, hop: int, draw: np.random.Generator
    ) -> None:
        self.frames, self.lane = FrameNetworkState(network.frame, bands), LaneState(network.sample, order)
        # Predictors and sharpness of the frames that wait for the two frames after them.
        self.lpc, self.sharpness = np.zeros((0, order)), np.zeros(0, np.float32)
        self.clock = FrameClock(hop, hop // 2)
        self.last_output = 0.0
        self.dtype, self.draw = dtype, draw

    def push(
        self, network: Network, cepstrum: Array, pitch: Array, correlation: Array, lpc: Array, temperature: float
    ) -> Segment:
        """Add the features of the next n frames; return the segment of all samples that are now determined.

        cepstrum: [n, bands]; pitch, correlation: [n, 1]; lpc: [n, order]. temperature: see `sharpness`. Raises
        ValueError for features that are not finite.
        """
        check_finite(lpc, "LPCNet", "lpc")
        self.clock.receive(len(cepstrum))
        self.lpc = np.concatenate((self.lpc, lpc))
        self.sharpness = np.concatenate((self.sharpness, sharpness(correlation[:, 0], temperature)))
        conditions = self.frames.push(network.frame, features(network.frame, cepstrum, pitch, correlation))
        return self._segment(network, conditions)

    def flush(self, network: Network) -> Segment:
        """Return the segment of the remaining samples, up to the end of the signal. Call it after the last `push`."""
        none = np.zeros((0, self.frames.features.known.shape[1]), np.float32)
        return self._segment(network, self.frames.push(network.frame, none, last=True), last=True)

    def _segment(self, network: Network, conditions: Array, last: bool = False) -> Segment:
        n, (count, wait) = len(conditions), self.clock.advance(len(conditions), last)
        frames = frame_inputs(network.frame, conditions, self.lpc[:n], self.sharpness[:n])
        self.lpc, self.sharpness = self.lpc[n:], self.sharpness[n:]
        return Segment(self.lane, frames, wait, self.draw.random(count, dtype=np.float32))

    def finish(self, samples: Array, coef: float) -> Array:
        """Return synthesised samples [n] after de-emphasis, divided by 32768, in the dtype given to `SpeechState`.

        samples: [n], from `synthesise`; coef: the coefficient of the de-emphasis.
        """
        y = deemphasis(samples, coef, self.last_output)
        if len(y):
            self.last_output = float(y[-1])
        return (y / PEAK).astype(self.dtype, copy=False)
