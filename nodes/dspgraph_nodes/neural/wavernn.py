"""Speech by WaveRNN."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State, generator

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.neural.lanes import Segment
    from dspgraph_nodes._kernels.neural.wavernn_layout import WaveRNNWeights
    from dspgraph_nodes.models.shared.cached import WeightsFile
    from dspgraph_nodes.models.wavernn.config import Config

_MOST_NUMBERS = 2**24
"""The most numbers a second in an output."""


class Wavernn(Node):
    """Generate speech from frames of features: a recurrent network draws every sample, given all samples before it.

    The weights say which of three kinds a network is. P is a softmax of the outputs divided by the temperature:

        categorical:  level k is drawn from P(k); the sample is 2 * k / (levels - 1) - 1, or its mu-law expansion
        coarse_fine:  c is drawn from P(c), then f from P(f | c): the upper and the lower half of the bits of a sample
        mixture:      a number from the mixture sum_k w_k logistic(mean_k, temperature * scale_k), limited to -1 .. 1

    The random numbers of a sample do not depend on weights, temperature or precision.

    Frame k gives the samples from k * hop up to (k + 1) * hop. A sample waits for as many frames after its own as the
    network reads, two for the published one; before the first frame and after the last, frames of zeros are read. Rate,
    hop and the features are those the weights were trained with. `dspgraph train wavernn` makes weights; `dspgraph
    weights convert` converts those of published programs. The output `distribution` has one row for every sample, from
    which it was drawn: the probabilities of all levels; those of the coarse half, then those of the fine half; or the
    logits, means and log-scales of a mixture. All levels of sixteen signals need gigabytes; without `tap` a row has
    only the probability of the level, or of both halves, that was drawn.

    Sixteen signals of a batch are computed side by side. The program fatchord/WaveRNN also divides one signal into
    overlapping folds that are generated at the same time; this is not offered, because it changes the samples where two
    folds meet, and here no cut of a signal changes a sample.

    Source: N. Kalchbrenner et al., Efficient Neural Audio Synthesis, ICML 2018 (coarse_fine); the program
    fatchord/WaveRNN (categorical and mixture).
    """

    features = Input(Frames, "mel", "log_mel")
    y = Output(Audio)
    distribution = Output(Frames, "logistic_mixture", "categorical", "coarse_fine", "probability")

    weights: File | None = Field(None, description="weights of the network, a safetensors file")
    temperature: float = Field(
        1.0, ge=0.01, le=100.0, description="above 1 for more noise in the voice, below 1 for less"
    )
    tap: bool = Field(
        True, description="whether `distribution` has all levels of softmaxes; otherwise it has the drawn one alone"
    )
    seed: int = Field(0, ge=0, description="seed of the draws")

    @cached_property
    def _file(self) -> "WeightsFile[Config, WaveRNNWeights]":
        from dspgraph_nodes.models.shared.cached import WeightsFile
        from dspgraph_nodes.models.wavernn.weights import WEIGHTS

        return WeightsFile(WEIGHTS, _packed, "wavernn.weights", self.weights)

    @cached_property
    def _network(self) -> "WaveRNNWeights":
        return self._file.packed

    def streams(self, features: Frames) -> tuple[Audio, Frames]:
        config = self._file.config
        self._file.check_frames(features, config.features)
        kind: str = "logistic_mixture" if config.kind == "mixture" else config.kind
        width = config.outputs
        if not self._whole_rows:
            kind, width = "probability", 1
        elif width * config.rate > _MOST_NUMBERS:
            raise ParameterError(
                f"wavernn.distribution would have {width * config.rate} numbers a second; {_MOST_NUMBERS} are the "
                "most: set tap to false"
            )
        return Audio(config.rate, dtype=features.dtype), Frames(config.rate, kind, width, dtype=features.dtype)

    @property
    def _whole_rows(self) -> bool:
        return self.tap or self._file.config.kind == "mixture"

    def lookahead(self, features: Frames) -> Fraction:
        config = self._file.config
        return Fraction(config.context * config.hop, config.rate)

    def start(self, features: Frames) -> State:
        from dspgraph_nodes._kernels.neural.wavernn_synthesis import WaveRNNState

        self.streams(features)  # the file may have changed since the graph was made
        return WaveRNNState(self._network, generator(self.seed)), features.dtype

    def flush(self, state: State) -> tuple[Array, ...]:
        none = np.zeros((0, len(self._network.frame.blended)))
        samples, rows = self._synthesise([state], [state[0].push(self._network, none, last=True)])
        return samples[0], rows[0]

    def step_many(self, states: list[State], blocks: list[Array]) -> tuple[list[State], list[Array], list[Array]]:
        segments = [state.push(self._network, block) for (state, _), block in zip(states, blocks, strict=True)]
        return states, *self._synthesise(states, segments)

    def _synthesise(
        self, states: list[State], segments: "list[Segment]"
    ) -> tuple[list[Array], list[Array]]:  # fmt: skip
        from dspgraph_nodes._kernels.neural.wavernn_synthesis import distribution, samples, synthesise

        found = synthesise(self._network, segments, self.temperature, self._whole_rows)
        y, rows = [], []
        for (_, dtype), (drawn, outputs) in zip(states, found, strict=True):
            y.append(samples(self._network, drawn).astype(dtype, copy=False))
            whole = distribution(self._network, outputs, self.temperature) if self._whole_rows else drawn[:, -1:]
            rows.append(whole.astype(dtype, copy=False))
        return y, rows


def _packed(config: "Config", arrays: Mapping[str, Array]) -> "WaveRNNWeights":
    from dspgraph_nodes.models.wavernn.packing import packed

    return packed(config, arrays)
