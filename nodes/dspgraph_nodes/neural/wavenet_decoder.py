"""The decoder of a WaveNet autoencoder."""

from functools import cached_property, partial

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State, generator
from dspgraph_nodes._kernels.neural.conditioning import check_finite
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, generate, speech
from dspgraph_nodes.models.shared.cached import WeightsFile
from dspgraph_nodes.models.shared.generation import last_items, next_items
from dspgraph_nodes.models.wavenet_autoencoder.config import Config
from dspgraph_nodes.models.wavenet_autoencoder.packing import frames_read, packed_decoder
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS


def wavenet_decoding(
    network: PackedWaveNet, z: Array, draw: np.random.Generator, temperature: float = 1.0
) -> tuple[Array, Array]:
    """Return samples [n * hop] float64 for n frames, and the probabilities [n * hop, 256] of their levels.

    network: as `models.wavenet_autoencoder.packing.packed_decoder` returns it; z: [n, numbers], the frames, each with
    the code of the pitch after it if the network reads one, as `packing.frames_read` returns them; draw: the
    generator of the random numbers; temperature: the parameter of `WavenetDecoder`. Raises ValueError for frames that
    are not finite.
    """
    check_finite(z, "wavenet_decoder", "z")
    return speech(network.at(temperature), z, draw)


class WavenetDecoder(Node):
    """Generate sound from the frames of `wavenet_encoder`: a network draws every sample, given all samples before it.

    A sample is one of 256 mu-law levels k, which the network reads as v = (k - 128) / 128. Dilated causal convolutions
    read the samples before sample t and the frame j in which it lies:

        x_0[t] = sum_k W_k v[t + k - 3] + b,    s = V x_0[t] + c,    k = 0 .. 2
        a = sum_k W_k x_i[t + (k - 2) d_i] + b + C z[j] + e,    g = tanh(a[:n]) * sigmoid(a[n:]),    n channels
        x_(i+1)[t] = x_i[t] + W g + b,    s = s + V g + c
        P = softmax((W relu(V relu(s) + c + C z[j] + e) + b) / temperature)

    A network of the normalised form (the field `form` of its configuration) has a table E with one row for every level,
    factors f_i and offsets o_i for every channel, and leaky ReLUs r(x) = max(x, x / 5) instead; all its layers share C
    and e:

        x_0[t] = E[k[t - 1]],    a_i[t] = r(f_i * x_i[t] + o_i)
        u_i[t] = V r(sum_k W_k a_i[t + (k - 1) d_i] + C z[j] + e) + c,    x_(i+1) = x_i + u_i,    k = 0, 1
        P = softmax((W r(V r(sum_i u_i) + c) + b) / temperature)

    d_i is the dilation of layer i. Capital W, V and C are matrices; b, c and e are vectors of biases; every formula has
    weights of its own. The level of a sample is the first level k with P(0) + ... + P(k) > u. The random number u is
    drawn uniformly between 1e-5 and 1 - 1e-5, anew for every sample. The sample of level k is x = sgn(y) * (256**|y| -
    1) / 255 with y = (k - 128 + 1/2) / 128; level 128 is 0. Before the first sample there is silence.

    Networks trained with the setting `pitches` read the one-hot code of the parameter `pitch` after the numbers of
    every frame. If `pitch` is not the pitch of the encoded note, the output is a note of this pitch with a similar
    timbre.

    Frame j gives the samples from j * hop up to (j + 1) * hop, and a sample waits for no other frame. A temperature
    below 1 makes the sound cleaner and more monotonous; wavenet-autoencoder-chainer uses 1 / 1.7. Sixteen sounds of a
    batch are computed side by side. The output `distribution` has the P of every sample.

    Rate and hop must be those of the training. `dspgraph weights convert` converts published checkpoints.

    Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    arXiv:1704.01279; magenta, models/nsynth/wavenet/h512_bo16.py and fastgen.py. Normalised form:
    M. Yoshikawa, wavenet-autoencoder-chainer, 2017.
    """

    z = Input(Frames, "wavenet_encoding")
    y = Output(Audio)
    distribution = Output(Frames, "categorical")

    weights: File | None = Field(None, description="weights of the network, a safetensors file")
    temperature: float = Field(1.0, ge=0.01, le=100.0, description="above 1 for more noise, below 1 for less")
    pitch: int | None = Field(
        None, ge=0, le=127, description="pitch of the note, a MIDI number, for weights that were trained with pitches"
    )
    seed: int = Field(0, ge=0, description="seed of the draws")

    seedless = ("_file",)

    @cached_property
    def _file(self) -> WeightsFile[Config, PackedWaveNet]:
        return WeightsFile(WEIGHTS, packed_decoder, "wavenet_decoder.weights", self.weights)

    @property
    def _network(self) -> PackedWaveNet:
        return self._file.packed.at(self.temperature)

    def streams(self, z: Frames) -> tuple[Audio, Frames]:
        config = self._file.config
        self._file.check_frames(z, 0)
        if z.width != config.latent:
            raise ParameterError(
                f"wavenet_decoder.weights were trained with frames of {config.latent} numbers; found {z}: encode with "
                "the same weights"
            )
        self._check_pitch(config)
        return Audio(config.rate, dtype=z.dtype), Frames(config.rate, "categorical", 256, dtype=z.dtype)

    def _check_pitch(self, config: Config) -> None:
        """Raise ParameterError unless `pitch` is a pitch of the network, or None for a network without pitches."""
        if not config.pitches:
            if self.pitch is not None:
                raise ParameterError(
                    f"wavenet_decoder.pitch is {self.pitch}; the weights were trained without pitches: leave it out"
                )
            return
        first, last = config.lowest, config.lowest + config.pitches - 1
        if self.pitch is None or not first <= self.pitch <= last:
            found = "not given" if self.pitch is None else str(self.pitch)
            raise ParameterError(
                f"wavenet_decoder.pitch is {found}; the weights were trained with the pitches {first} to {last}: give "
                "one of them"
            )

    def _rows(self, z: Array) -> Array:
        """Return the rows that the network reads: z [n, latent], with the one-hot code of `pitch` after each frame.

        The code is left out if the weights were trained without pitches.
        """
        config = self._file.config
        return frames_read(z, (self.pitch or 0) - config.lowest, config)

    def start(self, z: Frames) -> State:
        self._file.begin_signal()
        return WaveNetState(self._file.packed, generator(self.seed)), z.dtype

    def flush(self, state: State) -> tuple[Array, ...]:
        return last_items(partial(generate, self._network), state, self._file.config.condition)

    def step_many(self, states: list[State], blocks: list[Array]) -> tuple[list[State], list[Array], list[Array]]:
        return next_items(partial(generate, self._network), states, [self._rows(block) for block in blocks])
