"""Speech by LPCNet."""

from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State

if TYPE_CHECKING:
    from dspgraph_nodes._kernels.neural.lpcnet_packing import Network
    from dspgraph_nodes._kernels.neural.lpcnet_synthesis import Part
    from dspgraph_nodes.models.lpcnet.config import Config


def lpcnet(
    network: "Network", cepstrum: Array, pitch: Array, correlation: Array, lpc: Array, draw: np.random.Generator,
    hop: int = 160, temperature: float = 1.0, threshold: float = 0.002, coef: float = 0.85,
) -> Array:  # fmt: skip
    """Samples [n hop] of features of n frames: see `Lpcnet`, and `_kernels.lpcnet_fold.fold` for the network.

    cepstrum: [n, bands]; pitch, correlation: [n, 1]; lpc: [n, order], a[1..order]. In the dtype of the cepstrum.
    Raises ValueError for what is not finite.
    """
    from dspgraph_nodes._kernels.neural.lpcnet_synthesis import finite, synthesise

    finite("predicts with", "lpc", lpc)
    speech = Speech(network, cepstrum.shape[1], lpc.shape[1], cepstrum.dtype, hop, draw)
    found = []
    for part in (speech.push(network, cepstrum, pitch, correlation, lpc, temperature), speech.flush(network)):
        found.append(speech.finish(synthesise(network.sample, [part], hop, threshold)[0], coef))
    return np.concatenate(found)


class Speech:
    """One signal being made: what it has heard and not yet said."""

    def __init__(
        self, network: "Network", bands: int, order: int, dtype: Any, hop: int, draw: np.random.Generator
    ) -> None:
        from dspgraph_nodes._kernels.neural.lpcnet_synthesis import Frames, Voice

        self.frames, self.voice = Frames(network.frame, bands), Voice(network.sample, order)
        self.lpc, self.sharpness = np.zeros((0, order)), np.zeros(0, np.float32)  # of frames that wait for the next two
        self.heard, self.said = 0, 0  # frames
        self.before = 0.0  # the last sample
        self.dtype, self.hop, self.draw = dtype, hop, draw

    def push(
        self, network: "Network", cepstrum: Array, pitch: Array, correlation: Array, lpc: Array, temperature: float
    ) -> "Part":
        """The samples of the frames whose conditions are now known."""
        from dspgraph_nodes._kernels.neural.lpcnet_synthesis import features, sharpness

        self.heard += len(cepstrum)
        self.lpc = np.concatenate((self.lpc, lpc))
        self.sharpness = np.concatenate((self.sharpness, sharpness(correlation[:, 0], temperature)))
        conditions = self.frames.push(network.frame, features(network.frame, cepstrum, pitch, correlation))
        return self._part(network, conditions, self._start(self.said + len(conditions)))

    def flush(self, network: "Network") -> "Part":
        """The samples of the last frames; the last one speaks to the end of its span."""
        return self._part(network, self.frames.flush(network.frame), self.hop * self.heard)

    def _start(self, frame: int) -> int:
        """The sample a frame begins with: half a hop before the middle of its window."""
        return max(0, self.hop * frame - self.hop // 2)

    def _part(self, network: "Network", conditions: Array, end: int) -> "Part":
        from dspgraph_nodes._kernels.neural.lpcnet_synthesis import Part, given

        n, begin = len(conditions), self._start(self.said)
        rows = given(network.frame, conditions, self.lpc[:n], self.sharpness[:n])
        wait = self._start(self.said + 1) - begin
        self.lpc, self.sharpness, self.said = self.lpc[n:], self.sharpness[n:], self.said + n
        return Part(self.voice, rows, wait, self.draw.random(end - begin, dtype=np.float32))

    def finish(self, samples: Array, coef: float) -> Array:
        """De-emphasis, full scale +-1, and the dtype of the stream."""
        from dspgraph_nodes._kernels.neural.lpcnet_codes import PEAK
        from dspgraph_nodes._kernels.neural.lpcnet_synthesis import deemphasis

        y = deemphasis(samples, coef, self.before)
        if len(y):
            self.before = float(y[-1])
        return (y / PEAK).astype(self.dtype, copy=False)


class Lpcnet(Node):
    """Speech from a Bark cepstrum and pitch: a network draws the excitation of a predictor, sample by sample.

        s[n] = p[n] + e[n],    p[n] = -sum_k a[k] s[n-k],    y[n] = s[n] + coef y[n-1]
        e[n] drawn from P(e | s[n-1], p[n], e[n-1], f),    all of them mu-law codes of 256 levels

    s is held within +-32768, where the codes end: a loop that went beyond would no longer hear itself.

    f is made of the features of a frame and of two on either side. P is sharpened where the voice is periodic, and what
    is improbable never happens: p**c is normalised, with c = (1 + max(0, 1.5 g - 0.5)) / temperature and g the
    correlation plus 0.5; less the threshold, and nothing below 0, it is normalised again. The number that draws e[n]
    is the same for all of these, all weights and both precisions.

    Frame k speaks for the middle of its window, which is the start of its span (centre 0): samples k hop - hop / 2 to
    k hop + hop / 2. So frame 0 has the first half hop, and the last frame the last half hop too. A sample waits for
    the two frames after its own. Cepstrum, pitch, correlation and predictor are those of the pipeline
    `lpcnet_features`; rate and hop are those the weights were trained on. Weights are made by `dspgraph train lpcnet`,
    or converted from the layout of Keras by `dspgraph_nodes.models.lpcnet.convert`. Sixteen
    signals in a batch take about as long as nine one after another.

    Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP
    2019.
    """

    cepstrum = Input(Frames, "bark_cepstrum")
    pitch = Input(Frames, "pitch")
    correlation = Input(Frames, "correlation")
    lpc = Input(Frames, "predictor")
    y = Output(Audio)

    weights: File | None = Field(None, description="of the network, in safetensors")
    temperature: float = Field(
        1.0, ge=0.01, le=100.0, description="above 1 the noise in the voice grows, below it falls"
    )
    threshold: float = Field(0.002, ge=0.0, lt=1 / 256, description="what is taken from every probability")
    coef: float = Field(0.85, ge=0.0, lt=1.0, description="radius of the pole of the de-emphasis; 0: none")
    seed: int = Field(0, ge=0, description="another seed, another excitation")

    @property
    def _file(self) -> tuple[str, int, int]:
        """The file of the weights as it is now: it is read once for all nodes, and again when it has changed."""
        if self.weights is None:
            raise ParameterError(
                "lpcnet.weights is not given; no network is shipped with the node: train one (dspgraph train lpcnet) "
                "and give the path of its weights"
            )
        try:
            stat = Path(self.weights).stat()
        except (OSError, ValueError):
            raise ParameterError(
                f"lpcnet.weights is {self.weights}; there is no such file: give the path of trained weights"
            ) from None
        return str(Path(self.weights).resolve()), stat.st_size, stat.st_mtime_ns

    @cached_property
    def _network(self) -> "Network":
        config, network = _folded(*self._file)
        if config != self._config:
            raise ParameterError(f"lpcnet.weights: {self.weights} is another network than before: make the node anew")
        return network

    @cached_property
    def _config(self) -> "Config":
        try:
            return _checked(*self._file)
        except ValueError as error:
            raise ParameterError(f"lpcnet.weights: {error}") from None

    def streams(self, cepstrum: Frames, pitch: Frames, correlation: Frames, lpc: Frames) -> tuple[Audio]:
        config = self._config
        if cepstrum.rate * config.hop != config.rate:
            raise ParameterError(
                f"lpcnet.weights were trained on {config.rate / config.hop:g} frames a second, a hop of {config.hop} "
                f"at {config.rate} Hz; found {cepstrum}: make the features of audio of that rate, with that hop"
            )
        if cepstrum.width != config.bands:
            raise ParameterError(
                f"lpcnet.weights were trained on cepstra of {config.bands} bands; found {cepstrum}: set the bands of "
                "the 'bark_cepstrum' before it"
            )
        for name, stream in (("pitch", pitch), ("correlation", correlation)):
            if stream.width != 1:
                raise ParameterError(f"lpcnet.{name} takes one number a frame; found {stream}: select a column")
        if cepstrum.centre != 0:
            raise ParameterError(
                f"lpcnet takes features of windows centred on the start of their span; found {cepstrum}: cut the "
                "frames with centre 0"
            )
        return (Audio(config.rate, dtype=cepstrum.dtype),)

    def lookahead(self, *inputs: Frames) -> Fraction:
        hop, rate = self._config.hop, self._config.rate
        return Fraction(2 * hop + hop // 2, rate)

    def start(self, cepstrum: Frames, pitch: Frames, correlation: Frames, lpc: Frames) -> State:
        self.streams(cepstrum, pitch, correlation, lpc)  # the file may be another than when the graph was made
        draw = np.random.Generator(np.random.Philox(key=self.seed))
        return Speech(self._network, cepstrum.width, lpc.width, cepstrum.dtype, self._config.hop, draw)

    def step(self, state: State, cepstrum: Array, pitch: Array, correlation: Array, lpc: Array) -> tuple[State, Array]:
        states, found = self.step_many([state], [cepstrum], [pitch], [correlation], [lpc])
        return states[0], found[0]

    def flush(self, state: State) -> tuple[Array, ...]:
        return tuple(self._spoken([state], [state.flush(self._network)]))

    def step_many(
        self, states: list[State], cepstra: list[Array], pitches: list[Array], correlations: list[Array],
        lpcs: list[Array],
    ) -> tuple[list[State], list[Array]]:  # fmt: skip
        parts = [
            state.push(self._network, *blocks, self.temperature)
            for state, *blocks in zip(states, cepstra, pitches, correlations, lpcs, strict=True)
        ]
        return states, self._spoken(states, parts)

    def _spoken(self, states: list[State], parts: "list[Part]") -> list[Array]:
        from dspgraph_nodes._kernels.neural.lpcnet_synthesis import synthesise

        found = synthesise(self._network.sample, parts, self._config.hop, self.threshold)
        return [state.finish(samples, self.coef) for state, samples in zip(states, found, strict=True)]


@lru_cache(maxsize=64)
def _checked(path: str, size: int, time: int) -> "Config":
    from dspgraph_nodes.models.lpcnet.weights import read

    return read(path)[0]


@lru_cache(maxsize=4)
def _folded(path: str, size: int, time: int) -> "tuple[Config, Network]":
    from dspgraph_nodes._kernels.neural.lpcnet_packing import fold
    from dspgraph_nodes.models.lpcnet.weights import read

    config, arrays = read(path)
    return config, fold(arrays)
