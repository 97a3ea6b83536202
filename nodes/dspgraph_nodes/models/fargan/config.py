"""The configuration of a FARGAN: the sizes of its networks, the rate and hop of its audio, and named presets."""

from __future__ import annotations

from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY
from dspgraph_nodes.models.shared.config import ModelConfig, size

FARGAN_RATE = 16000  # sample rate in Hz of the published network and of the pipeline `fargan_features`
FARGAN_HOP = 160  # samples in a frame of `fargan_features`
SUBFRAMES = 4  # number of sub-frames in a frame; the network makes one after the other
_ROWS = 16  # rows of a weight matrix that the kernels process together


class Config(ModelConfig):
    """The sizes of a FARGAN, and the rate and hop of its audio. Raises ValueError for a size that is out of bounds."""

    bands: int = size(18, "bands of the Bark cepstrum")
    pitch_embedding: int = size(12, "width of the embedding of the period")
    frame_units: int = size(64, "units of the first layer of the frame-rate network", multiple=_ROWS)
    frame_channels: int = size(128, "channels of its convolution", multiple=_ROWS)
    condition: int = size(80, "numbers that it gives to a sub-frame", multiple=_ROWS)
    first: int = size(192, "units of the first layer of the sub-frame network", multiple=_ROWS)
    gru1: int = size(160, "units of the first GRU", multiple=_ROWS)
    gru2: int = size(128, "units of the second GRU", multiple=_ROWS)
    gru3: int = size(128, "units of the third GRU", multiple=_ROWS)
    skip: int = size(128, "units of the last hidden layer", multiple=_ROWS)
    rate: int = size(FARGAN_RATE, "sample rate, Hz", largest=192_000)
    hop: int = size(FARGAN_HOP, "samples in a frame", multiple=SUBFRAMES, largest=SUBFRAMES * MEMORY)

    @property
    def subframe(self) -> int:
        """The number of samples in a sub-frame."""
        return self.hop // SUBFRAMES

    @property
    def seen(self) -> int:
        """The number of inputs for a sub-frame: condition, subframe + 4 samples of a period ago, last sub-frame."""
        return self.condition + (self.subframe + 4) + self.subframe


PRESETS = {
    "fargan": Config(),
    "fargan-small": Config(frame_units=32, frame_channels=64, first=96, gru1=80, gru2=64, gru3=64, skip=64),
}
"""The sizes of the published network, and of a smaller one."""
