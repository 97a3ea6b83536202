"""Sidecars: a sidecar is the .json file beside the outputs of an item. It says how the outputs were made."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dspgraph.errors import FileError
from dspgraph.io.formats import AudioFormat
from dspgraph.io.paths import read_file
from dspgraph.rendering.item import Item
from dspgraph.wiring.wiring import recipe_of

SIDECAR_SUFFIX = ".json"

LARGEST = 2**24
"""The largest size of a sidecar that is read, in bytes (16 MiB). A larger file is not a sidecar."""


class FileStamp(NamedTuple):
    """The size of a file in bytes, and the time of its last change in ns since 1970; both are -1 without a file.

    A file whose stamp is the same as in an earlier run is taken to have the same content.
    """

    size: int
    mtime_ns: int


def file_stamp(path: Path) -> FileStamp:
    """Return the stamp of a file as it is now."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(-1, -1)
    return FileStamp(status.st_size, status.st_mtime_ns)


def item_settings(item: Item, digest: str, reader: Mapping[str, str], form: AudioFormat) -> dict[str, Any]:
    """Return everything on which the outputs of an item depend, except its id and the content of its input file.

    The values can be written as JSON: name -> value. If the item has several files, the path and the stamp of each file
    are among them. The sidecar and the line in the ledger both contain these values. digest: the digest of the graph.
    reader: see `job.reader_provenance`. form: the format of the audio outputs.
    """
    return {
        "digest": digest,
        "reader": dict(reader),
        "format": form.name,
        "start": str(item.start),
        "duration": None if item.duration is None else str(item.duration),
        "channel": item.channel,
        **({"inputs": {name: _stamped(path) for name, path in item.inputs}} if item.inputs else {}),
    }


def _stamped(path: Path) -> dict[str, Any]:
    return {"path": str(path), **file_stamp(path)._asdict()}


@dataclass(frozen=True)
class Sidecar:
    """The sidecar of one item: a JSON file that says how the output of the item was made.

    Its content depends on the item, its file, the graph, the settings and `command` only, and not on the time, the
    machine or the number of workers of a run. path: where the sidecar is written. settings: the result of
    `item_settings`. graph: the description of the graph as JSON. command: the part of the command line that made the
    graph; empty if no command line did.
    """

    path: Path
    item: Item
    settings: Mapping[str, Any]
    graph: str  # description of the graph as JSON text, which is the same for all items
    command: str = ""  # the part of the command line that made the graph; empty if no command line did

    def text(self, stamp: FileStamp, notes: Sequence[str], outputs: Mapping[str, Any]) -> str:
        """Return the text of the sidecar.

        stamp: the stamp of the input file; notes: remarks on the item; outputs: the result of
        `outputs.OutputFiles.describe`.
        """
        command = {"command": self.command} if self.command else {}
        content = {**self._origin(stamp), **command, "notes": notes, "outputs": outputs}
        return f'{json.dumps(content, indent=1)[:-2]},\n "graph": {self.graph}\n}}\n'

    def matching_notes(self, stamp: FileStamp) -> tuple[str, ...] | None:
        """Return the notes in the sidecar on the disk; None if it was written for another input or with other settings.

        stamp: the stamp of the input file now. The input is the same if the sidecar has the path of the item and this
        stamp. None is also returned if there is no sidecar.
        """
        content = self.read()
        notes = content.get("notes")
        origin = {name: value for name, value in self._origin(stamp).items() if name != "id"}
        same = all(name in content and content[name] == value for name, value in origin.items())
        return tuple(notes) if same and isinstance(notes, list) else None

    def earlier_origin(self) -> dict[str, Any] | None:
        """Return the source and settings of the outputs beside the sidecar on the disk; None without a sidecar.

        The keys are as in a line of the ledger: "source", "recipe", "format", "start", "duration", "channel" and
        "command". A key whose value is not known is missing. A sidecar of another item counts as none.
        """
        content = self.read()
        if content.get("id") != self.item.id or "digest" not in content:
            return None
        names = ("source", "format", "start", "duration", "channel", "command")
        found = {name: content[name] for name in names if name in content}
        if isinstance(found.get("source"), str):
            found["source"] = os.path.abspath(found["source"])
        if isinstance(content.get("graph"), dict):
            found["recipe"] = recipe_of(content["graph"])
        return found

    def earlier_inputs(self) -> dict[str, Any]:
        """Return name of an input -> its stream as plain data, for the graph in the sidecar on the disk.

        The streams are as `stream_to_dict` returns them, but nothing here is checked. The result is empty without a
        sidecar. A sidecar of another item counts as none.
        """
        content = self.read()
        graph = content.get("graph")
        inputs = graph.get("inputs") if content.get("id") == self.item.id and isinstance(graph, dict) else None
        return inputs if isinstance(inputs, dict) else {}

    def read(self) -> dict[str, Any]:
        """Return the content of the sidecar on the disk; empty if it cannot be read or is not a JSON object."""
        try:
            content = json.loads(read_file(self.path, LARGEST))
        except (FileError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def _origin(self, stamp: FileStamp) -> dict[str, Any]:
        return {"id": self.item.id, "source": str(self.item.path), "input": stamp._asdict(), **self.settings}

    def files(self) -> frozenset[str] | None:
        """Return the names of the output files in the sidecar on the disk; None if it is not a sidecar of this item.

        The files belong in the folder of the sidecar; they may be missing. A name that dspgraph does not give to a
        file of this item is left out. So is the name of a file that may belong to another item: `a.y.flac` is the
        output `y` of the item `a`, or the only output of `a.y` if `a.y.json` exists.
        """
        content = self.read()
        outputs = content.get("outputs")
        if content.get("id") != self.item.id or "digest" not in content or not isinstance(outputs, dict):
            return None
        found = (output.get("file") for output in outputs.values() if isinstance(output, dict))
        return frozenset(name for name in found if isinstance(name, str) and self._is_own(name))

    def _is_own(self, name: str) -> bool:
        folder, own = self.path.parent, self.path.name.removesuffix(SIDECAR_SUFFIX)
        if not name.startswith(f"{own}.") or "/" in name or "\0" in name:
            return False
        others = (name[:end] for end in range(len(own) + 1, len(name)) if name[end] == ".")
        return not any((folder / f"{other}{SIDECAR_SUFFIX}").exists() for other in others)
