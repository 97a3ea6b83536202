"""Small WaveRNNs with random weights, and the same networks written with numpy in float64."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dspgraph import Array
from dspgraph_nodes._kernels.neural.conditioning import in_windows
from dspgraph_nodes._kernels.neural.wavernn_layout import WaveRNNWeights
from dspgraph_nodes._kernels.neural.wavernn_synthesis import WaveRNNState, frame_rows, segment, synthesise
from dspgraph_nodes.models.shared.weights import Numbers
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.weights import WEIGHTS, shapes
from helpers.weight_files import shared_file

SIZES: dict[str, Any] = {
    "units": 48, "dense": 32, "features": 6, "factors": (2, 4), "widths": (5, 9), "rate": 800, "auxiliary": 16,
    "compute": 8, "blocks": 2,
}  # fmt: skip
SPLIT: dict[str, Any] = {**SIZES, "kind": "coarse_fine", "units": 64, "auxiliary": 0, "blocks": 0}

SMALL = {
    "categorical": Config(kind="categorical", bits=9, **SIZES),
    "linear": Config(kind="categorical", bits=10, mulaw=False, **SIZES),
    "mixture": Config(kind="mixture", bits=16, components=3, **SIZES),
    "one bias": Config(bits=16, biases="one", **SPLIT),
    "two biases": Config(bits=16, biases="two", offset=True, **{**SPLIT, "units": 96}),
    "no frames": Config(bits=8, biases="one", **{**SPLIT, "features": 0}),
}
"""A configuration of every form. 48 units are three blocks of 16: an odd number."""


def random_weights(config: Config, seed: int = 0) -> dict[str, Array]:
    """Return the weights, by name, of a random network whose output depends on all inputs."""
    draw = np.random.Generator(np.random.Philox(key=seed))
    arrays = {}
    for name, shape in shapes(config).items():
        fan = int(np.prod(shape[1:], initial=1)) if not name.startswith("input_") else 2
        wide = 0.3 if "bias" in name or "running_mean" in name or ".norm" in name else 2 / np.sqrt(fan)
        arrays[name] = (wide * (2 * draw.random(shape) - 1)).astype(np.float32)
        if name.endswith("running_var") or (".norm" in name and name.endswith("weight")):
            arrays[name] = np.abs(arrays[name]) + np.float32(0.5)
        if ".smooth." in name and name.endswith("weight"):
            arrays[name] = (arrays[name] + 3) / np.float32(3 * fan)
    if config.kind == "mixture":  # narrow enough that the means have an effect on the samples
        arrays["dense3.bias"][2 * config.components :] -= np.float32(4)
    return arrays


def sigmoid(x: Array) -> Array:
    y: Array = 1 / (1 + np.exp(-x))
    return y


class PlainWaveRNN:
    """A reference for WaveRNN: the equations of the network in numpy and float64, one sample at a time."""

    def __init__(self, config: Config, arrays: Mapping[str, Array], frames: Array) -> None:
        """Compute what the network is given of the frames: `smooth`, a row per sample; `auxiliary`, a row per frame.

        arrays: the weights, by name; frames: [n, features], without context; zeros before and after them are added.
        """
        self.config, self.w = config, {name: array.astype(np.float64) for name, array in arrays.items()}
        c = config
        known = np.pad(frames.astype(np.float64), ((c.context, c.context), (0, 0)))
        self.smooth = self._smoothed(known, len(frames) * c.hop)
        self.auxiliary = self._residual(known, len(frames)) if c.auxiliary else np.zeros((len(frames), 0))
        self.states = [np.zeros(c.units) for _ in range(1 if c.kind == "coarse_fine" else 2)]

    def _smoothed(self, known: Array, count: int) -> Array:
        c = self.config
        if not c.features:
            return np.zeros((count, 0))
        x = known
        for k, (factor, width) in enumerate(zip(c.factors, c.widths, strict=True)):
            taps, bias = self.w[f"conditions.smooth.{k}.weight"][0, 0], self.w.get(f"conditions.smooth.{k}.bias")
            wide = np.pad(np.repeat(x, factor, axis=0), ((width // 2, width // 2), (0, 0)))
            x = np.asarray(sum(taps[j] * wide[j : j + factor * len(x)] for j in range(width))) + (
                0 if bias is None else bias[0]
            )
        return x[c.context * c.hop :][:count]

    def _residual(self, known: Array, count: int) -> Array:
        c, w = self.config, self.w

        def norm(x: Array, name: str) -> Array:
            scaled = (x - w[f"{name}.running_mean"]) / np.sqrt(w[f"{name}.running_var"] + 1e-5)
            y: Array = scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
            return y

        edge, kernel = c.context - c.pad, w["conditions.first.weight"]
        x = np.asarray(sum(known[edge + k : edge + k + count] @ kernel[:, :, k].T for k in range(2 * c.pad + 1)))
        x = np.maximum(norm(x, "conditions.norm"), 0)
        for k in range(c.blocks):
            name = f"conditions.blocks.{k}"
            y = np.maximum(norm(x @ w[f"{name}.conv1.weight"][:, :, 0].T, f"{name}.norm1"), 0)
            x = x + norm(y @ w[f"{name}.conv2.weight"][:, :, 0].T, f"{name}.norm2")
        found: Array = x @ w["conditions.last.weight"][:, :, 0].T + w["conditions.last.bias"]
        return found

    def stacked(self, n: int, sample: float) -> Array:
        """Return the parameters of the distribution of sample n, for the kinds "categorical" and "mixture".

        sample: the sample n - 1, from -1 to 1, as the network reads it; 0 for n = 0. The method must be called for all
        samples in order.
        """
        w, (h1, h2) = self.w, self.states
        a1, a2, a3, a4 = np.split(self.auxiliary[n // self.config.hop], 4)
        x = w["input.weight"] @ np.concatenate(([sample], self.smooth[n], a1)) + w["input.bias"]
        h1 = self._gru("gru1", x, h1)
        x = x + h1
        h2 = self._gru("gru2", np.concatenate((x, a2)), h2)
        x, self.states = x + h2, [h1, h2]
        for name, extra in (("dense1", a3), ("dense2", a4)):
            x = np.maximum(w[f"{name}.weight"] @ np.concatenate((x, extra)) + w[f"{name}.bias"], 0)
        y: Array = w["dense3.weight"] @ x + w["dense3.bias"]
        return y

    def _gru(self, name: str, x: Array, h: Array) -> Array:
        inner = self.w[f"{name}.weight_ih_l0"] @ x + self.w[f"{name}.bias_ih_l0"]
        own = self.w[f"{name}.weight_hh_l0"] @ h + self.w[f"{name}.bias_hh_l0"]
        (ir, iz, i_n), (hr, hz, hn) = np.split(inner, 3), np.split(own, 3)
        z = sigmoid(iz + hz)
        new: Array = z * h + (1 - z) * np.tanh(i_n + sigmoid(ir + hr) * hn)
        return new

    def coarse(self, n: int, before: Array) -> Array:
        """Return the logits of the coarse half of sample n, for the kind "coarse_fine".

        before: the two halves of the sample before, as the network reads them, from -1 to 1. For every sample in order,
        `coarse` must be called, then `fine`.
        """
        w, half = self.w, self.config.units // 2
        recurrent = w["recurrent"] @ self.states[0] + w.get("recurrent_bias", 0)
        self.own, self.inputs = recurrent.reshape(3, 2, half), np.concatenate((self.smooth[n], before))
        self.new = [self._half(0, w["input_coarse"] @ self.inputs)]
        return self._head("coarse", self.new[0])

    def fine(self, coarse: float) -> Array:
        """Return the logits of the fine half of the sample for which `coarse` was called last.

        coarse: the coarse half of this sample, as the network reads it, from -1 to 1.
        """
        inner = self.w["input_fine"] @ np.append(self.inputs, coarse)
        self.new.append(self._half(1, inner))
        self.states = [np.concatenate(self.new)]
        return self._head("fine", self.new[1])

    def _half(self, k: int, inner: Array) -> Array:
        half = self.config.units // 2
        r, z, n = inner + self.w["bias"].reshape(3, 2, half)[:, k]
        own_r, own_z, own_n = self.own[:, k]
        z = sigmoid(z + own_z)
        new: Array = z * self.states[0].reshape(2, half)[k] + (1 - z) * np.tanh(n + sigmoid(r + own_r) * own_n)
        return new

    def _head(self, name: str, h: Array) -> Array:
        x = np.maximum(self.w[f"{name}1.weight"] @ h + self.w[f"{name}1.bias"], 0)
        y: Array = self.w[f"{name}2.weight"] @ x + self.w[f"{name}2.bias"]
        return y


def run(
    net: WaveRNNWeights, known: Array, numbers: Array, forced: Array | None = None, lanes: int = 1
) -> tuple[Array, Array]:
    """Return the draws of the kernel for all n samples of a signal, [n, d], and the outputs of the network, [n, width].

    d is 2 if a sample is drawn in two halves, otherwise 1. known: [frames, features], with `context` frames more before
    and after those of the signal; numbers: [n, draws], random numbers from 0 to 1 or, for a mixture, the result of
    `mixture_noise` for them; forced: [n, inputs], the numbers from -1 to 1 that the network reads for every sample, in
    place of those that follow from its draws: the sample before or, for samples in two halves, both halves of the
    sample before and the coarse half of this one. None: the draws are used. lanes: how many signals the kernel can
    compute together, 1 or 16. Of the 16 lanes, two compute this signal, and the others are empty.
    """
    rows = frame_rows(net.frame, in_windows(known.astype(np.float32), net.frame.context))
    segments = []
    for _ in range(min(lanes, 2)):
        one = segment(net, WaveRNNState(net, np.random.default_rng(0)), rows, numbers)
        segments.append(one if forced is None else one._replace(forced=forced.astype(np.float32)))
    drawn, outputs = synthesise(net, segments, 1.0, many=2)[-1]
    return drawn[:, :-1], outputs


def draw_class(logits: Array, u: float) -> int:
    """Return the class that the number u draws: the number of k with F(k) <= u.

    F is the cumulative softmax of the logits. u: from 0 to 1, and below 1.
    """
    p = np.exp(logits - logits.max())
    return int((np.cumsum(p) / p.sum() <= u).sum())


def draw_number(outputs: Array, numbers: Array) -> float:
    """Return a sample drawn from a mixture of logistics, limited to -1 .. 1.

    outputs: [3 * K], the logits, means and log-scales of K components; numbers: [K + 1] random numbers above 0 and
    below 1, one for each component to choose it, then one for the value.
    """
    logits, means, scales = np.split(outputs, 3)
    k = int(np.argmax(logits - np.log(-np.log(numbers[:-1]))))
    drawn = means[k] + np.exp(max(scales[k], np.log(1e-14))) * (np.log(numbers[-1]) - np.log(1 - numbers[-1]))
    return float(np.clip(drawn, -1, 1))


def wavernn_file(
    config: Config | None = None, seed: int = 0, folder: Path | None = None, numbers: Numbers = "float32"
) -> str:
    """Return the path of a file of random weights, and write the file if it does not exist.

    config: by default `SMALL["categorical"]`; seed: of the weights; folder: by default a temporary folder that all test
    processes of a user share; numbers: the type of the numbers in the file.
    """
    chosen = config or SMALL["categorical"]
    return shared_file(WEIGHTS.content(chosen, random_weights(chosen, seed), numbers=numbers), folder)
