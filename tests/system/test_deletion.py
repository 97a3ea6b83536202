"""Deleting the files of nodes breaks the tests of these nodes, and no other test that is run here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

FILES = sorted((ROOT / "nodes" / "dspgraph_nodes").glob("[a-z]*/*.py"))
NODES = [path for path in FILES if path.parent.name != "models"]


@pytest.mark.slow
@pytest.mark.parametrize("deleted", [0, 1])
@pytest.mark.parametrize("bit", range(len(NODES).bit_length()))
def test_deleting_node_files_breaks_their_own_tests_only(bit: int, deleted: int, tmp_path: Path) -> None:
    """Delete some nodes: of the test files that are run, exactly those of the deleted nodes fail.

    Nodes are numbered. In each run the nodes are deleted whose number has `deleted` as bit `bit`. So for any two nodes
    there is a run in which only one of them is deleted.
    """
    gone = [path for number, path in enumerate(NODES) if number >> bit & 1 == deleted]
    ignored = shutil.ignore_patterns(".venv", ".git", ".*_cache", "dist", "demo")
    copy = Path(shutil.copytree(ROOT, tmp_path / "copy", ignore=ignored))
    for path in gone:
        (copy / path.relative_to(ROOT)).unlink()
    tests = [
        "nodes", "system/test_layers.py", "system/test_inverse_pairs.py", "engine/test_session.py", "test_graph.py",
        "pipeline/test_pipeline.py",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "--continue-on-collection-errors", "-p", "no:cacheprovider",
         *(f"tests/{name}" for name in tests)],
        cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    own = {f"tests/nodes/{path.parent.name}/test_{path.stem}.py" for path in gone}
    broken = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR tests"))]
    assert {name.partition("::")[0] for name in broken} == own, done.stdout[-2000:]
    assert " passed" in done.stdout
