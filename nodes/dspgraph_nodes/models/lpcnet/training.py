"""A training run of LPCNet.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019;
the noise levels and the schedule of the sparse blocks are those of the program published with it.
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
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from dspgraph import RequestError
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes.models.lpcnet import cpu as lpcnet_cpu
from dspgraph_nodes.models.lpcnet.config import HOP
from dspgraph_nodes.models.lpcnet.cpu import GruStates
from dspgraph_nodes.models.lpcnet.data import (
    CONTEXT,
    PIPELINE,
    Chunk,
    Chunks,
    FeatureFunction,
    ResumableBatches,
    fingerprint,
    split,
    validation_batches,
)
from dspgraph_nodes.models.lpcnet.distribution import fixed_entropy
from dspgraph_nodes.models.lpcnet.network import LPCNet, save
from dspgraph_nodes.models.lpcnet.settings import RESUMABLE, Settings
from dspgraph_nodes.models.shared.atomic import write_atomically
from dspgraph_nodes.models.shared.sparsity import SparsitySchedule, sparsify

__all__ = ["PIPELINE", "Settings", "train"]

WEIGHTS, CHECKPOINT = "weights.safetensors", "checkpoint.ckpt"

Report = Callable[[str], None]


# ---- the run from outside -------------------------------------------------------------------------------------------


def train(
    recordings: Mapping[str, Array],
    features: FeatureFunction,
    out: Path,
    settings: Settings,
    resume: bool = False,
    progress: bool = False,
    report: Report = lambda line: None,
) -> Path:
    """Train a network and return the file of its weights.

    recordings: samples [n], full scale +-1, 16 kHz, by name; features: the function that computes their features; out:
    the folder for the results; resume: continue the run in that folder; progress: show a progress bar; report: called
    with every line of the report.

    After every validation weights.safetensors and checkpoint.ckpt are written; there are also logs, for TensorBoard and
    as CSV. Raises RequestError if a recording is too short or all are silent, if there is no run to resume, if a new
    run would overwrite another one in `out`, if the run to be resumed had other settings or data, if the validation
    loss is not finite, or if a file cannot be written. Raises KeyboardInterrupt after Ctrl-C; the files of the last
    validation remain.
    """
    checkpoint = out / CHECKPOINT
    _check_request(checkpoint, resume, settings)
    data_before = None
    if resume:
        settings, data_before = resumed(checkpoint, settings)
    training, validation = split(recordings, features, settings)
    with _torch_settings(settings):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            run = Run(settings, LPCNet(settings.config), fingerprint([*training, *validation]))
        if data_before not in (None, run.data):
            raise RequestError(
                "the recordings or their features differ from those the run began with: give the same files, or begin "
                "a new run in another folder"
            )
        chunks = Chunks(
            training, settings.frames, settings.noise, settings.seed, settings.clean_share, settings.noise_scale
        )
        clean = Chunks(validation, settings.frames, "none", settings.seed)
        report(
            f"{len(chunks)} chunks of {settings.frames} frames for training, {len(clean)} for validation; "
            f"the best fixed distribution has {fixed_entropy(validation):.3f} nats"
        )
        _fit(run, _trainer(out, settings, progress, report), (chunks, clean), checkpoint, resume, report)
    return out / WEIGHTS


def _check_request(checkpoint: Path, resume: bool, settings: Settings) -> None:
    if resume and not checkpoint.is_file():
        raise RequestError(f"there is no {checkpoint} to resume: train without --resume")
    if checkpoint.is_file() and not resume:
        raise RequestError(f"{checkpoint} exists already: add --resume to continue that run, or choose another folder")
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise RequestError("device is cuda, but torch finds no GPU on this machine: set device to cpu or auto")


def _trainer(out: Path, settings: Settings, progress: bool, report: Report) -> lightning.Trainer:
    csv = CSVLogger(out, "logs")
    callbacks: list[Callback] = [
        ValidationReporter(out / WEIGHTS, report),
        ModelCheckpoint(out, Path(CHECKPOINT).stem, save_on_train_epoch_end=True, enable_version_counter=False),
    ]
    return lightning.Trainer(
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[settings.device],
        devices=1,
        precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
        max_epochs=settings.steps // settings.validation_interval,
        num_sanity_val_steps=0,
        logger=[csv, TensorBoardLogger(out, "logs", csv.version)],
        log_every_n_steps=1,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=progress,
        enable_model_summary=False,
        deterministic=True,
        inference_mode=False,
    )


def _fit(
    run: Run, trainer: lightning.Trainer, data: tuple[Chunks, Chunks], checkpoint: Path, resume: bool, report: Report
) -> None:
    """Train the network of `run`. data: the chunks for training, and those for validation.

    Raises RequestError if a file cannot be written or if the validation loss is not finite. Raises KeyboardInterrupt
    after Ctrl-C.
    """
    chunks, clean = data
    settings = run.settings
    batches = ResumableBatches(
        len(chunks), settings.batch, settings.seed, lambda: run.batches, settings.validation_interval
    )
    loaders = DataLoader(chunks, batch_sampler=batches), DataLoader(clean, batch_sampler=validation_batches(len(clean)))
    try:
        trainer.fit(run, *loaders, ckpt_path=checkpoint if resume else None, weights_only=True)  # nothing is unpickled
    except OSError as error:
        place = error.filename2 or error.filename or checkpoint.parent
        raise RequestError(
            f"{place} cannot be written: {error.strerror or error}: free space, or choose another folder"
        ) from error
    except SystemExit:  # raised by Lightning after Ctrl-C
        if not trainer.interrupted:
            raise
        way = f"continue from {checkpoint} with --resume" if checkpoint.is_file() else "there is nothing to resume"
        report(f"stopped after {run.batches} of {settings.steps} batches: {way}")
        raise KeyboardInterrupt from None


@contextmanager
def _torch_settings(settings: Settings) -> Iterator[None]:
    """Set torch's threads and silence Lightning; afterwards, restore the settings of the process."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            if settings.threads:
                torch.set_num_threads(settings.threads)
            yield
        finally:
            logger.setLevel(level)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)


# ---- updates --------------------------------------------------------------------------------------------------------


class Run(lightning.LightningModule):
    """The state of a training run, and its steps.

    The chunks of a batch are divided in time into parts. Each part gives one update of the weights; the states of the
    GRUs carry over to the next part. A checkpoint of a run holds tensors and plain values only.
    """

    def __init__(self, settings: Settings, model: LPCNet, data: str) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.settings, self.model, self.data = settings, model, data
        if settings.ema:
            self.mean = deepcopy(model).requires_grad_(False)
        self.batches = 0
        self.schedule = SparsitySchedule(settings.sparse_start, settings.sparse_end, settings.sparse_every)

    @property
    def result(self) -> LPCNet:
        """The network that is validated and saved: the moving average, or the network of the last update."""
        return self.mean if self.settings.ema else self.model

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.model.parameters(), self.settings.learning_rate, amsgrad=True)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: 1 / (1 + self.settings.decay * update))
        return [optimizer], [rate]

    def training_step(self, batch: Chunk, number: int) -> None:
        *rows, codes, target = batch
        optimizer: Any = self.optimizers()
        rate: Any = self.lr_schedulers()
        length, state, total = codes.shape[1] // self.settings.updates, None, 0.0
        for first in range(0, codes.shape[1], length):
            last = first + length
            loss, state = part_loss(self.model, rows, codes, target, first, last, state)
            optimizer.zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(optimizer, self.settings.clip)
            optimizer.step()
            # From `sparse_end` on, blocks are removed after every update, so that none grows back within a batch.
            if last == codes.shape[1] or self.batches >= self.schedule.end:
                self._sparsify(self.batches + 1)
            self._update_mean(self.batches * self.settings.updates + first // length)
            rate.step()
            total += float(loss.detach()) / self.settings.updates
        self.batches += 1
        self.log("train_loss", total, prog_bar=True)
        self.log("learning_rate", rate.get_last_lr()[0])

    @torch.no_grad()
    def _update_mean(self, update: int) -> None:
        """Update the moving average of the weights, which follows faster at first; removed weights are 0 in it too."""
        if not self.settings.ema:
            return
        share = 1 - min(self.settings.ema, (1 + update) / (10 + update))
        for average, last in zip(self.mean.parameters(), self.model.parameters(), strict=True):
            average.lerp_(last, share)
        mean, new = self.mean.gru_a.weight_hh_l0, self.model.gru_a.weight_hh_l0
        assert isinstance(mean, Tensor)
        assert isinstance(new, Tensor)
        mean.mul_(new != 0)

    def _sparsify(self, batches: int) -> None:
        """Remove the blocks that the schedule removes after `batches` batches."""
        if self.schedule.due(batches):
            last = self.settings.density_reset, self.settings.density_update, self.settings.density_state
            shares = tuple(self.schedule.density(batches, density) for density in last)
            recurrent = self.model.gru_a.weight_hh_l0
            assert isinstance(recurrent, Tensor)
            sparsify(recurrent, shares)

    def validation_step(self, batch: Chunk, number: int) -> None:
        *rows, codes, target = batch
        loss, _ = part_loss(self.result, rows, codes, target, 0, codes.shape[1], None)
        self.log("validation_loss", loss, prog_bar=True, batch_size=len(codes))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"] = {"settings": self.settings.model_dump_json(), "batches": self.batches, "data": self.data}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches = checkpoint["run"]["batches"]


def part_loss(
    model: LPCNet,
    rows: Sequence[Tensor],
    codes: Tensor,
    target: Tensor,
    first: int,
    last: int,
    state: GruStates | None,
) -> tuple[Tensor, GruStates]:
    """Return the mean of -ln p(target), in nats, over samples first .. last - 1, and the states of the GRUs after them.

    rows: cepstrum, pitch and correlation of the chunks with their context; codes: [chunks, samples, 3]; target:
    [chunks, samples]; state: the states after the part before, None for the first part. All parts of a chunk have one
    length.
    """
    begin, end = first // HOP, -(-last // HOP)
    f = model.condition(*(each[:, begin : end + 2 * CONTEXT] for each in rows))[:, CONTEXT:-CONTEXT]
    step = math.gcd(last - first, HOP)  # samples per row of f below: a frame, or a fraction that divides the part
    f = f.repeat_interleave(HOP // step, 1)[:, first // step - HOP // step * begin :][:, : (last - first) // step]
    if f.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        logits, (a, b) = lpcnet_cpu.forward(model, f, codes[:, first:last], state)
    else:
        logits, _, (a, b) = model(f, codes[:, first:last], state)
    loss = cross_entropy(logits.float().flatten(0, 1), target[:, first:last].flatten())
    return loss, (a.detach(), b.detach())


# ---- checkpoints and reports ----------------------------------------------------------------------------------------


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writer of checkpoint files that are complete whenever the run is stopped."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint to another file and rename that to `path`."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(path, content.getbuffer())


class ValidationReporter(Callback):
    """Callback that saves the weights after every validation, and reports the losses in one line."""

    def __init__(self, weights: Path, report: Report) -> None:
        self.weights, self.report = weights, report

    def on_train_epoch_end(self, trainer: lightning.Trainer, run: lightning.LightningModule) -> None:
        assert isinstance(run, Run)
        losses = trainer.callback_metrics
        if not torch.isfinite(losses["validation_loss"]):
            raise RequestError(
                f"after {run.batches} batches the validation loss is {float(losses['validation_loss'])}: begin a new "
                f"run with a lower learning_rate (here {run.settings.learning_rate:g})"
            )
        save(run.result, self.weights)
        self.report(
            f"{run.batches} of {run.settings.steps} batches: loss {float(losses['train_loss']):.3f} nats, "
            f"{float(losses['validation_loss']):.3f} in validation"
        )


def resumed(path: Path, given: Settings) -> tuple[Settings, str]:
    """Return the settings with which a run continues from a checkpoint, and the fingerprint of its data.

    path: the checkpoint; given: new settings. Settings that are not set in `given` stay as they were in the run.
    Nothing in the file is executed. Raises RequestError if the file is no checkpoint, if a given setting cannot change
    during a run, or if the number of steps does not suit the run.
    """
    try:
        run = torch.load(path, map_location="cpu", weights_only=True)["run"]
        before, batches, data = Settings.model_validate_json(run["settings"]), int(run["batches"]), str(run["data"])
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise RequestError(
            f"{path} cannot be resumed; expected a checkpoint of LPCNet ({why}): begin a new run in another folder"
        ) from None
    for name in given.model_fields_set - RESUMABLE:
        old, new = getattr(before, name), getattr(given, name)
        if old != new:
            raise RequestError(
                f"{name} is {new}; the run began with {old}: leave it out, or begin a new run in another folder"
            )
    asked = {name: getattr(given, name) for name in given.model_fields_set}
    settings = Settings.model_validate({**before.model_dump(), **asked})
    if settings.validation_interval != before.validation_interval:
        raise RequestError(
            f"steps is {settings.steps}; the run is validated every {before.validation_interval} batches: "
            "choose a multiple of that"
        )
    if batches > settings.steps:
        raise RequestError(f"steps is {settings.steps}; the run has made {batches} already: ask for more")
    return settings, data
