"""WaveRNN's loop over samples, for one signal or for sixteen side by side; the samples are the same, bit for bit.

Arrays with a number for every unit and lane are flattened here: unit u of lane l stands at index u * lanes + l.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; the program fatchord/WaveRNN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.draws import SampleDraws, draw_samples
from dspgraph_nodes._kernels.neural.flattened import add, add_column, blend, copy, rectify
from dspgraph_nodes._kernels.neural.layers import apply_layer, update_gru
from dspgraph_nodes._kernels.neural.layout import WIDTH, EightBitBuffers, LayerBuffers
from dspgraph_nodes._kernels.neural.sampling import SoftmaxBuffers, draw_class
from dspgraph_nodes._kernels.neural.wavernn_layout import SplitNetwork, StackedNetwork

Buffers = LayerBuffers | EightBitBuffers
"""The memory for a call of a layer, with floats or with 8-bit numbers."""


class ConditionRows(NamedTuple):
    """The numbers that frames add to the layers of the sample-rate network, one row per frame.

    In the loop the frames of all signals follow one another. blended: [frames, around, m], for each frame the rows of
    the frame and of its neighbours (`around` rows), between which the loop interpolates. constants: [frames, c], c >=
    m, the same for all samples of a frame, with the biases. The first m columns are added to the interpolated row. With
    one GRU, c = m = 3 * units. With two GRUs, m = 4 * units, and the 3 * units + 2 * dense other columns are for the
    second GRU and two dense layers.
    """

    blended: Array  # [frames, around, m]: rows that are interpolated, of a frame and of the frames around it
    constants: Array  # [frames, c]: rows that stay the same for the samples of a frame


class LoopArrays(NamedTuple):
    """The arrays that the stages of a step read and write.

    In all of them but `state`, units and lanes are flattened to one axis. state: the states of the GRUs before and
    after the step, and the inputs of the other layers. inputs, sums_b: the sums of a GRU's gates over its inputs and
    over its old state. y: the sums of another layer. rows, constants: the rows `blended` and `constants` of
    `ConditionRows` for the present frame. x: what frames and last samples add to the layers.
    """

    state: Array  # [1, n] or [1, n, 16]: the states of the GRUs before and after, then the inputs of the other layers
    inputs: Array  # sums of the inputs of the gates; later the values of the gates
    sums_b: Array  # recurrent sums of the gates
    y: Array  # sums of a layer
    rows: Array  # [around, m * lanes]: the rows that are interpolated for the present frame
    constants: Array  # [c * lanes]: the constant rows of the present frame
    x: Array  # [m * lanes]: the numbers that frames and last samples add to the layers
    softmax: SoftmaxBuffers
    to_inputs: Buffers  # for layers whose results go to `inputs`
    to_sums: Buffers  # for those whose results go to `sums_b`
    to_y: Buffers  # for those whose results go to `y`


class SampleInputs(NamedTuple):
    """The inputs of a run of n samples, a whole number of frames.

    rows: [lanes], the row of each lane's first frame in `ConditionRows`. taps: [hop, around], the weights with which
    the rows of a frame and its neighbours are interpolated. values: the network input of each level. draws: the random
    numbers. forced: [m, inputs, lanes], the inputs for the first m samples in place of drawn samples: forced[0] is for
    the first one. There is one input, the sample before; for samples in two halves there are three: both halves of the
    sample before, and the coarse half of the present sample.
    """

    rows: Array  # [lanes]: the row of the first frame in `ConditionRows`
    taps: Array  # [hop, around]: the weights of the rows that are interpolated
    values: Array  # [levels] float32: see `wavernn_layout.WaveRNNWeights`
    draws: SampleDraws
    forced: Array  # [m, inputs, lanes]: the inputs of the first m samples, in place of samples that were drawn


class SampleOutputs(NamedTuple):
    """The results of a run of n samples. For each sample d numbers are drawn: two halves (d = 2), or one number.

    The one number is a level or, from a mixture of logistics, a number from -1 to 1. last: the network's inputs for the
    next sample, as in `SampleInputs.forced`; when the run begins, those for the first sample. drawn: the d numbers, and
    after them a probability: that of the level, the product for two halves, or 1 for a number from a mixture. outputs:
    the parameters of the distributions.
    """

    last: Array  # [inputs, lanes]
    drawn: Array  # [n, d + 1, lanes]
    outputs: Array  # [n, outputs * lanes], or [0, outputs * lanes] if they are not wanted


# ---- parts of a step ------------------------------------------------------------------------------------------------


@kernel
def _begin(
    frames: ConditionRows, work: LoopArrays, given: SampleInputs, out: SampleOutputs, n: int, columns: Array
) -> None:
    """Write to work.x what the frames and the last samples add to the layers for sample n.

    At the first sample of a frame, its rows are copied to `work`. If the inputs of sample n are among those in
    given.forced, they are first copied to out.last. columns: see `blend`.
    """
    lanes, hop = len(given.rows), len(given.taps)
    if n % hop == 0:
        for lane in range(lanes):
            at = given.rows[lane] + n // hop
            row, blended = frames.constants[at], frames.blended[at]
            for i in range(len(row)):
                work.constants[i * lanes + lane] = row[i]
            for j in range(len(work.rows)):
                for i in range(blended.shape[1]):
                    work.rows[j, i * lanes + lane] = blended[j, i]
    if n < len(given.forced):
        for k in range(len(out.last)):
            for lane in range(lanes):
                out.last[k, lane] = given.forced[n, k, lane]
    blend(work.x, work.constants, work.rows, given.taps[n % hop], columns, out.last)


# ---- the loops ------------------------------------------------------------------------------------------------------


@kernel
def run_stacked(
    net: StackedNetwork, frames: ConditionRows, work: LoopArrays, given: SampleInputs, out: SampleOutputs
) -> None:
    """Generate samples in every lane with the network that has two GRUs; write them to `out`.

    given.draws has the random numbers of n samples, so n samples are generated. work.state: begins with the states of
    the GRUs, which are updated. frames: what the frames add. given: the other inputs. out.last: updated too.
    """
    (count, _, lanes), units = given.draws.numbers.shape, len(net.gru1.diagonal_b) // 3
    state, dense, blocks = work.state.reshape(-1), (len(net.dense1.start) - WIDTH) * lanes, units // WIDTH
    inputs, y, wide, last = work.inputs, work.y, units * lanes, out.last
    to_y, to_sums, logits, drawn = work.to_y, work.to_sums, work.y.reshape(-1, lanes), np.zeros(lanes)
    h, new, at_x, at_y = 0, 2 * wide, 4 * wide, 5 * wide
    for n in range(count):
        _begin(frames, work, given, out, n, net.columns)
        copy(work.x, inputs, 3 * wide)
        apply_layer(net.gru1.matrix, to_sums, h)
        update_gru(net.gru1, work, h, new, 0, blocks)
        add(work.x[3 * wide :], state[new:], state[at_x:], wide)
        apply_layer(net.inner2, work.to_inputs, at_x)
        add(inputs, work.constants[4 * wide :], inputs, 3 * wide)
        apply_layer(net.gru2.matrix, to_sums, h + wide)
        update_gru(net.gru2, work, h + wide, new + wide, 0, blocks)
        add(state[at_x:], state[new + wide :], state[at_x:], wide)
        apply_layer(net.dense1, to_y, at_x)
        rectify(y, work.constants, 7 * wide, state, at_y, dense)
        apply_layer(net.dense2, to_y, at_y)
        rectify(y, work.constants, 7 * wide + dense, state, at_y, dense)
        apply_layer(net.dense3, to_y, at_y)
        if n < len(out.outputs):
            copy(y, out.outputs[n], out.outputs.shape[1])
        out.drawn[n, 1].fill(1)
        draw_samples(work.softmax, logits, given.draws, n, drawn, out.drawn[n, 1])
        for lane in range(lanes):
            out.drawn[n, 0, lane] = drawn[lane]
            last[0, lane] = given.values[int(drawn[lane])] if given.draws.levels else drawn[lane]
        h, new = new, h
    if count % 2:
        copy(state[2 * wide :], state, 2 * wide)


@kernel
def run_split(
    net: SplitNetwork, frames: ConditionRows, work: LoopArrays, given: SampleInputs, out: SampleOutputs
) -> None:
    """Generate samples in every lane with the network that has a divided state; write them to `out`.

    The arguments are those of `run_stacked`, with the state of one GRU in work.state. A sample is drawn in two halves.
    The network reads both halves of the previous sample and, for the fine half, the new coarse half. out.drawn gets
    both halves and the product of their probabilities.
    """
    (count, _, lanes), units = given.draws.numbers.shape, len(net.gru.diagonal_b) // 3
    state, dense, blocks = work.state.reshape(-1), (len(net.coarse1.start) - WIDTH) * lanes, units // WIDTH
    inputs, y, wide, last = work.inputs, work.y, units * lanes, out.last
    to_y, to_sums = work.to_y, work.to_sums
    nothing, drawn, logits = np.zeros(dense, np.float32), np.zeros(lanes), work.y.reshape(-1, lanes)
    h, new, at_y, late, columns = 0, wide, 2 * wide, 3 * units // 2, net.columns[:2]
    draws, size = given.draws, given.draws.levels * lanes
    for n in range(count):
        _begin(frames, work, given, out, n, columns)
        copy(work.x, inputs, 3 * wide)
        apply_layer(net.gru.matrix, to_sums, h)
        out.drawn[n, 2].fill(1)
        for half in range(2):
            if half:
                add_column(inputs[late * lanes :], net.columns[2, late:], last[2])
            update_gru(net.gru, work, h, new, half * blocks // 2, (half + 1) * blocks // 2)
            first, second = (net.fine1, net.fine2) if half else (net.coarse1, net.coarse2)
            apply_layer(first, to_y, new + half * wide // 2)
            rectify(y, nothing, 0, state, at_y, dense)
            apply_layer(second, to_y, at_y)
            if n < len(out.outputs):
                copy(y, out.outputs[n, half * size :], size)
            draw_class(
                work.softmax, logits, draws.levels, draws.temperature, draws.numbers[n, half], drawn, out.drawn[n, 2]
            )
            for lane in range(lanes):
                out.drawn[n, half, lane], value = drawn[lane], given.values[int(drawn[lane])]
                if half:
                    last[0, lane], last[1, lane] = last[2, lane], value
                elif n >= len(given.forced):
                    last[2, lane] = value
        h, new = new, h
    if count % 2:
        copy(state[wide:], state, wide)
