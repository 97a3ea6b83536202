"""What is done to items, and what does it: in this process, in others, on other machines."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Protocol, TypeVar

from dspgraph.rendering.corpus import Item


class Row(Protocol):
    """What became of one item."""

    @property
    def id(self) -> str:
        """The item's."""


R_co = TypeVar("R_co", bound=Row, covariant=True)
R = TypeVar("R", bound=Row)


class Work(Protocol[R_co]):
    """What is done to items, wherever that is: it can be pickled."""

    @property
    def width(self) -> int:
        """How many items are open at a time."""

    def check(self) -> None:
        """Raise RequestError where this would not be the same work as where it was made."""

    def rows(self, items: Iterable[Item]) -> Generator[R_co, None, None]:
        """Every item's row, whatever became of it. Items are opened in their order."""

    def lost(self, item: Item, why: str) -> R_co:
        """The row of an item that ended whoever worked on it."""


class Executor(Protocol):
    """Who does work. The rows are the same, whoever it is."""

    def run(self, work: Work[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Every item's row, each as soon as it is known, in any order."""


class Serial:
    """Here, one item after another."""

    def run(self, work: Work[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Every item's row, in order unless the work has another one."""
        return work.rows(items)
