"""WaveRNN's kernels: the equations, recorded runs of the published programs, lanes and cuts."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.neural.conditioning import interpolation, reach
from dspgraph_nodes._kernels.neural.draws import mixture_noise
from dspgraph_nodes._kernels.neural.wavernn_layout import WaveRNNWeights
from dspgraph_nodes._kernels.neural.wavernn_synthesis import SIDE_BY_SIDE, WaveRNNState, distribution, synthesise
from dspgraph_nodes._kernels.signal.mulaw import even_samples
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.convert import convert
from dspgraph_nodes.models.wavernn.packing import packed
from helpers import paths
from helpers.wavernn import SMALL, PlainWaveRNN, draw_class, draw_number, random_weights, run

GOLDEN = paths.GOLDEN / "wavenet"
recorded = pytest.mark.skipif(not GOLDEN.is_dir(), reason="what other programs gave is recorded beside the repository")


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def random_frames(config: Config, count: int, seed: int = 0) -> Array:
    return 2 * generator(seed).random((count, config.features)) - 1


def whole(
    net: WaveRNNWeights, config: Config, frames: Array, numbers: Array, forced: Array | None = None, lanes: int = 1
) -> tuple[Array, Array]:
    """Return the draws of the kernel, [n, d], and the outputs of the network, [n, outputs], for a whole signal.

    frames: [frames, features]; zeros before and after them are added here. numbers, forced, lanes: those of `run` in
    helpers/wavernn.py.
    """
    return run(net, np.pad(frames, ((config.context, config.context), (0, 0))), numbers, forced, lanes)


def plain_run(config: Config, arrays: dict[str, Array], frames: Array, uniform: Array) -> tuple[Array, Array]:
    """Return the draws [n, d] of a signal and the outputs of the network [n, outputs], by its equations in float64.

    frames: [frames, features]; uniform: [n, draws], the random number or numbers of each sample.
    """
    plain, outputs = PlainWaveRNN(config, arrays, frames), []
    drawn: list[list[float]] = []
    last: Any = 0.0 if config.kind != "coarse_fine" else np.array(config.first_halves)
    top = (config.levels - 1) / 2
    for n, u in enumerate(uniform):
        if config.kind == "coarse_fine":
            coarse = plain.coarse(n, last)
            c = draw_class(coarse, u[0])
            fine = plain.fine(c / top - 1)
            f = draw_class(fine, u[1])
            last = np.array([c, f]) / top - 1
            drawn.append([c, f])
            outputs.append(np.concatenate((coarse, fine)))
            continue
        outputs.append(plain.stacked(n, last))
        drawn.append([draw_class(outputs[-1], u[0]) if config.kind == "categorical" else draw_number(outputs[-1], u)])
        last = drawn[-1][0] / top - 1 if config.kind == "categorical" else drawn[-1][0]
    return np.array(drawn), np.array(outputs)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("lanes", [1, 16])
def test_the_kernel_draws_what_the_equations_draw(name: str, lanes: int) -> None:
    """Outputs of 12 frames equal those of the equations in float64 to 1e-4; draws too, and levels exactly.

    With these seeds, no random number lies so near an edge that float32 and float64 draw differently.
    """
    config = SMALL[name]
    arrays = random_weights(config)
    net, frames = packed(config, arrays), random_frames(config, 12)
    uniform = generator(1).random((len(frames) * config.hop, net.draws))
    drawn, outputs = plain_run(config, arrays, frames, uniform)
    found, logits = whole(net, config, frames, uniform if net.levels else mixture_noise(uniform), lanes=lanes)
    assert_allclose(logits, outputs, atol=1e-4)
    if net.levels:
        assert_array_equal(found, drawn)
        assert len(np.unique(found)) >= 16
    else:
        assert_allclose(found, drawn, atol=1e-4)
        assert 0.05 < found.std() < 0.9


@pytest.mark.parametrize("name", SMALL)
def test_free_running_is_teacher_forcing_with_its_own_samples(name: str) -> None:
    """The results are the same bit for bit, because the same loop computes both."""
    config = SMALL[name]
    net, frames = packed(config, random_weights(config)), random_frames(config, 8)
    numbers = generator(1).random((len(frames) * config.hop, net.draws))
    numbers = numbers if net.levels else mixture_noise(numbers)
    drawn, outputs = whole(net, config, frames, numbers)
    values = net.values[drawn.astype(int)] if net.levels else drawn
    before = np.concatenate((net.start[None, : values.shape[1]], values[:-1]))
    forced = np.concatenate((before, values[:, :1]), 1) if config.kind == "coarse_fine" else before
    for lanes in (1, 16):
        again, found = whole(net, config, frames, numbers, forced, lanes)
        assert_array_equal(found, outputs)
        assert_array_equal(again, drawn)


@pytest.mark.parametrize("name", SMALL)
def test_cuts_and_batches_change_no_bit(name: str) -> None:
    """Signals of different lengths give the same results alone and whole as together and in pieces.

    Two signals are computed one after the other, five side by side in lanes.
    """
    config = SMALL[name]
    net = packed(config, random_weights(config))
    signals = [random_frames(config, 5 + 3 * k, seed=k) for k in range(5)]
    expected = []
    for k, frames in enumerate(signals):
        state = WaveRNNState(net, generator(k))
        parts = synthesise(net, [state.push(net, frames, last=True)], 1.0)
        expected.append([np.concatenate([part[j] for part in parts]) for j in (0, 1)])
        assert len(expected[-1][0]) == len(frames) * config.hop
    for count in (2, 5):  # two run one after the other, five side by side
        assert (count >= SIDE_BY_SIDE) == (count == 5)
        states = [WaveRNNState(net, generator(k)) for k in range(count)]
        found: list[list[tuple[Array, Array]]] = [[] for _ in states]
        for first in range(0, 18, 3):
            pushed = [one.push(net, signals[k][first : first + 3 - k % 2]) for k, one in enumerate(states)]
            pushed_too = [one.push(net, signals[k][first + 3 - k % 2 : first + 3]) for k, one in enumerate(states)]
            for segments in (pushed, pushed_too):
                for k, part in enumerate(synthesise(net, segments, 1.0)):
                    found[k].append(part)
        for k, part in enumerate(synthesise(net, [one.push(net, frames[:0], last=True) for one in states], 1.0)):
            found[k].append(part)
        for k in range(count):
            for j in (0, 1):
                assert_array_equal(np.concatenate([part[j] for part in found[k]]), expected[k][j])


@pytest.mark.parametrize("name", ["categorical", "mixture", "two biases"])
def test_in_eight_bits_lanes_and_instructions_change_no_bit(name: str) -> None:
    """Samples and outputs are the same bits by every path in `DOT_PATHS`, for a signal alone and in a lane.

    The outputs of the first sample, whose past is the same, differ from those in float32 by 0.05 at most.
    """
    config = SMALL[name]
    arrays, frames = random_weights(config), random_frames(config, 6)
    numbers = generator(1).random((len(frames) * config.hop, packed(config, arrays).draws))
    numbers = numbers if config.kind != "mixture" else mixture_noise(numbers)
    drawn, outputs = whole(packed(config, arrays, True), config, frames, numbers)
    for path in dot_paths():
        for lanes in (1, 16):
            again, found = whole(packed(config, arrays, True, path), config, frames, numbers, lanes=lanes)
            assert_array_equal(found, outputs)
            assert_array_equal(again, drawn)
    exact = whole(packed(config, arrays), config, frames, numbers)[1]
    assert (outputs != exact).any()
    assert_allclose(outputs[0], exact[0], atol=0.05)  # measured 0.012: the weights and inputs have 127 steps


@pytest.mark.parametrize("temperature", [0.5, 1.0])
@pytest.mark.parametrize("name", SMALL)
def test_the_distribution_is_that_of_the_draws(name: str, temperature: float) -> None:
    config = SMALL[name]
    net = packed(config, random_weights(config))
    outputs = generator().standard_normal((5, net.outputs)).astype(np.float32)
    found = distribution(net, outputs.copy(), temperature)
    if net.levels:
        p = np.exp(outputs.reshape(5, -1, net.levels).astype(float) / temperature)
        p /= p.sum(-1, keepdims=True)
        assert_allclose(found.reshape(p.shape), p, rtol=2e-6)
    else:
        assert_array_equal(found[:, :6], outputs[:, :6])
        assert_allclose(found[:, 6:], outputs[:, 6:] + np.log(temperature), atol=1e-6)


def test_levels_go_from_minus_one_to_one() -> None:
    """Levels are evenly spaced, or decoded from mu-law as in fatchord/WaveRNN.

    Level k of 512 gives sgn(y) * (512**|y| - 1) / 511 with y = 2 * k / 511 - 1.
    """
    for mulaw in (False, True):
        values = even_samples(512, mulaw)
        assert_allclose(values[[0, -1]], [-1, 1], rtol=1e-15)
        assert_allclose(values, -values[::-1], atol=1e-15)
        assert (np.diff(values) > 0).all()
    assert values[300] == pytest.approx((512 ** (89 / 511) - 1) / 511, rel=1e-12)
    assert even_samples(512, False)[300] == 2 * 300 / 511 - 1


def test_a_constant_stays_constant_between_frames() -> None:
    """If the taps of the filters sum to 1, the weights of the frames in the interpolation sum to 1 too."""
    widths = (11, 11, 23)
    assert reach((5, 5, 11), widths) == 2
    taps = interpolation(5, (5, 5, 11), [np.full(n, 1 / n) for n in widths])[2 * 275 : 3 * 275]
    assert taps.shape == (275, 5)
    assert_allclose(taps.sum(axis=1), 1, atol=1e-12)
    assert (taps > 0).sum(axis=1).max() == 4


# ---- recorded runs of the published programs ------------------------------------------------------------------------


def published(name: str) -> tuple[Any, Config, WaveRNNWeights]:
    golden = np.load(GOLDEN / f"{name}.npz")
    config, arrays, _ = convert({key[3:]: golden[key] for key in golden.files if key.startswith("sd/")}, {})
    return golden, config, packed(config, arrays)


@recorded
@pytest.mark.parametrize("name", ["fatchord_RAW9", "fatchord_RAW10", "fatchord_MOL"])
def test_the_alternative_model_draws_what_its_program_drew(name: str) -> None:
    golden, config, net = published(name)
    mixture = name.endswith("MOL")
    uniform = golden["gen_u"].reshape(6600, -1)
    numbers = mixture_noise(np.concatenate((uniform, golden["gen_u_log"]), 1)) if mixture else uniform
    for lanes in (1, 16):
        drawn, outputs = whole(net, config, golden["gen_mel"][0].T, numbers, lanes=lanes)
        assert_allclose(outputs[golden["gen_idx"]], golden["gen_logits"][:, 0], atol=1e-4)  # found: 5e-7, 3e-6
        assert_allclose(drawn, golden["gen_s"], atol=1e-4 if mixture else 0)  # all 6600; found: 3e-7
    wave = drawn[:, 0] if mixture else even_samples(config.levels)[drawn[:, 0].astype(int)]
    wave = wave[: len(golden["gen_wave"])].astype(np.float64)
    wave[-20 * config.hop :] *= np.linspace(1, 0, 20 * config.hop)  # what that program does at the end
    assert_allclose(wave, golden["gen_wave"], atol=1e-5)
    for k, mel in enumerate(golden["tf_mel"]):
        _, outputs = run(net, mel.T, np.full((825, net.draws), 0.5), golden["tf_x"][k][:, None])
        assert_allclose(outputs[golden["tf_idx"]], golden["tf_out"][k], atol=1e-4)


@recorded
@pytest.mark.parametrize("name", ["dual_fatchord", "dual_mkotha"])
def test_the_dual_softmax_draws_what_its_programs_drew(name: str) -> None:
    golden, config, net = published(name)
    uniform, coarse, fine = (np.atleast_3d(golden[f"gen_{key}"].T).T for key in ("u", "c", "f"))
    uniform = golden["gen_u"].reshape(-1, *golden["gen_u"].shape[-2:])
    coarse, fine = (golden[f"gen_{key}"].reshape(len(uniform), -1) for key in "cf")
    for k, own in enumerate(uniform):
        count = -(-len(own) // config.hop)
        numbers = np.full((count * config.hop, 2), 0.5)
        numbers[: len(own)] = own
        known = golden["tf_mel"][k].T if config.features else np.zeros((count, 0))
        for lanes in (1, 16):
            drawn, outputs = run(net, known, numbers, lanes=lanes)
            assert_array_equal(drawn[: len(own)], np.stack((coarse[k], fine[k]), -1))  # all of them
            logits = outputs[golden["gen_idx"]].reshape(-1, 2, 256).astype(np.float64)
            found = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            for j, half in enumerate("cf"):
                recorded_too = golden[f"gen_logp_{half}"].reshape(-1, *found[:, 0].shape)
                assert_allclose(found[:, j], recorded_too[k], atol=1e-4)
