"""The process in which the engine of a live graph runs, alone, so that no other Python code delays it."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from dspgraph.errors import DspgraphError, LiveError, RequestError, describe_error
from dspgraph.graph import Graph
from dspgraph.live.device import OUT, DeviceRequest
from dspgraph.live.engine import Ask, Engine, Setup, rehearse
from dspgraph.live.events import Event, Play, Swap
from dspgraph.live.ports import DevicePort
from dspgraph.live.recorder import Recorder
from dspgraph.live.running import Device
from dspgraph.live.sounds import FileSound, ReadAhead
from dspgraph.processes import ignore_signals
from dspgraph.streams import Array, Audio

_SWITCH = 0.0005
"""Seconds after which a thread of Python lets another one run."""


@dataclass(frozen=True)
class LiveOrder:
    """The message with which the process of a live graph is started.

    setup, device: the graphs with their settings, and the device. begin: the events with which the performance begins.
    lines: for each of these events the result of `event_line`, or {} without a recording. record: the folder of the
    recording; None: there is no recording, and `header` is not used. header: the first line of its file of events.
    """

    setup: Setup
    device: Device
    begin: tuple[Event, ...] = ()
    lines: tuple[Mapping[str, Any], ...] = ()
    record: Path | None = None
    header: Mapping[str, Any] | None = None


class _Stopped(BaseException):
    """The exception that is raised when the system tells the process to end (SIGTERM)."""


class Sender:
    """A thread that sends messages to the program through a pipe, so that the engine never waits for a busy program.

    Errors in messages are sent as `sendable` returns them. When the program has ended, messages are dropped.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._queue: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._send, name="sender", daemon=True)
        self._thread.start()

    def __call__(self, *message: Any) -> None:
        """Append a message, (kind, values ...), to those that the thread sends."""
        self._queue.put(message)

    def close(self) -> None:
        """Wait until all messages are sent, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _send(self) -> None:
        gone = False
        while (message := self._queue.get()) is not None:
            try:
                if not gone:
                    self._pipe.send(sendable(message))
            except OSError:
                gone = True  # the program has ended


def sendable(message: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a message in which each error that cannot be pickled is replaced by a LiveError with its text."""
    found = []
    for part in message:
        if isinstance(part, Exception):
            try:
                pickle.loads(pickle.dumps(part))
            except Exception:
                part = LiveError(describe_error(part))
        found.append(part)
    return tuple(found)


def serve(pipe: Connection, payload: bytes) -> None:
    """Run a live graph in this process, until the program says "stop" or ends.

    Call this in the main thread of a process of its own: it takes over the signals, and stops the garbage collector.

    pipe: the connection to the program. payload: a pickled `LiveOrder`. An error that prevents the start is sent as the
    message ("failed", error). The first error of the running graph is sent as ("error", error), and again at the end in
    ("closed", statistics, error). If there was none, this message has the error of completing the recording, or None.
    If the running graph was ended by a LiveError, such as a lost device, the process is ended by `os._exit`.
    """
    ignore_signals()
    signal.signal(signal.SIGTERM, _stop)
    sys.setswitchinterval(_SWITCH)
    send, in_order = Sender(pipe), True
    try:
        in_order = _serve(pipe, payload, send)
    except _Stopped:
        send("failed", LiveError("the process of the live graph was ended by SIGTERM"))
    except Exception as error:
        if not isinstance(error, DspgraphError):
            error = LiveError(f"the live graph cannot begin: {describe_error(error)}")
        send("failed", error)
    send.close()
    if not in_order:
        os._exit(0)  # a library may wait for ever for a device that is lost


def _stop(number: int, _: Any) -> None:
    raise _Stopped


def _serve(pipe: Connection, payload: bytes, send: Sender) -> bool:
    """Run a live graph, as `serve` does; return False if a LiveError, such as a lost device, has ended it.

    Raises an error that prevents the start; for such an error it sends no message.
    """
    try:
        order: LiveOrder = pickle.loads(payload)
    except Exception as error:
        raise RequestError(
            f"the graph cannot be sent to another process: {error}: put node classes into a file that can be imported"
        ) from error
    setup = order.setup
    request = device_request(setup)
    send("opening")
    form = order.device.open(request)
    send("opened")
    span = form.samples / form.rate
    for graph in dict.fromkeys((setup.graph, *setup.variants)):
        rehearse(graph, span, setup.latency)
    recorder = None
    if order.record is not None:
        recorded = {name: setup.graph.inputs[name] for name in setup.inputs}
        recorder = Recorder(order.record, recorded, setup.graph.outputs, order.header or {})
    engine = None
    try:
        engine = Engine(setup, form, send, recorder)
        control = Control(engine, recorder)
        control.begin(order.begin, order.lines)
        stop = threading.Event()
        thread = threading.Thread(target=_run, args=(order.device, engine, stop, send), name="device", daemon=True)
        gc.collect()
        gc.freeze()  # a collection would visit all objects of all libraries, which takes 0.1 s
        gc.disable()
        send("opening")
        thread.start()
        try:
            control.listen(pipe, send)
        except _Stopped:
            engine.hold(LiveError("the process of the live graph was ended by SIGTERM"))
        stop.set()
        thread.join()
    finally:
        held = engine.error if engine is not None else None
        if recorder is not None:
            try:
                recorder.close(asdict(engine.stats()) if engine is not None else {}, partial(send, "writing"))
            except Exception as failed:
                held = held or failed
    send("closed", engine.stats(), held)
    return not isinstance(held, LiveError)


def _run(device: Device, engine: Engine, stop: threading.Event, send: Sender) -> None:
    """Run the device, and send the message "ended" when it ends. If it raises an error, the engine keeps the error."""
    try:
        device.run(engine, stop)
    except Exception as error:
        engine.hold(error if isinstance(error, DspgraphError) else LiveError(f"the device: {describe_error(error)}"))
    send("ended")


def device_request(setup: Setup) -> DeviceRequest:
    """Return the request of a live graph to its device. Raises RequestError if a stream at the device is not audio.

    The rate is that of the first stream at the device; without one, of the first audio stream of the graph; or 16000.
    """
    graph = setup.graph
    ports: dict[str, DevicePort] = {}
    streams: dict[str, Audio] = {}
    places = [(name, port, graph.inputs[name]) for name, port in setup.inputs.items()]
    places += [(f"{OUT}{name}", way, graph.outputs[name]) for name, way in setup.outputs.items()]  # type: ignore[misc]
    for name, port, stream in places:
        if isinstance(port, DevicePort):
            if not isinstance(stream, Audio):
                raise RequestError(f"a device takes and gives audio; '{name}' is {stream}: push or pull its items")
            ports[name], streams[name] = port, stream
    rates = [stream.rate for stream in streams.values()]
    rates += [stream.rate for stream in (*graph.inputs.values(), *graph.outputs.values()) if isinstance(stream, Audio)]
    return DeviceRequest(rates[0] if rates else Fraction(16000), setup.quantum, ports, streams)


class Control:
    """The object in the process of a live graph that carries out the requests of the program.

    It prepares events, so that the engine can add them quickly.
    """

    def __init__(self, engine: Engine, recorder: Recorder | None) -> None:
        self.engine, self.recorder = engine, recorder
        self._last: Graph = engine.setup.graph
        self._known: list[Graph] = [engine.setup.graph, *engine.setup.variants]
        self._read: dict[tuple[Any, ...], Array] = {}  # `FileSound.key` -> its samples

    def begin(self, events: tuple[Event, ...], lines: tuple[Mapping[str, Any], ...]) -> None:
        """Add the events that the performance begins with, one by one. Call this before the engine runs.

        lines: as in `LiveOrder`. Raises the error of the first event that does not fit; the events before it stay.
        """
        for event, line in zip(events, lines, strict=True):
            answers: list[Any] = []
            ready, self._last = self._prepared((event,))
            self._give(ready, (line,), answers.append)
            self.engine.answer()
            if isinstance(answers[0], Exception):
                raise answers[0]

    def listen(self, pipe: Connection, send: Sender) -> None:
        """Carry out the requests that come through the pipe, until the program says "stop" or has ended.

        A request is a tuple (kind, number, arguments ...), also ("stop", number). Its answer, which `_do` describes, or
        the error in its place is sent as the message ("answer", number, answer).
        """
        while True:
            try:
                kind, number, *rest = pipe.recv()
            except (EOFError, OSError):
                return
            if kind == "stop":
                return
            try:
                self._do(kind, rest, partial(send, "answer", number))
            except Exception as error:
                send("answer", number, error)

    def _do(self, kind: str, rest: list[Any], answer: Callable[[Any], None]) -> None:
        """Carry out one request. kind: its name; rest: its arguments.

        answer: a function that is called with the answer, or with the error in its place, perhaps after the return. An
        error that `_do` raises is an answer, too: `answer` is then not called.

        "events" (events, lines) adds events; the answer is the list of their times. "frames" (name, items) puts items
        into a queue; the answer is None, when the queue has taken all. "wanted" (name) asks how many items a queue can
        take. "pulled" (name, count) says that items were pulled, and has no answer. "time" and "stats" ask for the time
        and for the statistics.
        """
        if kind == "events":
            events, lines = rest
            self._ask(events, lines, lambda found: answer(_times(found)))
        elif kind == "frames":
            name, items = rest
            self.engine.queues[name].put(items, answer)
        elif kind == "wanted":
            answer(self.engine.queues[rest[0]].wanted())
        elif kind == "time":
            answer(self.engine.performance.time)
        elif kind == "pulled":
            self.engine.pulled[rest[0]] += rest[1]
        else:
            answer(self.engine.stats())

    def _ask(self, events: tuple[Event, ...], lines: tuple[Mapping[str, Any], ...], answered: Any) -> None:
        """Prepare events, and give them to the engine as one request; see `Ask` for `lines`.

        answered: a function that is called with the events, each with its time, or with the error of the engine or of
        opening a file. The errors of `_prepared` are raised; so are those of `_give`, unless a thread opens the files.

        Files are opened in a thread of their own, so that other requests need not wait for them. Only if there is a
        swap among the events, later requests wait, because swaps must keep their order.
        """
        ready, last = self._prepared(events)
        files = any(isinstance(event, Play) and isinstance(event.sound, FileSound) for event in ready)
        if files and not any(isinstance(event, Swap) for event in ready):
            given = (ready, lines, answered)
            threading.Thread(target=self._give_or_refuse, args=given, name="events", daemon=True).start()
            return
        self._give(ready, lines, answered)
        self._last = last

    def _prepared(self, events: tuple[Event, ...]) -> tuple[tuple[Event, ...], Graph]:
        """Check events and prepare their swaps. Return the events, and the graph after all swaps so far.

        The graph of a new swap is rehearsed. Raises the errors of `Performance.checked`, and LiveError if an error has
        stopped the graph.
        """
        engine, last = self.engine, self._last
        engine.check_running()
        ready: list[Event] = []
        for event in engine.performance.checked(events):
            if isinstance(event, Swap):
                event = replace(event, graph=self._rehearsed(event.graph))
                engine.performance.prepare(last, event.graph)
                last = event.graph
            ready.append(event)
        return tuple(ready), last

    def _give(self, events: tuple[Event, ...], lines: tuple[Mapping[str, Any], ...], answered: Any) -> None:
        """Open the files of prepared events, record their sounds, and give the events to the engine; see `_ask`.

        The line of a recorded sound gets the key "file". Raises FileError for a sound that cannot be read or recorded,
        RequestError for one that is not audio and would be recorded, and LiveError if the recording has ended.
        """
        ready, written = [], []
        for event, line in zip(events, lines, strict=True):
            opened = event
            if isinstance(event, Play) and isinstance(event.sound, FileSound):
                opened = replace(event, sound=self._opened(event.sound, event))
            if isinstance(event, Play) and self.recorder is not None:
                stream = self.engine.setup.graph.inputs[event.input]
                if not isinstance(stream, Audio):
                    raise RequestError(f"only audio can be recorded; '{event.input}' is {stream}")
                assert not isinstance(event.sound, ReadAhead)
                line = {**line, "file": self.recorder.sound(event.input, event.sound, stream)}
            ready.append(opened)
            written.append(line)
        self.engine.asked.put(Ask(tuple(ready), answered, tuple(written)))

    def _opened(self, sound: FileSound, event: Play) -> Array | ReadAhead:
        """Return the sound of an event, ready to be played: a `ReadAhead` if it is long, otherwise all its samples.

        All events with the same short sound share one array, which must not be changed. sound: that of `event`.
        """
        if sound.long:
            return ReadAhead(sound, event.loops, event.skip)
        if sound.key not in self._read:
            self._read[sound.key] = sound.read()
        return self._read[sound.key]

    def _give_or_refuse(self, events: tuple[Event, ...], lines: tuple[Mapping[str, Any], ...], answered: Any) -> None:
        """Do what `_give` does, and answer the request with the error if there is one."""
        try:
            self._give(events, lines, answered)
        except Exception as error:
            answered(error)

    def _rehearsed(self, graph: Graph) -> Graph:
        """Return the graph, after a rehearsal, or an equal graph that was rehearsed before."""
        for one in self._known:
            if one == graph:
                return one
        rehearse(graph, self.engine.form.samples / self.engine.form.rate, self.engine.setup.latency)
        self._known.append(graph)
        return graph


def _times(answer: Any) -> Any:
    return [event.at for event in answer] if isinstance(answer, tuple) else answer
