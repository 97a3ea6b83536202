"""One entry of a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Item:
    """A recording, or a part of it. The id is the path of its outputs below the output folder, without suffix."""

    id: str
    path: Path
    start: Fraction = Fraction(0)  # seconds
    duration: Fraction | None = None  # seconds; None: to the end of the file
    channel: int | None = None  # number of the channel, from 0; None: all channels, mixed if the graph takes one

    @property
    def is_whole_file(self) -> bool:
        """Whether the item is a whole file, with all channels."""
        return not self.start and self.duration is None and self.channel is None
