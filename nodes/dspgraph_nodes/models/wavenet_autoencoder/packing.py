"""The weights of a WaveNet autoencoder, packed for its kernels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.convolution import in_blocks, padded
from dspgraph_nodes._kernels.neural.two_sided import PackedEncoder, StackMatrices
from dspgraph_nodes.models.wavenet_autoencoder.config import TAPS, Config


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
