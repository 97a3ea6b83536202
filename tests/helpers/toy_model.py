"""A small autoregressive model for the tests of `check_model`. A sample has two parts, of four levels each.

The parts are called coarse and fine; samples are [n, 2], coarse first.

    h[t] = tanh(A h[t-1] + B x[t-1] + C f),  coarse: D h[t],  fine: F h[t] + G[:, coarse]

A, B, C, D, F and G are the weights; x has both parts of a sample, divided by 4; f is the row of features of the
sample's frame. Before the first sample, h and x are 0. The model can be given a fault by the name of the fault, see
`toy_example`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from dspgraph import Array, generator
from dspgraph.testing import ModelExample
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.config import ModelConfig, size
from dspgraph_nodes.models.shared.data import BatchOrder, fingerprint, rng
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import TrainingSettings
from dspgraph_nodes.models.shared.weights import WeightsFormat

HOP, LEVELS, WIDTH = 8, 4, 3  # samples per frame, levels of a part, width of the features


class ToyConfig(ModelConfig):
    """The configuration of the toy model. `hop` must be HOP, which the network and the kernel use in its place."""

    units: int = size(5, "units of the state")
    hop: int = size(HOP, "samples in a frame")


def shapes(c: ToyConfig) -> dict[str, tuple[int, ...]]:
    """Return name -> shape for every array of the toy model."""
    inner = {"A": (c.units, c.units), "B": (c.units, 2), "C": (c.units, WIDTH)}
    return {**inner, "D": (LEVELS, c.units), "F": (LEVELS, c.units), "G": (LEVELS, LEVELS)}


TOY = WeightsFormat("toy", ToyConfig, shapes, "train it")


def softmax(logits: Array) -> Array:
    """Return the probabilities [..., levels] of logits [..., levels]."""
    p: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p


class ToyNetwork(nn.Module):
    """The network of the toy model in torch."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        for name, shape in shapes(config).items():
            self.register_parameter(name, nn.Parameter(0.7 * torch.randn(shape)))

    def forward(self, f: Tensor, samples: Tensor, leak: bool = False) -> Tensor:
        """Return logits [n, 8], the coarse logits first.

        f: [frames, width]; samples: [n, 2], n at most HOP * frames, the parts of the samples that are predicted, whole
        numbers below LEVELS; leak: whether the network reads the sample that it predicts, which is a fault.
        """
        get = self.get_parameter
        h, rows, x = torch.zeros(self.config.units), [], torch.zeros(2)
        drive = f.repeat_interleave(HOP, 0) @ get("C").T
        for t, sample in enumerate(samples):
            last = samples[t] / LEVELS if leak else x
            h = torch.tanh(get("A") @ h + get("B") @ last + drive[t])
            rows.append(torch.cat((get("D") @ h, get("F") @ h + get("G")[:, sample[0]])))
            x = sample / LEVELS
        return torch.stack(rows)


class ToySettings(TrainingSettings, frozen=True, extra="forbid"):
    """The settings of a training run of the toy model."""

    PRESETS: ClassVar = {"toy": ToyConfig()}

    preset: str = Field("toy", description="sizes: toy")


class Toy:
    """The functions of the toy model that `check_model` calls.

    fault: the name of the fault that they have, one of those in the code, or "" for none. A name that is not in the
    code makes no fault and no error.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.kept = np.zeros(ToyConfig().units)

    # ---- weights

    def write(self, path: Path, seed: int) -> None:
        torch.manual_seed(seed)
        save(TOY, ToyNetwork(ToyConfig()), path)
        if self.fault == "another order of the arrays each time":
            content = path.read_bytes()
            length = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + length])
            header["__metadata__"]["note"] = path.name
            text = json.dumps(header).encode()
            path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])

    def read(self, path: Path) -> Mapping[str, Array]:
        if self.fault == "arrays are not checked":
            from safetensors.numpy import load_file

            return load_file(path)
        if self.fault == "the model is not checked":
            try:
                return TOY.read(path)[1]
            except ValueError as error:
                if "'another'" not in str(error):
                    raise
                return {}
        return TOY.read(path)[1]

    # ---- network

    def forward(self, path: Path, features: Mapping[str, Array], samples: Array) -> Array:
        network = load(TOY, ToyNetwork, path)
        with torch.no_grad():
            f, given = torch.from_numpy(features["f"]), torch.from_numpy(samples)
            found: Array = network(f, given, self.fault == "the network sees the sample").numpy()
        if self.fault == "a convolution of the network reaches ahead":
            found = 0.5 * found + 0.5 * np.roll(found, -1, axis=0)
        if self.fault == "the network is one sample late":
            found = np.concatenate((found[:1], found[:-1]))
        return found

    # ---- kernel

    def generate(
        self, path: Path, signals: Sequence[Mapping[str, Array]], seeds: Sequence[int], cut: int | None, tap: bool
    ) -> list[tuple[Array, Array | None]]:
        w = TOY.read(path)[1]
        if self.fault == "weights are rounded in the kernel":
            w = {name: one.astype(np.float16).astype(np.float32) for name, one in w.items()}
        found = []
        for features, seed in zip(signals, seeds, strict=True):
            key = seeds[0] if self.fault == "a batch shares its random numbers" else seed
            key = 0 if self.fault == "the seed is ignored" else key
            samples, parameters = self._signal(w, features["f"], generator(key), cut, tap)
            if self.fault == "a batch is computed in another order" and len(signals) > 1:
                parameters = parameters + np.float32(1e-6)
            found.append((samples, parameters if tap else None))
        return found

    def _signal(
        self, w: Mapping[str, Array], f: Array, draw: np.random.Generator, cut: int | None, tap: bool
    ) -> tuple[Array, Array]:
        h = self.kept.copy() if self.fault == "the kernel keeps its state" else np.zeros(len(w["A"]))
        x, samples, rows, shared = np.zeros(2), [], [], draw.random(2)
        for t in range(HOP * len(f)):
            if self.fault == "a block begins without a past" and cut and t % (HOP * cut) == 0:
                x = np.zeros(2)
            h = np.tanh(w["A"] @ h + w["B"] @ x + w["C"] @ f[t // HOP])
            u = shared if self.fault == "one random vector for all samples" else draw.random(2)
            if self.fault == "one random number for both parts":
                u = u[[0, 0]]
            if self.fault == "a tap draws a number" and tap:
                draw.random()
            coarse = w["D"] @ h
            c = self._draw(coarse, u[0])
            known = 0 if self.fault == "the fine part ignores the coarse one" else c
            fine = w["F"] @ h + w["G"][:, known]
            samples.append((c, self._draw(fine, u[1])))
            rows.append(np.concatenate((coarse, fine)))
            x = np.array(samples[-1]) / LEVELS
            if self.fault == "the kernel forgets the past":
                x = np.zeros(2)
        self.kept = h
        return np.array(samples), np.array(rows, np.float32)

    def _draw(self, logits: Array, u: float) -> int:
        p = softmax(2 * logits if self.fault == "draws are too sharp" else logits)
        if self.fault == "the last level is never drawn":
            return min(int((np.cumsum(p) <= u).sum()), LEVELS - 2)
        return min(int((np.cumsum(p) <= u).sum()), LEVELS - 1)

    def cumulative(self, parameters: Array, samples: Array) -> tuple[Array, Array]:
        p = np.stack([softmax(part) for part in np.split(parameters.astype(np.float64), 2, axis=1)], axis=1)
        up_to = np.cumsum(p, axis=-1)
        chosen = [np.take_along_axis(each, samples[..., None], 2)[..., 0] for each in (up_to - p, up_to)]
        return chosen[0], chosen[1]

    # ---- training

    def train(self, out: Path, steps: int, resume: bool) -> Path:
        rate = 1e-9 if self.fault == "the network does not learn" else 0.05
        settings = ToySettings(
            steps=steps, batch=2, learning_rate=rate, validate_every=1000, device="cpu", decay=0.1, ema=0.5
        )
        return trainer.train(self._task, {}, lambda x: {}, out, settings, resume)

    def _task(self, settings: ToySettings, recordings: Any, features: Any) -> trainer.Task:
        """Return the `Task` of training on twelve recordings of a frame each, alike except for a little noise.

        recordings, features: not used.
        """
        samples = torch.from_numpy(
            (2 * (np.arange(HOP)[:, None] % 2) + rng(1).integers(0, 2, (12, HOP, 2))).astype(int)
        )
        order = BatchOrder(len(samples), settings.batch, settings.seed)
        begun: list[int] = []

        def batch(number: int) -> Tensor:
            begun.append(number)
            if self.fault == "the order of the data begins again":
                number -= begun[0]
            shift = int(np.random.default_rng().integers(12)) if self.fault == "random numbers without a seed" else 0
            return samples[[(place + shift) % 12 for _, place in order[number]]]

        def losses(network: ToyNetwork, batch: Tensor) -> Iterator[Tensor]:
            found = []
            for each in batch:
                logits = network(torch.zeros(1, WIDTH), each)
                found += [
                    nn.functional.cross_entropy(part, each[:, k]) for k, part in enumerate(logits.chunk(2, dim=1))
                ]
            yield torch.stack(found).mean()

        return trainer.Task(
            network=lambda: ToyNetwork(settings.config),
            batch=batch,
            losses=losses,
            validate=lambda network: {"loss": 0.0},
            save=lambda network, path: save(TOY, network, path),
            load=lambda path: load(TOY, ToyNetwork, path),
            fingerprint=fingerprint([samples.numpy()]),
            summary="a toy",
        )


def toy_example(fault: str = "") -> ModelExample:
    """Return the toy model, with a fault, as an example for `check_model`.

    fault: the name of a fault in the code of `Toy`; "" or any other text for none.
    """
    toy = Toy(fault)
    return ModelExample(
        "toy",
        write=toy.write,
        read=toy.read,
        features=lambda frames, seed: {"f": rng(seed, 7).standard_normal((frames, WIDTH)).astype(np.float32)},
        forward=toy.forward,
        generate=toy.generate,
        cumulative=toy.cumulative,
        train=toy.train,
        draws=3000,
        frames=8,
        steps=16,
        fall=0.3,
    )
