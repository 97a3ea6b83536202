"""The check of models: weights, kernel, draws and training of an autoregressive network.

A model draws one sample after the other, each from a distribution that depends on the samples before it and on
features. Two programs compute this distribution: the network in a framework for training is teacher-forced (it is given
the samples), and the kernel is free-running (it draws the samples). The checks compare these two with each other, and
they test the loop that trains the network.

All checks take the same arguments. example: the model. folder: where the check writes its files.
"""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from dspgraph.errors import ModelError
from dspgraph.node import generator
from dspgraph.shown import shown
from dspgraph.streams import Array

ModelFeatures: TypeAlias = Mapping[str, Array]
Generated: TypeAlias = tuple[Array, Array | None]
"""Samples [n, ...] that a model has drawn, and the parameters [n, width] of their distributions, or None."""


@dataclass(frozen=True)
class ModelExample:
    """A small model on which the checks of models run. It is declared in the test file of the model.

    "Parameters" are here the numbers that describe a distribution, for instance logits. Row t of the parameters
    describes the distribution of sample t, given the samples before t. Samples have one row per sample: [n], or
    [n, draws] if a sample is drawn in several parts, such as a coarse and a fine half. The distribution of a part is
    given the parts before it too.

    model: the name in the metadata of the files of weights. These fields are functions:

    * write(path, seed) writes random weights to a file: the same bytes for the same seed.
    * read(path) returns name -> array, and raises ValueError for a file that it refuses.
    * features(frames, seed) returns the features of a signal.
    * forward(path, features, samples) runs the network, teacher-forced, and returns the parameters [n, width].
    * generate(path, features of each signal, seed of each signal, cut, tap) runs the kernel, free-running, on a batch
      of signals. It is given `cut` frames at a time (all frames if None). It returns (samples, parameters) for each
      signal; the parameters are None if `tap` is false.
    * forced(path, features, samples, lanes) runs the kernel, teacher-forced, for a signal in lane 0 of `lanes` lanes,
      and returns the parameters. None for a kernel that cannot be teacher-forced.
    * cumulative(parameters, samples) returns, for each sample, the probability of values below it, and of values up to
      it, both [n] or [n, draws]. The two are equal if samples are real numbers.
    * train(out, steps, resume) trains on a small data set, and returns the file of weights, which lies in the folder
      `out`. A step is a batch. With `resume` the run that is in `out` goes on, until it has `steps` steps in all. The
      losses of the batches are in the column train_loss of out/logs/metrics.csv.

    deterministic: whether the samples are the parameters themselves, so that nothing is drawn; `cumulative` is then
    None. lanes: the numbers of lanes with which `forced` is tried. unseen: the fields of the configuration on which no
    array depends. frames: the length of the signals, in frames. draws: the least number of samples for the statistics;
    in shapes, draws is the number of parts of a sample. tolerance: the largest difference between the parameters of
    kernel and network. steps, fall: after `steps` steps the training loss must have fallen by `fall`.
    """

    model: str
    write: Callable[[Path, int], None]
    read: Callable[[Path], Mapping[str, Array]]
    features: Callable[[int, int], ModelFeatures]
    forward: Callable[[Path, ModelFeatures, Array], Array]
    generate: Callable[[Path, Sequence[ModelFeatures], Sequence[int], int | None, bool], list[Generated]]
    cumulative: Callable[[Array, Array], tuple[Array, Array]] | None
    train: Callable[[Path, int, bool], Path]
    forced: Callable[[Path, ModelFeatures, Array, int], Array] | None = None
    deterministic: bool = False
    lanes: tuple[int, ...] = (1, 16)
    unseen: frozenset[str] = frozenset({"rate", "hop"})
    frames: int = 12
    draws: int = 5000
    tolerance: float = 1e-4
    steps: int = 20
    fall: float = 0.3

    def weights(self, folder: Path, seed: int = 0) -> Path:
        """Return the path of a file of random weights in the folder. It is written only if it does not exist."""
        path = folder / f"weights_{seed}.safetensors"
        if not path.exists():
            self.write(path, seed)
        return path

    def one(
        self, path: Path, features: ModelFeatures, seed: int, cut: int | None = None, tap: bool = False
    ) -> Generated:
        """Return the samples that the kernel draws for one signal and, if `tap` is true, their parameters, else None.

        The arguments are those of `generate`, for one signal.
        """
        (found,) = self.generate(path, [features], [seed], cut, tap)
        return found

    def tapped(self, path: Path, features: ModelFeatures, seed: int, cut: int | None = None) -> tuple[Array, Array]:
        """Return the samples that the kernel draws for one signal, and their parameters. Arguments: as for `one`.

        Raises ModelError if `generate` returns no parameters, or not one row for each sample.
        """
        samples, parameters = self.one(path, features, seed, cut, tap=True)
        if parameters is None:
            raise self.broken("the tap", "generate returned no parameters although tap is true", "return them")
        if len(parameters) != len(samples):
            raise self.broken(
                "the tap", f"{len(parameters)} rows of parameters for {len(samples)} samples", "return a row for each"
            )
        return samples, parameters

    def broken(self, what: str, found: str, way: str) -> ModelError:
        """Return the error for a failed check. what: the property that failed. found: what was seen. way: a remedy."""
        return ModelError(f"{self.model}: {what}: {found}: {way}")


# ---- weights --------------------------------------------------------------------------------------------------------


def weights_round_trip(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless weights are read as they were written, and give the same bytes when written twice.

    The metadata of the file must have "format", "config", and in "model" the name of the model.
    """
    path, arrays, metadata = _contents(example, folder)
    missing = {"model", "format", "config"} - set(metadata)
    if missing or metadata["model"] != example.model:
        raise example.broken(
            "weights", f"the metadata are {shown(dict(metadata))}", f"write model ({example.model}), format and config"
        )
    found = example.read(path)
    if set(found) != set(arrays):
        differ = sorted(set(found) ^ set(arrays))
        raise example.broken("weights", f"written and read differ in {shown(differ)}", "read all arrays and no others")
    for name, array in arrays.items():
        if not np.array_equal(found[name], array):
            raise example.broken("weights", f"the array '{name}' has changed on its way", "write and read it as it is")
    again = folder / "again.safetensors"
    example.write(again, 0)
    if again.read_bytes() != path.read_bytes():
        raise example.broken(
            "weights", "the same weights, written twice, have other bytes", "fix the order of the keys"
        )


def foreign_weights_refused(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless `read` refuses files that are not weights of this model, and executes no pickle.

    To refuse a file is to raise ValueError; any other error counts as a failure.
    """
    _, arrays, metadata = _contents(example, folder)
    cases: dict[str, tuple[dict[str, Array], dict[str, str]]] = {
        "weights of the model 'another'": (arrays, {**metadata, "model": "another"}),
        "weights of another layout": (arrays, {**metadata, "format": "999"}),
        "a file without metadata": (arrays, {}),
        "a configuration that is no mapping": (arrays, {**metadata, "config": "[1]"}),
        "a configuration nested 20000 levels deep": (arrays, {**metadata, "config": "[" * 20_000}),
        "a file with one foreign array": ({"other": np.zeros(3, np.float32)}, dict(metadata)),
    }
    for what, (content, said) in cases.items():
        _require_refusal(example, what, _saved(folder, content, said))
    trap = folder / "pickle.safetensors"
    trap.write_bytes(pickle.dumps(_Trap(str(folder / "sprung"))))
    _require_refusal(example, "a pickle", trap)
    if (folder / "sprung").exists():
        raise example.broken("weights", "a pickle that was given as weights was executed", "never unpickle a file")


class _Trap:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (self.folder,)


def damaged_weights_refused(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless `read` refuses, with a ValueError, damaged files of weights.

    The files are cut off, have an array that is missing, added, of another shape or dtype or with a NaN, or have a
    wrong configuration (see `_misconfigured`).
    """
    path, arrays, metadata = _contents(example, folder)
    content = path.read_bytes()
    for length in (0, 7, len(content) // 2, len(content) - 1):
        cut = folder / "cut.safetensors"
        cut.write_bytes(content[:length])
        _require_refusal(example, f"the first {length} of {len(content)} bytes", cut)
    name = max(arrays, key=lambda one: arrays[one].size)
    bad = arrays[name].copy()
    bad.reshape(-1)[-1] = np.nan
    changed = {
        f"a file without '{name}'": {key: one for key, one in arrays.items() if key != name},
        "a file with an array too many": {**arrays, "too_many": np.zeros(1, np.float32)},
        f"'{name}' with one row less": {**arrays, name: np.ascontiguousarray(arrays[name][:-1])},
        f"'{name}' in float64": {**arrays, name: arrays[name].astype(np.float64)},
        f"'{name}' with a NaN": {**arrays, name: bad},
    }
    for what, given in changed.items():
        _require_refusal(example, what, _saved(folder, given, metadata))
    config = json.loads(metadata["config"])
    for what, values in _misconfigured(config, example.unseen):
        said = {**metadata, "config": json.dumps(values)}
        _require_refusal(example, f"a configuration with {what}", _saved(folder, arrays, said))


def _misconfigured(config: Mapping[str, Any], unseen: frozenset[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (description of the fault, configuration) for configurations that do not fit the arrays.

    config: the right configuration. The faults are an unknown field, a list in place of any value and, in place of a
    whole number, a negative number, a text, or 0 for a number that is not 0. unseen: the fields of `config` on which no
    array depends; whole numbers in other fields are also doubled and left out.
    """
    yield "an unknown field", {**config, "no_such_field": 1}
    for name, value in config.items():
        yield f"{name} as a list", {**config, name: [value]}
        if isinstance(value, int) and not isinstance(value, bool):
            for wrong in (-1, 0 if value else -2, str(value)):
                yield f"{name} {wrong!r}", {**config, name: wrong}
            if name not in unseen:
                yield f"{name} {2 * value} in place of {value}", {**config, name: 2 * value}
                yield f"no {name}", {key: one for key, one in config.items() if key != name}


def _contents(example: ModelExample, folder: Path) -> tuple[Path, dict[str, Array], dict[str, str]]:
    """Return (path, name -> array, metadata) of the file `example.weights(folder)`, which is written if need be."""
    from safetensors import safe_open

    path = example.weights(folder)
    with safe_open(path, "np") as file:
        return path, {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 it is no mapping


def _saved(folder: Path, arrays: dict[str, Array], metadata: Mapping[str, str]) -> Path:
    from safetensors.numpy import save_file

    path = folder / "changed.safetensors"
    save_file(arrays, path, dict(metadata) or None)
    return path


def _require_refusal(example: ModelExample, what: str, path: Path) -> None:
    way = "refuse it with a ValueError that names the file and what was expected"
    try:
        example.read(path)
    except ValueError:
        return
    except Exception as error:
        raise example.broken("weights", f"{what} raises {type(error).__name__} ({error})", way) from error
    raise example.broken("weights", f"{what} is read as weights", way)


# ---- kernel and network ---------------------------------------------------------------------------------------------


def kernel_equals_network(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless kernel and network give the same parameters for given samples, up to the tolerance.

    The samples were drawn for other features. If the kernel cannot be teacher-forced, the network is given the samples
    that the kernel draws.
    """
    path, features = example.weights(folder), example.features(example.frames, 0)
    given = example.one(path, example.features(example.frames, 1), 1)[0]
    expected = example.forward(path, features, given)
    if example.forced is None:
        samples, found = example.tapped(path, features, 0)
        _require_near(example, "free-running kernel and network", found, example.forward(path, features, samples))
        return
    for lanes in example.lanes:
        found = example.forced(path, features, given, lanes)
        _require_near(example, f"teacher-forced kernel ({lanes} lanes) and network", found, expected)


def free_equals_forced(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless kernel and network give the same parameters for the samples that the kernel draws.

    The network may differ by the tolerance. The teacher-forced kernel, if there is one, must not differ in a single
    bit.
    """
    path = example.weights(folder)
    for seed in range(2):
        features = example.features(example.frames, seed)
        samples, found = example.tapped(path, features, seed)
        expected = example.forward(path, features, samples)
        _require_near(example, "free run and teacher forcing on its own samples", found, expected)
        if example.forced and not np.array_equal(example.forced(path, features, samples, 1), found):
            raise example.broken(
                "the kernel", "free run and teacher forcing on its own samples differ in their bits",
                "let both ways run the same code",
            )  # fmt: skip


def _require_near(example: ModelExample, what: str, found: Array, expected: Array) -> None:
    if found.shape != expected.shape:
        raise example.broken(what, f"shapes {found.shape} and {expected.shape}", "return one row for each sample")
    error = np.abs(found.astype(np.float64) - expected).max(axis=1)
    bad = np.flatnonzero(~(error <= example.tolerance))
    if len(bad) == 0:
        return
    for shift, way in ((1, "the network is one sample late"), (-1, "the network is one sample early")):
        a, b = (found[:-1], expected[1:]) if shift == 1 else (found[1:], expected[:-1])
        if np.abs(a - b).max() <= example.tolerance:
            raise example.broken(
                what, f"they agree only if shifted by one sample: {way}", "row t describes sample t in both"
            )
    raise example.broken(
        what,
        f"parameters differ by {error[bad[0]]:.3g} at sample {bad[0]} (the first of {len(bad)}; {example.tolerance:g} "
        "is allowed)",
        "compare their layers at that sample",
    )


def no_future(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless the distribution of a sample depends on samples before it, and on no others.

    If a sample is drawn in several parts, it may also depend on all parts of the sample but the last.
    """
    path, features = example.weights(folder), example.features(example.frames, 0)
    other = example.features(example.frames, 1) if example.deterministic else features
    first, second = (example.one(path, one, seed)[0] for seed, one in enumerate((features, other)))
    ends = [one.reshape(len(one), -1)[:, -1] for one in (first, second)]
    forms: dict[str, Callable[[Array], Array]] = {"network": lambda given: example.forward(path, features, given)}
    if forced := example.forced:
        forms["kernel"] = lambda given: forced(path, features, given, 1)
    for name, form in forms.items():
        whole = form(first)
        for begin in (len(first) // 3, len(first) // 2):
            at = begin + int(np.argmax(ends[0][begin:] != ends[1][begin:]))
            mixed = np.concatenate((first[:at], second[at:]))
            if first.ndim > 1:  # the parts before the last one may change the parameters of the sample itself
                mixed[at, :-1] = first[at, :-1]
            differ = np.flatnonzero(np.abs(form(mixed) - whole).max(axis=1) > 1e-6)
            if len(differ) and differ[0] <= at:
                raise example.broken(
                    f"causality of the {name}",
                    f"samples changed from {at} on, and the distribution of sample {differ[0]} changed",
                    "a convolution, a state or an input looks at the sample itself or at later ones",
                )
            if not len(differ):
                raise example.broken(
                    f"the past in the {name}", f"samples changed from {at} on, and no distribution after them changed",
                    "feed the samples back",
                )  # fmt: skip


def no_memory_between_signals(example: ModelExample, folder: Path) -> None:
    """Raise ModelError if the results for a signal change, in any bit, after another signal has been computed.

    The results are the samples that the kernel draws, and the parameters that the network returns for these samples.
    """
    path = example.weights(folder)
    a, b = (example.features(example.frames, seed) for seed in (0, 1))
    before, _, after = (example.one(path, one, seed)[0] for one, seed in ((a, 0), (b, 1), (a, 0)))
    _require_same(example, "the kernel keeps a state from one signal to the next", after, before)
    samples = before
    first, _, again = (example.forward(path, one, samples) for one in (a, b, a))
    _require_same(example, "the network keeps a state from one signal to the next", again, first)


def cuts(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless samples and parameters are the same, bit for bit, in small blocks and in one block.

    The small blocks have 1, 2 and 5 frames.
    """
    path, features = example.weights(folder), example.features(example.frames, 0)
    whole, parameters = example.tapped(path, features, 0)
    for cut in (1, 2, 5):
        found, tapped = example.tapped(path, features, 0, cut)
        _require_same(example, f"the cut into blocks of {cut} frames changes the samples", found, whole)
        _require_same(example, f"the cut into blocks of {cut} frames changes the parameters", tapped, parameters)


def lanes(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless each signal of a batch is, bit for bit, the same as if it were computed alone."""
    path = example.weights(folder)
    for count in (2, 17):
        signals = [example.features(1 + (5 * k) % example.frames, k) for k in range(count)]
        alone = [example.one(path, one, k, tap=True) for k, one in enumerate(signals)]
        together = example.generate(path, signals, range(count), None, True)
        for k, (expected, found) in enumerate(zip(alone, together, strict=True)):
            what = f"signal {k} of {count} in a batch is not what it is alone"
            _require_same(example, what, found[0], expected[0])
            if found[1] is not None and expected[1] is not None:
                _require_same(example, f"{what}, in its parameters", found[1], expected[1])


def tap_changes_nothing(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless the samples are the same whether or not their parameters are returned too."""
    path, features = example.weights(folder), example.features(example.frames, 0)
    plain, tapped = example.one(path, features, 0)[0], example.tapped(path, features, 0)[0]
    _require_same(example, "tapping the distribution changes the samples", tapped, plain)


def _require_same(example: ModelExample, what: str, found: Array, expected: Array) -> None:
    if found.shape != expected.shape:
        raise example.broken(what, f"shapes {found.shape} and {expected.shape}", "return one row for each sample")
    differ = (found != expected).reshape(len(found), -1).any(axis=1)
    if differ.any():
        raise example.broken(
            what, f"{int(differ.sum())} of {len(differ)} rows differ, first row {int(np.argmax(differ))}",
            "everything that changes belongs to the state of one signal",
        )  # fmt: skip


# ---- draws ----------------------------------------------------------------------------------------------------------


def draws_follow_the_distribution(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless samples are distributed as their parameters say.

    The Kolmogorov-Smirnov test is applied to u = F(x-) + v * (F(x) - F(x-)), where F(x) is the probability of values up
    to the sample x, F(x-) the probability of values below x, and v is uniform: u is uniform if x is drawn from F. A
    correct model exceeds the limit with a probability of 1 / 100000. The seeds are fixed, so the result is the same in
    every run.
    """
    u = _uniform(example, folder, range(_signals(example, folder)))
    n = len(u)
    for column, one in enumerate(u.T):
        ordered, even = np.sort(one), np.arange(n + 1) / n
        distance = max(float((even[1:] - ordered).max()), float((ordered - even[:-1]).max()))
        if not distance <= 2.47 / np.sqrt(n):
            raise example.broken(
                "draws", f"draw {column} of {n} samples does not follow its distribution (distance {distance:.4f} of "
                f"the cumulative distributions; at most {2.47 / np.sqrt(n):.4f} is chance)",
                "look at the rule of the draw, and whether each one has a random number of its own",
            )  # fmt: skip


def draws_independent(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless draws are uncorrelated: neighbouring samples, the parts of a sample, and two signals.

    Of neighbouring samples and of two signals the first parts are compared, and in a sample the first part with each
    other part. The correlations are those of the numbers u in `draws_follow_the_distribution`.
    """
    seeds = range(_signals(example, folder))
    u = _uniform(example, folder, seeds) - 0.5
    other = _uniform(example, folder, [seed + 1000 for seed in seeds]) - 0.5
    pairs = {"of signals with other seeds": (u[:, 0], other[:, 0]), "of neighbouring samples": (u[:-1, 0], u[1:, 0])}
    for column in range(1, u.shape[1]):
        pairs[f"0 and {column} of a sample"] = (u[:, 0], u[:, column])
    for what, (a, b) in pairs.items():
        share = float((a * b).mean() * 12)  # the correlation: u is uniform, with the variance 1 / 12
        if not abs(share) <= 4.5 / np.sqrt(len(a)):  # independent draws exceed this with a probability of 1 / 150000
            raise example.broken(
                "draws", f"draws {what} are correlated ({share:.3f}; at most {4.5 / np.sqrt(len(a)):.3f} is chance)",
                "each draw of each signal needs a random number of its own",
            )  # fmt: skip


def _signals(example: ModelExample, folder: Path) -> int:
    """Return the number of signals that together have at least `example.draws` samples."""
    length = len(example.one(example.weights(folder), example.features(example.frames, 0), 0)[0])
    return -(-example.draws // length)


def _uniform(example: ModelExample, folder: Path, seeds: Sequence[int]) -> Array:
    """Return numbers [n, draws] from 0 to 1 that are uniform and independent if samples follow their distributions.

    The numbers are u in the formula of `draws_follow_the_distribution`. seeds: one for each signal that is generated;
    n is the number of samples of all signals together.
    """
    path, found = example.weights(folder), []
    signals = [example.features(example.frames, k) for k in range(len(seeds))]
    cumulative = example.cumulative or _certain
    for seed, (samples, parameters) in zip(seeds, example.generate(path, signals, seeds, None, True), strict=True):
        assert parameters is not None
        below, up_to = (one.reshape(len(samples), -1) for one in cumulative(parameters, samples))
        found.append(below + generator(10**9 + seed).random(below.shape) * (up_to - below))
    u: Array = np.concatenate(found)
    return u


def _certain(parameters: Array, samples: Array) -> tuple[Array, Array]:
    """Return the cumulative probabilities, [n, 1] each, of values below each sample and up to it.

    The model is deterministic: its parameters are the samples, both [n]. For a sample that equals its parameter, the
    probabilities are 0 and 1; for any other sample, both are 0.
    """
    right = samples.reshape(len(samples), -1) == parameters.reshape(len(samples), -1)
    return np.zeros(right.shape), right.astype(float)


# ---- training -------------------------------------------------------------------------------------------------------


def resume_exact(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless a run that is resumed halfway ends with the weights of an uninterrupted run, bit for bit.

    A second uninterrupted run must end with the same weights too.
    """
    steps = max(4, example.steps // 4)
    whole = example.train(folder / "whole", steps, False)
    twice = example.train(folder / "twice", steps, False)
    _require_same_run(example, whole, twice, "two runs of the same settings", "fix the seed of all random numbers")
    example.train(folder / "parts", steps // 2, False)
    parts = example.train(folder / "parts", steps, True)
    way = "weights, optimiser, order of the data, random numbers and schedules go on from the checkpoint"
    _require_same_run(example, whole, parts, "an unbroken run and a resumed one", way)


def _require_same_run(example: ModelExample, first: Path, second: Path, what: str, way: str) -> None:
    a, b = example.read(first), example.read(second)
    if differ := sorted(name for name in a if a[name].tobytes() != b[name].tobytes()):
        losses = [_losses(path.parent) for path in (first, second)]
        at = next((k + 1 for k, pair in enumerate(zip(*losses, strict=False)) if pair[0] != pair[1]), None)
        where = f"the loss differs from batch {at} on" if at else "the losses are the same"
        raise example.broken("training", f"{what} end with other weights ({shown(differ)}); {where}", way)


def loss_falls(example: ModelExample, folder: Path) -> None:
    """Raise ModelError unless the training loss on a small data set falls by `example.fall` or more.

    The mean loss of the first fifth of the batches is compared with that of the last fifth.
    """
    example.train(folder / "toy", example.steps, False)
    found = _losses(folder / "toy")
    few = max(1, len(found) // 5)
    fallen = float(np.mean(found[:few]) - np.mean(found[-few:]))
    if not fallen >= example.fall:
        raise example.broken(
            "training", f"after {len(found)} batches the loss has fallen by {fallen:.3f}; expected {example.fall:g}",
            "look at the loss, its target and the learning rate",
        )  # fmt: skip


def _losses(out: Path) -> list[float]:
    """Return the training losses of the batches in the log of a run. out: the folder of the run."""
    with (out / "logs" / "metrics.csv").open(newline="") as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file) if row["train_loss"]]


# ---- all checks -----------------------------------------------------------------------------------------------------

ModelCheck: TypeAlias = Callable[[ModelExample, Path], None]

MODEL_CHECKS: dict[str, ModelCheck] = {
    check.__name__: check
    for check in (
        weights_round_trip,
        foreign_weights_refused,
        damaged_weights_refused,
        no_future,
        no_memory_between_signals,
        kernel_equals_network,
        free_equals_forced,
        cuts,
        lanes,
        tap_changes_nothing,
        draws_follow_the_distribution,
        draws_independent,
        resume_exact,
        loss_falls,
    )
}
"""Name -> check of a model. A check is called with an example and an empty folder."""


def check_model(example: ModelExample, folder: Path) -> None:
    """Run every check of `MODEL_CHECKS` on a model. Raises ModelError for the first check that fails.

    folder: an empty folder, or one that does not exist yet. Each check gets a folder of its own in it.
    """
    for name, check in MODEL_CHECKS.items():
        own = folder / name
        own.mkdir(parents=True)
        check(example, own)
