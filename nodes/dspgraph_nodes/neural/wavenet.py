"""Speech by WaveNet."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, State

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.neural.lanes import Segment
    from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet
    from dspgraph_nodes.models.shared.cached import WeightsFile
    from dspgraph_nodes.models.wavenet.config import Config


def wavenet(network: "PackedWaveNet", features: Array, draw: np.random.Generator) -> tuple[Array, Array]:
    """Return samples [n * hop] for n frames, float64, and the parameters [n * hop, width] of their distributions.

    network: as `models.wavenet.packing.packed` returns it; features: [n, bands]; draw: the generator of the random
    numbers. The parameters are those of the output `distribution` of `Wavenet`. Raises ValueError for features that are
    not finite.
    """
    from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, distribution_rows, synthesise_wavenet

    if not np.isfinite(features).all():
        raise ValueError("WaveNet takes finite numbers; found others in the features")
    state = WaveNetState(network, draw)
    ((samples, parameters),) = synthesise_wavenet(network, [state.push(network, features, last=True)])
    return state.finish(samples, network.form), distribution_rows(parameters, network.form)


class Wavenet(Node):
    """Generate speech from frames of features: a network draws every sample, given all samples before it.

    Dilated causal convolutions read the samples before sample t and the features around it, and predict the
    distribution P of sample t, from which it is drawn:

        mixture:      P = sum_k w_k logistic(mean_k, scale_k);  k = argmax_k(ln w_k - ln(-ln u_k)),
                      x = mean_k + scale_k * (ln v - ln(1 - v)), limited to -1 .. 1
        categorical:  P = softmax(logits) over mu-law levels; the first level whose sum of P exceeds u

    The random numbers u and v are independent, for every time and every component; they lie between 1e-5 and 1 - 1e-5
    for a mixture, as in the published program. Afterwards the pre-emphasis and the gain, with which the network was
    trained, are undone.

    Frame j gives the samples from j * hop up to (j + 1) * hop. A sample waits for as many frames after its own as the
    network reads, four for the published one. Before the first frame and after the last, these frames count again.
    Rate, hop and the features are those the weights were trained with. `dspgraph train wavenet` makes weights;
    `dspgraph weights convert` converts those of published programs. The second output has one row for every sample: K
    logits (unnormalised ln w), K means and K log-scales of a mixture, of the samples that the network sees; or the
    probabilities of all levels.

    Source: A. van den Oord et al., WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499, 2016; the mixture: A.
    van den Oord et al., Parallel WaveNet: Fast High-Fidelity Speech Synthesis, ICML 2018.
    """

    features = Input(Frames, "mel", "log_mel")
    y = Output(Audio)
    distribution = Output(Frames, "logistic_mixture", "categorical")

    weights: File | None = Field(None, description="weights of the network, a safetensors file")
    seed: int = Field(0, ge=0, description="seed of the draws")

    @cached_property
    def _file(self) -> "WeightsFile[Config, PackedWaveNet]":
        from dspgraph_nodes.models.shared.cached import WeightsFile
        from dspgraph_nodes.models.wavenet.weights import WEIGHTS

        return WeightsFile(WEIGHTS, _packed, "wavenet.weights", self.weights)

    @cached_property
    def _network(self) -> "PackedWaveNet":
        return self._file.packed

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
        from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState

        self.streams(features)  # the file may have changed since the graph was made
        return WaveNetState(self._network, np.random.Generator(np.random.Philox(key=self.seed))), features.dtype

    def flush(self, state: State) -> tuple[Array, ...]:
        none = np.zeros((0, self._file.config.bands))
        samples, rows = self._synthesise([state], [state[0].push(self._network, none, last=True)])
        return samples[0], rows[0]

    def step_many(self, states: list[State], blocks: list[Array]) -> tuple[list[State], list[Array], list[Array]]:
        segments = [state.push(self._network, block) for (state, _), block in zip(states, blocks, strict=True)]
        return states, *self._synthesise(states, segments)

    def _synthesise(self, states: list[State], segments: "list[Segment]") -> tuple[list[Array], list[Array]]:
        from dspgraph_nodes._kernels.neural.wavenet_synthesis import distribution_rows, synthesise_wavenet

        form, y, shown = self._network.form, [], []
        for (state, dtype), (samples, rows) in zip(states, synthesise_wavenet(self._network, segments), strict=True):
            y.append(state.finish(samples, form).astype(dtype, copy=False))
            shown.append(distribution_rows(rows, form).astype(dtype, copy=False))
        return y, shown


def _packed(config: "Config", arrays: Mapping[str, Array]) -> "PackedWaveNet":
    from dspgraph_nodes.models.wavenet.packing import packed

    return packed(config, arrays)
