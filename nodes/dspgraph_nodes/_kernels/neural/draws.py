"""Draws of samples from the distributions that networks predict, for kernels whose arrays are [parameter, lane].

The random numbers are turned into noise before a loop over samples begins, so that the loop computes few logarithms and
powers. Every lane is computed by itself, so that a signal gets the same bits alone and among others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.maths.elementary import exp_of, log
from dspgraph_nodes._kernels.neural.sampling import SoftmaxBuffers, draw_class

OUTERMOST = 1e-5
"""The least random number of a draw from a mixture; 1 - OUTERMOST is the largest. So no draw is further than 11.5
scales from a mean (11.5 = ln(1 / OUTERMOST)). Published WaveNets and WaveRNNs have the same limits."""


def inner_numbers(numbers: Array) -> Array:
    """Return random numbers between OUTERMOST and 1 - OUTERMOST, in float64. numbers: of any shape, between 0 and 1."""
    return OUTERMOST + (1 - 2 * OUTERMOST) * np.asarray(numbers, np.float64)


def mixture_noise(numbers: Array) -> Array:
    """Return the noise of draws from a mixture of K logistic distributions: [..., K + 1] float64.

    numbers: u_1 .. u_K, v: [..., K + 1], above 0 and below 1. The noise is -ln(-ln u_k), which chooses the component,
    and ln v - ln(1 - v), the value of a logistic distribution with mean 0 and scale 1. The numbers of different times
    must be independent: with the same u_k at all times, a component would not be drawn as often as its weight says.
    """
    wide = np.asarray(numbers, np.float64)
    u, v = wide[..., :-1], wide[..., -1:]
    return np.concatenate((-log(-log(u)), log(v) - log(1 - v)), axis=-1)


@kernel
def draw_component(parameters: Array, noise: Array, lane: int) -> int:
    """Return the component k with the largest logit_k + noise_k; of equal ones the first.

    parameters: [3 * K, lane], of which the first K are the logits; noise: [K + 1, lane], as `mixture_noise` returns it.
    """
    best, top = 0, parameters[0, lane] + noise[0, lane]
    for k in range(1, len(noise) - 1):
        score = parameters[k, lane] + noise[k, lane]
        if score > top:
            best, top = k, score
    return best


@kernel
def draw_logistic(parameters: Array, noise: Array, lane: int, floor: float) -> float:
    """Return a sample of a mixture of K logistic distributions: mean_k + exp(log-scale_k) * noise, within -1 .. 1.

    k: the component that `draw_component` chooses. parameters: K logits, K means, K log-scales, [3 * K, lane]; noise:
    [K + 1, lane]; floor: the least log-scale; a lower log-scale is raised to it.
    """
    components = len(noise) - 1
    k = draw_component(parameters, noise, lane)
    scale = exp_of(max(float(parameters[2 * components + k, lane]), floor))
    return min(max(float(parameters[components + k, lane]) + scale * float(noise[components, lane]), -1.0), 1.0)


class SampleDraws(NamedTuple):
    """The random numbers with which samples are drawn, and the form of the distributions that they are drawn from."""

    levels: int  # number of levels of a softmax; 0 for a mixture
    temperature: float  # divides logits
    floor: float  # least log-scale of a mixture; without a limit: -inf
    numbers: Array  # [n, k, lanes] float64: numbers from 0 up to 1 for a softmax, the noise of a mixture


def sample_draws(levels: int, temperature: float, floor: float, numbers: Array) -> SampleDraws:
    """Return the `SampleDraws` for a temperature.

    The arguments are the fields of `SampleDraws`. For a mixture, the temperature multiplies the noise of the value, in
    place, which has the same effect as larger scales.
    """
    if not levels:
        numbers[:, -1] *= temperature
    return SampleDraws(levels, temperature, floor, numbers)


@kernel
def draw_samples(
    buffers: SoftmaxBuffers, parameters: Array, draws: SampleDraws, n: int, drawn: Array, shares: Array
) -> None:
    """Draw sample n of every lane: a level of a softmax, or a number from -1 to 1 of a mixture.

    parameters: [k, lanes]; drawn: [lanes] float64, gets the samples; shares: as in `draw_class`; a mixture does not use
    it.
    """
    if draws.levels:
        draw_class(buffers, parameters, draws.levels, draws.temperature, draws.numbers[n, 0], drawn, shares)
    else:
        for lane in range(len(drawn)):
            drawn[lane] = draw_logistic(parameters, draws.numbers[n], lane, draws.floor)
