"""A training run of GANSynth: adversarial, as published, or by regression, which trains the generator alone.

Sources: J. Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, arXiv 1902.08710; T. Karras et al.,
Progressive Growing of GANs, ICLR 2018, arXiv 1710.10196; magenta, models/gansynth/lib, for schedule and optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.random import Generator as Random
from pydantic import Field
from torch import Tensor

from dspgraph import RequestError
from dspgraph.plotting.rainbowgram import rainbow
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.gansynth_generator import generate, pack
from dspgraph_nodes._kernels.signal.gansynth import Normaliser
from dspgraph_nodes.models.gansynth.config import PRESETS, Config
from dspgraph_nodes.models.gansynth.data import (
    NotePictures,
    note_pictures,
    sound,
    timbre_latent,
)
from dspgraph_nodes.models.gansynth.judge import JUDGED, Judge, heard_figures
from dspgraph_nodes.models.gansynth.losses import discriminator_loss, generator_loss, regression_loss
from dspgraph_nodes.models.gansynth.network import GansynthPair, Generator
from dspgraph_nodes.models.gansynth.weights import WEIGHTS
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.data import BatchOrder, FeatureFunction, fingerprint, held_out, rng
from dspgraph_nodes.models.shared.labels import NO_LABELS, NoteLabels, known_pitches, left_out, timbre_label
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import RunSettings, of_config
from dspgraph_nodes.models.shared.trainer import LoggedSound, Task

__all__ = ["LABELS", "PIPELINE", "Settings", "train"]

PIPELINE = "gansynth_features"
LABELS = ("pitch", "timbre")

_MOST_VALIDATED = 64  # notes in a validation

NoteBatch = Mapping[str, Any]
"""The tensors, or pairs of tensors, of a batch by name.

For adversarial training there is also the number "progress", see the module `network`.
"""


class Settings(RunSettings, frozen=True, extra="forbid"):
    """The settings of a training run of GANSynth."""

    PRESETS: ClassVar = PRESETS

    preset: str = Field("gansynth-small", description=f"sizes of the network: {', '.join(PRESETS)}")
    kind: Literal["adversarial", "regression"] = Field(
        "adversarial",
        description="adversarial: as published; regression: the generator alone, with one latent per timbre",
    )
    latent: int | None = of_config(Config, "latent")
    lowest: int | None = of_config(Config, "lowest")
    pitches: int | None = of_config(Config, "pitches")
    start_rows: int | None = of_config(Config, "start_rows")
    start_bins: int | None = of_config(Config, "start_bins")
    blocks: int | None = of_config(Config, "blocks")
    channels: int | None = of_config(Config, "channels")
    most_channels: int | None = of_config(Config, "most_channels")
    scale: Literal["linear", "mel"] | None = of_config(Config, "scale")
    form: Literal["if", "phase"] | None = of_config(Config, "form")
    steps: int = Field(50_000, ge=1, description="number of batches to train on")
    batch: int = Field(8, ge=1, le=4096, description="notes in a batch")
    stage_images: int = Field(
        20_000,
        ge=0,
        description="adversarial: notes in a stage of growing (published: 800000); 0: the whole network from the start",
    )
    latent_scale: float = Field(
        1.0,
        gt=0,
        description="standard deviation of the numbers in a latent; a small one gives the pitch more influence",
    )
    latent_noise: float = Field(
        0.0,
        ge=0,
        description="regression: standard deviation of the noise added to the latents of timbres in each batch",
    )
    learning_rate: float = Field(8e-4, gt=0, description="first learning rate of Adam")
    clip: float = Field(1e6, gt=0, description="largest norm of the gradient; a larger gradient is scaled down to it")
    ema: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is saved; 0: the last weights are saved",
    )
    audio: float = Field(0.0, ge=0, le=60, description="seconds of notes that are made at each validation")

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides for the pipeline `gansynth_features`, such as "rate=16000", that fit the configuration."""
        config: Config = self.config
        return tuple(f"{name}={getattr(config, name)}" for name in ("rate", "bins", "drop", "scale", "form"))


# ---- growing --------------------------------------------------------------------------------------------------------


def stage_of(images: int, stage_images: int, blocks: int) -> int:
    """Return the number of the stage of growing, from 0 to the last one, 2 * blocks - 2, after a number of images.

    images: the number of real notes seen so far; stage_images: the number of notes in each stage; 0: there is only the
    last stage. `progress_of` says what a stage is.
    """
    return min(images // stage_images, 2 * blocks - 2) if stage_images else 2 * blocks - 2


def progress_of(images: int, stage_images: int, blocks: int) -> float:
    """Return the progress (see `network`) after a number of images, from 0 to blocks - 1.

    In a stage with an even number the progress is constant. In a stage with an odd number it grows by 1, while a new
    block is blended in. The arguments are those of `stage_of`.
    """
    stage = stage_of(images, stage_images, blocks)
    blended = (images - stage * stage_images) / stage_images if stage % 2 else 0.0
    return stage // 2 + blended


# ---- data -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """The notes of a training run. left_out: the number of recordings whose pitch the network does not have."""

    training: NotePictures
    validation: NotePictures
    left_out: int


def data_of(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction, labels: NoteLabels) -> Data:
    """Return the notes for training and for validation. The arguments are those of `task`.

    Recordings with a pitch that the network does not have are left out. If no recording is held out for validation, the
    notes for training are used for validation too. Raises RequestError if a recording lacks a label (the timbre is
    needed for the kind "regression" alone) or has a wrong pitch, if no recording has a pitch of the network, or if all
    with such a pitch are silent.
    """
    config: Config = settings.config
    known = known_pitches(recordings, labels, config.lowest, config.pitches)
    if settings.kind == "regression":
        for name in recordings:
            timbre_label(name, labels[name])
    kept = {name: recordings[name] for name in known}
    if not any(one.any() for one in kept.values()):
        raise RequestError("all recordings are silent; training needs sound: give other recordings")
    notes = note_pictures(kept, labels, features, config)
    held = held_out(list(kept), settings)
    places = {False: [k for k, name in enumerate(kept) if name not in held]}
    places[True] = [k for k, name in enumerate(kept) if name in held] or places[False]
    return Data(notes[places[False]], notes[places[True]], len(recordings) - len(kept))


# ---- the task -------------------------------------------------------------------------------------------------------


def task(
    settings: Settings,
    recordings: Mapping[str, Array],
    features: FeatureFunction,
    labels: NoteLabels = NO_LABELS,
) -> Task:
    """Return the `Task` of a training run of GANSynth: its network, batches, losses and validation.

    recordings: samples [n], by name, at the rate of the configuration; features: see `note_pictures`; labels: the
    labels of each recording, see `train`. Raises RequestError as `data_of` does.
    """
    config: Config = settings.config
    data = data_of(settings, recordings, features, labels)
    order = BatchOrder(len(data.training), settings.batch, settings.seed)
    kind = _Adversarial if settings.kind == "adversarial" else _Regression
    one = kind(settings, config, data)

    def batch(number: int) -> NoteBatch:
        return one.batch(data.training[[place for _, place in order[number]]], number)

    weights = sum(each.numel() for each in Generator(config).parameters())
    return Task(
        network=lambda: GansynthPair(config),
        batch=batch,
        losses=one.losses,
        validate=one.validate,
        save=lambda network, path: save(WEIGHTS, network.generator, path, **one.draws()),
        load=partial(_loaded, settings.seed),
        fingerprint=_fingerprint(data),
        summary=f"{len(data.training)} notes for training, {len(data.validation)} for validation"
        f"{left_out(data.left_out)}; {weights} weights in the generator",
        figures=one.figures,
        measured=one.measured,
        unit="",
        adam={"betas": (0.0, 0.99), "eps": 1e-8},
        restart=one.restart,
        audio=lambda path: {"notes": _made(one.example, settings, path)},
        parts=one.parts,
    )


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`.

recordings: samples [n], full scale +-1, at the rate of the configuration, by name; labels: name of a recording -> its
"pitch", a MIDI number as text, and its "timbre", which only the kind "regression" needs.
"""


class _Adversarial:
    """The functions of `Task` for adversarial training.

    Generator and discriminator are updated in turn, on growing pictures.
    """

    figures = ("generator", "discriminator", "distance", "penalty", "real_pitch", "made_pitch")
    measured = JUDGED
    parts = ("generator", "discriminator")

    def __init__(self, settings: Settings, config: Config, data: Data) -> None:
        self.settings, self.config, self.data = settings, config, data
        self.pitch, self.judge = data.training.pitch.numpy(), _judge(settings, data)

    def noise(self, draw: Random, count: int) -> tuple[Tensor, Tensor]:
        """Return random latent vectors [count, latent] and pitches [count] for the generator.

        The numbers of the vectors have the standard deviation `latent_scale`. A pitch is the pitch of a note for
        training, drawn at random. draw: the random generator.
        """
        latent = self.settings.latent_scale * draw.standard_normal((count, self.config.latent))
        return torch.from_numpy(latent).float(), torch.from_numpy(draw.choice(self.pitch, count))

    def draws(self) -> dict[str, tuple[float, ...]]:
        """Return the fields of `Config` about the latent vectors in training: all deviations are `latent_scale`."""
        return {"latent_deviations": (self.settings.latent_scale,) * self.config.latent}

    def batch(self, notes: NotePictures, number: int) -> NoteBatch:
        s = self.settings
        progress = progress_of(self.images(number // s.processes), s.stage_images, self.config.blocks)
        return self.inputs(notes, rng(s.seed, number, 3), progress)

    def images(self, batches: int) -> int:
        """Return how many pictures all processes have trained on after this number of batches of each."""
        return batches * self.settings.processes * self.settings.batch

    def inputs(self, notes: NotePictures, draw: Random, progress: float) -> NoteBatch:
        """Return the inputs of both losses for real notes, by name; each has random latents and pitches of its own.

        draw: the random generator; progress: the size of the pictures, see the module `network`.
        """
        between = torch.from_numpy(draw.random(len(notes))).float()
        return {
            "generator": self.noise(draw, len(notes)), "discriminator": self.noise(draw, len(notes)),
            "real": notes.pictures, "real_pitch": notes.pitch, "between": between, "progress": progress,
        }  # fmt: skip

    def losses(self, network: GansynthPair, batch: NoteBatch) -> Iterator[Mapping[str, Tensor]]:
        """Yield two mappings, name -> tensor with one number: the losses of the generator, then of the discriminator.

        The caller minimises "loss" of the first mapping by updating the generator, before the second mapping is
        computed, and then "loss" of the second by updating the discriminator. These two are also in the mappings as
        "generator" and "discriminator". batch: the result of `inputs`.
        """
        generator, discriminator, progress = network.generator, network.discriminator, batch["progress"]
        latent, pitch = batch["generator"]
        made = generator_loss(generator, discriminator, latent, pitch, progress)
        yield {**made, "generator": made["loss"]}
        latent, pitch = batch["discriminator"]
        real, real_pitch, between = batch["real"], batch["real_pitch"], batch["between"]
        judged = discriminator_loss(generator, discriminator, latent, pitch, real, real_pitch, between, progress)
        yield {**judged, "discriminator": judged["loss"]}

    def validate(self, network: GansynthPair) -> dict[str, float]:
        """Return numbers for the log: losses of both networks for full-size pictures, and `Judge.figures`.

        "loss" is the mean of the losses of the two networks. The losses are for at most 64 notes for validation, the
        figures for 64 made notes. The random numbers are the same in every validation.
        """
        draw = rng(self.settings.seed, 4)
        batch = trainer.moved(self.inputs(_first(self.data.validation), draw, self.config.blocks - 1), _device(network))
        found: dict[str, list[float]] = {}
        with torch.enable_grad():
            for losses in self.losses(network, batch):
                for name, value in losses.items():
                    found.setdefault(name, []).append(float(value.detach()))
        figures = {name: sum(values) / len(values) for name, values in found.items()}
        return figures | self.judge.figures(*_notes(network.generator, *self.noise(draw, _MOST_VALIDATED)))

    def restart(self, number: int) -> bool:
        """Return whether a stage of growing begins with batch number `number` of each process; false for batch 0."""
        s, blocks = self.settings, self.config.blocks
        before, now = (stage_of(self.images(n), s.stage_images, blocks) for n in (number - 1, number))
        return number > 0 and before != now

    def example(self, draw: Random) -> tuple[Array, int]:
        latent, pitch = self.noise(draw, 1)
        return latent.numpy()[0], int(pitch[0])


class _Regression:
    """The functions of `Task` for regression: the generator learns to make the picture of each note.

    Each timbre has a latent vector of its own, which the generator is given together with the pitch.
    """

    figures = ("magnitude", "angle")
    measured = (*JUDGED, "right_pitches_held_out")
    parts = ("generator",)
    restart = None

    def __init__(self, settings: Settings, config: Config, data: Data) -> None:
        self.settings, self.config, self.data = settings, config, data
        self.judge = _judge(settings, data)

    def latents(self, notes: NotePictures) -> Tensor:
        """Return the latent vector of the timbre of each note, times the setting `latent_scale`: [notes, latent]."""
        rows = [self.settings.latent_scale * timbre_latent(timbre, self.config) for timbre in notes.timbres]
        return torch.from_numpy(np.stack(rows)).float()

    def draws(self) -> dict[str, tuple[float, ...]]:
        """Return the fields of `Config` about the distribution of latent vectors: their means and standard deviations.

        Each number of the vectors has a mean and a deviation. The mean is that of the latent vectors of all notes for
        training. The standard deviation is `latent_noise` or, if that is 0, half the standard deviation of these
        vectors: in regression, only vectors near to them make notes.
        """
        latents = self.latents(self.data.training)
        spread = latents.std(0, correction=0) / 2
        noise = torch.full_like(spread, self.settings.latent_noise)
        deviations = noise if self.settings.latent_noise else spread
        return {"latent_means": tuple(latents.mean(0).tolist()), "latent_deviations": tuple(deviations.tolist())}

    def batch(self, notes: NotePictures, number: int) -> NoteBatch:
        noise = rng(self.settings.seed, number, 3).standard_normal((len(notes), self.config.latent))
        latent = self.latents(notes) + self.settings.latent_noise * torch.from_numpy(noise).float()
        return self.inputs(notes, latent)

    def inputs(self, notes: NotePictures, latent: Tensor) -> NoteBatch:
        """Return the inputs of the loss, by name. latent: [notes, latent], the latent vector of each note."""
        return {"latent": latent, "pitch": notes.pitch, "real": notes.pictures}

    def losses(self, network: GansynthPair, batch: NoteBatch) -> Iterator[Mapping[str, Tensor]]:
        yield regression_loss(network.generator, batch["latent"], batch["pitch"], batch["real"])

    def validate(self, network: GansynthPair) -> dict[str, float]:
        training, held = _first(self.data.training), _first(self.data.validation)
        (figures,) = self.losses(network, trainer.moved(self.inputs(held, self.latents(held)), _device(network)))
        made, made_held = (_notes(network.generator, self.latents(one), one.pitch) for one in (training, held))
        right = heard_figures(*made_held, self.config)["right_pitches"]
        found = {name: float(value) for name, value in figures.items()}
        return {**found, **self.judge.figures(*made), "right_pitches_held_out": right}

    def example(self, draw: Random) -> tuple[Array, int]:
        notes = self.data.training[[int(draw.integers(len(self.data.training)))]]
        return self.latents(notes).numpy()[0], int(notes.pitch[0])


def _first(notes: NotePictures) -> NotePictures:
    """Return the notes that a validation uses: the first 64, or all if there are fewer."""
    return notes[range(min(_MOST_VALIDATED, len(notes)))]


def _judge(settings: Settings, data: Data) -> Judge:
    return Judge(data.training, settings.config, settings.seed, _MOST_VALIDATED)


def _device(network: GansynthPair) -> str:
    return str(next(network.parameters()).device)


def _notes(generator: Generator, latent: Tensor, pitch: Tensor) -> tuple[Array, Array]:
    """Make notes, and return their pictures [notes, 2, rows, bins], normalised, and their wanted pitches [notes].

    latent: [notes, latent]; pitch: [notes], semitones above the lowest. Raises RequestError if a number is not finite.
    """
    device = next(generator.parameters()).device
    with torch.no_grad():
        pictures = generator(latent.to(device), pitch.to(device)).float().cpu().numpy()
    if not np.isfinite(pictures).all():
        raise RequestError(
            "in a validation the generator makes pictures with numbers that are not finite: begin a new run with a "
            "lower learning_rate"
        )
    return pictures, pitch.numpy()


def _made(example: Callable[[Random], tuple[Array, int]], settings: Settings, path: Path) -> LoggedSound:
    """Generate notes with a file of weights; return them one after the other as one sound, with its rainbowgram.

    example: a function from a random generator to a latent vector [latent] and a pitch, in semitones above the lowest.
    path: the file of weights. There are as many notes as fit best into the seconds of the setting `audio`, at least
    one; they have the same latent vectors and pitches in every validation.
    """
    config, arrays = WEIGHTS.read(path)
    network, draw = pack(arrays), rng(settings.seed, 5)
    count = max(1, round(settings.audio * config.rate / (config.hop * config.rows)))
    pictures = [generate(network, *example(draw)) for _ in range(count)]
    magnitude, angle = Normaliser(config.magnitude, config.angle).backward(*np.concatenate(pictures, axis=1))
    samples = np.concatenate([sound(one, config) for one in pictures])
    return LoggedSound(samples, config.rate, rainbow(magnitude, np.clip(angle, -1, 1)))


def _loaded(seed: int, path: Path) -> GansynthPair:
    """Return a pair of networks: the generator in a file of weights, and a new discriminator, which the file lacks.

    The pair's configuration is that of the file, except that `latent_means` and `latent_deviations` are empty, as in a
    new network. seed: the seed of the random weights of the discriminator, to which torch's random generator is set;
    path: the file of weights. Raises ValueError as `load` does.
    """
    generator = load(WEIGHTS, Generator, path)
    torch.manual_seed(seed)
    pair = GansynthPair(generator.config.replace(latent_means=(), latent_deviations=()))
    pair.generator.load_state_dict(generator.state_dict())
    return pair


def _fingerprint(data: Data) -> str:
    """Return a digest of the pictures, pitches and timbres of all notes."""
    notes = data.training, data.validation
    text = np.frombuffer("\n".join(timbre for one in notes for timbre in one.timbres).encode(), np.uint8)
    return fingerprint([*(array.numpy() for one in notes for array in (one.pictures, one.pitch)), text])
