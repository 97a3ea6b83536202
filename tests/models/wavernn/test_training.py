"""Training of WaveRNN: codes and losses, resuming, sparse matrices, the edges of recordings, and toy data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from dspgraph import Array, load
from dspgraph_nodes._kernels.neural.conditioning import FrameWindows, unwound
from dspgraph_nodes._kernels.neural.wavernn_layout import seen
from dspgraph_nodes._kernels.neural.wavernn_synthesis import samples
from dspgraph_nodes.models.shared.distributions.coarse_fine import CoarseFine
from dspgraph_nodes.models.wavernn.config import Config
from dspgraph_nodes.models.wavernn.network import Split, network
from dspgraph_nodes.models.wavernn.packing import packed
from dspgraph_nodes.models.wavernn.training import Settings, codes, part_losses, task, train
from dspgraph_nodes.models.wavernn.weights import WEIGHTS
from helpers.speech import speech
from helpers.wavernn import SMALL, random_weights

pytestmark = pytest.mark.training

TINY: dict[str, Any] = {
    "units": 32, "dense": 16, "batch": 4, "frames": 2, "augment": 1, "steps": 4, "validate_every": 2,
    "learning_rate": 1e-3, "device": "cpu", "threads": 1, "sparse_start": 1, "sparse_end": 3, "sparse_every": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: threads that wait for each other are slow if other programs run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def features(x: Array) -> dict[str, Array]:
    found: dict[str, Array] = load("mel_features")(speech=x)
    return found


def trained(out: Path, resume: bool = False, **settings: Any) -> dict[str, Array]:
    """Train a tiny network, and return its weights by name.

    out: the folder of the run; resume: whether to continue the run that is there; settings: those that replace TINY or
    are added to it.
    """
    recordings = {"a": speech()[16000:22000], "b": speech()[30000:35000]}
    path = train(recordings, features, out, Settings(**{**TINY, **settings}), resume)
    return WEIGHTS.read(path)[1]


@pytest.mark.parametrize("name", SMALL)
def test_the_code_of_a_drawn_sample_is_what_was_drawn(name: str) -> None:
    """For every level, training gives to the node's sample of this level the level itself as its code.

    Samples beyond -1 .. 1 get the first or the last code. For a mixture, another property is tested: the sample that a
    code stands for differs from the given one by half a step of 16 bits at most.
    """
    config = SMALL[name]
    net = packed(config, random_weights(config))
    if config.kind == "mixture":
        x = np.linspace(-1, 1, 999)
        assert np.abs(2 * codes(x, config) / 65535 - 1 - x).max() <= 1 / 65535 + 1e-12
        return
    every = np.arange(1 << config.bits)
    drawn = every[:, None] if net.drawn == 1 else np.stack((every // net.levels, every % net.levels), -1)
    assert_array_equal(codes(samples(net, np.pad(drawn, ((0, 0), (0, 1)))), config), every)
    assert codes(np.array([-9.0, 9.0]), config).tolist() == [0, (1 << config.bits) - 1]


def test_the_codes_are_those_of_the_samples_with_pre_emphasis_and_gain() -> None:
    config = SMALL["linear"].replace(gain=3.0, preemphasis=0.9)
    x = 0.1 * np.random.Generator(np.random.Philox(key=0)).standard_normal(400)
    seen = [3 * (x[n] - 0.9 * (x[n - 1] if n else 0)) for n in range(400)]
    assert_array_equal(codes(x, config), [np.floor((min(max(y, -1), 1) + 1) / 2 * 1023 + 0.5) for y in seen])


@pytest.mark.parametrize("bits", [4, 6, 8, 10, 12, 16])
def test_halves_are_joined_to_the_code(bits: int) -> None:
    """Coarse half * 2**(bits / 2) + fine half is the code, and the network reads the halves as numbers from -1 to 1."""
    distribution, u = CoarseFine(bits), torch.arange(1 << bits)
    c, f = distribution.halves(u)
    assert torch.equal(c * distribution.levels + f, u)
    assert (int(c.max()), int(f.max())) == (distribution.levels - 1, distribution.levels - 1)
    inputs = distribution.inputs(u)
    assert (float(inputs.min()), float(inputs.max())) == (-1, 1)


def test_the_loss_is_that_of_the_predicted_distribution() -> None:
    """The expected loss is computed with numpy from the outputs of the network, for each kind of network."""
    for name in ("categorical", "mixture", "one bias"):
        config = SMALL[name]
        torch.manual_seed(0)
        model = network(config).eval()
        x = 0.1 * np.sin(np.arange(2 * config.hop + 1))
        frames, code = torch.randn(1, 2 + 2 * config.context, 6), torch.from_numpy(codes(x, config))[None]
        with torch.no_grad():
            found = {key: float(value) for key, value in part_losses(model, frames, code, code).items()}
            if config.kind == "coarse_fine":
                h = code[0] // 256 / 127.5 - 1, code[0] % 256 / 127.5 - 1
                y, _ = model(frames, torch.stack((h[0][:-1], h[1][:-1], h[0][1:]), -1)[None])
                p = torch.log_softmax(y[0].unflatten(-1, (2, 256)), -1).numpy()
                every, target = np.arange(len(p)), code[0, 1:].numpy()
                both = p[every, 0, target // 256], p[every, 1, target % 256]
                assert found["coarse"] == pytest.approx(-both[0].mean(), rel=1e-5)
                assert found["fine"] == pytest.approx(-both[1].mean(), rel=1e-5)
                assert found["loss"] == pytest.approx(found["coarse"] + found["fine"], rel=1e-6)
                continue
            value = 2 * code / (2**config.bits - 1) - 1
            y, _ = model(frames, value[:, :-1].float())
            if config.kind == "categorical":
                p = torch.log_softmax(y[0], -1).numpy()
                expected = -p[np.arange(len(p)), code[0, 1:]].mean()
            else:
                w, mean, scale = (each.double() for each in y[0].chunk(3, -1))
                z, half = value[0, 1:, None], 1 / 65535
                share = torch.sigmoid((z + half - mean) / scale.exp()) - torch.sigmoid((z - half - mean) / scale.exp())
                expected = float(-torch.log((torch.softmax(w, -1) * share).sum(-1)).mean())
            assert found["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["wavernn-small", "wavernn-small-mixture", "wavernn-small-split"])
def test_a_resumed_run_has_the_weights_of_an_unbroken_one(tmp_path: Path, preset: str) -> None:
    """The weights are equal bit for bit, also the running statistics of the residual network.

    Half of the blocks of each recurrent gate stay, as its density says, and the audio of validations is written.
    """
    sparse: dict[str, Any] = {"density_update": 0.5, "density_reset": 0.5, "density_state": 0.5, "ema": 0.5}
    whole = trained(tmp_path / "whole", preset=preset, audio=0.05, **sparse)
    trained(tmp_path / "parts", preset=preset, steps=2, audio=0.05, **sparse)
    parts = trained(tmp_path / "parts", True, preset=preset, audio=0.05, **sparse)
    assert whole.keys() == parts.keys()
    for name, array in whole.items():
        assert_array_equal(array, parts[name])
    recurrent = ["recurrent"] if preset.endswith("split") else ["gru1.weight_hh_l0", "gru2.weight_hh_l0"]
    for gate in (gate for name in recurrent for gate in np.split(whole[name], 3)):
        off_diagonal = ((gate != 0) & ~np.eye(32, dtype=bool)).reshape(2, 16, 32).any(axis=1)
        assert int(off_diagonal.sum()) == 32  # half of the 64 blocks of 16 x 1
    assert list((tmp_path / "whole").rglob("*.wav"))


@pytest.mark.parametrize("preset", ["wavernn-small", "wavernn-small-mixture", "wavernn-small-split"])
def test_the_beginning_and_the_end_of_a_recording_are_learnt_with_the_edges_that_synthesis_has(preset: str) -> None:
    """There are zeros before the first frame and after the last, and silence before the first sample."""
    x = speech()[16000 : 16000 + 700]  # the last of three frames is filled with zeros; a chunk has two
    settings = Settings(**{**TINY, "preset": preset, "batch": 1, "augment": 0})
    config, rows = settings.config, seen(features(x)["mel"], True)
    wide = unwound(FrameWindows(config.context, 80).push(rows, last=True))
    code = np.append(1 << (config.bits - 1), codes(np.append(x, np.zeros(68)), config))
    data, met = task(settings, {"a": x}, features), set()
    for frames, found, _ in map(data.batch, range(12)):
        first = int(not np.array_equal(frames[0], wide[: 2 + 2 * config.context]))
        assert_array_equal(frames[0].numpy(), wide[first : first + 2 + 2 * config.context])
        assert_array_equal(found[0].numpy(), code[256 * first : 256 * (first + 2) + 1])
        met.add(first)
    assert met == {0, 1}


@pytest.mark.parametrize("start", ["smooth", "random"])
@pytest.mark.parametrize("preset", ["wavernn-small", "wavernn-split"])
def test_the_first_filters_of_the_upsampling_are_those_that_were_asked_for(preset: str, start: Any) -> None:
    settings = Settings(**{**TINY, "preset": preset, "augment": 0, "upsampling_start": start})
    found = task(settings, {"a": speech()[16000:20000]}, features).network()
    filters = [one for name, one in found.named_parameters() if name.startswith("conditions.smooth")]
    assert len(filters) == 3
    assert [float(one.detach().std()) > 0.01 for one in filters] == [start == "random"] * 3


def tone_batches(count: int, length: int, seed: int = 0) -> Array:
    """Return 16-bit codes [count, length + 1] of a sine of 500 Hz at 16 kHz, whose amplitude is 0.5.

    Each row begins at a random one of the 32 samples of a period.
    """
    first = np.random.Generator(np.random.Philox(key=seed)).integers(0, 32, (count, 1))
    x = 0.5 * np.sin(2 * np.pi * 500 / 16000 * (np.arange(length + 1) + first))
    return codes(x, Config(kind="coarse_fine", bits=16, auxiliary=0))


def fitted(model: Split, code: Any, steps: int, rate: float) -> dict[str, float]:
    """Train the model on batches of codes, and return the losses of the last batch before its update, by name.

    model: a network without frames, which is changed in place; code: a function from the number of a step to the codes
    [batch, n + 1] of its batch; steps: the number of batches, at least 1; rate: the learning rate of Adam.
    """
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for step in range(steps):
        batch = torch.from_numpy(code(step))
        found = part_losses(model, torch.zeros(len(batch), 0, 0), batch, batch)
        optimizer.zero_grad()
        found["loss"].backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()
    return {name: float(value.detach()) for name, value in found.items()}


def toy_codes(step: int) -> Array:
    """Return random codes [32, 33] of 4 bits: 7 (coarse half 1, fine half 3) or 8 (coarse 2, fine 0), equally often.

    step: the seed.
    """
    draw = np.random.Generator(np.random.Philox(key=step))
    return 7 + draw.integers(0, 2, (32, 33))


def toy() -> Split:
    torch.manual_seed(0)
    return Split(Config(kind="coarse_fine", bits=4, units=32, dense=16, features=0, auxiliary=0, biases="one"))


def test_the_fine_half_learns_what_goes_with_the_coarse_half() -> None:
    """The codes are 7 or 8 with equal probability (`toy_codes`), so the least possible loss is ln 2 = 0.693 nats.

    Trained well, the network has a loss of at most 0.70, and gives over 99 % of the probability to these two codes: the
    coarse half 1 goes with the fine half 3, and the coarse half 2 with the fine half 0.
    """
    model = toy()
    fitted(model, toy_codes, 150, 0.02)
    with torch.no_grad():
        losses = [
            float(part_losses(model, torch.zeros(32, 0, 0), *[torch.from_numpy(toy_codes(900 + k))] * 2)["loss"])
            for k in range(4)
        ]
        assert np.mean(losses) <= 0.70
        codes_before, mass = torch.from_numpy(toy_codes(9)), torch.zeros(32)
        for value, (c, f) in {7: (1, 3), 8: (2, 0)}.items():
            given = codes_before.clone()
            given[:, 9] = value  # the code whose probability is asked
            y = model(torch.zeros(32, 0, 0), halves_of(given))[0][:, 8]
            p = torch.softmax(y[:, :4], -1)[:, c] * torch.softmax(y[:, 4:], -1)[:, f]
            mass = mass + p
        assert float((1 - mass).max()) < 0.01


def halves_of(code: torch.Tensor) -> torch.Tensor:
    halves = CoarseFine(4).inputs(code)
    return torch.cat((halves[:, :-1], halves[:, 1:, :1]), -1)


def test_a_fine_half_that_ignores_the_coarse_half_is_noticed() -> None:
    """Without the weights of the coarse half, the least possible loss is 2 * ln 2 = 1.386 nats; it stays above 1.36."""
    model = toy()
    model.input_fine.register_hook(lambda gradient: gradient * torch.tensor([1.0, 1.0, 0.0]))  # type: ignore[no-untyped-call]  # torch's
    with torch.no_grad():
        model.input_fine[..., -1] = 0
    assert fitted(model, toy_codes, 150, 0.02)["loss"] > 1.36


@pytest.mark.slow
def test_a_sine_is_learned() -> None:
    """After 120 batches of 16 x 96 samples, the coarse and the fine loss together must be below 1 nat.

    The loss begins at 11.1 nats; the measured final loss is 0.11.
    """
    torch.manual_seed(0)
    model = Split(Config(kind="coarse_fine", bits=16, units=128, dense=64, features=0, auxiliary=0, biases="one"))
    found = fitted(model, lambda step: tone_batches(16, 96, step), 120, 0.02)

    assert found["loss"] < 1.0
