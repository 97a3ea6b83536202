"""The completions that a shell offers for a command line."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from dspgraph.cli.main import main
from dspgraph.evaluation.metrics import METRICS
from dspgraph.registry import nodes, pipelines


def offered(*words: str) -> list[str]:
    """Return the completions that are offered for the last of `words`, the words of a command line so far."""
    found = ShellComplete(main, {}, "dspgraph", "_DSPGRAPH_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found]


def test_pipelines_and_nodes_are_offered() -> None:
    assert offered("render", "lpc") == [name for name in pipelines() if name.startswith("lpc")] != []
    assert offered("show", "") == list(pipelines())
    assert offered("nodes", "mulaw") == [name for name in nodes() if name.startswith("mulaw")] != []


def test_files_are_offered_where_no_pipeline_fits() -> None:
    found = ShellComplete(main, {}, "dspgraph", "_DSPGRAPH_COMPLETE").get_completions(["show"], "./mi")
    assert [item.type for item in found] == ["file"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("show", "lpc_vocoder", "--swap", "excitation=w"), ["excitation=whisper"]),
        (("compare", "lpc_vocoder", "--vary", "exc"), ["excitation"]),
        (("compare", "lpc_vocoder", "--vary", "excitation,pi"), ["excitation,pitch"]),
        (("compare", "lpc_vocoder", "--metrics", "lsd,log"), ["lsd,log_f0_rmse"]),
        (("render", "lpc_vocoder", "-s", "ord"), ["order="]),
        (("render", "lpc_vocoder", "-s", "lpc.or"), ["lpc.order="]),
        (("show", "no_pipeline", "--swap", ""), []),
        (("show", "no_pipeline", "-s", ""), []),
    ],
    ids=lambda case: " ".join(case),
)
def test_slots_variants_settings_and_metrics_are_offered(words: tuple[str, ...], expected: list[str]) -> None:
    assert "log_f0_rmse" in METRICS
    assert offered(*words) == expected


def test_a_pipeline_that_is_broken_offers_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("inputs: [")
    assert offered("show", str(tmp_path / "broken.yaml"), "--swap", "") == []
