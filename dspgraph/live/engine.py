"""The engine of a live graph: it computes, records and counts. It has no clock; a device says when quanta are due."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from dspgraph.errors import LiveError, RequestError, SignalError
from dspgraph.graph import Graph
from dspgraph.live.device import OUT, DeviceFormat
from dspgraph.live.edge import DeviceEdge
from dspgraph.live.events import Event, Swap
from dspgraph.live.exchange import Exchange, Quantum
from dspgraph.live.frames import FrameQueue
from dspgraph.live.performance import Performance, is_control
from dspgraph.live.ports import DevicePort, FrameInput, FrameOutput, InputPort, OutputPort
from dspgraph.live.recorder import Recorder
from dspgraph.live.second_clock import SecondClock
from dspgraph.live.writing import timed
from dspgraph.streams import Array, Audio, Stream, first_bad_item

ERROR_FADE = 0.005
"""Seconds in which the output fades to silence after an error."""

TOO_LATE = 1
"""Seconds without output after which a graph is too slow to run live."""


@dataclass(frozen=True)
class Setup:
    """The graphs and settings of a live graph. They can be sent to another process.

    inputs: name of an input -> its source, for every input that is not a control and into which no sound is played.
    outputs: name of an output -> its destination. quantum: the duration of a quantum in seconds. ahead: the number of
    quanta that lie ready for the device. latency: the latency of the performance, in seconds. controls: name of a
    control -> its value at the beginning. played: the inputs into which sounds are played. variants: graphs that may be
    swapped in; each is run on noise before the device starts (see `rehearse`).
    """

    graph: Graph
    inputs: Mapping[str, InputPort]
    outputs: Mapping[str, OutputPort]
    quantum: Fraction
    ahead: int
    latency: Fraction
    controls: Mapping[str, float] = field(default_factory=dict)
    played: tuple[str, ...] = ()
    variants: tuple[Graph, ...] = ()


@dataclass(frozen=True)
class Stats:
    """The counts and times of a live graph up to now. Times are in seconds, counts in samples of the device.

    seconds: the duration of the signal that was computed. rate: the sample rate of the device, Hz. quantum: the
    duration of a quantum. ahead: the number of quanta that lie ready for the device. latency: the latency of the graph,
    plus the quanta that lie ready, plus the delays of conversions of the rate, without the latency of the device
    itself. silent: the number of output samples that were not ready in time; gaps: (time, samples) of each run of such
    samples. lost: the number of input samples that the device lost; losses: (time, samples) of each loss. drift: by how
    many millionths the clock of a second device is faster than that of the first; None if there is one clock. missing:
    the number of items of frame inputs that the program did not push in time. worst, mean: the longest and the mean
    time of computing a quantum. priority: the priority of the engine's thread, in words. levels: name of an input, or
    OUT and the name of an output -> the largest magnitude of its floats since the last call of `Engine.stats`.
    """

    seconds: float = 0.0
    rate: float = 0.0
    quantum: float = 0.0
    ahead: int = 0
    latency: float = 0.0
    silent: int = 0
    gaps: tuple[tuple[float, int], ...] = ()
    lost: int = 0
    losses: tuple[tuple[float, int], ...] = ()
    drift: float | None = None
    missing: int = 0
    worst: float = 0.0
    mean: float = 0.0
    priority: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """A request to add events, all of them or none. Those without a time take effect together.

    events: as `Performance.checked` returns them. answered: a function that is called with the events, each with its
    time, or with the error. lines: for each event its line in the file of events, without the time; they are used only
    if there is a recording.
    """

    events: tuple[Event, ...]
    answered: Callable[[tuple[Event, ...] | Exception], None]
    lines: tuple[Mapping[str, Any], ...] = ()


class Engine:
    """A performance that computes the quanta of a device.

    form: the format of the device. report: a function that is called with messages (kind, values ...): ("error",
    error), ("completed", input, time) when a sound has ended, ("frames", output, items), and by the device with
    ("running", form). recorder: writes the recording; None: no recording.
    """

    def __init__(
        self, setup: Setup, form: DeviceFormat, report: Callable[..., None], recorder: Recorder | None = None
    ) -> None:
        self.setup, self.form, self.report, self.recorder = setup, form, report, recorder
        graph = setup.graph
        self.performance = Performance(graph, (), setup.controls, setup.played, setup.latency)
        own = form.second
        second = None if own is None else SecondClock(own.rate, form.rate, own.channels, form.samples)
        self.exchange = Exchange(form.samples, setup.ahead, form.outputs, second)
        self.asked: SimpleQueue[Ask] = SimpleQueue()
        self.error: Exception | None = None
        self.priority = "normal"
        span = form.samples / form.rate
        self.queues = {
            name: FrameQueue(
                graph.inputs[name],
                max(1, math.floor(port.limit * graph.inputs[name].rate), math.ceil(span * graph.inputs[name].rate)),
            )
            for name, port in setup.inputs.items()
            if isinstance(port, FrameInput)
        }
        self._given = dict.fromkeys(setup.outputs, 0)
        self.pulled = dict.fromkeys(setup.outputs, 0)
        """The numbers of items that the program has pulled, by output."""
        self._samples = 0  # of the device, so far
        self._fed = dict.fromkeys(setup.inputs, 0)
        self._columns: dict[str, tuple[int, ...]] = {}
        self._edges: dict[str, DeviceEdge] = {}
        for name, port in setup.inputs.items():
            if isinstance(port, DevicePort):
                stream = _audio(name, graph.inputs[name])
                self._columns[name] = form.columns[name]
                self._edges[name] = DeviceEdge(form.rate, stream.rate, stream.channels)
        self._out: dict[str, tuple[tuple[int, ...], DeviceEdge]] = {}
        for name, way in setup.outputs.items():
            if isinstance(way, DevicePort):
                stream = _audio(name, graph.outputs[name])
                edge = DeviceEdge(stream.rate, form.rate, stream.channels)
                self._out[name] = form.columns[f"{OUT}{name}"], edge
        self._faded = np.zeros(form.outputs, np.float32)
        self._levels: dict[str, float] = {}
        self._worst = self._spent = 0.0
        self._quanta = 0

    # ---- computing --------------------------------------------------------------------------------------------------

    def serve(self, quanta: Sequence[Quantum]) -> None:
        """Compute the output for one or more recorded quanta, in one call of the graph, and deliver it to the exchange.

        The requests in `asked` are answered first. After an error the output fades to silence. An error is also held if
        the device has had no output for more than TOO_LATE seconds, or if the recorder has failed.
        """
        begin = time.perf_counter()
        self.answer()
        blocks = self._compute(quanta) if self.error is None else None
        if blocks is None:
            blocks = [self._fade() for _ in quanta]
        for quantum, block in zip(quanta, blocks, strict=True):
            self.exchange.deliver(quantum.number, block)
        each = (time.perf_counter() - begin) / len(quanta)
        self._worst = max(self._worst, each)
        self._spent += each * len(quanta)
        self._quanta += len(quanta)
        if self.exchange.late * self.form.samples > TOO_LATE * self.form.rate:
            late = f"{float(self.exchange.late * self.form.samples / self.form.rate):.3g} s"
            self.hold(LiveError(f"the graph takes more time than there is: no output for {late}: use fewer nodes, or a "
                                "longer quantum"))  # fmt: skip
        if self.recorder is not None and self.recorder.error is not None:
            self.hold(LiveError(f"the recording stopped: {self.recorder.error}"))

    def hold(self, error: Exception) -> None:
        """Keep an error and report it, if it is the first one.

        From then on the output is silent, and pushes that wait are answered with the error.
        """
        if self.error is None:
            self.error = error
            self.report("error", error)
            for queue in self.queues.values():
                queue.refuse(error)

    def _compute(self, quanta: Sequence[Quantum]) -> list[Array] | None:
        """Return the output for each quantum, [samples, channels]; None if there is an error, which `hold` keeps.

        The outputs of the graph are also recorded, and sent to the program if it pulls them.
        """
        try:
            count = sum(len(quantum.block) + quantum.lost for quantum in quanta)
            found = self._advance(quanta, count)
            for name, items in found.items():
                self._check_finite(name, items)
            for name, items in found.items():
                self._give(name, items)
            return self._blocks(quanta, count)
        except Exception as error:
            self.hold(error)
            return None

    def _advance(self, quanta: Sequence[Quantum], count: int) -> dict[str, Array]:
        """Push the input of some quanta into the performance; return the items of each output, by name.

        The inputs are also recorded, and sounds that have ended are reported.

        count: the number of samples in these quanta at the rate of the device, with the samples that were lost.
        """
        self._samples += count
        end = self._samples / self.form.rate
        pushed = {}
        for name in self.setup.inputs:
            stream = self.setup.graph.inputs[name]
            if name in self._columns:
                edge = self._edges[name]
                edge.put(_with_lost(quanta, self._columns[name]))
                due = math.floor(end * stream.rate) - self._fed[name]
                items = edge.take(due).reshape(due, *stream.item_shape) if due else stream.empty()
                items = items.astype(np.float32).astype(stream.dtype)
            else:
                due = self.due(name, end)
                items = self.queues[name].take(due)
            self._fed[name] += due
            pushed[name] = items
            self._meter(name, items)
            if self.recorder is not None:
                self.recorder.put("in", name, items)
        before = self.performance.time
        found = self.performance.push(**pushed) if pushed else self.performance.advance(end - before)
        for name, over in self.performance.ended():
            self.report("completed", name, over)
        return found

    def due(self, name: str, end: Fraction) -> int:
        """Return how many items of the input `name` the performance still needs to reach the time `end`, in seconds."""
        return self.setup.graph.inputs[name].count(end) - self._fed[name]

    def full(self) -> bool:
        """Return whether an output that the program pulls has reached its limit."""
        ports = [(name, port) for name, port in self.setup.outputs.items() if isinstance(port, FrameOutput)]
        outputs = self.setup.graph.outputs
        return any(self._given[name] - self.pulled[name] >= port.most(outputs[name]) for name, port in ports)

    def _check_finite(self, name: str, items: Array) -> None:
        if items.dtype.kind != "i" and (bad := first_bad_item(items)) is not None:
            stream = self.setup.graph.outputs[name]
            at = float(self.performance.time - stream.seconds(len(items) - bad))
            raise SignalError(
                f"the output '{name}' is not finite at {at:.3f} s: find the node that divides by zero or grows without "
                "bound"
            )

    def _give(self, name: str, items: Array) -> None:
        self._meter(f"{OUT}{name}", items)
        if self.recorder is not None:
            self.recorder.put("out", name, items)
        if isinstance(self.setup.outputs.get(name), FrameOutput):
            self._given[name] += len(items)
            self.report("frames", name, items)
        if name in self._out:
            self._out[name][1].put(items.reshape(len(items), -1))

    def _blocks(self, quanta: Sequence[Quantum], count: int) -> list[Array]:
        """Return the samples for the device, clipped to +-1: one block [samples, channels] for each quantum.

        Outputs on the same channel are added. count: the number of samples in these quanta, with the samples that were
        lost; as many are taken from each output.
        """
        played = np.zeros((count, self.form.outputs), np.float32)
        for columns, edge in self._out.values():
            taken = edge.take(count)
            for k, column in enumerate(columns):
                played[:, column] += taken[:, min(k, taken.shape[1] - 1)]
        np.clip(played, -1, 1, out=played)
        blocks, at = [], 0
        for quantum in quanta:
            at += quantum.lost  # the time of what was lost has passed in the output too
            blocks.append(played[at : at + len(quantum.block)])
            at += len(quantum.block)
        self._faded = blocks[-1][-1].copy()
        return blocks

    def _fade(self) -> Array:
        """Return the output of a quantum after an error, [samples, channels].

        In the first call, the last values fade to silence within ERROR_FADE seconds, or within the quantum if it is
        shorter. Later calls return zeros.
        """
        ramp = 1 - np.arange(1, self.form.samples + 1) / max(
            1, min(self.form.samples, ERROR_FADE * float(self.form.rate))
        )
        block: Array = (self._faded * np.maximum(ramp, 0)[:, None]).astype(np.float32)
        self._faded = np.zeros_like(self._faded)
        return block

    def _meter(self, name: str, items: Array) -> None:
        if len(items) and items.dtype.kind == "f":
            self._levels[name] = max(self._levels.get(name, 0.0), float(np.abs(items).max()))

    # ---- events -----------------------------------------------------------------------------------------------------

    def answer(self) -> None:
        """Add all events that were requested since the last call, and answer the requests.

        An event without a time gets the earliest time that is not computed yet. If an error has stopped the graph, no
        event is added, and the answer is a LiveError.
        """
        while True:
            try:
                ask = self.asked.get_nowait()
            except Empty:
                return
            try:
                self.check_running()
                ask.answered(self._add(ask))
            except Exception as error:
                ask.answered(error)

    def check_running(self) -> None:
        """Raise LiveError if an error has stopped the graph."""
        if self.error is not None:
            raise LiveError(f"the graph has stopped after an error: {self.error}")

    def _add(self, ask: Ask) -> tuple[Event, ...]:
        """Add the events of a request, all of them or none; return them with their times.

        The recorder gets the lines of the events.
        """
        added = self.performance.add_checked(ask.events)
        if self.recorder is not None:
            for stamped, line in zip(added, ask.lines, strict=True):
                self.recorder.line(timed(stamped, line))
        return added

    # ---- what it has done -------------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return the counts and times up to now. The levels are those since the last call."""
        exchange, rate, samples = self.exchange, self.form.rate, self.form.samples
        second = exchange.second
        losses = [(float(at / rate), count) for at, count in exchange.losses]
        levels, self._levels = self._levels, {}
        return Stats(
            seconds=float(self.performance.time),
            rate=float(rate),
            quantum=float(samples / rate),
            ahead=exchange.ahead,
            latency=float(self.performance.latency + exchange.ahead * samples / rate)
            + self._edge_lateness()
            + (second.lateness if second else 0.0),
            silent=exchange.silent,
            gaps=tuple((float(at / rate), count) for at, count in exchange.gaps),
            lost=exchange.lost + (second.lost if second else 0),
            losses=tuple(sorted([*losses, *(second.losses if second else ())])),
            drift=1e6 * second.drift if second else None,
            missing=sum(queue.missing for queue in self.queues.values()),
            worst=self._worst,
            mean=self._spent / max(1, self._quanta),
            priority=self.priority,
            levels=levels,
        )

    def _edge_lateness(self) -> float:
        """Return the delay of the conversions of the rate, in seconds.

        It is the longest delay before the graph, plus the longest delay after the graph.
        """
        before = [edge.lateness / self.setup.graph.inputs[name].rate for name, edge in self._edges.items()]
        after = [edge.lateness / self.form.rate for _, edge in self._out.values()]
        return float(max(before, default=Fraction(0)) + max(after, default=Fraction(0)))


def rehearse(graph: Graph, quantum: Fraction, latency: Fraction) -> None:
    """Run a graph on noise, with a swap to itself, so that everything is compiled before the graph runs live.

    Controls are 0.5, and inputs of whole numbers are 0. quantum, latency: those of the live graph, in seconds.
    """
    controls = {name: 0.5 for name, stream in graph.inputs.items() if is_control(stream)}
    performance = Performance(graph, [Swap(graph, at=quantum)], controls, latency=latency)
    draw, fed = np.random.default_rng(0), dict.fromkeys(performance.recorded, 0)
    end, at = latency + Fraction(1, 5), Fraction(0)
    for turn in range(10**6):
        if at >= end:
            return
        at += quantum * (1 + 8 * (turn == 3))  # one long push, as after a stall
        blocks = {}
        for name in performance.recorded:
            stream = graph.inputs[name]
            n = stream.count(at) - fed[name]
            fed[name] += n
            noise = 0.01 * draw.standard_normal((n, *stream.item_shape))
            blocks[name] = (
                np.zeros(noise.shape, stream.dtype) if stream.dtype.kind == "i" else noise.astype(stream.dtype)
            )
        if blocks:
            performance.push(**blocks)
        else:
            performance.advance(quantum)


def _audio(name: str, stream: Stream) -> Audio:
    if not isinstance(stream, Audio):
        raise RequestError(f"a device takes and gives audio; '{name}' is {stream}: push or pull its items")
    return stream


def _with_lost(quanta: Sequence[Quantum], columns: Sequence[int]) -> Array:
    """Return the channels `columns` of recorded quanta, [n, len(columns)], with zeros in place of lost samples."""
    parts = []
    for quantum in quanta:
        if quantum.lost:
            parts.append(np.zeros((quantum.lost, len(columns)), np.float32))
        parts.append(quantum.block[:, columns])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
