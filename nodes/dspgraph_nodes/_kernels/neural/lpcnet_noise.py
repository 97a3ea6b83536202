"""Noise for the training of LPCNet. It is added to the past that the network reads."""

from typing import NamedTuple

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, SILENT_CODE, centres, decode, edges, encode


class Excitation(NamedTuple):
    """A noisy signal with its predictions and excitation: arrays [n]. Samples are in 16-bit scale, codes are 0..255.

    noisy: the noisy samples. prediction: the linear prediction of each sample from the noisy samples before it. given:
    the codes of the noisy excitation, which the network reads. target: the codes of the excitation that the network
    learns to predict.
    """

    noisy: Array  # samples of the noisy signal
    prediction: Array  # prediction of each sample, computed from the noisy samples before it
    given: Array  # codes of the noisy excitation, an input of the network
    target: Array  # codes of the excitation that, added to the predictions, gives the clean signal again


def closed_loop(signal: Array, lpc: Array, noise: Array) -> Excitation:
    """Add noise to the excitation codes of a signal, inside the prediction loop; return signal and codes.

        p[n] = -sum_k a[k] * s[n-k],            e[n] = encode(x[n] - p[n])
        given[n] = clip(e[n] + noise[n]),       s[n] = p[n] + decode(given[n])

    Here s is `noisy`, p `prediction` and e `target`; clip limits to 0..255. Each sample is predicted from the noisy
    samples before it. The published C program does the same.

    signal: x [n], pre-emphasised, 16-bit scale, where n is a multiple of `frames`; lpc: [frames, order], the row of
    frame k is used for the samples from k * n / frames to (k + 1) * n / frames; noise: [n], whole numbers of codes.
    Samples before the signal are 0. Raises ValueError for another length of the signal.
    """
    count, order = len(signal), lpc.shape[1]
    if count % max(1, len(lpc)) or (count and not len(lpc)):
        raise ValueError(f"the signal has {count} samples, for {len(lpc)} frames: give every frame equally many")
    noisy = np.zeros(order + count)
    prediction, given, target = np.empty(count), np.empty(count, np.int64), np.empty(count, np.int64)
    _loop(
        np.asarray(signal, np.float64), np.asarray(lpc, np.float64), np.asarray(noise, np.int64), edges(), centres(),
        noisy, prediction, given, target,
    )  # fmt: skip
    return Excitation(noisy[order:], prediction, given, target)


def open_loop(signal: Array, lpc: Array, noise: Array) -> Excitation:
    """Add noise to the mu-law codes of a signal's samples; return the noisy signal and the codes of its excitation.

        s[n] = decode(clip(encode(x[n]) + noise[n])),  p[n] = -sum_k a[k] * s[n-k],  e[n] = encode(x[n] - p[n])

    Each clean sample x[n] is predicted from the noisy samples before it. `given` and `target` are both e. The paper
    adds noise in this way. The arguments, and the names in the formulas, are those of `closed_loop`. There must be at
    least one frame, and equally many samples for every frame; this is not checked.
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
    """Return the codes that the network reads for each sample, [n, 3].

    They are the codes of the previous noisy sample, of the prediction of the present sample, and of the previous
    excitation. For sample 0 the first and the third are the code of silence, 128.
    """
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
