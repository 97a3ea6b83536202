"""Find the file of a pipeline."""

from __future__ import annotations

import os
from pathlib import Path

from dspgraph import registry
from dspgraph.errors import UnknownName, suggest
from dspgraph.io.paths import is_file


def locate(name: str | Path, beside: Path | None = None) -> Path:
    """Return the file of a pipeline, given its name or its path.

    A text that ends in .yaml or .yml, or that has a slash in it, is a path; a relative one starts at the folder of the
    file `beside`, which names it, or else at the working directory. Raise UnknownName if there is no such pipeline.
    """
    text = str(name)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        file = (beside.parent / text) if beside else Path(text)
        if is_file(file):
            return file
        raise UnknownName(f"there is no pipeline file {file}")
    if path := registry.shipped_pipelines().get(text):  # asked first: it reads no entry points
        return path
    known = registry.pipelines()
    if text in known:
        return known[text].path
    raise UnknownName(f"no pipeline is called '{text}'; {suggest(text, known)} (the name of a file ends in .yaml)")
