"""FARGAN's networks: the published equations in numpy, and the gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from dspgraph import Array
from dspgraph_nodes._kernels.neural.fargan_inputs import MEMORY, frame_inputs, periods
from dspgraph_nodes._kernels.neural.fargan_layout import pack_fargan
from dspgraph_nodes._kernels.neural.fargan_synthesis import FarganState, synthesise
from dspgraph_nodes.models.fargan.config import PRESETS, SUBFRAMES, Config
from dspgraph_nodes.models.fargan.network import FARGAN, places
from dspgraph_nodes.models.fargan.training import figures
from helpers.fargan import SMALL, fargan_arrays, fargan_features, in_torch

SIZE = SMALL.subframe


def sigmoid(x: Array) -> Array:
    found: Array = 1 / (1 + np.exp(-x))
    return found


def gru(w: Callable[[str], Array], name: str, x: Array, h: Array) -> Array:
    """Return the next state of a GRU of torch without biases (gates r, z, n).

    w: a function from a name, such as "gru1_inputs" or "gru1_states", to the array of weights; name: the name of the
    GRU, such as "gru1"; x: its inputs; h: its state.
    """
    a, b = w(f"{name}_inputs") @ x, w(f"{name}_states") @ h
    ar, az, an = np.split(a, 3)
    br, bz, bn = np.split(b, 3)
    r, z = sigmoid(ar + br), sigmoid(az + bz)
    new: Array = (1 - z) * np.tanh(an + r * bn) + z * h
    return new


def restated(arrays: dict[str, Array], condition: Array, period: int, memory: Array, state: list[Array]) -> Array:
    """Return the samples [SIZE] of one sub-frame of the network `SMALL`, by the published equations in float64.

    arrays: the weights, by name; condition: [SMALL.condition], that of the sub-frame; period: in samples; memory:
    [MEMORY], the samples before the sub-frame; state: the inputs [SMALL.seen] of the sub-frame before, then the states
    of the three GRUs, all 0 before the first sub-frame; the list gets the new ones in place.
    """

    def w(name: str) -> Array:
        return arrays[f"{name}.weight"].astype(np.float64)

    gain = np.exp(w("gain") @ condition + arrays["gain.bias"])[0]
    index = MEMORY - period + np.arange(SIZE + 4) - 2
    while (index >= MEMORY).any():
        index = np.where(index >= MEMORY, index - period, index)
    past = np.clip(memory[np.maximum(index, 0)] / (1e-5 + gain), -1, 1)
    newest = np.clip(memory[-SIZE:] / (1e-5 + gain), -1, 1)
    seen = np.concatenate((condition, past, newest))
    v = np.tanh(w("first") @ np.concatenate((state[0], seen)))
    outputs = [v * sigmoid(w("first_gate") @ v)]
    gains = sigmoid(w("pitch_gains") @ outputs[0] + arrays["pitch_gains.bias"])
    for k in range(3):
        x = np.concatenate((outputs[k], gains[k] * past[2:-2], newest))
        h = gru(w, f"gru{k + 1}", x, state[k + 1])
        state[k + 1] = h
        outputs.append(h * sigmoid(w(f"gru{k + 1}_gate") @ h))
    z = np.tanh(w("skip") @ np.concatenate((*outputs[1:], outputs[0], gains[3] * past[2:-2], newest)))
    state[0] = seen
    found: Array = np.tanh(w("last") @ (z * sigmoid(w("skip_gate") @ z))) * gain
    return found


def oracle(arrays: dict[str, Array], cepstrum: Array, pitch: Array, correlation: Array) -> Array:
    """Return the samples [4 * n * SIZE] of a signal before de-emphasis, by the equations of `SMALL` in float64.

    As in `in_torch`, the result begins with the third sub-frame. arrays: the weights, by name; cepstrum: [n, bands];
    pitch, correlation: [n, 1], as LPCNet's features.
    """
    period = periods(pitch[:, 0])
    x = frame_inputs(cepstrum, pitch[:, 0], correlation[:, 0]).astype(np.float64)
    x = np.tanh(np.concatenate((x, arrays["embed_pitch.weight"][period - 32]), 1) @ arrays["frame1.weight"].T)
    x = np.pad(x, ((1, 1), (0, 0)), "edge")
    taps = arrays["frame2.weight"]
    inner = sum(x[k : len(x) - 2 + k] @ taps[:, :, k].T for k in range(3))
    rows = (np.tanh(np.tanh(inner) @ arrays["frame3.weight"].T)).reshape(-1, SMALL.condition)
    rows, around = (np.concatenate((one[2:], one[-1:], one[-1:])) for one in (rows, np.repeat(period, 4)))
    memory, state = np.zeros(MEMORY), [np.zeros(n) for n in (SMALL.seen, SMALL.gru1, SMALL.gru2, SMALL.gru3)]
    made = []
    for condition, one in zip(rows, around, strict=True):
        made.append(restated(arrays, condition, int(one), memory, state))
        memory = np.concatenate((memory[SIZE:], made[-1]))
    return np.concatenate(made)


def small(dtype: torch.dtype = torch.float64) -> tuple[FARGAN, dict[str, Array]]:
    arrays = fargan_arrays(SMALL)
    network = FARGAN(SMALL).to(dtype).eval()
    network.load_state_dict({name: torch.from_numpy(array).to(dtype) for name, array in arrays.items()})
    return network, arrays


def test_torch_and_kernel_compute_the_published_equations() -> None:
    """Samples, which are up to 1, agree with the equations to 1e-12 in torch (float64) and to 1e-5 in the kernel.

    Measured: 1e-15 and 3e-7.
    """
    network, arrays = small()
    given = fargan_features(12)
    given["pitch"][:3] = [[-1.36], [-1.3], [3.1]]  # 32 and 35 samples, which a sub-frame goes beyond, and 255
    expected = oracle(arrays, **given)
    assert np.abs(expected).max() > 0.1
    with torch.no_grad():
        assert_allclose(in_torch(network, **given), expected, rtol=0, atol=1e-12)
    packed = pack_fargan(arrays)
    state = FarganState(packed, np.float64)
    segments = [state.push(packed, *given.values()), state.flush(packed)]
    found = np.concatenate([synthesise(packed.subframe, [one])[0] for one in segments])
    assert_allclose(found.reshape(-1), expected, rtol=0, atol=1e-5)


def test_the_published_network_has_its_number_of_weights() -> None:
    """The network has the 817,525 weights of the published program, less the 928 lengths of weight normalisation."""
    with torch.device("meta"):
        assert sum(one.numel() for one in FARGAN(PRESETS["fargan"]).parameters()) == 817_525 - 928


def test_periods_and_inputs_are_those_of_the_published_program() -> None:
    """A pitch p of LPCNet means a period T of 50 * p + 100 samples, rounded down and limited to 32 .. 255.

    The network reads log2(256 / T) - 1.5, the pitch of the published program, and the correlation by its formula, which
    is 0.5 for the feature 0.5.
    """
    pitch = np.array([-1.36, 0.0, 3.1, 0.01, -0.99, 5.0, -3.0])
    assert periods(pitch).tolist() == [32, 100, 255, 100, 50, 255, 32]
    assert periods(pitch.astype(np.float32)).tolist() == periods(pitch).tolist()
    rows = frame_inputs(np.zeros((7, 18)), pitch, np.linspace(-0.5, 0.5, 7))
    assert_allclose(256 / 2 ** (rows[:, 18] + 1.5), periods(pitch), rtol=1e-6)
    assert_allclose(rows[[0, -1], 19], [np.log(2) / np.log(1 + np.exp(5)) - 0.5, 0.5], rtol=1e-6)


def test_places_repeat_a_short_period_and_stay_in_the_memory() -> None:
    found = places(torch.tensor([32, 255]), 40).numpy()
    assert found[0, :4].tolist() == [222, 223, 224, 225]
    assert (found[0, 34:] == found[0, 2:12]).all()
    assert found[0].max() == 255
    assert found[1, :4].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("training", [False, True])
def test_the_gradients_are_those_of_autograd(training: bool) -> None:
    """Samples and gradients of all weights equal those of autograd through `FARGAN.subframe`.

    In training, both have the same noise. After each sub-frame of the first frame, the past is the true samples. The
    largest measured difference is 1e-14 of the largest gradient.
    """
    network, _ = small()
    network.train(training)
    torch.manual_seed(0)
    frames, size = 5, SMALL.subframe
    inputs, past = torch.randn(3, frames + 2, 20).double(), 0.3 * torch.randn(3, MEMORY).double()
    period, true = torch.randint(32, 256, (3, frames + 2)), 0.3 * torch.randn(3, 4 * size).double()
    period[0] = 33
    weights = torch.randn(3, 4 * frames * size).double()

    def gradients(made: torch.Tensor) -> list[Array]:
        network.zero_grad()
        (made * weights).sum().backward()  # type: ignore[no-untyped-call]
        return [one.grad.numpy().copy() for one in network.parameters() if one.grad is not None]

    torch.manual_seed(1)
    made = network(inputs, period, past, true)
    fast = gradients(made)
    torch.manual_seed(1)
    conditions = network.condition(inputs, period).transpose(0, 1)
    noise: list[torch.Tensor] = []
    if training:
        conditions = conditions + (torch.rand_like(conditions) - 0.5) / 127
        noise = network.noise(len(conditions), len(past), past)
    states, found = network.start(past), []
    for k, condition in enumerate(conditions):
        around = places(period[:, 1 + k // 4], size)
        samples, states = network.subframe(condition, around, states, [one[k] for one in noise])
        found.append(samples)
        kept = true[:, k * size : (k + 1) * size] if k < 4 else samples
        states = states._replace(memory=torch.cat((states.memory[:, size:], kept), 1))
    expected = torch.cat(found, 1)
    assert_allclose(made.detach(), expected.detach(), rtol=0, atol=1e-13)
    slow = gradients(expected)
    assert len(fast) == len(slow) == len(fargan_arrays(SMALL))
    for a, b in zip(fast, slow, strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-11 * np.abs(b).max())


def test_bfloat16_changes_the_gradients_little() -> None:
    """The gradient of each array in bfloat16 has nearly the direction of that in float32, but not all are equal.

    The cosine of the angle between the two must be above 0.98; the least measured one is 0.997.
    """
    network = FARGAN(SMALL).train()
    network.load_state_dict({name: torch.from_numpy(array) for name, array in fargan_arrays(SMALL).items()})
    torch.manual_seed(0)
    inputs, past = torch.randn(4, 7, 20), 0.3 * torch.randn(4, MEMORY)
    period, true = torch.randint(32, 256, (4, 7)), 0.3 * torch.randn(4, 20 * SIZE)
    found = []
    for low in (False, True):
        torch.manual_seed(1)
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = (network(inputs, period, past, true[:, : 4 * SIZE]) * true).sum()
        torch.autograd.backward(loss)
        found.append({name: one.grad for name, one in network.named_parameters() if one.grad is not None})
    assert any((found[0][name] != found[1][name]).any() for name in found[0])
    for name, exact in found[0].items():
        assert float(torch.cosine_similarity(exact.flatten(), found[1][name].flatten(), dim=0)) > 0.98, name


def test_the_first_frame_has_the_true_past_and_is_not_judged() -> None:
    """A network that makes the true signal after the first frame has no loss.

    In the first frame, for which it gets true samples as its past, it makes another signal here.
    """
    config = SMALL.replace(hop=160, rate=16000)

    class Right(FARGAN):
        def forward(self, *given: torch.Tensor) -> torch.Tensor:
            assert given[3].shape == (2, 160)
            return torch.cat((torch.ones(2, 160), true[:, 160:]), 1)

    true = torch.randn(2, 800)
    found = figures(Right(config), torch.zeros(2, 7, 20), torch.full((2, 7), 99), torch.randn(2, MEMORY), true)
    assert float(found["loss"]) == pytest.approx(0, abs=1e-6)


def test_a_subframe_longer_than_the_memory_is_refused() -> None:
    assert Config(hop=SUBFRAMES * MEMORY).subframe == MEMORY
    with pytest.raises(ValueError, match="hop is 1028; it must be .*1024"):
        Config(hop=SUBFRAMES * (MEMORY + 1))
