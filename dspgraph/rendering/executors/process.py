"""Running a job in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from dspgraph.errors import RequestError, describe_error
from dspgraph.processes import ignore_signals, signals_blocked
from dspgraph.rendering.executors.scheduling import ItemQueue, available_cores, check_jobs, check_timeout
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Job, JobWithSummary, R
from dspgraph.rendering.system import check_system, check_working_directory, numpy_warnings_hidden
from dspgraph.shown import shown

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS"
)  # fmt: skip
ONE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")
"""Environment variables of a worker: its libraries use one thread, since every core has a worker of its own."""

MOST_JOBS, MOST_JOBS_PER_CORE = 64, 4
"""The largest number of workers on a machine: MOST_JOBS or MOST_JOBS_PER_CORE * cores, whichever is larger.

A worker takes 100 MB of memory or more. Without a limit, a mistyped number of jobs could fill the memory.
"""

KILL_WAIT = 5.0
"""Seconds to wait until a killed process has ended. A process that waits for a network disk may not end at once."""

CRASH_ADVICE = "a node, or a library that it calls, crashes on this item"
TIMEOUT_ADVICE = (
    "a node or the decoder does not end on this item, or it needs a longer --timeout: compiling, in the first item of "
    "a worker, counts too"
)


class Processes:
    """The executor that runs a job in worker processes on this machine, each with one thread.

    The processes are new ones (start method "spawn"), not copies of this process.

    jobs: the largest number of workers, by default one for each core; there are never more than items.

    timeout: seconds that an item may take, counted from its opening. The worker of an item that takes longer is killed
    and replaced. In a batch of n items, each item may take n times as long, because the items share one core. If an
    item of a batch takes longer, all its items are tried again in smaller groups. An item that takes longer than the
    timeout, or whose worker dies, when it is computed alone is tried once more (MAX_TRIES), then reported as failed.

    The constructor raises RequestError for less than one worker, for more workers than a machine may have (MOST_JOBS),
    and for a timeout that is not a finite number above 0.

    `run` raises RequestError on Windows, if no process can be started, and if the job cannot be sent to another process
    or cannot be run there.
    """

    def __init__(self, jobs: int | None = None, timeout: float | None = None) -> None:
        self.jobs = check_jobs(jobs) or available_cores()
        if self.jobs > (most := max(MOST_JOBS, MOST_JOBS_PER_CORE * available_cores())):
            raise RequestError(
                f"this machine has {available_cores()} cores, and takes at most {most} jobs; found {shown(self.jobs)}"
            )
        self.timeout = check_timeout(timeout)

    def run(self, job: Job[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Yield the result of every item as soon as it is known."""
        check_system()
        jobs = min(self.jobs, len(items))
        payload = pickle_job(job)
        workers: list[Worker] = []
        try:
            for _ in range(jobs):
                workers.append(Worker(payload, job.open_items, self.timeout))
            yield from run_workers(workers, ItemQueue(job, items, jobs))
        finally:
            for worker in workers:
                worker.stop()


def run_workers(workers: Sequence[Worker], queue: ItemQueue[R]) -> Iterator[R]:
    """Compute all items of the queue in the workers. Yield each result as soon as it is known.

    workers: started, one or more. Those that die, or exceed their timeout, are restarted. They run on at the end.
    """
    while True:
        for worker in workers:
            if not worker.chunk and (chunk := queue.next_chunk()):
                worker.assign(chunk)
        busy = [worker for worker in workers if worker.chunk]
        if not busy:
            return
        ready = set(wait([worker.pipe for worker in busy], _seconds_left(busy)))
        for worker in busy:
            if worker.pipe in ready:
                yield from _next_results(worker, queue)
            elif worker.is_late():
                reason = f"took longer than {worker.timeout:g} s"
                yield from queue.worker_failed(worker.chunk, reason, TIMEOUT_ADVICE)
                worker.restart()


def _seconds_left(workers: Sequence[Worker]) -> float | None:
    """Return the seconds until the first deadline of the workers; None if no worker has a deadline."""
    deadlines = [worker.deadline for worker in workers if worker.deadline is not None]
    return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None


def _next_results(worker: Worker, queue: ItemQueue[R]) -> Iterator[R]:
    """Read one message of a worker. Yield the result in it, or add the summary in it to the job of the queue.

    If the worker has died, put its items back into the queue and start a new worker. An item that has caused this too
    often is not put back: its failed result is yielded.
    """
    try:
        kind, value = worker.receive()
    except EOFError:
        reason = f"its worker process {worker.exit_reason()}"
        yield from queue.worker_failed(worker.chunk, reason, CRASH_ADVICE)
        worker.restart()
        return
    if kind == "result":
        yield value
    elif kind == "summary" and isinstance(queue.job, JobWithSummary):
        queue.job.add_summary(value)


class Worker:
    """A worker process, as seen by the process that started it. The constructor starts it; `stop` must end it.

    payload: the pickled job. open_items: as in `Job`. timeout: see `Processes`. The attribute `chunk` contains the
    items that were sent to the worker and have no result yet.

    Messages from the worker are pairs (kind, value): first ("ready", None), or ("error", error) if it cannot run the
    job; then ("opened", id) and ("result", result) for every item, and ("summary", value) for a `JobWithSummary`.
    """

    def __init__(self, payload: bytes, open_items: int, timeout: float | None = None) -> None:
        self.payload, self.open_items, self.timeout = payload, open_items, timeout
        self.start()

    def start(self) -> None:
        """Start a worker process, which has no items yet.

        The worker ignores the signals of Ctrl-C and of a closed terminal, because the process that started the worker
        stops it. Raises RequestError if the system refuses another process, and if the working directory has been
        removed.
        """
        check_working_directory("worker processes start in it")
        context = multiprocessing.get_context("spawn")
        self.chunk: list[Item] = []
        self.opened: dict[str, float] = {}  # id of an open item -> time.monotonic() when it was opened
        self.ready = False
        try:
            self.pipe, other_end = context.Pipe()
            process = context.Process(target=_serve, args=(other_end, self.payload), daemon=True)
            with other_end, environment(ONE_THREAD), signals_blocked():
                process.start()
        except OSError as error:
            raise RequestError(
                f"a worker process cannot be started: {error.strerror or error}: use fewer --jobs, or allow more open "
                "files and processes (ulimit -n, ulimit -u)"
            ) from None
        self.process = process

    def assign(self, chunk: list[Item]) -> None:
        """Send items to the worker, whose `chunk` must be empty. If it has died, the next `receive` reports it."""
        self.chunk = chunk
        self._limit = (self.timeout or 0.0) * min(self.open_items, len(chunk))
        with suppress(OSError):
            self.pipe.send(chunk)

    def receive(self) -> tuple[str, Any]:
        """Wait for the next message, and return its kind and value. A result takes its item out of `chunk`.

        Raises EOFError if the worker has died, and RequestError if it died while starting or cannot run the job.
        """
        kind, value = self._message()
        if kind == "error":
            raise value
        if kind == "ready":
            self.ready = True
        elif kind == "opened":
            self.opened[value] = time.monotonic()
        elif kind == "result":
            self.opened.pop(value.id, None)
            self.chunk = [item for item in self.chunk if item.id != value.id]
        return kind, value

    def _message(self) -> tuple[str, Any]:
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            if self.ready:
                raise EOFError from None
            raise RequestError(
                f"a worker process {self.exit_reason()} as it started: in a script, start the run below "
                "`if __name__ == '__main__':`"
            ) from None
        return kind, value

    @property
    def deadline(self) -> float | None:
        """The time (of `time.monotonic`) after which the item that was opened first is late.

        None without a timeout, and if no item is open. The limit is `timeout` seconds for each item that may be open.
        """
        return min(self.opened.values()) + self._limit if self.timeout and self.opened else None

    def is_late(self) -> bool:
        """Return whether the deadline has passed and no message of the worker waits to be read."""
        return self.deadline is not None and time.monotonic() >= self.deadline and not self.pipe.poll()

    def exit_reason(self) -> str:
        """Return how the worker died, as the end of a sentence: "was killed by SIGKILL".

        The pipe is closed, and a process that still runs is killed.
        """
        self.pipe.close()
        self.process.join(1)
        self.stop()  # the pipe is closed, but the process may still run
        code = self.process.exitcode or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def restart(self) -> None:
        """Kill the worker process and start a new one. Its `chunk` is then empty: the old items are not sent again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Kill the worker process and close the pipe. It may be called again."""
        self.process.kill()
        self.process.join(KILL_WAIT)
        self.pipe.close()


# ---- in the worker --------------------------------------------------------------------------------------------------


def _serve(pipe: Connection, payload: bytes) -> None:
    """Run the job on every list of items that comes through the pipe; send the results, until the pipe is closed.

    This is the main function of a worker process. It also ends if the job cannot be run, and with the process that
    started it. payload: the pickled job. `Worker` lists the messages that are sent.
    """
    ignore_signals()
    _exit_with_parent()
    with numpy_warnings_hidden():
        _run_chunks(pipe, payload)


def _run_chunks(pipe: Connection, payload: bytes) -> None:
    try:
        job = pickle.loads(payload)
        job.check()
    except Exception as error:
        pipe.send(("error", RequestError(f"a worker cannot do this job: {describe_error(error)}{_advice(error)}")))
        return
    pipe.send(("ready", None))
    while True:
        try:
            chunk = pipe.recv()
        except EOFError:
            return
        for result in job.run(_announced(chunk, pipe)):
            if isinstance(job, JobWithSummary) and (summary := job.summary()) is not None:
                pipe.send(("summary", summary))
            pipe.send(("result", result))


def _announced(items: Iterable[Item], pipe: Connection) -> Iterator[Item]:
    """Yield the items. Before each item, send a message through the pipe that says that this item is opened."""
    for item in items:
        pipe.send(("opened", item.id))
        yield item


def _exit_with_parent() -> None:
    """Make this process exit when its parent exits: a worker must not write files after the run was killed.

    This process and its parent hold the two ends of a pipe, which `multiprocessing` made. When the parent exits, its
    end is closed, and the system sends SIGIO to this process. On Linux, SIGIO ends the process at once, even during a
    long call of compiled code, in which no other thread of Python runs. This function also starts a thread that exits
    when the pipe is closed: for a parent that exits before the signal has been set up, and for systems that ignore
    SIGIO, as macOS does.
    """
    import fcntl  # Windows does not have it

    parent = multiprocessing.parent_process()
    assert parent is not None
    fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, fcntl.fcntl(parent.sentinel, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# ---- helpers --------------------------------------------------------------------------------------------------------

_IMPORTABLE = ": put node classes into a file that can be imported"


def pickle_job(job: Job[Any]) -> bytes:
    """Return a job as pickled bytes. Raises RequestError if the job cannot be pickled."""
    try:
        return pickle.dumps(job)
    except Exception as error:
        raise RequestError(f"the graph cannot be sent to another process: {error}{_IMPORTABLE}") from error


def _advice(error: Exception) -> str:
    return _IMPORTABLE if isinstance(error, AttributeError | ImportError) else ""


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started inside the `with` block.

    values: name -> value. After the block the variables have the values that they had before.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
