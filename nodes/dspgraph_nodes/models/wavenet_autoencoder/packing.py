"""The weights of a WaveNet autoencoder, packed for its kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.convolution import in_blocks, padded
from dspgraph_nodes._kernels.neural.emphasis import Emphasis
from dspgraph_nodes._kernels.neural.gated_layers import LayersForm, pack_layers
from dspgraph_nodes._kernels.neural.packing import contiguous, single
from dspgraph_nodes._kernels.neural.two_sided import PackedEncoder, StackMatrices
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet, Upsampling, WaveNetForm
from dspgraph_nodes._kernels.signal.mulaw import floor_samples
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, TAPS, Config


def packed_encoder(config: Config, arrays: Mapping[str, Array]) -> PackedEncoder:
    """Return an encoder as its kernel uses it. arrays: those of a file of weights, by name."""
    layers = [f"encoder.layers.{i}" for i in range(config.layers)]
    matrices = [
        in_blocks(padded(arrays[f"{name}.{part}.weight"], columns=taps))
        for name in layers for part, taps in (("conv", TAPS), ("out", 1))
    ]  # fmt: skip
    biases = [padded(arrays[f"{name}.{part}.bias"][:, None])[:, 0] for name in layers for part in ("conv", "out")]
    last = padded(arrays["encoder.last.weight"].astype(np.float64))[: config.latent]
    return PackedEncoder(
        padded(arrays["encoder.first.weight"])[:, :TAPS].copy(), padded(arrays["encoder.first.bias"][:, None])[:, :1],
        StackMatrices(np.concatenate(matrices), np.array(biases)), config.dilations,
        last.T.copy(), arrays["encoder.last.bias"].astype(np.float64), config.hop,
    )  # fmt: skip


def frames_read(z: Array, pitch: int, config: Config) -> Array:
    """Return the frames that the decoder reads: [n, latent + pitches], in the dtype of z.

    z: [n, latent], the frames of the encoding; pitch: semitones above the lowest pitch; not read if the decoder reads
    no pitch.
    """
    code = np.arange(config.pitches) == pitch
    return np.concatenate((z, np.broadcast_to(code, (len(z), config.pitches)).astype(z.dtype)), axis=1)


def packed_decoder(config: Config, arrays: Mapping[str, Array]) -> PackedWaveNet:
    """Return a decoder as the kernels of WaveNet use it. arrays: those of a file of weights, by name."""
    c = config
    own = {name.removeprefix("decoder."): array for name, array in arrays.items() if name.startswith("decoder.")}
    read = (np.arange(MULAW_LEVELS) - MULAW_LEVELS // 2) / (MULAW_LEVELS // 2)  # what the network reads of each level
    first = own["first.weight"].astype(np.float64)[:, ::-1].T  # [taps, width], the newest first
    of_levels = (first[:, None] * read[:, None]).reshape(-1, c.width)
    sample, gates = pack_layers(LayersForm(TAPS, c.dilations, (1.0,) * c.layers, 1.0), own, of_levels)
    held = Upsampling(  # every sample of a frame has the frame itself
        True, c.hop, 0, 0, np.zeros(c.condition), np.ones(c.condition), np.eye(c.condition), (), np.zeros(0), gates,
        np.ones((c.hop, 1)),
    )  # fmt: skip
    form = WaveNetForm(MULAW_LEVELS, 1, -math.inf, floor_samples(), Emphasis(1.0, 0.0))
    return PackedWaveNet(single(held), contiguous(single(sample)), form)
