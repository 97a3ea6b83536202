"""Work done by several processes, on this machine or on many. What is done, and what comes out, is the same."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic

from dspgraph.corpus import Item
from dspgraph.errors import DspgraphError, RequestError
from dspgraph.work import R, Work

POOLS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS"
THREADS = dict.fromkeys(POOLS, "1")
"""One thread for each worker: as many workers as cores keep them busy."""

TRIES = 2
"""How often an item is begun, in all, before it is held to have ended its workers."""

CHUNK = 64
"""The most items handed to a worker at a time."""

AHEAD = 2
"""Chunks that an actor has at a time: it goes on with one while the rows of another travel."""


def cores() -> int:
    """Of this machine, as far as this process may use them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Chunks(Generic[R]):
    """Items on their way to workers that may die of one of them.

    Items whose worker died are handed out again in halves, until one is left; that one is tried once more by itself.
    """

    def __init__(self, work: Work[R], items: Sequence[Item], workers: int) -> None:
        self.work = work
        self._fresh = deque(items)
        self._again: deque[list[Item]] = deque()
        self._deaths: Counter[str] = Counter()
        self._workers = workers

    def next(self) -> list[Item]:
        """What the next worker does; empty when all is handed out. Less towards the end, so that all end together."""
        if self._again:
            return self._again.popleft()
        size = max(self.work.width, min(CHUNK, len(self._fresh) // (2 * AHEAD * self._workers)), 1)
        return [self._fresh.popleft() for _ in range(min(size, len(self._fresh)))]

    def back(self, items: list[Item]) -> None:
        """Nobody has begun with these: somebody else does."""
        if items:
            self._again.appendleft(items)

    def died(self, suspects: list[Item], why: str) -> Iterator[R]:
        """One of these ended its worker: the row of the item, where it is now known."""
        if len(suspects) > 1:
            half = len(suspects) // 2
            self._again.extend((suspects[:half], suspects[half:]))
            return
        for item in suspects:
            self._deaths[item.id] += 1
            if self._deaths[item.id] < TRIES:
                self._again.append([item])
            else:
                yield self.work.lost(item, f"its worker {why}, {TRIES} times")


# ---- processes ------------------------------------------------------------------------------------------------------


class Processes:
    """Processes of this machine, begun afresh (spawned), each with one thread.

    Raises RequestError where the work cannot be sent to another process, or not be done there.
    """

    def __init__(self, jobs: int | None = None) -> None:
        if jobs is not None and jobs < 1:
            raise RequestError(f"there is at least 1 job at a time; found {jobs}")
        self.jobs = jobs or cores()

    def run(self, work: Work[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Every item's row, each as soon as it is known."""
        jobs = min(self.jobs, len(items))
        if not jobs:
            return
        payload = _pickled(work)
        chunks = Chunks(work, items, jobs)
        workers = [_Worker(payload) for _ in range(jobs)]
        try:
            for worker in workers:
                worker.hand(chunks.next())
            while busy := [worker for worker in workers if worker.chunk]:
                ready = set(wait([worker.pipe for worker in busy]))
                for worker in busy:
                    if worker.pipe in ready:
                        yield from self._hear(worker, chunks)
                for worker in workers:
                    if not worker.chunk and (chunk := chunks.next()):
                        worker.hand(chunk)
        finally:
            for worker in workers:
                worker.end()

    def _hear(self, worker: _Worker, chunks: Chunks[R]) -> Iterator[R]:
        """One message of a worker, or its death."""
        try:
            told = worker.pipe.recv()
        except (EOFError, OSError):
            why, had = worker.ended(), worker.chunk
            if not worker.ready:
                raise RequestError(
                    f"a worker {why} as it started: in a script, call from under `if __name__ == '__main__':`"
                ) from None
            open_now = had[: chunks.work.width]
            chunks.back(had[len(open_now) :])
            yield from chunks.died(open_now, why)
            worker.begin()
            worker.hand(chunks.next())
            return
        if isinstance(told, BaseException):
            raise told
        if told is None:
            worker.ready = True
        else:
            worker.chunk = [item for item in worker.chunk if item.id != told.id]
            yield told


class _Worker:
    """A process, the pipe to it, and what it has not yet given rows of."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.chunk: list[Item] = []
        self.begin()

    def begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, inner = context.Pipe()
        self.ready = False
        self.process = context.Process(target=_serve, args=(inner, self.payload), daemon=True)
        with _environment(THREADS):
            self.process.start()
        inner.close()

    def hand(self, chunk: list[Item]) -> None:
        """Give it something to do. If it is dead it will not be heard of, which is seen then."""
        self.chunk = chunk
        if chunk:
            try:
                self.pipe.send(chunk)
            except OSError:
                return

    def ended(self) -> str:
        """How it died."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, payload: bytes) -> None:
    """What a worker does: it hears of chunks, and tells of rows, until nobody is there to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is interrupted is the one that started it
    _end_with_parent()
    try:
        work = pickle.loads(payload)
        work.check()
    except Exception as error:
        told = error if isinstance(error, DspgraphError) else RequestError(f"{type(error).__name__}: {error}")
        pipe.send(RequestError(f"a worker cannot do this work: {told}"))
        return
    pipe.send(None)
    while True:
        try:
            chunk = pipe.recv()
        except EOFError:
            return
        for row in work.rows(chunk):
            pipe.send(row)


def _end_with_parent() -> None:
    """Nobody goes on writing files after the run was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _pickled(work: Work[Any]) -> bytes:
    try:
        return pickle.dumps(work)
    except Exception as error:
        raise RequestError(
            f"the graph cannot be sent to another process: {error}: put node classes into a file that can be imported"
        ) from error


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that a process begun inside has from its first line on."""
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


# ---- a cluster ------------------------------------------------------------------------------------------------------


class Ray:
    """Actors of a Ray cluster, one core each: an existing one by its address, or one of this machine's own.

    Files are opened where the actors are: every machine must see the same paths, and have the same versions installed.
    Raises RequestError where there is no Ray or no cluster, and where a machine could not do the same work.
    """

    def __init__(self, jobs: int | None = None, address: str | None = None) -> None:
        if jobs is not None and jobs < 1:
            raise RequestError(f"there is at least 1 job at a time; found {jobs}")
        self.jobs, self.address = jobs, address

    def run(self, work: Work[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Every item's row, each as soon as its chunk is done."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError:
            raise RequestError("there is no Ray: pip install 'dspgraph[ray]'") from None
        mine = not ray.is_initialized()
        if mine:
            self._connect(ray)
        actors: list[Any] = []
        try:
            there = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]  # it is Ray's
            jobs = min(self.jobs or there, there, len(items))
            if jobs:
                actors += self._actors(ray, work, jobs)
                yield from self._rows(ray, actors, Chunks(work, items, jobs))
        finally:
            for actor in actors:
                ray.kill(actor)
            if mine:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        here = {} if self.address else {"num_cpus": self.jobs or cores(), "include_dashboard": False}
        try:
            ray.init(address=self.address or "local", log_to_driver=False, logging_level="error", **here)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RequestError(f"there is no Ray cluster at {self.address or 'this machine'}: {error}") from None

    def _actors(self, ray: Any, work: Work[Any], jobs: int) -> list[Any]:
        from ray import cloudpickle

        payload = cloudpickle.dumps(work)  # type: ignore[no-untyped-call]  # it is Ray's
        kind = ray.remote(_Actor).options(num_cpus=1, max_restarts=-1, runtime_env={"env_vars": THREADS})
        actors = [kind.remote(payload, os.getcwd(), sys.path) for _ in range(jobs)]
        try:
            for refusal in ray.get([actor.check.remote() for actor in actors]):
                if refusal:
                    raise RequestError(f"a worker cannot do this work: {refusal}")
        except ray.exceptions.RayError as error:
            raise RequestError(f"a worker cannot do this work: {error}") from error
        return actors

    def _rows(self, ray: Any, actors: list[Any], chunks: Chunks[R]) -> Iterator[R]:
        """Every actor does its chunks in the order they were handed to it: the first is the one it may have died of."""
        under_way: list[deque[_Call]] = [deque() for _ in actors]
        while True:
            for actor, queue in zip(actors, under_way, strict=True):
                while len(queue) < AHEAD and (chunk := chunks.next()):
                    queue.append(_Call(actor.rows.remote(chunk), chunk))
            if not any(under_way):
                return
            ready, _ = ray.wait([queue[0].reference for queue in under_way if queue])
            for queue in under_way:
                if not queue or queue[0].reference not in ready:
                    continue
                call = queue.popleft()
                try:
                    yield from ray.get(call.reference)
                except ray.exceptions.RayTaskError:
                    raise
                except ray.exceptions.RayError:
                    if call.first:
                        yield from chunks.died(call.chunk, "died")
                    else:
                        chunks.back(call.chunk)
                    for other in queue:
                        other.first = False


@dataclass
class _Call:
    """A chunk that an actor has; `first` unless the actor died of one before it, and may not have begun with this."""

    reference: Any
    chunk: list[Item]
    first: bool = True


class _Actor:
    """What Ray keeps on a core: the work, made once, with all it has loaded."""

    def __init__(self, payload: bytes, folder: str, path: list[str]) -> None:
        from ray import cloudpickle

        self.refusal = ""
        try:
            sys.path += [one for one in path if one not in sys.path]
            os.chdir(folder)
            self.work = cloudpickle.loads(payload)
            self.work.check()
        except Exception as error:
            self.refusal = f"{type(error).__name__}: {error}"

    def check(self) -> str:
        """Why it cannot do the work; empty where it can."""
        return self.refusal

    def rows(self, chunk: list[Item]) -> list[Any]:
        """The rows of a chunk."""
        return list(self.work.rows(chunk))
