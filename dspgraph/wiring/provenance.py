"""Where the code behind a graph comes from: what its digest covers."""

from __future__ import annotations

import hashlib
import sys
from functools import lru_cache
from pathlib import Path


@lru_cache
def source_hash(module: str) -> str:
    """Of all Python files of the package a module belongs to; of its own file, if it belongs to none."""
    top = sys.modules.get(module.partition(".")[0])
    folders = [Path(folder) for folder in getattr(top, "__path__", ())]
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    own = getattr(sys.modules.get(module), "__file__", None)
    if not files and own:
        files = [Path(own)]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()  # of nothing, for a class made in an interactive session
