"""The weights of FARGAN in the form that its kernels read, and the arrays that a run of the kernels works on.

Source: J.-M. Valin, A. Mustafa and J. Büthe, Very Low Complexity Speech Synthesis Using Framewise Autoregressive GAN
(FARGAN) with Pitch Prediction, IEEE Signal Processing Letters 31, 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.layout import WIDTH, LayerBuffers, Matrix, RecurrentWeights
from dspgraph_nodes._kernels.neural.packing import by_blocks, contiguous, packed_layer, scaled_matrix
from dspgraph_nodes._kernels.neural.stages import LOG2_E

FRAME_PARTS = 4  # sub-frames in a frame


class FarganFrameNetwork(NamedTuple):
    """The packed weights of the frame-rate network: the embedding of the pitch period, and three layers."""

    pitch: Array  # [periods, width]: the embedding of the period
    frame1: Matrix
    frame2: Matrix
    frame3: Matrix


class SubframeNetwork(NamedTuple):
    """The packed weights of the network that generates sub-frames.

    sizes: [7], the numbers of values in a condition, a sub-frame, the first layer, each of the three GRUs and the last
    hidden layer. places: [19], the positions in the state at which its parts begin, see `layout_of`. The column numbers
    of a matrix are positions in `FarganMemory.state`. The columns of the recurrent matrices and of the gates are
    counted from the first position of their input instead.
    """

    sizes: Array  # int64
    places: Array  # int64
    gain: Matrix
    first: Matrix
    first_gate: Matrix
    pitch_gains: Matrix
    inputs: tuple[Matrix, Matrix, Matrix]  # the matrices of the inputs of the three GRUs
    states: tuple[RecurrentWeights, RecurrentWeights, RecurrentWeights]
    gates: tuple[Matrix, Matrix, Matrix]
    skip: Matrix
    skip_gate: Matrix
    last: Matrix


class FarganNetwork(NamedTuple):
    """The packed weights of the frame-rate network and of the sub-frame network."""

    frame: FarganFrameNetwork
    subframe: SubframeNetwork


class FarganMemory(NamedTuple):
    """The arrays that the stages of a sub-frame read and write. For sixteen signals, each has a last axis `lane`.

    state: everything that matrices read, see `layout_of`. inputs, sums_b: the sums of a GRU's gates over its inputs
    and over its old state. y: the sums of any other layer.
    """

    state: Array  # [1, n]: all that matrices read, and the new states of the GRUs
    inputs: Array  # sums of the inputs of the gates of a GRU; later the values of the gates
    sums_b: Array  # recurrent sums of the gates
    y: Array  # sums of a layer


def layout_of(sizes: Array) -> Array:
    """Return the position in the state at which each of its 18 parts begins, and the end: [19] int64.

    The parts are: the inputs of the sub-frame before; the present condition; the past period; the samples of the
    sub-frame before; the result of the first layer before and after its gate; the past period times each of its four
    gains; the states of the three GRUs; their new states; the new states after their gates; the last hidden layer
    before and after its gate. The inputs of a sub-frame are its condition, its past period, and the samples of the
    sub-frame before it. The past period is the samples that lie one pitch period before the present sub-frame, and two
    more on each side; the two are left out where it is multiplied by gains. sizes: as in `SubframeNetwork`.
    """
    condition, subframe, first, *units, skip = (int(one) for one in sizes)
    seen = condition + 2 * subframe + 4
    widths = [seen, condition, subframe + 4, subframe, first, first, 4 * subframe, *units, *units, *units, skip, skip]
    return np.cumsum([0, *widths])


def memory(network: SubframeNetwork, lanes: int) -> FarganMemory:
    """Return new arrays, all zeros, for one signal (lanes = 1) or for sixteen (lanes = 16)."""
    sizes, width = network.sizes, (WIDTH,) if lanes > 1 else ()
    gates, rows = 3 * int(sizes[3:6].max()) + WIDTH, int(sizes.max()) + 2 * WIDTH
    state = np.zeros((1, int(network.places[-1]) + WIDTH, *width), np.float32)
    return FarganMemory(state, *(np.zeros((n, *width), np.float32) for n in (gates, gates, rows)))


def buffers(work: FarganMemory) -> tuple[LayerBuffers, LayerBuffers, LayerBuffers]:
    """Return three buffers of layers that read work.state and write to work.y, to work.inputs and to work.sums_b."""
    return (
        LayerBuffers(work.state, work.y), LayerBuffers(work.state, work.inputs), LayerBuffers(work.state, work.sums_b)
    )  # fmt: skip


# ---- packing --------------------------------------------------------------------------------------------------------


def pack_fargan(arrays: Mapping[str, Array]) -> FarganNetwork:
    """Return FARGAN's weights, packed for the kernels. arrays: the arrays of a file of weights, by name."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    units = [wide[f"gru{k}_states.weight"].shape[1] for k in (1, 2, 3)]
    subframe, skip = wide["last.weight"].shape
    sizes = np.array([wide["gain.weight"].shape[1], subframe, len(wide["first.weight"]), *units, skip])
    places = layout_of(sizes)
    at = [np.arange(begin, end) for begin, end in pairwise(places)]
    newest, first, gained = at[3], at[5], np.split(at[6], 4)
    made = at[13:16]
    for name in wide.keys() - {"embed_pitch.weight"}:
        wide.setdefault(name.replace(".weight", ".bias"), np.zeros(len(wide[name])))
    sigmoid, tanh = -LOG2_E, 2 * LOG2_E

    def scaled(name: str, factor: float, columns: Array | None = None) -> Matrix:
        weight = wide[f"{name}.weight"]
        found = scaled_matrix(weight, wide[f"{name}.bias"], np.full(len(weight), factor))
        return found if columns is None else _read_from(found, columns)

    inputs, states = [], []
    for k, before in enumerate((first, made[0], made[1])):
        inner, own = _gru(wide, k + 1)
        inputs.append(_read_from(inner, np.concatenate((before, gained[k], newest))))
        states.append(own)
    seen = np.concatenate((*made, first, gained[3], newest))
    frame = FarganFrameNetwork(arrays["embed_pitch.weight"], *(packed_layer(wide, f"frame{k}") for k in (1, 2, 3)))
    one = SubframeNetwork(
        sizes, places,
        gain=scaled("gain", LOG2_E, at[1]),
        first=scaled("first", tanh, np.concatenate(at[:4])),
        first_gate=scaled("first_gate", sigmoid),
        pitch_gains=scaled("pitch_gains", sigmoid, first),
        inputs=(inputs[0], inputs[1], inputs[2]),
        states=(states[0], states[1], states[2]),
        gates=(scaled("gru1_gate", sigmoid), scaled("gru2_gate", sigmoid), scaled("gru3_gate", sigmoid)),
        skip=scaled("skip", tanh, seen),
        skip_gate=scaled("skip_gate", sigmoid),
        last=scaled("last", tanh, at[17]),
    )  # fmt: skip
    return contiguous(FarganNetwork(frame, one))


def _gru(wide: Mapping[str, Array], number: int) -> tuple[Matrix, RecurrentWeights]:
    """Return the input matrix and the recurrent weights of GRU `number` (1, 2 or 3), packed.

    The rows of both have the order [block, gate, unit]. wide: the arrays of a file of weights, in float64.
    """
    inner, own = (wide[f"gru{number}_{part}.weight"] for part in ("inputs", "states"))
    units = own.shape[1]
    scale = LOG2_E * np.repeat([-1.0, -1.0, 2.0], units)
    square = own.reshape(3, units, units)
    diagonal = np.diagonal(square, axis1=1, axis2=2).reshape(-1)
    other = np.where(np.eye(units, dtype=bool), 0, square).reshape(3 * units, units)
    factors, none = by_blocks(scale), np.zeros(3 * units)
    first, second = (scaled_matrix(by_blocks(one.T).T, none, factors) for one in (inner, other))
    return first, RecurrentWeights(second, by_blocks(scale * diagonal))


def _read_from(matrix: Matrix, places: Array) -> Matrix:
    """Return a copy of a packed matrix that reads its input k at position places[k] of the state."""
    return matrix._replace(m=matrix.m._replace(columns=places[matrix.m.columns].astype(np.uint16)))
