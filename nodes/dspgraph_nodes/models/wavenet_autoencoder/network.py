"""The WaveNet autoencoder in torch: the gated form, as in NSynth. The other form is in the module `normalised`.

A sample is one of 256 mu-law levels k, and the networks read v = (k - 128) / 128. The encoder turns samples into frames
of a few numbers; its convolutions with the dilations d_i read samples on both sides, and zeros beyond both ends:

    h_0[t] = sum_k W_k v[t + k - 1] + b,    k = 0 .. 2
    h_(i+1)[t] = h_i[t] + V relu(sum_k W_k relu(h_i[t + (k - 1) d_i]) + b) + c
    z[j] = mean of W h_L[t] + b over the samples t of frame j,    L = number of layers

The decoder predicts the level of sample t from the samples before it and from the frame j in which it lies:

    x_0[t] = sum_k W_k v[t + k - 3] + b,    s = V x_0[t] + c
    a = sum_k W_k x_i[t + (k - 2) d_i] + b + C z[j] + e,    g = tanh(a[:n]) * sigmoid(a[n:]),    n channels
    x_(i+1)[t] = x_i[t] + W g + b,    s = s + V g + c
    logits = W relu(V relu(s) + c + C z[j] + e) + b

W, V and C are matrices, b, c and e vectors of biases; every formula has values of its own. A decoder that is given the
pitch of a note reads (z[j], one-hot code of the pitch) in place of z[j].

Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
arXiv:1704.01279; magenta, models/nsynth/wavenet/h512_bo16.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad, relu

from dspgraph_nodes.models.shared.modules import start_level_layers
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, TAPS, Config
from dspgraph_nodes.models.wavenet_autoencoder.dilated import frame_means, levels_read, taken
from dspgraph_nodes.models.wavenet_autoencoder.normalised import NormalisedDecoder, NormalisedEncoder


def with_pitch(z: Tensor, pitch: Tensor | None, config: Config) -> Tensor:
    """Return the frames that the decoder reads, [batch, frames, latent + pitches].

    Each is a frame of the encoding followed by the one-hot code of a pitch. z: [batch, frames, latent], the encoding;
    pitch: [batch] int64, semitones above the lowest pitch; it is ignored, and can be None, if the decoder reads no
    pitch.
    """
    if not config.pitches:
        return z
    assert pitch is not None
    code = one_hot(pitch, config.pitches).to(z)[:, None]
    return torch.cat((z, code.expand(-1, z.shape[1], -1)), -1)


class EncoderLayer(nn.Module):
    """A dilated convolution of the encoder, and the dense layer after it. The convolution has three taps.

    The columns of the weights of the convolution are [tap, channel], the oldest tap first.
    """

    def __init__(self, config: Config, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Linear(TAPS * config.encoder, config.encoder)
        self.out = nn.Linear(config.encoder, config.encoder)

    def forward(self, h: Tensor) -> Tensor:
        """Return h + V relu(convolution of relu(h)) + c, the input of the next layer, [batch, n, channels].

        h: [batch, n, channels].
        """
        found: Tensor = h + self.out(relu(self.conv(taken(relu(h), self.dilation, 1, 1))))
        return found


class EncoderNetwork(nn.Module):
    """The encoder of the gated form: the network that turns samples into frames."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Linear(TAPS, config.encoder)
        self.layers = nn.ModuleList(EncoderLayer(config, d) for d in config.dilations)
        self.last = nn.Linear(config.encoder, config.latent)

    def forward(self, levels: Tensor) -> Tensor:
        """Return the frames, [batch, frames, latent]. levels: [batch, frames * hop] int64.

        Raises ValueError if the number of levels is not a multiple of the hop.
        """
        h = self.first(taken(levels_read(levels).to(self.first.weight), 1, 1, 1))
        for layer in self.layers:
            h = layer(h)
        return frame_means(self.last(h), self.config.hop)


class DecoderLayer(nn.Module):
    """A gated convolution of the decoder.

    The columns of the weights of its gates are [tap, channel], the oldest tap first. last: whether no layer follows;
    then `forward` returns its input x as the first result.
    """

    def __init__(self, config: Config, dilation: int, last: bool) -> None:
        super().__init__()
        c, self.dilation = config, dilation
        self.gate = nn.Linear(TAPS * c.width, 2 * c.width)
        self.condition = nn.Linear(c.condition, 2 * c.width)
        self.skip = nn.Linear(c.width, c.skip)
        self.out = None if last else nn.Linear(c.width, c.width)

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of the next layer [batch, n, width] and the skip connection [batch, n, skip].

        x: [batch, n, width]; z: [batch, n, latent + pitches], the frame of every sample.
        """
        one, two = (self.gate(taken(x, self.dilation, TAPS - 1, 0)) + self.condition(z)).chunk(2, -1)
        g = torch.tanh(one) * torch.sigmoid(two)
        return x if self.out is None else x + self.out(g), self.skip(g)


class DecoderNetwork(nn.Module):
    """The decoder of the gated form: it predicts each sample from the frames and from the samples before it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.first, self.skip = nn.Linear(TAPS, c.width), nn.Linear(c.width, c.skip)
        self.layers = nn.ModuleList(DecoderLayer(c, d, i == c.layers - 1) for i, d in enumerate(c.dilations))
        last = nn.Linear(c.skip, MULAW_LEVELS)
        start_level_layers(last)
        self.head = nn.ModuleList((nn.Linear(c.skip, c.skip), last))
        self.condition = nn.Linear(c.condition, c.skip)

    def forward(self, z: Tensor, previous: Tensor) -> Tensor:
        """Return the logits of the level of every sample, [batch, n, 256].

        z: [batch, frames, latent + pitches], as `with_pitch` returns it; previous: [batch, n] int64, whose element t is
        the level of sample t - 1; n is at most frames * hop. The level before the first sample is that of silence, 128.
        """
        z = z.repeat_interleave(self.config.hop, 1)[:, : previous.shape[1]]
        x = self.first(taken(levels_read(previous).to(z), 1, TAPS - 1, 0))
        total = self.skip(x)
        for layer in self.layers:
            x, skip = layer(x, z)
            total = total + skip
        one, two = self.head
        found: Tensor = two(relu(one(relu(total)) + self.condition(z)))
        return found


class WaveNetAutoencoder(nn.Module):
    """The networks `encoder` and `decoder`, in the form, gated or normalised, that the configuration names."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder: EncoderNetwork | NormalisedEncoder
        self.decoder: DecoderNetwork | NormalisedDecoder
        if config.form == "gated":
            self.encoder, self.decoder = EncoderNetwork(config), DecoderNetwork(config)
        else:
            self.encoder, self.decoder = NormalisedEncoder(config), NormalisedDecoder(config)
            self.decoder.first = self.encoder.first  # one table for both

    def forward(self, levels: Tensor, pitch: Tensor | None = None) -> Tensor:
        """Return the logits of every sample, [batch, n, 256], from the samples before it and the encoding of the sound.

        levels: [batch, n] int64, n = frames * hop; pitch: as `with_pitch` takes it.
        """
        return self.decoded(self.encoder(levels), levels, pitch)

    def decoded(self, z: Tensor, levels: Tensor, pitch: Tensor | None) -> Tensor:
        """Return the logits as `forward` does, but with z, [batch, frames, latent], as the encoding of the sound."""
        previous = pad(levels[:, :-1], (1, 0), value=MULAW_LEVELS // 2)
        found: Tensor = self.decoder(with_pitch(z, pitch, self.config), previous)
        return found
