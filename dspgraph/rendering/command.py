"""The command line that started a run, as ledgers, sidecars and results record it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command line, as texts that a shell takes. All are empty if a program started the run.

    The ledger records how the run was done, so it has the whole line. A sidecar and the results of a comparison must
    not depend on that, so they have only the arguments that determine the samples or the numbers.
    """

    line: str = ""
    """All arguments. Of many files, only the first ones."""

    settings: str = ""
    """The arguments that determine the result: neither the output folder nor the number of workers, for instance."""
