"""Statistics of mixtures of logistic distributions: weights, posteriors, spread and entropy.

A mixture has K components with weights w, means m and scales s: p(x) = sum_k w_k * f((x - m_k) / s_k) / s_k, where
f(z) = e**-z / (1 + e**-z)**2 is the logistic density. A row of parameters has K logits, K means and K natural
logarithms of scales. Everything is computed in float64. Sums over components and points are loops, so that a result
does not depend on the number of rows.
"""

import math
from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import exp, log

_MOST_LOG_SCALE = 300.0
"""Before a division by a scale, its logarithm is raised to -300 if it is less. In `entropy`, whose formulas have
quotients of two scales, it is also limited to 300: e**600 is finite in float64."""

_LEAST = -1e300
"""The least logarithm of a probability: differences of two such numbers are finite."""

_ROOM = 2**15
"""The most elements of an array with which `entropy` works, so that it stays in the cache of a processor.

A single mixture may need more.
"""


class Mixture(NamedTuple):
    """The parameters of n mixtures of K logistic distributions; every field is [K, n] float64.

    The weights of a mixture sum to 1; log_weights are their natural logarithms, log_scales those of the scales.
    """

    weights: Array
    log_weights: Array
    means: Array
    log_scales: Array


def mixture(rows: Array) -> Mixture:
    """Return n mixtures from rows of parameters [n, 3 * K]: K logits, K means, K natural logarithms of scales."""
    logits, means, log_scales = np.split(np.ascontiguousarray(rows.T, np.float64), 3)
    logits = logits - np.max(logits, axis=0)
    powers = exp(logits)
    total = added(powers)
    return Mixture(powers / total, logits - log(total), means, log_scales)


def added(rows: Array) -> Array:
    """Return the sum of rows [K, ...] over the first axis, from the first row to the last."""
    total: Array = rows[0].copy()
    for row in rows[1:]:
        total += row
    return total


def expected_log_scale(given: Mixture) -> Array:
    """Return the expected log-scale sum_k w_k * ln s_k of each mixture, [n]."""
    return added(given.weights * given.log_scales)


def log_deviation(given: Mixture) -> Array:
    """Return the natural logarithm of the standard deviation of each mixture, [n].

    The variance is sum_k w_k * (s_k**2 * pi**2 / 3 + (m_k - m)**2), with m = sum_k w_k * m_k. The sum is computed from
    logarithms of its terms, so that scales of any size neither overflow nor vanish.
    """
    mean = added(given.weights * given.means)
    within = given.log_weights + 2 * given.log_scales + math.log(math.pi**2 / 3)
    between = given.log_weights + 2 * log(np.abs(given.means - mean))
    terms = np.concatenate([within, between])
    largest = np.max(terms, axis=0)
    found: Array = 0.5 * (largest + log(added(exp(terms - largest))))
    return found


def posterior(given: Mixture, x: Array, half_step: float) -> Array:
    """Return the probability that a sample x was drawn from component k, P(k | x), for every k: [K, n].

    x: [n], full scale +-1. half_step: half the distance between two levels of quantised samples. The likelihood of
    component k is its probability between x - half_step and x + half_step; for the outermost levels the interval
    reaches to infinity. If half_step is 0, the likelihood is the density at x; for |x| >= 1, where samples were
    clipped, it is the probability of values beyond x.
    """
    terms = np.maximum(given.log_weights + _log_likelihoods(given, x.astype(np.float64), half_step), _LEAST)
    powers = exp(terms - np.max(terms, axis=0))
    shares: Array = powers / added(powers)
    return shares


def _log_likelihoods(given: Mixture, x: Array, half_step: float) -> Array:
    log_scales = np.maximum(given.log_scales, -_MOST_LOG_SCALE)
    inverse = exp(-log_scales)
    below, above = (x - given.means - half_step) * inverse, (x - given.means + half_step) * inverse
    # Of a step: sigmoid(above) - sigmoid(below) = sigmoid(above) * sigmoid(-below) * (1 - e**-(above - below)).
    log_step = _log_one_minus_exp(2 * half_step * inverse) if half_step else -log_scales
    inside = -_softplus(-above) - _softplus(below) + log_step
    beyond = np.where(x > 0, -_softplus(below), -_softplus(-above))
    found: Array = np.where(np.abs(x) >= 1 - half_step, beyond, inside)
    return found


def _softplus(x: Array) -> Array:
    """Return ln(1 + e**x), in the shape of x."""
    return np.maximum(x, 0) + log(1 + exp(-np.abs(x)))


def _log_one_minus_exp(x: Array) -> Array:
    """Return ln(1 - e**-x) for x > 0. For x < 1e-5, ln x - x / 2 equals it to 12 digits."""
    return np.where(x < 1e-5, log(x) - x / 2, log(1 - exp(-np.maximum(x, 1e-5))))


def choose(probabilities: Array, uniform: Array) -> Array:
    """Draw one of K components for each of n mixtures; return the number of each drawn component, [n] int64.

    probabilities: [K, n], numbers proportional to the probabilities of the components. uniform: [n], random numbers
    from 0 up to, not including, 1.
    """
    due = uniform * added(probabilities)
    chosen = np.zeros(len(uniform), np.int64)
    reached = np.zeros(len(uniform))
    for row in probabilities[:-1]:
        reached = reached + row
        chosen += due >= reached
    return chosen


def entropy(given: Mixture, points: int) -> Array:
    """Return the differential entropy -int p(x) * ln p(x) dx of each mixture in nats, [n].

        h = sum_k w_k * (ln s_k + 2) + H(w) - E[H(r(x))],    r_k(x) = P(k | x),    H(w) = -sum_k w_k * ln w_k

    ln s + 2 is the entropy of one logistic distribution. If the components do not overlap, the entropy is the sum of
    the first two terms. Overlap reduces it by the last term, which is between 0 and H(w). The expectation E is
    approximated by a mean over `points` quantiles of every component: x = m_k + s_k * ln(u / (1 - u)) for u = (j -
    0.5) / points, j = 1 .. points.
    """
    separate = added(given.weights * (given.log_scales + 2))
    choice = -added(given.weights * np.maximum(given.log_weights, -1e4))
    if len(given.weights) == 1:
        return separate
    u = (np.arange(points) + 0.5) / points
    quantiles = log(u / (1 - u))
    rows = max(1, _ROOM // (len(given.weights) * points))
    n = given.weights.shape[1]
    parts = [Mixture(*(one[:, first : first + rows] for one in given)) for first in range(0, n, rows)]
    overlap = np.concatenate([_overlap(part, quantiles) for part in parts]) if parts else np.zeros(0)
    found: Array = separate + choice - np.clip(overlap, 0, choice)
    return found


def _overlap(given: Mixture, quantiles: Array) -> Array:
    """Return E[H(r(x))], the term of `entropy` for the overlap of the components, for each mixture: [n].

    With v_j = w_j * f(z_j) / s_j at a point x, where z_j = (x - m_j) / s_j, and S = sum_j v_j: r_j = v_j / S, and H(r)
    = ln S - sum_j v_j * ln v_j / S. All v_j of a mixture are divided by its largest w_j / s_j. quantiles: [points], of
    the logistic distribution with mean 0 and scale 1.
    """
    log_scales = np.clip(given.log_scales, -_MOST_LOG_SCALE, _MOST_LOG_SCALE)
    heights = given.log_weights - log_scales
    heights = np.maximum(heights - np.max(heights, axis=0), -1e4)
    factors = exp(heights)
    total, weighted, distance = np.zeros((3, len(quantiles), *given.weights.shape))
    for height, factor, mean, log_scale in zip(heights, factors, given.means, log_scales, strict=True):
        centre, width = (given.means - mean) * exp(-log_scale), exp(log_scales - log_scale)
        _fill_distances(quantiles, centre, width, distance)
        _add_densities(factor, height, distance, exp(-distance), total, weighted)
    total = np.maximum(total, np.finfo(np.float64).tiny)
    found: Array = added(given.weights * added(log(total) - weighted / total)) / len(quantiles)
    return found


@kernel
def _fill_distances(quantiles: Array, centre: Array, width: Array, distance: Array) -> None:
    """Write abs(centre + width * quantiles[j]), limited to 800, to distance[j]. e**-800 is 0 in float64.

    quantiles: [points]; centre, width: [K, n]; distance: [points, K, n].
    """
    for j in range(len(quantiles)):
        for k in range(centre.shape[0]):
            for i in range(centre.shape[1]):
                distance[j, k, i] = min(abs(centre[k, i] + width[k, i] * quantiles[j]), 800.0)


@kernel
def _add_densities(factor: Array, height: Array, distance: Array, power: Array, total: Array, weighted: Array) -> None:
    """Add v = factor * q / (1 + q)**2 to `total` and v * ln v to `weighted`, where q = exp(-distance) is `power`.

    height is ln(factor), so ln v = height - distance - 2 * ln(1 + q). ln(1 + q) = 2 * artanh(s), where s = q / (2 + q)
    <= 1/3; the series of artanh is summed up to s**17, with an error below 1e-10. factor, height: [n]; the other
    arrays: [points, K, n].
    """
    for j in range(power.shape[0]):
        for k in range(power.shape[1]):
            for i in range(power.shape[2]):
                e = power[j, k, i]
                s = e / (2.0 + e)
                q = s * s
                series = 1.0 / 15 + q * (1.0 / 17)
                series = 1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13 + q * series))
                series = s * (1.0 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * series))))
                density = factor[i] * e / ((1.0 + e) * (1.0 + e))
                total[j, k, i] += density
                weighted[j, k, i] += density * (height[i] - distance[j, k, i] - 4.0 * series)
