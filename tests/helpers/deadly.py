"""Work that ends whoever does it, for the tests of executors; its nodes serve as a `--plugin` too."""

import os
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import numpy as np

from dspgraph import Array, Audio, Field, Input, Node, Output, State
from dspgraph.errors import RequestError
from dspgraph.rendering.item import Item

DEEDS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "actor": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "slow": lambda: time.sleep(0.05),
    "endless": lambda: time.sleep(1000),
}
"""What the items of these names do, before a hyphen."""


@dataclass(frozen=True)
class Told:
    """The row of an item: which process did it, of which machine, and what it was asked."""

    id: str
    pid: int = 0
    machine: str = ""
    facts: tuple[Any, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Deeds:
    """Items are opened in turn, `open_items` at a time, and take one to three rounds each; `log` says who opened what."""

    log: Path
    open_items: int = 1
    ask: Callable[[], tuple[Any, ...]] = tuple

    def check(self) -> None:
        """Nothing is wrong here."""

    def run(self, items: Iterable[Item]) -> Generator[Told, None, None]:
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
                    yield Told(name, os.getpid(), os.environ.get("RAY_RAYLET_PID", socket.gethostname()), self.ask())

    def _wait_for_another(self) -> None:
        """Until somebody else has opened an item too, however busy the machine is; a minute at most."""
        end = time.monotonic() + 60
        while len(list(self.log.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.02)

    def failed_result(self, item: Item, reason: str) -> Told:
        return Told(item.id, error=reason)


def opened(log: Path) -> list[str]:
    """The items that were opened, by anybody, each as often as it was."""
    return [name for file in log.iterdir() for name in file.read_text().split()]


@lru_cache
def _load() -> float:
    return time.monotonic()


def when_loaded() -> tuple[Any, ...]:
    """Something that is loaded once in every process, whoever asks."""
    return (_load(),)


def threads() -> tuple[Any, ...]:
    """How many threads what computes would take."""
    import numba
    import torch

    return numba.get_num_threads(), torch.get_num_threads()


class Elsewhere(Deeds):
    """Work that another process cannot do."""

    def check(self) -> None:
        raise RequestError("other code here")


class Unloaded(Deeds):
    """Work that needs what only the first process has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing, ()


class Fatal(Deeds):
    """Work that ends a process as it is loaded there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _fatal, ()


class FatalThere(Deeds):
    """Work that ends an actor, not what works beside it, as it is loaded there."""

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

EXIT, RAISE = 0.25, 0.5
"""First samples of files that a node below does not survive."""


class Deadly(Node):
    """End the process in a file that begins with one sample, fail in one with another, and be slow in all."""

    x = Input(Audio)
    y = Output(Audio)

    seconds: float = Field(0.0, ge=0, description="how long each block takes")

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        time.sleep(self.seconds)
        if x[0] == EXIT:
            os._exit(3)
        if x[0] == RAISE:
            raise ZeroDivisionError("as asked")
        return state, x * np.asarray(0.5, x.dtype)


class DeadlyStart(Node):
    """End the process before the first sample."""

    x = Input(Audio)
    y = Output(Audio)

    def start(self, x: Audio) -> State:
        os._exit(3)

    def step(self, state: State, x: Array) -> tuple[State, Array]:
        return state, x
