"""Speech by WaveNet."""

from fractions import Fraction
from functools import cached_property, partial
from typing import Literal

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, State, generator
from dspgraph_nodes._kernels.neural.conditioning import check_finite
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, generate, speech
from dspgraph_nodes.models.shared.cached import WeightsFile, packer
from dspgraph_nodes.models.shared.generation import Generate, last_items, next_items
from dspgraph_nodes.models.wavenet.config import Config
from dspgraph_nodes.models.wavenet.packing import packed
from dspgraph_nodes.models.wavenet.weights import WEIGHTS


def wavenet(
    network: PackedWaveNet, features: Array, draw: np.random.Generator, temperature: float = 1.0
) -> tuple[Array, Array]:
    """Return samples [n * hop] for n frames, float64, and the parameters [n * hop, width] of their distributions.

    network: as `models.wavenet.packing.packed` returns it; features: [n, bands]; draw: the generator of the random
    numbers; temperature: the parameter of `Wavenet`. The parameters are those of the output `distribution` of
    `Wavenet`. Raises ValueError for features that are not finite.
    """
    check_finite(features, "wavenet")
    return speech(network.at(temperature), features, draw)


class Wavenet(Node):
    """Generate speech from frames of features: a network draws every sample, given all samples before it.

    Dilated causal convolutions read the samples before sample t and the features around it, and predict the
    distribution P of sample t, from which it is drawn:

        mixture:      P = sum_k w_k * logistic(mean_k, T * scale_k);  k = argmax_k(ln w_k - ln(-ln u_k)),
                      x = mean_k + T * scale_k * (ln v - ln(1 - v)), limited to -1 .. 1
        categorical:  P = softmax(logits / T) over mu-law levels; the first level k with P(0) + ... + P(k) > u

    T is the temperature. The random numbers u and v are independent, for every time and every component; they lie
    between 1e-5 and 1 - 1e-5, as in the published program for a mixture. Afterwards the pre-emphasis and the gain, with
    which the network was trained, are undone.

    Frame j gives the samples from j * hop up to (j + 1) * hop. A sample waits for as many frames after its own frame as
    the network reads: four for the published network. Beyond the ends of the signal the first convolution over frames
    reads the first or the last frame again, and the smoothing after it reads 0. The rate, the hop and the features must
    be those of the training. `dspgraph train wavenet` makes weights; `dspgraph weights convert` converts weights of
    published programs. The output `distribution` has one row for every sample: K logits (unnormalised ln w), K means
    and K log-scales ln(T * scale) of a mixture; or the probabilities of all levels. It describes the samples before
    pre-emphasis and gain are undone.

    With the precision int8 the matrices of the dilated layers are rounded to eight bits, with a scale for each row, and
    the input of each of their products is rounded to m / 127 * round(127 * x / m), where m is the largest |x| of the
    input (of all taps of a convolution together). The last two convolutions stay float32, because the scales of a
    mixture need more digits. The products are sums of whole numbers, which are exact, so the samples do not depend on
    the instructions that a processor has. With AVX2 a network of the published size makes one signal three times as
    fast as in float32, and sixteen signals about as fast (0.95 to 1.1 times). A network of 32 channels makes one signal
    as fast, but needs up to a third more time for sixteen (0.75 to 0.81 times as fast). `dspgraph weights quantise`
    writes a file of the rounded weights, which gives the same samples.

    Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016; the mixture: A.
    van den Oord et al., Parallel WaveNet: Fast High-Fidelity Speech Synthesis, ICML 2018.
    """

    features = Input(Frames, "mel", "log_mel")
    y = Output(Audio)
    distribution = Output(Frames, "logistic_mixture", "categorical")

    weights: File | None = Field(None, description="weights of the network, a safetensors file")
    precision: Literal["float32", "int8"] = Field(
        "float32", description="numbers of the matrix products for each sample: float32, or 8-bit integers"
    )
    temperature: float = Field(
        1.0, ge=0.01, le=100.0, description="above 1 for more noise in the voice, below 1 for less"
    )
    seed: int = Field(0, ge=0, description="seed of the draws")

    seedless = ("_file",)

    @cached_property
    def _file(self) -> WeightsFile[Config, PackedWaveNet]:
        return WeightsFile(WEIGHTS, packer(packed, self.precision), "wavenet.weights", self.weights)

    def streams(self, features: Frames) -> tuple[Audio, Frames]:
        config = self._file.config
        self._file.check_frames(features, config.bands)
        kind = "logistic_mixture" if config.kind == "mixture" else "categorical"
        return (
            Audio(config.rate, dtype=features.dtype),
            Frames(config.rate, kind, config.width, dtype=features.dtype),
        )

    def lookahead(self, features: Frames) -> Fraction:
        config = self._file.config
        return Fraction(config.wait * config.hop, config.rate)

    def start(self, features: Frames) -> State:
        self._file.begin_signal()
        return WaveNetState(self._file.packed, generator(self.seed)), features.dtype

    @property
    def _generate(self) -> Generate:
        return partial(generate, self._file.packed.at(self.temperature))

    def flush(self, state: State) -> tuple[Array, ...]:
        return last_items(self._generate, state, self._file.config.bands)

    def step_many(self, states: list[State], blocks: list[Array]) -> tuple[list[State], list[Array], list[Array]]:
        return next_items(self._generate, states, blocks)
