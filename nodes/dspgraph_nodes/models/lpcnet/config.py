"""The configuration of an LPCNet: the sizes of its network, the rate and hop of its audio, and named presets."""

from __future__ import annotations

from dspgraph_nodes.models.shared.config import ModelConfig, size

RATE = 16000  # sample rate in Hz of the published networks and of the pipeline `lpcnet_features`
HOP = 160  # samples in a frame of `lpcnet_features`
_ROWS = 16  # rows of a weight matrix that the kernels process together


class Config(ModelConfig):
    """The sizes of an LPCNet, and the rate and hop of its audio. Raises ValueError for a size that is not allowed."""

    bands: int = size(18, "bands of the Bark cepstrum")
    pitch_embedding: int = size(64, "width of the embedding of the pitch")
    condition: int = size(128, "channels of the frame-rate network", multiple=_ROWS)
    embedding: int = size(128, "width of the embedding of a mu-law code")
    gru_a: int = size(384, "units of the first GRU", multiple=_ROWS)
    gru_b: int = size(16, "units of the second GRU", multiple=_ROWS)
    rate: int = size(RATE, "sample rate, Hz", largest=192_000)
    hop: int = size(HOP, "samples in a frame")


PRESETS = {
    "lpcnet": Config(),
    "lpcnet-small": Config(pitch_embedding=32, condition=64, embedding=64, gru_a=192, gru_b=32),
}
"""The sizes of the published network, and of a smaller network that trains in minutes on a CPU."""
