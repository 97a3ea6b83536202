"""The layout of WaveRNN's weights in its kernels.

Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018; the program fatchord/WaveRNN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import LN_10
from dspgraph_nodes._kernels.neural.emphasis import Emphasis
from dspgraph_nodes._kernels.neural.layout import AffineLayer, EightBitMatrix, Matrix, RecurrentWeights

FLOOR = -32.23619130191664  # ln 1e-14, the least log-scale of a logistic distribution


SampleLayer = Matrix | EightBitMatrix
"""A layer that is computed for every sample, with floats or with 8-bit numbers; a network has one kind only."""


class Conditioner(NamedTuple):
    """The weights that turn frames of features into the rows that the loop over samples reads.

    context: frames on each side of a frame that its samples depend on; pad: frames on each side that the residual
    network reads; decibels: see `seen`. residual: the layers of the residual network, whose outputs are called
    auxiliary numbers. blended: the matrix that turns frames into rows that are interpolated between frames. constants:
    the layer that turns auxiliary numbers into rows that stay the same during a frame. taps: [hop, 2 * reach + 1], for
    each sample of a frame the weights of the frame and of its `reach` neighbours on each side.
    """

    context: int
    pad: int
    decibels: bool
    residual: tuple[AffineLayer, ...]  # first layer, two for each block, last layer; empty without auxiliary numbers
    blended: Array  # [features, columns] float32: from frames to the rows that are interpolated
    constants: AffineLayer  # from auxiliary numbers to the rows that stay the same for all samples of a frame
    taps: Array  # [hop, 2 * reach + 1] float32: weights of the frames around, for every sample of a frame


class StackedNetwork(NamedTuple):
    """The packed weights of the sample-rate network with two GRUs and three dense layers.

    columns: [1, 4 * units], the weights with which the last sample is added to the gates of the first GRU, and then to
    the output of this GRU. The output, with the numbers that the frames and the last sample add to it, is called x.
    inner2: the matrix from x to the gates of the second GRU.
    """

    columns: Array  # [1, 4 * units]: weights of the last sample: to the gates of the first GRU, then to x
    gru1: RecurrentWeights
    inner2: SampleLayer  # from x to the gates of the second GRU
    gru2: RecurrentWeights
    dense1: SampleLayer
    dense2: SampleLayer
    dense3: SampleLayer


class SplitNetwork(NamedTuple):
    """The packed weights of the sample-rate network with one GRU, whose state has a coarse and a fine half.

    columns: [3, 3 * units], what both halves of the last sample and the new coarse half add to the gates.
    """

    columns: Array  # [3, 3 * units]: weights of both halves of the last sample, and of the new coarse half
    gru: RecurrentWeights
    coarse1: SampleLayer
    coarse2: SampleLayer
    fine1: SampleLayer
    fine2: SampleLayer


class WaveRNNWeights(NamedTuple):
    """The packed weights of a WaveRNN, and the form of its inputs and outputs.

    levels: the number of levels of a softmax; 0 for a mixture. draws: how many random numbers are needed for a sample.
    drawn: 2 if a sample is drawn as a coarse and a fine half, otherwise 1. values, table: [levels], the network input
    and the sample that each level stands for; for halves, the sample of a coarse half with the fine half 0. start: the
    inputs before the first sample: [1], or [3] for halves: the two halves of the last sample, and a 0 in the place of
    the new coarse half.
    """

    frame: Conditioner
    sample: StackedNetwork | SplitNetwork
    units: int  # number of units of a GRU
    states: int  # numbers in the states of all GRUs
    outputs: int  # numbers in a row of the distribution
    levels: int  # classes of a softmax; 0 for a mixture
    draws: int  # random numbers for a sample
    drawn: int  # how many numbers are drawn for a sample: two halves, or one class or amplitude
    values: Array  # [levels] float32: the input of the network that stands for a class
    table: Array  # [levels] float64: the sample that a class stands for; for halves: a coarse half with fine half 0
    start: Array  # [1] or, for halves, [3] float32: the inputs before the first sample
    emphasis: Emphasis


def seen(features: Array, decibels: bool) -> Array:
    """Return features x as the network reads them, float32.

    They are x itself or, with `decibels`, 1 + 20 * log10(e**x) / 100, limited to 0 .. 1.
    """
    wide = features.astype(np.float64)
    return (np.clip(1 + wide * (0.2 / LN_10), 0, 1) if decibels else wide).astype(np.float32)
