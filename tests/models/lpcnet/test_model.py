"""LPCNet passes every check of models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from dspgraph import Array
from dspgraph.testing import MODEL_CHECKS, ModelExample
from dspgraph_nodes._kernels.neural.lpcnet_codes import SILENT_CODE, centres, encode
from dspgraph_nodes._kernels.neural.lpcnet_packing import Network, pack_weights
from dspgraph_nodes._kernels.neural.lpcnet_stream import SpeechState
from dspgraph_nodes._kernels.neural.lpcnet_synthesis import (
    FrameNetworkState,
    features,
    frame_inputs,
    sharpness,
    synthesise,
    teacher_forced,
)
from dspgraph_nodes.models.lpcnet import cpu as lpcnet_cpu
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.reference import sampling_distribution
from dspgraph_nodes.models.lpcnet.rounding import with_rounded_weights
from dspgraph_nodes.models.lpcnet.training import Settings, train
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS
from dspgraph_nodes.models.shared.modules import load
from helpers.networks import random_arrays, sized
from helpers.speech import speech
from helpers.utterances import features as features_of_speech

pytestmark = pytest.mark.training

HOP, ORDER, THRESHOLD = 20, 2, 0.002
CONFIG = sized(32, 16, hop=HOP, rate=2000)
FIRST = HOP - HOP // 2  # samples of frame 0, whose window is centred on the start of the signal

Features = Mapping[str, Array]


def drawn_features(frames: int, seed: int) -> Features:
    """Return the random features "cepstrum", "pitch", "correlation" and "lpc" by name, each [frames, numbers].

    The predictors "lpc" have the order ORDER and are stable.
    """
    draw = np.random.Generator(np.random.Philox(key=seed))
    radius = 0.3 + 0.5 * draw.random((frames, 1))
    return {
        "cepstrum": 2 * draw.random((frames, CONFIG.bands)) - 1,
        "pitch": 3 * draw.random((frames, 1)),
        "correlation": draw.random((frames, 1)) - 0.5,
        "lpc": np.concatenate((-1.5 * radius, radius**2), axis=1),
    }


def write(path: Path, seed: int) -> None:
    """Write random weights of a network that prefers soft levels, so that its samples stay within full scale."""
    arrays = random_arrays(CONFIG, seed)
    arrays["dual_fc.factor"][0] += 12 * np.exp(-(((np.arange(256, dtype=np.float32) - 128) / 30) ** 2))
    arrays["dual_fc.bias"][0] += 3
    WEIGHTS.write(path, CONFIG, arrays)


def per_sample(rows: Array, count: int) -> Array:
    """Return for each of `count` samples the row of its frame, [count, ...]. rows: [frames, ...].

    Frame k has the HOP samples around k * HOP, without those before sample 0, and the last frame all that follow.
    """
    row = np.minimum((np.arange(count) + HOP // 2) // HOP, len(rows) - 1)
    found: Array = rows[row]
    return found


def packed(path: Path, eight_bits: bool) -> Network:
    """Return the network of a file, packed for the kernel. eight_bits: whether weights are rounded to eight bits."""
    arrays = WEIGHTS.read(path)[1]
    return pack_weights(arrays, WEIGHTS.in_eight_bits(arrays) if eight_bits else {})


def generate(
    path: Path, signals: Sequence[Features], seeds: Sequence[int], cut: int | None, tap: bool, eight_bits: bool = False
) -> list[tuple[Array, Array | None]]:
    """Return for each signal the drawn codes of its excitation [n], and the distributions [n, 256], None without `tap`.

    The codes are found from the samples that the kernel makes: a sample less its prediction is a decoded code. path:
    the file of weights; signals: the features of each signal; seeds: the seed of the random numbers of each signal;
    cut: frames in a block, None for one block; eight_bits: whether the weights are rounded to eight bits.
    """
    network = packed(path, eight_bits)
    draws = [np.random.Generator(np.random.Philox(key=seed)) for seed in seeds]
    states = [SpeechState(network, CONFIG.bands, ORDER, np.float64, HOP, draw) for draw in draws]
    longest = max(len(one["lpc"]) for one in signals)
    pieces: list[list[tuple[Array, Array]]] = [[] for _ in signals]
    names = ("cepstrum", "pitch", "correlation", "lpc")
    for begin in range(0, longest, cut or longest):
        segments = []
        for state, one in zip(states, signals, strict=True):
            a, b, c, d = (one[name][begin : begin + (cut or longest)] for name in names)
            segments.append(state.push(network, a, b, c, d, 1.0))
        for piece, found in zip(pieces, synthesise(network.sample, segments, HOP, THRESHOLD, tap=tap), strict=True):
            piece.append(found)
    rest = synthesise(network.sample, [state.flush(network) for state in states], HOP, THRESHOLD, tap=tap)
    results: list[tuple[Array, Array | None]] = []
    for given, piece, last in zip(signals, pieces, rest, strict=True):
        samples, rows = (np.concatenate(each) for each in zip(*piece, last, strict=True))
        excitation = samples - predicted(samples, given["lpc"])
        codes = np.abs(excitation[:, None] - centres()).argmin(axis=1)
        np.testing.assert_allclose(centres()[codes], excitation, atol=1e-6)
        results.append((codes, rows if tap else None))
    return results


def predicted(samples: Array, lpc: Array) -> Array:
    """Return the linear prediction of each sample, -sum_k a[k] * s[n-k]: [n]; before the first one there are zeros.

    lpc: [frames, ORDER], the coefficients a[1] .. a[ORDER], which `per_sample` repeats for the samples of a frame.
    """
    padded, a = np.concatenate((np.zeros(ORDER), samples)), per_sample(lpc, len(samples))
    found = np.zeros(len(samples))
    for k in range(ORDER):
        found -= a[:, k] * padded[ORDER - 1 - k : ORDER - 1 - k + len(samples)]
    return found


def input_codes(codes: Array, lpc: Array) -> Array:
    """Return the codes [n, 3] that the network reads: sample before, prediction of the sample, excitation before.

    The samples are made from the codes of the excitation and the predictions, and limited to 16 bits. codes: [n], those
    of the excitation; lpc: [frames, ORDER], the predictors.
    """
    a, signal = per_sample(lpc, len(codes)), np.zeros(ORDER + len(codes))
    prediction = np.zeros(len(codes))
    for n, code in enumerate(codes):
        for k in range(ORDER):
            prediction[n] -= a[n, k] * signal[n + ORDER - 1 - k]
        signal[n + ORDER] = np.clip(prediction[n] + centres()[code], -32768, 32768)
    before = np.concatenate(([SILENT_CODE], encode(signal[ORDER:-1])))
    return np.stack((before, encode(prediction), np.concatenate(([SILENT_CODE], codes[:-1]))), axis=1)


def forward(path: Path, given: Features, codes: Array, eight_bits: bool = False) -> Array:
    """Return the distributions [n, 256] from which the codes of a signal are drawn, computed by the network in torch.

    They are softmaxes that are sharpened in voiced frames and cut by `THRESHOLD`, see `sampling_distribution`. path:
    the file of weights; given: the features; codes: [n], those of the excitation, which the network reads; eight_bits:
    whether weights and states are rounded to eight bits.
    """
    inner = torch.from_numpy(input_codes(codes, given["lpc"]))[None]

    def found(model: LPCNet) -> Array:
        rows = [torch.from_numpy(given[name].astype(np.float32)) for name in ("cepstrum", "pitch", "correlation")]
        f = model.condition(rows[0][None], rows[1][None, :, 0], rows[2][None, :, 0])[0].numpy()
        condition = torch.from_numpy(per_sample(f, len(codes)))[None]
        result = lpcnet_cpu.forward(model, condition, inner, None, True) if eight_bits else model(condition, inner)
        return np.array(result[0][0].numpy())

    model = load(WEIGHTS, LPCNet, path)
    with torch.no_grad():
        logits = with_rounded_weights(model, found) if eight_bits else found(model)
    return sampling_distribution(logits, per_sample(sharpness(given["correlation"][:, 0]), len(codes)), THRESHOLD)


def forced(path: Path, given: Features, codes: Array, lanes: int, eight_bits: bool = False) -> Array:
    """Return the distributions [n, 256] of the codes of a signal, computed by the kernel, teacher-forced.

    The arguments are those of `forward`. lanes: how many copies of the signal the kernel computes together, 1 or 16.
    """
    network = packed(path, eight_bits)
    one = FrameNetworkState(network.frame, CONFIG.bands)
    rows = features(network.frame, given["cepstrum"], given["pitch"], given["correlation"])
    f = one.push(network.frame, rows, last=True)
    sharp = sharpness(given["correlation"][:, 0])
    frames = frame_inputs(network.frame, f, given["lpc"], sharp)
    inner = input_codes(codes, given["lpc"])
    return teacher_forced(network.sample, frames, inner, HOP, lanes, FIRST, THRESHOLD)[2]


def cumulative(parameters: Array, codes: Array) -> tuple[Array, Array]:
    up_to = np.cumsum(parameters, axis=1, dtype=np.float64)
    below, above = (np.take_along_axis(each, codes[:, None], 1)[:, 0] for each in (up_to - parameters, up_to))
    return below, above


def trained(out: Path, steps: int, resume: bool, eight_bits: bool = False) -> Path:
    settings = Settings(
        preset="lpcnet-small", gru_a=32, gru_b=16, embedding=8, condition=16, batch=4, frames=3, updates=2, augment=0,
        steps=steps, validate_every=1000, sparse_start=1, sparse_end=30, sparse_every=1, learning_rate=1e-2, ema=0.9,
        device="cpu", threads=1, eight_bits=eight_bits,
    )  # fmt: skip
    return train({"a": speech()[16000:24000]}, features_of_speech, out, settings, resume)


EXAMPLE = ModelExample(
    "lpcnet",
    write=write,
    read=lambda path: WEIGHTS.read(path)[1],
    features=drawn_features,
    forward=forward,
    generate=generate,
    cumulative=cumulative,
    train=trained,
    forced=forced,
    draws=4000,
    steps=20,
    fall=0.5,  # measured 0.9 nats
)


IN_EIGHT_BITS = replace(
    EXAMPLE,
    forward=partial(forward, eight_bits=True),
    generate=partial(generate, eight_bits=True),
    train=partial(trained, eight_bits=True),
    forced=partial(forced, eight_bits=True),
    # A state near the edge between two 8-bit numbers may be rounded otherwise in torch, which has neither the tables in
    # 16 bits nor the short powers of 2 of the kernel. Measured: 0.0053 at the most.
    tolerance=8e-3,
)


@pytest.mark.parametrize("name", MODEL_CHECKS)
def test_lpcnet_passes(name: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](EXAMPLE, tmp_path)


@pytest.mark.parametrize("name", MODEL_CHECKS)
def test_lpcnet_in_eight_bits_passes(name: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](IN_EIGHT_BITS, tmp_path)
