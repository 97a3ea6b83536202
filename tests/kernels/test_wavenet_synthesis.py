"""WaveNet's kernels, compared with torch and with the published programs, and bit for bit in lanes."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from dspgraph import Array
from dspgraph_nodes._kernels.compile.simd import dot_paths
from dspgraph_nodes._kernels.neural.conditioning import in_windows
from dspgraph_nodes._kernels.neural.draws import mixture_noise
from dspgraph_nodes._kernels.neural.lanes import Segment
from dspgraph_nodes._kernels.neural.wavenet_layout import PackedWaveNet
from dspgraph_nodes._kernels.neural.wavenet_synthesis import (
    NearFrames,
    WaveNetState,
    frame_kinds,
    synthesise_wavenet,
)
from dspgraph_nodes.models.wavenet.config import Config
from dspgraph_nodes.models.wavenet.convert import convert
from dspgraph_nodes.models.wavenet.network import Stretch, WaveNet
from dspgraph_nodes.models.wavenet.packing import frame_factors, packed
from helpers import paths
from helpers.wavenets import LEVELS, MIXTURE, TRANSPOSED, random_arrays, tiny

GOLDEN = paths.GOLDEN / "wavenet"
ALONE, TOGETHER = 99, 2  # from so many signals on, lanes are used


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def run(
    network: PackedWaveNet,
    rows: list[Array],
    seeds: list[int],
    forced: list[Array] | None = None,
    many: int = ALONE,
) -> list[tuple[Array, Array]]:
    """Return, for each signal, its samples [n] and the parameters of their distributions [n, width].

    rows: the features [frames, bands] of each signal; seeds: the seed of the random numbers of each signal; forced: for
    each signal the samples or levels that the network reads in place of those that it draws; None: it reads those that
    it draws; many: from this number of signals on they are computed in lanes.
    """
    segments = []
    for k, (one, seed) in enumerate(zip(rows, seeds, strict=True)):
        segment = WaveNetState(network, generator(seed)).push(network, one, last=True)
        segments.append(segment if forced is None else segment._replace(forced=forced[k].astype(float)))
    return synthesise_wavenet(network, segments, many)


def forward(config: Config, arrays: dict[str, Array], rows: Array, previous: Array) -> Array:
    model = WaveNet(config)
    model.load_state_dict({name: torch.from_numpy(one) for name, one in arrays.items()})
    wide = np.pad(rows, ((config.context,) * 2, (0, 0)), mode="edge")
    with torch.no_grad():
        c = model.condition(torch.from_numpy(wide).float()[None])
        given = torch.from_numpy(previous)
        found: Array = model(c, (given.float() if config.kind == "mixture" else given.long())[None])[0].numpy()
    return found


SIZES = [
    MIXTURE,
    LEVELS,
    TRANSPOSED,
    tiny(residual=70, gate=80, skip=33, kernel=2),  # five blocks of sixteen channels: four, and one more
    tiny(kernel=4, layers=3, stacks=3, scales=(20,), context=0, condition_bias=True),
]


@pytest.mark.parametrize("config", SIZES)
def test_teacher_forced_and_free_running_it_is_the_network_of_torch(config: Config) -> None:
    """The parameters agree with torch to 1e-5; for a free run, torch is given the samples that the kernel has drawn."""
    arrays, rows = random_arrays(config), generator(5).standard_normal((9, config.bands))
    network, count = packed(config, arrays), 9 * config.hop
    silence, centres = (32, network.form.centres) if config.kind == "categorical" else (0, None)
    given = generator(6).integers(0, 64, count) if centres is not None else 2 * generator(6).random(count) - 1
    forced = run(network, [rows], [0], [given])[0][1]
    expected = forward(config, arrays, rows, np.append(silence, given[:-1]))
    assert np.abs(forced - expected).max() <= 1e-5  # float32 along sums of 100 terms; measured 3e-6
    samples, free = run(network, [rows], [0])[0]
    drawn = samples if centres is None else np.abs(samples[:, None] - centres).argmin(axis=1)
    expected = forward(config, arrays, rows, np.append(silence, drawn[:-1]))
    assert np.abs(free - expected).max() <= 1e-5
    assert len(np.unique(samples)) > 20


def test_24_layers_and_2048_samples_lose_no_digits() -> None:
    """The kernel, sample by sample, equals torch, all samples at once, to 1e-5: rounding errors do not grow."""
    config = tiny(layers=24, stacks=4, residual=32, gate=64, skip=32, components=10, scales=(16, 16))
    arrays, rows = random_arrays(config), generator(5).standard_normal((8, config.bands))
    given = 2 * generator(6).random(2048) - 1
    found = run(packed(config, arrays), [rows], [0], [given])[0][1]
    assert np.abs(found - forward(config, arrays, rows, np.append(0, given[:-1]))).max() <= 1e-5  # measured 2e-6


@pytest.mark.parametrize("config", SIZES)
def test_a_lane_has_the_bits_its_signal_has_alone(config: Config) -> None:
    network = packed(config, random_arrays(config))
    rows = [generator(k).standard_normal((1 + (5 * k) % 8, config.bands)) for k in range(17)]
    together = run(network, rows, list(range(17)), many=TOGETHER)
    for k, (samples, parameters) in enumerate(together):
        alone = run(network, [rows[k]], [k])[0]
        assert_array_equal(samples, alone[0])
        assert_array_equal(parameters, alone[1])


@pytest.mark.parametrize("config", SIZES[1:4], ids=["levels", "transposed", "five blocks"])
def test_in_eight_bits_lanes_and_instructions_change_no_bit(config: Config) -> None:
    """Samples and parameters are the same bits by every path in `DOT_PATHS`, for a signal alone and in a lane.

    The parameters of the first sample, whose past is silence, differ from those in float32, but by less than 0.1.
    """
    arrays = random_arrays(config)
    rows = [generator(k).standard_normal((2, config.bands)) for k in range(3)]
    expected = [run(packed(config, arrays, True), [one], [k])[0] for k, one in enumerate(rows)]
    for path in dot_paths():
        network = packed(config, arrays, True, path)
        for many in (ALONE, TOGETHER):
            for found, (samples, parameters) in zip(run(network, rows, [0, 1, 2], many=many), expected, strict=True):
                assert_array_equal(found[0], samples)
                assert_array_equal(found[1], parameters)
    exact = run(packed(config, arrays), rows[:1], [0])[0][1]
    assert 1e-4 < np.abs(exact[0] - expected[0][1][0]).max() < 0.1  # measured: 0.02


@pytest.mark.parametrize("scales", [(4, 4, 4, 4), (4, 5), (2,), (1, 3)])
def test_the_table_of_factors_and_the_upsampling_in_torch_are_a_chain_of_convolutions(scales: tuple[int, ...]) -> None:
    """Both agree to 1e-12 with repetition and convolution in numpy, once for each scale.

    The signals are shorter and longer than the frames that a sample depends on. Frames beyond the ends count as 0.
    """
    stretch = Stretch(tiny(scales=scales))
    taps = [generator(k).random(2 * s + 1) for k, s in enumerate(scales)]
    stretch.taps = torch.nn.ParameterList(torch.from_numpy(one) for one in taps)
    table, hop = frame_factors(scales, taps), int(np.prod(scales))
    reach = table.shape[1] // 2
    for frames in range(1, 2 * reach + 4):
        rows = generator(9).standard_normal((frames, 3))
        expected = rows
        for s, filter_ in zip(scales, taps, strict=True):
            repeated = np.pad(np.repeat(expected, s, axis=0), ((s, s), (0, 0)))
            expected = np.stack([np.convolve(column, filter_[::-1], "valid") for column in repeated.T], -1)
        wide, kinds = np.pad(rows, ((reach, reach), (0, 0))), frame_kinds(reach, 0, frames, frames)
        found = [
            table[kinds[t // hop] * hop + t % hop] @ wide[t // hop : t // hop + 2 * reach + 1]
            for t in range(frames * hop)
        ]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        with torch.no_grad():
            both = stretch.stretched(torch.from_numpy(np.stack((rows, -rows))))
        np.testing.assert_allclose(both, np.stack((expected, -expected)), rtol=0, atol=1e-12)


def test_frames_before_the_last_do_not_need_the_end() -> None:
    table = frame_factors((4, 4, 4, 4), [np.ones(9) / 9] * 4)
    assert table.shape[1] == 5  # 340 samples on either side: two frames of 256
    assert_array_equal(frame_kinds(2, 0, 6, None), frame_kinds(2, 0, 8, 8)[:6])


@pytest.mark.parametrize("name", ["head", "y2018"])
@pytest.mark.parametrize("many", [ALONE, TOGETHER])
def test_with_the_recorded_random_numbers_it_draws_the_samples_of_the_published_program(name: str, many: int) -> None:
    """Free-running samples and parameters, and teacher-forced parameters, agree with the recorded ones to 1e-4."""
    path = GOLDEN / f"wavenet_{name}.npz"
    if not path.is_file():
        pytest.skip("what the programs gave is recorded beside the repository")
    file = np.load(path)
    config, arrays, _ = convert({key[3:]: file[key] for key in file if key.startswith("sd/")}, {})
    network = packed(config, arrays)

    def segment(b: int, forced: bool) -> Segment:
        wait = network.upsampling.wait
        reach = wait - network.upsampling.context
        rows = np.pad(file["c"][b].T, ((reach, reach), (0, 0)))  # frames beyond the context have the factor 0
        state = WaveNetState(network, generator())
        x = file["x"][b, 0].astype(float)
        state.last[0] = x[0] if forced else 0.0  # the program's first input
        noise = mixture_noise(np.concatenate((file["u_mix"][b], file["u_log"][b][None])).T)
        frames = NearFrames(in_windows(rows.astype(np.float32), wait), frame_kinds(reach, 0, 3, 3))
        return Segment(state, frames, config.hop, noise, x[1:] if forced else np.zeros(0))

    for b, (samples, parameters) in enumerate(synthesise_wavenet(network, [segment(b, False) for b in (0, 1)], many)):
        assert np.abs(samples - file["free_x"][b]).max() <= 1e-4  # measured 2.4e-6
        assert np.abs(parameters[file["free_idx"]].T - file["free_params"][b]).max() <= 1e-4  # measured 5.8e-6
    for b, (_, parameters) in enumerate(synthesise_wavenet(network, [segment(b, True) for b in (0, 1)], many)):
        assert np.abs(parameters.T - file["y"][b]).max() <= 1e-4  # measured 7.2e-6
