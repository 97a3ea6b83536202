"""Paths of the files and folders that tests read."""

from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
GOLDEN = ROOT.parent / "shared" / "golden"
"""Recorded outputs of other programs. Tests that need this folder are skipped if it is missing."""

TOYS = TESTS / "helpers" / "toys.py"
"""The file of small nodes for tests, to be loaded by `--plugin`."""
