"""Paths of files."""

from pathlib import Path


def is_file(path: Path) -> bool:
    """Return whether a path is that of a file. False if the system refuses the path, for instance as too long."""
    try:
        return path.is_file()
    except OSError:
        return False
