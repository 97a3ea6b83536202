"""Jobs and nodes that kill their process or take too long; `--plugin` can load this file."""

import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State
from dspgraph.errors import RequestError
from dspgraph.rendering.item import Item

DEEDS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "actor": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "slow": lambda: time.sleep(0.05),
    "nap": lambda: time.sleep(0.4),
    "endless": lambda: time.sleep(1000),
    "stuck": lambda: all(itertools.repeat(True)),  # endless C code that holds the GIL, so Python handles no signal
}
"""The part of an item's name before the hyphen -> the harm that the item does to its worker: "kill-1" kills the worker
by SIGKILL.
"""


@dataclass(frozen=True)
class DeadlyResult:
    """The result of an item, or, if it failed, its id and its error only.

    pid: the process that computed it; machine: the name of the machine, or on Ray the pid of the machine's raylet;
    facts: the result of `Deeds.ask` there; error: the reason of the failure, or "".
    """

    id: str
    pid: int = 0
    machine: str = ""
    facts: tuple[Any, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Deeds:
    """A job whose items harm their worker: at the end of the item "kill-1" it calls the function "kill" in `DEEDS`.

    Items whose deed is not in `DEEDS` do no harm. Those called "meet..." end only when a second process has opened an
    item, or after a minute.

    Up to `open_items` items are open at the same time; they are opened in the given order. A round is one step of all
    open items; an item ends after one to three rounds. Every process writes the names of the items that it opens to a
    file of its own in the folder `log`, in which nothing else may be. `ask` is called after the deed of each item, and
    its result becomes `DeadlyResult.facts`.
    """

    log: Path
    open_items: int = 1
    ask: Callable[[], tuple[Any, ...]] = tuple

    def check(self) -> None:
        """Accept every process: raise no error. A worker calls this method before it does the job."""

    def run(self, items: Iterable[Item]) -> Generator[DeadlyResult, None, None]:
        waiting, open_now = iter(items), dict[str, int]()
        while True:
            while len(open_now) < self.open_items and (item := next(waiting, None)):
                with (self.log / str(os.getpid())).open("a") as file:
                    file.write(f"{item.id}\n")
                open_now[item.id] = 1 + sum(item.id.encode()) % 3
            if not open_now:
                return
            for name, rounds in list(open_now.items()):
                open_now[name] = rounds - 1
                if rounds == 1:
                    if name.startswith("meet"):
                        self._wait_for_another()
                    DEEDS.get(name.partition("-")[0], tuple)()
                    del open_now[name]
                    yield DeadlyResult(
                        name, os.getpid(), os.environ.get("RAY_RAYLET_PID", socket.gethostname()), self.ask()
                    )

    def _wait_for_another(self) -> None:
        """Wait until a second process has opened an item, but for no longer than a minute."""
        end = time.monotonic() + 60
        while len(list(self.log.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.02)

    def failed_result(self, item: Item, reason: str) -> DeadlyResult:
        return DeadlyResult(item.id, error=reason)


def opened(log: Path) -> list[str]:
    """Return the names of all items that any process has opened; a name occurs as often as its item was opened.

    log: the folder `Deeds.log`.
    """
    return [name for file in log.iterdir() for name in file.read_text().split()]


@lru_cache
def _load() -> float:
    return time.monotonic()


def when_loaded() -> tuple[Any, ...]:
    """Return (time,), the monotonic time of the first call of this function in this process, in seconds.

    If all items of a process have equal times, the process has loaded this module only once.
    """
    return (_load(),)


def threads() -> tuple[Any, ...]:
    """Return (threads of numba, threads of torch): how many threads each uses in this process."""
    import numba
    import torch

    return numba.get_num_threads(), torch.get_num_threads()


class Counted(Deeds):
    """A job whose summary is the list of the names of the items that finished since the last summary.

    `gathered`, one list for all jobs of a process, has these names, and the names given to `add_summary`. A summary
    empties it.
    """

    gathered: ClassVar[list[str]] = []

    def run(self, items: Iterable[Item]) -> Generator[DeadlyResult, None, None]:
        for result in super().run(items):
            self.gathered.append(result.id)
            yield result

    def summary(self) -> list[str]:
        taken = list(self.gathered)
        self.gathered.clear()
        return taken

    def add_summary(self, value: list[str]) -> None:
        self.gathered.extend(value)


class Elsewhere(Deeds):
    """A job whose check fails in every process, so that no worker does it."""

    def check(self) -> None:
        raise RequestError("other code here")


class Unloaded(Deeds):
    """A job that no worker can unpickle, because a module is missing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing, ()


class Fatal(Deeds):
    """A job that ends a worker process with exit code 7 when the worker unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _fatal, ()


class FatalThere(Deeds):
    """A job that kills a Ray actor when the actor unpickles it, but not a worker process that the actor has started.

    There it is unpickled as `Deeds`. It would also kill the process of the test.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _fatal_there, (self.log,)


def _missing() -> None:
    raise ModuleNotFoundError("No module named 'mine'")


def _fatal() -> None:
    if parent_process():
        os._exit(7)


def _fatal_there(log: Path) -> Deeds:
    if not parent_process():
        os._exit(7)
    return Deeds(log)


# ---- nodes ----------------------------------------------------------------------------------------------------------

EXIT, RAISE, HANG, STUCK = 0.25, 0.5, 0.75, 0.875
"""First samples of a block at which the node `Deadly` ends the process, raises an error, or does not return.

At STUCK it holds the GIL while it does not return, as a long call of compiled code does.
"""


class Deadly(Node):
    """Halve the signal.

    If the first sample of a block is EXIT, end the process with exit code 3; if it is RAISE, raise ZeroDivisionError;
    if it is HANG, sleep for 1000 s; if it is STUCK, never return and hold the GIL.
    """

    x = Input(Audio)
    y = Output(Audio)

    seconds: float = Field(0.0, ge=0, description="time that each block takes at least, seconds")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        time.sleep(self.seconds)
        if x[0] == EXIT:
            os._exit(3)
        if x[0] == RAISE:
            raise ZeroDivisionError("as asked")
        if x[0] == HANG:
            time.sleep(1000)
        if x[0] == STUCK:
            DEEDS["stuck"]()
        return state, x * np.asarray(0.5, x.dtype)


class DeadlyStart(Node):
    """End the process in `start`, before the first sample, with exit code 3."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        os._exit(3)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x
