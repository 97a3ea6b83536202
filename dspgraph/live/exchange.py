"""The exchange of quanta of samples between the callback of a device and the engine, in both directions.

The callback only copies. The engine computes later: when the device asks for a quantum of output, it gets the output
for the input that it recorded `ahead` quanta earlier. A quantum that is not ready when the device asks for it is
replaced by silence of the same length, and is thrown away when it comes, so that the delay stays the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

import numpy as np

from dspgraph.live.second_clock import SecondClock
from dspgraph.streams import Array


@dataclass(frozen=True)
class Quantum:
    """The samples that a device recorded in one quantum.

    number: the number of the quantum, from 0. block: [n, channels]. lost: the number of samples that were lost before
    it. time: when the device asked for the output of this quantum, in seconds of the system's clock; it is needed only
    if there is a second clock.
    """

    number: int
    block: Array
    lost: int = 0
    time: float = 0.0


@dataclass(frozen=True)
class SecondBlock:
    """Samples of a recording device with a clock of its own. The fields are the arguments of `SecondClock.put`."""

    block: Array
    time: float
    lost: int = 0


class Exchange:
    """The quanta that wait for the engine, and those that wait for the device.

    samples: the number of samples in a quantum, at the rate of the device. ahead: the number of quanta that lie ready
    when the device starts. channels: the number of channels that the device plays. second: resamples the blocks of a
    recording device with a clock of its own, which then are the samples of the quanta; None: there is no such device.

    The attribute `silent` is the number of output samples that were not ready, and `lost` the number of input samples
    that the device lost. `gaps` lists the runs of silent samples, and `losses` the runs of lost samples, as pairs
    (number of the first sample, number of samples). Samples are numbered from 0, and lost samples have numbers too.
    """

    def __init__(self, samples: int, ahead: int, channels: int, second: SecondClock | None = None) -> None:
        self.samples, self.ahead, self.channels, self.second = samples, ahead, channels, second
        self.silent = self.lost = 0
        self.gaps: list[tuple[int, int]] = []
        self.losses: list[tuple[int, int]] = []
        self.late = 0
        """The number of silent quanta since the last quantum that was ready."""
        self._inbox: SimpleQueue[Quantum | SecondBlock | None] = SimpleQueue()
        self._outbox: SimpleQueue[tuple[int, Array]] = SimpleQueue()
        self.number = 0
        """The number of the next quantum."""
        self.heard = 0
        """The number of blocks that the second device has recorded."""
        self._begins = deque(number * samples for number in range(-ahead, 0))  # of the quanta that were not played yet
        for number in range(-ahead, 0):
            self._outbox.put((number, self._silence()))

    # ---- the side of the device --------------------------------------------------------------------------------------

    def swap(self, block: Array, lost: int = 0, time: float = 0.0) -> Array:
        """Give the engine the samples that the device recorded; return those to play now, [samples, `channels`].

        They are silence in the first `ahead` calls, and whenever the engine is late. block: [samples, channels that the
        device records]; it is not copied, and not used if there is a second clock. lost: the number of samples that the
        device lost since the last call. time: see `Quantum`.
        """
        number = self.number
        self.number += 1
        if lost:
            self.losses.append((number * self.samples + self.lost, lost))
            self.lost += lost
        self._begins.append(number * self.samples + self.lost)
        self._inbox.put(Quantum(number, block, lost, time))
        wanted, begin = number - self.ahead, self._begins.popleft()
        while True:
            try:
                found, played = self._outbox.get_nowait()
            except Empty:
                self._count_silence(begin)
                return self._silence()
            if found == wanted:
                self.late = 0
                return played

    def hear(self, block: Array, time: float, lost: int = 0) -> None:
        """Give the engine a block of the second device, without a copy. For the arguments see `SecondClock.put`."""
        self.heard += 1
        self._inbox.put(SecondBlock(block, time, lost))

    def end(self) -> None:
        """Tell the engine that no more quanta come."""
        self._inbox.put(None)

    # ---- the side of the engine --------------------------------------------------------------------------------------

    def waiting(self, wait: bool = True) -> list[Quantum] | None:
        """Return all quanta that wait for the engine; None after the end.

        wait: whether to wait for a quantum if there is none; otherwise the list can be empty.
        """
        found: list[Quantum] = []
        while True:
            try:
                one = self._inbox.get(wait and not found)
            except Empty:
                return found
            if one is None:
                self._inbox.put(None)
                return found or None
            if self.second is None:
                assert isinstance(one, Quantum)
                found.append(one)
            elif isinstance(one, SecondBlock):
                self.second.put(one.block, one.time, one.lost)
            else:
                found.append(replace(one, block=self.second.take(one.time)))

    def deliver(self, number: int, block: Array) -> None:
        """Give the device the output, [samples, channels], for the quantum with this number. The numbers must rise."""
        self._outbox.put((number, block))

    def _count_silence(self, begin: int) -> None:
        """Count a silent quantum whose first sample has the number `begin`."""
        self.late += 1
        self.silent += self.samples
        first, samples = self.gaps[-1] if self.gaps else (begin, 0)
        if begin == first + samples:
            self.gaps[-1:] = [(first, samples + self.samples)]
        else:
            self.gaps.append((begin, self.samples))

    def _silence(self) -> Array:
        return np.zeros((self.samples, self.channels), np.float32)
