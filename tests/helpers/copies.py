"""A copy of the source tree, to change files in and to run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.paths import ROOT


def copied(folder: Path) -> Path:
    """Copy the core, the nodes and the pipelines, without numba's caches."""
    for name in ("dspgraph", "nodes", "pipelines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.nbi", "*.nbc"))
    return folder


def run_in(tree: Path, code: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run Python code with the packages of a tree, and return the JSON that it prints last."""
    paths = {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'nodes'}"}
    settings = {**os.environ, **paths, **(environment or {})}
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
