"""LPCNet in torch: the network, its weights in files, sparsity, and the plain loop that synthesises sample by sample.

A frame-rate network turns the features of a frame and of two on either side into a condition f; a sample-rate network
reads, for every sample, the mu-law codes of the last signal s[n-1], the prediction p[n] and the last excitation e[n-1]:

    GRU_A([E(s), E(p), E(e), f]) -> GRU_B([h_A, f]) -> a1 tanh(W1 h_B + b1) + a2 tanh(W2 h_B + b2) -> softmax -> e[n]

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dspgraph_nodes.models.lpcnet.weights import LEVELS, PRESETS, Config, check, read, words, write_whole

__all__ = ["LEVELS", "PRESETS", "Config", "DualFC", "LPCNet", "convert", "from_keras", "load", "save", "synthesise"]

Array = NDArray[Any]


class DualFC(nn.Module):
    """a1 * tanh(W1 h + b1) + a2 * tanh(W2 h + b2): [..., inputs] to [..., outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = math.sqrt(6 / (inputs + outputs))
        self.kernel = nn.Parameter(torch.empty(2, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(2, outputs))
        self.factor = nn.Parameter(torch.ones(2, outputs))

    def forward(self, h: Tensor) -> Tensor:
        """The sum of the two halves."""
        both = torch.einsum("...i,koi->...ko", h, self.kernel) + self.bias
        return (self.factor * torch.tanh(both)).sum(-2)


class LPCNet(nn.Module):
    """The network. Features are those of the pipeline `lpcnet_features`; codes are mu-law levels 0..255."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.embed_pitch = nn.Embedding(LEVELS, c.pitch_embedding)
        nn.init.uniform_(self.embed_pitch.weight, -0.05, 0.05)
        self.conv1 = nn.Conv1d(c.bands + 2 + c.pitch_embedding, c.condition, 3, padding=1)
        self.conv2 = nn.Conv1d(c.condition, c.condition, 3, padding=1)
        self.dense1 = nn.Linear(c.condition, c.condition)
        self.dense2 = nn.Linear(c.condition, c.condition)
        self.embed = nn.Embedding(LEVELS, c.embedding)
        ramp = math.sqrt(12) * (torch.arange(LEVELS) - 127.5) / LEVELS
        noise = torch.empty(LEVELS, c.embedding).uniform_(-math.sqrt(3), math.sqrt(3))
        self.embed.weight = nn.Parameter(0.1 * (noise + ramp[:, None]))
        self.gru_a = nn.GRU(3 * c.embedding + c.condition, c.gru_a, batch_first=True)
        self.gru_b = nn.GRU(c.gru_a + c.condition, c.gru_b, batch_first=True)
        self.dual_fc = DualFC(c.gru_b, LEVELS)

    def condition(self, cepstrum: Tensor, pitch: Tensor, correlation: Tensor) -> Tensor:
        """f [batch, frames, condition] from cepstrum [batch, frames, bands], pitch and correlation [batch, frames].

        Outside the signal the input of each convolution is 0.
        """
        index = torch.floor(0.1 + 50 * pitch + 100).clamp(33, 255).long()
        features = torch.cat((cepstrum, pitch[..., None], correlation[..., None], self.embed_pitch(index)), -1)
        x = torch.tanh(self.conv1(features.mT))
        x = torch.tanh(self.conv2(x)).mT
        return torch.tanh(self.dense2(torch.tanh(self.dense1(x))))

    def forward(
        self, f: Tensor, codes: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Logits [batch, samples, 256], outputs of GRU_B [batch, samples, gru_b] and the state after the last sample.

        f: [batch, frames, condition]; codes: [batch, samples, 3], of signal, prediction and excitation.
        """
        per_frame = codes.shape[1] // f.shape[1]
        f = f.repeat_interleave(per_frame, 1)
        a, b = state if state is not None else (None, None)
        h_a, a = self.gru_a(torch.cat((self.embed(codes).flatten(2), f), -1), a)
        h_b, b = self.gru_b(torch.cat((h_a, f), -1), b)
        return self.dual_fc(h_b), h_b, (a, b)


def save(model: LPCNet, path: str | Path) -> None:
    """Weights and configuration in one safetensors file."""
    from safetensors.torch import save as to_bytes

    arrays = {name: value.detach().to("cpu", torch.float32).contiguous() for name, value in model.state_dict().items()}
    write_whole(path, to_bytes(arrays, words(model.config)))


def load(path: str | Path) -> LPCNet:
    """The network in a safetensors file. Raises ValueError as `lpcnet_weights.read` does."""
    config, arrays = read(path)
    model = LPCNet(config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model.eval()


def convert(source: str | Path, path: str | Path) -> None:
    """A file of Keras's layout, `.npz` or `.h5` (for which h5py must be there), to one of ours.

    Names are those of `from_keras`, with or without a folder before them. Raises ValueError where the file holds no
    such network; nothing is unpickled.

    What a network hears must be what it was trained on, and a file does not say what that was: the pipeline
    `lpcnet_features` gives the features of the program from 2020 on; the first published one had a correlation from 0
    to 1 (0.5 more), another pitch search, and no compensation of the bands in its LPC.
    """
    save(from_keras(dict(_keras_arrays(Path(source)))), path)


def _keras_arrays(source: Path) -> Iterator[tuple[str, Array]]:
    if source.suffix in (".h5", ".hdf5"):
        try:
            import h5py
        except ImportError:
            raise ValueError(f"{source} needs h5py to be read: pip install h5py, or save the arrays as .npz") from None

        with h5py.File(source, "r") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            yield from ((name, np.asarray(file[name])) for name in names)
    else:
        with np.load(source, allow_pickle=False) as file:
            yield from file.items()


def from_keras(arrays: Mapping[str, Array]) -> LPCNet:
    """The network of the Keras layout: kernels [in, out], gates z, r, h, biases [2, 3 units], DualFC halves last.

    Of 38 features the 18 that the published programs set to zero are left out.
    """

    def array(name: str) -> Tensor:
        found = [key for key in arrays if key == name or key.endswith(f"/{name}")]
        if len(found) != 1:
            raise ValueError(f"the Keras layout has one array '{name}'; found {len(found)} among {sorted(arrays)[:40]}")
        return torch.from_numpy(np.array(arrays[found[0]], np.float32))

    conv1 = array("feature_conv1/kernel")
    pitch = array("embed_pitch")
    bands = 18
    if conv1.shape[1] == 2 * bands + 2 + pitch.shape[1]:
        conv1 = torch.cat((conv1[:, :bands], conv1[:, 2 * bands :]), 1)
    embed, recurrent_b = array("embed_sig"), array("gru_b/recurrent")
    config = Config(
        bands, pitch.shape[1], conv1.shape[2], embed.shape[1], array("gru_a/recurrent").shape[0], recurrent_b.shape[0]
    )
    model = LPCNet(config)
    state = {
        "embed_pitch.weight": pitch,
        "embed.weight": embed,
        "conv1.weight": conv1.permute(2, 1, 0),
        "conv1.bias": array("feature_conv1/bias"),
        "conv2.weight": array("feature_conv2/kernel").permute(2, 1, 0),
        "conv2.bias": array("feature_conv2/bias"),
        "dual_fc.kernel": array("dual_fc/kernel").permute(2, 0, 1),
        "dual_fc.bias": array("dual_fc/bias").mT,
        "dual_fc.factor": array("dual_fc/factor").mT,
    }
    for k in (1, 2):
        state[f"dense{k}.weight"] = array(f"feature_dense{k}/kernel").mT
        state[f"dense{k}.bias"] = array(f"feature_dense{k}/bias")
    for name in ("gru_a", "gru_b"):
        for ours, theirs in (("weight_ih_l0", "kernel"), ("weight_hh_l0", "recurrent")):
            state[f"{name}.{ours}"] = _gates(array(f"{name}/{theirs}").mT)
        bias = array(f"{name}/bias")
        state[f"{name}.bias_ih_l0"], state[f"{name}.bias_hh_l0"] = _gates(bias[0]), _gates(bias[1])
    check({name: value.numpy() for name, value in state.items()}, config, "the Keras layout")
    model.load_state_dict(state)
    return model.eval()


def _gates(rows: Tensor) -> Tensor:
    """Gates z, r, h, as Keras orders them, to r, z, n, as torch does."""
    z, r, h = rows.chunk(3)
    return torch.cat((r, z, h))


@torch.no_grad()
def synthesise(
    model: LPCNet, f: Tensor, sharpness: Tensor, lpc: Array, numbers: Array, hop: int, first: int, threshold: float
) -> tuple[Array, Array]:
    """Sample by sample in plain torch: what the kernel is compared with, and some hundred times slower.

    f: [frames, condition]; sharpness: [frames]; lpc: [frames, order]; numbers: [n] from 0 to 1. The first frame has
    `first` samples, each other `hop`, the last all that are left. Returns the signal [n] in the scale of 16 bits,
    float64 and before de-emphasis, and the codes of the excitation [n].
    """
    from dspgraph_nodes._kernels.signal import mulaw

    peak, centres = 32768.0, mulaw.mulaw_decode(np.arange(LEVELS), LEVELS, 32768.0)
    order, state = lpc.shape[1], None
    signal, codes = np.zeros(order + len(numbers)), np.zeros(len(numbers), np.int64)
    heard = np.full(3, LEVELS // 2)
    for n, number in enumerate(numbers):
        frame = min(max(0, (n - first) // hop + 1), len(lpc) - 1)
        prediction = 0.0
        for k, a in enumerate(lpc[frame].tolist()):
            prediction -= a * signal[n + order - 1 - k]
        heard[1] = mulaw.mulaw_encode(np.array([prediction]), LEVELS, peak)[0]
        logits, _, state = model(f[None, frame : frame + 1], torch.from_numpy(heard)[None, None], state)
        p = torch.softmax(logits[0, 0] * sharpness[frame], -1)
        p = torch.clamp(p - threshold, min=0)
        ends = torch.cumsum(p / p.sum(), 0)
        codes[n] = min(int((ends <= float(number)).sum()), LEVELS - 1)
        signal[order + n] = min(max(prediction + centres[codes[n]], -peak), peak)
        heard[0], heard[2] = mulaw.mulaw_encode(signal[order + n : order + n + 1], LEVELS, peak)[0], codes[n]
    return signal[order:], codes
