"""The names and shapes of the arrays in a file of weights of a WaveNet autoencoder, without torch."""

from __future__ import annotations

from dspgraph_nodes.models.shared.weights import WeightsFormat, layer_shapes, norm_shapes
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, TAPS, Config


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for every array of a network with this configuration.

    The names are those that torch gives the arrays.
    """
    return _gated(config) if config.form == "gated" else _normalised(config)


def _gated(config: Config) -> dict[str, tuple[int, ...]]:
    c = config
    found = layer_shapes("encoder.first", c.encoder, TAPS)
    for i in range(c.layers):
        found |= layer_shapes(f"encoder.layers.{i}.conv", c.encoder, TAPS * c.encoder)
        found |= layer_shapes(f"encoder.layers.{i}.out", c.encoder, c.encoder)
    found |= layer_shapes("encoder.last", c.latent, c.encoder)
    found |= layer_shapes("decoder.first", c.width, TAPS) | layer_shapes("decoder.skip", c.skip, c.width)
    for i in range(c.layers):
        found |= layer_shapes(f"decoder.layers.{i}.gate", 2 * c.width, TAPS * c.width)
        found |= layer_shapes(f"decoder.layers.{i}.condition", 2 * c.width, c.condition)
        found |= layer_shapes(f"decoder.layers.{i}.skip", c.skip, c.width)
        if i < c.layers - 1:  # nothing reads the output of the last layer
            found |= layer_shapes(f"decoder.layers.{i}.out", c.width, c.width)
    found |= layer_shapes("decoder.head.0", c.skip, c.skip) | layer_shapes("decoder.head.1", MULAW_LEVELS, c.skip)
    return found | layer_shapes("decoder.condition", c.skip, c.condition)


def _normalised(config: Config) -> dict[str, tuple[int, ...]]:
    c, channels = config, config.encoder
    found = layer_shapes("encoder.last", c.latent, channels) | layer_shapes("decoder.condition", c.width, c.condition)
    for part, taps in (("encoder", TAPS), ("decoder", TAPS - 1)):
        found |= layer_shapes(f"{part}.first", MULAW_LEVELS, channels, bias=False)
        for i in range(c.layers):
            name = f"{part}.layers.{i}"
            found |= norm_shapes(f"{name}.norms.0", channels) | norm_shapes(f"{name}.norms.1", c.width)
            found |= layer_shapes(f"{name}.conv", c.width, taps * channels, bias=part == "encoder")
            found |= layer_shapes(f"{name}.out", channels, c.width)
    head = layer_shapes("decoder.head.0", channels, channels) | layer_shapes("decoder.head.1", MULAW_LEVELS, channels)
    return found | head


WEIGHTS = WeightsFormat(
    "wavenet_autoencoder", Config, shapes, optional=frozenset({"form", "least_dilation", "lowest", "pitches"})
)
"""The layout of a file of weights."""
