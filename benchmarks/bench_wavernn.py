"""Benchmark of WaveRNN: samples per CPU second beside the loop over samples of the published program in torch.

The networks have random weights and the published sizes. One has two GRUs of 512 units and one softmax of 9 bits. The
other has a state of 896 units in two halves, for the coarse and the fine 8 bits of a sample, each with its softmax.

In eight bits one signal is made at least 4 times as fast as by torch, unless plain code makes it: on AMD Zen 2, with
AVX2, 31 times for the first network and 19 times for the second. In float32 the promises are 3.5 for the first network
and 2.5 for the second. There the weights, 12 MB or more, are read for every sample, and the products wait for memory,
in torch too. So the ratio depends on what else uses the cache that cores share: it was 4.1 and 3.9 while nothing else
ran, and as low as 3.7 and 3.0 beside other work.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import Row, faster, milliseconds
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.neural.wavernn_layout import WaveRNNWeights
from dspgraph_nodes._kernels.neural.wavernn_synthesis import (
    WaveRNNState,
    frame_rows,
    random_numbers,
    segment,
    synthesise,
)
from dspgraph_nodes.models.shared.distributions.categorical import Categorical
from dspgraph_nodes.models.wavernn.config import PRESETS
from dspgraph_nodes.models.wavernn.network import Split, Stacked, WaveRNN, network
from dspgraph_nodes.models.wavernn.packing import packed
from dspgraph_nodes.models.wavernn.training import part_losses

STEPS, LANES = 100, 16  # samples that torch makes in one measurement; signals in a batch


def rows() -> list[Row]:
    """Measure WaveRNN, and return the rows of the table of results."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # One signal: 4 times as fast as the published loop in eight bits, at least 3.5 and 2.5 times in float32.
        return [*_rows("wavernn", 3.5), *_rows("wavernn-split", 2.5), _small(), _training()]
    finally:
        torch.set_num_threads(threads)


def _rows(preset: str, alone: float) -> list[Row]:
    """Measure a network in float32 and in eight bits, beside torch; return the rows.

    preset: a name in PRESETS; alone: the promise for one signal in float32, in multiples of torch's speed. In eight
    bits the promise is 4 times torch's speed and 2 times that of float32; for sixteen signals it is 1 in all
    comparisons. In eight bits by plain code it is 0, which is always kept.
    """
    torch.manual_seed(0)
    model = network(PRESETS[preset]).eval()
    whole, eight, hop, path = _weights(model), _weights(model, True), model.config.hop, dot_paths()[0]
    kernels = [_kernel(net, model, signals) for net in (whole, eight) for signals in (1, LANES)]
    one, many, one8, many8, torch_one, torch_many = (
        time * STEPS / hop if k < len(kernels) else time
        for k, time in enumerate(milliseconds([*kernels, _stepped(model, 1), _stepped(model, LANES)], repeats=5))
    )
    least, least_of_many = (0.0, 0.0) if path == "plain" else (4.0, 1.0)
    text, of_many = f"{STEPS} samples", f"{STEPS} samples of {LANES} signals"
    return [
        faster(f"{preset}, {text}: the published loop in torch", one, torch_one, alone),
        faster(f"{preset}, {of_many}: torch, {LANES} in a batch", many, torch_many, 1.0),
        faster(f"{preset} in eight bits ({path}), {text}: the published loop in torch", one8, torch_one, least),
        faster(f"{preset} in eight bits ({path}), {of_many}: torch", many8, torch_many, least_of_many),
        faster(f"{preset} in eight bits ({path}), {text}: float32", one8, one, least / 2),
        faster(f"{preset} in eight bits ({path}), {of_many}: float32", many8, many, least_of_many),
    ]


def _small() -> Row:
    """Measure a network of 96 units, and return the row, with the promise that it is faster than real time."""
    torch.manual_seed(0)
    model = network(PRESETS["wavernn-small"]).eval()
    c = model.config
    (found,) = milliseconds([_kernel(_weights(model), model, 1)], repeats=5)
    speed = 1e3 * c.hop / c.rate / found
    return Row("wavernn-small, seconds per CPU second", speed, float("nan"), "x", speed, ">= 1 x", speed >= 1)


def plain_loss(model: Stacked, frames: Tensor, code: Tensor) -> Tensor:
    """Return the mean loss of a network with one softmax, in nats per sample, computed by torch's own modules.

    frames: [batch, frames + 2 * context, features]; code: [batch, frames * hop + 1], the levels of the sample before
    the frames and of the samples to predict.
    """
    c = model.config
    smooth, auxiliary = model.conditions(frames)
    a1, a2, a3, a4 = auxiliary.chunk(4, -1)
    y = 2 * code.float() / (c.levels - 1) - 1
    x = model.input(torch.cat((y[:, :-1, None], smooth, a1), -1))
    x = x + model.gru1(x)[0]
    x = x + model.gru2(torch.cat((x, a2), -1))[0]
    x = torch.relu(model.dense1(torch.cat((x, a3), -1)))
    x = torch.relu(model.dense2(torch.cat((x, a4), -1)))
    return Categorical(c.levels).loss(model.dense3(x), code[:, 1:]).mean()


def _training() -> Row:
    """Measure an update of a small network, beside the same network with torch's modules; return the row."""
    torch.manual_seed(0)
    model = network(PRESETS["wavernn-small"])
    assert isinstance(model, Stacked)
    c, batch, frames = model.config, 8, 2
    given = torch.rand(batch, frames + 2 * c.context, c.features)
    code = torch.randint(0, c.levels, (batch, frames * c.hop + 1))
    optimizer = torch.optim.Adam(model.parameters())

    def step(loss: Tensor) -> None:
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    ours, theirs = milliseconds(
        [lambda: step(part_losses(model, given, code, code)["loss"]), lambda: step(plain_loss(model, given, code))],
        repeats=9,
    )
    return Row(
        "wavernn-small, training steps per CPU second: torch.nn",
        1e3 / ours, 1e3 / theirs, "1/s", theirs / ours, ">= 1.1 x", theirs / ours >= 1.1,
    )  # fmt: skip


def _weights(model: WaveRNN, eight_bits: bool = False) -> WaveRNNWeights:
    arrays = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    return packed(model.config, arrays, eight_bits)


def _kernel(net: WaveRNNWeights, model: WaveRNN, signals: int) -> Callable[[], object]:
    """Return a function that makes one frame of samples for each of `signals` signals with the kernel.

    net, model: the same network, for the kernel and in torch.
    """
    c, draw = model.config, np.random.Generator(np.random.Philox(key=0))
    rows = frame_rows(net.frame, draw.random((1, 1 + 2 * c.context, c.features)).astype(np.float32))
    numbers = random_numbers(net, draw.random((c.hop, net.draws)))
    return lambda: synthesise(
        net, [segment(net, WaveRNNState(net, draw), rows, numbers) for _ in range(signals)], 1.0, tap=False
    )


def _stepped(model: WaveRNN, signals: int) -> Callable[[], object]:
    return (
        (lambda: _split_loop(model, signals)) if isinstance(model, Split) else (lambda: _stacked_loop(model, signals))
    )


def _cell(gru: nn.GRU) -> nn.GRUCell:
    cell = nn.GRUCell(gru.input_size, gru.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in gru.state_dict().items()})
    return cell


@torch.no_grad()
def _stacked_loop(model: Stacked, signals: int) -> Tensor:
    """Return samples [signals, STEPS], drawn as in the published program: one after the other, with torch's GRUCell."""
    c = model.config
    cell1, cell2 = _cell(model.gru1), _cell(model.gru2)
    smooth, auxiliary = model.conditions(torch.rand(signals, 1 + 2 * c.context, c.features))
    h1 = h2 = torch.zeros(signals, c.units)
    x = torch.zeros(signals, 1)
    drawn = []
    for n in range(STEPS):
        a1, a2, a3, a4 = auxiliary[:, n].chunk(4, 1)
        inner = model.input(torch.cat((x, smooth[:, n], a1), 1))
        h1 = cell1(inner, h1)
        inner = inner + h1
        h2 = cell2(torch.cat((inner, a2), 1), h2)
        inner = torch.relu(model.dense1(torch.cat((inner + h2, a3), 1)))
        logits = model.dense3(torch.relu(model.dense2(torch.cat((inner, a4), 1))))
        level = torch.multinomial(torch.softmax(logits, 1), 1)
        x = 2 * level.float() / (c.levels - 1) - 1
        drawn.append(x)
    return torch.cat(drawn, 1)


@torch.no_grad()
def _split_loop(model: Split, signals: int) -> Tensor:
    """Return [signals, 2 * STEPS]: the coarse and the fine half of every sample in turn, each from -1 to 1.

    The halves are drawn as in the published program. For each sample there is one product with the recurrent matrix;
    then the gates of each half are computed.
    """
    c = model.config
    half, h = c.units // 2, torch.zeros(signals, c.units)
    inner = model.input_coarse.flatten(0, 1).T, model.input_fine.flatten(0, 1).T
    bias = model.bias.view(3, 2, half)
    halves, drawn = torch.zeros(signals, 2), []
    for _ in range(STEPS):
        own = (h @ model.recurrent.T).view(signals, 3, 2, half)
        given, new = halves, []
        for k, (first, second) in enumerate(((model.coarse1, model.coarse2), (model.fine1, model.fine2))):
            gates = (given @ inner[k]).view(signals, 3, half)
            r, z = (torch.sigmoid(own[:, j, k] + gates[:, j] + bias[j, k]) for j in (0, 1))
            n = torch.tanh(r * own[:, 2, k] + gates[:, 2] + bias[2, k])
            new.append(z * h[:, k * half : (k + 1) * half] + (1 - z) * n)
            p = torch.softmax(second(torch.relu(first(new[-1]))), 1)
            value = torch.multinomial(p, 1).float() / 127.5 - 1
            given = torch.cat((given, value), 1)
        halves, h = given[:, 2:], torch.cat(new, 1)
        drawn.append(halves)
    return torch.cat(drawn, 1)
