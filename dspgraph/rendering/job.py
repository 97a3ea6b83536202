"""Jobs and executors: a job is done to every item of a corpus; an executor runs it in this or in other processes."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from dspgraph.errors import RequestError
from dspgraph.rendering.item import Item
from dspgraph.wiring.provenance import library_version


class JobResult(Protocol):
    """The result of one item: done, or failed with the reason."""

    @property
    def id(self) -> str:
        """The id of the item."""


R_co = TypeVar("R_co", bound=JobResult, covariant=True)
R = TypeVar("R", bound=JobResult)


class Job(Protocol[R_co]):
    """What is done to every item of a corpus. A job can be pickled, and gives the same results in every process."""

    @property
    def open_items(self) -> int:
        """The most items that are open at the same time: the size of the batch."""

    def check(self) -> None:
        """Raise RequestError if this process would not give the results of the process that made the job."""

    def run(self, items: Iterable[Item]) -> Generator[R_co, None, None]:
        """Yield one result for every item, whether it succeeds or fails.

        An item is opened when it is taken from `items`. Items are taken one by one, in order, as places become free.
        """

    def failed_result(self, item: Item, reason: str) -> R_co:
        """Return the result of an item that `run` could not finish: its worker process died, or its time was up."""


@runtime_checkable
class JobWithSummary(Protocol):
    """A job that sends more than results from a worker process to the main process, for instance a profile.

    Before every result, the worker calls `summary()` on its copy of the job and sends the value, unless it is None. The
    main process calls `add_summary(value)` on its own job. Of a worker that dies, only what it has gathered since its
    last result is lost. `Serial` without a timeout runs the job itself: there is no copy, and neither method is called.
    """

    def summary(self) -> Any:
        """Return what this job has gathered, or been given by `add_summary`, since the last call. It can be pickled."""

    def add_summary(self, value: Any) -> None:
        """Take a value of the same job in another process."""


class Executor(Protocol):
    """A way to run a job: in this process, in several processes, on several machines. The results are the same."""

    def run(self, job: Job[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Yield the result of every item as soon as it is known, in any order."""


def reader_versions() -> dict[str, str]:
    """Return the versions of the libraries that decode and resample audio files.

    They change the samples that go into a graph, and are not part of its digest.
    """
    return {name: library_version(name) for name in ("soundfile", "soxr")}


def check_same(found: Any, expected: Any) -> None:
    """Raise RequestError if a digest, or versions of libraries, differ from those of the process that made the job."""
    if found != expected:
        raise RequestError(
            "code, weights or library versions differ from those of the process that started the run: install the same "
            "versions of dspgraph, of plugins, of soundfile and soxr, and of the libraries that the nodes import"
        )
