"""Products of 8-bit numbers: exact, and the same by every path, for one signal and for sixteen.

A path is a set of instructions of the processor, a name in `DOT_PATHS`.
"""

import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.compile.jit import kernel
from dspgraph_nodes._kernels.compile.simd import DOT_PATHS, SHORT_SERIES, dot_paths
from dspgraph_nodes._kernels.neural.layers import apply_layer, layer_buffers, product_m_of_many, product_m_of_one
from dspgraph_nodes._kernels.neural.layout import WIDTH, DotBlocks
from dspgraph_nodes._kernels.neural.packing import dot_blocks, packed_matrix
from dspgraph_nodes._kernels.neural.quantisation import EightBits, dequantised, quantised
from dspgraph_nodes._kernels.neural.stages import encode_state


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).random(shape)


# ---- rounding -------------------------------------------------------------------------------------------------------


def test_a_row_is_its_scale_times_whole_numbers_to_127() -> None:
    weights = (drawn(6, 40) - 0.5).astype(np.float32)
    found = quantised(weights)
    largest = np.abs(weights).max(axis=1).astype(np.float64)
    assert_array_equal(np.abs(found.codes).max(axis=1), np.full(6, 127))
    assert np.all(found.scale >= largest / 127)
    assert np.all(found.scale <= largest / 127 * (1 + 2.0**-15))  # 16 binary digits, rounded up
    assert np.abs(dequantised(found) - weights).max(axis=1).max() <= (found.scale / 2).max() * (1 + 1e-6)
    assert_array_equal(dequantised(found), found.codes * found.scale[:, None].astype(np.float64))  # nothing is rounded


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1.0, 1e30])
def test_weights_that_were_in_eight_bits_are_the_same_again(factor: float) -> None:
    weights = (factor * (drawn(96, 32, seed=1) - 0.5)).astype(np.float32)
    weights[7] = 0
    once = quantised(weights, 1, diagonal=True)
    again = quantised(dequantised(once), 1, diagonal=True)
    for ours, theirs in zip(again, once, strict=True):
        assert_array_equal(ours, theirs)


def test_rows_may_be_counted_by_several_axes_and_diagonals_stay_as_they_are() -> None:
    weights = (drawn(2, 5, 7, seed=2) - 0.5).astype(np.float32)
    found = quantised(weights, 2)
    assert found.scale.shape == (2, 5)
    assert_array_equal(found.codes[1, 3], quantised(weights[1, 3:4]).codes[0])
    square = (drawn(32, 16, seed=3) - 0.5).astype(np.float32)
    square[np.arange(32), np.arange(32) % 16] *= 50
    kept = dequantised(quantised(square, 1, diagonal=True))
    diagonal = np.eye(16, dtype=bool)
    assert_array_equal(kept.reshape(2, 16, 16)[:, diagonal], square.reshape(2, 16, 16)[:, diagonal])
    assert np.abs(kept - square).max() < 0.5 / 127 * 0.51  # the large diagonals do not spoil the other weights


def test_the_short_series_has_an_error_of_1e_4() -> None:
    """The largest relative error of 2**r for r from -1/2 to 1/2 is 1.013e-4.

    This is the least of all series of this degree that are exactly 1 at r = 0. By Chebyshev's criterion: the error,
    times the sign of r, reaches its extremes four times with alternating signs.
    """
    r = np.linspace(-0.5, 0.5, 10001)
    error = np.polyval([*SHORT_SERIES[::-1], 1.0], r) / 2.0**r - 1
    assert np.abs(error).max() == pytest.approx(1.013e-4, rel=1e-3)
    extremes = (error * np.sign(r))[np.abs(error) > 1.012e-4]
    assert np.count_nonzero(np.diff(np.sign(extremes))) == 3


# ---- products -------------------------------------------------------------------------------------------------------


class Net(NamedTuple):
    m: DotBlocks
    start: Array


class Buffers(NamedTuple):
    state: Array  # [1, columns], or [1, columns, 16]
    codes: Array
    y: Array


@kernel
def _encode(net: Net, buffers: Buffers, blocks: int) -> None:
    for block in range(blocks):
        encode_state(net, buffers, 0, block)


@kernel
def _of_one(net: Net, buffers: Buffers) -> None:
    for group in range(len(net.m.places)):
        product_m_of_one(net, buffers, group, 0)


@kernel
def _of_many(net: Net, buffers: Buffers) -> None:
    for block in range(len(net.m.where)):
        product_m_of_many(net, buffers, block, block, 0)


def tiles(x: Array) -> Array:
    """Return numbers [units, lanes] in the kernels' order [block, lane, unit in block], in the same shape.

    units: a multiple of WIDTH.
    """
    return np.ascontiguousarray(x.reshape(-1, WIDTH, x.shape[1]).swapaxes(1, 2)).reshape(x.shape)


def from_tiles(x: Array, lanes: int) -> Array:
    """Undo `tiles`: return numbers x, in the kernels' order and of any shape, as [units, lanes]."""
    return x.reshape(-1, lanes, WIDTH).swapaxes(1, 2).reshape(-1, lanes)


def products(codes: Array, states: Array, path: str, lanes: int) -> tuple[Array, Array]:
    """Return the states as whole numbers round(127 * h), [columns, lanes], and their products with a matrix.

    The products are [rows, lanes], whole numbers. codes: [rows, columns], int8, the matrix, both sizes multiples of 16;
    states: [columns, lanes], floats from -1 to 1; path: a name in `DOT_PATHS`, the instructions that compute the
    products; lanes: 1 or 16.
    """
    rows, columns = codes.shape
    net = Net(dot_blocks(codes, np.ones(rows), path), np.zeros(0, np.float32))
    shape = (lanes,) if lanes > 1 else ()
    state = np.ascontiguousarray(tiles(states).reshape(1, columns, *shape), np.float32)
    numbers = np.zeros(states.size, np.int16 if path == "avx2" and lanes > 1 else np.uint8)
    buffers = Buffers(state, numbers, np.zeros((rows + WIDTH, *shape), np.int32))
    _encode(net, buffers, columns // WIDTH)
    (_of_many if lanes > 1 else _of_one)(net, buffers)
    signed = (numbers.astype(np.int64) - 128 if path == "vnni" else numbers).astype(np.int8)
    return from_tiles(signed, lanes), from_tiles(buffers.y[:rows], lanes)


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("path", DOT_PATHS)
def test_every_path_gives_the_exact_sums(path: str, lanes: int) -> None:
    """The products equal sums of whole numbers, for a sparse matrix and for two matrices of 127 and -127 only.

    For the latter two, sums in 16 bits would saturate.
    """
    if path not in dot_paths():
        pytest.skip(f"this machine cannot run {path}")
    sparse = np.rint(254 * drawn(80, 48) - 127).astype(np.int8)
    sparse *= np.repeat(np.repeat(drawn(5, 12, seed=4) < 0.5, 16, axis=0), 4, axis=1)
    states = (2 * drawn(48, lanes, seed=5) - 1).astype(np.float32)
    extremes = np.where(drawn(80, 48, seed=6) < 0.5, -127, 127).astype(np.int8)
    for codes, state in (
        (sparse, states),
        (extremes, np.sign(states)),
        (np.full_like(extremes, 127), np.ones_like(states)),
    ):
        found, sums = products(codes, state, path, lanes)
        assert_array_equal(found, np.rint(np.float32(127) * state))
        assert_array_equal(sums, codes.astype(np.int64) @ found.astype(np.int64))


@pytest.mark.parametrize(
    ("environment", "paths"),
    [
        ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2,+avx2"}, "avx2 plain"),
        ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}, "plain"),
        ({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}, "plain"),
        ({"NUMBA_ENABLE_AVX": "0"}, "plain"),
        ({"NUMBA_CPU_NAME": "ivybridge"}, "plain"),  # numba turns AVX off for it
    ],
    ids=["avx2", "sse2", "none", "no AVX", "ivybridge"],
)
def test_paths_are_those_that_numba_compiles_for(environment: dict[str, str], paths: str) -> None:
    given = {name: text for name, text in os.environ.items() if not name.startswith(("NUMBA_CPU", "NUMBA_ENABLE_AVX"))}
    code = "from dspgraph_nodes._kernels.compile.simd import dot_paths; print(*dot_paths())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**given, **environment}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == paths


def test_halves_become_even_and_a_number_just_above_one_stays_127() -> None:
    state = np.zeros((16, 1), np.float32)
    state[:6, 0] = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 127.00001]) / 127
    found, _ = products(np.ones((16, 16), np.int8), state, "plain", 1)
    expected = np.rint((np.float32(127) * state[:, 0]).astype(np.float32))
    assert_array_equal(found[:, 0], expected)
    assert found[5, 0] == 127


def test_wrong_8_bit_numbers_come_out_otherwise() -> None:
    """If scales or 8-bit numbers were changed by hand, rounding the weights again gives other numbers.

    This shows that such a file is wrong.
    """
    right = quantised((drawn(16, 16, seed=8) - 0.5).astype(np.float32))
    for wrong in (right._replace(scale=right.scale * np.float32(1.0001)), right._replace(codes=right.codes // 2)):
        again = quantised(dequantised(EightBits(*wrong)))
        assert not (np.array_equal(again.codes, wrong.codes) and np.array_equal(again.scale, wrong.scale))


# ---- layers with inputs of any size ---------------------------------------------------------------------------------


def layer_by(path: str, eight: EightBits, bias: Array, x: Array) -> Array:
    """Return the outputs [rows, lanes] of a layer with 8-bit numbers, without an activation.

    path: a name in `DOT_PATHS`; eight: the weights [rows, inputs], inputs a multiple of 16; bias: [rows]; x: [inputs,
    lanes], any floats, with 1 or 16 lanes.
    """
    matrix = packed_matrix(dequantised(eight).astype(np.float64), bias, eight.scale, path)
    lanes = x.shape[1]
    state = np.ascontiguousarray(x[None] if lanes > 1 else x.T, np.float32)
    (buffers,) = layer_buffers(matrix, state, np.zeros(len(matrix.start) * lanes, np.float32))
    apply_layer(matrix, buffers, 0)
    found: Array = buffers.out.reshape(-1, lanes)[: len(bias)]
    return found


@pytest.mark.parametrize("path", DOT_PATHS)
def test_a_layer_rounds_its_inputs_to_127_steps_of_the_largest(path: str) -> None:
    """The outputs are those of the formula with rounded inputs, and the same bits for a signal alone and in a lane.

    The rows do not fill whole blocks, and every signal has inputs of another magnitude, one of them only zeros.
    """
    if path not in dot_paths():
        pytest.skip(f"this machine cannot run {path}")
    eight, bias = quantised((drawn(40, 48, seed=9) - 0.5).astype(np.float32)), drawn(40, seed=10)
    x = ((drawn(48, 16, seed=11) - 0.5) * 10.0 ** np.arange(-8, 8)).astype(np.float32)
    x[:, 3] = 0
    found = layer_by(path, eight, bias, x)
    for lane in range(16):
        assert_array_equal(layer_by(path, eight, bias, x[:, lane : lane + 1])[:, 0], found[:, lane])
    assert_array_equal(found[:, 3], bias.astype(np.float32))
    largest = np.abs(x).max(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        codes = np.nan_to_num(np.rint(np.float32(127) * (x * (np.float32(1) / largest)))).astype(np.int64)
    assert_array_equal(np.abs(codes).max(axis=0), np.where(largest > 0, 127, 0))
    exact = eight.scale[:, None] * (largest / 127.0) * (eight.codes.astype(np.int64) @ codes) + bias[:, None]
    assert_allclose(found, exact, rtol=1e-6, atol=1e-6)  # a few roundings of float32


def test_all_paths_give_a_layer_the_same_bits() -> None:
    eight, bias = quantised((drawn(32, 64, seed=9) - 0.5).astype(np.float32)), drawn(32, seed=10)
    x = (drawn(64, 16, seed=11) - 0.5).astype(np.float32)
    first, *others = (layer_by(path, eight, bias, x) for path in dot_paths())
    for other in others:
        assert_array_equal(other, first)


@pytest.mark.parametrize("path", DOT_PATHS)
def test_a_layer_with_an_input_that_is_not_finite_gives_only_nan(path: str) -> None:
    """All outputs of the signal are NaN, so that an overflow is noticed. The signals in other lanes keep their bits."""
    if path not in dot_paths():
        pytest.skip(f"this machine cannot run {path}")
    eight, bias = quantised((drawn(40, 48, seed=9) - 0.5).astype(np.float32)), drawn(40, seed=10)
    eight.scale[3] = eight.codes[3] = 0
    x = (drawn(48, 16, seed=11) - 0.5).astype(np.float32)
    clean, broken = layer_by(path, eight, bias, x), x.copy()
    for lane, wrong in ((2, np.nan), (3, -np.nan), (7, np.inf), (12, -np.inf)):
        broken[5, lane] = wrong
        assert np.isnan(layer_by(path, eight, bias, broken[:, lane : lane + 1])).all()
    found, whole = layer_by(path, eight, bias, broken), np.isfinite(broken).all(axis=0)
    assert np.isnan(found[:, ~whole]).all()
    assert_array_equal(found[:, whole], clean[:, whole])
