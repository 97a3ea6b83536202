"""How LPCNet is trained: the noise in its loop, the data, what becomes of its blocks, and that a run can be resumed."""

import csv
import dataclasses
import errno
import signal
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors import safe_open
from scipy.signal import lfilter, lfiltic, welch

from dspgraph import Array, load
from dspgraph_nodes._kernels.lpcnet_noise import Excitation, closed_loop, decode, encode, inputs, open_loop
from dspgraph_nodes.models import lpcnet_cpu, lpcnet_data, lpcnet_excitation, lpcnet_training, sparsity
from dspgraph_nodes.models.lpcnet import LPCNet, save
from dspgraph_nodes.models.lpcnet import load as load_weights
from dspgraph_nodes.models.lpcnet_data import HOP, Chunks, Order, Utterance, drawn
from dspgraph_nodes.models.lpcnet_training import Settings, TrainingError, train
from speech import speech


def features(samples: Array) -> dict[str, Array]:
    return load("lpcnet_features")(speech=samples)


@lru_cache(maxsize=1)
def clip() -> Utterance:
    return lpcnet_data.utterance(speech(), features)


def gaussian(deviation: float, seed: int = 0) -> Array:
    return np.round(np.random.default_rng(seed).normal(0, deviation, len(clip().signal))).astype(np.int64)


def zero() -> Array:
    return np.zeros(len(clip().signal), np.int64)


def predicted(noisy: Array, lpc: Array) -> Array:
    """-sum_k a[k] s[n-k], written out."""
    order, past = lpc.shape[1], np.concatenate((np.zeros(lpc.shape[1]), noisy))
    rows = np.repeat(lpc, HOP, axis=0).astype(np.float64)
    return -sum(
        (rows[:, k - 1] * past[order - k : order - k + len(noisy)] for k in range(1, order + 1)), np.zeros(len(noisy))
    )


# ---- codes and noise ------------------------------------------------------------------------------------------------


def test_every_code_survives_decoding() -> None:
    assert_array_equal(encode(decode(np.arange(256))), np.arange(256))


@pytest.mark.parametrize("deviation", [0, 1, 5])
def test_in_the_closed_loop_the_network_hears_what_it_would_have_made(deviation: float) -> None:
    noise = gaussian(deviation)
    found = closed_loop(clip().signal, clip().lpc, noise)
    assert_array_equal(found.noisy, found.prediction + decode(found.given))  # exactly: it is made this way
    assert_array_equal(found.target, encode(clip().signal - found.prediction))
    assert_array_equal(found.given, np.clip(found.target + noise, 0, 255))
    # The sums run in the same order here and there, but one of them may be made with fused multiply-adds.
    np.testing.assert_allclose(found.prediction, predicted(found.noisy, clip().lpc), rtol=0, atol=1e-8)


def test_in_the_open_loop_the_noise_is_on_the_signal_and_the_excitation_makes_up_for_it() -> None:
    noise = gaussian(1)
    found = open_loop(clip().signal, clip().lpc, noise)
    assert_array_equal(encode(found.noisy), np.clip(encode(clip().signal) + noise, 0, 255))
    assert_array_equal(found.target, encode(clip().signal - found.prediction))
    assert_array_equal(found.given, found.target)
    np.testing.assert_allclose(found.prediction, predicted(found.noisy, clip().lpc), rtol=0, atol=1e-8)


@pytest.mark.parametrize("form", [closed_loop, open_loop])
def test_the_network_hears_the_sample_before_and_the_prediction_of_this_one(form: Callable[..., Excitation]) -> None:
    found = form(clip().signal, clip().lpc, gaussian(1))
    codes = inputs(found)
    assert_array_equal(codes[0, [0, 2]], 128)  # silence before the signal
    assert_array_equal(codes[1:, 0], encode(found.noisy[:-1]))
    assert_array_equal(codes[:, 1], encode(found.prediction))
    assert_array_equal(codes[1:, 2], found.given[:-1])


def snr(found: Array) -> float:
    signal = clip().signal.astype(np.float64)
    return float(10 * np.log10((signal**2).sum() / ((found - signal) ** 2).sum()))


def flatness(x: Array) -> float:
    """The mean over quarters of a second: a spectrum that changes is not flat because its mean is."""
    density = welch(x.reshape(-1, 4000), nperseg=256, axis=1)[1]
    return float((np.exp(np.log(density).mean(axis=1)) / density.mean(axis=1)).mean())


def filtered(excitation: Array, lpc: Array) -> Array:
    """Samples of the excitation through 1 / A, whose coefficients change every frame."""
    out = np.zeros(16)
    for row, frame in zip(lpc.astype(np.float64), excitation.reshape(-1, HOP), strict=True):
        a = np.concatenate(([1.0], row))
        out = np.concatenate((out, lfilter([1], a, frame, zi=lfiltic([1], a, out[:-17:-1]))[0]))
    return out[16:]


@pytest.mark.parametrize("deviation", [1, 2])
def test_the_right_target_leaves_the_error_white_and_small(deviation: float) -> None:
    """No network: an oracle says the target, noise is added. Against it, an oracle that knows the clean past only."""
    noise = gaussian(deviation)
    right = closed_loop(clip().signal, clip().lpc, noise).noisy
    clean = encode(clip().signal - predicted(clip().signal, clip().lpc))
    wrong = filtered(decode(np.clip(clean + noise, 0, 255)), clip().lpc)
    assert snr(right) - snr(wrong) >= 8  # dB; measured 9.1 (33.9 - 24.8) and 8.7 (28.0 - 19.3)
    assert flatness(right - clip().signal) >= 0.85  # measured 0.955
    assert flatness(wrong - clip().signal) <= 0.5  # the shape of speech; measured 0.32


def test_the_predictor_gains_on_speech_with_its_sign_and_loses_with_the_other() -> None:
    signal, prediction = clip().signal, predicted(clip().signal, clip().lpc)
    energy = (signal.astype(np.float64) ** 2).sum()
    assert 10 * np.log10(energy / ((signal - prediction) ** 2).sum()) >= 6  # measured 9.4 dB
    assert 10 * np.log10(energy / ((signal + prediction) ** 2).sum()) < 0  # measured -5.5 dB


@pytest.mark.parametrize("deviation", [2.0, 4.0])
def test_the_noise_has_the_deviation_asked_for(deviation: float) -> None:
    drawn_noise = lpcnet_data.rounded_laplace(deviation, 400_000, drawn(1))
    # Rounding to whole levels adds 1/12; of Laplace's distribution with kurtosis 6 the estimate is good to 0.2 %.
    assert abs(drawn_noise.std() / np.sqrt(deviation**2 + 1 / 12) - 1) < 0.01
    assert abs(drawn_noise.std() / deviation - 1) < 0.03
    assert abs(drawn_noise.mean()) < 4 * deviation / np.sqrt(400_000)


def test_the_strengths_of_the_noise_are_those_of_the_program() -> None:
    # In the mean 2.0 levels, 95 of 100 draws below 5.1, as measured for the published formula.
    spread = np.array([lpcnet_data.noise("c", 2000, drawn(2, k)).std() for k in range(1500)])
    assert abs(spread.mean() - 2.0) < 0.15
    assert abs((spread < 5.1).mean() - 0.95) < 0.02


def test_the_papers_noise_has_four_strengths_and_no_bias() -> None:
    draws = [lpcnet_data.noise("2018", 500, drawn(3, k)) for k in range(2000)]
    most = np.array([np.abs(one).max() for one in draws])
    for level, share in ((0, 0.2), (3, 0.2), (2, 0.2), (1, 0.4)):
        assert abs((most == level).mean() - share) < 0.05  # four deviations of 2000 draws
    assert abs(np.concatenate(draws).mean()) < 0.01


# ---- data -----------------------------------------------------------------------------------------------------------


def test_the_samples_of_a_frame_lie_around_the_centre_of_its_window() -> None:
    x = np.zeros(3200)
    x[1600 - 80] = 0.5  # the first sample of frame 10
    one = lpcnet_data.utterance(x, features)
    assert one.frames == 20
    assert one.signal[1600] == 16384
    assert one.signal[1601] == np.float32(-0.85 * 16384)


def test_a_chunk_without_noise_is_the_whole_utterance_cut() -> None:
    whole_codes, whole_target = clip().clean
    chunks = Chunks([clip()], 15, "c", 0)
    cepstrum, pitch, correlation, codes, target = chunks[-1, 3]
    first = 2 + 3 * 15
    assert_array_equal(cepstrum.numpy(), clip().cepstrum[first - 2 : first + 17])
    assert_array_equal(pitch.numpy(), clip().pitch[first - 2 : first + 17])
    assert_array_equal(correlation.numpy(), clip().correlation[first - 2 : first + 17])
    span = slice(first * HOP, (first + 15) * HOP)
    assert_array_equal(codes.numpy(), whole_codes[span])
    assert_array_equal(target.numpy(), whole_target[span])
    whole = closed_loop(clip().signal, clip().lpc, zero())
    assert_array_equal(whole_target, whole.target)
    assert_array_equal(whole_codes, inputs(whole))


@pytest.mark.parametrize("form", ["c", "2018"])
def test_a_chunk_with_noise_hears_about_what_there_is(form: str) -> None:
    """Its loop begins two frames before: what it hears is the clean signal, but for the noise."""
    codes, target = Chunks([clip()], 15, form, 3)[0, 3][3:]
    assert codes.shape == (2400, 3)
    assert target.shape == (2400,)
    heard = {
        place: np.abs(Chunks([clip()], 15, "none", 3)[0, place][3].numpy() - codes.numpy()).mean() for place in (3, 4)
    }
    assert heard[3] < 8 < 20 < heard[4]


def test_without_noise_two_passes_are_the_same_and_with_noise_no_two_are() -> None:
    chunks = Chunks([clip()], 15, "c", 0)
    assert all(torch.equal(a, b) for a, b in zip(chunks[-1, 5], chunks[-1, 5], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(chunks[4, 5], chunks[4, 5], strict=True))
    exact = Chunks([clip().part(0, 49)], 15, "c", 0)  # no frames are left over: only the noise can differ
    assert torch.equal(exact[4, 1][0], exact[5, 1][0])
    assert not torch.equal(exact[4, 1][4], exact[5, 1][4])
    assert not torch.equal(chunks[4, 5][4], Chunks([clip()], 15, "c", 1)[4, 5][4])


def test_every_chunk_comes_once_in_a_pass_and_a_later_start_goes_on_where_it_was() -> None:
    whole = list(Order(7, 3, 0, lambda: 0, 14))
    assert len(whole) == 14
    places = [pair for batch in whole for pair in batch]
    for turn in range(6):
        assert sorted(place for t, place in places if t == turn) == list(range(7))
    assert list(Order(7, 3, 0, lambda: 5, 9)) == whole[5:]


def test_the_share_of_chunks_without_noise_is_the_one_asked_for() -> None:
    chunks = Chunks([clip().part(0, 49)], 15, "c", 0, clean=0.3)
    plain = chunks[-1, 1][4]
    same_as_plain = np.mean([torch.equal(chunks[turn, 1][4], plain) for turn in range(300)])
    assert abs(same_as_plain - 0.3) < 0.1  # four deviations of 300 draws


def test_noise_can_be_as_many_times_the_published() -> None:
    for form in ("c", "2018"):
        single, triple = (
            np.concatenate([lpcnet_data.noise(form, 500, drawn(1, k), strength) for k in range(200)]).std()
            for strength in (1, 3)
        )
        assert triple / single == pytest.approx(3, rel=0.15)  # whole levels: not quite three times


def test_an_augmented_copy_is_stable_within_full_scale_and_another_each_time() -> None:
    copies = [lpcnet_data.augmented(speech(), drawn(0, k)) for k in range(40)]
    assert max(np.abs(copy).max() for copy in copies) <= 1
    levels = [10 * np.log10((copy**2).mean()) for copy in copies]
    assert max(levels) - min(levels) > 20
    assert len({copy.tobytes() for copy in copies}) == 40


def test_an_augmented_copy_has_the_levels_and_the_filters_it_says() -> None:
    """Seen at a click: y[0] is the gain, y[1] / y[0] = b1 - a1, each from -3/8 to 3/8; ends are reached within 5 %."""
    click = 1e-3 * np.eye(1, 100)[0]
    copies = np.array([lpcnet_data.augmented(click, drawn(0, k)) for k in range(2000)])
    levels, tilts = 20 * np.log10(np.abs(copies[:, 0]) / 1e-3), copies[:, 1] / copies[:, 0]
    assert -20 <= levels.min() < -19
    assert 18 < levels.max() <= 19
    assert 0.7 < np.abs(tilts).max() <= 0.75
    assert 0.45 < (copies[:, 0] < 0).mean() < 0.55


# ---- blocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "density"), [(0, 1), (2000, 1), (10000, 0.543), (21000, 0.2125), (40000, 0.1), (60000, 0.1)]
)
def test_the_density_falls_as_published(step: int, density: float) -> None:
    assert sparsity.Schedule().density(step, 0.1) == pytest.approx(density, abs=5e-4)


def test_blocks_are_chosen_every_so_often_and_in_the_end_always() -> None:
    schedule = sparsity.Schedule(2000, 40000, 400)
    assert [step for step in range(1000, 4000) if schedule.due(step)] == [2400, 2800, 3200, 3600]
    assert all(schedule.due(step) for step in range(40000, 40010))


@pytest.mark.parametrize(("units", "density"), [(192, 0.1), (384, 0.05), (128, 0.2)])
def test_as_many_blocks_stay_as_the_density_says_and_the_whole_diagonal(units: int, density: float) -> None:
    torch.manual_seed(0)
    gate = torch.randn(units, units) / 10 + 5 * torch.eye(units)  # a diagonal that would win every place
    kept = sparsity.mask(gate, density)
    assert bool(kept.diagonal().all())
    off = kept & ~torch.eye(units, dtype=torch.bool)
    blocks = off.view(units // 16, 16, units).sum(1)
    count = int((blocks >= 15).sum())  # a block on the diagonal has 15 others
    assert abs(count - round(density * units * units / 16)) <= 1
    assert int(((blocks > 0) & (blocks < 15)).sum()) == 0
    if units == 192:
        assert kept.float().mean().item() == pytest.approx(0.1047, abs=6e-4)  # 230 of 2304 blocks, and the diagonal


def test_the_blocks_that_stay_are_those_of_most_energy() -> None:
    gate = torch.full((32, 32), 0.01)
    gate[16:, 5] = 1.0
    gate[:16, 20] = -1.0
    kept = sparsity.mask(gate, 2 / 64) & ~torch.eye(32, dtype=torch.bool)
    assert kept[16:, 5].all()
    assert kept[:16, 20].all()
    assert int(kept.sum()) == 32


def test_each_gate_has_its_own_density() -> None:
    torch.manual_seed(0)
    recurrent = torch.randn(3 * 64, 64)
    sparsity.sparsify(recurrent, (0.05, 0.05, 0.2))
    shares = [(gate != 0).float().mean().item() for gate in recurrent.chunk(3)]
    assert shares == pytest.approx([0.05 + 0.95 / 64, 0.05 + 0.95 / 64, 0.2 + 0.8 / 64], abs=0.005)


# ---- runs -----------------------------------------------------------------------------------------------------------

TINY = {
    "preset": "lpcnet-small", "gru_a": 32, "gru_b": 16, "embedding": 8, "condition": 16, "batch": 4, "frames": 3,
    "updates": 2, "augment": 1, "steps": 6, "validate_every": 2, "sparse_start": 1, "sparse_end": 5, "sparse_every": 1,
    "device": "cpu", "threads": 1,
}  # fmt: skip


def recordings() -> dict[str, Array]:
    return {"a": speech()[16000:24000], "b": speech()[30000:36000]}


def trained(out: Path, resume: bool = False, **settings: Any) -> dict[str, Array]:
    """The weights of a tiny run."""
    path = train(recordings(), features, out, Settings(**{**TINY, **settings}), resume)
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no mapping


def losses(out: Path, name: str) -> list[str]:
    """As they stand in the CSV logs, in the order of the runs."""
    rows = [
        row for path in sorted(out.glob("logs/*/metrics.csv")) for row in csv.DictReader(path.read_text().splitlines())
    ]
    return [row[name] for row in rows if row.get(name)]


def same(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_resumed_run_has_the_losses_and_the_weights_of_an_unbroken_one(tmp_path: Path, average: float) -> None:
    whole = trained(tmp_path / "whole", average=average)
    trained(tmp_path / "parts", steps=2, average=average)
    trained(tmp_path / "parts", resume=True, steps=4, average=average)
    parts_file = train(recordings(), features, tmp_path / "parts", Settings(steps=6), True)  # the rest is as it was
    with safe_open(parts_file, "np") as file:
        parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no mapping
    assert same(whole, parts)  # bit for bit
    for name, count in (("train_loss", 6), ("validation_loss", 3)):
        assert len(losses(tmp_path / "whole", name)) == count
        assert losses(tmp_path / "parts", name) == losses(tmp_path / "whole", name)


def test_a_run_is_the_same_each_time_and_another_with_another_seed(tmp_path: Path) -> None:
    found = [trained(tmp_path / str(k), seed=seed, steps=2) for k, seed in enumerate((0, 0, 1))]
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_the_learning_rate_falls_with_every_update(tmp_path: Path) -> None:
    trained(tmp_path, steps=3, validate_every=3, learning_rate=0.01, decay=0.5, updates=4)
    expected = [0.01 / (1 + 0.5 * update) for update in (4, 8, 12)]
    assert [float(rate) for rate in losses(tmp_path, "learning_rate")] == pytest.approx(expected)


def test_a_run_leaves_weights_logs_and_few_blocks(tmp_path: Path) -> None:
    weights = trained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.ckpt", "logs", "weights.safetensors"]
    assert sorted(path.name.split(".")[0] for path in (tmp_path / "logs" / "version_0").iterdir()) == [
        "events",
        "hparams",
        "metrics",
    ]
    gates = np.split(weights["gru_a.weight_hh_l0"], 3)
    # Of 64 blocks of 16 x 1 three, three and 13 stay (5, 5 and 20 of 100), and the diagonal.
    for gate, count in zip(gates, (3, 3, 13), strict=True):
        blocks = ((gate != 0) & ~np.eye(32, dtype=bool)).reshape(2, 16, 32).sum(axis=1)
        assert int((blocks > 0).sum()) == count
        assert gate.diagonal().all()


def test_each_gate_of_a_run_has_the_density_of_its_name(tmp_path: Path) -> None:
    """Of 64 blocks a tenth of the reset gate's stay, a quarter of the update gate's, half of the state's."""
    weights = trained(tmp_path, density_reset=0.1, density_update=0.25, density_state=0.5)
    for gate, count in zip(np.split(weights["gru_a.weight_hh_l0"], 3), (6, 16, 32), strict=True):
        blocks = ((gate != 0) & ~np.eye(32, dtype=bool)).reshape(2, 16, 32).sum(axis=1)
        assert int((blocks > 0).sum()) == count


def test_no_gradient_is_longer_than_asked_and_adam_is_amsgrad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, kinds = [], []

    def look(run: lpcnet_training.Run, *_: Any) -> None:
        lengths.append(torch.stack([each.grad.norm() for each in run.parameters() if each.grad is not None]).norm())
        kinds.append([group["amsgrad"] for group in run.trainer.optimizers[0].param_groups])

    monkeypatch.setattr(lpcnet_training.Run, "on_train_batch_end", look)
    trained(tmp_path, clip=0.01, steps=2)
    assert [float(length) for length in lengths] == pytest.approx([0.01, 0.01], rel=1e-3)  # it would be about 0.4
    assert kinds == [[True], [True]]


def chunk_loss(model: LPCNet, whole: Utterance, first: int, frames: int) -> float:
    """Of the clean frames from `first` on, in nats per sample: conditions of the whole, states that begin at zero."""
    span = slice(HOP * first, HOP * (first + frames))
    rows = (torch.from_numpy(each)[None] for each in (whole.cepstrum, whole.pitch, whole.correlation))
    with torch.no_grad():
        f = model.condition(*rows)[:, first : first + frames]
        logits = model(f, torch.from_numpy(whole.clean[0][span].astype(np.int64))[None])[0][0]
    chosen = torch.log_softmax(logits, -1).numpy()[np.arange(HOP * frames), whole.clean[1][span]]
    return float(-chosen.mean())


def test_the_loss_in_validation_is_that_of_the_clean_chunks(tmp_path: Path) -> None:
    trained(tmp_path, steps=4, strength=3.0)
    kept = lpcnet_training.utterances(recordings(), features, Settings(**TINY))[1]
    assert [one.frames for one in kept] in ([50], [38])
    model = load_weights(tmp_path / "weights.safetensors")
    expected = np.mean([chunk_loss(model, kept[0], first, 3) for first in range(2, kept[0].frames - 4, 3)])
    assert float(losses(tmp_path, "validation_loss")[-1]) == pytest.approx(expected, rel=1e-5)


def test_a_chunk_learnt_in_parts_has_the_loss_of_the_whole(tmp_path: Path) -> None:
    """With noise off, a rate of next to nothing and all chunks in the batch: their mean, states carried over."""
    clip = {"a": speech()[16000:23840]}  # 49 frames: 15 chunks of 3 and the context
    for updates in (1, 4):
        settings = Settings(
            **{
                **TINY,
                "updates": updates,
                "augment": 0,
                "noise": "none",
                "learning_rate": 1e-30,
                "batch": 15,
                "steps": 1,
            }
        )
        train(clip, features, tmp_path / str(updates), settings)
        one = lpcnet_data.utterance(clip["a"], features)
        model = load_weights(tmp_path / str(updates) / "weights.safetensors")
        expected = np.mean([chunk_loss(model, one, first, 3) for first in range(2, 47, 3)])
        assert float(losses(tmp_path / str(updates), "train_loss")[0]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "settings", [{"noise": "2018"}, {"noise": "none"}, {"clean": 0.5}, {"precision": "bf16"}, {"updates": 1}]
)
def test_a_network_learns(tmp_path: Path, settings: dict[str, Any]) -> None:
    trained(tmp_path, steps=20, validate_every=20, learning_rate=1e-2, sparse_start=100, sparse_end=200, **settings)
    found = [float(loss) for loss in losses(tmp_path, "train_loss")]
    assert found[0] == pytest.approx(np.log(256), abs=0.1)  # it begins without an opinion
    assert np.mean(found[-3:]) < found[0] - 0.5


@pytest.mark.parametrize(("precision", "calls"), [("float32", 6), ("bf16", 0)])  # 2 batches in 2 parts, 2 validations
def test_on_a_cpu_the_gradients_are_our_own_and_with_bfloat_torchs(
    precision: str, calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def noticed(*arguments: Any) -> Any:
        seen.append(arguments)
        return forward(*arguments)

    forward = lpcnet_cpu.forward
    monkeypatch.setattr(lpcnet_cpu, "forward", noticed)
    trained(tmp_path, precision=precision, steps=2, validate_every=1)
    assert len(seen) == calls


def test_a_person_who_waits_sees_a_bar_and_the_loss(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(recordings(), features, tmp_path, Settings(**TINY), progress=True)
    told = "".join(capfd.readouterr())
    assert "Epoch 2/2" in told  # of six batches, two to a validation, counted from 0
    assert "validation_loss" in told


def test_the_weights_that_are_kept_are_the_running_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mean = a mean + (1 - a) weights after every update, a = min(0.8, (1 + n) / (10 + n)); what is gone is gone."""
    weights: list[dict[str, Array]] = []
    begun: list[dict[str, Array]] = []

    def noticed(run: lpcnet_training.Run, update: int) -> None:
        if not begun:
            begun.append({name: value.numpy().copy() for name, value in run.mean.state_dict().items()})
        weights.append({name: value.detach().numpy().copy() for name, value in run.model.state_dict().items()})
        assert update == len(weights) - 1
        followed(run, update)

    followed = lpcnet_training.Run._follow
    monkeypatch.setattr(lpcnet_training.Run, "_follow", noticed)
    found = trained(tmp_path, steps=4, average=0.8, updates=2, frames=4, sparse_start=0, sparse_end=2, sparse_every=1)
    assert len(weights) == 8
    for name, last in found.items():
        mean = begun[0][name].astype(np.float64)
        for n, each in enumerate(weights):
            a = min(0.8, (1 + n) / (10 + n))
            mean = a * mean + (1 - a) * each[name]
            if name == "gru_a.weight_hh_l0":
                mean = mean * (each[name] != 0)
        assert last == pytest.approx(mean, abs=1e-6)


def test_a_checkpoint_holds_nothing_that_could_run(tmp_path: Path) -> None:
    trained(tmp_path, steps=2)
    torch.load(tmp_path / "checkpoint.ckpt", weights_only=True)  # refuses all but tensors and plain values


def test_a_checkpoint_that_would_run_something_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "harm",)

    tmp_path.joinpath("run").mkdir()
    torch.save({"state_dict": Harm()}, tmp_path / "run" / "checkpoint.ckpt")
    with pytest.raises(TrainingError, match=r"checkpoint.ckpt cannot be resumed"):
        trained(tmp_path / "run", resume=True)
    assert not (tmp_path / "harm").exists()


def test_what_cannot_be_resumed_says_why(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"there is no .*checkpoint.ckpt to resume"):
        trained(tmp_path, resume=True)
    trained(tmp_path, steps=2)
    with pytest.raises(TrainingError, match="is there already"):
        trained(tmp_path)
    with pytest.raises(TrainingError, match="learning_rate is 0.5; the run began with 0.001"):
        trained(tmp_path, resume=True, learning_rate=0.5)
    with pytest.raises(TrainingError, match="data are not those"):
        train({"a": speech()[:9000]}, features, tmp_path, Settings(**TINY), True)
    (tmp_path / "checkpoint.ckpt").write_bytes((tmp_path / "checkpoint.ckpt").read_bytes()[:5000])
    with pytest.raises(TrainingError, match="cannot be resumed"):
        trained(tmp_path, resume=True)


def test_a_run_stopped_by_the_keyboard_is_resumed_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    said: list[str] = []

    def stop(line: str) -> None:
        said.append(line)
        if line.startswith("4 of 6 batches"):
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(recordings(), features, tmp_path / "parts", Settings(**TINY), report=stop)
    assert signal.getsignal(signal.SIGINT) is before
    assert (
        said[-1] == f"stopped after 4 of 6 batches: go on from {tmp_path / 'parts' / 'checkpoint.ckpt'} with --resume"
    )
    assert same(trained(tmp_path / "parts", resume=True), whole)


def test_a_run_stopped_before_the_first_validation_says_that_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    said: list[str] = []
    monkeypatch.setattr(lpcnet_training.Run, "validation_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(recordings(), features, tmp_path, Settings(**TINY), report=said.append)
    assert said[-1] == "stopped after 2 of 6 batches: there is nothing to resume"


@pytest.mark.parametrize("name", ["weights.safetensors", "checkpoint.ckpt"])
def test_a_file_is_never_half_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time the disk is full in the middle of it: what was written first is still there, whole."""
    write, count = Path.write_bytes, {name: 0}

    def full(self: Path, content: Any) -> int:
        if self.name.startswith(name):
            count[name] += 1
            if count[name] == 2:
                write(self, bytes(content)[: len(content) // 2])
                raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return write(self, content)

    trained(tmp_path / "first", steps=2)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match=rf"{name}.part cannot be written: No space left on device"):
        trained(tmp_path / "run")
    expected = {"weights.safetensors", "checkpoint.ckpt", "logs"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == expected
    first, found = (tmp_path / part / name for part in ("first", "run"))
    if name == "weights.safetensors":
        assert found.read_bytes() == first.read_bytes()
    else:
        assert torch.load(found, weights_only=True)["run"]["batches"] == 2
    monkeypatch.undo()
    whole = trained(tmp_path / "whole")
    assert same(trained(tmp_path / "run", resume=True), whole)


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(TrainingError, match=r"logs cannot be written: File exists"):
        trained(tmp_path)


def test_a_gpu_that_is_not_there_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="device is cuda, and torch finds no GPU here: take cpu, or auto"):
        trained(tmp_path, device="cuda")


def test_a_run_that_has_run_away_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the weights of the last validation that was good."""

    def runs_away(run: lpcnet_training.Run, *_: Any) -> None:
        if run.batches == 4:
            with torch.no_grad():
                run.model.dual_fc.bias.fill_(torch.nan)

    monkeypatch.setattr(lpcnet_training.Run, "on_train_batch_end", runs_away)
    with pytest.raises(
        TrainingError, match=r"after 4 batches the loss is nan: begin anew with a lower learning_rate \(here 0.001\)"
    ):
        trained(tmp_path)
    with safe_open(tmp_path / "weights.safetensors", "np") as file:
        assert np.isfinite(file.get_tensor("dual_fc.bias")).all()
    assert torch.load(tmp_path / "checkpoint.ckpt", weights_only=True)["run"]["batches"] == 2


def test_a_recording_shorter_than_a_chunk_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"short has 3000 samples; a chunk with its context has 3040"):
        train({"short": speech()[:3000]}, features, tmp_path, Settings(), False)
    assert not list(tmp_path.iterdir())


def test_recordings_in_which_nothing_is_to_be_heard_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the recordings are silent"):
        train({"a": np.zeros(8000), "b": np.zeros(9000)}, features, tmp_path, Settings(**TINY))


def test_files_are_kept_for_validation_where_there_are_several() -> None:
    ten = {str(k): speech()[4000 * k : 4000 * k + 4000] for k in range(10)}
    learnt, kept = lpcnet_training.utterances(ten, features, Settings(augment=2, held=0.2))
    assert (len(learnt), len(kept)) == (8 * 3, 2)
    learnt, kept = lpcnet_training.utterances({"only": ten["3"]}, features, Settings(augment=2))
    assert (len(learnt), len(kept)) == (3, 1)
    assert kept[0] is learnt[0]


def test_a_distribution_comes_for_every_sample_and_the_fixed_one_costs_its_entropy() -> None:
    torch.manual_seed(0)
    model = LPCNet(Settings(**TINY).config)
    part = clip().part(100, 110)
    rows = lpcnet_excitation.distributions(model, part)
    assert rows.shape == (1600, 256)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
    chosen = np.take_along_axis(rows, part.clean[1][:, None].astype(int), 1)
    assert lpcnet_excitation.loss(model, part) == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
    codes, counts = np.unique(part.clean[1], return_counts=True)
    assert lpcnet_excitation.fixed_entropy([part]) == pytest.approx(-(counts / 1600 * np.log(counts / 1600)).sum())
    assert len(codes) > 1


def test_what_is_expected_of_a_sample_stands_at_its_place(tmp_path: Path) -> None:
    """A click at sample 1000: the excitation is loud there and nowhere before."""
    torch.manual_seed(0)
    save(LPCNet(Settings(**TINY).config), tmp_path / "w.safetensors")
    x = np.zeros(2000)
    x[1000] = 0.5
    rows, codes, rate = lpcnet_excitation.excitation(tmp_path / "w.safetensors", x, features)
    assert (rows.shape, codes.shape, rate) == ((2000, 256), (2000,), 16000)
    assert np.flatnonzero(np.abs(codes.astype(int) - 128) > 20)[0] == 1000


@pytest.mark.parametrize("change", [{"bands": 20}, {"rate": 8000}, {"hop": 80}])
def test_weights_that_expect_other_features_are_refused(change: dict[str, int], tmp_path: Path) -> None:
    config = dataclasses.replace(Settings(**TINY).config, **change)
    save(LPCNet(config), tmp_path / "w.safetensors")
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"w.safetensors is of a network with {name} {value}; .* have "):
        lpcnet_excitation.excitation(tmp_path / "w.safetensors", np.zeros(2000), features)
