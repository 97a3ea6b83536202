"""Paths of files."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Return whether there is such a file; False for a path that the system cannot have, such as one too long."""
    try:
        return path.is_file()
    except OSError:
        return False
