"""Speech by LPCNet."""

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.neural.lanes import Segment
    from dspgraph_nodes._kernels.neural.lpcnet_packing import Network
    from dspgraph_nodes.models.lpcnet.config import Config
    from dspgraph_nodes.models.shared.cached import WeightsFile


def lpcnet(
    network: "Network", cepstrum: Array, pitch: Array, correlation: Array, lpc: Array, draw: np.random.Generator,
    hop: int = 160, temperature: float = 1.0, threshold: float = 0.002, coef: float = 0.85,
) -> Array:  # fmt: skip
    """Return samples [n * hop] for the features of n frames, in the dtype of the cepstrum, by the formulas of `Lpcnet`.

    network: as `_kernels.neural.lpcnet_packing.pack_weights` returns it; cepstrum: [n, bands]; pitch, correlation:
    [n, 1]; lpc: [n, order], a[1..order]; draw: the generator of the random numbers; hop: samples per frame;
    temperature, threshold, coef: the parameters of `Lpcnet`. Raises ValueError for features that are not finite.
    """
    from dspgraph_nodes._kernels.neural.lpcnet_stream import speech

    return speech(network, cepstrum, pitch, correlation, lpc, draw, hop, temperature, threshold, coef)


class Lpcnet(Node):
    """Generate speech from a Bark cepstrum and pitch: a network draws the excitation of a linear predictor.

        s[n] = p[n] + e[n],    p[n] = -sum_k a[k] * s[n-k],    y[n] = s[n] + coef * y[n-1]
        e[n] is drawn from P(e | s[n-1], p[n], e[n-1], f)

    The network sees s, p and e as mu-law codes of 256 levels. s is limited to -32768 .. 32768, the range of the codes.
    The condition f depends on the features of a frame and of two frames on each side.

    Before the draw, P is sharpened in periodic frames, and improbable levels are excluded: P**c is normalised, with
    c = (1 + max(0, 1.5 * g - 0.5)) / temperature and g the correlation plus 0.5; then the threshold is subtracted,
    negative values are set to 0, and the rest is normalised again. The random number that draws e[n] does not depend on
    the temperature, the threshold, the weights or the precision.

    Frame k gives the samples around the middle of its window, which is the start of its span (centre 0): from k * hop -
    hop / 2 up to k * hop + hop / 2. Frame 0 gives only the second half of these samples; the last frame gives another
    half hop at the end. A sample waits for the two frames after its own frame. The inputs are the outputs of the
    pipeline `lpcnet_features`, with the rate and hop of the training. `dspgraph train lpcnet` makes weights; `dspgraph
    weights convert` converts weights of the published programs. A batch of sixteen signals takes about as long as ten
    signals one after another.

    With the precision int8 all matrices of the network are rounded to eight bits, with a scale for each row; only the
    diagonals of the recurrent matrices stay in float32. The states h of the GRUs are rounded to round(127 * h) / 127
    where they are multiplied with 8-bit numbers. These products are sums of whole numbers, which are exact; the gates
    and the condition are computed in float32. So every machine gives the same samples, with the fastest instructions
    that it has (`dspgraph info` names them). `dspgraph weights quantise` writes a file of the rounded weights, a
    quarter as large, which gives the same samples as the file that it was made from.

    The output `distribution` has one row for every sample: with `tap` the probabilities of the 256 levels of e[n], from
    which it was drawn, after the sharpening and the threshold; otherwise only the probability of the level that was
    drawn, which costs no time.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP
    2019.
    """

    cepstrum = Input(Frames, "bark_cepstrum")
    pitch = Input(Frames, "pitch")
    correlation = Input(Frames, "correlation")
    lpc = Input(Frames, "predictor")
    y = Output(Audio)
    distribution = Output(Frames, "categorical", "probability")

    weights: File | None = Field(None, description="weights of the network, a safetensors file")
    precision: Literal["float32", "int8"] = Field(
        "float32", description="numbers of the matrix products for each sample: float32, or 8-bit integers"
    )
    temperature: float = Field(
        1.0, ge=0.01, le=100.0, description="above 1 for more noise in the voice, below 1 for less"
    )
    threshold: float = Field(0.002, ge=0.0, lt=1 / 256, description="number subtracted from every probability")
    coef: float = Field(0.85, ge=0.0, lt=1.0, description="coefficient of the de-emphasis; 0 for none")
    tap: bool = Field(
        False,
        description="whether `distribution` has all 256 levels; otherwise it has only the level that was drawn",
    )
    seed: int = Field(0, ge=0, description="seed of the excitation")

    seedless = ("_file",)

    @cached_property
    def _file(self) -> "WeightsFile[Config, Network]":
        from dspgraph_nodes.models.lpcnet.weights import WEIGHTS
        from dspgraph_nodes.models.shared.cached import WeightsFile

        pack = _packed if self.precision == "float32" else _packed_in_eight_bits
        return WeightsFile(WEIGHTS, pack, "lpcnet.weights", self.weights)

    def streams(self, cepstrum: Frames, pitch: Frames, correlation: Frames, lpc: Frames) -> tuple[Audio, Frames]:
        config = self._file.config
        self._file.check_frames(cepstrum, config.bands, "cepstra")
        for name, stream in (("pitch", pitch), ("correlation", correlation)):
            if stream.width != 1:
                raise ParameterError(f"lpcnet.{name} takes one number per frame; found {stream}: select a column")
        if cepstrum.centre != 0:
            raise ParameterError(
                f"lpcnet takes features of windows centred on the start of their span; found {cepstrum}: cut the "
                "frames with centre 0"
            )
        kind, width = ("categorical", 256) if self.tap else ("probability", 1)
        return Audio(config.rate, dtype=cepstrum.dtype), Frames(config.rate, kind, width, dtype=cepstrum.dtype)

    def lookahead(self, *inputs: Frames) -> Fraction:
        hop, rate = self._file.config.hop, self._file.config.rate
        return Fraction(2 * hop + hop // 2, rate)

    def start(self, cepstrum: Frames, pitch: Frames, correlation: Frames, lpc: Frames) -> State:
        from dspgraph_nodes._kernels.neural.lpcnet_stream import SpeechState

        self._file.begin_signal()
        draw = np.random.Generator(np.random.Philox(key=self.seed))
        return SpeechState(self._file.packed, cepstrum.width, lpc.width, cepstrum.dtype, self._file.config.hop, draw)

    def flush(self, state: State) -> tuple[Array, ...]:
        y, rows = self._synthesise([state], [state.flush(self._file.packed)])
        return y[0], rows[0]

    def step_many(
        self, states: list[State], cepstra: list[Array], pitches: list[Array], correlations: list[Array],
        lpcs: list[Array],
    ) -> tuple[list[State], list[Array], list[Array]]:  # fmt: skip
        segments = [
            state.push(self._file.packed, *blocks, self.temperature)
            for state, *blocks in zip(states, cepstra, pitches, correlations, lpcs, strict=True)
        ]
        return states, *self._synthesise(states, segments)

    def _synthesise(self, states: list[State], segments: "list[Segment]") -> tuple[list[Array], list[Array]]:
        from dspgraph_nodes._kernels.neural.lpcnet_synthesis import synthesise

        found = synthesise(self._file.packed.sample, segments, self._file.config.hop, self.threshold, tap=self.tap)
        both = list(zip(states, found, strict=True))
        y = [state.finish(samples, self.coef) for state, (samples, _) in both]
        return y, [rows.astype(state.dtype, copy=False) for state, (_, rows) in both]


def _packed(_: "Config", arrays: Mapping[str, Array]) -> "Network":
    from dspgraph_nodes._kernels.neural.lpcnet_packing import pack_weights

    return pack_weights(arrays)


def _packed_in_eight_bits(_: "Config", arrays: Mapping[str, Array]) -> "Network":
    from dspgraph_nodes._kernels.neural.lpcnet_packing import pack_weights
    from dspgraph_nodes.models.lpcnet.weights import WEIGHTS

    return pack_weights(arrays, WEIGHTS.in_eight_bits(arrays))
