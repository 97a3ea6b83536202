"""The command line that started a run. Ledgers, sidecars and results of comparisons record it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command line, as texts for a shell. The texts are empty if the run was started from Python.

    The ledger records how the run was done: it contains the whole line. A sidecar and the results of a comparison must
    not depend on how the run was done: they contain only the arguments that determine the samples or the numbers.
    """

    line: str = ""
    """The command with all its arguments. If there are many files, only the first ones are named."""

    settings: str = ""
    """The command with only the arguments that determine the result: without output folder or number of workers."""
