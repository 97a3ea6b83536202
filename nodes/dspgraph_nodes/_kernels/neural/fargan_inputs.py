"""The inputs of FARGAN's network, computed from LPCNet's features.

Source: J.-M. Valin, A. Mustafa and J. Büthe, Very Low Complexity Speech Synthesis Using Framewise Autoregressive GAN
(FARGAN) with Pitch Prediction, IEEE Signal Processing Letters 31, 2024; the program published with it.
"""

from __future__ import annotations

import numpy as np

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.maths.elementary import exp, log

SHORTEST_PERIOD, LONGEST_PERIOD = 32, 255  # samples in a period
PERIOD_COUNT = LONGEST_PERIOD - SHORTEST_PERIOD + 1
MEMORY = 256  # past samples that the network reads


def periods(pitch: Array) -> Array:
    """Return the pitch periods T of frames in samples, int64, limited to 32 .. 255.

        T = floor(50 * pitch + 100 + 1 / 4)

    pitch: the feature "pitch" of LPCNet, in steps of 1 / 100. 50 * pitch is thus a multiple of 1 / 2, and adding 1 / 4
    makes the result independent of rounding errors.
    """
    found = np.floor(50 * pitch.astype(np.float64) + 100.25)
    return np.clip(found, SHORTEST_PERIOD, LONGEST_PERIOD).astype(np.int64)


def frame_inputs(cepstrum: Array, pitch: Array, correlation: Array) -> Array:
    """Return the inputs of the network for n frames, [n, bands + 2] float32.

        cepstrum,    log2(256 / T) - 3 / 2,    ln(1 + e**(5 c)) / ln(1 + e**5) - 1 / 2

    T is the pitch period in samples, c the pitch correlation. cepstrum: [n, bands]; pitch, correlation: [n], LPCNet's
    features. The feature `correlation` is c - 1 / 2.
    """
    height = log(256 / periods(pitch)) / np.log(2) - 1.5
    c = correlation.astype(np.float64) + 0.5
    voicing = log(1 + exp(5 * c)) / np.log(1 + np.exp(5.0)) - 0.5
    return np.concatenate((cepstrum, height[:, None], voicing[:, None]), axis=1).astype(np.float32)
