"""The commands `nodes`, `pipelines`, `info` and `schema`."""

import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from helpers import paths
from helpers.commands import TOYS, dspgraph
from helpers.surroundings import on_a_terminal


def test_nodes_lists_nodes_explains_one_and_suggests_a_name(scale: Path) -> None:
    listing = dspgraph("nodes", "--plugin", TOYS)
    assert "toy_scale" in listing.output
    assert "Multiply the signal by a factor." in listing.output
    one = dspgraph("nodes", "toy_scale", "--plugin", TOYS)
    for part in (
        "Multiply the signal by a factor.",
        "factor",
        "a number, at least -10, at most 10 (default 2)",
        "factor of the signal",
        "Audio",
    ):
        assert part in one.output
    wrong = dspgraph("nodes", "toy_scal", "--plugin", TOYS)
    assert wrong.exit_code == 2
    assert "did you mean 'toy_scale'?" in wrong.output


def test_a_piped_table_has_one_line_per_row_however_wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    summary = "Long [bold] :smile: " + "and long " * 40 + "words."
    (tmp_path / "long.py").write_text(
        f"from dspgraph import *\n\nclass Long(Node):\n    '''{summary}'''\n    x = Input(Audio)\n    y = Output(Audio)\n"
        f"    n: int = Field(1, description={summary!r})\n"
    )
    for command in (["nodes"], ["nodes", "long"]):
        lines = dspgraph(*command, "--plugin", tmp_path / "long.py").output.splitlines()
        assert any(line.startswith("  ") and line.endswith(summary) for line in lines)
        assert not any("\x1b" in line or line != line.rstrip() for line in lines)


@pytest.mark.parametrize("columns", [0, 1, 10**9])
def test_a_table_is_shown_at_a_terminal_of_any_width(columns: int) -> None:
    assert "toy_scale" in on_a_terminal(columns, "nodes", "--plugin", TOYS)


def test_a_table_is_folded_at_the_width_of_a_terminal() -> None:
    shown = on_a_terminal(60, "nodes", "--plugin", TOYS)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "Multiply the signal by a" in plain
    assert max(map(len, plain.splitlines())) <= 60


def test_pipelines_lists_every_shipped_one_with_its_purpose_and_slots() -> None:
    lines = [line.strip() for line in dspgraph("pipelines").output.splitlines()[1:]]
    shipped = {path.stem: yaml.safe_load(path.read_text()) for path in (paths.ROOT / "pipelines").glob("*.yaml")}
    assert [line.split()[0] for line in lines] == sorted(shipped)
    for line in lines:
        name, about, *slots = re.split("  +", line)
        assert about == shipped[name]["about"].strip()
        assert slots == ([f"slots: {', '.join(shipped[name]['variants'])}"] if "variants" in shipped[name] else [])


def test_info_gives_versions_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError, version

    from dspgraph.cli import info

    def no_world(package: str) -> str:
        if package == "pyworld":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(info, "version", no_world)
    lines = dict(line.split(maxsplit=1) for line in dspgraph("info").output.splitlines() if line.startswith(" "))
    assert lines["version"] == "0.1.0"
    assert lines["Python"].startswith(platform.python_version())
    assert lines["numpy"] == np.__version__
    assert lines["metrics"] == f"pesq {version('pesq')}, pystoi {version('pystoi')}"
    assert lines["world"] == "missing pyworld: pip install 'dspgraph[world]'"
    assert "dev" not in lines


def test_info_imports_no_package_that_it_names_but_numba() -> None:
    code = "import sys; from dspgraph.cli.main import main; main(['info'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pysptk", "soundfile", "matplotlib"} & set(done.stdout.splitlines()[-1].split())


def test_schema_prints_json() -> None:
    assert json.loads(dspgraph("schema", "--plugin", TOYS).output)["$defs"]["node.toy_scale"]
