"""Speech by FARGAN."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.neural.fargan_layout import FarganNetwork
    from dspgraph_nodes._kernels.neural.lanes import Segment
    from dspgraph_nodes.models.fargan.config import Config
    from dspgraph_nodes.models.shared.cached import WeightsFile


def fargan(network: "FarganNetwork", cepstrum: Array, pitch: Array, correlation: Array, coef: float = 0.85) -> Array:
    """Return samples [n * hop] for the features of n frames, in the dtype of the cepstrum, by the formulas of `Fargan`.

    network: as `_kernels.neural.fargan_layout.pack_fargan` returns it; cepstrum: [n, bands]; pitch, correlation:
    [n, 1]; coef: the parameter of `Fargan`. Raises ValueError for features that are not finite.
    """
    from dspgraph_nodes._kernels.neural.fargan_synthesis import FarganState, synthesise

    state = FarganState(network, cepstrum.dtype)
    segments = [state.push(network, cepstrum, pitch, correlation), state.flush(network)]
    return np.concatenate([state.finish(synthesise(network.subframe, [one])[0], coef) for one in segments])


class Fargan(Node):
    """Generate speech from a Bark cepstrum and pitch: a network makes 40 samples at a time from the last pitch period.

        s = g * tanh(W z),    g = e**(w c + b),    y[n] = s[n] + coef * y[n-1]

    W, w and b are weights of the network. c, the condition of a sub-frame of a quarter hop, depends on the features of
    its frame and of one frame on each side. Three GRUs and gated layers compute z from c, from the samples one pitch
    period earlier, and from the last 40 samples, both divided by g. Nothing is drawn: the same features always give the
    same speech. The period is floor(50 * pitch + 100.25) samples, limited to 32 .. 255; the samples of a period shorter
    than 42 samples are repeated.

    Frame k gives the samples around the middle of its window, which is the start of its span (centre 0): from k * hop -
    hop / 2 up to k * hop + hop / 2. Frame 0 gives only the second half of these samples; the last frame gives another
    half hop at the end. A sample waits for the frame after its own frame. The inputs are outputs of the pipeline
    `fargan_features`, with the rate and hop of the training. `dspgraph train fargan` makes weights; `dspgraph weights
    convert` converts the weights of the published program. The loss of the training here compares spectra; there is no
    adversarial training.

    Source: J.-M. Valin, A. Mustafa and J. Büthe, Very Low Complexity Speech Synthesis Using Framewise Autoregressive
    GAN (FARGAN) with Pitch Prediction, IEEE Signal Processing Letters 31, 2024.
    """

    cepstrum = Input(Frames, "bark_cepstrum")
    pitch = Input(Frames, "pitch")
    correlation = Input(Frames, "correlation")
    y = Output(Audio)

    weights: File | None = Field(None, description="weights of the network, a safetensors file")
    coef: float = Field(0.85, ge=0.0, lt=1.0, description="coefficient of the de-emphasis; 0 for none")

    @cached_property
    def _file(self) -> "WeightsFile[Config, FarganNetwork]":
        from dspgraph_nodes.models.fargan.weights import WEIGHTS
        from dspgraph_nodes.models.shared.cached import WeightsFile

        return WeightsFile(WEIGHTS, _packed, "fargan.weights", self.weights)

    def streams(self, cepstrum: Frames, pitch: Frames, correlation: Frames) -> tuple[Audio]:
        config = self._file.config
        self._file.check_frames(cepstrum, config.bands, "cepstra")
        for name, stream in (("pitch", pitch), ("correlation", correlation)):
            if stream.width != 1:
                raise ParameterError(f"fargan.{name} takes one number per frame; found {stream}: select a column")
        if cepstrum.centre != 0:
            raise ParameterError(
                f"fargan takes features of windows centred on the start of their span; found {cepstrum}: cut the "
                "frames with centre 0"
            )
        return (Audio(config.rate, dtype=cepstrum.dtype),)

    def lookahead(self, *inputs: Frames) -> Fraction:
        hop, rate = self._file.config.hop, self._file.config.rate
        return Fraction(hop + hop // 2, rate)

    def start(self, cepstrum: Frames, pitch: Frames, correlation: Frames) -> State:
        from dspgraph_nodes._kernels.neural.fargan_synthesis import FarganState

        self._file.begin_signal()
        return FarganState(self._file.packed, cepstrum.dtype)

    def flush(self, state: State) -> tuple[Array, ...]:
        return tuple(self._synthesise([state], [state.flush(self._file.packed)]))

    def step_many(
        self, states: list[State], cepstra: list[Array], pitches: list[Array], correlations: list[Array]
    ) -> tuple[list[State], list[Array]]:
        segments = [
            state.push(self._file.packed, *blocks)
            for state, *blocks in zip(states, cepstra, pitches, correlations, strict=True)
        ]
        return states, self._synthesise(states, segments)

    def _synthesise(self, states: list[State], segments: "list[Segment]") -> list[Array]:
        from dspgraph_nodes._kernels.neural.fargan_synthesis import synthesise

        found = synthesise(self._file.packed.subframe, segments)
        return [state.finish(samples, self.coef) for state, samples in zip(states, found, strict=True)]


def _packed(_: "Config", arrays: Mapping[str, Array]) -> "FarganNetwork":
    from dspgraph_nodes._kernels.neural.fargan_layout import pack_fargan

    return pack_fargan(arrays)
