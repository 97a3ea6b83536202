"""The examples run unchanged, from any folder, and show what they draw."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from helpers.paths import ROOT
from helpers.speech import speech

pytestmark = pytest.mark.process

SLOW = "compare_representations", "train_lpcnet_on_one_clip", "first_hour"
EXAMPLES = [
    pytest.param(path, marks=pytest.mark.slow) if path.stem in SLOW else path
    for path in sorted((ROOT / "examples").glob("*.py"))
]


def brief(name: str, folder: Path) -> list[str]:
    """Return the arguments that an example needs, or with which it takes seconds in place of minutes; else none.

    name: that of its file, without .py; folder: where it may write. A recording that it needs is written there.
    """
    if name == "make_notes":
        return [str(folder / "notes"), "--count", "5"]
    if name == "compare_representations":
        return [str(folder / "out"), "--batches", "1", "--notes", "20"]
    if name != "train_lpcnet_on_one_clip":
        return []
    soundfile.write(folder / "short.wav", speech()[8000:28800], 16000)
    return [str(folder / "short.wav"), "--batches", "1"]


def test_a_job_of_the_first_hour_takes_at_most_ten_lines() -> None:
    tree = ast.parse((ROOT / "examples" / "first_hour.py").read_text(encoding="utf-8"))
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    (listed,) = (one.value for one in tree.body if isinstance(one, ast.AnnAssign))
    assert isinstance(listed, ast.List)
    jobs = [functions[one.id] for one in listed.elts if isinstance(one, ast.Name)]
    assert len(jobs) >= 12
    for job in jobs:
        assert (job.end_lineno or 0) - job.lineno <= 10, job.name


BACKEND = """
from matplotlib import _pylab_helpers
from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas, FigureManagerBase as FigureManager

def show(*args, **kwargs):
    print(f"{len(_pylab_helpers.Gcf.figs)} figures shown")
"""
"""A backend of matplotlib that prints how many figures are shown, and opens no window."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_shows_what_it_draws(path: Path, tmp_path: Path) -> None:
    (tmp_path / "printing_backend.py").write_text(BACKEND, encoding="utf-8")
    paths = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    environment = {**os.environ, "PYTHONPATH": paths, "MPLBACKEND": "module://printing_backend"}
    command = [sys.executable, str(path), *brief(path.stem, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    draws = "pyplot" in path.read_text(encoding="utf-8")
    assert ("1 figures shown" in done.stdout) is draws
