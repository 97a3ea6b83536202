"""A graph that runs live, through a device, in a process of its own."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from dspgraph.engine.blocks import QUANTUM
from dspgraph.errors import LiveError, RequestError, SignalError, UnknownName, suggest
from dspgraph.graph import Graph
from dspgraph.live.device import DeviceFormat
from dspgraph.live.engine import Setup, Stats
from dspgraph.live.events import Event, Play, Set, Shape, Stop, Swap, time_of
from dspgraph.live.performance import finite_latency, is_control
from dspgraph.live.portaudio import PortAudio
from dspgraph.live.ports import DevicePort, FileInput, FrameInput, FrameOutput, InputPort, OutputPort, rounded
from dspgraph.live.process import LiveOrder, serve
from dspgraph.live.recorder import recorded_files
from dspgraph.live.running import Device, NoDevice
from dspgraph.live.sounds import FileSound, ReadAhead
from dspgraph.live.writing import event_line, header_line
from dspgraph.processes import signals_blocked
from dspgraph.shown import shown
from dspgraph.streams import Array, Audio, Number, to_fraction

MOST_AHEAD = 1000
"""The most quanta that lie ready."""

_ANSWER = 60.0
"""Seconds to wait for an answer of the process. Preparing a graph can take long: kernels are compiled."""

_END = 30.0
"""Seconds to wait until the process has completed its recording, and ended. It says when it needs longer."""

_OPEN = 30.0
"""Seconds in which a device must open, and in which it must start."""

_DIED = "the process of the live graph has died"
_DIED_EARLY = f"{_DIED} as it started: in a script, start the graph below `if __name__ == '__main__':`"


class Live:
    """A graph between devices, files and arrays. It runs once, inside a `with` block, in a process of its own.

        with Live(graph, speech="default", out="default", record="take") as live: ...

    inputs, named: name of an input -> where it comes from, in a mapping or as arguments. It comes from a device, given
    by its name, a part of its name, or its number, with ":CHANNEL" (from 1) if it is not the first channel; from a
    `FileInput`; or from a `FrameInput`, whose items the program pushes. An audio input that is not named comes from the
    device "default", or from the sounds of `played`; any other input must be named, be a control or be played. out:
    where the output goes: a device, a `FrameOutput`, or None; for several outputs a mapping from their names.

    quantum: the wanted duration of a quantum in seconds; the attribute `quantum` has the duration that the device uses.
    ahead: the number of quanta that lie ready for the device, at least 1: more of them make the delay longer, and gaps
    rarer. variants: graphs that may be swapped in; each is run on noise before the device starts, so that it is
    compiled. latency: of the live graph, in seconds; by default the largest latency of `graph` and `variants`.
    controls: name of a control -> its value at the beginning, else 0. played: the inputs into which sounds will be
    played. events: events with their times, known from the start. record: a new folder, into which the inputs, the
    outputs and the events are recorded. device: a `Device` that is used in place of the system's devices.

    Raises RequestError, UnknownName and ParameterError for arguments that do not fit the graph or each other, and
    FileError for a file that cannot be played. At the beginning of the `with` block, LiveError is raised for a device
    that is missing. An error while the graph runs is raised once, by `wait` or at the end of the `with` block; until
    then the output is silent. Other calls, such as `push`, can raise it too.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[str, str | InputPort] | None = None,
        /,
        *,
        out: str | OutputPort | Mapping[str, str | OutputPort] | None = "default",
        record: str | Path | None = None,
        quantum: Number = QUANTUM,
        ahead: int = 2,
        latency: Number | None = None,
        variants: Iterable[Graph] = (),
        controls: Mapping[str, float] | None = None,
        played: Iterable[str] = (),
        events: Iterable[Event] = (),
        device: Device | None = None,
        **named: str | InputPort,
    ) -> None:
        self.graph = graph
        if twice := (inputs or {}).keys() & named.keys():
            raise RequestError(f"the input '{min(twice)}' is given twice, in the mapping and as an argument")
        sources = {**(inputs or {}), **named}
        variants, begin = tuple(variants), sorted(events, key=time_of)
        least = max(finite_latency(one) for one in (graph, *variants))
        if isinstance(ahead, bool) or not isinstance(ahead, int) or not 1 <= ahead <= MOST_AHEAD:
            raise RequestError(f"ahead is a number of quanta from 1 to {MOST_AHEAD}; found {shown(ahead)}")
        if not 0 < to_fraction(quantum) <= 1:
            raise RequestError(f"a quantum lasts more than 0 and at most 1 s; found {shown(quantum)}")
        sounding = {*played, *(event.input for event in begin if isinstance(event, Play | Stop))}
        for name in sounding:
            self._stream(name)
        ways = {name: DevicePort.parse(port) if isinstance(port, str) else port for name, port in sources.items()}
        files: list[FileInput] = []
        for name, port in ways.items():
            self._stream(name)
            if isinstance(port, FileInput):
                files.insert(0, port)
                begin.insert(0, port.event(name, self._audio_input(name), at=0))
                sounding.add(name)
        given = {name: port for name, port in ways.items() if not isinstance(port, FileInput)}
        for name, stream in graph.inputs.items():
            if is_control(stream) and name in ways:
                raise RequestError(f"'{name}' is a control: move it with set()")
            if not is_control(stream) and name not in {*ways, *sounding}:
                given[name] = DevicePort()
        if both := sounding & given.keys():
            raise RequestError(f"'{min(both)}' comes from a device or from frames: no sound is played into it")
        self.setup = Setup(
            graph=graph,
            inputs=given,
            outputs=self._outputs(out),
            quantum=to_fraction(quantum),
            ahead=ahead,
            latency=least if latency is None else to_fraction(latency),
            controls=dict(controls or {}),
            played=tuple(sorted(sounding)),
            variants=variants,
        )
        devices = [port for port in (*given.values(), *self.setup.outputs.values()) if isinstance(port, DevicePort)]
        self._device: Device = device or (PortAudio() if devices else NoDevice())
        self._begin = tuple(_rounded(event) for event in begin)
        self._files: list[tuple[Event, FileInput]] = [*zip(self._begin, files, strict=False)]
        self.record = None if record is None else Path(record)
        if self.record is not None:
            recorded_files({name: graph.inputs[name] for name in given}, graph.outputs)
        self._lines = tuple(self._line(event) for event in self._begin)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._number = 0
        self._answers: dict[int, Any] = {}
        self._pulled = {
            name: _Pulled(graph.outputs[name], port.most(graph.outputs[name]), not isinstance(self._device, NoDevice))
            for name, port in self.setup.outputs.items()
            if isinstance(port, FrameOutput)
        }
        self._reset()

    def _reset(self) -> None:
        self.events: list[Event] = list(self._begin)
        """All events so far, each with its time: `perform(graph, recording, live.events, ...)` gives the same."""
        self.completed: list[tuple[str, Fraction]] = []
        """The sounds that have ended: (input, time in seconds of the signal). A sound that is stopped or replaced ends
        with its fade-out.
        """
        self.form: DeviceFormat | None = None
        self._opening: float | None = None  # since when the device is being opened, or started
        self._writing = 0.0  # when the process has said last that it completes its recording
        self.error: Exception | None = None
        self._last: Stats | None = None
        self._ended = self._closed = False
        self._raised = False

    # ---- beginning and end ------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._process is not None:
            raise RequestError("this live graph has run: make another one")
        order = LiveOrder(
            self.setup, self._device, self._begin, self._lines, self.record,
            header_line(self.graph, self.setup.latency, self.setup.controls, self.setup.played),
        )  # fmt: skip
        try:
            payload = pickle.dumps(order)
        except Exception as error:
            raise RequestError(
                f"the graph cannot be sent to another process: {error}: put node classes into a file that can be "
                "imported"
            ) from error
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, payload), name="live", daemon=True)
        try:
            with other, signals_blocked():
                self._process.start()
            threading.Thread(target=self._receive, name="live messages", daemon=True).start()
            self._wait_for_device()
            if self.form is None:
                raise self.error or LiveError("the process of the live graph has ended as it began")
        except BaseException:
            if self._process.pid is not None:
                self._stop()
            raise
        return self

    def _wait_for_device(self) -> None:
        """Wait until the device runs, or the process has ended.

        Raises LiveError if the device takes too long to open or to start; a library cannot be stopped in such a call,
        so the process is killed.
        """
        assert self._process is not None
        with self._changed:
            while not (self.form is not None or self._closed or self._ended):
                self._changed.wait(0.2)
                if self._opening is not None and time.monotonic() > self._opening + _OPEN:
                    self._process.kill()
                    raise LiveError(
                        f"the device has not opened within {_OPEN:g} s: is another program using it? Connect it again, "
                        "or take another one"
                    )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if kind is None:
            self._raise_held()

    def _stop(self) -> None:
        assert self._process is not None
        assert self._pipe is not None
        with suppress(OSError), self._sending:  # the process may have ended already
            self._pipe.send(("stop", 0))
        self._writing = time.monotonic()
        while self._process.is_alive() and time.monotonic() < self._writing + _END:
            self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self.error = self.error or LiveError("the process of the live graph did not end, and was killed")
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout=1)
        self._pipe.close()

    def _receive(self) -> None:
        assert self._pipe is not None
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                with self._changed:
                    if not self._closed:
                        self._closed = True
                        self.error = self.error or LiveError(_DIED if self.form is not None else _DIED_EARLY)
                    self._changed.notify_all()
                return
            with self._changed:
                self._take(*message)
                self._changed.notify_all()

    def _take(self, kind: str, *rest: Any) -> None:
        if kind == "running":
            self.form = rest[0]
        elif kind in ("opening", "opened"):
            self._opening = time.monotonic() if kind == "opening" else None
        elif kind == "answer":
            self._answers[rest[0]] = rest[1]
        elif kind == "frames":
            self._pulled[rest[0]].put(rest[1])
        elif kind == "completed":
            self.completed.append((rest[0], rest[1]))
        elif kind == "writing":
            self._writing = time.monotonic()
        elif kind == "ended":
            self._ended = True
        elif kind in ("error", "failed"):
            self.error = self.error or rest[0]
            self._closed = self._closed or kind == "failed"
        elif kind == "closed":
            self._last, self.error, self._closed = rest[0], self.error or rest[1], True

    # ---- what it does -----------------------------------------------------------------------------------------------

    def wait(self, seconds: float | None = None, *, completed: str | None = None) -> None:
        """Wait until the graph has ended, but no longer than `seconds`; None: without a limit.

        The graph ends with an error, or when the device ends by itself. completed: the name of an input; the wait also
        ends when the sounds of all `Play` events for this input so far have ended. A sound that is stopped or replaced
        ends, too. Raises the error that stopped the graph, if it has not been raised before.
        """
        if completed is not None:
            self._stream(completed)

        def over() -> bool:
            if self.ended or completed is None:
                return self.ended
            asked = sum(isinstance(event, Play) and event.input == completed for event in self.events)
            return asked <= sum(name == completed for name, _ in self.completed)

        with self._changed:
            self._changed.wait_for(over, seconds)
        self._raise_held()

    def _raise_held(self) -> None:
        if self.error is not None and not self._raised:
            self._raised = True
            raise self.error

    def set(
        self, name: str, value: float, over: Number = Fraction(1, 50), shape: Shape = "line", at: Any = None
    ) -> Set:
        """Move the control `name`, and return the event with its time. The arguments are those of `Set`.

        If `at` is None, the move begins as soon as possible (see `add`).
        """
        (event,) = self.add(Set(name, value, over, shape, at))
        assert isinstance(event, Set)
        return event

    def swap(
        self, graph: Graph, settle: Number = Fraction(1, 20), over: Number = Fraction(1, 50), at: Any = None
    ) -> Swap:
        """Replace the graph by another one; see `Swap` for the arguments. Return the event with its time.

        If `at` is None, the swap begins as soon as possible (see `add`).
        """
        (event,) = self.add(Swap(graph, settle, over, at))
        assert isinstance(event, Swap)
        return event

    def play(self, input: str, sound: Array | FileInput, loops: int | None = 1, at: Any = None) -> Play:
        """Play a sound into an input, and return the event with its time.

        sound: the samples, of which floats are rounded to float32; or a `FileInput`, whose own `loops` is used in place
        of the argument. loops, at: as for the event `Play`; if `at` is None, the sound begins as soon as possible (see
        `add`).
        """
        if isinstance(sound, FileInput):
            return self._play_file(input, sound, None, at)
        (found,) = self.add(Play(input, np.asarray(sound), loops, at))
        assert isinstance(found, Play)
        return found

    def seek(self, input: str, position: Number, at: Any = None) -> Play:
        """Continue, at another position, the file that is playing in an input. Return the event with its time.

        position: in seconds from the beginning of the file. at: the time of the change, in seconds of the performance;
        None: as soon as possible (see `add`). The passes of the file (`loops`) are counted anew. The file is the one
        that is playing now, at the time of the call; events with later times are ignored. Raises RequestError if no
        `FileInput` is playing: none has begun, it has ended or was stopped, or another sound has replaced it. Raises
        ParameterError for a position outside of the part of the file that the `FileInput` plays.
        """
        return self._play_file(input, self._playing(input), position, at)

    def _playing(self, input: str) -> FileInput:
        """Return the `FileInput` that is playing in an input. Raises RequestError if none is."""
        now, rate = self._call("time"), self._audio_input(input).rate
        past = [
            event
            for event in self.events
            if isinstance(event, Play | Stop) and event.input == input and time_of(event) <= now
        ]
        last = max(reversed(past), key=time_of, default=None)  # of those with the same time, the one added last
        file = next((file for event, file in reversed(self._files) if event is last), None)
        if file is None:
            raise RequestError(f"no file is played into '{input}': play one, as a FileInput")
        assert isinstance(last, Play)
        if last.loops is not None and time_of(last) + (last.loops * len(last.sound) - last.skip) / rate <= now:
            raise RequestError(f"{file.path} has ended in '{input}': play it again")
        return file

    def _play_file(self, input: str, file: FileInput, position: Number | None, at: Any) -> Play:
        (found,) = self.add(file.event(input, self._audio_input(input), position, at))
        assert isinstance(found, Play)
        self._files.append((found, file))
        return found

    def stop(self, input: str, at: Any = None) -> Stop:
        """Let the sound that is played into an input fade out. Return the event with its time.

        at: the time at which the fade begins, in seconds of the performance; None: as soon as possible (see `add`).
        """
        (event,) = self.add(Stop(input, at))
        assert isinstance(event, Stop)
        return event

    def add(self, *events: Event) -> tuple[Event, ...]:
        """Add all of these events, or none. Return them with their times.

        Events without a time take effect together, at the first quantum that is not computed yet. Floats in the arrays
        of `Play` events are rounded to float32. Raises the errors of `Performance.add`, FileError for a sound that
        cannot be read or recorded, and LiveError if the graph has stopped.
        """
        ready = tuple(_rounded(event) for event in events)
        times = self._call("events", ready, tuple(self._line(event) for event in ready))
        stamped = tuple(replace(event, at=at) for event, at in zip(ready, times, strict=True))
        self.events += stamped
        return stamped

    def push(self, /, **items: Any) -> None:
        """Push items, by name, into inputs that are `FrameInput`s, and wait until the limits of the inputs allow them.

        Samples of audio are floats; they are rounded to float32. Nothing is pushed if one of the arrays does not fit
        its stream. Raises SignalError for such an array, RequestError for an input that is no `FrameInput`, UnknownName
        for a name that is no input, and the error that stopped the graph.
        """
        arrays = {}
        for name, array in items.items():
            port, stream = self.setup.inputs.get(name), self._stream(name)
            if not isinstance(port, FrameInput):
                raise RequestError(f"'{name}' takes no items of the program: begin with {name}=FrameInput()")
            found = np.asarray(array)
            if isinstance(stream, Audio) and found.dtype.kind == "f":
                found = rounded(found).astype(stream.dtype)
            arrays[name] = stream.validate(found, name)
        # All arrays are sent before the first answer: room for one may need items of the others.
        for number in [self._send("frames", name, array) for name, array in arrays.items()]:
            self._answer(number)

    def wanted(self, name: str) -> int:
        """Return how many items of the input `name`, which must be a `FrameInput`, can be pushed without waiting."""
        if not isinstance(self.setup.inputs.get(name), FrameInput):
            raise RequestError(f"'{name}' takes no items of the program: begin with {name}=FrameInput()")
        return int(self._call("wanted", name))

    def pull(self, name: str, items: int | None = None, timeout: float | None = None) -> Array:
        """Return the next items of an output that is a `FrameOutput`. items: how many; None: all that are there.

        timeout: the seconds to wait for `items` items; None: without a limit. After this time, and when the graph has
        ended, fewer may be returned. Raises SignalError if items were dropped because they were not pulled in time, and
        RequestError for more items than the output keeps, and for an output that is no `FrameOutput`.
        """
        if name not in self._pulled:
            raise RequestError(f"'{name}' cannot be pulled: begin with a FrameOutput() for it")
        pulled = self._pulled[name]
        if items is not None and items > pulled.most:
            raise RequestError(
                f"'{name}' keeps {pulled.most} items, {float(pulled.most / pulled.stream.rate):g} s; found {items}: "
                "pull fewer at once, or begin with FrameOutput(limit)"
            )
        with self._changed:
            if items is not None:
                self._changed.wait_for(lambda: pulled.held >= items or self.ended, timeout)
            found = pulled.take(items)
        if len(found) and self._pipe is not None:
            with suppress(OSError), self._sending:  # the process may have ended already
                self._pipe.send(("pulled", 0, name, len(found)))
        return found

    @property
    def stats(self) -> Stats:
        """The counts and times up to now, with the levels since the last access; after the end, those of the end."""
        if self._last is not None:
            return self._last
        found = self._call("stats")
        assert isinstance(found, Stats)
        return found

    @property
    def ended(self) -> bool:
        """True after an error, after the device has ended by itself, and after the `with` block."""
        return self._ended or self._closed or self.error is not None

    @property
    def quantum(self) -> Fraction:
        """The duration of a quantum of the device, in seconds. It is a whole number of samples."""
        if self.form is None:
            raise RequestError("the device is not open: use `with Live(...) as live:`")
        return self.form.samples / self.form.rate

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _call(self, kind: str, *rest: Any) -> Any:
        """Send a request to the process; return its answer, or raise the error that is the answer."""
        return self._answer(self._send(kind, *rest), _ANSWER)

    def _send(self, kind: str, *rest: Any) -> int:
        """Send a request to the process; return its number. kind, rest: see `Control._do` in `process`.

        Raises RequestError before the graph runs, and LiveError, or the error that stopped the graph, after its end.
        """
        if self._pipe is None or self.form is None:
            raise RequestError("the graph does not run: use `with Live(...) as live:`")
        with self._changed:
            self._number += 1
            number = self._number
        try:
            with self._sending:
                self._pipe.send((kind, number, *rest))
        except OSError:
            raise self.error or LiveError("the live graph has ended") from None
        return number

    def _answer(self, number: int, patience: float = float("inf")) -> Any:
        """Wait for the answer to a request; return it, or raise the error that is the answer.

        number: of the request. patience: the seconds to wait. If there is no answer by then, or if the graph has ended
        without one, the error that stopped it is raised, or LiveError.
        """
        with self._changed:
            end = time.monotonic() + patience
            while number not in self._answers:
                if self._closed or self._ended:
                    self._changed.wait(0.2)
                    if number in self._answers:
                        break
                    raise self.error or LiveError("the live graph has ended")
                if time.monotonic() > end:
                    raise LiveError("the process of the live graph does not answer")
                self._changed.wait(min(1.0, max(0.0, end - time.monotonic())))
            answer = self._answers.pop(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _line(self, event: Event) -> dict[str, Any]:
        return event_line(event, self.graph) if self.record is not None else {}

    def _stream(self, name: str) -> Any:
        if name not in self.graph.inputs:
            raise UnknownName(f"the graph has no input '{name}'; {suggest(name, self.graph.inputs)}")
        return self.graph.inputs[name]

    def _audio_input(self, name: str) -> Audio:
        stream = self._stream(name)
        if not isinstance(stream, Audio):
            raise RequestError(f"a file is played into an audio input; '{name}' is {stream}")
        return stream

    def _outputs(self, out: Any) -> dict[str, OutputPort]:
        if out is None:
            return {}
        if not isinstance(out, Mapping):
            audio = [name for name, stream in self.graph.outputs.items() if isinstance(stream, Audio)]
            names = list(self.graph.outputs) if isinstance(out, FrameOutput) else audio
            if len(names) != 1:
                raise RequestError(
                    f"the graph has the outputs {', '.join(self.graph.outputs)}: say where each goes, as in "
                    f"out={{'{next(iter(self.graph.outputs))}': 'default:1'}}"
                )
            out = {names[0]: out}
        for name in out:
            if name not in self.graph.outputs:
                raise UnknownName(f"the graph has no output '{name}'; {suggest(name, self.graph.outputs)}")
        return {name: DevicePort.parse(port) if isinstance(port, str) else port for name, port in out.items()}


class _Pulled:
    """The items of one output that the program has not pulled yet.

    most: how many of the newest items are always kept. drops: whether older blocks are dropped; otherwise the graph
    waits. After a drop, `take` raises SignalError once.
    """

    def __init__(self, stream: Any, most: int, drops: bool) -> None:
        self.stream, self.most, self.drops = stream, most, drops
        self.blocks: deque[Array] = deque()
        self.held = self.dropped = 0

    def put(self, block: Array) -> None:
        self.blocks.append(block)
        self.held += len(block)
        while self.drops and self.held - len(self.blocks[0]) >= self.most:
            gone = len(self.blocks.popleft())
            self.held -= gone
            self.dropped += gone

    def take(self, items: int | None) -> Array:
        if dropped := self.dropped:
            self.dropped = 0
            raise SignalError(f"{dropped} items were dropped before these: pull more often, or raise the limit")
        whole: Array = np.concatenate([self.stream.empty(), *self.blocks])
        found, rest = (whole, whole[:0]) if items is None else (whole[:items], whole[items:])
        self.blocks.clear()
        self.held = len(rest)
        if len(rest):
            self.blocks.append(rest)
        return found


def _rounded(event: Event) -> Event:
    """Return the event; if its sound is an array of floats, with this array rounded to float32, as it is recorded.

    The dtype of the array stays.
    """
    if not isinstance(event, Play) or isinstance(event.sound, FileSound | ReadAhead):
        return event
    if np.asarray(event.sound).dtype.kind == "f":
        sound = np.asarray(event.sound)
        return replace(event, sound=rounded(sound).astype(sound.dtype))
    return event
