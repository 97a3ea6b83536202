"""The encoder of a WaveNet autoencoder."""

from fractions import Fraction
from functools import cached_property

import numpy as np

from dspgraph import Array, Audio, Field, File, Frames, Input, Node, Output, ParameterError, State, require_mono
from dspgraph_nodes._kernels.neural.two_sided import EncoderState, PackedEncoder
from dspgraph_nodes._kernels.signal.mulaw import floor_levels
from dspgraph_nodes.models.shared.cached import WeightsFile
from dspgraph_nodes.models.wavenet_autoencoder.config import Config
from dspgraph_nodes.models.wavenet_autoencoder.packing import packed_encoder
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS


def wavenet_encoding(network: PackedEncoder, x: Array) -> Array:
    """Return the frames [ceil(n / hop), numbers] float64 of a signal, by the formulas of `WavenetEncoder`.

    network: as `models.wavenet_autoencoder.packing.packed_encoder` returns it; x: [n], full scale +-1.
    """
    return EncoderState(network).push(network, _read(x), last=True)


def _read(x: Array) -> Array:
    """Convert samples [n] to the numbers that the network reads: (k - 128) / 128 for a sample of mu-law level k."""
    read: Array = (floor_levels(x) - 128) / 128
    return read


class WavenetEncoder(Node):
    """Describe a sound by a few numbers for every frame, from which `wavenet_decoder` makes the sound again.

        v[t] = floor(128 * sgn(x) * ln(1 + 255 * |x|) / ln(256)) / 128
        h_0[t] = sum_k W_k v[t + k - 1] + b,    k = 0 .. 2
        h_(i+1)[t] = h_i[t] + V relu(sum_k W_k relu(h_i[t + (k - 1) d_i]) + b) + c
        z[j] = mean over the samples t of frame j of (W h[t] + b), with h of the last layer

    W and V are matrices, b and c vectors of biases; every formula has weights of its own. The published network has 30
    layers of 128 channels with the dilations d_i = 1, 2, 4 .. 512, three times, and 16 numbers in a frame of 512
    samples.

    A network of the normalised form (the field `form` of its configuration) has a table E with one row for every level
    k, factors f_i and offsets o_i for every channel, and leaky ReLUs r(x) = max(x, x / 5) instead:

        h_0[t] = E[k[t]],    a_i[t] = r(f_i * h_i[t] + o_i)
        h_(i+1)[t] = h_i[t] + V r(sum_k W_k a_i[t + (k - 1) d_i] + b) + c
        z[j] = mean over the samples t of frame j of (W (h[t] - h_0[t]) + b)

    Samples of 1 and above have v = 127 / 128; samples below -1 count as -1. Frame j has the samples from j * hop up to
    (j + 1) * hop. It also depends on samples before and after them, on each side as many as 1 plus the sum of the
    dilations: 3070 in the published network (without the 1 in the normalised form). The node waits for the samples
    after the frame. Before and after the signal every convolution reads zeros.

    The published program takes whole frames only. Here zeros fill the last frame of a signal, so that its encoding is
    that of the signal with these zeros at its end.

    Rate and hop must be those of the training. `dspgraph weights convert` converts published checkpoints.

    Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
    arXiv:1704.01279; magenta, models/nsynth/wavenet/h512_bo16.py. Normalised form: M. Yoshikawa,
    wavenet-autoencoder-chainer, 2017.
    """

    x = Input(Audio)
    z = Output(Frames, "wavenet_encoding")

    weights: File | None = Field(None, description="weights of the network, a safetensors file")

    @cached_property
    def _file(self) -> WeightsFile[Config, PackedEncoder]:
        return WeightsFile(WEIGHTS, packed_encoder, "wavenet_encoder.weights", self.weights)

    def streams(self, x: Audio) -> tuple[Frames]:
        require_mono(x, self)
        config = self._file.config
        if x.rate != config.rate:
            raise ParameterError(
                f"wavenet_encoder.weights were trained at {config.rate} Hz; found {x}: put a resample before the node"
            )
        return (Frames(Fraction(config.rate, config.hop), "wavenet_encoding", config.latent, dtype=x.dtype),)

    def lookahead(self, x: Audio) -> Fraction:
        config = self._file.config
        return Fraction(config.reach, config.rate)

    def start(self, x: Audio) -> State:
        self._file.begin_signal()
        return EncoderState(self._file.packed), x.dtype

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        signal, dtype = state
        return state, signal.push(self._file.packed, _read(x)).astype(dtype, copy=False)

    def flush(self, state: State) -> tuple[Array]:
        signal, dtype = state
        return (signal.push(self._file.packed, np.zeros(0), last=True).astype(dtype, copy=False),)
