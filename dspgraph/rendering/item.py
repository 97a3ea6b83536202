"""One entry of a corpus."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from dspgraph.pipeline.file_values import Values


@dataclass(frozen=True, slots=True)
class Item:
    """A recording, or a part of it, that a job works on.

    id: the path of its outputs below the output folder, without suffix. path: its file. start, duration: the part of
    the file, in seconds; duration None: to the end of the file. channel: from 0; None: all channels.
    """

    id: str
    path: Path
    start: Fraction = Fraction(0)  # seconds
    duration: Fraction | None = None  # seconds; None: to the end of the file
    channel: int | None = None  # number of the channel, from 0; None: all channels, mixed if the graph takes one
    listed: str = field(default="", compare=False)  # path in a manifest, if it is relative there; otherwise empty
    labels: Mapping[str, str] = field(default_factory=dict, compare=False)  # name of a further column -> its value

    inputs: tuple[tuple[str, Path], ...] = ()
    """(Name of an input, file) for a graph with several inputs; `path` is the first file. Empty: one file for all."""

    values: Values = ()
    """The rates and channels of the files, if the graph depends on them (see `by_file`)."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the item is read from."""
        return tuple(path for _, path in self.inputs) or (self.path,)

    @property
    def is_whole_file(self) -> bool:
        """Whether the item is a whole file, with all channels."""
        return not self.start and self.duration is None and self.channel is None

    def missing_hint(self) -> str:
        """Return a clause for the end of the error message about a missing file of a manifest; "" if there is no hint.

        Paths in a manifest are relative to the folder of the manifest. If a file is missing there, but exists relative
        to the working directory, the hint says so.
        """
        if not self.listed or os.path.lexists(self.path) or not os.path.exists(self.listed):
            return ""
        return (
            f"; a manifest gives paths relative to its own folder, and {self.listed} exists only as seen from the "
            "working directory: move the manifest there, or correct the path"
        )
