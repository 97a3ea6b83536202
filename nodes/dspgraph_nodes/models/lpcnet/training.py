"""A training run of LPCNet.

Source: J.-M. Valin and J. Skoglund, LPCNet: Improving Neural Speech Synthesis Through Linear Prediction, ICASSP 2019;
the noise levels and the schedule of the sparse blocks are those of the program published with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dspgraph_nodes._kernels.arrays import Array
from dspgraph_nodes._kernels.neural.lpcnet_codes import LEVELS
from dspgraph_nodes._kernels.neural.lpcnet_packing import pack_weights
from dspgraph_nodes._kernels.neural.lpcnet_stream import speech
from dspgraph_nodes.models.lpcnet import cpu as lpcnet_cpu
from dspgraph_nodes.models.lpcnet.config import HOP, RATE
from dspgraph_nodes.models.lpcnet.cpu import GruStates
from dspgraph_nodes.models.lpcnet.data import CONTEXT, EMPHASIS, PIPELINE, Chunk, Chunks, arrays, utterance
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.rounding import with_rounded_weights
from dspgraph_nodes.models.lpcnet.settings import Settings
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.data import (
    BatchOrder,
    FeatureFunction,
    fingerprint,
    mean_figures,
    rng,
    split,
    stacked,
)
from dspgraph_nodes.models.shared.distributions.categorical import fixed_entropy
from dspgraph_nodes.models.shared.modules import load, save

__all__ = ["PIPELINE", "Settings", "train"]


def task(settings: Settings, recordings: Mapping[str, Array], features: FeatureFunction) -> trainer.Task:
    """Return the `trainer.Task` of a training run of LPCNet: its network, batches, losses and validation.

    recordings: name -> samples [n], full scale +-1, 16 kHz. features: the function that computes the pipeline
    `lpcnet_features` for such samples. Raises RequestError as `split` does.
    """
    training, validation = split(recordings, lambda _, x: utterance(x, features), settings, HOP, CONTEXT)
    chunks = Chunks(
        training, settings.frames, settings.noise, settings.seed, settings.clean_share, settings.noise_scale
    )
    clean = Chunks(validation, settings.frames, "none", settings.seed)
    order = BatchOrder(len(chunks), settings.batch, settings.seed)

    def losses(network: LPCNet, batch: Chunk) -> Iterator[Tensor]:
        """Yield the loss of each part of the chunks in a batch.

        Each part starts from the last GRU states of the part before, the first part from 0.
        """
        *rows, codes, target = batch
        length, state = codes.shape[1] // settings.updates, None
        for first in range(0, codes.shape[1], length):
            loss, state = part_loss(
                network, rows, codes, target, first, first + length, state, eight_bits=settings.eight_bits
            )
            yield loss

    def validate(network: LPCNet) -> dict[str, float]:
        def figures(*batch: Tensor) -> dict[str, Tensor]:
            *rows, codes, target = batch
            loss, _ = part_loss(network, rows, codes, target, 0, codes.shape[1], None, eight_bits=settings.eight_bits)
            return {"loss": loss}

        return mean_figures(clean, figures, network.embed.weight.device)

    def audio(weights: Path) -> dict[str, trainer.LoggedSound]:
        """Return the beginning of the first validation recording, re-synthesised from its features, as "speech".

        weights: the file of the network. The length is that of the setting `audio`, in seconds, but at least a frame
        and at most the recording.
        """
        one = validation[0].part(0, min(validation[0].frames, max(1, round(settings.audio * RATE / HOP))))
        arrays = WEIGHTS.read(weights)[1]
        network = pack_weights(arrays, WEIGHTS.in_eight_bits(arrays) if settings.eight_bits else {})
        draw = rng(settings.seed)
        columns = (one.cepstrum, one.pitch[:, None], one.correlation[:, None], one.lpc)
        return {"speech": trainer.LoggedSound(speech(network, *columns, draw, HOP, 1.0, 0.002, EMPHASIS), RATE)}

    return trainer.Task(
        network=lambda: LPCNet(settings.config),
        batch=lambda number: stacked([chunks[index] for index in order[number]]),
        losses=losses,
        validate=validate,
        save=lambda network, path: save(WEIGHTS, network, path),
        load=lambda path: load(WEIGHTS, LPCNet, path),
        fingerprint=fingerprint(arrays([*training, *validation])),
        summary=f"{len(chunks)} chunks of {settings.frames} frames for training, {len(clean)} for validation; the best "
        f"fixed distribution has {fixed_entropy((one.clean[1] for one in validation), LEVELS):.3f} nats",
        pruning=settings.pruning("gru_a.weight_hh_l0"),
        adam={"amsgrad": True},
        ends=("embed", "embed_pitch"),
        audio=audio,
    )


train = partial(trainer.train, task)
"""Train a network: see `trainer.train`. recordings: samples [n], full scale +-1, 16 kHz, by name."""


def part_loss(
    model: LPCNet,
    rows: Sequence[Tensor],
    codes: Tensor,
    target: Tensor,
    first: int,
    last: int,
    state: GruStates | None,
    eight_bits: bool = False,
) -> tuple[Tensor, GruStates]:
    """Return the mean of -ln p(target), in nats, over the samples `first` to `last` - 1, and the GRU states after them.

    rows: cepstrum, pitch and correlation of the chunks with their context; codes: [chunks, samples, 3], input codes;
    target: [chunks, samples], target codes; first: a multiple of last - first, as all parts of a chunk have the same
    length; state: the GRU states after the part before, None for the first part. The returned states carry no gradient.
    eight_bits: whether weights and states are rounded, see `with_rounded_weights` and `cpu.forward`; then the model
    must be in float32 on a CPU.
    """
    if eight_bits:
        return with_rounded_weights(
            model, lambda rounded: _part_loss(rounded, rows, codes, target, first, last, state, True)
        )
    return _part_loss(model, rows, codes, target, first, last, state, False)


def _part_loss(
    model: LPCNet, rows: Sequence[Tensor], codes: Tensor, target: Tensor, first: int, last: int,
    state: GruStates | None, eight_bits: bool,
) -> tuple[Tensor, GruStates]:  # fmt: skip
    begin, end = first // HOP, -(-last // HOP)
    f = model.condition(*(each[:, begin : end + 2 * CONTEXT] for each in rows))[:, CONTEXT:-CONTEXT]
    step = math.gcd(last - first, HOP)  # samples per row of f below: a frame, or a fraction that divides the part
    f = f.repeat_interleave(HOP // step, 1)[:, first // step - HOP // step * begin :][:, : (last - first) // step]
    if f.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        logits, (a, b) = lpcnet_cpu.forward(model, f, codes[:, first:last], state, eight_bits)
    else:
        logits, _, (a, b) = model(f, codes[:, first:last], state)
    loss = cross_entropy(logits.float().flatten(0, 1), target[:, first:last].flatten())
    return loss, (a.detach(), b.detach())
