"""The CSV file of the logs of a training run."""

import csv
from pathlib import Path

import pytest

from dspgraph import RequestError
from dspgraph_nodes.models.shared.logs import Logs


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "logs" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_that_goes_on_with_other_figures_keeps_those_of_the_run_so_far(tmp_path: Path) -> None:
    for step, values in ((1, {"loss": 1.0, "pitch": 0.5}), (2, {"loss": 0.5}), (3, {"loss": 0.25, "penalty": 2.0})):
        logs = Logs(tmp_path, list(values), step - 1)
        logs.write(step, values)
        logs.close()
    assert rows(tmp_path) == [
        {"step": "1", "loss": "1.0", "pitch": "0.5", "penalty": ""},
        {"step": "2", "loss": "0.5", "pitch": "", "penalty": ""},
        {"step": "3", "loss": "0.25", "pitch": "", "penalty": "2.0"},
    ]


def test_a_new_run_has_its_own_figures_alone(tmp_path: Path) -> None:
    for name in ("pitch", "loss"):
        logs = Logs(tmp_path, [name], 0)
        logs.write(1, {name: 1.0})
        logs.close()
    assert rows(tmp_path) == [{"step": "1", "loss": "1.0"}]


def test_a_row_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    logs = Logs(tmp_path, ["loss"], 0)
    logs.write(1, {"loss": 0.5})
    assert rows(tmp_path) == [{"step": "1", "loss": "0.5"}]
    logs.close()


@pytest.mark.parametrize("text", ["loss\n", "loss\n1\n", "step,loss\n1,2,3\n", "step,loss\nx,2\n"])
def test_a_file_that_is_no_log_is_refused_and_kept(text: str, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "metrics.csv"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match="is no log of a run"):
        Logs(tmp_path, ["loss"], 1)
    assert path.read_text(encoding="utf-8") == text
