"""Synthesis of speech from LPCNet's features, for one signal or for several; the loop takes up to sixteen at a time.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.lanes import MANY, Lane, Segment, in_lanes, places, schedule
from dspgraph_nodes._kernels.neural.layers import layer
from dspgraph_nodes._kernels.neural.layout import WIDTH, Schedule
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, SILENT_CODE
from dspgraph_nodes._kernels.neural.lpcnet_layout import FrameInputs, SampleNetwork, workspace
from dspgraph_nodes._kernels.neural.lpcnet_loop import TeacherForcing, run
from dspgraph_nodes._kernels.neural.lpcnet_packing import FrameNetwork

# ---- the frame-rate network -----------------------------------------------------------------------------------------


class FrameNetworkState:
    """The state of the frame-rate network for one signal whose features come in blocks.

    The condition of a frame depends on this frame, the two frames before it and the two frames after it.
    """

    def __init__(self, network: FrameNetwork, bands: int) -> None:
        self.features = np.zeros((1, bands + 2 + network.pitch.shape[1]), np.float32)
        self.inner = np.zeros((1, len(network.conv1.start) - WIDTH), np.float32)

    def push(self, network: FrameNetwork, features: Array) -> Array:
        """Add the features [n, width] of the next frames, and return the conditions that are now known."""
        features = np.concatenate((self.features, features))
        inner = np.concatenate((self.inner, layer(_with_neighbours(features), network.conv1)))
        self.features, self.inner = features[-2:], inner[-2:]
        return self._conditions(network, inner)

    def flush(self, network: FrameNetwork) -> Array:
        """Return the conditions of the last frames; the input of each convolution is 0 after the last frame."""
        features = np.concatenate((self.features, np.zeros_like(self.features[:1])))
        inner = layer(_with_neighbours(features), network.conv1)
        return self._conditions(network, np.concatenate((self.inner, inner, np.zeros_like(self.inner[:1]))))

    def _conditions(self, network: FrameNetwork, inner: Array) -> Array:
        return layer(layer(layer(_with_neighbours(inner), network.conv2), network.dense1), network.dense2)


def _with_neighbours(rows: Array) -> Array:
    """Return each row but the first and the last, joined with the rows before and after it: [n - 2, 3 * width]."""
    return np.concatenate((rows[:-2], rows[1:-1], rows[2:]), axis=1)


def features(network: FrameNetwork, cepstrum: Array, pitch: Array, correlation: Array) -> Array:
    """Return the inputs of the frame-rate network for n frames, float32: cepstrum, pitch, correlation, embedded pitch.

    cepstrum: [n, bands]; pitch, correlation: [n, 1]. The row of a pitch in the embedding is
    floor(0.1 + 50 * pitch + 100), limited to 33..255. Raises ValueError that names the first frame with a number that
    is not finite.
    """
    rows = np.concatenate((cepstrum, pitch, correlation), axis=1)
    check_finite("cepstrum, pitch and correlation", rows)
    index = np.clip(np.floor(0.1 + 50 * pitch[:, 0].astype(np.float64) + 100), 33, 255).astype(np.int64)
    return np.concatenate((rows, network.pitch[index]), axis=1).astype(np.float32)


def check_finite(name: str, rows: Array) -> None:
    """Raise ValueError that names the first frame with a number that is not finite.

    rows: [n, width], one row per frame; name: what the rows are, for the error.
    """
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ValueError(f"LPCNet takes finite numbers; frame {int(np.argmin(finite))} of {name} has others")


# ---- the loop -------------------------------------------------------------------------------------------------------


def frame_inputs(network: FrameNetwork, conditions: Array, lpc: Array, sharpness: Array) -> FrameInputs:
    """Return the inputs of the loop for n frames; conditions: [n, width]; lpc: [n, order]; sharpness: [n]."""
    rows_a, rows_b = (layer(conditions, one, tanh=False) for one in (network.gates_a, network.gates_b))
    return FrameInputs(rows_a, rows_b, np.ascontiguousarray(lpc, np.float64), sharpness.astype(np.float32))


def sharpness(correlation: Array, temperature: float = 1.0) -> Array:
    """Return the factor of the logits: (1 + max(0, 1.5 * g - 0.5)) / temperature, where g = correlation + 0.5.

    correlation: [n], the pitch correlation of each frame. Returns [n] float32. The distribution is sharper in voiced
    frames.
    """
    g = correlation.astype(np.float32) + np.float32(0.5)
    c: Array = 1 + np.maximum(np.float32(0), np.float32(1.5) * g - np.float32(0.5))
    sharp: Array = c / np.float32(temperature)
    return sharp


class LaneState:
    """The state of the loop for one signal."""

    def __init__(self, network: SampleNetwork, order: int) -> None:
        self.gru = np.zeros((len(network.bias_n) + len(network.diagonal_b)) // 3, np.float32)
        self.past = np.zeros(order)  # the last samples, oldest first
        self.codes = np.full(3, SILENT_CODE)  # the last codes of signal, prediction and excitation


def synthesise(
    network: SampleNetwork, segments: list[Segment], hop: int, threshold: float, many: int = MANY
) -> list[Array]:
    """Return the samples of each segment, [n] float64, before de-emphasis and in 16-bit scale.

    The states of the segments, each a LaneState, are changed in place. numbers: those of the segments, [n] float32 from
    0 to 1, each draw the code of one sample. many: as in `in_lanes`.
    """

    def loop(frames: FrameInputs, lanes: list[Lane], count: int) -> list[tuple[Array]]:
        return _run_lanes(network, frames, lanes, count, hop, threshold)

    return [samples for (samples,) in in_lanes(segments, loop, hop, (np.zeros(0),), many)]


def _run_lanes(
    network: SampleNetwork, frames: FrameInputs, lanes: list[Lane], count: int, hop: int, threshold: float
) -> list[tuple[Array]]:
    """Return the next `count` samples of every lane, and update the states of the lanes.

    One lane runs alone. For more, the loop runs sixteen lanes; those without a signal compute samples that are dropped.
    """
    width, order = places(lanes), frames.lpc.shape[1]
    work = workspace(network, frames.rows_a, width)
    state = work.state.reshape(2, -1, width)
    signal, numbers = np.zeros((order + count, width)), np.zeros((count, width), np.float32)
    codes = np.full((width, 3), SILENT_CODE)
    for k, lane in enumerate(lanes):
        state[0, :, k], signal[:order, k], codes[k] = lane.state.gru, lane.state.past, lane.state.codes
        numbers[:, k] = lane.numbers
    no_forcing = TeacherForcing(np.zeros((0, width, 3), np.int64), *np.zeros((2, 0, 1), np.float32))
    run(network, frames, work, schedule(lanes, hop), threshold, numbers, signal, codes, no_forcing)
    for k, lane in enumerate(lanes):
        lane.state.gru[:], lane.state.past[:], lane.state.codes[:] = state[0, :, k], signal[count:, k], codes[k]
    return [(signal[order:, k].copy(),) for k in range(len(lanes))]


def teacher_forced(
    network: SampleNetwork, frames: FrameInputs, codes: Array, hop: int, lanes: int = 1, first: int | None = None
) -> tuple[Array, Array]:
    """Return the logits [n, 256] and the states of GRU_B [n, units] when the network is given codes.

    codes: [n, 3], of signal, prediction and excitation, in place of those that the network would draw; a frame begins
    every `hop` samples; first: number of samples of the first frame, `hop` by default; lanes: 1 or 16. All lanes get
    the same codes, and the results are those of the last lane. Tests use this function to compare the kernel with
    torch.
    """
    count = len(codes)
    work = workspace(network, frames.rows_a, lanes)
    logits = np.zeros((count, LEVELS * lanes), np.float32)
    states = np.zeros((count, len(network.diagonal_b) // 3 * lanes), np.float32)
    forced = np.ascontiguousarray(np.repeat(codes[:, None], lanes, 1), np.int64)
    rows, ends, waits = (
        np.zeros(lanes, np.int64),
        np.full(lanes, len(frames.lpc) - 1),
        np.full(lanes, hop if first is None else first),
    )
    signal, numbers = np.zeros((frames.lpc.shape[1] + count, lanes)), np.zeros((count, lanes), np.float32)
    silent, forcing = np.full((lanes, 3), SILENT_CODE), TeacherForcing(forced, logits, states)
    run(network, frames, work, Schedule(rows, ends, waits, hop), 0.0, numbers, signal, silent, forcing)
    by_level = logits.reshape(count, WIDTH, WIDTH, lanes).swapaxes(1, 2).reshape(count, LEVELS, lanes)
    return by_level[..., -1], states.reshape(count, -1, lanes)[..., -1]


def deemphasis(x: Array, coef: float, before: float) -> Array:
    """Return y[n] = x[n] + coef * y[n-1]. x: [n] float64; before: y[-1]."""
    y = x.copy()
    _deemphasis(y, coef, before)
    return y


@kernel
def _deemphasis(y: Array, coef: float, before: float) -> None:
    for n in range(len(y)):
        before = y[n] + coef * before
        y[n] = before
