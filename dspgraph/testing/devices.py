"""A sound device in virtual time, for tests of live graphs. A script says what happens at which quantum."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from dspgraph.errors import DspgraphError, LiveError
from dspgraph.live.device import DeviceFormat, DeviceRequest, SecondFormat
from dspgraph.live.engine import Ask, Engine
from dspgraph.live.events import Event
from dspgraph.live.exchange import Quantum
from dspgraph.live.running import EngineThread
from dspgraph.streams import Array, Number, to_fraction

FIRST = 0.5
"""Seconds by which the recording begins before the playing, if there are two clocks (see `FakeDevice.clock`)."""


@dataclass
class FakeDevice:
    """A sound device that records an array, and keeps the samples that it plays in `played`, [samples, outputs].

    heard: the array that is recorded, [samples] or [samples, inputs], at the rate of the device. The device ends where
    the array ends; a rest that is shorter than a quantum is not recorded. outputs: the number of channels that the
    device plays. rate: its rate, samples per second; None: the rate of the graph. threads: compute in a thread, as
    behind a real device; the device then waits for each quantum, so that none is late, and ignores `late`. Without
    threads, time is virtual: the engine takes only the time that `late` gives it. repeat: record the array again and
    again, until the device is stopped; with `threads`, `played` then has only the last 1000 quanta.

    The script: late, lost and asks are mappings from the number of a quantum, from 0. late: the seconds that the engine
    takes for this quantum; it takes 0 s for others. lost: the number of samples that the device loses before the
    quantum; they are skipped in `heard`. asks: lists of events, which are asked for just before the quantum; the events
    of one list that have no time take effect together, as soon as possible. The attribute `answers` gets an entry for
    each list: the events with their times, or the error. dies: the number of the quantum at which the device is lost:
    `run` raises LiveError.

    clock: time in seconds -> by how many millionths the clock of the recording side is faster than the clock of the
    playing side, in the order of the times, interpolated linearly between them; None: there is one clock. With two
    clocks, recorded blocks and quanta come at times of their own, each delayed by a random time up to `jitter` seconds,
    and the keys of `lost` are numbers of recorded blocks, not of quanta. With one clock, `jitter` is ignored.
    """

    heard: Array
    outputs: int = 1
    rate: Number | None = None
    late: Mapping[int, Number] = field(default_factory=dict)
    lost: Mapping[int, int] = field(default_factory=dict)
    asks: Mapping[int, Sequence[Event]] = field(default_factory=dict)
    dies: int | None = None
    clock: Mapping[float, float] | None = None
    jitter: float = 0.0
    threads: bool = False
    repeat: bool = False

    def __post_init__(self) -> None:
        heard = np.asarray(self.heard, np.float32)
        self.heard = heard.reshape(len(heard), -1)
        self.blocks: list[Array] = []
        self.answers: list[tuple[Event, ...] | Exception] = []

    @property
    def played(self) -> Array:
        """The samples that were played and kept up to now, [samples, outputs]."""
        return np.concatenate([np.zeros((0, self.outputs), np.float32), *self.blocks])

    def open(self, request: DeviceRequest) -> DeviceFormat:
        """Return the format in which this device runs. request: the rate, quantum and channels that the graph wants.

        The device has its own rate, if it was given one. Raises ParameterError for channels that it does not have.
        """
        rate = request.rate if self.rate is None else to_fraction(self.rate)
        samples = max(1, round(request.quantum * rate))
        channels = self.heard.shape[1]
        second = None if self.clock is None else SecondFormat(rate, channels)
        return DeviceFormat(rate, samples, self.outputs, request.columns(channels, self.outputs), "fake device", second)

    def run(self, engine: Engine, stop: threading.Event) -> None:
        """Act as the device of `engine` until the array `heard` ends, or until `stop` is set.

        What happens at which quantum is the script of this object. Raises LiveError at the quantum `dies`. The
        attribute `engine.exchange.deliver` is set to a function of this object, and stays so.
        """
        engine.report("running", engine.form)
        if self.threads:
            self._run_in_threads(engine, stop)
        else:
            self._run_in_virtual_time(engine, stop)

    def _quanta(self, engine: Engine) -> Iterator[tuple[int, tuple[Array, int, float]]]:
        """Yield (number, arguments of `Exchange.swap`) for each quantum. Raises LiveError at the quantum `dies`."""
        blocks = self._heard(engine.form.samples)
        quanta = enumerate((*one, 0.0) for one in blocks) if self.clock is None else self._clocked(engine, blocks)
        for number, given in quanta:
            if number == self.dies:
                raise LiveError("the device was lost: is it still connected?")
            yield number, given

    def _heard(self, samples: int) -> Iterator[tuple[Array, int]]:
        """Yield (block [samples, inputs], number of samples lost before it) for each block that is recorded.

        samples: the number of samples in a block. With `repeat`, blocks come without end, unless `heard` is shorter
        than one block.
        """
        at = number = 0
        while True:
            lost = self.lost.get(number, 0)
            begin = at + lost
            if self.repeat and begin + samples > len(self.heard):
                begin = 0
            at = begin + samples
            if at > len(self.heard):
                return
            yield self.heard[begin:at], lost
            number += 1

    def _clocked(
        self, engine: Engine, blocks: Iterator[tuple[Array, int]]
    ) -> Iterator[tuple[int, tuple[Array, int, float]]]:
        """Yield (number, arguments of `Exchange.swap`) for each quantum, if there are two clocks.

        Before each quantum, all blocks that have come from the recording side by then, each with its own delay, are
        given to the exchange. The last quantum comes when `blocks` ends. blocks: as `_heard` yields them.
        """
        assert self.clock is not None
        rate, samples, draw = float(engine.form.rate), engine.form.samples, np.random.default_rng(0)
        at, faster = list(self.clock), list(self.clock.values())
        waiting: deque[tuple[float, Array, int]] = deque()
        end, came, number = -FIRST, -FIRST, 0
        while True:
            asked = number * samples / rate + self.jitter * draw.random()
            while not waiting or came <= asked:
                if (found := next(blocks, None)) is None:
                    return
                block, lost = found
                end += (len(block) + lost) / (rate * (1 + 1e-6 * float(np.interp(end, at, faster))))
                came = max(came, end + self.jitter * draw.random())
                waiting.append((came, block, lost))
            while waiting[0][0] <= asked:
                time, block, lost = waiting.popleft()
                engine.exchange.hear(block, time, lost)
            yield number, (np.zeros((samples, 0), np.float32), 0, asked)
            number += 1

    def _ask(self, engine: Engine, number: int) -> None:
        if number in self.asks:
            try:
                events = engine.performance.checked(self.asks[number])
            except DspgraphError as error:
                self.answers.append(error)
            else:
                engine.asked.put(Ask(events, self.answers.append))

    def _run_in_virtual_time(self, engine: Engine, stop: threading.Event) -> None:
        span = engine.form.samples / engine.form.rate
        free = Fraction(0)  # when the engine has nothing to do any more
        waiting: list[Quantum] = []
        ready: list[tuple[Fraction, int, Array]] = []
        deliver = engine.exchange.deliver
        engine.exchange.deliver = lambda *block: ready.append((free, *block))  # type: ignore[method-assign]

        def compute(until: Fraction | None) -> None:
            """Let the engine compute the waiting quanta whose computation begins before the time `until`.

            A computation begins when the quantum does, or, if the engine is still busy then, when it is free. until: in
            seconds; None to compute all quanta that wait.
            """
            nonlocal free
            while waiting:
                begin = max(free, waiting[0].number * span)
                if until is not None and begin >= until:
                    return
                some = [quantum for quantum in waiting if quantum.number * span <= begin]
                del waiting[: len(some)]
                free = begin + sum((to_fraction(self.late.get(one.number, 0)) for one in some), Fraction(0))
                engine.serve(some)

        try:
            for number, given in self._quanta(engine):
                if stop.is_set():
                    break
                now = number * span
                compute(now)
                while ready and ready[0][0] <= now:
                    deliver(*ready.pop(0)[1:])
                self._ask(engine, number)
                self.blocks.append(engine.exchange.swap(*given))
                waiting += engine.exchange.waiting(wait=False) or []
        finally:
            compute(None)

    def _run_in_threads(self, engine: Engine, stop: threading.Event) -> None:
        thread = EngineThread(engine, realtime=False)
        done = threading.Semaphore(0)
        deliver = engine.exchange.deliver

        def delivered(number: int, block: Array) -> None:
            deliver(number, block)
            done.release()

        engine.exchange.deliver = delivered  # type: ignore[method-assign]
        thread.start()
        try:
            for number, given in self._quanta(engine):
                if stop.is_set():
                    break
                self._ask(engine, number)
                self.blocks.append(engine.exchange.swap(*given))
                del self.blocks[: -1000 if self.repeat else 0]
                done.acquire()
        finally:
            engine.exchange.end()
            thread.join()
