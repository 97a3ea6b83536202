"""Sidecars: the .json file beside the outputs of an item, which says what they are and where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dspgraph.rendering.item import Item

SIDECAR_SUFFIX = ".json"


class FileStamp(NamedTuple):
    """Size and time of a file, by which it is recognised; -1 if there is no file."""

    size: int
    mtime_ns: int


def file_stamp(path: Path) -> FileStamp:
    """Return the size and the time of a file."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(-1, -1)
    return FileStamp(status.st_size, status.st_mtime_ns)


def item_settings(item: Item, digest: str, reader: Mapping[str, str], suffix: str) -> dict[str, Any]:
    """Return all that the outputs of an item depend on, but for the content of its file. Sidecar and ledger hold it."""
    return {
        "digest": digest,
        "reader": dict(reader),
        "format": suffix,
        "start": str(item.start),
        "duration": None if item.duration is None else str(item.duration),
        "channel": item.channel,
    }


@dataclass(frozen=True)
class Sidecar:
    """The sidecar of one item. Its text is the same in every run."""

    path: Path
    item: Item
    settings: Mapping[str, Any]
    graph: str  # description of the graph in JSON: made once for all items

    def text(self, stamp: FileStamp, notes: Sequence[str], outputs: Mapping[str, Any]) -> str:
        """Return the text to write. `outputs` are described as by `OutputFiles.describe`."""
        content = {**self._origin(stamp), "notes": notes, "outputs": outputs}
        return f'{json.dumps(content, indent=1)[:-2]},\n "graph": {self.graph}\n}}\n'

    def matching_notes(self, stamp: FileStamp) -> tuple[str, ...] | None:
        """Return the notes of the sidecar on the disk, or None if it is not of this item, this file and this graph."""
        content = self.read()
        notes = content.get("notes")
        origin = {name: value for name, value in self._origin(stamp).items() if name != "id"}
        same = all(name in content and content[name] == value for name, value in origin.items())
        return tuple(notes) if same and isinstance(notes, list) else None

    def read(self) -> dict[str, Any]:
        """Return the content of the sidecar on the disk; empty if there is none, or the file is not a sidecar."""
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def _origin(self, stamp: FileStamp) -> dict[str, Any]:
        return {"id": self.item.id, "source": str(self.item.path), "input": stamp._asdict(), **self.settings}

    def files(self) -> frozenset[str]:
        """Return the names of the output files that the sidecar on the disk speaks of."""
        content = self.read()
        outputs = content.get("outputs")
        if content.get("id") != self.item.id or "digest" not in content or not isinstance(outputs, dict):
            return frozenset()
        return frozenset(
            str(output["file"]) for output in outputs.values() if isinstance(output, dict) and "file" in output
        )
