"""The members that a model must have to be trained, and models of other packages."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from dspgraph import RequestError, UnknownName, registry
from dspgraph.training import contract
from helpers.paths import ROOT

COMPLETE = """
from pydantic import BaseModel, Field

PIPELINE = "f0"

class Settings(BaseModel):
    steps: int = Field(3, description="number of batches")

def train(recordings, features, out, settings, resume, progress, report, init):
    return out / "weights"
"""


def announce(monkeypatch: pytest.MonkeyPatch, folder: Path, package: str, code: str, name: str = "own") -> None:
    """Install a model of another package for the rest of the test.

    folder: where the package is written; package: its name; code: the code of its module `training`; name: the name of
    the model. All other entry points are hidden.
    """
    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    (folder / package / "training.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint(name, package, group)])


def test_the_models_are_the_folders_with_a_network() -> None:
    folders = {path.parent.name for path in (ROOT / "nodes" / "dspgraph_nodes" / "models").glob("*/network.py")}
    assert registry.models() == {name: f"dspgraph_nodes.models.{name}" for name in folders}
    assert "lpcnet" in folders


def test_a_model_of_another_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, tmp_path, "own_complete_model", COMPLETE)
    found = contract.training("own")
    assert found.PIPELINE == "f0"
    assert list(found.Settings.model_fields) == ["steps"]
    with pytest.raises(RequestError, match=r"the model 'own' has no module own_complete_model\.distribution"):
        contract.prediction("own")


def test_a_module_that_lacks_a_part_is_refused_with_what_it_should_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(monkeypatch, tmp_path, "own_half_model", "PIPELINE = 'f0'\n")
    with pytest.raises(RequestError, match=r"own_half_model.training lacks Settings, train; .* has PIPELINE, Settings"):
        contract.training("own")


def test_two_models_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, tmp_path, "own_second_lpcnet", COMPLETE, "lpcnet")
    with pytest.raises(RequestError, match=r"two models are called 'lpcnet': dspgraph_nodes.models.lpcnet and own_sec"):
        contract.training("lpcnet")


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="no model is called 'lpcnett'; did you mean 'lpcnet'"):
        contract.training("lpcnett")
