"""The check of models: it passes for a correct model, and names each fault that is put into the model."""

from pathlib import Path
from typing import Any

import pytest

from dspgraph import ModelError
from dspgraph.testing import MODEL_CHECKS, check_model
from dspgraph_nodes.models.shared import trainer
from helpers.toy_model import toy_example

pytestmark = pytest.mark.training

FAULTS = {
    "another order of the arrays each time": ("weights_round_trip", "written twice, have other bytes"),
    "the model is not checked": ("foreign_weights_refused", "weights of the model 'another' is read as weights"),
    "arrays are not checked": ("foreign_weights_refused", "is read as weights"),
    "the network sees the sample": ("no_future", "causality of the network"),
    "a convolution of the network reaches ahead": ("no_future", "causality of the network"),
    "the kernel keeps its state": ("no_memory_between_signals", "keeps a state from one signal to the next"),
    "weights are rounded in the kernel": ("kernel_equals_network", "parameters differ by .* at sample 0"),
    "the network is one sample late": ("free_equals_forced", "shifted by one sample: the network is one sample late"),
    "the fine part ignores the coarse one": ("free_equals_forced", "parameters differ by"),
    "the kernel forgets the past": ("free_equals_forced", "parameters differ by .* at sample 1"),
    "a block begins without a past": ("cuts", "the cut into blocks of 1 frames changes the samples"),
    "a batch is computed in another order": ("lanes", "signal 0 of 2 in a batch is not what it is alone, in its param"),
    "a batch shares its random numbers": ("lanes", "signal 1 of 2 in a batch is not what it is alone"),
    "a tap draws a number": ("tap_changes_nothing", "tapping the distribution changes the samples"),
    "one random vector for all samples": ("draws_follow_the_distribution", "draw 0 of .* does not follow its distrib"),
    "draws are too sharp": ("draws_follow_the_distribution", "draw 0 of .* does not follow its distribution"),
    "the last level is never drawn": ("draws_follow_the_distribution", "does not follow its distribution"),
    "one random number for both parts": ("draws_independent", "draws 0 and 1 of a sample are correlated"),
    "the seed is ignored": ("draws_independent", "draws of signals with other seeds are correlated"),
    "random numbers without a seed": ("resume_exact", "two runs of the same settings end with other weights"),
    "the order of the data begins again": ("resume_exact", "unbroken run and a resumed one .* from batch 3 on"),
    "the network does not learn": ("loss_falls", "the loss has fallen by .*; expected 0.3"),
}


@pytest.mark.parametrize("name", MODEL_CHECKS)
def test_a_sound_model_passes(name: str, tmp_path: Path) -> None:
    MODEL_CHECKS[name](toy_example(), tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(fault: str, tmp_path: Path) -> None:
    check, words = FAULTS[fault]
    with pytest.raises(ModelError, match=f"toy: .*{words}"):
        MODEL_CHECKS[check](toy_example(fault), tmp_path)


@pytest.mark.parametrize("lost", ["optimizers", "mean", "updates"])
def test_a_checkpoint_that_lacks_something_is_found(lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed training that has lost a part of its checkpoint ends with other weights.

    lost: the state of the optimiser, the moving average, or the number of updates, on which the learning rate depends.
    """

    def forgetful(run: trainer.Run, saved: Any) -> None:
        assert run.mean is not None
        states = [optimizer.state_dict() for optimizer in run.optimizers]
        before = {"optimizers": states, "mean": run.mean.state_dict(), "updates": 0}
        inner = {**saved["run"], "updates": 0} if lost == "updates" else saved["run"]
        load_state(run, {**saved, "run": inner, **({lost: before[lost]} if lost != "updates" else {})})

    load_state = trainer.Run.load_state
    monkeypatch.setattr(trainer.Run, "load_state", forgetful)
    with pytest.raises(ModelError, match="toy: training: an unbroken run and a resumed one end with other weights"):
        MODEL_CHECKS["resume_exact"](toy_example(), tmp_path)


def test_all_checks_run_one_after_the_other_and_the_first_fault_ends_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="causality of the network"):
        check_model(toy_example("the network sees the sample"), tmp_path)
    assert [path.name for path in tmp_path.iterdir() if any(path.iterdir())].count("loss_falls") == 0
