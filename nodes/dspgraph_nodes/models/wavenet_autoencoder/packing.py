"""The weights of a WaveNet autoencoder, packed for its kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.convolution import in_blocks, padded
from dspgraph_nodes._kernels.neural.emphasis import Emphasis
from dspgraph_nodes._kernels.neural.gated_layers import LayersForm, pack_layers
from dspgraph_nodes._kernels.neural.layout import WIDTH
from dspgraph_nodes._kernels.neural.packing import contiguous, norm_factors, single
from dspgraph_nodes._kernels.neural.two_sided import PackedEncoder, StackMatrices
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet, Upsampling, WaveNetForm, WaveNetWeights
from dspgraph_nodes._kernels.signal.mulaw import floor_samples
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, SLOPE, TAPS, Config

_READ = ((np.arange(MULAW_LEVELS) - MULAW_LEVELS // 2) / (MULAW_LEVELS // 2)).astype(np.float32)
"""Level -> the number that the gated networks read for it, [256] float32."""


def packed_encoder(config: Config, arrays: Mapping[str, Array]) -> PackedEncoder:
    """Return an encoder in the form that its kernel uses. arrays: all arrays of a file of weights, by name."""
    c, names = config, [f"encoder.layers.{i}" for i in range(config.layers)]
    wide = {name: one.astype(np.float64) for name, one in arrays.items() if name.startswith("encoder.")}
    first: Array
    if c.form == "gated":
        first, first_bias = arrays["encoder.first.weight"][..., None] * _READ, wide["encoder.first.bias"]
        norms, slope = [(np.ones(c.encoder), np.zeros(c.encoder))] * c.layers, 0.0
    else:
        first, first_bias = wide["encoder.first.weight"].T[:, None], np.zeros(c.encoder)
        norms, slope = [norm_factors(wide, f"{name}.norms.0") for name in names], SLOPE
        for name in names:
            _fold_norm(wide, f"{name}.norms.1", f"{name}.out")
    matrices = [
        in_blocks(padded(wide[f"{name}.{part}.weight"], columns=taps))
        for name in names for part, taps in (("conv", TAPS), ("out", 1))
    ]  # fmt: skip
    hidden, biases = (np.array([_tall(wide[f"{name}.{part}.bias"]) for name in names]) for part in ("conv", "out"))
    factors, offsets = (np.array([_tall(one[k]) for one in norms]) for k in range(2))
    more = (0, -c.encoder % WIDTH)
    layers = single(StackMatrices(np.concatenate(matrices), hidden, biases, factors, offsets, np.array([slope])))
    return PackedEncoder(
        np.pad(first, (more, (0, 0), (0, 0))).astype(np.float32), _tall(first_bias)[:, None].astype(np.float32),
        layers, c.form == "normalised", c.dilations,
        np.pad(wide["encoder.last.weight"].T, (more, (0, 0))), wide["encoder.last.bias"], c.hop,
    )  # fmt: skip


def _tall(vector: Array) -> Array:
    """Return a vector, followed by zeros until its length is a multiple of sixteen."""
    return padded(vector[:, None])[:, 0]


def _fold_norm(wide: dict[str, Array], norm: str, layer: str) -> None:
    """Change a dense layer, so that it also does the work of the batch normalisation before it.

    wide: the arrays of a file of weights in float64, by name; the weight and the bias of the layer are replaced. norm,
    layer: the names of the normalisation and of the layer.
    """
    factor, offset = norm_factors(wide, norm)
    wide[f"{layer}.bias"] = wide[f"{layer}.bias"] + wide[f"{layer}.weight"] @ offset
    wide[f"{layer}.weight"] = wide[f"{layer}.weight"] * factor


def frames_read(z: Array, pitch: int, config: Config) -> Array:
    """Return the frames that the decoder reads, [n, latent + pitches], in the dtype of z: see `network.with_pitch`.

    z: [n, latent], the frames of the encoding; pitch: semitones above the lowest pitch, below `pitches`; it is ignored
    if the decoder reads no pitch. A pitch out of range gives a code of zeros.
    """
    code = np.arange(config.pitches) == pitch
    return np.concatenate((z, np.broadcast_to(code, (len(z), config.pitches)).astype(z.dtype)), axis=1)


def packed_decoder(config: Config, arrays: Mapping[str, Array]) -> PackedWaveNet:
    """Return a decoder in the form that the kernels of WaveNet use.

    arrays: all arrays of a file of weights, by name.
    """
    c = config
    own = {name.removeprefix("decoder."): one for name, one in arrays.items() if name.startswith("decoder.")}
    sample, gates = (_gated if c.form == "gated" else _normalised)(c, own)
    held = Upsampling(  # every sample of a frame has the frame itself
        True, c.hop, 0, 0, np.zeros(c.condition), np.ones(c.condition), np.eye(c.condition), (), np.zeros(0), gates,
        np.ones((c.hop, 1)),
    )  # fmt: skip
    form = WaveNetForm(MULAW_LEVELS, 1, -math.inf, floor_samples(), Emphasis(1.0, 0.0))
    return PackedWaveNet(single(held), contiguous(single(sample)), form)


def _gated(config: Config, own: Mapping[str, Array]) -> tuple[WaveNetWeights, Array]:
    """Return the packed weights of a decoder of the gated form, and the matrix for its frames: see `pack_layers`.

    own: the arrays of the decoder, by name without "decoder.".
    """
    c = config
    first = own["first.weight"].astype(np.float64)[:, ::-1].T  # [taps, width], the newest first
    of_levels = (first[:, None] * _READ[:, None]).reshape(-1, c.width)
    return pack_layers(LayersForm(TAPS, c.dilations, (1.0,) * c.layers, 1.0), own, of_levels)[:2]


def _normalised(config: Config, own: Mapping[str, Array]) -> tuple[WaveNetWeights, Array]:
    """Return the packed weights of a decoder of the normalised form, and the matrix for its frames: see `pack_layers`.

    own: the arrays of the decoder, by name without "decoder.".
    """
    c, wide = config, {name: one.astype(np.float64) for name, one in own.items()}
    wide["first.bias"], norms = np.zeros(c.encoder), []
    condition, bias = wide.pop("condition.weight"), wide.pop("condition.bias")
    for i in range(c.layers):
        name = f"layers.{i}"
        norms.append(norm_factors(wide, f"{name}.norms.0"))
        _fold_norm(wide, f"{name}.norms.1", f"{name}.out")
        wide[f"{name}.gate.weight"], wide[f"{name}.gate.bias"] = wide[f"{name}.conv.weight"], bias
        wide[f"{name}.condition.weight"] = condition
        for kind in ("weight", "bias"):  # a skip connection is the sum that is added to the input of the next layer
            wide[f"{name}.skip.{kind}"] = wide[f"{name}.out.{kind}"]
    factors, offsets = (np.array(one) for one in zip(*norms, strict=True))
    form = LayersForm(TAPS - 1, c.dilations, (1.0,) * c.layers, 1.0, (factors, offsets), SLOPE)
    return pack_layers(form, wide, wide["first.weight"])[:2]
