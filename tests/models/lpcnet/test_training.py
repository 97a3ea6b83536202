"""Training of LPCNet: the files of a run, resuming, refused data, and the predicted distribution of an utterance."""

import csv
import errno
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from torch import Tensor

from dspgraph import Array, RequestError
from dspgraph_nodes._kernels.neural.lpcnet_packing import pack_weights
from dspgraph_nodes.models.lpcnet import cpu as lpcnet_cpu
from dspgraph_nodes.models.lpcnet import data as lpcnet_data
from dspgraph_nodes.models.lpcnet import distribution as lpcnet_distribution
from dspgraph_nodes.models.lpcnet.config import HOP
from dspgraph_nodes.models.lpcnet.data import Utterance
from dspgraph_nodes.models.lpcnet.network import LPCNet
from dspgraph_nodes.models.lpcnet.training import Settings, train
from dspgraph_nodes.models.lpcnet.weights import WEIGHTS
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.data import rng, split
from dspgraph_nodes.models.shared.distributions.categorical import fixed_entropy
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.neural.lpcnet import lpcnet
from helpers.speech import speech
from helpers.utterances import clip, features, loss

pytestmark = pytest.mark.training

TINY = {
    "preset": "lpcnet-small", "gru_a": 32, "gru_b": 16, "embedding": 8, "condition": 16, "batch": 4, "frames": 3,
    "updates": 2, "augment": 1, "steps": 6, "validate_every": 2, "sparse_start": 1, "sparse_end": 5, "sparse_every": 1,
    "device": "cpu", "threads": 1,
}  # fmt: skip


def recordings() -> dict[str, Array]:
    return {"a": speech()[16000:24000], "b": speech()[30000:36000]}


def trained(out: Path, resume: bool = False, **settings: Any) -> dict[str, Array]:
    """Train a tiny network, and return its weights by name.

    out: the folder of the run; resume: whether to continue the run that is there; settings: those that replace TINY or
    are added to it.
    """
    path = train(recordings(), features, out, Settings(**{**TINY, **settings}), resume)
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no mapping


def losses(out: Path, name: str) -> list[str]:
    """Return the texts in the column `name` of the CSV log of the run in the folder `out`, without empty cells."""
    rows = csv.DictReader((out / "logs" / "metrics.csv").read_text().splitlines())
    return [row[name] for row in rows if row.get(name)]


def prepared(recordings: dict[str, Array], settings: Settings) -> tuple[list[Utterance], list[Utterance]]:
    return split(recordings, lambda _, x: lpcnet_data.utterance(x, features), settings, HOP, 2)


def same(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.slow
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_resumed_run_has_the_losses_and_the_weights_of_an_unbroken_one(tmp_path: Path, ema: float) -> None:
    whole = trained(tmp_path / "whole", ema=ema)
    trained(tmp_path / "parts", steps=2, ema=ema)
    trained(tmp_path / "parts", resume=True, steps=4, ema=ema)
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
    assert sorted(path.name.split(".")[0] for path in (tmp_path / "logs").iterdir()) == ["events", "metrics"]
    gates = np.split(weights["gru_a.weight_hh_l0"], 3)
    # Of 64 blocks of 16 x 1 three, three and 13 stay (5, 5 and 20 of 100), and the diagonal.
    for gate, count in zip(gates, (3, 3, 13), strict=True):
        blocks = ((gate != 0) & ~np.eye(32, dtype=bool)).reshape(2, 16, 32).sum(axis=1)
        assert int((blocks > 0).sum()) == count
        assert gate.diagonal().all()


def test_a_run_is_heard_if_it_is_asked_for(tmp_path: Path) -> None:
    """A quarter of a second of the validation recording is synthesised by the kernel with the weights of the run."""
    trained(tmp_path, steps=2, audio=0.25)
    y, rate = soundfile.read(tmp_path / "audio" / "00000002_speech.wav")
    assert (len(y), rate) == (4000, 16000)
    kept = prepared(recordings(), Settings(**TINY))[1][0].part(0, 25)
    network = pack_weights(WEIGHTS.read(tmp_path / "weights.safetensors")[1])
    columns = (kept.cepstrum, kept.pitch[:, None], kept.correlation[:, None], kept.lpc)
    expected = lpcnet(network, *columns, rng(0))
    np.testing.assert_allclose(y, np.clip(expected, -1, 1), atol=1e-4)  # 16 bits
    assert np.abs(y).max() > 0.1


def test_each_gate_of_a_run_has_the_density_of_its_name(tmp_path: Path) -> None:
    """Of 64 blocks, a tenth of the reset gate's are kept, a quarter of the update gate's, and half of the state's."""
    weights = trained(tmp_path, density_reset=0.1, density_update=0.25, density_state=0.5)
    for gate, count in zip(np.split(weights["gru_a.weight_hh_l0"], 3), (6, 16, 32), strict=True):
        blocks = ((gate != 0) & ~np.eye(32, dtype=bool)).reshape(2, 16, 32).sum(axis=1)
        assert int((blocks > 0).sum()) == count


def test_no_gradient_is_longer_than_asked_and_adam_is_amsgrad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[Tensor] = []
    kinds: list[list[bool]] = []

    def look(run: trainer.Run) -> dict[str, float]:
        found = step(run)
        parameters = run.network.parameters()
        lengths.append(torch.stack([each.grad.norm() for each in parameters if each.grad is not None]).norm())
        kinds.append([group["amsgrad"] for group in run.optimizers[0].param_groups])
        return found

    step = trainer.Run.step
    monkeypatch.setattr(trainer.Run, "step", look)
    trained(tmp_path, clip=0.01, steps=2)
    assert [float(length) for length in lengths] == pytest.approx([0.01, 0.01], rel=1e-3)  # it would be about 0.4
    assert kinds == [[True], [True]]


def chunk_loss(model: LPCNet, whole: Utterance, first: int, frames: int) -> float:
    """Return the mean loss of `frames` frames of an utterance from frame `first` on, in nats per sample.

    The network reads them without noise, and the states of its GRUs begin at 0.
    """
    span = slice(HOP * first, HOP * (first + frames))
    rows = (torch.from_numpy(each)[None] for each in (whole.cepstrum, whole.pitch, whole.correlation))
    with torch.no_grad():
        f = model.condition(*rows)[:, first : first + frames]
        logits = model(f, torch.from_numpy(whole.clean[0][span].astype(np.int64))[None])[0][0]
    chosen = torch.log_softmax(logits, -1).numpy()[np.arange(HOP * frames), whole.clean[1][span]]
    return float(-chosen.mean())


def test_the_loss_in_validation_is_that_of_the_clean_chunks(tmp_path: Path) -> None:
    trained(tmp_path, steps=4, noise_scale=3.0)
    kept = prepared(recordings(), Settings(**TINY))[1]
    assert [one.frames for one in kept] in ([50], [38])
    model = load(WEIGHTS, LPCNet, tmp_path / "weights.safetensors")
    expected = np.mean([chunk_loss(model, kept[0], first, 3) for first in range(2, kept[0].frames - 4, 3)])
    assert float(losses(tmp_path, "validation_loss")[-1]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_chunk_learnt_in_parts_has_the_loss_of_the_whole(tmp_path: Path) -> None:
    """The loss of chunks learnt in 1 or 4 parts is the mean loss of the whole chunks.

    There is no noise, the learning rate is near 0, and all chunks are in one batch.
    """
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
        model = load(WEIGHTS, LPCNet, tmp_path / str(updates) / "weights.safetensors")
        expected = np.mean([chunk_loss(model, one, first, 3) for first in range(2, 47, 3)])
        assert float(losses(tmp_path / str(updates), "train_loss")[0]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"noise": "2018"},
        pytest.param({"noise": "none"}, marks=pytest.mark.slow),
        pytest.param({"clean_share": 0.5}, marks=pytest.mark.slow),
        pytest.param({"updates": 1}, marks=pytest.mark.slow),
        pytest.param({"precision": "bf16"}, marks=pytest.mark.slow),
    ],
)
def test_a_network_learns(tmp_path: Path, settings: dict[str, Any]) -> None:
    trained(tmp_path, steps=20, validate_every=20, learning_rate=1e-2, sparse_start=100, sparse_end=200, **settings)
    found = [float(loss) for loss in losses(tmp_path, "train_loss")]
    assert found[0] == pytest.approx(np.log(256), abs=0.1)  # it begins without an opinion
    assert np.mean(found[-3:]) < found[0] - 0.5


@pytest.mark.parametrize(
    ("precision", "calls"), [("float32", 6), pytest.param("bf16", 0, marks=pytest.mark.slow)]
)  # 2 batches in 2 parts, 2 validations
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


def test_a_progress_bar_shows_the_loss(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(recordings(), features, tmp_path, Settings(**TINY), progress=True)
    printed = "".join(capfd.readouterr())
    assert "6/6 batches" in printed
    assert "loss 5." in printed
    assert "batches/s" in printed


@pytest.mark.slow
def test_the_weights_that_are_kept_are_the_running_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every update mean = a * mean + (1 - a) * weights, with a = min(0.8, (1 + n) / (10 + n)).

    n: the number of updates before this one. Blocks of weights that were removed are removed from the mean too. The
    file of weights holds the mean.
    """
    weights: list[dict[str, Array]] = []
    begun: list[dict[str, Array]] = []

    def noticed(run: trainer.Run) -> None:
        assert run.mean is not None
        if not begun:
            begun.append({name: value.numpy().copy() for name, value in run.mean.state_dict().items()})
        weights.append({name: value.detach().numpy().copy() for name, value in run.network.state_dict().items()})
        assert run.updates == len(weights)
        followed(run)

    def step(run: trainer.Run) -> dict[str, float]:
        found = stepped(run)
        kept.append((run.network.get_parameter("gru_a.weight_hh_l0") != 0).numpy())
        return found

    kept: list[Array] = []
    followed, stepped = trainer.Run._follow, trainer.Run.step
    monkeypatch.setattr(trainer.Run, "_follow", noticed)
    monkeypatch.setattr(trainer.Run, "step", step)
    found = trained(tmp_path, steps=4, ema=0.8, updates=2, frames=4, sparse_start=0, sparse_end=2, sparse_every=1)
    assert len(weights) == 8
    for name, last in found.items():
        mean = begun[0][name].astype(np.float64)
        for n, each in enumerate(weights):
            a = min(0.8, (1 + n) / (10 + n))
            mean = a * mean + (1 - a) * each[name]
            if name == "gru_a.weight_hh_l0":
                mean = mean * (each[name] != 0) * (kept[n // 2] if n % 2 else 1)
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
    with pytest.raises(RequestError, match=r"checkpoint.ckpt cannot be resumed"):
        trained(tmp_path / "run", resume=True)
    assert not (tmp_path / "harm").exists()


def test_what_cannot_be_resumed_says_why(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no .*checkpoint.ckpt to resume"):
        trained(tmp_path, resume=True)
    trained(tmp_path, steps=2)
    with pytest.raises(RequestError, match="exists already"):
        trained(tmp_path)
    with pytest.raises(RequestError, match="learning_rate is 0.5; the run began with 0.001"):
        trained(tmp_path, resume=True, learning_rate=0.5)
    with pytest.raises(RequestError, match="features differ from those"):
        train({"a": speech()[:9000]}, features, tmp_path, Settings(**TINY), True)
    (tmp_path / "checkpoint.ckpt").write_bytes((tmp_path / "checkpoint.ckpt").read_bytes()[:5000])
    with pytest.raises(RequestError, match="cannot be resumed"):
        trained(tmp_path, resume=True)


@pytest.mark.slow
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
        said[-1]
        == f"stopped after 4 of 6 batches: continue from {tmp_path / 'parts' / 'checkpoint.ckpt'} with --resume"
    )
    assert same(trained(tmp_path / "parts", resume=True), whole)


def test_a_run_stopped_before_the_first_validation_says_that_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    said: list[str] = []
    monkeypatch.setattr(trainer.Run, "validate", stop)
    with pytest.raises(KeyboardInterrupt):
        train(recordings(), features, tmp_path, Settings(**TINY), report=said.append)
    assert said[-1] == "stopped after 2 of 6 batches: there is nothing to resume"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weights.safetensors", "checkpoint.ckpt"])
def test_a_file_is_whole_when_the_disk_is_full(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk becomes full during the second write. The file of the first write is still complete.

    Resumed from there, the run has the weights of an unbroken one.
    """
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
    with pytest.raises(RequestError, match=rf"{name}.part cannot be written: No space left on device"):
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
    with pytest.raises(RequestError, match=r"logs cannot be written: File exists"):
        trained(tmp_path)


def test_training_on_a_missing_gpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RequestError, match="device is cuda, but torch finds no GPU .*: set device to cpu or auto"):
        trained(tmp_path, device="cuda")


@pytest.mark.parametrize("where", ["training", "validation"])
def test_a_run_whose_loss_is_not_finite_ends(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose loss becomes NaN raises RequestError and keeps the weights of the last validation before."""

    def runs_away(run: trainer.Run) -> dict[str, float]:
        if run.batches == 4 and where == "training":
            run.network.get_parameter("dual_fc.bias").data.fill_(torch.nan)
        found = step(run)
        if run.batches == 4 and where == "validation":
            run.network.get_parameter("dual_fc.bias").data.fill_(torch.nan)
        return found

    step, batches = trainer.Run.step, {"training": 5, "validation": 4}[where]
    monkeypatch.setattr(trainer.Run, "step", runs_away)
    with pytest.raises(
        RequestError, match=rf"after {batches} batches the {where} loss is nan: .* lower learning_rate \(here 0.001\)"
    ):
        trained(tmp_path)
    with safe_open(tmp_path / "weights.safetensors", "np") as file:
        assert np.isfinite(file.get_tensor("dual_fc.bias")).all()
    assert torch.load(tmp_path / "checkpoint.ckpt", weights_only=True)["run"]["batches"] == batches - batches % 2 - (
        2 if where == "validation" else 0
    )


def test_a_recording_shorter_than_a_chunk_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"short has 3000 samples; a chunk with its context has 3040"):
        train({"short": speech()[:3000]}, features, tmp_path, Settings(), False)
    assert not list(tmp_path.iterdir())


def test_silent_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="all recordings are silent"):
        train({"a": np.zeros(8000), "b": np.zeros(9000)}, features, tmp_path, Settings(**TINY))


def test_files_are_kept_for_validation_where_there_are_several() -> None:
    ten = {str(k): speech()[4000 * k : 4000 * k + 4000] for k in range(10)}
    learnt, kept = prepared(ten, Settings(augment=2, validation_share=0.2))
    assert (len(learnt), len(kept)) == (8 * 3, 2)
    learnt, kept = prepared({"only": ten["3"]}, Settings(augment=2))
    assert (len(learnt), len(kept)) == (3, 1)
    assert kept[0] is learnt[0]


def test_every_sample_has_a_distribution_and_the_best_fixed_one_costs_its_entropy() -> None:
    torch.manual_seed(0)
    model = LPCNet(Settings(**TINY).config)
    part = clip().part(100, 110)
    rows = lpcnet_distribution.probabilities(model, part)
    assert rows.shape == (1600, 256)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
    chosen = np.take_along_axis(rows, part.clean[1][:, None].astype(int), 1)
    assert loss(model, part) == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
    codes, counts = np.unique(part.clean[1], return_counts=True)
    assert fixed_entropy([part.clean[1]], 256) == pytest.approx(-(counts / 1600 * np.log(counts / 1600)).sum())
    assert len(codes) > 1


@pytest.mark.parametrize("n", [2000, 2080, 2081])  # the last frame of the features ends after the signal, or with it
def test_every_sample_has_its_row_and_its_level(tmp_path: Path, n: int) -> None:
    """There is a row and a level for each of n samples, and level k is that of sample k.

    The recording has a click at sample 1000: there, the level of the excitation is first more than 20 from silence.
    """
    torch.manual_seed(0)
    save(WEIGHTS, LPCNet(Settings(**TINY).config), tmp_path / "w.safetensors")
    x = np.zeros(n)
    x[1000] = 0.5
    rows, codes, rate = lpcnet_distribution.distribution(tmp_path / "w.safetensors", x, features)
    assert (rows.shape, codes.shape, rate) == ((n, 256), (n,), 16000)
    assert np.flatnonzero(np.abs(codes.astype(int) - 128) > 20)[0] == 1000


@pytest.mark.parametrize("change", [{"bands": 20}, {"rate": 8000}, {"hop": 80}])
def test_weights_that_expect_other_features_are_refused(change: dict[str, int], tmp_path: Path) -> None:
    config = Settings(**TINY).config.replace(**change)
    save(WEIGHTS, LPCNet(config), tmp_path / "w.safetensors")
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=rf"w.safetensors holds a network with {name} {value}; .* have "):
        lpcnet_distribution.distribution(tmp_path / "w.safetensors", np.zeros(2000), features)
