"""LPCNet learns: the settings of a run, and the run.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019;
the strengths of the noise and the blocks are those of the program published with it.
"""

from __future__ import annotations

import io
import logging
import math
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, Self

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from pydantic import BaseModel, Field, model_validator
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from dspgraph_nodes.models.lpcnet import cpu as lpcnet_cpu
from dspgraph_nodes.models.lpcnet.config import HOP, PRESETS, Config
from dspgraph_nodes.models.lpcnet.data import (
    CONTEXT,
    PIPELINE,
    Array,
    Chunks,
    Features,
    Item,
    Order,
    Utterance,
    augmented,
    drawn,
    utterance,
)
from dspgraph_nodes.models.lpcnet.distribution import fixed_entropy
from dspgraph_nodes.models.lpcnet.network import LPCNet, save
from dspgraph_nodes.models.shared.atomic import write_atomically
from dspgraph_nodes.models.shared.sparsity import BLOCK, Schedule, sparsify

__all__ = ["PIPELINE", "Settings", "TrainingError", "train"]

WEIGHTS, CHECKPOINT = "weights.safetensors", "checkpoint.ckpt"


class Settings(BaseModel, frozen=True, extra="forbid"):
    """How a network is trained. The defaults are the published ones."""

    preset: str = Field("lpcnet", description=f"sizes of the network: {' or '.join(PRESETS)}")
    gru_a: int | None = Field(
        None, ge=BLOCK, multiple_of=BLOCK, description="units of the first GRU, else the preset's"
    )
    gru_b: int | None = Field(
        None, ge=BLOCK, multiple_of=BLOCK, description="units of the second GRU, else the preset's"
    )
    embedding: int | None = Field(None, ge=1, description="width of a mu-law code's embedding, else the preset's")
    condition: int | None = Field(
        None, ge=BLOCK, multiple_of=BLOCK, description="channels of the frame-rate network, else the preset's"
    )
    steps: int = Field(100_000, ge=1, description="batches to learn from")
    batch: int = Field(64, ge=1, description="chunks in a batch")
    frames: int = Field(15, ge=1, description="frames of 10 ms in a chunk")
    updates: int = Field(1, ge=1, description="updates per batch: chunks are learnt part by part, states carried over")
    noise: Literal["c", "2018", "none"] = Field(
        "c", description="what is added in the loop: as the C program, the paper"
    )
    strength: float = Field(1.0, gt=0, description="the noise is as many times the published")
    clean: float = Field(0.0, ge=0, le=1, description="share of the chunks that get no noise")
    augment: int = Field(1, ge=0, description="copies of every file with a random filter and level, beside the file")
    held: float = Field(0.05, ge=0, lt=1, description="share of the files that is kept for validation, at least one")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam with amsgrad")
    decay: float = Field(5e-5, ge=0, description="the learning rate is divided by 1 + decay * updates")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")
    average: float = Field(
        0.0, ge=0, lt=1, description="what the weights that are kept are, at every update, of those before; 0: the last"
    )
    density_update: float = Field(0.05, gt=0, le=1, description="blocks left of the update gate of the first GRU")
    density_reset: float = Field(0.05, gt=0, le=1, description="blocks left of its reset gate")
    density_state: float = Field(0.2, gt=0, le=1, description="blocks left of its state")
    sparse_start: int = Field(2000, ge=0, description="batches before blocks are taken away")
    sparse_end: int = Field(40000, ge=1, description="batches until the last is")
    sparse_every: int = Field(400, ge=1, description="batches between two choices of blocks")
    validate_every: int = Field(1000, ge=1, description="batches between two validations, each with a checkpoint")
    seed: int = Field(0, ge=0, description="of everything that is drawn")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU if there is one")
    precision: Literal["float32", "bf16"] = Field("float32", description="of the products; the weights are float32")
    threads: int | None = Field(None, ge=1, description="of the CPU, else as torch has it")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.preset not in PRESETS:
            raise ValueError(f"preset is '{self.preset}'; there are: {', '.join(PRESETS)}")
        if self.frames * HOP % self.updates:
            raise ValueError(f"updates is {self.updates}; it must divide the {self.frames * HOP} samples of a chunk")
        if self.steps > self.validate_every and self.steps % self.validate_every:
            raise ValueError(f"steps is {self.steps}; it must be a multiple of validate_every, {self.validate_every}")
        if self.sparse_end <= self.sparse_start:
            raise ValueError(f"sparse_end is {self.sparse_end}; it must be above sparse_start, {self.sparse_start}")
        return self

    @property
    def config(self) -> Config:
        """The sizes of the network."""
        own = {name: value for name in ("gru_a", "gru_b", "embedding", "condition") if (value := getattr(self, name))}
        return Config(**{**vars(PRESETS[self.preset]), **own})

    @property
    def every(self) -> int:
        """Batches between two validations."""
        return min(self.validate_every, self.steps)


MAY_CHANGE = {"steps", "device", "threads"}
"""What a resumed run may be given anew; all else is as it was, so that it goes on as if it had never stopped."""


class TrainingError(ValueError):
    """What cannot be trained on, or resumed."""


def train(
    recordings: Mapping[str, Array],
    features: Features,
    out: Path,
    settings: Settings,
    resume: bool = False,
    progress: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train on recordings [n], by name, and give the file of the weights.

    The folder `out` gets weights.safetensors and checkpoint.ckpt after every validation, and logs for TensorBoard and
    as CSV. Raises TrainingError where a recording is too short, where there is nothing to resume, or another run, and
    where nothing can be written; KeyboardInterrupt after Ctrl-C, when what there was at the last validation is kept.
    """
    checkpoint = out / CHECKPOINT
    if resume != checkpoint.is_file():
        raise TrainingError(
            f"there is no {checkpoint} to resume: train without --resume" if resume
            else f"{checkpoint} is there already: resume that run, or write elsewhere"
        )  # fmt: skip
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device is cuda, and torch finds no GPU here: take cpu, or auto")
    data = None
    if resume:
        settings, data = resumed(checkpoint, settings)
    learnt, kept = utterances(recordings, features, settings)
    with _surroundings(settings):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            run = Run(settings, LPCNet(settings.config), fingerprint([*learnt, *kept]))
        if data not in (None, run.data):
            raise TrainingError("the data are not those the run began with: give it the same files, or begin anew")
        chunks = Chunks(learnt, settings.frames, settings.noise, settings.seed, settings.clean, settings.strength)
        plain = Chunks(kept, settings.frames, "none", settings.seed)
        report(
            f"{len(chunks)} chunks of {settings.frames} frames to learn, {len(plain)} to validate; "
            f"the best fixed distribution has {fixed_entropy(kept):.3f} nats"
        )
        order = Order(len(chunks), settings.batch, settings.seed, lambda: run.batches, settings.every)
        groups = [[(-1, k) for k in range(len(plain))][n :: -(-len(plain) // 64)] for n in range(-(-len(plain) // 64))]
        logs = CSVLogger(out, "logs")
        callbacks: list[Callback] = [
            Teller(out / WEIGHTS, report),
            ModelCheckpoint(out, Path(CHECKPOINT).stem, save_on_train_epoch_end=True, enable_version_counter=False),
        ]
        trainer = lightning.Trainer(
            accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[settings.device],
            devices=1,
            precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
            max_epochs=settings.steps // settings.every,
            num_sanity_val_steps=0,
            logger=[logs, TensorBoardLogger(out, "logs", logs.version)],
            log_every_n_steps=1,
            callbacks=callbacks,
            plugins=[WholeFiles()],
            enable_progress_bar=progress,
            enable_model_summary=False,
            deterministic=True,
            inference_mode=False,
        )
        loaders = DataLoader(chunks, batch_sampler=order), DataLoader(plain, batch_sampler=groups)
        try:
            trainer.fit(run, *loaders, ckpt_path=checkpoint if resume else None, weights_only=True)  # never unpickled
        except OSError as error:
            place = error.filename2 or error.filename or out
            raise TrainingError(f"{place} cannot be written: {error.strerror or error}: make room, or way") from error
        except SystemExit:  # of Lightning, after Ctrl-C
            if not trainer.interrupted:
                raise
            way = f"go on from {checkpoint} with --resume" if checkpoint.is_file() else "there is nothing to resume"
            report(f"stopped after {run.batches} of {settings.steps} batches: {way}")
            raise KeyboardInterrupt from None
    return out / WEIGHTS


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that are whole, wherever the run is stopped."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write it beside its place first."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(path, content.getbuffer())


class Run(lightning.LightningModule):
    """One run: a batch of chunks is learnt part by part, each part an update, with the states of the GRUs carried over.

    A checkpoint of it holds tensors and plain values alone.
    """

    def __init__(self, settings: Settings, model: LPCNet, data: str) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings, self.model, self.data = settings, model, data
        if settings.average:
            self.mean = deepcopy(model).requires_grad_(False)
        self.batches = 0
        self.schedule = Schedule(settings.sparse_start, settings.sparse_end, settings.sparse_every)

    @property
    def kept(self) -> LPCNet:
        """The network whose weights are written down: that of the last update, or the running mean of all."""
        return self.mean if self.settings.average else self.model

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.model.parameters(), self.settings.learning_rate, amsgrad=True)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: 1 / (1 + self.settings.decay * update))
        return [optimizer], [rate]

    def training_step(self, batch: Item, number: int) -> None:
        *rows, codes, target = batch
        optimizer: Any = self.optimizers()
        rate: Any = self.lr_schedulers()
        length, state, total = codes.shape[1] // self.settings.updates, None, 0.0
        for first in range(0, codes.shape[1], length):
            last = first + length
            loss, state = self._loss(self.model, rows, codes, target, first, last, state)
            optimizer.zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(optimizer, self.settings.clip)
            optimizer.step()
            if last == codes.shape[1] or self.batches >= self.schedule.end:  # in the end no block comes back in between
                self._sparsify(self.batches + 1)
            self._follow(self.batches * self.settings.updates + first // length)
            rate.step()
            total += float(loss.detach()) / self.settings.updates
        self.batches += 1
        self.log("train_loss", total, prog_bar=True)
        self.log("learning_rate", rate.get_last_lr()[0])

    @torch.no_grad()
    def _follow(self, update: int) -> None:
        """Bring the mean up to date, of the first updates faster; a block that is gone is gone from it too."""
        if not self.settings.average:
            return
        share = 1 - min(self.settings.average, (1 + update) / (10 + update))
        for kept, last in zip(self.mean.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(last, share)
        mean, new = self.mean.gru_a.weight_hh_l0, self.model.gru_a.weight_hh_l0
        assert isinstance(mean, Tensor)
        assert isinstance(new, Tensor)
        mean.mul_(new != 0)

    def _sparsify(self, batches: int) -> None:
        """Take away the blocks that have to go after so many batches."""
        if self.schedule.due(batches):
            last = self.settings.density_reset, self.settings.density_update, self.settings.density_state
            shares = tuple(self.schedule.density(batches, density) for density in last)
            recurrent = self.model.gru_a.weight_hh_l0
            assert isinstance(recurrent, Tensor)
            sparsify(recurrent, shares)

    def validation_step(self, batch: Item, number: int) -> None:
        *rows, codes, target = batch
        loss, _ = self._loss(self.kept, rows, codes, target, 0, codes.shape[1], None)
        self.log("validation_loss", loss, prog_bar=True, batch_size=len(codes))

    @staticmethod
    def _loss(
        model: LPCNet, rows: Sequence[Tensor], codes: Tensor, target: Tensor, first: int, last: int, state: Any
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The mean of -ln p over samples of the chunks, in nats, and the states after them; all parts are as long."""
        begin, end = first // HOP, -(-last // HOP)
        f = model.condition(*(each[:, begin : end + 2 * CONTEXT] for each in rows))[:, CONTEXT:-CONTEXT]
        step = math.gcd(last - first, HOP)  # a part of a frame, or frames
        f = f.repeat_interleave(HOP // step, 1)[:, first // step - HOP // step * begin :][:, : (last - first) // step]
        if f.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            logits, (a, b) = lpcnet_cpu.forward(model, f, codes[:, first:last], state)
        else:
            logits, _, (a, b) = model(f, codes[:, first:last], state)
        loss = cross_entropy(logits.float().flatten(0, 1), target[:, first:last].flatten())
        return loss, (a.detach(), b.detach())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"] = {"settings": self.settings.model_dump_json(), "batches": self.batches, "data": self.data}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches = checkpoint["run"]["batches"]


def resumed(path: Path, given: Settings) -> tuple[Settings, str]:
    """The settings of a run that goes on from a checkpoint, and the fingerprint of its data.

    What is not given is as it was. Nothing in the file is ever run. Raises TrainingError where it is no checkpoint, and
    for what cannot change on the way.
    """
    try:
        run = torch.load(path, map_location="cpu", weights_only=True)["run"]
        before, batches, data = Settings.model_validate_json(run["settings"]), int(run["batches"]), str(run["data"])
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise TrainingError(f"{path} cannot be resumed: it is no checkpoint of such a run ({why})") from None
    for name in given.model_fields_set - MAY_CHANGE:
        old, new = getattr(before, name), getattr(given, name)
        if old != new:
            raise TrainingError(f"{name} is {new}; the run began with {old}: leave it, or begin anew")
    asked = {name: getattr(given, name) for name in given.model_fields_set}
    settings = Settings.model_validate({**before.model_dump(), **asked})
    if settings.every != before.every:
        raise TrainingError(f"steps is {settings.steps}; the run is validated every {before.every}: take a multiple")
    if batches > settings.steps:
        raise TrainingError(f"steps is {settings.steps}; the run has had {batches}: ask for more")
    return settings, data


class Teller(Callback):
    """After every validation: the weights in their file, and a line about the losses."""

    def __init__(self, weights: Path, report: Callable[[str], None]) -> None:
        self.weights, self.report = weights, report

    def on_train_epoch_end(self, trainer: lightning.Trainer, run: lightning.LightningModule) -> None:
        assert isinstance(run, Run)
        losses = trainer.callback_metrics
        if not torch.isfinite(losses["validation_loss"]):
            raise TrainingError(
                f"after {run.batches} batches the loss is {float(losses['validation_loss'])}: begin anew with a lower "
                f"learning_rate (here {run.settings.learning_rate:g})"
            )
        save(run.kept, self.weights)
        self.report(
            f"{run.batches} of {run.settings.steps} batches: loss {float(losses['train_loss']):.3f} nats, "
            f"{float(losses['validation_loss']):.3f} in validation"
        )


@contextmanager
def _surroundings(settings: Settings) -> Iterator[None]:
    """Lightning without its chatter; what is set for the whole process is put back."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    loud = logging.getLogger("lightning.pytorch")
    level = loud.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loud.setLevel(logging.ERROR)
        try:
            if settings.threads:
                torch.set_num_threads(settings.threads)
            yield
        finally:
            loud.setLevel(level)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)


# ---- data -----------------------------------------------------------------------------------------------------------


def utterances(
    recordings: Mapping[str, Array], features: Features, settings: Settings
) -> tuple[list[Utterance], list[Utterance]]:
    """What is learnt, with its augmented copies, and what is kept for validation: the same where there is one file."""
    least = HOP * (settings.frames + 2 * CONTEXT)
    for name, samples in recordings.items():
        if len(samples) < least:
            raise TrainingError(
                f"{name} has {len(samples)} samples; a chunk with its context has {least} ({settings.frames} frames "
                f"and {CONTEXT} on either side): leave the file out, or set fewer frames"
            )
    if not any(samples.any() for samples in recordings.values()):
        raise TrainingError("the recordings are silent: there is nothing to learn")
    names = list(recordings)
    count = max(1, round(settings.held * len(names))) if settings.held and len(names) > 1 else 0
    held = {names[k] for k in drawn(settings.seed).permutation(len(names))[:count]}
    learnt: list[Utterance] = []
    kept: list[Utterance] = []
    for k, (name, samples) in enumerate(recordings.items()):
        (kept if name in held else learnt).append(utterance(samples, features))
        if name not in held:
            copies = (augmented(samples, drawn(settings.seed, k, copy)) for copy in range(settings.augment))
            learnt += [utterance(copy, features) for copy in copies]
    return learnt, kept or learnt[:: settings.augment + 1]


def fingerprint(data: Sequence[Utterance]) -> str:
    """What tells data from others."""
    from hashlib import sha256

    found = sha256()
    for one in data:
        for array in (one.signal, one.cepstrum, one.pitch, one.correlation, one.lpc):
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
