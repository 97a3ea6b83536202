"""Jobs and executors: a job says what is done to every item of a corpus; an executor says in which processes."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from dspgraph.closure import closure
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
    """Work to do on every item of a corpus. A job can be pickled, and gives the same results in every process."""

    @property
    def open_items(self) -> int:
        """The largest number of items that are open at the same time: the size of the batch."""

    def check(self) -> None:
        """Raise RequestError if this process would not get the same results as the process that made the job."""

    def run(self, items: Iterable[Item]) -> Generator[R_co, None, None]:
        """Yield one result for every item, whether it succeeds or fails, in any order.

        An item is opened when it is taken from `items`. Items are taken one by one, in order: the next one as soon as
        fewer items than `open_items` are open.
        """

    def failed_result(self, item: Item, reason: str) -> R_co:
        """Return the failed result of an item whose worker died or whose timeout expired. reason: what happened."""


@runtime_checkable
class JobWithSummary(Protocol):
    """A job that also collects a summary over all items, for instance a profile, in the main process.

    Before every result, the worker calls `summary()` on its copy of the job and sends the value, unless it is None. The
    main process then calls `add_summary(value)` on its own copy. If a worker dies, only its summary since its last
    result is lost. The executor `Serial` without a timeout has no copy of the job: it calls neither method.
    """

    def summary(self) -> Any:
        """Return the summary of everything since the last call, including the values given to `add_summary`.

        The summary can be pickled. None means that there is nothing to send.
        """

    def add_summary(self, value: Any) -> None:
        """Add a value that `summary` has returned for another copy of the job, in another process."""


class Executor(Protocol):
    """A way to run a job: in this process, in several processes, or on several machines. The results are the same."""

    def run(self, job: Job[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Yield the result of every item as soon as it is known, in any order."""


READER_MODULES = ("dspgraph.io.audio", "dspgraph.io.arrays")
"""The modules that read the files of items."""


def reader_provenance() -> dict[str, str]:
    """Return the `code_provenance` of the code that reads and resamples the files of items.

    If this code or a library changes, a graph may be given other samples of the same file, and the digest of the graph
    does not show it. The result is the same for audio files and .npz files: most of the code is shared, and it rarely
    changes.
    """
    return code_provenance(*READER_MODULES)


def code_provenance(*modules: str) -> dict[str, str]:
    """Return {"source": hash of source files, name of a library: its version, ...} for modules.

    modules: their names, such as "dspgraph.graph". The files and libraries are those of their `closure`.
    """
    found = closure(*modules)
    return {"source": found.digest, **{name: library_version(name) for name in sorted(found.libraries)}}


def check_same(found: Any, expected: Any) -> None:
    """Raise RequestError if `found` is not equal to `expected`.

    Both say on which code and libraries the results depend, for instance as the digest of a graph or the result of
    `reader_provenance`. found: the value in this process. expected: the value in the process that made the job.
    """
    if found != expected:
        raise RequestError(
            "code, weights or library versions differ from those of the process that started the run: install the same "
            "versions of dspgraph, of plugins, of numpy, soundfile and soxr, and of the libraries that the nodes import"
        )
