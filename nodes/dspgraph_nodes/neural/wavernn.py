"""Speech by WaveRNN."""

from fractions import Fraction
from functools import cached_property, partial
from typing import Literal

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State, generator
from dspgraph_nodes._kernels.neural.wavernn_layout import WaveRNNWeights
from dspgraph_nodes._kernels.neural.wavernn_synthesis import WaveRNNState, generate
from dspgraph_nodes.models.shared.cached import WeightsFile, packer
from dspgraph_nodes.models.shared.generation import Generate, last_items, next_items
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.packing import packed
from dspgraph_nodes.models.wavernn.weights import WEIGHTS

_MOST_NUMBERS = 2**24
"""Limit of the numbers per second in the output `distribution`."""


class Wavernn(Node):
    """Generate speech from frames of features: a recurrent network draws every sample, given all samples before it.

    The weights say which of three kinds a network is. P is a softmax of the outputs divided by the temperature:

        categorical:  level k is drawn from P(k); the sample is 2 * k / (levels - 1) - 1, or its mu-law expansion
        coarse_fine:  c is drawn from P(c), then f from P(f | c): the upper and the lower half of the bits of a sample
        mixture:      a sample is drawn from sum_k w_k * logistic(mean_k, temperature * scale_k), limited to -1 .. 1

    Afterwards the pre-emphasis and the gain, with which the network was trained, are undone; the published networks
    have none. The random numbers of a sample do not depend on weights, temperature or precision.

    Frame k gives the samples from k * hop up to (k + 1) * hop. A sample waits for as many frames after its own frame as
    the network reads: two for the published network. Before the first frame and after the last, the network reads
    frames of zeros. The rate, the hop and the features must be those of the training. `dspgraph train wavernn` makes
    weights; `dspgraph weights convert` converts weights of published programs. The output `distribution` has one row
    for every sample, the distribution from which the sample was drawn: the probabilities of all levels; the
    probabilities of the coarse half, then those of the fine half; or the logits, means and log-scales of a mixture. The
    probabilities of 512 levels for sixteen signals at 22050 Hz take about a gigabyte of memory for each second. Without
    `tap`, a row has only the probability of the level that was drawn or, for coarse_fine, the product of the
    probabilities of both halves; the row of a mixture does not change.

    Sixteen signals of a batch are computed side by side. The program fatchord/WaveRNN also divides one signal into
    overlapping folds and generates these at the same time. Here this is not possible, because it changes the samples
    where two folds meet, and the cut of a signal must not change a sample.

    With the precision int8 all matrices of the network are rounded to eight bits, with a scale for each row. Whatever
    is multiplied with them for a sample (states h, the sums between the GRUs, the outputs of dense layers) is rounded
    too, to m / 127 * round(127 * x / m), where m is the largest |x| of the input of a product. Diagonals of recurrent
    matrices, gates, the last sample and what frames add stay float32. The products are sums of whole numbers, which
    are exact, so the samples do not depend on the instructions that a processor has. One signal is made several times
    as fast as in float32, because reading the weights takes most of the time. `dspgraph weights quantise` writes a file
    of the rounded weights, which gives the same samples.

    Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018 (coarse_fine); the program
    fatchord/WaveRNN (categorical and mixture).
    """

    features = Input(Frames, "mel", "log_mel")
    y = Output(Audio)
    distribution = Output(Frames, "logistic_mixture", "categorical", "coarse_fine", "probability")

    weights: File | None = Field(None, description="weights of the network, a safetensors file")
    precision: Literal["float32", "int8"] = Field(
        "float32", description="numbers of the matrix products for each sample: float32, or 8-bit integers"
    )
    temperature: float = Field(
        1.0, ge=0.01, le=100.0, description="above 1 for more noise in the voice, below 1 for less"
    )
    tap: bool = Field(
        True,
        description="whether `distribution` has all levels of softmaxes; otherwise only the drawn levels",
    )
    seed: int = Field(0, ge=0, description="seed of the draws")

    seedless = ("_file",)

    @cached_property
    def _file(self) -> WeightsFile[Config, WaveRNNWeights]:
        return WeightsFile(WEIGHTS, packer(packed, self.precision), "wavernn.weights", self.weights)

    def streams(self, features: Frames) -> tuple[Audio, Frames]:
        config = self._file.config
        self._file.check_frames(features, config.features)
        kind: str = "logistic_mixture" if config.kind == "mixture" else config.kind
        width = config.outputs
        if not self.tap and config.kind != "mixture":
            kind, width = "probability", 1
        elif width * config.rate > _MOST_NUMBERS:
            raise ParameterError(
                f"wavernn.distribution would have {width * config.rate} numbers a second; {_MOST_NUMBERS} are the "
                "most: set tap to false"
            )
        return Audio(config.rate, dtype=features.dtype), Frames(config.rate, kind, width, dtype=features.dtype)

    def lookahead(self, features: Frames) -> Fraction:
        config = self._file.config
        return Fraction(config.context * config.hop, config.rate)

    def start(self, features: Frames) -> State:
        self._file.begin_signal()
        return WaveRNNState(self._file.packed, generator(self.seed)), features.dtype

    @property
    def _generate(self) -> Generate:
        return partial(generate, self._file.packed, temperature=self.temperature, tap=self.tap)

    def flush(self, state: State) -> tuple[Array, ...]:
        return last_items(self._generate, state, self._file.config.features)

    def step_many(self, states: list[State], blocks: list[Array]) -> tuple[list[State], list[Array], list[Array]]:
        return next_items(self._generate, states, blocks)
