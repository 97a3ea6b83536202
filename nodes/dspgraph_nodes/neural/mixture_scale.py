"""The scale of a mixture of logistics, as a number per row."""

import numpy as np

from dspgraph import (
    Array,
    Audio,
    Field,
    Frames,
    Input,
    Node,
    Output,
    ParameterError,
    State,
    generator,
    require_mono,
)


def mixture_scale(
    mixture: Array, x: Array, draw: np.random.Generator, sample_bits: int | None = 16
) -> tuple[Array, Array, Array]:
    """Return (drawn, expected, deviation), each [n, 1], natural logarithms by the formulas of `MixtureScale`.

    mixture: [n, 3 * K], K logits, K means and K log-scales; x: [n], the audio that was drawn, full scale +-1; draw: the
    generator of the random numbers, of which each row takes one; sample_bits: None for samples that are real numbers.
    The dtype of the results is that of the mixture (float32 for int16).
    """
    from dspgraph_nodes._kernels.neural import mixture_statistics as statistics

    given = statistics.mixture(mixture)
    half_step = 0.0 if sample_bits is None else 1 / (2**sample_bits - 1)
    probabilities = statistics.posterior(given, x, half_step)
    component = statistics.choose(probabilities, draw.random(len(x)))
    drawn = np.take_along_axis(given.log_scales, component[None], axis=0)[0]
    found = (drawn, statistics.expected_log_scale(given), statistics.log_deviation(given))
    dtype = np.result_type(mixture, np.float32)
    one, two, three = (column.astype(dtype)[:, None] for column in found)
    return one, two, three


class MixtureScale(Node):
    """Compute how wide mixtures of logistics are: scale of the drawn component, expected scale, standard deviation.

        drawn     = ln s_k,  where k has the probability P(k | x), proportional to w_k * P_k(x)
        expected  = sum_k w_k * ln s_k
        deviation = ln sqrt(sum_k w_k * (s_k**2 * pi**2 / 3 + (m_k - m)**2)),    m = sum_k w_k * m_k

    All are natural logarithms. Row n of the mixture, which has K logits, K means m and K log-scales ln s, describes
    sample n of the audio x; the weights w are the softmax of the logits. s is the scale of a logistic distribution: its
    standard deviation is s * pi / sqrt(3). Amplitudes are those of the model, for instance after its pre-emphasis.

    The audio does not show for certain from which component a sample was drawn. So the node draws a component again,
    with the probability that the sample came from it. The scales of these components have the same distribution as the
    scales of the components that the samples came from. P_k(x) is the probability that component k gives to the step of
    width 2 / (2**sample_bits - 1) around x; the outermost steps reach to infinity. Without `sample_bits`, P_k(x) is the
    density of component k at x; for |x| >= 1, where samples were clipped, it is the probability of values beyond x.

    Source: T. Salimans, A. Karpathy, X. Chen and D. P. Kingma, PixelCNN++: Improving the PixelCNN with Discretized
    Logistic Mixture Likelihood and Other Modifications, ICLR 2017 (the mixture and its probabilities of steps).
    """

    mixture = Input(Frames, "logistic_mixture")
    x = Input(Audio)
    drawn = Output(Frames, "log_scale")
    expected = Output(Frames, "log_scale")
    deviation = Output(Frames, "log_deviation")

    sample_bits: int | None = Field(16, ge=1, le=32, description="bits of a sample of x; none for real numbers")
    seed: int = Field(0, ge=0, description="seed of the draws of components")

    def streams(self, mixture: Frames, x: Audio) -> tuple[Frames, Frames, Frames]:
        require_mono(x, self)
        if mixture.width % 3 or mixture.dtype.kind == "c":
            raise ParameterError(
                f"mixture_scale.mixture takes real rows of K logits, K means and K log-scales; found {mixture} in "
                f"{mixture.dtype}: give the distribution of a model with a mixture of logistics"
            )
        if mixture.rate != x.rate:
            raise ParameterError(
                f"mixture_scale takes a row for each sample; found {mixture} and {x}: give the audio that was drawn "
                "from the mixture, at its rate"
            )
        scale = mixture.like(kind="log_scale", width=1)
        return scale, scale, scale.like(kind="log_deviation")

    def start(self, mixture: Frames, x: Audio) -> State:
        return generator(self.seed)

    def step(self, draw: State, mixture: Array, x: Array) -> tuple[State, Array, Array, Array]:
        return draw, *mixture_scale(mixture, x, draw, self.sample_bits)
