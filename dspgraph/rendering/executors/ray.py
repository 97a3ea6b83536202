"""Running a job on the machines of a Ray cluster."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dspgraph.errors import DspgraphError, RequestError, describe_error
from dspgraph.rendering.executors.process import Worker, environment, pickle_job, run_workers
from dspgraph.rendering.executors.scheduling import (
    CHUNKS_PER_WORKER,
    ItemQueue,
    available_cores,
    check_jobs,
    check_timeout,
)
from dspgraph.rendering.item import Item
from dspgraph.rendering.job import Job, JobWithSummary, R
from dspgraph.rendering.system import check_working_directory

MAX_FAILED_STARTS = 3
"""If an actor dies as it starts this many times in a row, the run ends with an error."""

FREE_CORE_WAIT = 300.0
"""Seconds to wait for a free core of the cluster while no actor works on an item."""

CONNECT_WAIT = 5.0
"""Seconds to wait for an answer from the head of the cluster."""

LOST_ADVICE = "its memory was too small, or it was switched off; try again with --retry-failed"

RAY_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Environment variables that turn off Ray's usage statistics, and its warning about actors that are given no GPU."""


class Ray:
    """The executor that runs a job in actors of a Ray cluster, each on one core.

    jobs: the largest number of actors, by default one for each core of the cluster; there are never more than cores or
    items. address: HOST:PORT of the head of the cluster, or "auto" on a machine of the cluster, where the environment
    variable RAY_ADDRESS is used if it is set; without an address, a cluster is started on this machine. If this process
    is connected to a cluster already (`ray.init`), that cluster is used, whatever the address. timeout: as for
    `Processes`.

    Every actor runs the job in one worker process on its machine. If the worker dies, the actor starts another worker,
    and the item is tried again or reported as failed, as in `Processes`. Files are opened on the machine of the actor:
    every machine must have the same files at the same paths, and the same versions installed. If a machine is lost, its
    unfinished items are computed on another machine.

    The constructor raises RequestError for `jobs` below 1, and for a `timeout` that is not a finite number above 0.
    `run` raises RequestError if the job cannot be pickled, if Ray is not installed, if there is no cluster or no free
    core, if actors die as they start, and if a machine would not give the same results.
    """

    def __init__(self, jobs: int | None = None, address: str | None = None, timeout: float | None = None) -> None:
        self.jobs, self.address, self.timeout = check_jobs(jobs), address, check_timeout(timeout)

    def run(self, job: Job[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Yield the result of every item as soon as it is known."""
        if not items:
            return
        payload = pickle_job(job)
        with environment(RAY_SETTINGS):
            ray = _import_ray()
            connected_here = not ray.is_initialized()
            if connected_here:
                self._connect(ray)
        actors: list[_RemoteActor] = []
        try:
            cores = int(ray.cluster_resources().get("CPU", 0))
            if not cores:
                raise RequestError("the cluster has no core: add a machine with `ray start --address=HOST:PORT`")
            jobs = min(self.jobs or cores, cores, len(items))
            for _ in range(jobs):
                actors.append(_RemoteActor(ray, payload, job.open_items, self.timeout))
            yield from _run_actors(ray, actors, ItemQueue(job, items, jobs))
        finally:
            for actor in actors:
                actor.stop()
            if connected_here:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        address = self.address or "local"
        local = {} if self.address else {"num_cpus": self.jobs or available_cores(), "include_dashboard": False}
        if address == "auto":
            address = os.environ.get("RAY_ADDRESS", address)
        try:
            _check_reachable(address)
            ray.init(address=address, log_to_driver=False, logging_level="error", **local)
        except (OSError, ValueError, RuntimeError) as error:
            raise RequestError(
                f"there is no Ray cluster at {self.address or 'this machine'}: {error}: give the HOST:PORT of its "
                "head, or auto on a machine that is part of it; if it asks for a token, set RAY_AUTH_MODE=token"
            ) from None


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise RequestError("Ray is not installed: pip install 'dspgraph[ray]'") from None
    return ray


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT (Ray would try for minutes), ValueError for a ray:// address.

    An address without a port, such as "auto" or "local", is not checked.
    """
    host, colon, port = address.rpartition(":")
    if "://" in address:
        raise ValueError("a Ray client (ray://) cannot stream results")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_WAIT).close()


def _run_actors(ray: Any, actors: Sequence[_RemoteActor], queue: ItemQueue[R]) -> Iterator[R]:
    """Compute all items in the queue in the actors, and yield the results.

    ray: the module ray. Every actor that is ready always has up to CHUNKS_PER_WORKER chunks of items, so that it need
    not wait for the next one. Raises RequestError if no actor works on an item and no core becomes free within
    FREE_CORE_WAIT seconds, and as `_RemoteActor.receive` does.
    """
    while True:
        for actor in actors:
            while actor.ready and len(actor.calls) < CHUNKS_PER_WORKER and (chunk := queue.next_chunk()):
                actor.assign(chunk)
        busy = any(actor.calls for actor in actors)
        if not busy and not queue:
            return
        waiting = [actor for actor in actors if actor.calls or not actor.ready]
        answered, _ = ray.wait([actor.next_answer for actor in waiting], timeout=None if busy else FREE_CORE_WAIT)
        if not answered:
            raise RequestError(
                f"no core of the cluster was free within {FREE_CORE_WAIT:g} s: wait for its other work, or add machines"
            )
        for actor in waiting:
            if actor.next_answer in answered:
                yield from actor.receive(queue)


class _RemoteActor:
    """An actor of Ray, as seen by the main process: whether it is ready, and its chunks of items, in their order.

    The constructor asks for the actor. ray: the module ray. payload, open_items, timeout: as in `Worker`.

    Ray's own restart of dead actors is not used, for two reasons. A call to an actor that Ray is about to restart may
    fail before it has begun; this looks as if the call had killed the actor. And if an actor dies at every start, Ray
    would restart it for ever.
    """

    def __init__(self, ray: Any, payload: bytes, open_items: int, timeout: float | None) -> None:
        self.ray, self.arguments = ray, (payload, open_items, timeout)
        self.failed_starts = 0
        self.start()

    def start(self) -> None:
        """Ask the cluster for a new actor, without items, on any machine that has a free core. Do not wait for it."""
        check_working_directory("actors import from it")
        self.calls: deque[_Call] = deque()
        self.ready = False
        self.actor = self.ray.remote(_Actor).options(num_cpus=1).remote()
        self.started = self.actor.start.remote(*self.arguments, os.getcwd(), sys.path)

    @property
    def next_answer(self) -> Any:
        """Ray's reference to the next answer: a result or, before the actor is ready, the end of `start`.

        An actor that is ready must have a chunk.
        """
        return self.calls[0].results if self.ready else self.started

    def assign(self, chunk: list[Item]) -> None:
        """Send one more chunk to the actor, which must be ready."""
        self.calls.append(_Call(self.actor.run.options(num_returns="streaming").remote(chunk), chunk))

    def receive(self, queue: ItemQueue[R]) -> Iterator[R]:
        """Wait for the answer to which `next_answer` refers. If it is a result, yield the result.

        A summary that comes with a result is added to the job of `queue`. If the actor has died, put its items back
        into `queue` and start a new actor. An item that has caused this too often is not put back: its failed result is
        yielded. Raises RequestError if the actor cannot run the job, and if actors die again and again as they start.
        """
        try:
            if not self.ready:
                if refusal := self.ray.get(self.started):
                    raise RequestError(refusal)
                self.ready, self.failed_starts = True, 0
                return
            call = self.calls[0]
            result, summary = self.ray.get(next(call.results))
            call.chunk = [item for item in call.chunk if item.id != result.id]
            if summary is not None and isinstance(queue.job, JobWithSummary):
                queue.job.add_summary(summary)
            yield result
        except StopIteration:
            self.calls.popleft()
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError as error:
            yield from self._replace(queue, error)

    def _replace(self, queue: ItemQueue[R], error: Exception) -> Iterator[R]:
        """Put the chunks of an actor that died back into the queue, and start a new actor.

        error: the error by which Ray reports the death. Failed results are yielded, as in `ItemQueue.worker_failed`.
        Raises RequestError if actors die again and again as they start.
        """
        if not self.ready:
            self.failed_starts += 1
            if self.failed_starts == MAX_FAILED_STARTS:
                raise RequestError(f"Ray actors die as they start, {MAX_FAILED_STARTS} times: {error}") from error
        unfinished = [call.chunk for call in self.calls if call.chunk]
        self.stop()
        self.start()
        for chunk in unfinished[1:]:
            queue.put_back(chunk)
        if unfinished:
            yield from queue.worker_failed(unfinished[0], "its worker was lost with its machine", LOST_ADVICE)

    def stop(self) -> None:
        """Kill the actor. Its unfinished items get no result, unless the caller puts them back into the queue."""
        self.ray.kill(self.actor)


@dataclass
class _Call:
    """A call of an actor with a chunk of items.

    results: Ray's generator of the results. chunk: the items that have no result yet.
    """

    results: Any
    chunk: list[Item]


class _Actor:
    """The actor itself: an object that Ray runs on one core of a machine. It owns one worker process."""

    def start(self, payload: bytes, open_items: int, timeout: float | None, folder: str, path: list[str]) -> str:
        """Start the worker process, and wait until it is ready. Return "", or the reason why it cannot run the job.

        payload, open_items, timeout: as in `Worker`. folder, path: the working directory and `sys.path` of the process
        that started the run; the actor changes to the folder, and puts `path` before its own `sys.path`.
        """
        try:
            os.chdir(folder)
            sys.path[:] = [*path, *(one for one in sys.path if one not in path)]
            sys.modules["__main__"].__file__ = None  # Ray's own main file: the worker must not import it
            self.worker = Worker(payload, open_items, timeout)
            self.worker.receive()
            self.job: Job[Any] = pickle.loads(payload)
        except Exception as error:
            prefix = "" if isinstance(error, DspgraphError) else "a worker cannot do this job: "
            return f"{prefix}{describe_error(error)}; on the machine {socket.gethostname()}"
        return ""

    def run(self, chunk: list[Item]) -> Iterator[tuple[Any, Any]]:
        """Yield (result, summary) for every item of a chunk as soon as its result is known.

        summary: what the job has collected since the pair before; None if it has nothing to add.
        """
        for result in run_workers([self.worker], ItemQueue(self.job, chunk, 1)):
            yield result, self.job.summary() if isinstance(self.job, JobWithSummary) else None
