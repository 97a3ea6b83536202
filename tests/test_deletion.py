"""Deleting any one node file breaks that node's own test, the pipelines that name it, and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "nodes" / "dspgraph_nodes").glob("[a-z]*/*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_deleting_a_node_file_breaks_its_own_test_only(path: Path, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns(".venv", ".git", ".*_cache", "dist", "demo")
    copy = Path(shutil.copytree(ROOT, tmp_path / "copy", ignore=ignored))
    (copy / path.relative_to(ROOT)).unlink()
    tests = ["nodes", "test_layers.py", "test_inverse_pairs.py", "test_engine.py", "test_graph.py", "test_pipeline.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "--continue-on-collection-errors", "-p", "no:cacheprovider",
         *(f"tests/{name}" for name in tests)],
        cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    own = f"tests/nodes/{path.parent.name}/test_{path.stem}.py"
    broken = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR tests"))]
    assert broken, done.stdout[-2000:]
    assert {name.partition("::")[0] for name in broken} == {own}
    assert " passed" in done.stdout
