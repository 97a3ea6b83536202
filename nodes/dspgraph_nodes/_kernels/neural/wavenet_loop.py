"""WaveNet's loop over samples, for one signal or for sixteen side by side; the samples are the same, bit for bit.

Every layer keeps the last inputs of its convolution in a ring: (taps - 1) * dilation + 1 rows, from the oldest sample
that it still reads to the present one. A new sample overwrites the oldest row, so that no row moves.

Vectors and lanes are those of the module `convolution`.

There are two forms of layers. A layer with gates computes the formulas of the node `wavenet`; its ring keeps its
inputs x. The other form has a factor f and an offset o for every channel, and leaky ReLUs r(x) = max(x, slope * x);
its ring keeps a:

    a[t] = r(f * x[t] + o),    g[t] = r(sum_k W_k a[t + (k - taps + 1) * d] + b),    k = 0 .. taps - 1

and x + V g + c is the input of the next layer.

Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016; T. Le Paine et al.,
Fast Wavenet Generation Algorithm, arXiv:1611.09482, 2016 (the rings).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import loop_kernel, part_of_kernel
from dspgraph_nodes._kernels.neural.convolution import add_products, add_products_or_dots, normalise, rectify
from dspgraph_nodes._kernels.neural.draws import SampleDraws, draw_samples
from dspgraph_nodes._kernels.neural.layout import WIDTH, DotStack
from dspgraph_nodes._kernels.neural.sampling import SoftmaxBuffers
from dspgraph_nodes._kernels.neural.stages import NetworkCode, network_stage
from dspgraph_nodes._kernels.neural.wavenet_layout import WaveNetWeights


class WaveNetWorkspace(NamedTuple):
    """The arrays that the stages of a step read and write.

    state: the rings, and the results of the layers; for sixteen signals its last axis is the lane. places: where the
    inputs of the present matrix begin in `state`. frames: the rows that features add to the gates, those of all
    signals. rows: [lanes], the first row that each lane uses for the present sample. mix: [lanes, rows of a sample],
    the factors of these rows. heads: [layers], the row of the present sample in every ring. shares: [lanes], zeros,
    which only `draw_samples` reads and writes. work, softmax: working memory.
    """

    state: Array  # [1, n] or [1, n, 16]: rings, sums of the gates, z, skip, the first layer of the head, the output,
    # and the input of a layer without gates
    places: Array  # [taps] int64: where the inputs of the present matrix begin in `state`
    frames: Array  # [rows, n]: the products of features and weights; n as in `gate_bias`; rows: see `gate_rows` in the
    # module `wavenet_synthesis`
    rows: Array  # [lanes] int64: the first row of `frames` that a sample uses
    mix: Array  # [lanes, rows of a sample]: the factors of the rows that a sample uses
    heads: Array  # [layers] int64: the row of the present sample in every ring
    shares: Array  # [lanes]: zeros, which only `draw_samples` reads and writes
    work: Array  # [16, 16]: memory for transposing
    softmax: SoftmaxBuffers
    codes: Array  # this and the next two: see `convolution.rounding_buffers`
    steps: Array
    sums: Array


@network_stage
def start_gates(code: NetworkCode, first: Any, blocks: Any, width: Any, count: Any, y: Any) -> None:
    """Write vector code that sets the sums of a layer's gates, at y, to their bias plus what the features add to them.

        state[y + j] = bias[first + j] + sum_i mix[i] * frames[rows + i, first + j],    i ascending,  i < count

    first: the number of the layer's first gate in `gate_bias`; blocks: the number of blocks of sixteen gates; width:
    the length of a row of `frames`; count: how many rows of `frames` a sample uses. mix and rows are those of each
    lane. The first layer of the head is started in the same way, if features add to it.
    """
    b, mul = code.builder, code.builder.mul

    def summed(at: Any, lane: Any) -> Any:
        total = code.variable(code.load("gate_bias", at))
        row, factors = code.element("rows", lane), mul(lane, count)
        with code.loop(count) as i:
            values = code.load("frames", code.plus(mul(code.plus(row, i), width), at))
            factor = code.broadcast(code.element("mix", code.plus(factors, i)))
            b.store(code.fma(factor, values, b.load(total)), total)
        return b.load(total)

    with code.loop(blocks) as block:
        at = code.plus(first, code.times(block, WIDTH))
        place = code.plus(y, code.times(block, WIDTH))
        if code.many:
            with code.loop(WIDTH) as lane:
                code.store(summed(at, lane), "work", code.times(lane, WIDTH))
            rows = code.transposed([code.load("work", WIDTH * lane) for lane in range(WIDTH)])
            for r, values in enumerate(rows):
                code.store(values, "state", code.times(code.plus(place, r), WIDTH))
        else:
            code.store(summed(at, code.times(block, 0)), "state", place)


@network_stage
def open_gates(code: NetworkCode, sums: Any, z: Any, blocks: Any) -> None:
    """Write vector code that computes tanh(a) * sigmoid(b) of `blocks` blocks of sixteen channels.

        tanh(a) * sigmoid(b) = (d_a - 2) / (d_a * d_b),    d_a = 1 + 2**(2 * a / ln 2),    d_b = 1 + 2**(-b / ln 2)

    sums: where the exponents of 2 begin in `state`: first all those of d_a, then those of d_b. z: where the results
    begin.
    """
    count = code.times(blocks, code.each)
    half = code.times(count, WIDTH)
    begin, to = code.times(sums, code.each), code.times(z, code.each)
    with code.loop(count) as k:
        at = code.times(k, WIDTH)
        a = code.plus(begin, at)
        d_a, d_b = code.denominators([code.load("state", a), code.load("state", code.plus(a, half))])
        quotient = code.reciprocal(code.mul(d_a, d_b))
        code.store(code.mul(code.sub(d_a, code.constant(2)), quotient), "state", code.plus(to, at))


@network_stage
def begin_layer(code: NetworkCode, x: Any, y: Any, bias: Any, blocks: Any) -> None:
    """Write vector code that sets state[y + r] to f * state[x + r] + out_bias[bias + r].

    r counts the channels of `blocks` blocks of sixteen.

    The products with the layer's weights are added to these sums later. x, y: positions in the state, which may be the
    same; bias: where the biases of the layer begin in `out_bias`. f: `residual_factor`, which is sqrt(1/2) in WaveNet.
    """
    factor = code.broadcast(code.element("residual_factor", 0))
    of_x, of_y = code.times(x, code.each), code.times(y, code.each)
    with code.loop(blocks) as block, code.loop(code.each) as r:
        within = code.times(code.plus(code.times(block, code.each), r), WIDTH)
        own = code.unit("out_bias", code.plus(bias, code.times(block, WIDTH)), r)
        value = code.load("state", code.plus(of_x, within))
        code.store(code.fma(factor, value, own), "state", code.plus(of_y, within))


class WaveNetInputs(NamedTuple):
    """The inputs of a run of n samples, with one column for every lane.

    rows: [n, lanes], the first row of `WaveNetWorkspace.frames` that each sample uses. factors: [kinds, count]; a
    sample uses `count` rows, and kinds [n, lanes] says which row of `factors` multiplies them. draws: the random
    numbers. centres: the sample of each level. forced: [m, lanes], samples, or levels if `centres` has any, that the
    network reads in place of the first m that it draws. The results are the drawn ones all the same.
    """

    rows: Array  # [n, lanes] int64: the first row of `frames` that a sample uses
    kinds: Array  # [n, lanes] int64: the row of `factors` with the factors of these rows
    factors: Array  # [kinds, count] float32
    draws: SampleDraws
    centres: Array  # [levels] float64: the sample of each level; empty for a mixture
    forced: Array  # [m, lanes] float64: samples or levels that the network is given in place of those it draws


class WaveNetResults(NamedTuple):
    """The results of a run of n samples.

    samples: [n, lanes] float64, the drawn samples, from -1 to 1. parameters: [n, output, lanes] float32, the
    parameters of their distributions; [0, output, lanes] if they are not wanted.
    """

    samples: Array  # [n, lanes] float64: the drawn samples, from -1 to 1
    parameters: Array  # [n, output, lanes] float32: the parameters of their distributions; or [0, output, lanes]


@part_of_kernel
def _layers(
    net: WaveNetWeights,
    dots: DotStack,
    room: WaveNetWorkspace,
    heads: Array,
    gates: int,
    z: int,
    skip: int,
    stream: int,
) -> None:
    """Compute all dilated layers for one sample, and add their skip outputs to the sums at `skip`.

    The input of the first layer must stand in its ring, at the row of the present sample, or at `stream` for layers
    without gates. The rows of the present sample in the other rings are written. heads: [layers], the row of the
    present sample in every ring. gates, z, skip, stream: positions in the state of: the sums of the gates, the gated
    values, the skip sums, and the input of a layer without gates.
    """
    taps, residual, gate, skips = net.sizes[0], net.sizes[1], net.sizes[2], net.sizes[3]
    count, width, gated = len(net.layers), len(net.gate_bias), len(net.norm_factor) == 0
    sums = 2 * gate if gated else gate
    for i in range(count):
        begin, rows, dilation = net.layers[i, 3], net.layers[i, 4], net.layers[i, 5]
        for k in range(taps):
            row = heads[i] - (taps - 1 - k) * dilation
            room.places[k] = begin + (row + rows if row < 0 else row) * residual
        x = room.places[taps - 1] if gated else stream
        if not gated:
            normalise(net, room, x, room.places[taps - 1], i * residual, residual // WIDTH)
        start_gates(net, room, sums * i, sums // WIDTH, width, room.mix.shape[1], gates)
        add_products_or_dots(net, dots, room, net.layers[i, 0], taps, residual, gates, sums // WIDTH)
        if gated:
            open_gates(net, room, gates, z, gate // WIDTH)
        else:
            rectify(net, room, gates, gate // WIDTH)
        room.places[0] = z if gated else gates
        if i + 1 < count:
            y = net.layers[i + 1, 3] + heads[i + 1] * residual if gated else stream
            begin_layer(net, room, x, y, i * residual, residual // WIDTH)
            add_products_or_dots(net, dots, room, net.layers[i, 1], 1, gate, y, residual // WIDTH)
        add_products_or_dots(net, dots, room, net.layers[i, 2], 1, gate, skip, skips // WIDTH)


@loop_kernel
def run(
    net: WaveNetWeights, dots: DotStack, room: WaveNetWorkspace, given: WaveNetInputs, last: Array, out: WaveNetResults
) -> None:
    """Generate n samples in every lane, and leave in the rings the inputs that the next run needs.

    n is len(given.rows). The samples are written to `out`. last: [taps of the first convolution, lanes] float64, the
    samples, or their levels, that this convolution reads for the first new sample, the newest first. They are changed
    in place: after the run they are the last samples, forced ones where there are such. When the run begins, row 0 of
    every ring is the oldest; when it ends, the oldest is row n modulo the number of rows.
    """
    count, lanes = given.rows.shape
    residual, gate, skips, width = net.sizes[1], net.sizes[2], net.sizes[3], net.sizes[4]
    flat = room.state.reshape(-1)
    gates = net.layers[-1, 3] + net.layers[-1, 4] * residual
    z, skip = gates + 2 * gate, gates + 3 * gate
    hidden, output = skip + skips, skip + 2 * skips
    stream, gated = output + width, len(net.norm_factor) == 0
    parameters = flat[output * lanes : (output + width) * lanes].reshape(width, lanes)
    heads, levels = room.heads, given.draws.levels
    inputs, gate_count = len(net.first) // len(last), (2 if gated else 1) * gate * len(net.layers)
    for i in range(len(heads)):
        heads[i] = 0
    for n in range(count):
        x = (net.layers[0, 3] + heads[0] * residual if gated else stream) * lanes
        for lane in range(lanes):
            room.rows[lane] = given.rows[n, lane]
            for k in range(room.mix.shape[1]):
                room.mix[lane, k] = given.factors[given.kinds[n, lane], k]
            for k in range(len(last)):
                level, sample = (int(last[k, lane]), np.float32(1)) if levels else (0, np.float32(last[k, lane]))
                for r in range(residual):
                    before = flat[x + r * lanes + lane] if k else net.first_bias[r]
                    flat[x + r * lanes + lane] = net.first[k * inputs + level, r] * sample + before
        for r in range(len(net.last_bias)):
            for lane in range(lanes):
                flat[(skip + r) * lanes + lane] = net.last_bias[r]
        if net.head[2] >= 0:
            room.places[0] = net.layers[0, 3] + heads[0] * residual
            add_products(net, room, net.head[2], 1, residual, skip, skips // WIDTH)
        _layers(net, dots, room, heads, gates, z, skip, stream)
        rectify(net, room, skip, skips // WIDTH)
        if len(net.gate_bias) > gate_count:
            start_gates(net, room, gate_count, skips // WIDTH, len(net.gate_bias), room.mix.shape[1], hidden)
        room.places[0] = skip
        add_products(net, room, net.head[0], 1, skips, hidden, skips // WIDTH)
        rectify(net, room, hidden, skips // WIDTH)
        room.places[0] = hidden
        add_products(net, room, net.head[1], 1, skips, output, width // WIDTH)
        if n < len(out.parameters):
            for k in range(width):
                for lane in range(lanes):
                    out.parameters[n, k, lane] = parameters[k, lane]
        for k in range(len(last) - 1, 0, -1):
            for lane in range(lanes):
                last[k, lane] = last[k - 1, lane]
        draw_samples(room.softmax, parameters, given.draws, n, last[0], room.shares)
        for lane in range(lanes):
            out.samples[n, lane] = given.centres[int(last[0, lane])] if levels else last[0, lane]
            if n < len(given.forced):
                last[0, lane] = given.forced[n, lane]
        for i in range(len(heads)):
            heads[i] = (heads[i] + 1) % net.layers[i, 4]
