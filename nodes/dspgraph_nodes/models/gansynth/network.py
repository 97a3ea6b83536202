"""GANSynth in torch: a generator of pictures of notes, and the discriminator that judges them.

Pictures are [notes, 2, rows, bins]: log magnitudes, and angles in the form that `Config.form` names. Every weight w is
used as w * gain, with

    gain = sqrt(2 / n) before a leaky ReLU, sqrt(1 / n) elsewhere;    n: inputs of one output

so that weights drawn from N(0, 1) all learn at the same pace. The generator is a chain of blocks, counted from 1; each
doubles the size of the pictures of the block before it. During training the pictures grow: if `progress` is a whole
number p, the generator returns the pictures of block p + 1; between two whole numbers, it mixes those of two blocks.
All pictures that it returns are enlarged to the full size.

Sources: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, arXiv 1902.08710; T. Karras et al.,
Progressive Growing of GANs, ICLR 2018, arXiv 1710.10196; magenta, models/gansynth/lib/networks.py, for details that
these papers do not give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, leaky_relu, linear, one_hot

from dspgraph_nodes.models.gansynth.config import Config

_SLOPE = 0.2  # slope of the leaky ReLU for inputs below 0
_LEAST_POWER = 1e-8  # added to the mean square in the normalisation of a pixel
_LEAST_VARIANCE = 1e-6  # added to a variance before its root


class Convolution(nn.Module):
    """A convolution whose weights are scaled when they are used.

    kernel: size (rows, bins). padding: number of zeros on each side, (rows, bins). power: 2 for sqrt(2 / n) in the
    gain, 1 for sqrt(1 / n).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], padding: tuple[int, int], power: float = 2.0
    ) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(outputs, inputs, *kernel)), nn.Parameter(torch.zeros(outputs))
        self.padding, self.gain = padding, math.sqrt(power / (inputs * math.prod(kernel)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x, [notes, inputs, rows, bins], with the scaled weights, plus the bias.

        The result is [notes, outputs, rows, bins]. A kernel of size k with p zeros on each side turns n rows or bins
        into n + 2 * p - k + 1.
        """
        return conv2d(x, self.gain * self.weight, self.bias, padding=self.padding)


def same(inputs: int, outputs: int) -> Convolution:
    """Return a 3 x 3 convolution from `inputs` to `outputs` channels that keeps the size of the picture."""
    return Convolution(inputs, outputs, (3, 3), (1, 1))


class StartConvolution(Convolution):
    """The convolution that turns one pixel into the smallest picture.

    The convolution would read the pixel with kernel - 1 zeros on each side of it. The products with these zeros are not
    computed: output pixel (row, bin) is the pixel's numbers times the weights at (row, bin), counted from the end of
    the kernel, plus the bias.
    """

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int]) -> None:
        super().__init__(inputs, outputs, kernel, (kernel[0] - 1, kernel[1] - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return pictures of the size of the kernel, [notes, outputs, rows, bins]. x: [notes, inputs, 1, 1]."""
        weight = (self.gain * self.weight).flip(2, 3)
        return torch.einsum("ni,oirb->norb", x[:, :, 0, 0], weight) + self.bias[:, None, None]


class DenseScore(nn.Module):
    """A linear layer whose weights are scaled when they are used."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(outputs, inputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of x, [notes, inputs], with the scaled weights, plus the bias: [notes, outputs]."""
        return linear(x, self.weight * math.sqrt(1 / self.weight.shape[1]), self.bias)


def normalised(x: Tensor) -> Tensor:
    """Return x / sqrt(mean of x**2 over the channels + 1e-8), so that each pixel has a power of about 1.

    x: [notes, channels, rows, bins].
    """
    return x * torch.rsqrt((x * x).mean(1, keepdim=True) + _LEAST_POWER)


def enlarged(x: Tensor, times: int = 2) -> Tensor:
    """Return pictures [notes, channels, rows, bins] with every pixel repeated `times` times in both directions."""
    return interpolate(x, scale_factor=times, mode="nearest") if times > 1 else x


def reduced(x: Tensor, times: int = 2) -> Tensor:
    """Return smaller pictures: every square of `times` x `times` pixels becomes one pixel, their mean.

    x: [notes, channels, rows, bins].
    """
    return avg_pool2d(x, times) if times > 1 else x


def shares(blocks: int, progress: float) -> list[float]:
    """Return the share that the picture of each block has in the mixed picture, for block 1 to block `blocks`.

    progress: a number from 0 to blocks - 1, see the module. If it is whole, the share of block progress + 1 is 1;
    otherwise the two blocks whose numbers are nearest to progress + 1 have shares that sum to 1.
    """
    return [max(0.0, min(progress - (k - 2), k - progress)) for k in range(1, blocks + 1)]


class GeneratorBlock(nn.Module):
    """Two convolutions on pictures of one size. In block 1 the first of them makes a picture from a vector.

    block: the number of the block, from 1. A third convolution, `picture`, makes the two channels of a picture of notes
    from the output of the block; `forward` leaves it to `Generator`.
    """

    def __init__(self, config: Config, block: int) -> None:
        super().__init__()
        c, width = config, config.width(block)
        if block == 1:
            self.conv0: Convolution = StartConvolution(c.latent + c.pitches, width, (c.start_rows, c.start_bins))
        else:
            self.conv0 = same(c.width(block - 1), width)
        self.conv1 = same(width, width)
        self.picture = Convolution(width, 2, (1, 1), (0, 0), power=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of this block, [notes, width, rows, bins].

        x: the enlarged output of the block before, [notes, inputs, rows, bins]; for block 1, vectors [notes, inputs, 1,
        1].
        """
        for convolution in (self.conv0, self.conv1):
            x = normalised(leaky_relu(convolution(x), _SLOPE))
        return x


class Generator(nn.Module):
    """The network that makes the picture of a note, log magnitudes and angles, from a latent vector and a pitch."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(GeneratorBlock(config, k) for k in range(1, config.blocks + 1))

    def forward(self, latent: Tensor, pitch: Tensor, progress: float | None = None) -> Tensor:
        """Return normalised pictures [notes, 2, rows, bins], between -1 and 1.

        latent: [notes, latent]; pitch: [notes], int64, semitones above the lowest; progress: the blocks whose pictures
        are returned, see the module; by default blocks - 1, for the last block.
        """
        c = self.config
        x = torch.cat((latent, one_hot(pitch, c.pitches).to(latent.dtype)), 1)
        x = normalised(x)[:, :, None, None]
        last = c.blocks - 1
        parts = shares(c.blocks, last if progress is None else progress)
        total: Tensor | None = None
        blocks = cast(Sequence[GeneratorBlock], self.blocks)
        for k, (block, share) in enumerate(zip(blocks, parts, strict=True)):
            x = block(enlarged(x) if k else x)
            if share:
                picture = share * enlarged(torch.tanh(block.picture(x)), 2 ** (last - k))
                total = picture if total is None else total + picture
            elif total is not None:
                break  # the blocks after the last share have no effect
        assert total is not None
        return total


class DiscriminatorBlock(nn.Module):
    """Two convolutions on pictures of one size. In block 1 the second of them reduces its picture to one pixel.

    block: the number of the block, from 1. A third convolution, in `read`, turns pictures of notes into its input.
    """

    def __init__(self, config: Config, block: int) -> None:
        super().__init__()
        c, width = config, config.width(block)
        self.picture = Convolution(2, width, (1, 1), (0, 0))
        if block == 1:
            self.conv0 = same(width + 1, width)
            self.conv1 = Convolution(width, c.width(0), (c.start_rows, c.start_bins), (0, 0))
        else:
            self.conv0, self.conv1 = same(width, width), same(width, c.width(block - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return x after both convolutions, [notes, channels, rows, bins]; for block 1, [notes, channels, 1, 1].

        x: [notes, width, rows, bins]; for block 1, with one more channel, the spread of the notes (see `_spread`). The
        result has as many channels as the block before, `Config.width(block - 1)`.
        """
        for convolution in (self.conv0, self.conv1):
            x = leaky_relu(convolution(x), _SLOPE)
        return x

    def read(self, picture: Tensor) -> Tensor:
        """Convert pictures [notes, 2, rows, bins] of this block's size to the input of `forward`.

        The result is [notes, width, rows, bins].
        """
        return leaky_relu(self.picture(picture), _SLOPE)


class Discriminator(nn.Module):
    """The network that gives each picture a score for how real it looks, and predicts the pitch of its note."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(DiscriminatorBlock(config, k) for k in range(1, config.blocks + 1))
        self.score, self.pitch = DenseScore(config.width(0), 1), DenseScore(config.width(0), config.pitches)

    def forward(self, pictures: Tensor, progress: float | None = None) -> tuple[Tensor, Tensor]:
        """Return the scores [notes], higher for more real, and the logits of the pitch [notes, pitches].

        pictures: normalised, [notes, 2, rows, bins] in full size; values beyond -1 and 1 are clipped. progress: as in
        `Generator`. The results for a note depend on the other notes too, see `_spread`.
        """
        last = self.config.blocks - 1
        progress = last if progress is None else progress
        pictures = pictures.clamp(-1, 1)
        top = min(last, math.ceil(progress))
        blocks = cast(Sequence[DiscriminatorBlock], self.blocks)
        x = blocks[top].read(reduced(pictures, 2 ** (last - top)))
        for k in range(top, 0, -1):
            x = reduced(blocks[k](x))
            share = min(1.0, max(0.0, k - progress))
            if share:
                smaller = blocks[k - 1].read(reduced(pictures, 2 ** (last - k + 1)))
                x = share * smaller + (1 - share) * x
        x = torch.cat((x, _spread(x).expand(len(x), 1, *x.shape[2:])), 1)
        found = blocks[0](x)[:, :, 0, 0]
        return self.score(found)[:, 0], self.pitch(found)


def _spread(x: Tensor) -> Tensor:
    """Return how different the notes in x, [notes, channels, rows, bins], are, as a tensor with one number.

    The number is the standard deviation over the notes, averaged over all channels and pixels. In the gradient, the
    mean over the notes counts as a constant, as in the published program.
    """
    apart = x - x.mean(0, keepdim=True).detach()
    return torch.sqrt((apart * apart).mean(0) + _LEAST_VARIANCE).mean()


class GansynthPair(nn.Module):
    """A module with the generator and the discriminator of a GANSynth, which are trained together."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.generator, self.discriminator = Generator(config), Discriminator(config)


def mixed(pictures: Tensor, blocks: int, progress: float) -> Tensor:
    """Return real pictures with only the detail that the generator can make at a progress (see the module).

    Pictures [notes, 2, rows, bins] are reduced to the sizes of the blocks, enlarged again, and mixed with the same
    `shares` as in the generator. blocks: the number of blocks.
    """
    last = blocks - 1
    parts = [
        share * enlarged(reduced(pictures, 2 ** (last - k)), 2 ** (last - k))
        for k, share in enumerate(shares(blocks, progress))
        if share
    ]
    return torch.stack(parts).sum(0)
