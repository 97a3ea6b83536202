"""The training loop of all models, with a network of a few weights."""

import csv
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile
import torch
from pydantic import Field
from torch import Tensor, nn

from dspgraph import Array, RequestError
from dspgraph_nodes.models.shared import trainer
from dspgraph_nodes.models.shared.config import ModelConfig, size
from dspgraph_nodes.models.shared.data import BatchOrder, fingerprint, held_out, rng
from dspgraph_nodes.models.shared.modules import load, save
from dspgraph_nodes.models.shared.settings import TrainingSettings, of_config
from dspgraph_nodes.models.shared.weights import WeightsFormat

pytestmark = pytest.mark.training


class Config(ModelConfig):
    units: int = size(4, "units of the layer")


class Settings(TrainingSettings, frozen=True, extra="forbid"):
    PRESETS: ClassVar = {"toy": Config()}

    preset: str = Field("toy", description="sizes: toy")
    units: int | None = of_config(Config, "units")
    steps: int = Field(6, ge=1, description="number of batches")
    batch: int = Field(3, ge=1, description="items in a batch")
    validate_every: int = Field(2, ge=1, description="batches between two validations")


class Network(nn.Module):
    """A network y = sum_k w2[k] * tanh(w1[k] * x) with dropout, which draws random numbers in training."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.w1, self.w2 = nn.Parameter(torch.randn(config.units)), nn.Parameter(torch.randn(config.units))

    def forward(self, x: Tensor) -> Tensor:
        return (nn.functional.dropout(torch.tanh(x[:, None] * self.w1), 0.25, self.training) * self.w2).sum(-1)


WEIGHTS = WeightsFormat("toy", Config, lambda c: {"w1": (c.units,), "w2": (c.units,)})
X = rng(0).standard_normal(10).astype(np.float32)


def make_task(settings: Settings, recordings: Any, features: Any) -> trainer.Task:
    x, order = torch.from_numpy(recordings["x"]), BatchOrder(len(recordings["x"]), settings.batch, settings.seed)

    def losses(network: Network, batch: tuple[Tensor]) -> Iterator[dict[str, Tensor]]:
        for part in batch[0].chunk(2):
            error = network(part) - torch.sin(part)
            yield {"loss": error.square().mean(), "worst": error.abs().max()}

    def validate(network: Network) -> dict[str, float]:
        assert not network.training
        error = network(x) - torch.sin(x)
        return {"loss": float(error.square().mean()), "worst": float(error.abs().max())}

    return trainer.Task(
        network=lambda: Network(settings.config),
        batch=lambda number: (x[[place for _, place in order[number]]],),
        losses=losses,
        validate=validate,
        save=lambda network, path: save(WEIGHTS, network, path),
        load=lambda path: load(WEIGHTS, Network, path),
        fingerprint=fingerprint([recordings["x"]]),
        summary=f"{len(x)} numbers",
        figures=("worst",),
        audio=lambda path: {"tone": trainer.LoggedSound(np.sin(np.arange(100) / 9), 8000)},
    )


def trained(out: Path, resume: bool = False, init: Path | None = None, x: Array = X, **settings: Any) -> bytes:
    chosen = Settings(**{"device": "cpu", **settings})
    return trainer.train(make_task, {"x": x}, lambda y: {}, out, chosen, resume, init=init).read_bytes()


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "logs" / "metrics.csv").open() as file:
        return [
            {name: text for name, text in row.items() if name != "batches_per_second"} for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("more", [{}, {"ema": 0.9, "decay": 0.1}])
def test_a_resumed_run_has_the_weights_and_the_log_of_an_unbroken_one(tmp_path: Path, more: dict[str, Any]) -> None:
    """Weights, training losses and the last line of the log are equal bit for bit; another seed gives other weights.

    So order of the data, dropout, optimiser, learning rate and moving average continue. The column for the speed is not
    compared.
    """
    whole = trained(tmp_path / "whole", steps=7, **more)
    trained(tmp_path / "parts", steps=3, **more)
    trained(tmp_path / "parts", True, steps=4)
    assert trained(tmp_path / "parts", True, steps=7) == whole
    found, expected = rows(tmp_path / "parts"), rows(tmp_path / "whole")
    assert [row["train_loss"] for row in found] == [row["train_loss"] for row in expected]
    assert found[-1] == expected[-1]
    assert whole != trained(tmp_path / "other", steps=7, seed=1, **more)


def test_a_run_that_died_after_its_checkpoint_logs_no_batch_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(run: trainer.Run) -> dict[str, float]:
        if run.batches == 5:
            raise MemoryError
        return step(run)

    step = trainer.Run.step
    whole = trained(tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(trainer.Run, "step", dies)
        with pytest.raises(MemoryError):
            trained(tmp_path / "parts")
    assert [row["step"] for row in rows(tmp_path / "parts")] == list("12345")  # the checkpoint is that of batch 4
    assert trained(tmp_path / "parts", resume=True) == whole
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_log_whose_last_line_is_cut_goes_on_without_that_line(tmp_path: Path) -> None:
    """A last line "1", the beginning of a line such as "14,0.25", is not taken for the line of batch 1."""
    whole, path = trained(tmp_path / "whole", steps=4), tmp_path / "parts" / "logs" / "metrics.csv"
    trained(tmp_path / "parts", steps=2)
    path.write_bytes(path.read_bytes() + b"1")
    assert trained(tmp_path / "parts", True, steps=4) == whole
    assert [row["step"] for row in rows(tmp_path / "parts")] == list("1234")


@pytest.mark.parametrize("content", [b"a,b\r\n1,2\r\n", b"step,b\r\nx,2\r\n", b"step\r\n\xff\r\n"])
def test_a_log_of_another_program_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    trained(tmp_path, steps=2)
    (tmp_path / "logs" / "metrics.csv").write_bytes(content)
    with pytest.raises(RequestError, match=r"metrics.csv is no log of a run, with a column 'step': move it away"):
        trained(tmp_path, True, steps=4)


def test_logs_have_every_figure_as_csv_and_for_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trained(tmp_path, log_every=3, audio=1.0)
    found = rows(tmp_path)
    assert [row["step"] for row in found] == list("2346")
    assert [bool(row["train_worst"]) for row in found] == [False, True, False, True]
    assert [bool(row["validation_worst"]) for row in found] == [True, False, True, True]
    board: Any = EventAccumulator(str(tmp_path / "logs"))
    board.Reload()
    seen = [f"{event.value:.4f}" for event in board.Scalars("validation_loss")]
    assert seen == [f"{float(row['validation_loss']):.4f}" for row in found if row["validation_loss"]]
    assert len(board.Audio("tone")) == 3


@pytest.mark.parametrize(
    ("count", "share", "held"), [(1, 0.9, 0), (2, 0.9, 1), (10, 0.2, 2), (10, 0.01, 1), (10, 0, 0)]
)
def test_at_least_one_recording_is_left_to_learn_from(count: int, share: float, held: int) -> None:
    names = [f"{k}.wav" for k in range(count)]
    found = held_out(names, Settings(validation_share=share))
    assert len(found) == held
    assert found < set(names)


def test_audio_is_written_at_every_validation_if_it_is_asked_for(tmp_path: Path) -> None:
    trained(tmp_path / "with", audio=1.0)
    assert [path.name for path in sorted((tmp_path / "with" / "audio").iterdir())] == [
        f"0000000{k}_tone.wav" for k in (2, 4, 6)
    ]
    y, rate = soundfile.read(tmp_path / "with" / "audio" / "00000002_tone.wav")
    assert rate == 8000
    np.testing.assert_allclose(y, np.sin(np.arange(100) / 9), atol=1e-4)  # 16 bits
    trained(tmp_path / "without")
    assert not (tmp_path / "without" / "audio").exists()


def test_checkpoints_can_come_more_often_than_validations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(trainer, "_write_checkpoint", lambda run, path: seen.append(run.batches))
    trained(tmp_path, validate_every=4, checkpoint_every=3)
    assert seen == [3, 4, 6]


def test_a_run_can_begin_with_weights(tmp_path: Path) -> None:
    trained(tmp_path / "first", steps=2)
    begun = tmp_path / "first" / "weights.safetensors"
    trained(tmp_path / "second", init=begun, steps=1, learning_rate=1e-30)
    first, second = (load(WEIGHTS, Network, tmp_path / name / "weights.safetensors") for name in ("first", "second"))
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=1e-12)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    trained(tmp_path / "first", steps=2)
    begun = tmp_path / "first" / "weights.safetensors"
    with pytest.raises(
        RequestError, match=r"weights.safetensors holds a network with units 4 \(asked: 5\): set its sizes"
    ):
        trained(tmp_path / "second", init=begun, units=5)
    with pytest.raises(RequestError, match="--init: there is no file .*none"):
        trained(tmp_path / "third", init=tmp_path / "none")
    with pytest.raises(RequestError, match="--init is for a new run, and --resume continues one"):
        trained(tmp_path / "first", True, init=begun)


def test_settings_that_only_change_the_pace_may_change_and_others_may_not(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "parts", steps=2)
    with pytest.raises(RequestError, match="batch is 5; the run began with 3"):
        trained(tmp_path / "parts", True, steps=6, batch=5)
    with pytest.raises(RequestError, match="steps is 1; the run in .*parts has made 2 already: set more steps"):
        trained(tmp_path / "parts", True, steps=1)
    with pytest.raises(RequestError, match="features differ from those of the run so far"):
        trained(tmp_path / "parts", True, x=X + 1)
    assert trained(tmp_path / "parts", True, steps=6, validate_every=5, log_every=2) == whole


def test_muon_is_refused_for_a_network_without_matrices(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="optimizer is muon, but this network has no matrices in hidden layers: set"):
        trained(tmp_path, optimizer="muon")


@pytest.mark.parametrize("part", ["network", "optimizers"])
def test_a_checkpoint_whose_tensors_do_not_fit_is_refused(part: str, tmp_path: Path) -> None:
    trained(tmp_path, steps=2)
    path = tmp_path / "checkpoint.ckpt"
    saved = torch.load(path, weights_only=True)
    torch.save({**saved, part: [{"w1": torch.zeros(3)}] if part == "optimizers" else {"w1": torch.zeros(3)}}, path)
    with pytest.raises(RequestError, match=r"checkpoint.ckpt cannot be resumed; its tensors do not fit its set"):
        trained(tmp_path, True, steps=4)


def test_a_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    trained(tmp_path, steps=2)
    path = tmp_path / "checkpoint.ckpt"
    saved = torch.load(path, weights_only=True)
    for content, why in (
        ({"run": saved["run"]}, "it lacks mean, network, optimizers"),
        ({**saved, "run": {**saved["run"], "updates": "2"}}, "no whole numbers"),
        ({**saved, "run": {**saved["run"], "batches": -2}}, "no whole numbers"),
        ({**saved, "run": {**saved["run"], "settings": "[]"}}, "ValidationError"),
        ([1], "TypeError"),
        (torch.zeros(3), "IndexError"),
    ):
        torch.save(content, path)
        with pytest.raises(RequestError, match=f"checkpoint.ckpt cannot be resumed; expected .*{why}"):
            trained(tmp_path, True, steps=4)


def test_a_report_tells_pace_and_time_left(tmp_path: Path) -> None:
    said: list[str] = []
    trainer.train(make_task, {"x": X}, lambda y: {}, tmp_path, Settings(device="cpu"), report=said.append)
    assert said[0] == "10 numbers"
    assert all(" batches/s, 0 s left" in line for line in said[1:])
    assert said[-1].startswith("6 of 6 batches: loss ")


def test_a_size_that_no_network_has_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="units is 0; it must be a whole number, at least 1, at most 4096"):
        Settings(units=0)
    with pytest.raises(ValueError, match="units is True; it must be a whole number"):
        Config(units=True)
    with pytest.raises(ValueError, match="units is 9999; it must be"):
        Config().replace(units=9999)


# ---- parts that are updated in turn ---------------------------------------------------------------------------------


class Adversarial(nn.Module):
    """A network with a generator, mean + spread * z for noise z, and a critic, w * (x - 1) + v * (x - 1)**2."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.generator = nn.ParameterDict({"mean": nn.Parameter(torch.zeros(1)), "spread": nn.Parameter(torch.ones(1))})
        self.critic = nn.ParameterDict({"w": nn.Parameter(torch.zeros(1)), "v": nn.Parameter(torch.zeros(1))})

    def drawn(self, count: int) -> Tensor:
        found: Tensor = self.generator["mean"] + self.generator["spread"] * torch.randn(count)
        return found

    def judged(self, x: Tensor) -> Tensor:
        found: Tensor = self.critic["w"] * (x - 1) + self.critic["v"] * (x - 1) ** 2
        return found


ADVERSARIAL = WeightsFormat(
    "adversarial", Config,
    lambda c: {f"{part}.{name}": (1,) for part, names in (("generator", ("mean", "spread")), ("critic", ("w", "v")))
               for name in names},
    "train it",
)  # fmt: skip


def adversarial_task(settings: Settings, recordings: Any, features: Any) -> trainer.Task:
    x, order = torch.from_numpy(recordings["x"]), BatchOrder(len(recordings["x"]), settings.batch, settings.seed)

    def losses(network: Adversarial, batch: tuple[Tensor]) -> Iterator[dict[str, Tensor]]:
        (real,) = batch
        drawn = network.drawn(len(real))
        held = sum(weight.square().sum() for weight in network.critic.parameters())
        difference = network.judged(real).mean() - network.judged(drawn).mean()
        yield {"loss": 0.5 * held - difference, "difference": difference}
        yield {"loss": -network.judged(network.drawn(len(real))).mean()}

    return trainer.Task(
        network=lambda: Adversarial(settings.config),
        batch=lambda number: (x[[place for _, place in order[number]]],),
        losses=losses,
        validate=lambda network: {"loss": float(network.generator["mean"]), "difference": 0.0},
        save=lambda network, path: save(ADVERSARIAL, network, path),
        load=lambda path: load(ADVERSARIAL, Adversarial, path),
        fingerprint=fingerprint([recordings["x"]]),
        summary=f"{len(x)} numbers",
        figures=("difference",),
        parts=("critic", "generator"),
    )


NUMBERS = (1.5 + 0.3 * rng(1).standard_normal(1000)).astype(np.float32)


def adversarial(out: Path, resume: bool = False, **settings: Any) -> Path:
    given: dict[str, Any] = {"device": "cpu", "batch": 50, "learning_rate": 0.02, "ema": 0.9, "validate_every": 4}
    chosen = Settings(**{**given, **settings})
    return trainer.train(adversarial_task, {"x": NUMBERS}, lambda y: {}, out, chosen, resume)


def test_each_update_changes_the_weights_of_its_part_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update changes only the weights of one part, in the network and in its moving average.

    The loss of the generator depends on the weights of the critic too.
    """
    follow, seen = trainer.Run._follow, []

    def noticed(run: trainer.Run) -> None:
        follow(run)
        seen.append(
            (
                ("critic", "generator")[(run.updates - 1) % 2],
                [deepcopy(one.state_dict()) for one in (run.network, run.mean) if one is not None],
            )
        )

    monkeypatch.setattr(trainer.Run, "_follow", noticed)
    adversarial(tmp_path, steps=3)
    assert len(seen) == 6
    for (_, before), (part, after) in pairwise(seen[1:]):
        for old, new in zip(before, after, strict=True):
            assert {name.split(".")[0] for name in new if not torch.equal(old[name], new[name])} == {part}


def test_a_run_with_parts_resumes_and_learns(tmp_path: Path) -> None:
    """The mean of the generated numbers moves from 0 to the mean of the data, 1.5, around which it oscillates.

    After 400 batches it is at most 0.6 away. A run that was resumed after 100 of 400 batches has the same weights. The
    log has the figures of the run.
    """
    whole = adversarial(tmp_path / "whole", steps=400, validate_every=400)
    adversarial(tmp_path / "parts", steps=100, validate_every=400)
    assert adversarial(tmp_path / "parts", True, steps=400).read_bytes() == whole.read_bytes()
    assert abs(float(ADVERSARIAL.read(whole)[1]["generator.mean"][0]) - 1.5) < 0.6  # measured 0.33
    first = rows(tmp_path / "whole")[0]
    assert set(first) >= {"train_loss", "train_difference"}
