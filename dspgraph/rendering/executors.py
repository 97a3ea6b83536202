"""Work done by several processes, on this machine or on many. What is done, and what comes out, is the same."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import sys
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic

from dspgraph.errors import DspgraphError, RequestError, describe_error
from dspgraph.rendering.corpus import Item
from dspgraph.rendering.job import R, Work

POOLS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS"
THREADS = dict.fromkeys(POOLS, "1")
"""One thread for each worker: as many workers as cores keep them busy."""

TRIES = 2
"""How often an item is begun by itself before it is held to have ended its workers."""

CHUNK = 64
"""The most items handed to a worker at a time."""

AHEAD = 2
"""Chunks that an actor has at a time: it goes on with one while the last rows of another travel."""

STARTS = 3
"""How often actors may die as they start, one after another, before the run is given up."""

PATIENCE = 300.0
"""Seconds that a cluster with other things to do is waited for, while nothing of the work goes on anywhere."""

REACH = 5.0
"""Seconds within which the head of a cluster answers."""


def cores() -> int:
    """Of this machine, as far as this process may use them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Chunks(Generic[R]):
    """Items on their way to workers that may die of one of them.

    Of the items that were open in a worker that died, halves are handed out again, until one is left; that one is tried
    once more by itself.
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
        left = len(self._fresh)
        most = max(self.work.width, min(CHUNK, left // (2 * AHEAD * self._workers)), 1)
        return [self._fresh.popleft() for _ in range(min(most, -(-left // self._workers)))]

    def __bool__(self) -> bool:
        """Whether there is something to hand out."""
        return bool(self._again or self._fresh)

    def back(self, items: list[Item]) -> None:
        """Nobody has begun with these: somebody else does."""
        if items:
            self._again.append(items)

    def died(self, had: list[Item], why: str) -> Iterator[R]:
        """A worker died that had these: the row of the item it died of, where that is known now."""
        suspects = had[: self.work.width]
        self.back(had[self.work.width :])
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
        self.jobs = _at_least_one(jobs) or cores()

    def run(self, work: Work[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Every item's row, each as soon as it is known."""
        jobs = min(self.jobs, len(items))
        payload = _pickled(work)
        workers: list[_Worker] = []
        try:
            for _ in range(jobs):
                workers.append(_Worker(payload))
            yield from _shared(workers, Chunks(work, items, jobs))
        finally:
            for worker in workers:
                worker.end()


def _shared(workers: Sequence[_Worker], chunks: Chunks[R]) -> Iterator[R]:
    """The rows of all chunks, done by these workers, who are idle before and after."""
    while True:
        for worker in workers:
            if not worker.chunk and (chunk := chunks.next()):
                worker.hand(chunk)
        busy = [worker for worker in workers if worker.chunk]
        if not busy:
            return
        ready = set(wait([worker.pipe for worker in busy]))
        for worker in busy:
            if worker.pipe not in ready:
                continue
            try:
                row = worker.hear()
            except EOFError:
                why = worker.ended()
                yield from chunks.died(worker.chunk, why)
                worker.begin()
                continue
            if row is not None:
                yield row


class _Worker:
    """A process, the pipe to it, and what it has not yet given rows of."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.begin()

    def begin(self) -> None:
        """Start it, for the first time or again. Who interrupts the run does not mean the workers."""
        context = multiprocessing.get_context("spawn")
        self.pipe, inner = context.Pipe()
        self.chunk: list[Item] = []
        self.ready = False
        self.process = context.Process(target=_serve, args=(inner, self.payload), daemon=True)
        resource_tracker.ensure_running()  # it would unblock the signal
        with inner, _environment(THREADS), _blocked(signal.SIGINT):
            self.process.start()

    def hand(self, chunk: list[Item]) -> None:
        """Give it something to do. If it is dead that is heard instead of a row."""
        self.chunk = chunk
        with suppress(OSError):
            self.pipe.send(chunk)

    def hear(self) -> Any:
        """The next row of its chunk; None once, when it is ready. Raises EOFError if it died of the chunk."""
        try:
            told = self.pipe.recv()
        except (EOFError, OSError):
            if self.ready:
                raise EOFError from None
            raise RequestError(
                f"a worker {self.ended()} as it started: in a script, call from under `if __name__ == '__main__':`"
            ) from None
        if isinstance(told, RequestError):
            raise told
        if told is None:
            self.ready = True
        else:
            self.chunk = [item for item in self.chunk if item.id != told.id]
        return told

    def ended(self) -> str:
        """How it died."""
        self.pipe.close()
        self.process.join(1)
        self.end()  # it may only have closed its pipe
        code = self.process.exitcode or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def end(self) -> None:
        """Whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, payload: bytes) -> None:
    """What a worker does: it hears of chunks, and tells of rows, until nobody is there to tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    try:
        work = pickle.loads(payload)
        work.check()
    except Exception as error:
        pipe.send(RequestError(f"a worker cannot do this work: {describe_error(error)}{_hint(error)}"))
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
        raise RequestError(f"the graph cannot be sent to another process: {error}{_IMPORTABLE}") from error


_IMPORTABLE = ": put node classes into a file that can be imported"


def _hint(error: Exception) -> str:
    return _IMPORTABLE if isinstance(error, AttributeError | ImportError) else ""


def _at_least_one(jobs: int | None) -> int | None:
    if jobs is not None and jobs < 1:
        raise RequestError(f"there is at least 1 job at a time; found {jobs}")
    return jobs


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


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """A signal that waits until this is over, and never comes to a process begun inside."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- a cluster ------------------------------------------------------------------------------------------------------


class Ray:
    """Actors of a Ray cluster, one core each: an existing one by its address, or one of this machine's own.

    Beside every actor a process does the work, as for `Processes`: what ends it ends no actor, and is told of in the
    same words. Files are opened where the actors are: every machine must see the same paths, and have the same versions
    installed. A machine that is lost costs the time its open items have taken; they are done by another one.

    Raises RequestError where there is no Ray or no cluster, and where a machine could not do the same work.
    """

    def __init__(self, jobs: int | None = None, address: str | None = None) -> None:
        self.jobs, self.address = _at_least_one(jobs), address

    def run(self, work: Work[R], items: Sequence[Item]) -> Generator[R, None, None]:
        """Every item's row, each as soon as it is known."""
        if not items:
            return
        payload = _pickled(work)
        with _environment(_SETTINGS):
            ray = _ray()
            mine = not ray.is_initialized()
            if mine:
                self._connect(ray)
        actors: list[_Remote] = []
        try:
            there = int(ray.cluster_resources().get("CPU", 0))
            if not there:
                raise RequestError("the cluster has no core to work on: start a machine with `ray start --address=...`")
            jobs = min(self.jobs or there, there, len(items))
            for _ in range(jobs):
                actors.append(_Remote(ray, payload))
            yield from _everywhere(ray, actors, Chunks(work, items, jobs))
        finally:
            for actor in actors:
                actor.end()
            if mine:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        address = self.address or "local"
        here = {} if self.address else {"num_cpus": self.jobs or cores(), "include_dashboard": False}
        if address == "auto":
            address = os.environ.get("RAY_ADDRESS", address)
        try:
            _reach(address)
            ray.init(address=address, log_to_driver=False, logging_level="error", **here)
        except (OSError, ValueError, RuntimeError) as error:
            raise RequestError(
                f"there is no Ray cluster at {self.address or 'this machine'}: {error}: give the HOST:PORT of its "
                "head, or auto on a machine that is part of it; where it asks for a token, set RAY_AUTH_MODE=token"
            ) from None


_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Nobody is told of a run; and a warning of how GPUs will be hidden one day, from actors that ask for none."""


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise RequestError("there is no Ray: pip install 'dspgraph[ray]'") from None
    return ray


def _reach(address: str) -> None:
    """Raise OSError where nothing answers: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if "://" in address:
        raise ValueError("a client of a cluster elsewhere cannot stream rows")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), REACH).close()


def _everywhere(ray: Any, actors: Sequence[_Remote], chunks: Chunks[R]) -> Iterator[R]:
    """The rows of all chunks, done by these actors: they are handed chunks from when they are ready on."""
    while True:
        for actor in actors:
            while actor.ready and len(actor.calls) < AHEAD and (chunk := chunks.next()):
                actor.hand(chunk)
        busy = any(actor.calls for actor in actors)
        if not busy and not chunks:
            return
        waiting = [actor for actor in actors if actor.calls or not actor.ready]
        ready, _ = ray.wait([actor.next for actor in waiting], timeout=None if busy else PATIENCE)
        if not ready:
            raise RequestError(f"no core of the cluster was free within {PATIENCE:g} s: it works on other things")
        for actor in waiting:
            if actor.next in ready:
                yield from actor.hear(chunks)


class _Remote:
    """An actor, whether it is ready, and the chunks it has, in the order in which it does them.

    Ray could restart it. A call to an actor that is about to be restarted may fail without having begun, though, just
    as if it had ended the actor; and an actor that dies as it starts would be restarted for ever.
    """

    def __init__(self, ray: Any, payload: bytes) -> None:
        self.ray, self.payload = ray, payload
        self.stillborn = 0
        self.begin()

    def begin(self) -> None:
        """Ask for an actor, for the first time or again, wherever a core is free."""
        self.calls: deque[_Call] = deque()
        self.ready = False
        self.actor = self.ray.remote(_Actor).options(num_cpus=1).remote()
        self.begun = self.actor.begin.remote(self.payload, os.getcwd(), sys.path)

    @property
    def next(self) -> Any:
        """What is waited for."""
        return self.calls[0].rows if self.ready else self.begun

    def hand(self, chunk: list[Item]) -> None:
        """Give it something more to do."""
        self.calls.append(_Call(self.actor.rows.options(num_returns="streaming").remote(chunk), chunk))

    def hear(self, chunks: Chunks[R]) -> Iterator[R]:
        """The next row; or nothing, if it is ready now, or has ended a chunk, or died."""
        try:
            if not self.ready:
                self._check(self.ray.get(self.begun))
                self.ready, self.stillborn = True, 0
                return
            call = self.calls[0]
            row = self.ray.get(next(call.rows))
            call.chunk = [item for item in call.chunk if item.id != row.id]
            yield row
        except StopIteration:
            self.calls.popleft()
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError as error:
            yield from self._died(chunks, error)

    def _died(self, chunks: Chunks[R], error: Exception) -> Iterator[R]:
        if not self.ready:
            self.stillborn += 1
            if self.stillborn == STARTS:
                raise RequestError(f"actors die as they start, {STARTS} times: {error}") from error
        had = [call.chunk for call in self.calls if call.chunk]
        self.end()
        self.begin()
        for chunk in had[1:]:
            chunks.back(chunk)
        if had:
            yield from chunks.died(had[0], "was lost with its machine")

    def _check(self, refusal: str) -> None:
        if refusal:
            raise RequestError(refusal)

    def end(self) -> None:
        """Whatever it does."""
        self.ray.kill(self.actor)


@dataclass
class _Call:
    """A chunk that an actor has, less the rows it has given."""

    rows: Any
    chunk: list[Item]


class _Actor:
    """What Ray keeps on a core: a worker, begun once, with all it has loaded."""

    def begin(self, payload: bytes, folder: str, path: list[str]) -> str:
        """Why it cannot do the work; empty where it can."""
        try:
            os.chdir(folder)
            sys.path[:] = [*path, *(one for one in sys.path if one not in path)]
            sys.modules["__main__"].__file__ = None  # it is Ray's own: no worker needs to import it
            self.worker = _Worker(payload)
            self.worker.hear()
            self.work: Work[Any] = pickle.loads(payload)
        except Exception as error:
            where = "" if isinstance(error, DspgraphError) else "a worker cannot do this work: "
            return f"{where}{describe_error(error)}; on the machine {socket.gethostname()}"
        return ""

    def rows(self, chunk: list[Item]) -> Iterator[Any]:
        """The rows of a chunk, each as soon as it is known."""
        yield from _shared([self.worker], Chunks(self.work, chunk, 1))
