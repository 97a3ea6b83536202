"""The reference with which LPCNet's kernels are compared in tests: the same synthesis in plain torch and numpy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import exp
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS, PEAK, SILENT_CODE, centres, encode
from dspgraph_nodes.models.lpcnet.network import LPCNet


@torch.no_grad()
def synthesise(
    model: LPCNet, f: Tensor, sharpness: Tensor, lpc: Array, numbers: Array, hop: int, first: int, threshold: float
) -> tuple[Array, Array]:
    """Synthesise speech sample by sample in plain torch; return the signal [n] and the codes [n] of its excitation.

    The signal is float64, limited to +-32768 (16-bit scale), before de-emphasis. It begins after silence.

    f: [frames, condition], the conditions; sharpness: [frames], the factors of the logits; lpc: [frames, order];
    numbers: [n], uniform random numbers from 0 to 1, one to draw each code; first: number of samples of frame 0; hop:
    number of samples of every later frame (the last frame has all samples that remain); threshold: see
    `sampling_distribution`. This is about a hundred times slower than the kernel.
    """
    levels = centres()
    order, state = lpc.shape[1], None
    signal, codes = np.zeros(order + len(numbers)), np.zeros(len(numbers), np.int64)
    inputs = np.full(3, SILENT_CODE)
    for n, number in enumerate(numbers):
        frame = min(max(0, (n - first) // hop + 1), len(lpc) - 1)
        prediction = 0.0
        for k, a in enumerate(lpc[frame].tolist()):
            prediction -= a * signal[n + order - 1 - k]
        inputs[1] = encode(np.array([prediction]))[0]
        logits, _, state = model(f[None, frame : frame + 1], torch.from_numpy(inputs)[None, None], state)
        p = torch.softmax(logits[0, 0] * sharpness[frame], -1)
        p = torch.clamp(p - threshold, min=0)
        ends = torch.cumsum(p / p.sum(), 0)
        codes[n] = min(int((ends <= float(number)).sum()), LEVELS - 1)
        signal[order + n] = min(max(prediction + levels[codes[n]], -PEAK), PEAK)
        inputs[0], inputs[2] = encode(signal[order + n : order + n + 1])[0], codes[n]
    return signal[order:], codes


def sampling_distribution(logits: Array, sharpness: Array, threshold: float) -> Array:
    """Return the distribution from which codes are drawn, [n, 256].

    The probabilities p**c are normalised, reduced by a threshold, and normalised again:

        q = max(0, p**c / sum(p**c) - threshold),    result = q / sum(q)

    logits: [n, 256], the logits of p; sharpness: c, [n]; threshold: a number below 1 / 256, so that no sum is 0.
    Computed in float64; the kernel does the same in float32, with 2**x instead of e**x.
    """
    scaled = logits.astype(np.float64) * sharpness[:, None]
    p = exp(scaled - scaled.max(axis=1, keepdims=True))
    p = np.maximum(p / p.sum(axis=1, keepdims=True) - threshold, 0)
    kept: Array = p / p.sum(axis=1, keepdims=True)
    return kept
