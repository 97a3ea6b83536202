"""A measure of the scales of mixtures of logistics, relative to the level of the sound."""

from fractions import Fraction

import numpy as np

from dspgraph import Array, Audio, Field, Frames, Input, Node, Output, ParameterError, State, require_mono


def relative_scale(mixture: Array, x: Array, half: int, floor: float = 2.0**-15) -> Array:
    """Return the relative scale of n mixtures by the formula of `RelativeScale`: [n, 1].

    mixture: [n, 3 * K], K logits, K means and K log-scales; x: [n + 2 * half], the n samples with `half` more samples
    on either side, zeros beyond the ends of the signal; half: the window of the RMS has 2 * half + 1 samples; floor:
    the least RMS. The result has the dtype of the mixture (float32 for int16).
    """
    from dspgraph_nodes._kernels.maths.elementary import log
    from dspgraph_nodes._kernels.neural import mixture_statistics as statistics

    n, squares = len(mixture), x.astype(np.float64) ** 2
    total = squares[:n].copy()
    for shift in range(1, 2 * half + 1):  # in this order, whatever n is
        total += squares[shift : shift + n]
    power = np.maximum(total / (2 * half + 1), floor**2)
    found = statistics.expected_log_scale(statistics.mixture(mixture)) - 0.5 * log(power)
    return found.astype(np.result_type(mixture, np.float32))[:, None]


class RelativeScale(Node):
    """Compute the expected scale of mixtures of logistics relative to the level of the sound around each sample.

        relative[n] = sum_k w_k * ln s_k - ln max(rms[n], floor)
        rms[n]      = sqrt(mean of x[j]**2),    j = n - h .. n + h,    h = window * rate / 2, rounded

    A model is less certain of loud sounds, so the scale grows with the level. Relative to the level, the scale says how
    well a sample is predicted: apart from a constant, it is about the negative of the prediction gain, in nats. Row n
    of the mixture, which has K logits, K means and K natural logarithms of scales ln s, describes sample n of x; the
    weights w are the softmax of the logits. Samples of x before the first and after the last count as 0.

    Source: N. S. Jayant and P. Noll, Digital Coding of Waveforms, Prentice Hall, 1984 (prediction gain).
    """

    mixture = Input(Frames, "logistic_mixture")
    x = Input(Audio)
    relative = Output(Frames, "log_scale")

    window: float = Field(0.02, gt=0, le=1, description="length of the window of the RMS, seconds")
    floor: float = Field(2.0**-15, gt=0, le=1, description="least RMS, so that silence has a logarithm")

    def streams(self, mixture: Frames, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        if mixture.width % 3 or mixture.dtype.kind == "c":
            raise ParameterError(
                f"relative_scale.mixture takes real rows of K logits, K means and K log-scales; found {mixture} in "
                f"{mixture.dtype}: give the distribution of a model with a mixture of logistics"
            )
        if mixture.rate != x.rate:
            raise ParameterError(
                f"relative_scale takes a row for each sample; found {mixture} and {x}: give the audio that was drawn "
                "from the mixture, at its rate"
            )
        return (mixture.like(kind="log_scale", width=1),)

    def _half(self, rate: Fraction) -> int:
        return round(self.window * float(rate) / 2)

    def lookahead(self, mixture: Frames, x: Audio) -> Fraction:
        return Fraction(self._half(x.rate)) / x.rate

    def start(self, mixture: Frames, x: Audio) -> State:
        half = self._half(x.rate)
        return half, np.zeros((0, mixture.width), mixture.dtype), np.zeros(half, x.dtype)

    def step(self, state: State, mixture: Array, x: Array) -> tuple[State, Array]:
        half, rows, samples = state
        rows, samples = np.concatenate((rows, mixture)), np.concatenate((samples, x))
        ready = max(0, len(samples) - 2 * half)
        found = relative_scale(rows[:ready], samples, half, self.floor)
        return (half, rows[ready:], samples[ready:]), found

    def flush(self, state: State) -> tuple[Array]:
        half, rows, samples = state
        return (relative_scale(rows, np.concatenate((samples, np.zeros(half, samples.dtype))), half, self.floor),)
