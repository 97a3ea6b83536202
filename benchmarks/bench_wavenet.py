"""Benchmark of WaveNet beside the loop over samples of the published program, which is rewritten here in torch.

The networks have random weights. For every layer, the loop keeps the last inputs of the convolution in a buffer. At
every sample it shifts the buffer by one, and reads every d-th input, where d is the dilation. As in the program, the
weight normalisation is computed before the loop.

In eight bits, by the instructions of AVX2, one signal of the published size was made 2.6 times as fast as in float32,
whose 13 MB of weights are read for every sample, and sixteen signals 1.7 times. The network of 32 channels, whose
weights fit the caches, was made 1.3 times as fast, sixteen signals 1.2 times. That was on AMD Zen 4, where the float32
network uses AVX-512. With AVX-512 VNNI the promise for the network of 32 channels is that eight bits are no slower.
"""

from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad, relu

from benchmarks.measure import Row, faster, milliseconds
from dspgraph import Array
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, synthesise_wavenet
from dspgraph_nodes.models.wavenet.config import PRESETS, Config
from dspgraph_nodes.models.wavenet.network import WaveNet
from dspgraph_nodes.models.wavenet.packing import packed

MANY, NONE = 16, float("nan")
REDUCED = Config(residual=32, gate=64, skip=32, bands=16)  # 24 layers, as in the published network


def multiply_adds(config: Config) -> int:
    """Return the number of multiply-adds per sample in the layers and the head.

    The first layer, with one input, does not count, nor do the features, which are processed once per frame.
    """
    c, half = config, config.gate // 2
    own = c.layers * (c.kernel * c.residual * c.gate + half * (c.residual + c.skip)) - half * c.residual
    return own + c.skip * (c.skip + c.width)


def network_of(config: Config) -> Any:
    """Set torch's seed to 0; return a network with random weights, whose samples are noise of a moderate level."""
    torch.manual_seed(0)
    model: Any = WaveNet(config).eval()
    with torch.no_grad():
        model.head[1].weight *= 0.1
    return model


@torch.no_grad()
def step_by_step(model: Any, rows: Tensor, numbers: Tensor) -> Array:
    """Return samples [batch, n], generated as the published program does.

    model: a WaveNet of the kind mixture; rows: [n, batch, bands], the result of `model.condition`, samples first;
    numbers: [n, batch, K + 1], between 0 and 1, the random numbers of every draw from a mixture of K components: K for
    the choice of the component, and one for its value.
    """
    config, layers = model.config, list(model.layers)
    count, batch, _ = rows.shape
    buffers = [rows.new_zeros(batch, (config.kernel - 1) * layer.dilation + 1, config.residual) for layer in layers]
    x, found = rows.new_zeros(batch, 1), rows.new_zeros(batch, count)
    factor, half = sqrt(1 / config.layers), sqrt(0.5)
    for t in range(count):
        h: Any = model.first(x)
        skips: Any = None
        for layer, held in zip(layers, buffers, strict=True):
            held[:, :-1] = held[:, 1:].clone()
            held[:, -1] = h
            taken = held[:, :: layer.dilation].reshape(batch, -1)
            a, b = (layer.gate(taken) + layer.condition(rows[t])).chunk(2, -1)
            z = torch.tanh(a) * torch.sigmoid(b)
            skip = layer.skip(z)
            skips = skip if skips is None else skips + skip
            h = h if layer.out is None else (layer.out(z) + h) * half
        parameters = model.head[1](relu(model.head[0](relu(skips * factor))))
        x = model.distribution.draw(parameters, numbers[t]).float()[:, None]
        found[:, t] = x[:, 0]
    samples: Array = found.numpy()
    return samples


def plain_loss(model: Any, features: Tensor, previous: Tensor, target: Tensor) -> Tensor:
    """Return the mean loss of a WaveNet of the kind mixture, in nats per sample, computed with torch's convolutions.

    model: the WaveNet; features: [batch, frames + 2 * context, bands]; target: [batch, frames * hop], the samples to
    predict; previous: [batch, frames * hop], for each of them the sample before it.
    """
    c = model.condition(features).mT
    x = conv1d(previous[:, None], model.first.weight[..., None], model.first.bias)
    total: Any = 0.0
    for layer, factor in zip(model.layers, model.config.skip_factors, strict=True):
        weight = layer.gate.weight.view(layer.gate.out_features, layer.taps, -1).permute(0, 2, 1)
        past = pad(x, ((layer.taps - 1) * layer.dilation, 0))
        a = conv1d(past, weight, layer.gate.bias, dilation=layer.dilation)
        one, two = (a + conv1d(c, layer.condition.weight[..., None])).chunk(2, 1)
        z = torch.tanh(one) * torch.sigmoid(two)
        total = total + factor * conv1d(z, layer.skip.weight[..., None], layer.skip.bias)
        if layer.out is not None:
            x = (x + conv1d(z, layer.out.weight[..., None], layer.out.bias)) * sqrt(0.5)
    for head in model.head:
        total = conv1d(relu(total), head.weight[..., None], head.bias)
    loss: Tensor = model.distribution.loss(total.mT, target).mean()
    return loss


def rows() -> list[Row]:
    """Measure WaveNet, and return the rows of the table: about synthesis of one signal and of sixteen, and training."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            *_synthesis("wavenet", PRESETS["wavenet"], 2, 24, 5, 2.5, 0 if dot_paths()[0] == "plain" else 2),
            *_synthesis("wavenet, 24 layers of 32 channels", REDUCED, 16, 48, 100, 15, int(dot_paths()[0] == "vnni")),
            _training(),
        ]
    finally:
        torch.set_num_threads(threads)


def _synthesis(
    name: str, config: Config, frames: int, steps: int, alone: float, together: float, eight_bits: float
) -> list[Row]:
    """Measure the synthesis of one network, and return its rows, for one signal and for sixteen.

    The speed is compared with torch and with a matrix product. alone, together: the promises for one signal and for
    sixteen, in multiples of torch's speed. eight_bits: the promise for one signal in eight bits, in multiples of the
    speed in float32. frames: the number of frames that are synthesised; steps: the number of samples that torch makes.
    """
    model = network_of(config)
    arrays = {key: one.numpy() for key, one in model.state_dict().items()}
    network, eight = packed(config, arrays), packed(config, arrays, eight_bits=True)
    draw = np.random.Generator(np.random.Philox(key=0))
    features = draw.standard_normal((MANY, frames, config.bands))
    wide = torch.from_numpy(np.pad(features, ((0, 0), (config.context,) * 2, (0, 0)), mode="edge")).float()
    with torch.no_grad():
        c = model.condition(wide)[:, :steps].transpose(0, 1).contiguous()
    numbers = torch.from_numpy(1e-5 + (1 - 2e-5) * draw.random((steps, MANY, config.components + 1)))
    square = draw.standard_normal((1024, 1024)).astype(np.float32)

    def ours(signals: int, network: PackedWaveNet = network) -> list[tuple[Array, Array]]:
        states = [WaveNetState(network, np.random.default_rng(k)) for k in range(signals)]
        return synthesise_wavenet(
            network, [state.push(network, one, last=True) for state, one in zip(states, features, strict=False)]
        )

    def theirs(signals: int) -> Array:
        return step_by_step(model, c[:, :signals], numbers[:, :signals])

    one, many, one8, many8, torch_one, torch_many, product = milliseconds(
        [
            lambda: ours(1), lambda: ours(MANY), lambda: ours(1, eight), lambda: ours(MANY, eight), lambda: theirs(1),
            lambda: theirs(MANY), lambda: square @ square,
        ],
        repeats=5,
    )  # fmt: skip
    seconds, samples = config.hop * frames / config.rate, config.hop * frames
    flops, best = 2 * multiply_adds(config) * samples, 2 * 1024**3 / product / 1e6
    return [
        faster(
            f"{name}, a second of audio: torch, step by step", one / seconds, torch_one * config.rate / steps, alone
        ),
        faster(
            f"{name}, a second each of {MANY} in a batch: torch, the same",
            many / seconds, torch_many * config.rate / steps, together,
        ),
        faster(
            f"{name} in eight bits ({dot_paths()[0]}), a second of audio: float32",
            one8 / seconds, one / seconds, eight_bits,
        ),
        Row(f"{name} in eight bits, a second each of {MANY} in a batch: float32", many8 / seconds, many / seconds, "ms",
            many / many8, "x printed", True),
        Row(f"{name}, one signal, of a matrix product", flops / one / 1e6, best, "GFLOPS",
            100 * flops / one / 1e6 / best, "% printed", True),
        Row(f"{name}, {MANY} in a batch, the same", MANY * flops / many / 1e6, best, "GFLOPS",
            100 * MANY * flops / many / 1e6 / best, "% printed", True),
        Row(f"{name}, one signal, seconds per CPU second", 1e3 * seconds / one, NONE, "x", 1e3 * seconds / one,
            "printed", True),
    ]  # fmt: skip


def _training() -> Row:
    """Measure the loss and the gradients of a small network, beside torch's convolutions; return the row."""
    config = PRESETS["wavenet-small"]
    model = network_of(config)
    features, x = torch.randn(4, 4 + 2 * config.context, config.bands), 2 * torch.rand(4, 4 * config.hop + 1) - 1

    def update(loss: Tensor) -> None:
        model.zero_grad()
        torch.autograd.backward(loss)

    def own() -> None:
        parameters = model(model.condition(features), x[:, :-1])
        update(model.distribution.loss(parameters, x[:, 1:]).mean())

    ours, theirs = milliseconds([own, lambda: update(plain_loss(model, features, x[:, :-1], x[:, 1:]))], repeats=9)
    return faster("wavenet-small, its gradients, one core: torch's convolutions", ours, theirs, 1.0)
