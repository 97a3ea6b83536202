"""LPCNet's kernels: they agree with torch and with the C program, and lanes have the bits of a signal alone."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.neural import lpcnet_synthesis as loop
from dspgraph_nodes._kernels.neural.lanes import Segment
from dspgraph_nodes._kernels.neural.layers import layer
from dspgraph_nodes._kernels.neural.layout import WIDTH, Blocks, Matrix
from dspgraph_nodes._kernels.neural.lpcnet_packing import Network, pack_weights
from dspgraph_nodes._kernels.neural.packing import blocks
from dspgraph_nodes.models.lpcnet.config import Config
from dspgraph_nodes.models.lpcnet.convert import from_keras
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.reference import sampling_distribution, synthesise
from helpers import paths
from helpers.networks import SMALL, random_arrays, sized

GOLDEN = paths.GOLDEN / "lpcnet_network_random.npz"
HOP = 20


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.Generator(np.random.Philox(key=seed)).random(shape)


def model_of(arrays: dict[str, Array], config: Config) -> LPCNet:
    model = LPCNet(config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model.eval()


def conditions(network: Network, frames: int, seed: int = 0) -> tuple[Array, Array]:
    """Return random features [frames, 20], and the conditions that the network computes from them, one per frame."""
    x = 2 * drawn(frames, 20, seed=seed).astype(np.float32) - 1
    heard = loop.features(network.frame, x[:, :18], x[:, 18:19], x[:, 19:])
    one = loop.FrameNetworkState(network.frame, 18)
    return x, one.push(network.frame, heard, last=True)


def part(network: Network, frames: int, seed: int, count: int | None = None) -> Segment:
    """Return a segment of a random signal: conditions, predictors, sharpness, and a random number for every sample.

    The first frame is used for half a hop of samples. count: the number of samples; by default HOP * frames.
    """
    _, f = conditions(network, frames, seed)
    lpc = np.tile([-0.9, 0.2, 0.0, 0.1], (frames, 1)) * drawn(frames, 1, seed=seed)
    given = loop.frame_inputs(network.frame, f, lpc, 1 + drawn(frames, seed=seed))
    numbers = drawn(HOP * frames if count is None else count, seed=seed + 100).astype(np.float32)
    return Segment(loop.LaneState(network.sample, 4), given, HOP // 2, numbers)


SIZES = [SMALL, sized(16, 16), sized(32, 32), sized(80, 48)]


@pytest.mark.parametrize("config", [*SIZES, Config()], ids=lambda c: f"{c.gru_a}/{c.gru_b}")
def test_a_lane_has_the_bits_its_signal_has_alone(config: Config) -> None:
    """Each signal has the same samples, and the first the same states, in a batch of 2, 16 or 17 signals as alone.

    The signals have different lengths: some lanes are idle, all are in use, or lanes are used again.
    """
    network = pack_weights(random_arrays(config))
    for count in (2, 16, 17):
        lengths = [1 + (5 * k) % 7 for k in range(count)]
        alone = [loop.synthesise(network.sample, [part(network, n, k)], HOP, 0.002)[0] for k, n in enumerate(lengths)]
        parts = [part(network, n, k) for k, n in enumerate(lengths)]
        together = loop.synthesise(network.sample, parts, HOP, 0.002, many=2)
        for expected, found, one in zip(alone, together, parts, strict=True):
            assert len(found[0]) == len(one.numbers)
            for ours, theirs in zip(found, expected, strict=True):
                assert_array_equal(ours, theirs)
        again = part(network, lengths[0], 0)
        loop.synthesise(network.sample, [again], HOP, 0.002)
        assert_array_equal(again.state.gru, parts[0].state.gru)
        assert_array_equal(again.state.past, parts[0].state.past)


@pytest.mark.parametrize("config", SIZES, ids=lambda c: f"{c.gru_a}/{c.gru_b}")
def test_teacher_forced_it_is_the_network_of_torch(config: Config) -> None:
    arrays = random_arrays(config)
    network, model = pack_weights(arrays), model_of(arrays, config)
    x, f = conditions(network, 4)
    with torch.no_grad():
        columns = torch.from_numpy(x)[None]
        expected = model.condition(columns[..., :18], columns[..., 18], columns[..., 19])
        # Rounding of float32 along sums of a hundred terms of size 1; measured 2e-7 and 1e-6
        assert_allclose(f, expected[0].numpy(), rtol=0, atol=2e-6)
        codes = (256 * drawn(4 * HOP, 3)).astype(np.int64)
        logits, states, _ = model(torch.from_numpy(f)[None], torch.from_numpy(codes)[None])
    given = loop.frame_inputs(network.frame, f, np.zeros((4, 1)), np.ones(4))
    one, many = (loop.teacher_forced(network.sample, given, codes, HOP, lanes) for lanes in (1, WIDTH))
    assert_array_equal(one[0], many[0])
    assert_array_equal(one[1], many[1])
    assert_allclose(one[0], logits[0].numpy(), rtol=0, atol=2e-5)
    assert_allclose(one[1], states[0].numpy(), rtol=0, atol=2e-6)
    assert np.ptp(one[0], axis=0).max() > 0.5


@pytest.mark.skipif(not GOLDEN.is_file(), reason="what the C program gave is recorded beside the repository")
def test_teacher_forced_it_is_the_published_program() -> None:
    """Conditions, logits and states of GRU_B agree with a recorded run of the C program over 640 samples.

    The network of the run has random weights and the published sizes. The test is skipped if the record, which is kept
    beside the repository, is not there.
    """
    golden = np.load(GOLDEN)
    model = from_keras({name: golden[name] for name in golden if name.startswith("weights/")})
    network = pack_weights({name: value.numpy() for name, value in model.state_dict().items()})
    rows = golden["features"]
    one = loop.FrameNetworkState(network.frame, 18)
    heard = loop.features(network.frame, rows[:, :18], rows[:, 36:37], rows[:, 37:38])
    f = one.push(network.frame, heard, last=True)
    # The program is causal: two frames late, and the first ones it cannot know are zero. Measured 6.5e-6.
    assert np.abs(f[:28] - golden["cond"][2:]).max() <= 2e-5
    given = loop.frame_inputs(network.frame, golden["cond"][2:6], np.zeros((4, 16)), np.ones(4))
    codes = golden["exc_sig_pred"].astype(np.int64)[:, [1, 2, 0]]
    for lanes in (1, WIDTH):
        logits, states, _ = loop.teacher_forced(network.sample, given, codes, 160, lanes)
        assert np.abs(logits - golden["logits"]).max() <= 3e-4  # measured 5.8e-5
        assert np.abs(states - golden["gru_b"]).max() <= 3e-5  # measured 3.8e-6


@pytest.mark.parametrize(("pitch", "row"), [(-1.36, 33), (-1.34, 33), (-1.0, 50), (3.1, 255), (3.12, 255), (9.0, 255)])
def test_a_pitch_has_its_row_of_the_table(pitch: float, row: int) -> None:
    """The row is floor(0.1 + 50 * pitch + 100), limited to 33 .. 255, as in torch."""
    network = pack_weights(random_arrays(SMALL))
    found = loop.features(network.frame, np.zeros((1, 18)), np.full((1, 1), pitch), np.zeros((1, 1)))
    assert found.shape == (1, 24)
    assert_array_equal(found[0, 20:], network.frame.pitch[row])


def free_running(config: Config, seconds: float) -> tuple[Array, Array]:
    arrays = random_arrays(config)
    network, model = pack_weights(arrays), model_of(arrays, config)
    count = int(16000 * seconds)
    frames = -(-count // 160)
    _, f = conditions(network, frames)
    lpc = np.tile([-0.9, 0.2, 0.0, 0.1], (frames, 1)) * drawn(frames, 1)
    sharp, numbers = loop.sharpness(drawn(frames) - 0.5), drawn(count, seed=1).astype(np.float32)
    one = Segment(loop.LaneState(network.sample, 4), loop.frame_inputs(network.frame, f, lpc, sharp), 80, numbers)
    ((found, _),) = loop.synthesise(network.sample, [one], 160, 0.002)
    expected, codes = synthesise(model, torch.from_numpy(f), torch.from_numpy(sharp), lpc, numbers, 160, 80, 0.002)
    assert len(np.unique(codes)) > 30, "a network that says nothing would agree with anything"
    return found, expected


def test_free_running_it_draws_the_same_codes_as_torch() -> None:
    found, expected = free_running(SMALL, 0.1)
    assert_array_equal(found, expected)


@pytest.mark.slow
def test_free_running_at_full_size_it_draws_the_same_codes_as_torch_for_a_second() -> None:
    found, expected = free_running(Config(), 1.0)
    assert_array_equal(found, expected)


def test_tables_are_the_embeddings_times_the_weights() -> None:
    """The tables equal the embedding times the input weights of GRU_A, in float64, to 1e-5; measured: 1e-7.

    There are 256 rows for each of the three codes. The products of the gates r, z and n are multiplied by -log2(e),
    -log2(e) and 2 * log2(e).
    """
    config = Config()
    arrays = random_arrays(config)
    tables = pack_weights(arrays).sample.tables
    scale = np.log2(np.e) * np.repeat([-1, -1, 2], config.gru_a)
    for k in range(3):
        weights = arrays["gru_a.weight_ih_l0"][:, 128 * k : 128 * (k + 1)].astype(np.float64)
        direct = arrays["embed.weight"] @ weights.T * scale
        in_order = direct.reshape(256, 3, -1, 16).swapaxes(1, 2).reshape(256, -1)  # [block, gate, unit]
        assert np.abs(tables[k] - in_order).max() <= 1e-5


def dense(one: Blocks, columns: int) -> Array:
    matrix = np.zeros((16 * len(one.where), columns), np.float32)
    for group, places in enumerate(one.places):
        for step in range(one.steps[group], one.steps[group + 1]):
            for q, place in enumerate(places):
                if place < len(matrix):
                    matrix[place : place + 16, one.columns[step, q]] += one.weights[step, q]
    return matrix


@pytest.mark.parametrize("density", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_every_kept_block_is_there_once_and_no_other(density: float) -> None:
    """A packed matrix has exactly the blocks of the given matrix that are not 0, besides padding.

    The matrix for 192 units has 6912 blocks of 16 rows and one column; `density` is the share that is not 0. The kernel
    takes four rows of blocks together, so the shorter of these rows are filled up with zeros.
    """
    kept: Array = np.zeros(36 * 192, bool)
    kept[: round(density * len(kept))] = True
    kept = np.random.Generator(np.random.Philox(key=3)).permutation(kept).reshape(36, 192)
    matrix = np.repeat(kept, 16, axis=0) * (1 + drawn(576, 192)).astype(np.float32)
    found = blocks(matrix)
    assert_array_equal(dense(found, 192), matrix)
    assert (np.abs(found.weights).max(axis=2) > 0).sum() == kept.sum()
    assert kept.sum() == round(density * 6912)
    assert 4 * found.steps[-1] <= kept.sum() + 3 * 192  # what padding can cost at the most


def test_the_diagonal_is_kept_apart_and_whole() -> None:
    """The 3 * 192 weights on the diagonals are stored apart, even if none of the blocks that they lie in is kept."""
    arrays = random_arrays(Config(gru_a=192), densities=(0.05, 0.05, 0.2))
    network, recurrent = pack_weights(arrays).sample, arrays["gru_a.weight_hh_l0"].reshape(3, 192, 192)
    diagonal = network.diagonal_a.reshape(12, 3, 16).swapaxes(0, 1).reshape(3, 192)
    scale = np.log2(np.e) * np.array([[-1], [-1], [2]])
    assert (diagonal != 0).all()
    assert_allclose(diagonal, scale * recurrent.diagonal(axis1=1, axis2=2), rtol=1e-6)
    off = np.where(np.eye(192, dtype=bool), 0, scale[..., None] * recurrent)
    assert isinstance(network.a, Blocks)
    by_block = dense(network.a, 192).reshape(12, 3, 16, 192).swapaxes(0, 1).reshape(3, 192, 192)
    assert_allclose(by_block, off, rtol=1e-6)
    share = (np.abs(off).reshape(3, 12, 16, 192).max(axis=2) > 0).mean(axis=(1, 2))
    assert_allclose(share, [0.05, 0.05, 0.2], atol=0.03)  # 3.5 times sqrt(0.2 * 0.8 / 2304)


@pytest.mark.parametrize(("g", "c"), [(0, 1), (1 / 3, 1), (0.5, 1.25), (2 / 3, 1.5), (1, 2)])
def test_periodic_frames_are_sharpened(g: float, c: float) -> None:
    """A frame with the correlation g - 0.5 has the sharpness c / temperature with c = 1 + max(0, 1.5 * g - 0.5)."""
    assert_allclose(loop.sharpness(np.array([g - 0.5])), [c], atol=1e-6)
    assert_allclose(loop.sharpness(np.array([g - 0.5]), 2.0), [c / 2], atol=1e-6)


def entropy(p: Array) -> Array:
    found: Array = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
    return found


def test_a_distribution_is_tempered_cut_and_normalised_twice() -> None:
    logits = 6 * drawn(50, 256)
    last = np.full(50, np.inf)
    for g in (0, 1 / 3, 0.5, 0.75, 1):
        c = loop.sharpness(np.full(50, g - 0.5))
        p = sampling_distribution(logits, c, 0.002)
        assert_allclose(p.sum(axis=1), 1, atol=1e-12)
        raw = np.exp(logits * c[:, None])
        raw /= raw.sum(axis=1, keepdims=True)
        assert (p[raw <= 0.002] == 0).all()
        assert (p[raw > 0.002] > 0).all()
        assert (entropy(p) <= last + 1e-12).all()
        last = entropy(p)


def constant_network(logits: Array) -> Network:
    """Return a network that ignores its inputs and always gives these logits."""
    arrays = {name: np.zeros_like(array) for name, array in random_arrays(SMALL).items()}
    arrays["dual_fc.factor"][0] = logits
    arrays["dual_fc.bias"][0] = 30.0  # its tanh is 1
    return pack_weights(arrays)


def codes_of(network: Network, numbers: Array, sharp: float, threshold: float, lanes: int) -> Array:
    """Return the codes that random numbers draw, found from the samples.

    A sample is a decoded code here: the predictors are 0, so that no prediction is added. numbers: the random numbers,
    from 0 to 1, divided in order and equally among the signals; sharp: the sharpness of every frame; threshold: the
    probability that is subtracted from each level; lanes: the number of signals, which divides that of the numbers.
    """
    n = len(numbers) // lanes
    parts = []
    for k in range(lanes):
        given = loop.frame_inputs(network.frame, np.zeros((1, 16), np.float32), np.zeros((1, 1)), np.array([sharp]))
        own = numbers[k * n : (k + 1) * n].astype(np.float32)
        parts.append(Segment(loop.LaneState(network.sample, 1), given, n, own))
    samples = np.concatenate([y for y, _ in loop.synthesise(network.sample, parts, 160, threshold, many=2)])
    found: Array = np.searchsorted(network.sample.centres, samples)
    assert_array_equal(network.sample.centres[found], samples)
    return found


@pytest.mark.parametrize("lanes", [1, 16])
def test_levels_are_drawn_by_the_inverse_of_their_distribution(lanes: int) -> None:
    """20000 evenly spaced numbers draw each level as often as its probability says, to within one.

    Ascending numbers draw ascending levels.
    """
    logits = 5 * drawn(256, seed=2)
    network = constant_network(logits)
    for g, threshold in ((0.0, 0.0), (0.5, 0.002), (1.0, 0.002), (1.0, 0.0)):
        sharp = float(loop.sharpness(np.array([g - 0.5]))[0])
        p = sampling_distribution(logits[None], np.array([sharp]), threshold)[0]
        numbers = (np.arange(20000) + 0.5) / 20000
        found = codes_of(network, numbers, sharp, threshold, lanes)
        assert (np.diff(found) >= 0).all()
        assert_allclose(np.bincount(found, minlength=256) / 20000, p, atol=1.01 / 20000)
        assert set(np.unique(found)) <= set(np.flatnonzero(p))


def test_one_and_sixteen_draw_the_same_where_the_last_bit_decides() -> None:
    """One signal and sixteen draw the same codes, although the last bit of a sum matters.

    All levels have nearly the probability 1/256, of which the threshold, 0.003905, leaves less than a thousandth. So a
    difference in the last bit of their sum would change the rest noticeably.
    """
    for seed in range(10):
        network = constant_network(1e-3 * drawn(256, seed=seed))
        numbers = drawn(16 * 500, seed=seed)
        one, many = (codes_of(network, numbers, 1.0, 0.003905, lanes) for lanes in (1, 16))
        assert_array_equal(one, many)
        assert len(np.unique(one)) > 100


@pytest.mark.parametrize("lanes", [1, 16])
def test_the_ends_of_the_numbers_draw_what_is_possible(lanes: int) -> None:
    """The numbers are 0 and the largest float32 below 1.

    They draw the first and the last level whose probability is not 0.
    """
    logits = np.full(256, -50.0)
    logits[[7, 8, 200]] = 1.0, 3.0, 2.0
    network = constant_network(logits)
    numbers = np.repeat([0.0, np.nextafter(np.float32(1), np.float32(0))], 16)
    found = codes_of(network, numbers, 1.0, 0.002, lanes)
    assert_array_equal(found, np.repeat([7, 200], 16))
    for only in (0, 255):
        logits = np.zeros(256)
        logits[only] = 60.0
        assert (codes_of(constant_network(logits), numbers, 1.0, 0.002, lanes) == only).all()


def test_tanh_by_powers_of_two_is_right_to_a_quarter_of_a_millionth() -> None:
    """The tanh of the frame-rate network is computed from 2**x; its error is below 2.5e-7.

    This is about twice the machine epsilon of float32, 1.2e-7.
    """
    x = np.linspace(-12, 12, 16 * 2000).astype(np.float32)
    weight = np.float32(2 / np.log(2)) * np.eye(16, dtype=np.float32)
    one = Matrix(blocks(weight), np.zeros(32, np.float32))
    found = layer(x.reshape(-1, 16), one).reshape(-1)
    assert np.abs(found - np.tanh(x.astype(np.float64))).max() < 2.5e-7  # measured 1.8e-7


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 40])
def test_a_layer_has_the_same_bits_row_by_row(rows: int) -> None:
    x, weight = drawn(rows, 37).astype(np.float32), (drawn(48, 37) - 0.5).astype(np.float32)
    one: Any = Matrix(blocks(weight), np.arange(64, dtype=np.float32) / 64)
    whole = layer(x, one, tanh=False)
    assert whole.shape == (rows, 48)
    for n in range(rows):
        assert_array_equal(layer(x[n : n + 1], one, tanh=False)[0], whole[n])
    assert_allclose(whole, x.astype(np.float64) @ weight.T + np.arange(48) / 64, atol=3e-6)


@pytest.mark.parametrize("many", [1, 2])  # 1: side by side even when alone
def test_a_predictor_that_runs_away_stays_where_the_codes_end(many: int) -> None:
    network = pack_weights(random_arrays(SMALL))
    one = part(network, 6, 0)
    one.frames.lpc[:] = [-1.2, 0.0, 0.0, 0.0]  # s[n] grows by a fifth with every sample
    ((samples, _),) = loop.synthesise(network.sample, [one], HOP, 0.002, many=many)
    assert np.abs(samples).max() == 32768
    assert (np.abs(samples) == 32768).sum() > len(samples) // 2
