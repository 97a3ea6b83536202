"""Writing of files that are complete or do not exist."""

from __future__ import annotations

from pathlib import Path


def write_atomically(path: str | Path, content: bytes | memoryview) -> None:
    """Write `content` to `path`.part and rename that file, so that the file at `path` is complete at any time.

    A file at `path` is replaced. If writing fails, it stays as it was, the `.part` is removed, and OSError is raised.
    """
    part = Path(f"{path}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
