"""Draws of samples from the distributions that networks predict, for kernels whose arrays are [parameter, lane].

A lane is the place of one signal among those computed together. The random numbers are turned into noise before a loop
over samples begins, so that the loop computes few logarithms and powers. Every lane is computed by itself, so a signal
gets the same bits alone and among others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import exp_of, log
from dspgraph_nodes._kernels.neural.sampling import SoftmaxBuffers, draw_class

OUTERMOST = 1e-5
"""The least random number of a draw from a mixture; 1 - OUTERMOST is the largest. At temperature 1, and before
it is limited to -1 .. 1, no draw is thus further than 11.5 scales from the mean of its component (11.5 = ln(1 /
OUTERMOST)). Published WaveNets and WaveRNNs have the same limits of random numbers."""


def inner_numbers(numbers: Array) -> Array:
    """Map random numbers from [0, 1) linearly to OUTERMOST .. 1 - OUTERMOST, float64, so that none is 0 or 1."""
    return OUTERMOST + (1 - 2 * OUTERMOST) * np.asarray(numbers, np.float64)


def mixture_noise(numbers: Array) -> Array:
    """Return the noise of draws from a mixture of K logistic distributions: [..., K + 1] float64.

    numbers: [..., K + 1], uniform random numbers u_1 .. u_K and v, above 0 and below 1. The noise is -ln(-ln u_k) for
    each component k, by which the component is chosen (Gumbel noise), and ln v - ln(1 - v), a draw from the logistic
    distribution with mean 0 and scale 1. The numbers of different samples must be independent.
    """
    wide = np.asarray(numbers, np.float64)
    u, v = wide[..., :-1], wide[..., -1:]
    return np.concatenate((-log(-log(u)), log(v) - log(1 - v)), axis=-1)


@kernel
def draw_component(parameters: Array, noise: Array, lane: int) -> int:
    """Return the number k of the component with the largest logit_k + noise_k in one lane; of equal ones the first.

    parameters: [3 * K, lanes], of which the first K rows are the logits; noise: [K + 1, lanes], from
    `mixture_noise`, transposed; its last row is not used.
    """
    best, top = 0, parameters[0, lane] + noise[0, lane]
    for k in range(1, len(noise) - 1):
        score = parameters[k, lane] + noise[k, lane]
        if score > top:
            best, top = k, score
    return best


@kernel
def draw_logistic(parameters: Array, noise: Array, lane: int, floor: float) -> float:
    """Draw a sample in one lane from a mixture of K logistics: mean_k + exp(log-scale_k) * noise, limited to -1 .. 1.

    k is the component that `draw_component` chooses. parameters: [3 * K, lanes]: K logits, K means, K log-scales.
    noise: [K + 1, lanes], from `mixture_noise`; its last row is the noise in the formula. floor: log-scales below it
    are raised to it.
    """
    components = len(noise) - 1
    k = draw_component(parameters, noise, lane)
    scale = exp_of(max(float(parameters[2 * components + k, lane]), floor))
    return min(max(float(parameters[components + k, lane]) + scale * float(noise[components, lane]), -1.0), 1.0)


class SampleDraws(NamedTuple):
    """The random numbers with which n samples are drawn, and the form of the distributions that they are drawn from.

    levels: the number of levels of a softmax; 0 for a mixture of logistics. temperature: a number by which the logits
    of a softmax are divided; not used for a mixture. floor: the smallest log-scale of a mixture; smaller ones are
    raised to it. numbers: [n, k, lanes], k random numbers per sample: for a softmax uniform from 0 to 1, one per draw;
    for a mixture of K logistics the K + 1 of `mixture_noise`, the last times the temperature (see `sample_draws`).
    """

    levels: int  # number of levels of a softmax; 0 for a mixture
    temperature: float  # divides logits
    floor: float  # least log-scale of a mixture; without a limit: -inf
    numbers: Array  # [n, k, lanes] float64: numbers from 0 up to 1 for a softmax, the noise of a mixture


def sample_draws(levels: int, temperature: float, floor: float, numbers: Array) -> SampleDraws:
    """Return `SampleDraws` with these fields; for a mixture, apply the temperature to `numbers` first, in place.

    For a mixture (levels = 0), numbers[:, -1], the noise of the drawn values, is multiplied by the temperature. This
    has the same effect as multiplying all scales by it.
    """
    if not levels:
        numbers[:, -1] *= temperature
    return SampleDraws(levels, temperature, floor, numbers)


@kernel
def draw_samples(
    buffers: SoftmaxBuffers, parameters: Array, draws: SampleDraws, n: int, drawn: Array, shares: Array
) -> None:
    """Draw sample n of every lane: a level of a softmax, or a number from -1 to 1 of a mixture; write it to `drawn`.

    buffers: working memory for a softmax. parameters: [k, lanes], the parameters of the distribution in each lane: k
    logits, or those that `draw_logistic` takes. drawn: [lanes] float64. shares: [lanes], multiplied in place by the
    probabilities of the drawn levels; unchanged for a mixture.
    """
    if draws.levels:
        draw_class(buffers, parameters, draws.levels, draws.temperature, draws.numbers[n, 0], drawn, shares)
    else:
        for lane in range(len(drawn)):
            drawn[lane] = draw_logistic(parameters, draws.numbers[n], lane, draws.floor)
