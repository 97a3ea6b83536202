"""The training loop of all models, with exact resume.

A run that is stopped and resumed ends with the same weights, bit for bit, as an unbroken one. For this, batch number n
and the random numbers of torch depend on n alone, and a checkpoint holds everything that an update changes: the
network, its moving average, the states of the optimisers, and the numbers of batches and updates.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from dspgraph import RequestError
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.shared.atomic import write_atomically
from dspgraph_nodes.models.shared.data import FeatureFunction, rng
from dspgraph_nodes.models.shared.logs import Logs
from dspgraph_nodes.models.shared.muon import Muon, hidden_matrices
from dspgraph_nodes.models.shared.parallel import Group, in_processes
from dspgraph_nodes.models.shared.settings import RESUMABLE, RunSettings
from dspgraph_nodes.models.shared.sparsity import Pruning

WEIGHTS_FILE, CHECKPOINT = "weights.safetensors", "checkpoint.ckpt"

Report = Callable[[str], None]
Loss = Tensor | Mapping[str, Tensor]
"""The loss of one update, or a mapping with the loss under "loss" and further figures to log under other names."""

Settings = TypeVar("Settings", bound=RunSettings)


class LoggedSound(NamedTuple):
    """A sound for the logs.

    samples: [n], full scale +-1; rate: the sample rate in Hz; picture: colours [bins, columns, 3] from 0 to 1, with row
    0 at the bottom, or None if the sound has no picture.
    """

    samples: Array
    rate: int
    picture: Array | None = None


@dataclass(frozen=True)
class Task:
    """The functions and values that a model gives to the training loop.

    network: returns a new network, with its configuration as the attribute `config`. batch: returns batch number n,
    tensors in tuples or mappings, which depend on n alone. losses: yields the losses for (network, batch), one for each
    update of the weights; the weights are updated before the next loss is computed. validate: returns the figures of a
    network (numbers for the logs, by name), with "loss" among them; it is called without gradients, in evaluation mode.
    save: writes a network to a file of weights. load: reads a network from such a file; raises ValueError if that is
    impossible. fingerprint: a digest of all data. summary: a line about the data, for the user.

    figures: the names of the figures besides "loss" in training and validation. measured: the names of further figures,
    which only the validation has. unit: the unit of the loss with a blank before it, for the user. restart: returns
    whether the optimisers forget their moments, given the number of batches that each process has made so far. pruning:
    the sparse matrices. adam: further arguments of the optimiser Adam. ends: the names of the modules that read or
    predict samples; Adam updates their weights even if the setting `optimizer` is muon. rate: returns a factor of the
    learning rates after n updates, in addition to the factor of the setting `decay`.

    constrain: changes the weights of the network it is given, after every update. audio: returns sounds by name, made
    with a file of weights; it is called after a validation if the setting `audio` is above 0.

    parts: the names of the modules in the network that are updated in turn: update n changes only the weights of part
    number n modulo len(parts). A generative adversarial network, for instance, has the parts ("critic", "generator"):
    `losses` yields the loss of the critic, then the loss of the generator. By default all weights are updated together.
    """

    network: Callable[[], nn.Module]
    batch: Callable[[int], Any]
    losses: Callable[[Any, Any], Iterator[Loss]]
    validate: Callable[[Any], Mapping[str, float]]
    save: Callable[[Any, Path], None]
    load: Callable[[Path], nn.Module]
    fingerprint: str
    summary: str
    figures: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    unit: str = " nats"
    restart: Callable[[int], bool] | None = None
    pruning: Pruning | None = None
    adam: Mapping[str, Any] = field(default_factory=dict)
    ends: tuple[str, ...] = ()
    rate: Callable[[int], float] | None = None
    constrain: Callable[[Any], None] | None = None
    audio: Callable[[Path], Mapping[str, LoggedSound]] | None = None
    parts: tuple[str, ...] = ("",)


# ---- the run from outside -------------------------------------------------------------------------------------------


def train(
    make_task: Callable[..., Task],
    recordings: Mapping[str, Array],
    features: FeatureFunction,
    out: Path,
    settings: Settings,
    resume: bool = False,
    progress: bool = False,
    report: Report = lambda line: None,
    init: Path | None = None,
    labels: Mapping[str, Mapping[str, str]] | None = None,
) -> Path:
    """Train a network and return the file of its weights.

    make_task: prepares the data and returns the task of a model; its arguments are (settings, recordings, features)
    and, if they are given, the labels; recordings: samples [n], full scale +-1, by name; features: the function that
    computes their features; out: the folder for the results; resume: continue the run in that folder, with its own
    values of all settings that are not set in `settings`; progress: show a progress bar; report: called with every line
    of the report; init: a file of weights to begin with, in a new run only; labels: name of a recording -> column of
    the manifest -> text, for a model that learns from labels.

    After every validation weights.safetensors and checkpoint.ckpt are written, the checkpoint also after every
    `checkpoint_every` batches; logs/ has logs, for TensorBoard and as CSV; audio/ and pictures/ have the sounds of
    validations and their pictures. Raises RequestError if the recordings cannot be used, if `resume` and `init` are
    both given, if the machine does not have the device of the settings or there are several processes on a GPU, if
    there is no run to resume, if a new run would overwrite another one in `out`, if the run to be resumed had other
    settings or data, if the weights to begin with do not fit, if a loss is not finite, or if a file cannot be written.
    Raises RuntimeError if another process of the run fails, and KeyboardInterrupt after Ctrl-C; then the files of the
    last checkpoint remain.
    """
    checkpoint = out / CHECKPOINT
    _check_request(checkpoint, resume, init, settings)
    saved = _read_checkpoint(checkpoint, type(settings)) if resume else None
    if saved:
        settings = _resumed(saved, settings, checkpoint)
    task = make_task(settings, recordings, features, *(() if labels is None else (labels,)))
    if saved and saved["run"]["data"] != task.fingerprint:
        raise RequestError(
            "the recordings or their features differ from those of the run so far: give the same files, or begin a "
            "new run in another folder"
        )
    report(task.summary)
    with _torch_settings(settings), torch.random.fork_rng(_cuda_devices(settings)):

        def work(group: Group) -> None:
            run = Run(task, settings, init, group)
            if saved:
                _load_state(run, saved, checkpoint)
            if group.number:
                _follow_along(run)
                return
            try:
                _fit(run, out, progress, report)
            except OSError as error:
                place = error.filename2 or error.filename or out
                raise RequestError(
                    f"{place} cannot be written: {error.strerror or error}: free space, or choose another folder"
                ) from error
            except KeyboardInterrupt:
                way = (
                    f"continue from {checkpoint} with --resume"
                    if checkpoint.is_file()
                    else "there is nothing to resume"
                )
                report(f"stopped after {run.batches} of {settings.steps} batches: {way}")
                raise

        in_processes(settings.processes, work)
    return out / WEIGHTS_FILE


def _follow_along(run: Run) -> None:
    """Train without writing files, in a process other than the first one, until all batches are done."""
    while run.batches < run.settings.steps:
        run.step()


def _check_request(checkpoint: Path, resume: bool, init: Path | None, settings: RunSettings) -> None:
    if resume and init:
        raise RequestError("--init is for a new run, and --resume continues one: drop one of them")
    if resume and not checkpoint.is_file():
        raise RequestError(f"there is no {checkpoint} to resume: train without --resume")
    if checkpoint.is_file() and not resume:
        raise RequestError(f"{checkpoint} exists already: add --resume to continue that run, or choose another folder")
    weights = checkpoint.with_name(WEIGHTS_FILE)
    if weights.exists() and not resume:
        raise RequestError(f"{weights} exists already: move it away, or choose another folder")
    if settings.processes > 1 and _device(settings) == "cuda":
        raise RequestError(
            f"processes is {settings.processes}; on a GPU there is one: set device to cpu, or processes to 1"
        )
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise RequestError("device is cuda, but torch finds no GPU on this machine: set device to cpu or auto")


def _device(settings: RunSettings) -> str:
    return {"auto": "cuda" if torch.cuda.is_available() else "cpu"}.get(settings.device, settings.device)


def _cuda_devices(settings: RunSettings) -> list[int]:
    return [torch.cuda.current_device()] if _device(settings) == "cuda" else []


@contextmanager
def _torch_settings(settings: RunSettings) -> Iterator[None]:
    """Return a context in which torch has the number of threads of the settings, and is deterministic.

    In the context, no warnings are shown. Afterwards, the number of threads and the choice of algorithms are restored;
    the environment variable CUBLAS_WORKSPACE_CONFIG, which is set if it is missing, stays.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filled: Any = torch.utils.deterministic
    fill = filled.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the matrix products of a GPU are not exact without it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if settings.threads or settings.processes > 1:
                torch.set_num_threads(settings.threads or 1)
            torch.use_deterministic_algorithms(True)
            filled.fill_uninitialized_memory = False  # memory that is written before it is read needs no numbers
            yield
        finally:
            filled.fill_uninitialized_memory = fill
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)


# ---- updates --------------------------------------------------------------------------------------------------------


class Run:
    """A training run in one process: the network, the moving average of its weights, the optimisers, and the counts.

    init: a file of weights to begin with. group: the processes that train together; by default this process alone.
    Raises RequestError as `_copy_weights` and `_optimizers` do. A new `Run` and the method `step` seed torch's random
    numbers.

    batches, updates: the numbers of batches and of updates of the weights so far. mean: the network with the averages;
    None if the setting `ema` is 0.
    """

    def __init__(self, task: Task, settings: RunSettings, init: Path | None = None, group: Group | None = None) -> None:
        self.task, self.settings, self.device, self.group = task, settings, _device(settings), group or Group()
        torch.manual_seed(settings.seed)
        network = task.network()
        if init:
            _copy_weights(task, init, network)
        self.network = network.to(self.device).train()
        self.mean = deepcopy(self.network).requires_grad_(False) if settings.ema else None
        self.optimizers = _optimizers(self.network, task, settings)
        self.batches = self.updates = 0

    @property
    def result(self) -> nn.Module:
        """The network that is validated and saved: `mean`, or `network` if there is no moving average."""
        return self.network if self.mean is None else self.mean

    def rate(self) -> float:
        """Return the factor of the learning rates of the settings in the next update."""
        factor = 1 / (1 + self.settings.decay * self.updates)
        return factor * self.task.rate(self.updates) if self.task.rate else factor

    def step(self) -> dict[str, float]:
        """Train on the next batch; return the numbers for the logs, such as "loss", by name.

        Each number is the mean over the updates of this batch whose `Loss` contains it. With several processes, the
        numbers are those of the batch of this process.
        """
        number = self.batches * self.group.count + self.group.number
        torch.manual_seed(int(rng(self.settings.seed, number, 0, 2).integers(2**62)))
        if self.task.restart and self.task.restart(self.batches):
            for optimizer in self.optimizers:
                optimizer.state.clear()
        batch = moved(self.task.batch(number), self.device)
        losses, pruning = self.task.losses(self.network, batch), self.task.pruning
        figures: list[Mapping[str, Tensor]] = []
        while (figure := self._next(losses)) is not None:
            self._update(figure["loss"])
            # From the end of the schedule on, blocks are removed after every update, so that none grows back.
            if pruning and self.batches >= pruning.schedule.end:
                pruning.prune(self.network, self.batches + 1)
            self._follow()
            figures.append({name: value.detach() for name, value in figure.items()})
        self.batches += 1
        if pruning:
            pruning.prune(self.network, self.batches)
            if self.mean is not None:
                pruning.follow(self.mean, self.network)
        values: dict[str, list[Tensor]] = {}
        for each in figures:
            for name, value in each.items():
                values.setdefault(name, []).append(value)
        return {name: float(sum(found)) / len(found) for name, found in values.items()}

    def _next(self, losses: Iterator[Loss]) -> Mapping[str, Tensor] | None:
        with self._precision():
            loss = next(losses, None)
        return {"loss": loss} if isinstance(loss, Tensor) else loss

    def _precision(self) -> Any:
        if self.settings.precision == "bf16":
            return torch.autocast(self.device, torch.bfloat16)
        return nullcontext()

    def _part(self, update: int) -> str:
        """Return the name of the module that update number `update` changes; "" stands for the whole network."""
        return self.task.parts[update % len(self.task.parts)]

    def _update(self, loss: Tensor) -> None:
        part = self._part(self.updates)
        weights = list(self.network.get_submodule(part).parameters())
        self.network.zero_grad()
        torch.autograd.backward(loss, inputs=weights if part else None)
        self.group.average(weights)
        nn.utils.clip_grad_norm_(weights, self.settings.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["first"] * self.rate()
            optimizer.step()  # weights without a gradient, those of other parts, stay as they are
        if self.task.constrain:
            with torch.no_grad():
                self.task.constrain(self.network)
        self.updates += 1

    @torch.no_grad()
    def _follow(self) -> None:
        """Update the moving average of the weights that the last update has changed.

        In the first updates the average follows the weights faster. All buffers are copied. Weights that pruning has
        set to 0 become 0 in the average too. Without a moving average, nothing is done.
        """
        if self.mean is None:
            return
        part, updates = self._part(self.updates - 1), -(-self.updates // len(self.task.parts))
        share = 1 - min(self.settings.ema, updates / (9 + updates))
        of_mean, of_network = self.mean.get_submodule(part), self.network.get_submodule(part)
        for average, last in zip(of_mean.parameters(), of_network.parameters(), strict=True):
            average.lerp_(last, share)
        for kept, newest in zip(self.mean.buffers(), self.network.buffers(), strict=True):
            kept.copy_(newest)
        if self.task.pruning:
            self.task.pruning.follow(self.mean, self.network)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Validate `result`; return numbers for the logs by name, such as "loss". Put `network` in training mode."""
        result = self.result.eval()
        try:
            with self._precision():
                return dict(self.task.validate(result))
        finally:
            self.network.train()

    def state(self) -> dict[str, Any]:
        """Return a checkpoint of the run: tensors and plain values only. Later calls of `step` change these tensors."""
        run = {
            "settings": self.settings.model_dump_json(), "data": self.task.fingerprint, "batches": self.batches,
            "updates": self.updates,
        }  # fmt: skip
        return {
            "run": run,
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict() if self.mean is not None else {},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def load_state(self, saved: Mapping[str, Any]) -> None:
        """Continue from `saved`, a checkpoint that `state` has returned for a run with the same settings and data."""
        self.network.load_state_dict(saved["network"])
        if self.mean is not None:
            self.mean.load_state_dict(saved["mean"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.batches, self.updates = saved["run"]["batches"], saved["run"]["updates"]


def _optimizers(network: nn.Module, task: Task, settings: RunSettings) -> list[torch.optim.Optimizer]:
    """Return the optimisers of a network's weights: Adam; with the setting muon also Muon, for the hidden matrices.

    In each parameter group of an optimiser, the key "first" has the learning rate of the settings, which is multiplied
    by `Run.rate` in each update.

    Raises RequestError if the setting `optimizer` is muon and the network has no matrices in hidden layers.
    """
    hidden = hidden_matrices(network, task.ends) if settings.optimizer == "muon" else []
    if settings.optimizer == "muon" and not hidden:
        raise RequestError("optimizer is muon, but this network has no matrices in hidden layers: set it to adam")
    chosen = {id(one) for one in hidden}
    others = [one for one in network.parameters() if id(one) not in chosen]
    found: list[torch.optim.Optimizer] = [torch.optim.Adam(others, settings.learning_rate, **task.adam)]
    if hidden:
        found.append(Muon(hidden, settings.muon_rate))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["first"] = group["lr"]
    return found


def _copy_weights(task: Task, init: Path, network: Any) -> None:
    """Copy the weights in the file `init` into `network`.

    Raises RequestError if the file has no weights of this model, or if any field of its configuration differs from that
    of the network.
    """
    try:
        given: Any = task.load(init)
    except ValueError as error:
        raise RequestError(f"--init: {error}") from None
    found, asked = given.config, network.config
    if found != asked:
        differ = [name for name in type(asked).model_fields if getattr(found, name) != getattr(asked, name)]
        sizes = ", ".join(f"{name} {getattr(found, name)} (asked: {getattr(asked, name)})" for name in differ)
        raise RequestError(
            f"--init: {init} holds a network with {sizes}: set its sizes in this run, or choose another preset"
        )
    network.load_state_dict(given.state_dict())


def moved(batch: Any, device: str) -> Any:
    """Return a batch with all its tensors on a device, such as "cuda".

    batch: tensors, in tuples, lists or mappings. Lists become tuples, mappings become dicts; other values stay.
    """
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {name: moved(each, device) for name, each in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(moved(each, device) for each in batch)
    return batch


# ---- the loop, checkpoints and reports ------------------------------------------------------------------------------


def _fit(run: Run, out: Path, progress: bool, report: Report) -> None:
    settings, begin, first = run.settings, time.monotonic(), run.batches
    figures = ("loss", *run.task.figures)
    names = [f"train_{name}" for name in figures] + [f"validation_{name}" for name in (*figures, *run.task.measured)]
    logs = Logs(out, [*names, "learning_rate", "batches_per_second"], run.batches)

    def pace() -> float:
        return (run.batches - first) / max(time.monotonic() - begin, 1e-9)

    with _bar(progress, run.batches, settings.steps) as shown:
        try:
            while run.batches < settings.steps:
                found = run.step()
                shown(run.batches, f"loss {found['loss']:.3f}")
                row = {}
                _require_finite(run, "training", found["loss"])
                if run.batches % settings.log_every == 0:
                    row = {f"train_{name}": found[name] for name in figures}
                    row |= {"learning_rate": settings.learning_rate * run.rate(), "batches_per_second": pace()}
                last = run.batches == settings.steps
                valid = last or run.batches % settings.validate_every == 0
                if valid:
                    row |= _validated(run, out, (*figures, *run.task.measured), logs)
                if row:
                    logs.write(run.batches, row)
                if valid or (settings.checkpoint_every and run.batches % settings.checkpoint_every == 0):
                    logs.flush()
                    _write_checkpoint(run, out / CHECKPOINT)
                if valid:
                    left = (settings.steps - run.batches) / pace()
                    report(
                        f"{run.batches} of {settings.steps} batches: loss {found['loss']:.3f}{run.task.unit}, "
                        f"{row['validation_loss']:.3f} in validation; {pace():.3g} batches/s, {_spoken(left)} left"
                    )
        finally:
            logs.close()


def _validated(run: Run, out: Path, figures: tuple[str, ...], logs: Logs) -> dict[str, float]:
    """Validate the network `run.result`, save its weights in the folder `out`, and return the numbers for the logs.

    figures: the names of the numbers wanted; in the result they begin with "validation_". Sounds and pictures are
    written to `logs` if the task and the settings ask for them. Raises RequestError if the loss is not finite.
    """
    found = run.validate()
    _require_finite(run, "validation", found["loss"])
    run.task.save(run.result, out / WEIGHTS_FILE)
    if run.task.audio and run.settings.audio:
        for name, (samples, rate, picture) in run.task.audio(out / WEIGHTS_FILE).items():
            logs.audio(run.batches, name, samples, rate)
            if picture is not None:
                logs.picture(run.batches, name, picture)
    return {f"validation_{name}": float(found[name]) for name in figures}


def _require_finite(run: Run, where: str, loss: float) -> None:
    if not math.isfinite(loss):
        raise RequestError(
            f"after {run.batches} batches the {where} loss is {loss}: begin a new run with a lower learning_rate "
            f"(here {run.settings.learning_rate:g})"
        )


def _spoken(seconds: float) -> str:
    """Return a duration in seconds as text: "40 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def _bar(progress: bool, done: int, steps: int) -> Iterator[Callable[[int, str], None]]:
    """Return a context with a progress bar on stderr, and yield the function that updates the bar.

    The function takes the number of batches so far and a text to show. progress: if false, no bar is shown, and the
    function does nothing; done, steps: the number of batches at the start and at the end.
    """
    if not progress:
        yield lambda batches, text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (MofNCompleteColumn(), TextColumn("batches"), BarColumn(), TextColumn("{task.description}"),
               TextColumn("{task.fields[pace]}"), TimeRemainingColumn())  # fmt: skip
    begin = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=steps, completed=done, pace="")

        def show(batches: int, text: str) -> None:
            pace = (batches - done) / max(time.monotonic() - begin, 1e-9)
            bar.update(task, completed=batches, description=text, pace=f"{pace:.3g} batches/s")

        yield show


def _write_checkpoint(run: Run, path: Path) -> None:
    content = io.BytesIO()
    torch.save(run.state(), content)
    write_atomically(path, content.getbuffer())


def _read_checkpoint(path: Path, kind: type[RunSettings]) -> dict[str, Any]:
    """Return the checkpoint in a file. Nothing in the file is executed.

    kind: the class of the model's settings. Raises RequestError if the file is no checkpoint of this model.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        run = saved["run"]
        kind.model_validate_json(run["settings"])
        if missing := {"network", "mean", "optimizers"} - set(saved):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        if any(not isinstance(run[name], int) or run[name] < 0 for name in ("batches", "updates")):
            raise ValueError("its numbers of batches and updates are no whole numbers")
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, EOFError, pickle.UnpicklingError) as error:
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise RequestError(
            f"{path} cannot be resumed; expected a checkpoint of this model ({why}): begin a new run in another folder"
        ) from None
    return dict(saved)


def _load_state(run: Run, saved: Mapping[str, Any], path: Path) -> None:
    try:
        run.load_state(saved)
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{path} cannot be resumed; its tensors do not fit its settings "
            f"({str(error).partition(chr(10))[0][:200]}): begin a new run in another folder"
        ) from None


def _resumed(saved: Mapping[str, Any], given: Settings, path: Path) -> Settings:
    """Return the settings with which a run continues.

    saved: the checkpoint. given: new settings; settings that are not set in `given` stay as they were in the run. path:
    the file of the checkpoint, for messages. Raises RequestError if `given` changes a setting that cannot change during
    a run, or if the run has already made more batches than the new number of steps.
    """
    kind, batches = type(given), saved["run"]["batches"]
    before = kind.model_validate_json(saved["run"]["settings"])
    for name in given.model_fields_set - RESUMABLE:
        old, new = getattr(before, name), getattr(given, name)
        if old != new:
            raise RequestError(
                f"{name} is {new}; the run began with {old}: leave it out, or begin a new run in another folder"
            )
    asked = {name: getattr(given, name) for name in given.model_fields_set}
    settings = kind.model_validate({**before.model_dump(), **asked})
    if batches > settings.steps:
        raise RequestError(
            f"steps is {settings.steps}; the run in {path.parent} has made {batches} already: set more steps"
        )
    return settings
