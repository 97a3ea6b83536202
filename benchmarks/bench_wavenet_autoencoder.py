"""Benchmark of both forms of the WaveNet autoencoder at their published sizes, beside the same networks in torch.

The two forms are the gated form of NSynth and the normalised form of wavenet-autoencoder-chainer. The weights are
random. In torch, the loop over samples keeps the last inputs of every convolution in a ring buffer. The numbers that
the encoding of a frame adds to a layer are the same for all samples of the frame; they are computed before the loop.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, relu

from benchmarks.measure import Row, below, faster, milliseconds
from dspgraph import Array
from dspgraph_nodes._kernels.neural.two_sided import EncoderState
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, synthesise_wavenet
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, PRESETS, SLOPE, TAPS, Config
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder
from dspgraph_nodes.models.wavenet_autoencoder.packing import packed_decoder, packed_encoder

_MANY, _STEPS, _NORMALISED_STEPS = 16, 16, 128
_PUBLISHED = Config(hop=64)
"""The published network with a shorter hop. The time of a sample does not depend on the hop, and a frame of 512 samples
would take long.
"""

_NORMALISED = PRESETS["wavenet_autoencoder-normalised"].replace(pitches=7)
"""The network of wavenet-autoencoder-chainer."""


@torch.no_grad()
def step_by_step(model: Any, z: Tensor, numbers: Tensor) -> Array:
    """Return mu-law levels [batch, n], drawn one after the other by a decoder of the gated form.

    model: the decoder in torch; z: [batch, latent], the frame that conditions all samples; numbers: [n, batch], the
    random number, from 0 to 1, of each draw.
    """
    batch, half = len(z), MULAW_LEVELS // 2
    rings = [z.new_zeros((TAPS - 1) * layer.dilation + 1, batch, model.config.width) for layer in model.layers]
    gates, head = [layer.condition(z) for layer in model.layers], model.condition(z)
    read, found = z.new_zeros(batch, TAPS), []
    for t, u in enumerate(numbers):
        x = model.first(read)
        total = model.skip(x)
        for layer, ring, condition in zip(model.layers, rings, gates, strict=True):
            ring[t % len(ring)] = x
            taken = [ring[(t - k * layer.dilation) % len(ring)] for k in range(TAPS - 1, -1, -1)]
            one, two = (layer.gate(torch.cat(taken, -1)) + condition).chunk(2, -1)
            g = torch.tanh(one) * torch.sigmoid(two)
            total = total + layer.skip(g)
            x = x if layer.out is None else x + layer.out(g)
        logits = model.head[1](relu(model.head[0](relu(total)) + head))
        level = (logits.softmax(-1).cumsum(-1) <= u[:, None]).sum(-1).clamp(max=MULAW_LEVELS - 1)
        read = torch.cat((read[:, 1:], ((level - half) / half)[:, None]), -1)
        found.append(level)
    levels: Array = torch.stack(found, 1).numpy()
    return levels


@torch.no_grad()
def normalised_step_by_step(model: Any, z: Tensor, numbers: Tensor, temperature: float) -> Array:
    """Return mu-law levels [n], drawn one after the other by a decoder of the normalised form in evaluation mode.

    model: the decoder in torch; z: [condition], the frame that conditions all samples; numbers: [n], the random
    number, from 0 to 1, of each draw; temperature: divides the logits.
    """
    layers = [
        (layer, [_affine(norm) for norm in layer.norms], z.new_zeros(layer.dilation + 1, model.config.encoder))
        for layer in model.layers
    ]
    condition, level, found = model.condition(z), MULAW_LEVELS // 2, []
    for t, u in enumerate(numbers):
        h = model.first.weight[level]
        total = torch.zeros_like(h)
        for layer, (before, within), ring in layers:
            ring[t % len(ring)] = leaky_relu(torch.addcmul(before[1], before[0], h), SLOPE)
            read = torch.cat((ring[(t + 1) % len(ring)], ring[t % len(ring)]))
            g = leaky_relu(layer.conv(read) + condition, SLOPE)
            step = layer.out(torch.addcmul(within[1], within[0], g))
            h, total = h + step, total + step
        logits = model.head[1](leaky_relu(model.head[0](leaky_relu(total, SLOPE)), SLOPE))
        shares = (logits / temperature).softmax(-1).cumsum(-1)
        level = min(int((shares <= u).sum()), MULAW_LEVELS - 1)
        found.append(level)
    return np.array(found)


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Return the factor and the offset, [channels] each, of a batch normalisation in evaluation mode."""
    factor = norm.weight / torch.sqrt(norm.running_var + 1e-5)
    return factor, norm.bias - norm.running_mean * factor


def rows() -> list[Row]:
    """Measure both forms of the WaveNet autoencoder, and return the rows of the table.

    The rows are about decoding of one sound and of sixteen, and about encoding.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        model = WaveNetAutoencoder(_PUBLISHED).eval()
        arrays = {name: value.detach().numpy() for name, value in model.state_dict().items()}
        return [*_decoding(model, arrays), _encoding(model, arrays), *_decoding_normalised()]
    finally:
        torch.set_num_threads(threads)


def _decoding(model: Any, arrays: dict[str, Array]) -> list[Row]:
    network, draw = packed_decoder(_PUBLISHED, arrays), np.random.default_rng(0)
    z = draw.standard_normal((_MANY, 1, _PUBLISHED.latent))
    numbers, given = torch.from_numpy(draw.random((_STEPS, _MANY))), torch.from_numpy(z[:, 0]).float()

    def ours(sounds: int) -> object:
        states = [WaveNetState(network, np.random.default_rng(k)) for k in range(sounds)]
        return synthesise_wavenet(
            network, [state.push(network, one, last=True) for state, one in zip(states, z, strict=False)]
        )

    def theirs(sounds: int) -> Array:
        return step_by_step(model.decoder, given[:sounds], numbers[:, :sounds])

    one, many, torch_one, torch_many = milliseconds(
        [lambda: ours(1), lambda: ours(_MANY), lambda: theirs(1), lambda: theirs(_MANY)], repeats=3
    )
    name, own, other = "wavenet_decoder, published size, a sample", _PUBLISHED.hop, _STEPS
    return [
        faster(f"{name}: torch, step by step", one / own, torch_one / other, 1.2),
        below(name, one / own, 25, "ms"),
        faster(f"{name} of each of {_MANY}: torch", many / own / _MANY, torch_many / other / _MANY, 1.0),
        below(f"{name} of each of {_MANY}", many / own / _MANY, 5, "ms"),
    ]


def _encoding(model: Any, arrays: dict[str, Array]) -> Row:
    network, levels = packed_encoder(_PUBLISHED, arrays), torch.randint(MULAW_LEVELS, (1, 8192))
    read = (levels[0].numpy() - MULAW_LEVELS / 2) / (MULAW_LEVELS / 2)

    @torch.no_grad()
    def in_torch() -> object:
        return model.encoder(levels)

    ours, theirs = milliseconds([lambda: EncoderState(network).push(network, read, last=True), in_torch], repeats=3)
    seconds = levels.shape[1] / _PUBLISHED.rate
    return faster("wavenet_encoder, published size, a second: torch", ours / seconds, theirs / seconds, 0.7)


def _decoding_normalised() -> list[Row]:
    model, temperature, frames = WaveNetAutoencoder(_NORMALISED).eval(), 1 / 1.7, 8
    arrays = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    network, draw = packed_decoder(_NORMALISED, arrays).at(temperature), np.random.default_rng(0)
    z, numbers = draw.standard_normal(_NORMALISED.condition), torch.from_numpy(draw.random(_NORMALISED_STEPS))

    def ours() -> object:
        state = WaveNetState(network, np.random.default_rng(0))
        return synthesise_wavenet(network, [state.push(network, np.tile(z, (frames, 1)), last=True)])

    def theirs() -> Array:
        return normalised_step_by_step(model.decoder, torch.from_numpy(z).float(), numbers, temperature)

    one, other = milliseconds([ours, theirs], repeats=5)
    own, peer = one / frames / _NORMALISED.hop, other / _NORMALISED_STEPS
    name = "wavenet_decoder, normalised form, a sample"
    return [faster(f"{name}: torch, step by step", own, peer, 80), below(name, 1000 * own, 20, "us")]
