"""The search for the file of a pipeline."""

from __future__ import annotations

import os
from pathlib import Path

from dspgraph import registry
from dspgraph.errors import FileError, UnknownName, suggest
from dspgraph.io.paths import require_file


def locate(name: str | Path, beside: Path | None = None) -> Path:
    """Return the path of the file of a pipeline.

    name: the name of the pipeline, or the path of its file. A text that ends in .yaml or .yml, or that contains a
    slash, is a path. beside: the file in which `name` is written, a pipeline or a file of events. A relative path
    starts from the folder of this file; with None, it starts from the working directory. Raises UnknownName if no
    pipeline has this name, or if there is no file at the path that can be read.
    """
    text = str(name)
    if text.endswith((".yaml", ".yml")) or os.sep in text:
        file = (beside.parent / text) if beside else Path(text)
        try:
            require_file(file)
        except FileError as error:
            raise UnknownName(f"the pipeline cannot be read: {error}") from None
        return file
    if path := registry.shipped_pipelines().get(text):  # first, because this reads no entry points
        return path
    known = registry.pipelines()
    if text in known:
        return known[text].path
    raise UnknownName(f"no pipeline is called '{text}'; {suggest(text, known)} (the name of a file ends in .yaml)")
