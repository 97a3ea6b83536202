"""Jobs and nodes that kill the process they run in, or never end; the file serves as a `--plugin` too."""

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
    "stuck": lambda: all(itertools.repeat(True)),  # in native code, with Python's lock held: no signal is handled
}
"""What an item does, by the part of its name before the hyphen."""


@dataclass(frozen=True)
class DeadlyResult:
    """The result of an item: the process and the machine that did it, and what `ask` returned there."""

    id: str
    pid: int = 0
    machine: str = ""
    facts: tuple[Any, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Deeds:
    """A job: items are opened in order, `open_items` at a time, and take one to three rounds each.

    Every process writes the names of the items that it opens to a file of its own in the folder `log`.
    """

    log: Path
    open_items: int = 1
    ask: Callable[[], tuple[Any, ...]] = tuple

    def check(self) -> None:
        """Accept every process."""

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
        """Wait until another process has opened an item too, a minute at most."""
        end = time.monotonic() + 60
        while len(list(self.log.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.02)

    def failed_result(self, item: Item, reason: str) -> DeadlyResult:
        return DeadlyResult(item.id, error=reason)


def opened(log: Path) -> list[str]:
    """Return the items that were opened in any process, each as often as it was opened."""
    return [name for file in log.iterdir() for name in file.read_text().split()]


@lru_cache
def _load() -> float:
    return time.monotonic()


def when_loaded() -> tuple[Any, ...]:
    """Return when this process loaded something that it loads once."""
    return (_load(),)


def threads() -> tuple[Any, ...]:
    """Return the number of threads that numba and torch would use."""
    import numba
    import torch

    return numba.get_num_threads(), torch.get_num_threads()


class Counted(Deeds):
    """A job whose summary is the names of the items done; `gathered` holds those of this process."""

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
    """A job that another process cannot do."""

    def check(self) -> None:
        raise RequestError("other code here")


class Unloaded(Deeds):
    """A job that needs a module which only the first process has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing, ()


class Fatal(Deeds):
    """A job that kills the process that loads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _fatal, ()


class FatalThere(Deeds):
    """A job that kills the Ray actor that loads it, not the worker beside the actor."""

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

EXIT, RAISE, HANG = 0.25, 0.5, 0.75
"""First samples of files that the node below cannot render."""


class Deadly(Node):
    """End the process, raise an error or never return, as the first sample of a file says; be slow in all files."""

    x = Input(Audio)
    y = Output(Audio)

    seconds: float = Field(0.0, ge=0, description="how long each block takes")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        time.sleep(self.seconds)
        if x[0] == EXIT:
            os._exit(3)
        if x[0] == RAISE:
            raise ZeroDivisionError("as asked")
        if x[0] == HANG:
            time.sleep(1000)
        return state, x * np.asarray(0.5, x.dtype)


class DeadlyStart(Node):
    """Kill the process before the first sample."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        os._exit(3)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x
