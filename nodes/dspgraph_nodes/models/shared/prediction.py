"""Parts that the models share to predict the distribution of every sample of a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.data import FeatureFunction
from dspgraph_nodes.models.shared.distributions.logistic_mixture import LogisticMixture
from dspgraph_nodes.models.shared.modules import Module, load
from dspgraph_nodes.models.shared.weights import Config, WeightsFormat

MEL_RATE, MEL_HOP, MEL_BANDS = 16000, 256, 80
"""Sample rate (Hz), hop and bands of the pipeline `mel_features`."""

MIXTURE_LEVELS = 256
"""A mixture is shown by the probabilities of this number of equal intervals, whose centres go from -1 to 1."""


def check_fits(weights: Path, config: Any, pipeline: str, expected: Mapping[str, Any]) -> None:
    """Raise ValueError if the features of a network differ from those that a pipeline computes.

    weights: the file of the network, for the message; config: its configuration; expected: the values that the pipeline
    gives, by the names of fields or properties of `config`.
    """
    for name, value in expected.items():
        if (found := getattr(config, name)) != value:
            raise ValueError(
                f"{weights} holds a network with {name} {found}; the features of {pipeline} have {value}: "
                "give the weights of a network for these features"
            )


Predict = Callable[[Any, Array, FeatureFunction], tuple[Tensor, Tensor]]
"""A function that predicts every sample of a recording from the true samples before it: (network, samples [n] with full
scale +-1, function that computes the features) -> the parameters of the distributions [m, width], and the true samples
[m] as the network sees them, which are whole numbers if they are levels. m is at least n.
"""


@torch.no_grad()
def mel_distribution(
    weights: WeightsFormat[Config], make: Callable[[Config], Module], outputs: Predict, bands: str, path: Path,
    samples: Array, features: FeatureFunction,
) -> tuple[Array, Array, float]:  # fmt: skip
    """Return the distribution [n, levels] of every sample, the true levels [n], and the rate in Hz.

    weights, make: the layout of the files, and a function that returns a network of a configuration; outputs: see
    `Predict`; bands: the name of the field of the configuration that has the number of mel bands; path: the file of the
    network; samples: [n], full scale +-1, 16 kHz; features: the function that computes the features. A level is the
    code of a sample in the form in which the network predicts it, such as mu-law; if the network predicts a mixture of
    logistics, the levels are 256 equal intervals of -1 .. 1. Raises ValueError if the file holds no weights of this
    model, or if the network was trained with other features.
    """
    model = load(weights, make, path)
    check_fits(path, model.config, "mel_features", {"rate": MEL_RATE, "hop": MEL_HOP, bands: MEL_BANDS})
    parameters, given = (each[: len(samples)] for each in outputs(model, samples, features))
    if given.is_floating_point():
        rows, levels = mixture_levels(parameters), mixture_level_of(given)
    else:
        rows, levels = torch.softmax(parameters, -1), given
    return rows.numpy(), levels.numpy(), float(MEL_RATE)


def whole_frames(samples: Array) -> Array:
    """Return samples [n], followed by zeros until n is a multiple of the hop of `mel_features`, as float64."""
    padded: Array = np.append(samples, np.zeros(-len(samples) % MEL_HOP))
    return padded


def mixture_levels(parameters: Tensor) -> Tensor:
    """Return the probabilities [n, MIXTURE_LEVELS] that mixtures of logistics give to equal intervals of -1 .. 1.

    parameters: [n, 3 * K], as `LogisticMixture` takes them. Interval k lies around 2 * k / (MIXTURE_LEVELS - 1) - 1.
    The first interval also has everything below -1, and the last one everything above 1.
    """
    components = parameters.shape[-1] // 3
    distribution = LogisticMixture(components, MIXTURE_LEVELS, floor=None)
    centres = torch.linspace(-1, 1, MIXTURE_LEVELS)
    rows = [
        torch.exp(-distribution.loss(part[:, None], centres.expand(len(part), -1)))
        for part in torch.split(parameters, 1024)
    ]
    return torch.cat(rows)


def mixture_level_of(samples: Tensor) -> Tensor:
    """Return the number of the interval in which each sample lies, int64, in the shape of `samples`.

    The intervals are those of `mixture_levels`.
    """
    return torch.floor((samples.clamp(-1, 1) + 1) / 2 * (MIXTURE_LEVELS - 1) + 0.5).long()
