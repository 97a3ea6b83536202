"""Noise at a given signal-to-noise ratio."""

import math

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State, require_alike


def noise_factor(x: Array, noise: Array, snr: float) -> float:
    """Return the factor g of the noise with which 10 * log10(P_x / (g**2 * P_noise)) = snr, or 0 if x is silent.

    x, noise: whole signals of one shape; snr: dB; P is the mean square of all samples and channels, summed in float64.
    Raises ValueError if the noise is silent.
    """
    from dspgraph_nodes._kernels.maths.elementary import LN_10, exp

    power, disturbing = (float(np.add.accumulate(one.reshape(-1).astype(np.float64) ** 2)[-1]) for one in (x, noise))
    if not disturbing:
        raise ValueError("the noise is silent: no factor gives it a level; connect another signal")
    return math.sqrt(power / disturbing) * float(exp(np.array(-snr * LN_10 / 20)))


class AddNoise(Node):
    """Add a noise so that the signal-to-noise ratio of the whole recording is `snr`.

        y[n] = x[n] + g * noise[n],    g = sqrt(P_x / P_noise) * 10**(-snr / 20)

    P is the mean square over the whole signal and all channels, so the node waits for the end. The noise is a second
    input: a recording, or the output of `white_noise`. A silent noise raises ValueError.

    Source: torchaudio reference, `torchaudio.functional.add_noise`.
    """

    x = Input(Audio)
    noise = Input(Audio)
    y = Output(Audio)

    snr: float = Field(10.0, ge=-120, le=120, description="power of the signal over that of the noise, dB")

    def streams(self, x: Audio, noise: Audio) -> tuple[Audio]:
        require_alike({"x": x, "noise": noise}, self)
        return (x,)

    def lookahead(self, x: Audio, noise: Audio) -> float:
        return math.inf

    def step(self, state: State, x: Array, noise: Array) -> tuple[State, Array]:
        return state, x + x.dtype.type(noise_factor(x, noise, self.snr)) * noise
