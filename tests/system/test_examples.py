"""The examples run as they stand, from any folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

pytestmark = pytest.mark.process

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
BRIEF = {"train_lpcnet_on_one_clip": ["--batches", "1"]}
"""What makes minutes of work seconds."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(path), *BRIEF.get(path.stem, [])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
