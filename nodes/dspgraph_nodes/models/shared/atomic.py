"""Files that are whole or absent."""

from __future__ import annotations

from pathlib import Path


def write_atomically(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file beside its place and rename it, so that a whole file stands there whenever the process ends."""
    part = Path(f"{path}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
