"""Noise on the signal that LPCNet is trained on, so that its inputs contain errors as they do in synthesis."""

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, SILENT_CODE, centres, decode, edges, encode


class Excitation(NamedTuple):
    """The inputs and targets of a signal, [n] each; samples in 16-bit scale, codes are mu-law levels."""

    noisy: Array  # the signal from which the predictions are made
    prediction: Array  # of each sample, from the noisy samples before it
    given: Array  # codes of the noisy excitation, an input of the network
    target: Array  # codes of the excitation that leads back to the clean signal


def closed_loop(signal: Array, lpc: Array, noise: Array) -> Excitation:
    """Add noise to the excitation and feed it back through the predictor, as the C program does.

        p[n] = -sum_k a[k] s[n-k],              e[n] = code(x[n] - p[n])
        given[n] = clip(e[n] + noise[n]),       s[n] = p[n] + decode(given[n])

    signal: x [n], pre-emphasised; lpc: [frames, order], each row for an equal part of it; noise: [n] whole levels.
    Samples before the signal are 0.
    """  # fmt: skip
    count, order = len(signal), lpc.shape[1]
    noisy = np.zeros(order + count)
    prediction, given, target = np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64)
    _loop(
        np.asarray(signal, np.float64), np.asarray(lpc, np.float64), np.asarray(noise, np.int64), edges(), centres(),
        noisy, prediction, given, target,
    )  # fmt: skip
    return Excitation(noisy[order:], prediction, given, target)


def open_loop(signal: Array, lpc: Array, noise: Array) -> Excitation:
    """Add noise to the codes of the signal; the excitation then leads back to the clean signal, as in the paper.

        s[n] = decode(clip(code(x[n]) + noise[n])),  p[n] = -sum_k a[k] s[n-k],  given[n] = e[n] = code(x[n] - p[n])

    Shapes as in `closed_loop`.
    """
    count, order = len(signal), lpc.shape[1]
    noisy = decode(np.clip(encode(signal) + noise, 0, LEVELS - 1))
    past = np.concatenate((np.zeros(order), noisy))
    per_sample = np.repeat(np.asarray(lpc, np.float64), count // len(lpc), axis=0)
    prediction = np.zeros(count)
    for k in range(1, order + 1):
        prediction -= per_sample[:, k - 1] * past[order - k : order - k + count]
    target = encode(signal - prediction)
    return Excitation(noisy, prediction, target, target)


def inputs(excitation: Excitation) -> Array:
    """Return the input codes [n, 3] of each sample: of the last signal, the prediction and the last excitation."""
    codes = np.full((len(excitation.target), 3), SILENT_CODE)
    codes[1:, 0] = encode(excitation.noisy[:-1])
    codes[:, 1] = encode(excitation.prediction)
    codes[1:, 2] = excitation.given[:-1]
    return codes


@kernel
def _loop(
    signal: Array, lpc: Array, noise: Array, edges: Array, centres: Array,
    noisy: Array, prediction: Array, given: Array, target: Array,
) -> None:  # fmt: skip
    order = lpc.shape[1]
    per_frame = len(signal) // len(lpc)
    for n in range(len(signal)):
        a = lpc[n // per_frame]
        p = 0.0
        for k in range(order):
            p -= a[k] * noisy[n + order - 1 - k]
        code = np.searchsorted(edges, signal[n] - p, side="right")
        heard = min(max(code + noise[n], 0), len(centres) - 1)
        prediction[n], target[n], given[n] = p, code, heard
        noisy[n + order] = p + centres[heard]
