"""Synthesis of speech by LPCNet, for one signal or for several; up to sixteen are computed side by side.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.conditioning import FrameWindows, check_finite, joined
from dspgraph_nodes._kernels.neural.lanes import MANY, Lane, Segment, in_lanes, schedule, side_by_side
from dspgraph_nodes._kernels.neural.layers import layer
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, SILENT_CODE
from dspgraph_nodes._kernels.neural.lpcnet_layout import (
    FrameInputs,
    SampleNetwork,
    Workspace,
    in_tiles,
    out_of_tiles,
    units_of_tile,
    workspace,
)
from dspgraph_nodes._kernels.neural.lpcnet_loop import LPCNetOutputs, TeacherForcing, run
from dspgraph_nodes._kernels.neural.lpcnet_packing import FrameNetwork

# ---- the frame-rate network -----------------------------------------------------------------------------------------


class FrameNetworkState:
    """The state of the frame-rate network for one signal whose features come in blocks.

    The condition of a frame depends on the features of this frame, of the two before it and of the two after it.
    Beyond the ends of the signal, the inputs of each convolution are 0. bands: numbers in a cepstrum.
    """

    def __init__(self, network: FrameNetwork, bands: int) -> None:
        self.features = FrameWindows(1, bands + 2 + network.pitch.shape[1])
        self.inner = FrameWindows(1, len(network.conv1.start) - WIDTH)

    def push(self, network: FrameNetwork, features: Array, last: bool = False) -> Array:
        """Add the features [n, width] of the next frames; return the conditions [m, condition] now determined.

        network: the weights. last: whether the signal ends after these frames.
        """
        inner = layer(joined(self.features.push(features, last)), network.conv1)
        x = layer(joined(self.inner.push(inner, last)), network.conv2)
        return layer(layer(x, network.dense1), network.dense2)


def features(network: FrameNetwork, cepstrum: Array, pitch: Array, correlation: Array) -> Array:
    """Return the inputs of the frame-rate network: cepstrum, pitch, correlation, embedding of the pitch.

    The result is [n, width] float32.

    cepstrum: [n, bands]; pitch, correlation: [n, 1]. The embedding of a pitch is row floor(0.1 + 50 * pitch + 100) of
    the table, limited to 33..255. Raises ValueError, naming the first frame, for a number that is not finite.
    """
    rows = np.concatenate((cepstrum, pitch, correlation), axis=1)
    check_finite(rows, "LPCNet", "cepstrum, pitch and correlation")
    index = np.clip(np.floor(0.1 + 50 * pitch[:, 0].astype(np.float64) + 100), 33, 255).astype(np.int64)
    return np.concatenate((rows, network.pitch[index]), axis=1).astype(np.float32)


# ---- the loop -------------------------------------------------------------------------------------------------------


def frame_inputs(network: FrameNetwork, conditions: Array, lpc: Array, sharpness: Array) -> FrameInputs:
    """Return the inputs of the loop over samples for n frames.

    conditions: [n, width]; lpc: [n, order]; sharpness: [n].
    """
    rows_a, rows_b = (layer(conditions, one, tanh=False) for one in (network.gates_a, network.gates_b))
    return FrameInputs(rows_a, rows_b, np.ascontiguousarray(lpc, np.float64), sharpness.astype(np.float32))


def sharpness(correlation: Array, temperature: float = 1.0) -> Array:
    """Return the factor of the logits: (1 + max(0, 1.5 * g - 0.5)) / temperature, where g = correlation + 0.5.

    correlation: [n], the feature "correlation" of LPCNet: the pitch correlation g of each frame, less 1/2. Returns [n]
    float32. The distribution is sharper in voiced frames.
    """
    g = correlation.astype(np.float32) + np.float32(0.5)
    c: Array = 1 + np.maximum(np.float32(0), np.float32(1.5) * g - np.float32(0.5))
    sharp: Array = c / np.float32(temperature)
    return sharp


class LaneState:
    """The state of the sample-rate network for one signal: states of the GRUs, last codes, and last samples."""

    def __init__(self, network: SampleNetwork, order: int) -> None:
        self.gru = np.zeros((len(network.bias_n) + len(network.diagonal_b)) // 3, np.float32)
        self.past = np.zeros(order)  # the last samples, oldest first
        self.codes = np.full(3, SILENT_CODE)  # the last codes of signal, prediction and excitation


def synthesise(
    network: SampleNetwork, segments: list[Segment], hop: int, threshold: float, many: int = MANY, tap: bool = False
) -> list[tuple[Array, Array]]:
    """Synthesise the samples of segments; return for each the samples and their probabilities.

    The samples are [n] float64, in 16-bit scale, before de-emphasis. With `tap`, the probabilities are [n, 256], those
    of all codes of the excitation; otherwise [n, 1], that of the drawn code.

    The states of the segments, each a `LaneState`, are changed in place. The field `numbers` of a segment, [n] float32
    from 0 to 1, draws the codes of its n samples; the field `forced` is not read. hop: samples per frame. threshold: a
    number that is subtracted from every probability before a draw; negative results become 0, and the others are scaled
    to the sum 1. The returned probabilities are these. many: as in `in_lanes`.
    """

    def loop(frames: FrameInputs, lanes: list[Lane], count: int) -> list[tuple[Array, Array]]:
        return _run_lanes(network, frames, lanes, count, hop, threshold, tap)

    empty = np.zeros(0), np.zeros((0, LEVELS if tap else 1), np.float32)
    return [(samples, rows) for samples, rows in in_lanes(segments, loop, hop, empty, many)]


def _run_lanes(
    network: SampleNetwork, frames: FrameInputs, lanes: list[Lane], count: int, hop: int, threshold: float, tap: bool
) -> list[tuple[Array, Array]]:
    """Compute the next `count` samples of every lane; return samples and probabilities of each.

    The states of the lanes are updated.

    The arguments are those of `synthesise`; frames: the inputs of all signals, one row per frame.
    """
    numbers = side_by_side([lane.numbers for lane in lanes])
    codes = side_by_side([lane.state.codes for lane in lanes]).T.copy()
    work, out = _memory(network, frames, count, len(codes), count if tap else 0)
    order, state = frames.lpc.shape[1], work.state.reshape(2, -1, len(codes))
    tile = units_of_tile(network)
    state[0] = in_tiles(side_by_side([lane.state.gru for lane in lanes]), tile)
    out.signal[:order] = side_by_side([lane.state.past for lane in lanes])
    run(network, frames, work, schedule(lanes, hop), threshold, numbers, codes, _NO_FORCING, out)
    rows = _by_level(out.rows, tile) if tap else out.shares[:, None]
    last = out_of_tiles(state[0], tile)
    for k, lane in enumerate(lanes):
        lane.state.gru[:], lane.state.past[:], lane.state.codes[:] = last[:, k], out.signal[count:, k], codes[k]
    return [(out.signal[order:, k].copy(), np.ascontiguousarray(rows[..., k])) for k in range(len(lanes))]


def _memory(
    network: SampleNetwork, frames: FrameInputs, count: int, lanes: int, tapped: int
) -> tuple[Workspace, LPCNetOutputs]:
    """Return new arrays for a run of `count` samples in `lanes` lanes.

    tapped: the number of samples for which the probabilities of all codes are stored.
    """
    signal = np.zeros((frames.lpc.shape[1] + count, lanes))
    shares, rows = np.zeros((count, lanes), np.float32), np.zeros((tapped, LEVELS * lanes), np.float32)
    return workspace(network, frames.rows_a, lanes), LPCNetOutputs(signal, shares, rows)


def _by_level(rows: Array, tile: int) -> Array:
    """Reorder rows from the order of `Workspace.logits` to the order of the codes: [n, 256 * lanes] to [n, 256, lanes].

    tile: see `units_of_tile`.
    """
    by_unit = out_of_tiles(rows.reshape(len(rows), LEVELS, -1), tile)
    ordered: Array = by_unit.reshape(len(rows), WIDTH, WIDTH, -1).swapaxes(1, 2).reshape(len(rows), LEVELS, -1)
    return ordered


_NO_FORCING = TeacherForcing(np.zeros((0, 1, 3), np.int64), *np.zeros((2, 0, 1), np.float32))


def teacher_forced(
    network: SampleNetwork, frames: FrameInputs, codes: Array, hop: int, lanes: int = 1, first: int | None = None,
    threshold: float = 0.0,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Run the network on given codes; return logits [n, 256], states of GRU_B [n, units], and probabilities [n, 256].

    frames: those of one signal. codes: [n, 3], of signal, prediction and excitation, which the network reads in place
    of those it would draw. A frame begins every `hop` samples; first: the number of samples of the first frame, by
    default `hop`. lanes: 1 or 16; all lanes get the same codes, and the results are those of the last lane. The logits
    are without the sharpness; the probabilities are with it, and after the threshold, see `synthesise`. Tests compare
    these results with torch.
    """
    count = len(codes)
    work, out = _memory(network, frames, count, lanes, count)
    logits, units = np.zeros((count, LEVELS * lanes), np.float32), len(network.diagonal_b) // 3
    forced = np.ascontiguousarray(np.repeat(codes[:, None], lanes, 1), np.int64)
    forcing = TeacherForcing(forced, logits, np.zeros((count, units * lanes), np.float32))
    lane = Lane(None, 0, len(frames.lpc) - 1, hop if first is None else first, forced, forced)
    numbers, silent = np.zeros((count, lanes), np.float32), np.full((lanes, 3), SILENT_CODE)
    run(network, frames, work, schedule([lane] * lanes, hop), threshold, numbers, silent, forcing, out)
    tile = units_of_tile(network)
    states = out_of_tiles(forcing.states.reshape(count, units, lanes), tile)
    return _by_level(logits, tile)[..., -1], states[..., -1], _by_level(out.rows, tile)[..., -1]


def deemphasis(x: Array, coef: float, before: float) -> Array:
    """Return y[n] = x[n] + coef * y[n-1] for n = 0, 1 ...: [n] float64. x: [n] float64; before: y[-1]."""
    y = x.copy()
    _deemphasis(y, coef, before)
    return y


@kernel
def _deemphasis(y: Array, coef: float, before: float) -> None:
    for n in range(len(y)):
        before = y[n] + coef * before
        y[n] = before
