"""The loop that LPCNet is trained in: what the network hears is what it would have made, errors and all."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.signal import mulaw

Array = NDArray[Any]

LEVELS = 256
PEAK = 32768.0  # of 16-bit samples
SILENCE = LEVELS // 2


class Excitation(NamedTuple):
    """What there is to learn from a signal: [n] each, in the scale of 16-bit samples; codes are mu-law levels."""

    noisy: Array  # the signal the past is made of
    prediction: Array  # of each sample from that past
    given: Array  # codes of the excitation that the network hears
    target: Array  # codes of the excitation that leads back to the clean signal


def encode(x: Array) -> Array:
    """Codes 0..255 of samples of 16-bit scale."""
    return mulaw.mulaw_encode(np.asarray(x, np.float64), LEVELS, PEAK)


def decode(codes: Array) -> Array:
    """Samples of 16-bit scale."""
    return mulaw.mulaw_decode(codes, LEVELS, PEAK)


def closed_loop(signal: Array, lpc: Array, noise: Array) -> Excitation:
    """Noise on the excitation, fed back through the predictor as in synthesis: the form of the C program.

        p[n] = -sum_k a[k] s[n-k],              e[n] = code(x[n] - p[n])
        given[n] = clip(e[n] + noise[n]),       s[n] = p[n] + decode(given[n])

    signal: x [n], pre-emphasised; lpc: [frames, order], of equal parts of it; noise: [n] whole levels. Before the
    signal is silence.
    """  # fmt: skip
    count, order = len(signal), lpc.shape[1]
    noisy = np.zeros(order + count)
    prediction, given, target = np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64)
    edges = mulaw.edges(LEVELS, PEAK, "float64")[1:-1]
    _loop(
        np.asarray(signal, np.float64), np.asarray(lpc, np.float64), np.asarray(noise, np.int64), edges,
        decode(np.arange(LEVELS)), noisy, prediction, given, target,
    )  # fmt: skip
    return Excitation(noisy[order:], prediction, given, target)


def open_loop(signal: Array, lpc: Array, noise: Array) -> Excitation:
    """Noise on the codes of the signal, and the excitation that makes up for it: the form of the paper.

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
    """Codes [n, 3] that the network hears for each sample: the last signal, the prediction, the last excitation."""
    codes = np.full((len(excitation.target), 3), SILENCE)
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
