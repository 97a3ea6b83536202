"""LPCNet in eight bits, compared with its formulas in numpy; the samples are the same in lanes and by every path.

A path is a set of instructions of the processor for products of 8-bit numbers, a name in `DOT_PATHS`.
"""

import hashlib
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.neural import lpcnet_synthesis as loop
from dspgraph_nodes._kernels.neural.lanes import Segment
from dspgraph_nodes._kernels.neural.lpcnet_packing import Network, pack_weights
from dspgraph_nodes._kernels.neural.quantisation import dequantised
from dspgraph_nodes._kernels.neural.stages import LOG2_E, TANH_BOTTOM, TANH_END, TANH_TOP
from dspgraph_nodes.models.lpcnet.config import Config
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS
from helpers.networks import SMALL, random_arrays, sized

HOP = 20


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).random(shape)


def packed(arrays: dict[str, Array], path: str = "") -> Network:
    return pack_weights(arrays, WEIGHTS.in_eight_bits(arrays), path)


def tanh(x: Array) -> Array:
    """Return the fraction of polynomials that stands for tanh(x) in eight bits."""
    u = np.clip(2 * LOG2_E * x, -TANH_END, TANH_END)
    y: Array = u * np.polyval([1, *TANH_TOP[::-1]], u**2) / np.polyval(TANH_BOTTOM[::-1], u**2)
    return y


def sigmoid(x: Array) -> Array:
    y: Array = (1 + tanh(x / 2)) / 2
    return y


def test_tanh_in_eight_bits_is_close_to_tanh() -> None:
    """The error is below 4.5e-5, a ninetieth of that of a rounded state, 4e-3. The result lies within -1 .. 1."""
    x = np.linspace(-12, 12, 100001)
    assert (
        np.abs(tanh(x) - np.tanh(x)).max() < 4.5e-5
    )  # measured 4.4e-5, the least that polynomials of these degrees have
    assert np.abs(tanh(x)).max() < 1


def rounded_tables(embedding: Array, weights: Array) -> Array:
    """Return tables [3, 256, 3 * units] of what each of the three codes adds to the gates of GRU_A, rounded to 16 bits.

    The step of a column is the sum of its largest magnitudes in the three tables, divided by 32764, rounded to float32.
    embedding: [256, size]; weights: [3 * units, 3 * size].
    """
    factor = LOG2_E * np.repeat([-1.0, -1.0, 2.0], len(weights) // 3)
    exact = np.stack([embedding @ (factor[:, None] * part).T for part in np.split(weights, 3, axis=1)])
    tables = exact.astype(np.float32).astype(np.float64)
    step = (np.abs(tables).max(axis=1).sum(axis=0) / 32764).astype(np.float32).astype(np.float64)
    rounded: Array = np.rint(tables / step) * step / factor
    return rounded


def formulas(arrays: dict[str, Array], f: Array, codes: Array, hop: int, rounded: bool = True) -> tuple[Array, Array]:
    """Return logits [n, 256] and states of GRU_B [n, units], computed in float64 by LPCNet's equations.

    The weights are rounded to eight bits, the tables to sixteen. f: [frames, condition], the conditions; codes: [n, 3],
    the codes that the network reads for each sample; hop: samples in a frame; rounded: whether a state h counts as
    round(127 * h) / 127 in the products.
    """
    eight = WEIGHTS.in_eight_bits(arrays)
    w = {name: array.astype(np.float64) for name, array in arrays.items()}
    w |= {name: dequantised(one).astype(np.float64) for name, one in eight.items()}

    def product(name: str, h: Array, columns: slice = slice(None)) -> Array:
        numbers, scale = eight[name].codes[..., columns].astype(np.int64), eight[name].scale.astype(np.float64)
        if not rounded:
            return scale * (numbers @ h)
        sums: Array = scale * (numbers @ np.rint(127 * h).astype(np.int64)) / 127
        return sums

    def gru(name: str, x: Array, h: Array) -> Array:
        diagonal = eight[f"{name}.weight_hh_l0"].diagonal
        assert diagonal is not None
        own = product(f"{name}.weight_hh_l0", h) + diagonal.astype(np.float64) * np.tile(h, 3) + w[f"{name}.bias_hh_l0"]
        (xr, xz, xn), (hr, hz, hn) = np.split(x, 3), np.split(own, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        new: Array = (1 - z) * tanh(xn + r * hn) + z * h
        return new

    units, size = w["gru_a.weight_hh_l0"].shape[1], w["embed.weight"].shape[1]
    tables = rounded_tables(w["embed.weight"], w["gru_a.weight_ih_l0"][:, : 3 * size])
    a, b = np.zeros(units), np.zeros(w["gru_b.weight_hh_l0"].shape[1])
    logits, states = [], []
    for n, three in enumerate(codes):
        row = f[n // hop].astype(np.float64)
        of_codes = tables[0, three[0]] + tables[1, three[1]] + tables[2, three[2]]
        a = gru("gru_a", of_codes + w["gru_a.weight_ih_l0"][:, 3 * size :] @ row + w["gru_a.bias_ih_l0"], a)
        of_condition = w["gru_b.weight_ih_l0"][:, units:] @ row + w["gru_b.bias_ih_l0"]
        b = gru("gru_b", product("gru_b.weight_ih_l0", a, slice(units)) + of_condition, b)
        both = product("dual_fc.kernel", b) + w["dual_fc.bias"]
        logits.append((w["dual_fc.factor"] * tanh(both)).sum(axis=0))
        states.append(b)
    return np.array(logits), np.array(states)


def forced(network: Network, f: Array, codes: Array, lanes: int) -> tuple[Array, Array, Array]:
    frames = len(codes) // HOP
    given = loop.frame_inputs(network.frame, f, np.zeros((frames, 1)), np.ones(frames))
    return loop.teacher_forced(network.sample, given, codes, HOP, lanes)


@pytest.mark.parametrize("config", [SMALL, sized(32, 32)], ids=lambda c: f"{c.gru_a}/{c.gru_b}")
def test_teacher_forced_it_is_its_definition(config: Config) -> None:
    """The median difference of the logits from the formulas is below 1e-5, in eight runs of one frame each.

    A state near the edge between two 8-bit numbers may be rounded to the other one in float32. From then on that run
    differs more, but by less than 0.1, and the states of GRU_B by less than 0.02. One lane and sixteen give the same
    bits. If the formulas do not round the states, the median difference is above 1e-3.
    """
    arrays = random_arrays(config)
    f = (2 * drawn(8, 1, config.condition) - 1).astype(np.float32)
    codes = (256 * drawn(8, HOP, 3, seed=1)).astype(np.int64)
    one, many = ([forced(packed(arrays), *run, lanes) for run in zip(f, codes, strict=True)] for lanes in (1, 16))
    for ours, theirs in zip(one, many, strict=True):
        for array, other in zip(ours, theirs, strict=True):
            assert_array_equal(array, other)

    def errors(rounded: bool) -> tuple[Array, Array]:
        found = [formulas(arrays, *run, HOP, rounded) for run in zip(f, codes, strict=True)]
        both = [[np.abs(ours[k] - theirs[k]) for k in range(2)] for ours, theirs in zip(one, found, strict=True)]
        logits, states = map(np.concatenate, zip(*both, strict=True))
        return logits, states

    logits, states = errors(rounded=True)
    assert np.median(logits) < 1e-5  # measured 2e-7
    assert logits.max() < 0.1
    assert states.max() < 0.02
    assert np.median(errors(rounded=False)[0]) > 1e-3, "rounding of the states must matter, or this test shows nothing"


def segments(network: Network, count: int) -> list[Segment]:
    found = []
    for k in range(count):
        frames = 1 + (5 * k) % 7
        f = (2 * drawn(frames, SMALL.condition, seed=k) - 1).astype(np.float32)
        lpc = np.tile([-0.9, 0.2, 0.0, 0.1], (frames, 1)) * drawn(frames, 1, seed=k)
        given = loop.frame_inputs(network.frame, f, lpc, 1 + drawn(frames, seed=k))
        numbers = drawn(HOP * frames, seed=k + 100).astype(np.float32)
        found.append(Segment(loop.LaneState(network.sample, 4), given, HOP // 2, numbers))
    return found


def runs(path: str) -> list[list[Array]]:
    """Return the samples of seventeen signals twice: made one after the other, and side by side.

    path: the instructions of the products, a name in `DOT_PATHS`; "" for the fastest of this machine.
    """
    network = packed(random_arrays(SMALL), path)
    alone = [loop.synthesise(network.sample, [one], HOP, 0.002)[0][0] for one in segments(network, 17)]
    together = [samples for samples, _ in loop.synthesise(network.sample, segments(network, 17), HOP, 0.002, many=2)]
    return [alone, together]


def test_a_lane_has_the_bits_its_signal_has_alone() -> None:
    alone, together = runs("")
    for ours, theirs in zip(together, alone, strict=True):
        assert_array_equal(ours, theirs)
    assert len(np.unique(np.concatenate(alone))) > 100


@pytest.mark.slow
@pytest.mark.skipif(len(dot_paths()) == 1, reason="this machine has no AVX2: there is only one path to run")
def test_every_path_gives_the_same_samples() -> None:
    """All paths of `DOT_PATHS` that this machine can run give the same samples. Compiling a path takes some seconds."""
    first, *others = (runs(path) for path in dot_paths())
    for found in others:
        for one, known in zip(found, first, strict=True):
            for ours, theirs in zip(one, known, strict=True):
                assert_array_equal(ours, theirs)


AVX2 = "+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+popcnt,+lzcnt"
PROCESSORS = {
    "haswell": ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2}, "avx2"),
    "x86-64": ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}, "plain"),
    "AVX turned off": ({"NUMBA_ENABLE_AVX": "0"}, "plain"),
}
"""Variables of the environment by which numba compiles for other processors, and the path that is taken then."""


def digest() -> str:
    """Return the digest of the samples, probabilities and last states of one signal in eight bits."""
    network = packed(random_arrays(SMALL))
    one = segments(network, 6)[-1]
    ((samples, rows),) = loop.synthesise(network.sample, [one], HOP, 0.002, tap=True)
    return hashlib.sha256(samples.tobytes() + rows.tobytes() + one.state.gru.tobytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the processors are those of x86-64")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_other_processors_give_the_same_samples(processor: str) -> None:
    """The kernel gives the same samples if it is compiled for a processor with AVX2 only, or without AVX and FMA.

    Another process compiles it, with the variables of the environment in PROCESSORS.
    """
    variables, path = PROCESSORS[processor]
    if path not in dot_paths():
        pytest.skip(f"this machine cannot run {path}")
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "import kernels.test_lpcnet_eight_bits as t; print(*t.dot_paths()[:1], t.digest())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [path, digest()]
