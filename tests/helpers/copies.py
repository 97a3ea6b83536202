"""Copies of the source tree, whose files a test can change, and programs that use such a copy."""

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
    """Copy the folders dspgraph, nodes and pipelines into a folder, without numba's caches, and return this folder."""
    for name in ("dspgraph", "nodes", "pipelines"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.nbi", "*.nbc"))
    return folder


def run_in(tree: Path, code: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run Python code in a new process with the packages in `tree`; return its last line of output, read as JSON.

    tree: a folder that `copied` has returned, in which the process also runs; environment: environment variables that
    are added. Raises AssertionError if the exit code is not 0.
    """
    paths = {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'nodes'}"}
    settings = {**os.environ, **paths, **(environment or {})}
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
