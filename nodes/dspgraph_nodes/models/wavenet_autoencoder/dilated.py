"""Parts of both forms of the WaveNet autoencoder in torch: the inputs of convolutions, and means over frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS


def levels_read(levels: Tensor) -> Tensor:
    """Convert mu-law levels k [batch, n] int64 to the inputs of the gated form: (k - 128) / 128, [batch, n, 1]."""
    half = MULAW_LEVELS // 2
    read: Tensor = (levels - half) / half
    return read.unsqueeze(-1)


def taken(x: Tensor, dilation: int, before: int, after: int) -> Tensor:
    """Return the inputs of a dilated convolution for every sample, [batch, n, taps * channels], the oldest tap first.

    x: [batch, n, channels]; dilation: the number of samples from one tap to the next; before, after: the number of taps
    that read before the sample, and after it; one more tap reads the sample itself. Beyond both ends x counts as 0.
    """
    count = x.shape[1]
    wide = pad(x, (0, 0, before * dilation, after * dilation))
    return torch.cat([wide[:, k * dilation : k * dilation + count] for k in range(before + 1 + after)], -1)


def frame_means(rows: Tensor, hop: int) -> Tensor:
    """Return the mean of the rows of every frame, [batch, frames, channels]. rows: [batch, frames * hop, channels].

    Raises ValueError if the number of rows is not a multiple of the hop.
    """
    batch, count, channels = rows.shape
    if count % hop:
        raise ValueError(f"the encoder is given {count} samples; expected a multiple of {hop}, the samples in a frame")
    return rows.view(batch, count // hop, hop, channels).mean(2)
