"""WaveNet in torch.

Frames of features become a row c[t] for every sample. Dilated causal convolutions read the samples before sample t and
predict its distribution. Layer i has the dilation d_i and the taps k = 0 .. K - 1:

    x_0[t] = W @ y[t-1] + b
    a = sum_k W_k @ x_i[t - (K - 1 - k) * d_i] + b + V @ c[t],    z = tanh(a[:G/2]) * sigmoid(a[G/2:])
    x_(i+1)[t] = (x_i[t] + W @ z + b) / sqrt(2),    s_i = W @ z + b
    parameters = W @ relu(W @ relu(sum_i f_i * s_i) + b) + b

y[t-1] is the sample before t or, for the kind categorical, the one-hot code of its level; G is the field `gate` of the
configuration, and f_i are its `skip_factors`. Every W, V and b has values of its own in each formula and in each layer.

Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016; the mixture of
logistics is from A. van den Oord et al., Parallel WaveNet: Fast High-Fidelity Speech Synthesis, ICML 2018; the variants
that `Config` names are from the program wavenet_vocoder.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv_transpose2d, embedding, pad, relu

from dspgraph_nodes.models.shared.distributions.categorical import Categorical
from dspgraph_nodes.models.shared.distributions.logistic_mixture import LogisticMixture
from dspgraph_nodes.models.shared.layers import Read, exact
from dspgraph_nodes.models.shared.modules import level_features, start_level_layers, start_log_scales, stretched
from dspgraph_nodes.models.wavenet.config import Config


class Stretch(nn.Module):
    """Upsampling of frames to samples: a convolution over 2 * context + 1 frames, then repetition and smoothing.

    Repetition and smoothing are done once for every factor in `Config.scales`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scales = config.scales
        self.first = nn.Conv1d(config.bands, config.bands, 2 * config.context + 1, bias=False)
        self.taps = nn.ParameterList(torch.full((2 * s + 1,), 1 / (2 * s + 1)) for s in config.scales)

    def forward(self, c: Tensor, inside: Tensor | None = None) -> Tensor:
        """Return the upsampled rows, [batch, frames * hop, bands].

        c: [batch, frames + 2 * context, bands]; inside: [batch, frames], 1 for frames of the recording and 0 for frames
        beyond its ends, for which the result of the convolution over frames is replaced by 0; without it all frames are
        in the recording.
        """
        return self.stretched(self.first(c.mT).mT, inside)

    def stretched(self, rows: Tensor, inside: Tensor | None = None) -> Tensor:
        """Repeat and smooth rows [batch, frames, channels] to one row per sample, [batch, frames * hop, channels].

        Before each smoothing the rows are padded with 0 at both ends, as they were when the published networks were
        trained. inside: as in `forward`.
        """
        smooth = [partial(conv1d, weight=taps.view(1, 1, -1), padding=len(taps) // 2) for taps in self.taps]
        return stretched(rows, self.scales, smooth, inside)


class Transposed(nn.Module):
    """Upsampling by transposed convolutions over time and neighbouring bands, each followed by a bias and ReLU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scales, self.edge = config.scales, config.band_taps // 2
        shape = 1, 1, config.band_taps
        self.weights = nn.ParameterList(torch.full((*shape, s), 1 / config.band_taps) for s in config.scales)
        self.biases = nn.ParameterList(torch.zeros(1) for _ in config.scales)

    def forward(self, c: Tensor, inside: Tensor | None = None) -> Tensor:
        """Return the upsampled rows, [batch, frames * hop, bands]. c: [batch, frames, bands]; inside: not used."""
        x = c.mT[:, None]
        for s, weight, bias in zip(self.scales, self.weights, self.biases, strict=True):
            x = relu(conv_transpose2d(x, weight, bias, stride=(1, s), padding=(self.edge, 0)))
        return x[:, 0].mT


class Layer(nn.Module):
    """One layer of WaveNet: a dilated causal convolution with a gate, and its residual and skip outputs.

    The columns of its gate weights are [tap, channel], oldest tap first. dilation: samples from one tap to the next;
    last: whether this is the last layer, which has no residual output and returns its input in place of it.
    """

    def __init__(self, config: Config, dilation: int, last: bool) -> None:
        super().__init__()
        c, self.dilation, self.taps = config, dilation, config.kernel
        self.gate = nn.Linear(c.kernel * c.residual, c.gate)
        self.condition = nn.Linear(c.bands, c.gate, bias=c.condition_bias)
        self.skip = nn.Linear(c.gate // 2, c.skip)
        self.out = None if last else nn.Linear(c.gate // 2, c.residual)

    def forward(self, x: Tensor, c: Tensor, read: Read = exact) -> tuple[Tensor, Tensor]:
        """Return the input of the next layer, [batch, samples, residual], and the skip output, [batch, samples, skip].

        x: [batch, samples, residual], the input of this layer; c: [batch, samples, bands], the upsampled features;
        read: as in `WaveNet.forward`.
        """
        samples, lag = x.shape[1], (self.taps - 1) * self.dilation
        past = pad(x, (0, 0, lag, 0))
        taps = [past[:, k * self.dilation : k * self.dilation + samples] for k in range(self.taps - 1)]
        a = self.gate(read(torch.cat((*taps, x), -1))) + self.condition(c)
        one, two = a.chunk(2, -1)
        z = read(torch.tanh(one) * torch.sigmoid(two))
        return x if self.out is None else (x + self.out(z)) * math.sqrt(0.5), self.skip(z)


class WaveNet(nn.Module):
    """WaveNet as a torch module, for samples from -1 to 1 or, if its kind is categorical, for mu-law levels."""

    if TYPE_CHECKING:
        mean: Tensor
        deviation: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.register_buffer("mean", torch.zeros(c.bands))
        self.register_buffer("deviation", torch.ones(c.bands))
        self.stretch: Stretch | Transposed = Stretch(c) if c.upsampling == "stretch" else Transposed(c)
        self.first = nn.Linear(1 if c.kind == "mixture" else c.levels, c.residual)
        self.layers = nn.ModuleList(Layer(c, d, i == c.layers - 1) for i, d in enumerate(c.dilations))
        self.head = nn.ModuleList((nn.Linear(c.skip, c.skip), nn.Linear(c.skip, c.width)))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=math.sqrt(2 / module.in_features))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        last = self.head[1]
        assert isinstance(last, nn.Linear)
        if c.kind == "mixture":
            start_log_scales(last)
        else:
            self.first.weight.data.copy_(level_features(c.levels, c.residual).mT)
            start_level_layers(last)

    @property
    def distribution(self) -> LogisticMixture | Categorical:
        """The distribution that the network predicts: a mixture with the floor `loss_floor`, or a softmax."""
        c = self.config
        return LogisticMixture(c.components, floor=c.loss_floor) if c.kind == "mixture" else Categorical(c.levels)

    def condition(self, features: Tensor, inside: Tensor | None = None) -> Tensor:
        """Return the normalised features, upsampled to one row for each sample: [batch, frames * hop, bands].

        features: [batch, frames + 2 * context, bands]: the features of `frames` frames and of `context` frames on
        either side; inside: as in `Stretch`.
        """
        c: Tensor = self.stretch.forward((features - self.mean) / self.deviation, inside)
        return c

    def forward(self, c: Tensor, previous: Tensor, inside: Tensor | None = None, read: Read = exact) -> Tensor:
        """Return the parameters of the distribution of every sample t, [batch, samples, width].

        c: the result of `condition`; previous: [batch, samples], whose element t is the true sample t - 1 (teacher
        forcing) or, for the kind categorical, its mu-law level, int64; inside: [batch, samples, 1], 1 for samples of
        the recording and 0 for samples before its beginning, which the convolutions read as 0; without it all samples
        are in the recording; read: applied to the inputs of the products that the kernel computes with 8-bit numbers,
        if the network is in eight bits.
        """
        if self.config.kind == "mixture":
            x = self.first(previous.unsqueeze(-1))
        else:
            x = embedding(previous, self.first.weight.mT) + self.first.bias
        total = x.new_zeros(*x.shape[:2], self.config.skip)
        for layer, factor in zip(self.layers, self.config.skip_factors, strict=True):
            x, skip = layer(x if inside is None else x * inside, c, read)
            total = total + factor * skip
        one, two = self.head
        found: Tensor = two(relu(one(relu(total))))
        return found
