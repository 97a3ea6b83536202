"""The layout of WaveNet's weights in its kernels."""

from __future__ import annotations

from typing import NamedTuple

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.emphasis import Emphasis
from dspgraph_nodes._kernels.neural.layout import DotStack
from dspgraph_nodes._kernels.neural.packing import NO_DOTS


class WaveNetWeights(NamedTuple):
    """The weights of the sample-rate network, packed for the loop over samples.

    All matrices are stored in `weights`, one after the other, each in blocks of sixteen rows: [block, column, row in
    block]. The array `layers` says where those of each layer begin. Of a network in eight bits, `weights` has only the
    matrices that `head` points to; those of the layers are in `PackedWaveNet.dots`, and `layers` has the numbers of
    their first blocks there.

    A layer has gates, or a normalisation and leaky ReLUs, see the module `wavenet_loop`. In the second form, the word
    gate in the names of fields means a channel of the convolution; there are half as many of these.
    """

    weights: Array
    layers: Array  # [layers, 6] int64: where gate, out and skip begin (see above); ring: begin and rows; dilation
    sizes: Array  # [5] int64: taps of a layer; channels between layers, of a gate, of skip connections, of the output
    first: Array  # [taps * inputs, residual], with its own number of taps, the newest tap first: with one input the
    # factor of the sample, else a row for each level
    first_bias: Array  # [residual]
    norm_factor: Array  # [layers * residual]; empty with gates
    norm_offset: Array  # [layers * residual]; empty with gates
    slope: Array  # [1]: the slope of the ReLUs for numbers below 0
    residual_factor: Array  # [1]: the factor of a layer's input in the input of the next layer
    gate_bias: Array  # [layers * 2 * gate], without gates [layers * gate]; then [skip] for the head if the features add
    # to its first layer
    out_bias: Array  # [layers * residual]
    last_bias: Array  # [2 * skip + output]: the sum over the skip connections of all layers, then those of the head
    head: Array  # [3] int64: where the two matrices of the head begin in `weights`, and that of the skip connection of
    # the first convolution; -1: it has none


class Upsampling(NamedTuple):
    """The weights that turn frames of features into numbers for every sample, which are added to the layers' gates.

    linear: whether a convolution over frames (`first`) is followed by repetition and smoothing, whose weights are in
    `table`; otherwise there are transposed convolutions (`taps`), each with a bias and ReLU. hop: samples in a frame;
    context: frames on either side that the first convolution reads; wait: frames after a frame that must be known
    before the samples of the frame can be generated.
    """

    linear: bool
    hop: int
    context: int
    wait: int
    mean: Array  # [bands]
    deviation: Array  # [bands]
    first: Array  # [(2 * context + 1) * bands, bands]; [0, bands] if not linear
    taps: tuple[Array, ...]  # [band taps, scale] for each scale; none if linear
    biases: Array  # [scales] if not linear
    gates: Array  # [bands, n]: from a row to the numbers that it adds to all gates and the head; n as in `gate_bias`
    table: Array  # [kinds * hop, 2 * r + 1]: see `models.wavenet.packing.frame_factors`; [1, 1] if not linear


class WaveNetForm(NamedTuple):
    """The form of a network's samples: how they are drawn, and how pre-emphasis is undone.

    width: the number of parameters of a distribution. numbers: how many random numbers draw a sample. floor: the least
    log-scale of a mixture. centres: [levels], the sample of each level; empty for a mixture. emphasis: the
    pre-emphasis. temperature: divides the logits of a softmax, multiplies the scales of a mixture.
    """

    width: int  # number of parameters of the distribution of a sample
    numbers: int  # number of random numbers that draw a sample: K + 1 for a mixture of K logistics, else 1
    floor: float  # least log-scale of a mixture; without a limit: -inf
    centres: Array  # [levels] float64: the sample of every level; empty for a mixture
    emphasis: Emphasis
    temperature: float = 1.0  # divides the logits of a softmax, multiplies the scales of a mixture


class PackedWaveNet(NamedTuple):
    """The packed weights of WaveNet: upsampling of features, the sample-rate network, and the form of its samples."""

    upsampling: Upsampling
    sample: WaveNetWeights
    form: WaveNetForm
    dots: DotStack = NO_DOTS  # the matrices of a network in eight bits

    def at(self, temperature: float) -> PackedWaveNet:
        """Return a copy of the network that draws its samples with this temperature."""
        return self._replace(form=self.form._replace(temperature=temperature))
