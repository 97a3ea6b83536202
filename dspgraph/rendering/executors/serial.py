"""Running a job in this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from dspgraph.rendering.executors.process import Processes
from dspgraph.rendering.executors.scheduling import check_timeout
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Job, R


class Serial:
    """The executor that computes one item (or batch) after another, in this process.

    timeout: seconds that an item may take, as for `Processes`. With a timeout, the job runs in one worker process,
    because a node that does not return can only be stopped together with its process.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self.timeout = check_timeout(timeout)

    def run(self, job: Job[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Yield the result of every item as soon as it is known."""
        if self.timeout is None:
            return job.run(items)
        return Processes(1, self.timeout).run(job, items)
