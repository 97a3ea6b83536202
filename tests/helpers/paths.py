"""Places in the checkout that tests read from."""

from pathlib import Path

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
GOLDEN = ROOT.parent / "shared" / "golden"
"""Recorded outputs of other programs; tests that need them are skipped where the folder is missing."""

TOYS = TESTS / "helpers" / "toys.py"
"""Small nodes, as a plugin file."""
