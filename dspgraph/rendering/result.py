"""The result of rendering one item."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of one item: its files, or the error that prevented them.

    source, size, mtime_ns: the input file (of several, the first), its size in bytes and the time of its last change
    (ns since 1970) when rendering began. targets: the output files; empty if the item failed. notes: sentences about
    the item. audio_seconds: the duration of the longest output. seconds: the time that rendering took. error: why the
    item failed; "" if it was rendered. cached: whether an earlier run has made this result; size and mtime_ns may then
    be -1, unknown.
    """

    id: str
    source: Path
    targets: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    audio_seconds: float = 0.0  # duration of the longest output
    seconds: float = 0.0  # time that rendering took, from the opening of the input until the files have their names
    error: str = ""  # empty: the item was rendered
    cached: bool = False  # whether an earlier run has made this result
    size: int = -1  # bytes of the input file when rendering began; -1: unknown
    mtime_ns: int = -1  # time of the last change of the input file, ns since 1970, when rendering began; -1: unknown
