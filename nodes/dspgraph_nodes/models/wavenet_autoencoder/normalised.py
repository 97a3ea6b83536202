"""The normalised form of the WaveNet autoencoder in torch.

Both networks read the same table E of 256 rows, one for every mu-law level k. N are batch normalisations, which are
linear once the network is trained: N(h) = f * h + o for every channel. r is the leaky ReLU, r(x) = max(x, x / 5). The
encoder reads samples on both sides; beyond both ends of the signal, the inputs of the convolutions are 0:

    h_0[t] = E[k[t]],    g[t] = r(sum_k W_k r(N h_i[t + (k - 1) d_i]) + b),    k = 0 .. 2
    u_i[t] = V N g[t] + c,    h_(i+1) = h_i + u_i
    z[j] = mean of W sum_i u_i[t] + b over the samples t of frame j

The decoder predicts the level of sample t from the samples before it and from the frame j in which it lies, by the same
formulas, except for

    h_0[t] = E[k[t - 1]],    g[t] = r(sum_k W_k r(N h_i[t + (k - 1) d_i]) + C z[j] + e),    k = 0, 1
    logits = W r(V r(sum_i u_i) + c) + b

Every formula has weights and biases of its own, except C and e, which all layers of the decoder share. A decoder that
is given the pitch of a note reads (z[j], one-hot code of the pitch) in place of z[j].

In training, N uses the mean and variance of all samples of a batch, so that a prediction then depends a little on later
samples.

Source: M. Yoshikawa, wavenet-autoencoder-chainer, model.py, 2017. That program differs in two points. The dilations of
a stack begin with 2, so that no prediction depends on the sample before the last one. And its encoder adds the bias b
of z[j] in every layer, which is the same with a larger b.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from dspgraph_nodes.models.shared.modules import Norm, level_features, start_level_layers
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, SLOPE, Config
from dspgraph_nodes.models.wavenet_autoencoder.dilated import frame_means, taken


class NormalisedLayer(nn.Module):
    """A dilated convolution of the normalised form, with its batch normalisations and the dense layer after it.

    The columns of its weights are [tap, channel], the oldest tap first. after: the number of taps after the sample;
    there is one tap before it. bias: whether the convolution has a bias.
    """

    def __init__(self, config: Config, dilation: int, after: int, bias: bool) -> None:
        super().__init__()
        c, self.dilation, self.after = config, dilation, after
        self.norms = nn.ModuleList((Norm(c.encoder), Norm(c.width)))
        self.conv = nn.Linear((2 + after) * c.encoder, c.width, bias)
        self.out = nn.Linear(c.width, c.encoder)

    def forward(self, h: Tensor, condition: Tensor | float = 0.0) -> Tensor:
        """Return u, [batch, n, channels]: h + u is the input of the next layer.

        h: [batch, n, channels]; condition: [batch, n, width], numbers that are added to the sums of the convolution.
        """
        before, within = self.norms
        read = taken(leaky_relu(before(h.mT).mT, SLOPE), self.dilation, 1, self.after)
        g = leaky_relu(self.conv(read) + condition, SLOPE)
        return cast(Tensor, self.out(within(g.mT).mT))


def summed(layers: nn.ModuleList, h: Tensor, condition: Tensor | float = 0.0) -> Tensor:
    """Apply layers one after the other, and return the sum of their results u, [batch, n, channels].

    h: the input of the first layer; condition: that of every layer; see `NormalisedLayer.forward`.
    """
    total = torch.zeros_like(h)
    for layer in layers:
        u = layer(h, condition)
        h, total = h + u, total + u
    return total


class NormalisedEncoder(nn.Module):
    """The encoder of the normalised form: the network that turns samples into frames."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.first = config, nn.Embedding(MULAW_LEVELS, config.encoder)
        with torch.no_grad():
            self.first.weight.copy_(level_features(MULAW_LEVELS, config.encoder))
        self.layers = nn.ModuleList(NormalisedLayer(config, d, 1, True) for d in config.dilations)
        self.last = nn.Linear(config.encoder, config.latent)

    def forward(self, levels: Tensor) -> Tensor:
        """Return the frames, [batch, frames, latent]. levels: [batch, frames * hop] int64.

        Raises ValueError if the number of levels is not a multiple of the hop.
        """
        return frame_means(self.last(summed(self.layers, self.first(levels))), self.config.hop)


class NormalisedDecoder(nn.Module):
    """The decoder of the normalised form: it predicts each sample from the frames and from the samples before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, channels = config, config.encoder
        self.first = nn.Embedding(MULAW_LEVELS, channels)
        self.layers = nn.ModuleList(NormalisedLayer(config, d, 0, False) for d in config.dilations)
        self.condition, last = nn.Linear(config.condition, config.width), nn.Linear(channels, MULAW_LEVELS)
        start_level_layers(last)
        self.head = nn.ModuleList((nn.Linear(channels, channels), last))

    def forward(self, z: Tensor, previous: Tensor) -> Tensor:
        """Return the logits of the level of every sample, [batch, n, 256].

        z: [batch, frames, latent + pitches]; previous: [batch, n] int64, whose element t is the level of sample t - 1;
        n is at most frames * hop. The level before the first sample is that of silence, 128.
        """
        condition = self.condition(z).repeat_interleave(self.config.hop, 1)[:, : previous.shape[1]]
        total = summed(self.layers, self.first(previous), condition)
        one, two = self.head
        return cast(Tensor, two(leaky_relu(one(leaky_relu(total, SLOPE)), SLOPE)))
