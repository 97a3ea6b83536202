"""Mel-generalised cepstra: conversion between values of the power gamma."""

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import exp, log


def normalise_gain(c: Array, gamma: float) -> Array:
    """Return mel-generalised cepstra with the gain K as a separate factor: rows (K, c'[1], c'[2] ...), [n, order + 1].

    The spectrum is H(z) = K * (1 + gamma * sum_(m > 0) c'[m] * z**-m)**(1 / gamma). For gamma = 0, K = e**c[0] and c' =
    c. c: [n, order + 1], float64, with gamma * c[0] > -1.

    Source: SPTK 3.11 reference manual, `gnorm`.
    """
    y = c.copy()
    if gamma == 0:
        y[:, 0] = exp(c[:, 0])
        return y
    base = 1 + gamma * c[:, 0]
    y[:, 0] = exp(log(base) / gamma)
    y[:, 1:] /= base[:, None]
    return y


def restore_gain(c: Array, gamma: float) -> Array:
    """Return cepstra from rows (K, c'[1], c'[2] ...), [n, order + 1]: the inverse of `normalise_gain`.

    c: the rows, float64, with K > 0; gamma: their power.
    """
    y = c.copy()
    if gamma == 0:
        y[:, 0] = log(c[:, 0])
        return y
    base = exp(gamma * log(c[:, 0]))
    y[:, 0] = (base - 1) / gamma
    y[:, 1:] *= base[:, None]
    return y


def change_gamma(c: Array, order: int, gamma: float, wanted: float) -> Array:
    """Convert normalised mel-generalised cepstra from the power `gamma` to the power `wanted`; return [n, order + 1].

        c2[m] = c1[m] + sum_(k = 1 .. m - 1) (k * wanted * c1[k] * c2[m - k] - (m - k) * gamma * c1[k] * c2[m - k]) / m

    Rows are normalised by `normalise_gain`; K, in column 0, stays. c: c1 in the formula, [n, any width], float64, with
    zeros beyond its width; the result is c2, normalised for the power `wanted`.

    Source: SPTK 3.11 reference manual, `gc2gc`.
    """
    width = c.shape[1]
    y = np.zeros((len(c), order + 1))
    y[:, 0] = c[:, 0]
    for m in range(1, order + 1):
        total = np.zeros(len(c))
        for k in range(1, min(width - 1, m - 1) + 1):
            total += (k * wanted - (m - k) * gamma) * (c[:, k] * y[:, m - k])
        y[:, m] = total / m
        if m < width:
            y[:, m] += c[:, m]
    return y
