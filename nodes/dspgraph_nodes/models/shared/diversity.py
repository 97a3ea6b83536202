"""Measures of generated ("made") sounds against real ones: statistically different bins, and scores by a classifier.

The sounds are given as rows of features, such as log spectra.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
import torch
from scipy.cluster.vq import vq

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.data import rng

SIGNIFICANCE = 0.05
"""The mean share of bins that are found different if made and real sounds have the same distribution."""

_ROUNDS = 20  # rounds of k-means
_PENALTY = 1e-3  # weight of half the squared weights in the loss of the classifier


@dataclass(frozen=True)
class VoronoiBins:
    """The Voronoi cells of the centres that k-means finds in real rows, and the share of the real rows in each.

    centres: [bins, features]; shares: [bins]; count: the number of real rows.

    Source: E. Richardson and Y. Weiss, On GANs and GMMs, NeurIPS 2018, arXiv:1805.12462.
    """

    centres: Array
    shares: Array
    count: int

    @classmethod
    def of(cls, rows: Array, bins: int, seed: int) -> Self:
        """Return the cells of the centres that k-means finds in `rows`, with the share of the rows in each.

        rows: [n, features], those of real sounds; bins: the number of bins, at most n; seed: the seed of the random
        numbers. The first centres for k-means are rows drawn one after another; the probability of a row is
        proportional to the squared distance from the nearest of the rows drawn before. Source: D. Arthur and S.
        Vassilvitskii, k-means++: The Advantages of Careful Seeding, SODA 2007.
        """
        rows, draw = rows.astype(np.float64), rng(seed)
        centres, apart = np.empty((bins, rows.shape[1])), np.ones(len(rows))
        for k in range(bins):
            total = apart.sum()
            centres[k] = rows[draw.choice(len(rows), p=apart / total if total else None)]
            squares = ((rows - centres[k]) ** 2).sum(1)
            apart = np.minimum(apart, squares) if k else squares
        for _ in range(_ROUNDS):
            nearest, _ = vq(rows, centres)
            for k in range(bins):
                if (nearest == k).any():
                    centres[k] = rows[nearest == k].mean(0)
        return cls(centres, _shares(rows, centres), len(rows))

    def different(self, rows: Array) -> float:
        """Return the share of the bins whose shares of made rows [m, features] and of real rows differ significantly.

        The result is NDB, the number of different bins in the paper, divided by the number of all bins. A bin that
        holds the share p of n real rows and the share q of m made rows is different if

            |p - q| > 1.96 * sqrt(s * (1 - s) * (1 / n + 1 / m)),    s = (n * p + m * q) / (n + m)

        This is the test of two proportions; 1.96 is for the significance 0.05, the value of `SIGNIFICANCE`.
        """
        shares = _shares(rows, self.centres)
        both = (self.count * self.shares + len(rows) * shares) / (self.count + len(rows))
        deviation = np.sqrt(both * (1 - both) * (1 / self.count + 1 / len(rows)))
        return float(np.mean(abs(shares - self.shares) > NormalDist().inv_cdf(1 - SIGNIFICANCE / 2) * deviation))


def _shares(rows: Array, centres: Array) -> Array:
    nearest, _ = vq(rows.astype(np.float64), centres)
    shares: Array = np.bincount(nearest, minlength=len(centres)) / len(rows)
    return shares


@dataclass(frozen=True)
class Classifier:
    """A classifier of rows: softmax(weights @ (row - mean) + bias).

    mean: [features]; weights: [classes, features]; bias: [classes].
    """

    mean: Array
    weights: Array
    bias: Array

    @classmethod
    def of(cls, rows: Array, labels: Array, classes: int) -> Self:
        """Return the classifier that L-BFGS finds for rows [n, features], from weights of 0.

        The loss is the cross-entropy plus 0.0005 times the sum of the squared weights. labels: [n], the class of each
        row, from 0 to classes - 1; classes: the number of classes.
        """
        mean = rows.mean(0)
        given, wanted = torch.from_numpy(rows - mean).float(), torch.from_numpy(labels).long()
        weights, bias = torch.zeros(classes, rows.shape[1]), torch.zeros(classes)
        search = torch.optim.LBFGS(
            [weights.requires_grad_(), bias.requires_grad_()], max_iter=100, line_search_fn="strong_wolfe"
        )

        def loss() -> torch.Tensor:
            search.zero_grad()
            found = torch.nn.functional.cross_entropy(given @ weights.T + bias, wanted)
            found = found + _PENALTY / 2 * (weights**2).sum()
            found.backward()  # type: ignore[no-untyped-call]  # torch declares no types here
            return found

        with torch.enable_grad():
            search.step(loss)  # type: ignore[no-untyped-call]  # as above
        return cls(mean, weights.detach().numpy(), bias.detach().numpy())

    def probabilities(self, rows: Array) -> Array:
        """Return the probabilities [n, classes] of the classes of rows [n, features]."""
        logits = ((rows - self.mean) @ self.weights.T + self.bias).astype(np.float64)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        found: Array = powers / powers.sum(1, keepdims=True)
        return found


def inception_score(p: Array) -> float:
    """Return e**(mean over n of sum over classes of p_n * ln(p_n / q)), where q is the mean of all p_n.

    p: [n, classes], the probabilities that a classifier finds for n sounds. The score lies between 1 and `classes`. A
    set of sounds has a high score if the classifier is sure of each, and finds all classes equally often. The published
    score, T. Salimans et al., Improved Techniques for Training GANs, NeurIPS 2016, arXiv:1606.03498, takes the
    classifier Inception: scores by other classifiers cannot be compared with it.
    """
    return float(np.exp(np.mean(np.sum(p * (_log(p) - _log(p.mean(0))), axis=1))))


def mean_entropy(p: Array) -> float:
    """Return the mean entropy, in nats, of probabilities p [n, classes]: how unsure the classifier is of a sound."""
    return float(-np.mean(np.sum(p * _log(p), axis=1)))


def frechet_distance(real: Array, made: Array) -> float:
    """Return the Fréchet distance between the normal distributions with the means and covariances of two sets of rows.

        |m - m'|**2 + trace(C + C' - 2 * (C C')**(1 / 2))

    m and C are the mean and the covariance of `real`, m' and C' those of `made`. real, made: [n, features] and [n',
    features], at least two rows each. Source: M. Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge
    to a Local Nash Equilibrium, NeurIPS 2017, arXiv:1706.08500, whose rows are features of the classifier Inception.
    """
    one, two = (np.atleast_2d(np.cov(rows.astype(np.float64), rowvar=False)) for rows in (real, made))
    roots = np.linalg.eigvals(one @ two).real.clip(0)
    apart = real.mean(0, np.float64) - made.mean(0, np.float64)
    return float(apart @ apart + np.trace(one) + np.trace(two) - 2 * np.sqrt(roots).sum())


def _log(p: Array) -> Array:
    found: Array = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    return found
