"""Speech from what LPCNet hears: of one signal, or of several, sixteen of them side by side in the loop.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, SILENCE
from dspgraph_nodes._kernels.neural.lpcnet_loop import (
    LANES,
    Columns,
    Given,
    Matrix,
    SampleNetwork,
    room,
    run,
    run_layer,
)
from dspgraph_nodes._kernels.neural.lpcnet_packing import FrameNetwork

Array = NDArray[Any]

MANY = 10  # signals from which on sixteen side by side, some of them idle, take less time than one after the other


# ---- the frame network ----------------------------------------------------------------------------------------------


def layer(x: Array, matrix: Matrix, tanh: bool = True) -> Array:
    """Rows times a matrix, plus its bias, and the tanh of v = y ln 2 / 2 of it: [n, inputs] to [n, outputs]."""
    inputs, outputs = x.shape[1], len(matrix.start) - LANES
    y = np.empty((len(x), outputs), np.float32)
    one = Columns(np.empty((1, inputs), np.float32), np.empty(outputs + LANES, np.float32))
    many = Columns(np.empty((1, inputs, LANES), np.float32), np.empty((outputs + LANES, LANES), np.float32))
    run_layer(matrix, one, many, x, y, tanh)
    return y


class Frames:
    """The features of one signal on their way through the frame network, which looks two frames ahead."""

    def __init__(self, network: FrameNetwork, bands: int) -> None:
        self.features = np.zeros((1, bands + 2 + network.pitch.shape[1]), np.float32)
        self.inner = np.zeros((1, len(network.conv1.start) - LANES), np.float32)

    def push(self, network: FrameNetwork, features: Array) -> Array:
        """Features [n, width] in, the conditions that are now known out."""
        features = np.concatenate((self.features, features))
        inner = np.concatenate((self.inner, layer(_with_neighbours(features), network.conv1)))
        self.features, self.inner = features[-2:], inner[-2:]
        return self._conditions(network, inner)

    def flush(self, network: FrameNetwork) -> Array:
        """The conditions of the last frames: after the signal the input of each convolution is zero."""
        features = np.concatenate((self.features, np.zeros_like(self.features[:1])))
        inner = layer(_with_neighbours(features), network.conv1)
        return self._conditions(network, np.concatenate((self.inner, inner, np.zeros_like(self.inner[:1]))))

    def _conditions(self, network: FrameNetwork, inner: Array) -> Array:
        return layer(layer(layer(_with_neighbours(inner), network.conv2), network.dense1), network.dense2)


def _with_neighbours(rows: Array) -> Array:
    """Every row beside its neighbours: [n, width] to [n - 2, 3 width]."""
    return np.concatenate((rows[:-2], rows[1:-1], rows[2:]), axis=1)


def features(network: FrameNetwork, cepstrum: Array, pitch: Array, correlation: Array) -> Array:
    """What the network hears of frames: cepstrum [n, bands], pitch and correlation [n, 1], and the pitch embedded.

    The row of a pitch is floor(0.1 + 50 pitch + 100), held within 33 and 255. Raises ValueError for what is not finite.
    """
    rows = np.concatenate((cepstrum, pitch, correlation), axis=1)
    finite("hears", "cepstrum, pitch and correlation", rows)
    index = np.clip(np.floor(0.1 + 50 * pitch[:, 0].astype(np.float64) + 100), 33, 255).astype(np.int64)
    return np.concatenate((rows, network.pitch[index]), axis=1).astype(np.float32)


def finite(does: str, name: str, rows: Array) -> None:
    """Raise ValueError, naming the frame, where rows [n, width] are not all finite."""
    there = np.isfinite(rows).all(axis=1)
    if not there.all():
        raise ValueError(f"LPCNet {does} finite numbers; frame {int(np.argmin(there))} of {name} has others")


# ---- the loop -------------------------------------------------------------------------------------------------------


def given(network: FrameNetwork, conditions: Array, lpc: Array, sharpness: Array) -> Given:
    """Conditions [n, width], predictors [n, order] and sharpness [n] of n frames, as the loop reads them."""
    rows_a, rows_b = (layer(conditions, one, tanh=False) for one in (network.gates_a, network.gates_b))
    return Given(rows_a, rows_b, np.ascontiguousarray(lpc, np.float64), sharpness.astype(np.float32))


def sharpness(correlation: Array, temperature: float = 1.0) -> Array:
    """What logits are multiplied by: (1 + max(0, 1.5 g - 0.5)) / temperature, g = correlation + 0.5, in float32."""
    g = correlation.astype(np.float32) + np.float32(0.5)
    c: Array = 1 + np.maximum(np.float32(0), np.float32(1.5) * g - np.float32(0.5))
    sharp: Array = c / np.float32(temperature)
    return sharp


class Voice:
    """One signal in the middle of the loop."""

    def __init__(self, network: SampleNetwork, order: int) -> None:
        self.state = np.zeros((len(network.bias_n) + len(network.diagonal_b)) // 3, np.float32)
        self.past = np.zeros(order)  # samples, oldest first
        self.codes = np.full(3, SILENCE)  # of signal, prediction and excitation


class Part(NamedTuple):
    """What one signal is to give next: as many samples as it has numbers."""

    voice: Voice
    given: Given
    wait: int  # samples of the first row; each other has `hop`, the last all that are left
    numbers: Array  # [n] float32, from 0 to 1


def synthesise(network: SampleNetwork, parts: list[Part], hop: int, threshold: float, many: int = MANY) -> list[Array]:
    """The next samples of several signals, [n] float64 each, before de-emphasis and in the scale of 16 bits.

    From `many` signals on, sixteen go side by side; whoever has had its samples makes room for the next. Voices are
    changed in place.
    """
    joined = (
        parts[0].given if len(parts) == 1 else Given(*map(np.concatenate, zip(*(p.given for p in parts), strict=True)))
    )
    firsts = np.cumsum([0] + [len(part.given.lpc) for part in parts])
    found: list[list[Array]] = [[] for _ in parts]
    done = [0] * len(parts)

    def left(k: int) -> int:
        return len(parts[k].numbers) - done[k]

    while waiting := sorted((k for k in range(len(parts)) if left(k)), key=left, reverse=True):
        group = waiting[:LANES] if len(waiting) >= many else waiting[:1]
        count = left(group[-1])
        lanes = [_lane(parts[k], int(firsts[k]), done[k], count, hop) for k in group]
        for k, samples in zip(group, _together(network, joined, lanes, count, hop, threshold), strict=True):
            found[k].append(samples)
            done[k] += count
    return [np.concatenate([np.zeros(0), *pieces]) for pieces in found]


class Lane(NamedTuple):
    """A signal in the loop for a while."""

    voice: Voice
    row: int
    end: int  # the last row
    wait: int
    numbers: Array


def _lane(part: Part, first: int, done: int, count: int, hop: int) -> Lane:
    last = len(part.given.lpc) - 1
    passed = 0 if done < part.wait else min(1 + (done - part.wait) // hop, last)
    wait = part.wait - done if done < part.wait else hop - (done - part.wait) % hop
    return Lane(part.voice, first + passed, first + last, wait, part.numbers[done : done + count])


def _together(
    network: SampleNetwork, given: Given, lanes: list[Lane], count: int, hop: int, threshold: float
) -> list[Array]:
    """Run lanes for `count` samples: one alone, or several in the sixteen places, some of which may be idle."""
    places, order = (1 if len(lanes) == 1 else LANES), given.lpc.shape[1]
    work = room(network, given.rows_a, places)
    state = work.state.reshape(2, -1, places)
    signal, numbers = np.zeros((order + count, places)), np.zeros((count, places), np.float32)
    codes = np.full((places, 3), SILENCE)
    rows, ends, waits = (np.zeros(places, np.int64) for _ in range(3))
    for k, lane in enumerate(lanes):
        state[0, :, k], signal[:order, k], codes[k] = lane.voice.state, lane.voice.past, lane.voice.codes
        rows[k], ends[k], waits[k], numbers[:, k] = lane.row, lane.end, lane.wait, lane.numbers
    none = np.zeros((0, places, 3), np.int64), np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32)
    run(network, given, work, rows, ends, waits, hop, threshold, numbers, signal, codes, *none)
    for k, lane in enumerate(lanes):
        lane.voice.state[:], lane.voice.past[:], lane.voice.codes[:] = state[0, :, k], signal[count:, k], codes[k]
    return [signal[order:, k].copy() for k in range(len(lanes))]


def listen(network: SampleNetwork, given: Given, codes: Array, hop: int, lanes: int = 1) -> tuple[Array, Array]:
    """Logits [n, 256] and states of GRU_B [n, units] of a network that hears codes [n, 3] in place of its own.

    The codes are those of signal, prediction and excitation; frames begin at every `hop`. Sixteen lanes hear the same.
    """
    count = len(codes)
    work = room(network, given.rows_a, lanes)
    logits = np.zeros((count, LEVELS * lanes), np.float32)
    states = np.zeros((count, len(network.diagonal_b) // 3 * lanes), np.float32)
    forced = np.ascontiguousarray(np.repeat(codes[:, None], lanes, 1), np.int64)
    rows, ends, waits = np.zeros(lanes, np.int64), np.full(lanes, len(given.lpc) - 1), np.full(lanes, hop)
    signal, numbers = np.zeros((given.lpc.shape[1] + count, lanes)), np.zeros((count, lanes), np.float32)
    silent, told = np.full((lanes, 3), SILENCE), (forced, logits, states)
    run(network, given, work, rows, ends, waits, hop, 0.0, numbers, signal, silent, *told)
    by_level = logits.reshape(count, LANES, LANES, lanes).swapaxes(1, 2).reshape(count, LEVELS, lanes)
    return by_level[..., -1], states.reshape(count, -1, lanes)[..., -1]


def deemphasis(x: Array, coef: float, before: float) -> Array:
    """y[n] = x[n] + coef y[n-1], in float64; before: y[-1]."""
    y = x.copy()
    _deemphasis(y, coef, before)
    return y


@kernel
def _deemphasis(y: Array, coef: float, before: float) -> None:
    for n in range(len(y)):
        before = y[n] + coef * before
        y[n] = before
