"""The files of weights that come with dspgraph, and their cards."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from dspgraph.cli.main import main
from dspgraph.errors import FileError
from dspgraph.registry import shipped_pipelines
from dspgraph.training import weights
from dspgraph.training.weights import shipped_weights


def beside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the pipeline `fargan`, its weights and its card to a folder, and return the folder.

    For the rest of the test, these are the only shipped pipeline and weights.
    """
    for suffix in (".yaml", ".safetensors", ".md"):
        shutil.copy(shipped_pipelines()["fargan"].with_suffix(suffix), folder)
    monkeypatch.setattr(weights, "shipped_pipelines", lambda: {"fargan": folder / "fargan.yaml"})
    return folder


def test_every_file_is_the_one_that_its_card_describes() -> None:
    found = {one.pipeline: one for one in shipped_weights()}
    assert {"fargan", "gansynth_notes"} <= set(found)
    assert all(one.expected == one.digest and one.intact for one in found.values())
    assert found["fargan"].description.precision == "float16"
    assert found["fargan"].description.count == 816_597  # as its card says
    assert sum(one.size for one in found.values()) < 5e6
    listed = CliRunner().invoke(main, ["weights", "list"])
    assert listed.exit_code == 0
    assert "fargan, 816597 weights in float16, 1.64 MB" in " ".join(listed.output.split())
    assert all(one.digest in listed.output and one.description.model in listed.output for one in found.values())


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = beside(tmp_path, monkeypatch) / "fargan.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert not shipped_weights()[0].intact
    listed = CliRunner().invoke(main, ["weights", "list"])
    assert listed.exit_code == 2
    assert "expected " + shipped_weights()[0].expected in " ".join(listed.output.split())


@pytest.mark.parametrize(
    ("text", "complaint"), [("Weights.", "0 sums of sha256"), ("0" * 64 + "\n" + "1" * 64, "2 sums of sha256")]
)
def test_a_card_without_one_sum_is_refused(
    text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = beside(tmp_path, monkeypatch) / "fargan.md"
    card.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=complaint):
        shipped_weights()
