"""The losses of GANSynth's two networks: Wasserstein distance with gradient penalty, and cross-entropy of the pitch.

G is a picture that the generator has made, x a real picture, D the score, P the probabilities of the pitches, and x' a
point between G and x. Pictures are not normalised: log magnitudes in nats, and angles in half turns (1 is pi radians).

    L_D = E[D(G)] - E[D(x)] + 10 * E[(|grad D(x')| - 1)**2] + 0.001 * E[D(x)**2] - 10 * E[ln P(pitch | x)]
    L_G = -E[D(G)] - 10 * E[ln P(pitch | G)]

Sources: I. Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017, arXiv 1704.00028; A. Odena et al.,
Conditional Image Synthesis with Auxiliary Classifier GANs, ICML 2017, arXiv 1610.09585; the weights are those of
magenta, models/gansynth/lib/model.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dspgraph_nodes.models.gansynth.config import Config
from dspgraph_nodes.models.gansynth.network import Discriminator, Generator, mixed


@dataclass(frozen=True)
class LossWeights:
    """The weights of the terms of `discriminator_loss` and `generator_loss`.

    penalty: the weight of the gradient penalty; slope: the norm of the gradient at which the penalty is 0; drift: the
    weight of E[D(x)**2]; real_pitch, made_pitch: the weights of the cross-entropies -E[ln P(pitch | x)] and -E[ln
    P(pitch | G)].
    """

    penalty: float = 10.0
    slope: float = 1.0
    drift: float = 0.001
    real_pitch: float = 10.0
    made_pitch: float = 10.0


def scaled(pictures: Tensor, config: Config) -> Tensor:
    """Scale pictures [notes, 2, rows, bins], in nats and half turns, to about -1 .. 1, as the networks see them."""
    scale, shift = _scaling(pictures, config)
    return pictures * scale + shift


def unscaled(pictures: Tensor, config: Config) -> Tensor:
    """Undo `scaled`: return pictures in nats and half turns from pictures as the networks see them."""
    scale, shift = _scaling(pictures, config)
    return (pictures - shift) / scale


def _scaling(like: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    pairs = torch.tensor((config.magnitude, config.angle), dtype=like.dtype, device=like.device)
    scale, shift = pairs.T.reshape(2, 2, 1, 1)
    return scale, shift


def generator_loss(
    generator: Generator, discriminator: Discriminator, latent: Tensor, pitch: Tensor, progress: float,
    weights: LossWeights = LossWeights(),
) -> dict[str, Tensor]:  # fmt: skip
    """Return the loss of the generator as "loss", and the cross-entropy of the pitch, in nats, as "made_pitch".

    latent: [notes, latent]; pitch: [notes], int64, semitones above the lowest; progress: the size of the pictures, see
    the module `network`; weights: the weights of the terms.
    """
    score, logits = discriminator(generator(latent, pitch, progress), progress)
    made_pitch = cross_entropy(logits, pitch)
    return {"loss": -score.mean() + weights.made_pitch * made_pitch, "made_pitch": made_pitch}


def discriminator_loss(
    generator: Generator, discriminator: Discriminator, latent: Tensor, pitch: Tensor, real: Tensor,
    real_pitch: Tensor, between: Tensor, progress: float, weights: LossWeights = LossWeights(),
) -> dict[str, Tensor]:  # fmt: skip
    """Return the loss of the discriminator as "loss", and three parts: "distance", "penalty", "real_pitch".

    "distance" is E[D(x)] - E[D(G)]; "penalty" and "real_pitch" are the gradient penalty and the cross-entropy of the
    pitches of real pictures, in nats, without their weights.

    latent, pitch: the inputs of the generator, as for `generator_loss`, for as many notes as there are real pictures;
    real: real pictures [notes, 2, rows, bins], in nats and half turns, with all their detail: `mixed` removes the
    detail that is too fine for the progress; real_pitch: [notes], the pitches of these pictures, like `pitch`; between:
    [notes], the position of x' on the line from the real picture (0) to the made picture (1). progress, weights: as for
    `generator_loss`. The generator gets no gradient.
    """
    c = generator.config
    with torch.no_grad():
        made = unscaled(generator(latent, pitch, progress), c)
        real = mixed(real, c.blocks, progress)
    made_score, _ = discriminator(scaled(made, c), progress)
    score, logits = discriminator(scaled(real, c), progress)
    slopes = gradient_norms(discriminator, real + between[:, None, None, None] * (made - real), progress)
    penalty = ((slopes - weights.slope) ** 2).mean()
    found = cross_entropy(logits, real_pitch)
    distance = score.mean() - made_score.mean()
    loss = -distance + weights.penalty * penalty + weights.drift * (score**2).mean() + weights.real_pitch * found
    return {"loss": loss, "distance": distance, "penalty": penalty, "real_pitch": found}


def regression_loss(generator: Generator, latent: Tensor, pitch: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Return the loss of the generator as "loss", the sum of its parts "magnitude" and "angle".

        magnitude = mean |m - m'|,    angle = mean of w * (1 - cos(pi * (a - a'))) / mean of w,    w = e**(m' / 2)

    m, a: the log magnitudes and angles that the generator makes for `latent` [notes, latent] and `pitch` [notes], in
    semitones above the lowest; m', a': those of `real`, [notes, 2, rows, bins]; all in nats and half turns. The weight
    w of an angle is the square root of the magnitude (for the scale "mel", of the power) of the real picture, because
    angles are noise where there is no sound.
    """
    made = unscaled(generator(latent, pitch), generator.config)
    magnitude = (made[:, 0] - real[:, 0]).abs().mean()
    weight = torch.exp(real[:, 0] / 2)
    angle = (weight * (1 - torch.cos(torch.pi * (made[:, 1] - real[:, 1])))).mean() / weight.mean()
    return {"loss": magnitude + angle, "magnitude": magnitude, "angle": angle}


def gradient_norms(discriminator: Discriminator, pictures: Tensor, progress: float) -> Tensor:
    """Return the norms [notes] of the gradients of the score of every picture with respect to that picture.

    pictures: [notes, 2, rows, bins], in nats and half turns; progress: the size of the pictures, see the module
    `network`. The norms can be differentiated with respect to the weights of the discriminator alone.
    """
    place = pictures.detach().requires_grad_(True)
    score, _ = discriminator(scaled(place, discriminator.config), progress)
    (gradient,) = torch.autograd.grad(score.sum(), place, create_graph=True)
    norms: Tensor = gradient.flatten(1).norm(dim=1)
    return norms
