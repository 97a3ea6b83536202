"""A training run of the WaveNet autoencoder: both networks learn together to predict the samples of crops.

The encoder reads a crop, and the decoder predicts each of its samples from the encoding and from the samples before.
Beyond the ends of a crop the convolutions of both networks read 0, as in the published program. In that program a crop
has 12 frames, a batch has 32 crops, and the learning rate falls from 2e-4 to 2e-5 in 200,000 batches. If the decoder
reads a pitch, which the published one does not, every recording needs a label "pitch".

Source: J. Engel et al., Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders, ICML 2017,
arXiv:1704.01279; magenta, models/nsynth/wavenet.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import cross_entropy

from dspgraph.plotting.rainbowgram import rainbow
from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.two_sided import EncoderState
from dspgraph_nodes._kernels.neural.wavenet_synthesis import WaveNetState, generate, speech
from dspgraph_nodes._kernels.signal.framing import Framing
from dspgraph_nodes._kernels.signal.gansynth import GansynthLayout
from dspgraph_nodes._kernels.signal.mulaw import floor_levels
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.config import ModelConfig
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    Crops,
    FeatureFunction,
    TrainingRecording,
    fingerprint,
    mean_figures,
    rng,
    split,
    stacked,
)
from dspgraph_nodes.models.shared.labels import NO_LABELS, NoteLabels, known_pitches, left_out, timbre_label
from dspgraph_nodes.models.shared.modules import arrays_of, load, save
from dspgraph_nodes.models.shared.notes import PITCH_FIGURES, pitch_figures
from dspgraph_nodes.models.shared.settings import TrainingSettings, of_config
from dspgraph_nodes.models.shared.trainer import LoggedSound, Task
from dspgraph_nodes.models.wavenet_autoencoder.config import MULAW_LEVELS, PRESETS, Config
from dspgraph_nodes.models.wavenet_autoencoder.network import WaveNetAutoencoder
from dspgraph_nodes.models.wavenet_autoencoder.packing import frames_read, packed_decoder, packed_encoder
from dspgraph_nodes.models.wavenet_autoencoder.weights import WEIGHTS

__all__ = ["LABELS", "PIPELINE", "Settings", "train"]

PIPELINE = "samples"
LABELS = ("pitch", "timbre")

_MOST_CHANGED, _SEMITONES = 8, 3  # recordings whose pitch a validation changes, and by how much
_PICTURE_BINS = 256  # of the rainbowgram
_PARTNER = 3
"""A number in the key of the random numbers that choose partners, which no other random numbers have."""


class Settings(TrainingSettings, frozen=True, extra="forbid"):
    """The settings of a training run of the WaveNet autoencoder."""

    PRESETS: ClassVar[Mapping[str, ModelConfig]] = PRESETS

    preset: str = Field("wavenet_autoencoder-small", description=f"sizes of the networks: {', '.join(PRESETS)}")
    form: Literal["gated", "normalised"] | None = of_config(Config, "form")
    layers: int | None = of_config(Config, "layers")
    stacks: int | None = of_config(Config, "stacks")
    least_dilation: int | None = of_config(Config, "least_dilation")
    encoder: int | None = of_config(Config, "encoder")
    latent: int | None = of_config(Config, "latent")
    width: int | None = of_config(Config, "width")
    skip: int | None = of_config(Config, "skip")
    hop: int | None = of_config(Config, "hop")
    rate: int | None = of_config(Config, "rate")
    lowest: int | None = of_config(Config, "lowest")
    pitches: int | None = of_config(Config, "pitches")
    batch: int = Field(8, ge=1, description="crops in a batch")
    frames: int = Field(12, ge=1, description="frames in a crop")
    augment: int = Field(0, ge=0, le=1000, description="copies of each recording, with a random filter and level")
    ema: float = Field(
        0.9999,
        ge=0,
        lt=1,
        description="decay of the moving average of the weights, which is saved; 0: the last weights are saved",
    )
    information: float = Field(
        0.0,
        ge=0,
        description="weight, in the loss, of the information in the encoding: a large weight keeps the encoding from "
        "repeating the pitch that the decoder is given; 0: as published",
    )

    partners: bool = Field(
        False,
        description="in training, the encoder reads another recording of the same timbre, with any pitch: the encoding "
        "holds the timbre and not the pitch; recordings need a timbre",
    )
    separation: float = Field(
        0.0,
        ge=0,
        description="with partners: weight, in the loss, of `timbre_loss`, which moves the encodings of different "
        "timbres apart, so that the decoder can tell them",
    )

    @model_validator(mode="after")
    def _separates(self) -> Self:
        if self.separation and not self.partners:
            raise ValueError(f"separation is {self.separation}, but without partners no timbre is known: set partners")
        return self

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides for the pipeline `samples`, such as "rate=16000", that fit the configuration."""
        return (f"rate={self.config.rate}",)


class LevelCrops:
    """Crops of recordings whose signals are mu-law levels, for training and validation.

    An index is (epoch, place), as in `Crops`. An item has four tensors: the levels of a crop, [frames * hop] int64; the
    pitch of the recording, one number (see `recording_of`); the levels that the encoder reads, [frames * hop] int64;
    and the number of the recording's timbre, 0 without partners. frames: the number of frames in a crop. In every epoch
    except -1 the crops begin at other frames, as in `Crops` with `beyond` set to half a crop.

    The encoder reads the crop itself. With `partners` it reads, except in epoch -1, a crop at the same frames of a
    recording of the same timbre, drawn at random; it can be the same recording. If that recording ends before these
    frames do, the encoder reads its last frames.
    """

    def __init__(self, recordings: list[TrainingRecording], frames: int, seed: int, partners: bool = False) -> None:
        self.recordings, self.frames, self.seed = recordings, frames, seed
        self.crops = Crops([one.frames for one in recordings], frames, 0, seed, beyond=frames // 2)
        self.families: dict[int, list[int]] = {}
        for k, one in enumerate(recordings if partners else ()):
            self.families.setdefault(int(one.features["timbre"][0]), []).append(k)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        k, first = self.crops.at(*index)
        one = self.recordings[k]
        pitch = torch.tensor(one.features["pitch"][first])
        timbre = torch.tensor(int(one.features["timbre"][0]) if self.families else 0)
        return self.levels(one, first), pitch, self.read(index, one, first), timbre

    def read(self, index: tuple[int, int], one: TrainingRecording, first: int) -> Tensor:
        """Return the levels that the encoder reads for the crop whose index is (epoch, place), [frames * hop] int64.

        one: the recording of the crop; first: the number of the crop's first frame.
        """
        epoch, place = index
        if self.families and epoch >= 0:
            family = self.families[int(one.features["timbre"][0])]
            one = self.recordings[family[int(rng(self.seed, epoch, place, _PARTNER).integers(len(family)))]]
        return self.levels(one, min(first, one.frames - self.frames))

    def levels(self, one: TrainingRecording, first: int) -> Tensor:
        """Return the levels of a crop of the recording `one`, [frames * hop] int64.

        first: the number of the crop's first frame.
        """
        return torch.from_numpy(one.signal[one.hop * first : one.hop * (first + self.frames)].copy())


def recording_of(samples: Array, hop: int, **numbers: int) -> TrainingRecording:
    """Convert samples to a recording for training: its signal has the mu-law levels of all whole frames.

    samples: [n], full scale +-1; hop: samples in a frame; numbers: every frame gets each of them as a feature: "pitch",
    semitones above the network's lowest pitch, and, if partners are needed, "timbre", the same number for all
    recordings of a timbre.
    """
    levels = floor_levels(samples)
    frames = len(levels) // hop
    return TrainingRecording(levels[: frames * hop], {name: np.full(frames, n) for name, n in numbers.items()}, hop)


def task(
    settings: Settings,
    recordings: Mapping[str, Array],
    features: FeatureFunction,
    labels: NoteLabels = NO_LABELS,
) -> Task:
    """Return the `Task` of a training run of the WaveNet autoencoder: its network, batches, losses and validation.

    recordings: samples [n], by name; those with a pitch that the network does not have are left out; features: the
    function that computes the pipeline of the model, whose output "samples" is the samples that are learnt; labels: the
    labels of each recording, see `train`. Raises RequestError if a label is missing or wrong, if all recordings are
    left out, or as `split` does.
    """
    config: Config = settings.config
    pitches = dict.fromkeys(recordings, 0)
    if config.pitches:
        pitches = known_pitches(recordings, labels, config.lowest, config.pitches)
    timbres = {name: timbre_label(name, labels.get(name, {})) for name in (pitches if settings.partners else ())}
    numbers = {timbre: number for number, timbre in enumerate(sorted(set(timbres.values())))}

    def prepare(name: str, samples: Array) -> TrainingRecording:
        read = np.asarray(features(samples)["samples"])
        timbre = {"timbre": numbers[timbres[name]]} if settings.partners else {}
        return recording_of(read, config.hop, pitch=pitches[name], **timbre)

    kept = {name: recordings[name] for name in pitches}
    training, validation = (
        LevelCrops(part, settings.frames, settings.seed, settings.partners)
        for part in split(kept, prepare, settings, config.hop)
    )
    order = BatchOrder(len(training), settings.batch, settings.seed)
    figures = partial(figures_of, settings.information, separation=settings.separation)
    hears = config.pitches > 0 and settings.audio > 0

    def validate(model: WaveNetAutoencoder) -> dict[str, float]:
        device = next(model.parameters()).device
        found = mean_figures(validation, partial(figures, model), device, settings.batch)
        return found | _pitches_changed(validation.recordings, settings, model) if hears else found

    weights = sum(one.numel() for one in WaveNetAutoencoder(config).parameters())
    return Task(
        network=lambda: WaveNetAutoencoder(config),
        batch=lambda number: stacked([training[index] for index in order[number]]),
        losses=lambda model, batch: iter([figures(model, *batch)]),
        validate=validate,
        figures=("information", "timbre_loss") if settings.separation else ("information",),
        measured=PITCH_FIGURES if hears else (),
        save=partial(save, WEIGHTS),
        load=partial(load, WEIGHTS, WaveNetAutoencoder),
        fingerprint=fingerprint(
            array for part in (training, validation) for one in part.recordings
            for array in (one.signal, *one.features.values())
        ),
        summary=f"{len(training)} crops of {settings.frames} frames for training, {len(validation)} for validation"
        f"{left_out(len(recordings) - len(kept))}; {weights} weights",
        ends=("encoder.first", "decoder.first", "decoder.head.1"),
        audio=partial(_audio, validation.recordings[0], settings),
    )  # fmt: skip


train = partial(trainer.train, task)
"""Train both networks: see `trainer.train`.

recordings: samples [n], full scale +-1, at the rate of the configuration, by name; labels: the pitch of each recording,
a MIDI number, if the setting `pitches` is above 0, and its timbre with the setting `partners`.
"""


def figures_of(
    weight: float, model: WaveNetAutoencoder, levels: Tensor, pitch: Tensor | None = None, read: Tensor | None = None,
    timbre: Tensor | None = None, separation: float = 0.0,
) -> dict[str, Tensor]:  # fmt: skip
    """Return "loss", in nats per sample, and "information", the mean information in a frame of the encoding, in nats.

    The loss is the mean of -ln P of the samples plus `weight` times the information per sample. The information in a
    frame z is the divergence of N(z, 1) from N(0, 1), sum(z**2) / 2. With a weight above 0 the decoder reads z + e
    instead of z in training, where e is drawn from N(0, 1).

    With a `separation` above 0, "timbre_loss", the `timbre_loss` of the mean frames of all crops, is returned too, and
    added to the loss with this weight. In training, both the encodings of the crops that are decoded and those of the
    crops that the encoder reads count.

    levels: [crops, frames * hop] int64; pitch: [crops] int64, semitones above the network's lowest pitch, needed if the
    decoder reads a pitch; read: the levels that the encoder reads, by default `levels`; timbre: [crops] int64, numbers
    of the timbres, needed with a `separation` above 0.

    Source: D. P. Kingma and M. Welling, Auto-Encoding Variational Bayes, ICLR 2014, arXiv:1312.6114.
    """
    z = model.encoder(levels if read is None else read)
    noisy = z + torch.randn_like(z) if weight and model.training else z
    logits = model.decoded(noisy, levels, pitch)
    surprise = cross_entropy(logits.reshape(-1, MULAW_LEVELS), levels.reshape(-1))
    information = (z**2).sum(-1).mean() / 2
    found = {"loss": surprise + weight * information / model.config.hop, "information": information}
    if separation:
        assert timbre is not None
        every = torch.cat((z, model.encoder(levels))) if model.training else z
        apart = timbre_loss(every.mean(1), timbre.repeat(len(every) // len(z)))
        found |= {"loss": found["loss"] + separation * apart, "timbre_loss": apart}
    return found


def timbre_loss(z: Tensor, timbre: Tensor) -> Tensor:
    """Return the mean of -ln p_i: how badly the encodings z_j that are near z_i tell the timbre of crop i, in nats.

        p_i = sum of e**(-|z_i - z_j|**2) over all j != i with the timbre of i, divided by the sum over all j != i

    The mean is over the crops i whose timbre another crop has too; without such crops the result is 0. z: [crops,
    latent]; timbre: [crops] int64.

    Source: J. Goldberger et al., Neighbourhood Components Analysis, NIPS 2004.
    """
    others = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    near = -((z[:, None] - z) ** 2).sum(-1)
    same = others & (timbre[:, None] == timbre)
    kept = same.any(1)
    if not kept.any():
        return 0 * z.sum()
    sums = [near.masked_fill(~mask, -torch.inf)[kept].logsumexp(1) for mask in (others, same)]
    return (sums[0] - sums[1]).mean()


def _encoded(recording: TrainingRecording, settings: Settings, arrays: Mapping[str, Array]) -> Array:
    """Return the encoding of the first `settings.audio` seconds of a recording, [frames, latent].

    The seconds are rounded to whole frames, at least one. arrays: all arrays of a file of weights, by name.
    """
    config: Config = settings.config
    frames = max(1, round(settings.audio * config.rate / config.hop))
    half, encoder = MULAW_LEVELS // 2, packed_encoder(config, arrays)
    return EncoderState(encoder).push(encoder, (recording.signal[: frames * config.hop] - half) / half, last=True)


def _audio(recording: TrainingRecording, settings: Settings, path: Path) -> dict[str, LoggedSound]:
    """Return {"validation": the start of a recording, encoded and decoded, with its rainbowgram}.

    path: the file of weights with which it is encoded and decoded. The start is as long as in `_encoded`.
    """
    config, arrays = WEIGHTS.read(path)
    rows = frames_read(_encoded(recording, settings, arrays), recording.features["pitch"][0], config)
    samples, _ = speech(packed_decoder(config, arrays), rows, rng(settings.seed))
    return {"validation": LoggedSound(samples, config.rate, _rainbowgram(samples, config.rate))}


def _rainbowgram(samples: Array, rate: int) -> Array:
    """Return the rainbowgram of a sound, [bins, columns, 3], from the log magnitudes and angles of GANSynth."""
    layout = GansynthLayout(_PICTURE_BINS, "nyquist", "linear", "if", None, rate)
    rows = Framing(layout.n_fft, layout.hop, 0).whole(samples)
    return rainbow(*layout.analyse(rows, np.zeros(_PICTURE_BINS)))


def _pitches_changed(
    recordings: list[TrainingRecording], settings: Settings, model: WaveNetAutoencoder
) -> dict[str, float]:
    """Return the `pitch_figures` of the starts of the first 8 recordings, decoded three semitones higher.

    A pitch that would then be above the network's highest pitch is replaced: the first above it by the lowest pitch,
    the second by the second lowest, and so on.
    """
    config, arrays = model.config, arrays_of(model)
    decoder, chosen = packed_decoder(config, arrays), recordings[:_MOST_CHANGED]
    pitches = [(int(one.features["pitch"][0]) + _SEMITONES) % config.pitches for one in chosen]
    rows = [
        frames_read(_encoded(one, settings, arrays), pitch, config) for one, pitch in zip(chosen, pitches, strict=True)
    ]
    states = [WaveNetState(decoder, rng(settings.seed, k)) for k in range(len(rows))]
    sounds = [samples for samples, _ in generate(decoder, states, rows, last=True)]
    return pitch_figures(sounds, config.rate, [config.lowest + pitch for pitch in pitches])
