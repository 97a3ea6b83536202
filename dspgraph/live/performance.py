"""Performances: graphs that run while events change them at exact times.

Recorded inputs and events can be rendered again.
"""

from __future__ import annotations

import copy
import math
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from dspgraph.engine.blocks import BLOCK, Arrays, joined
from dspgraph.engine.plan import Queue
from dspgraph.engine.session import Session
from dspgraph.errors import RequestError, SessionError, SignalError, UnknownName, suggest
from dspgraph.graph import Graph
from dspgraph.live.curves import Curve, Player, control_items
from dspgraph.live.events import Event, Play, Set, Stop, Swap, finite_number, time_of
from dspgraph.live.transition import Crossing, Outlet
from dspgraph.streams import Array, Frames, Number, Stream, milliseconds, to_fraction
from dspgraph.wiring.merge import merge

MOST_PREPARED = 16
"""The largest number of prepared swaps that a performance keeps."""

CONTROL = "control"
"""The kind of frames of a control: one number per item."""


class Performance:
    """A running graph with events.

    `push` takes blocks of any length, and returns the same span of time of every output. Every output is delayed by
    `latency` seconds and begins with zeros. The lengths of the blocks change no sample. An event changes the same
    samples whenever it is added, if it is added before its time. Therefore the function `perform` computes the outputs
    again, bit for bit, from the recorded inputs and the events.

    graph: a graph with finite latency. events: events that are known from the start. controls: name of a control, which
    is an input of frames of the kind "control" -> its value at the start; 0 for controls that are not named. played:
    names of inputs into which sounds are played (events `Play` and `Stop`); inputs that `Play` and `Stop` in `events`
    name are added. latency: in seconds, at least the latency of the graph, which is the default; the latency of a graph
    that is swapped in must not be higher.

    Raises UnknownName for a name that the graph does not have, RequestError for a graph that cannot run in a
    performance, for a latency below that of the graph, and for a control into which sounds would be played,
    ParameterError for a number that is not allowed and for an event without a time, and the errors of `add`.
    """

    def __init__(
        self,
        graph: Graph,
        events: Iterable[Event] = (),
        controls: Mapping[str, float] | None = None,
        played: Iterable[str] = (),
        latency: Number | None = None,
    ) -> None:
        events = list(events)
        own = finite_latency(graph)
        self.latency = own if latency is None else to_fraction(latency)
        if self.latency < own:
            raise RequestError(
                f"the graph has a latency of {milliseconds(own)}; found {milliseconds(self.latency)} for the "
                "performance: give as much, or more"
            )
        self.graph = graph
        self.events: list[Event] = []
        """All events so far, each with its time."""
        self.time = Fraction(0)
        """The time that all inputs have reached, in seconds."""
        self._session: Session = graph.session()
        self._curves = {name: Curve(0.0) for name, stream in graph.inputs.items() if is_control(stream)}
        for name, value in (controls or {}).items():
            self._control(name).value = finite_number(value, f"controls['{name}']")
        sounding = {*played, *(event.input for event in events if isinstance(event, Play | Stop))}
        self._players = {name: Player(self._playable(name)) for name in sorted(sounding)}
        self._waiting = {name: Queue() for name in graph.inputs if name not in self._curves.keys() | self._players}
        self._fed = dict.fromkeys(graph.inputs, 0)
        self._outlets = {name: Outlet(stream) for name, stream in graph.outputs.items()}
        self._given = dict.fromkeys(graph.outputs, 0)
        self._pending: list[tuple[Fraction, int, Swap | Play | Stop]] = []
        self._merged: list[tuple[Graph, Graph, Graph]] = []
        self._crossing: Crossing | None = None
        for event in sorted(events, key=time_of):
            self.add(event)

    def add(self, event: Event) -> Event:
        """Add an event and return a copy of it with its time.

        An event without a time gets the time that the inputs have reached. Raises SessionError for a time that has
        passed and for moves of a control in a wrong order, RequestError for a graph that cannot be swapped in and for a
        sound in a control, UnknownName for a control that does not exist and for an input that is not played, and
        ParameterError or SignalError for values that are not allowed.
        """
        return self._add(self._checked(event))

    def checked(self, events: Iterable[Event]) -> tuple[Event, ...]:
        """Return events for `add_checked`, with sounds as the inputs take them. Another thread may call this method.

        Nothing is added, and no event gets a time. Raises the errors of `add`, except those for a move of a control
        that does not fit the moves before it.
        """
        return tuple(self._checked(event) for event in events)

    def add_checked(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Add events that `checked` has returned, all of them or none; return them with their times.

        This takes the same short time for sounds of any length. Raises SessionError for a time that has passed and for
        moves of a control in a wrong order, and ParameterError for a move that is not allowed.
        """
        curves: dict[str, Curve] = {}
        for event in events:
            stamped = self._stamped(event)
            if isinstance(stamped, Set):
                curve = curves.setdefault(stamped.name, copy.deepcopy(self._control(stamped.name)))
                _add_move(curve, stamped)
        return tuple(self._add(event) for event in events)

    def prepare(self, old: Graph, new: Graph) -> None:
        """Do the slow work of a swap from `old` to `new` before its time. Another thread may call this method.

        A swap that was not prepared gives the same samples, but takes longer. A prepared swap is used only if the
        running graph and the graph of the event are these objects, not equal ones. The last MOST_PREPARED are kept.
        """
        if any(old is one and new is other for one, other, _ in self._merged):
            return
        both = merge([old, new])
        for graph in (old, new, both):
            _ = graph.plan.cones
        self._merged = [*self._merged[1 - MOST_PREPARED :], (old, new, both)]

    def _add(self, event: Event) -> Event:
        """Add an event that was checked; return it with its time."""
        stamped = self._stamped(event)
        if isinstance(stamped, Set):
            _add_move(self._control(stamped.name), stamped)
        else:
            insort(self._pending, (time_of(stamped), len(self.events), stamped))
        self.events.append(stamped)
        return stamped

    def _checked(self, event: Event) -> Event:
        """Check an event, and return it with its sound as the input takes it. Raises the errors of `checked`."""
        self._stamped(event)
        if isinstance(event, Set):
            self._control(event.name)
        elif isinstance(event, Swap):
            self._check_swap(event.graph)
        elif event.input not in self._players:
            self._playable(event.input)
            raise UnknownName(
                f"no sound can be played into '{event.input}'; {suggest(event.input, self._players)}; name it "
                "in `played`"
            )
        elif isinstance(event, Play):
            return self._players[event.input].checked(event)
        return event

    def _stamped(self, event: Event) -> Event:
        """Return a copy of an event with its time: `self.time` if it has none. Raises SessionError for a past time."""
        at = self.time if event.at is None else time_of(event)
        if at < self.time:
            raise SessionError(
                f"{type(event).__name__} at {float(at):g} s: the signal has reached {float(self.time):g} s; give a "
                "later time, or none for now"
            )
        return stamp(event, at)

    def push(self, /, **blocks: Any) -> dict[str, Array]:
        """Take the next block of each recorded input; return the next items of every output, by name.

        blocks: name of an input in `recorded` -> array [n], [n, channels] or [n, width]. The performance runs to the
        latest time for which the blocks of all these inputs are there. Raises UnknownName for another input, and
        SignalError for an array that does not fit and for a performance without recorded inputs, which `advance` runs.
        """
        for name in blocks:
            if name not in self._waiting:
                raise UnknownName(f"the performance takes no blocks of '{name}'; {suggest(name, self._waiting)}")
        if not self._waiting:
            raise SignalError("all inputs are controls or played: call advance(seconds)")
        arrays = {name: self._stream(name).validate(block, name) for name, block in blocks.items()}
        for name, array in arrays.items():
            if len(array):
                self._waiting[name].put(array)
        streams = self.graph.inputs
        reached = min(streams[name].seconds(self._fed[name] + q.held) for name, q in self._waiting.items())
        return self._run(max(reached, self.time))

    def advance(self, seconds: Number) -> dict[str, Array]:
        """Run for `seconds` (at least 0) without recorded inputs; return the next items of every output, by name.

        Raises SignalError if there are recorded inputs, because `push` takes their blocks, and RequestError for a time
        below 0.
        """
        if self._waiting:
            raise SignalError(f"the performance takes blocks of {', '.join(self._waiting)}: call push()")
        if to_fraction(seconds) < 0:
            raise RequestError(f"advance takes 0 seconds or more; found {seconds}")
        return self._run(self.time + to_fraction(seconds))

    def ended(self) -> list[tuple[str, Fraction]]:
        """Return (input, time in seconds) for each sound that has ended since the last call, in order of time.

        A sound ends with its last loop or, if it is stopped or replaced, with its fade-out.
        """
        found = [(name, over) for name, player in self._players.items() for over in player.ended(self.time)]
        return sorted(found, key=lambda one: one[1])

    def lateness(self, name: str) -> int:
        """Return the delay of the output `name` in items: the latency times its rate, rounded up."""
        return math.ceil(self.latency * self.graph.outputs[name].rate)

    @property
    def recorded(self) -> tuple[str, ...]:
        """The names of the recorded inputs, which are neither controls nor played. `push` takes their blocks."""
        return tuple(self._waiting)

    # ---- events -----------------------------------------------------------------------------------------------------

    def _control(self, name: str) -> Curve:
        if name not in self._curves:
            raise UnknownName(f"the graph has no control '{name}'; {suggest(name, self._curves)}")
        return self._curves[name]

    def _stream(self, name: str) -> Stream:
        if name not in self.graph.inputs:
            raise UnknownName(f"the graph has no input '{name}'; {suggest(name, self.graph.inputs)}")
        return self.graph.inputs[name]

    def _playable(self, name: str) -> Stream:
        stream = self._stream(name)
        if name in self._curves:
            raise RequestError(f"'{name}' is a control: no sound is played into it; move it with Set")
        return stream

    def _check_swap(self, graph: Graph) -> None:
        for what in ("inputs", "outputs", "seed"):
            found, expected = (shown_part(getattr(one, what)) for one in (graph, self.graph))
            if found != expected:
                raise RequestError(
                    f"a graph that is swapped in has the same {what}: {expected}; found {found}: load it so, or begin "
                    "another performance"
                )
        if (own := finite_latency(graph)) > self.latency:
            raise RequestError(
                f"the graph that is swapped in has a latency of {milliseconds(own)}, the performance one of "
                f"{milliseconds(self.latency)}: begin it with latency={math.ceil(own * 1000) / 1000:g}"
            )

    # ---- running ----------------------------------------------------------------------------------------------------

    def _run(self, end: Fraction) -> dict[str, Array]:
        """Run up to the time `end` in seconds; return the items of every output, by name, that are due by then.

        Items that an earlier call returned are left out. end: at least `self.time`.
        """
        while True:
            change = self._next_change()
            if change is None or change[0] >= end:
                break
            self._step(change[0])
            change[1]()
        self._step(end)
        due = {}
        for name, outlet in self._outlets.items():
            upto = math.floor(self.time * outlet.stream.rate)
            zeros = min(upto, self.lateness(name)) - min(self._given[name], self.lateness(name))
            n = upto - self._given[name] - zeros
            silence = np.zeros((zeros, *outlet.stream.item_shape), outlet.stream.dtype)
            due[name] = np.concatenate((silence, outlet.take(n))) if zeros else outlet.take(n)
            self._given[name] = upto
        return due

    def _next_change(self) -> tuple[Fraction, Callable[[], None]] | None:
        """Return (time in seconds, function that makes the change) for the next change, or None if there is none.

        A change is a `Play`, a `Stop`, or the beginning or the end of a swap. Moves of controls are none: their curves
        hold them. A swap begins only after the end of the swap before it.
        """
        changes: list[tuple[Fraction, Callable[[], None]]] = []
        if self._crossing is not None:
            changes.append((self._crossing.over, self._finish))
        swaps = [event for _, _, event in self._pending if isinstance(event, Swap)]
        if swaps and self._crossing is None:
            changes.append((max(time_of(swaps[0]), self.time), partial(self._begin, swaps[0])))
        others = ((at, event) for at, _, event in self._pending if not isinstance(event, Swap))
        changes += [(at, partial(self._play, event)) for at, event in others]
        return min(changes, key=lambda change: change[0], default=None)

    def _step(self, end: Fraction) -> None:
        """Give the session all items that begin before `end` (seconds), run it, and pass its outputs on."""
        blocks: dict[str, Array] = {}
        for name, stream in self.graph.inputs.items():
            n = stream.count(end) - self._fed[name]
            if n <= 0:
                continue
            if name in self._waiting:
                blocks[name] = self._waiting[name].take(n)
            elif name in self._players:
                blocks[name] = self._players[name].samples(self._fed[name], n)
            else:
                blocks[name] = control_items(self._curves[name], stream, self._fed[name], n)
                self._curves[name].forget(end)
            self._fed[name] += n
        self.time = end
        if not blocks:
            return
        self._session.feed(blocks, copy=False)
        self._session.run()
        found = self._session.collect(copy=False)
        for name, outlet in self._outlets.items():
            if self._crossing is None:
                outlet.line.put(found[name])
            else:
                assert outlet.new is not None
                outlet.line.put(found[f"v0/{name}"])
                outlet.new.put(found[f"v1/{name}"])
            outlet.advance(self._crossing)

    def _play(self, event: Play | Stop) -> None:
        self._pending = [one for one in self._pending if one[2] is not event]
        if isinstance(event, Play):
            self._players[event.input].play(event)
        else:
            self._players[event.input].stop(time_of(event))

    def _begin(self, event: Swap) -> None:
        """Start the new graph of a swap beside the running graph, and compute when the outputs fade to it."""
        self._pending = [one for one in self._pending if one[2] is not event]
        prepared = (both for old, new, both in self._merged if old is self.graph and new is event.graph)
        both = next(prepared, None) or merge([self.graph, event.graph])
        now = self._session.pushed_time()
        begins = self._session.become(both, both.plan, now)
        latest = max([now, *begins.values()])
        begin = latest + to_fraction(event.settle)
        end = begin + to_fraction(event.over)
        longest = max(1 / stream.rate for stream in self.graph.outputs.values())
        self._crossing = Crossing(begin, end, end + self.latency + 2 * longest, event.graph)
        for name, outlet in self._outlets.items():
            start = begins[f"v1/{name}"]
            outlet.begin(int(start * outlet.stream.rate) if start else None)

    def _finish(self) -> None:
        """End a swap: the new graph runs alone, and the old one is dropped."""
        assert self._crossing is not None
        graph = self._crossing.graph
        self._session.become(graph, graph.plan, self._session.pushed_time())
        for outlet in self._outlets.values():
            outlet.finish()
        self.graph, self._crossing = graph, None


def perform(
    graph: Graph,
    recording: Arrays,
    events: Iterable[Event] = (),
    controls: Mapping[str, float] | None = None,
    latency: Number | None = None,
    block: Fraction = BLOCK,
    played: Iterable[str] = (),
    seconds: Number | None = None,
) -> dict[str, Array]:
    """Return the outputs of a performance for a whole recording: name -> array, as long as the recording.

    Every output has the delay that `Performance` describes.

    recording: name -> whole array, for every input that is no control and into which no sound is played. events: events
    with their times. controls, latency, played: as for `Performance`. block: how many seconds are computed in one call;
    the samples do not depend on it. seconds: the duration, to be given if and only if there are no recorded inputs.
    Raises the errors of `Performance`, and SignalError for an input that is missing and for inputs that end at
    different times.
    """
    performance = Performance(graph, events, controls, played, latency)
    return run_recording(performance, recording, [block], seconds)


def run_recording(
    performance: Performance, recording: Arrays, spans: Iterable[Fraction], seconds: Number | None = None
) -> dict[str, Array]:
    """Run a performance over a whole recording; return name of an output -> array.

    performance: one that has not run yet. recording: name of a recorded input -> whole array. spans: the durations of
    the blocks in seconds, above 0; the last one is used for all further blocks. seconds: the duration, if and only if
    there are no recorded inputs. Raises the errors of `recorded_seconds`.
    """
    streams = performance.graph.inputs
    length = recorded_seconds(streams, performance.recorded, recording, seconds)
    lengths, span, parts, at = iter(spans), BLOCK, list[dict[str, Array]](), Fraction(0)
    while at < length or not parts:
        span = next(lengths, span) if length else span
        begin, at = at, min(at + span, length)
        cut = {name: array[streams[name].count(begin) : streams[name].count(at)] for name, array in recording.items()}
        parts.append(performance.push(**cut) if performance.recorded else performance.advance(at - begin))
    return joined(parts)


def recorded_seconds(
    streams: Mapping[str, Stream], names: Iterable[str], recording: Arrays, seconds: Number | None = None
) -> Fraction:
    """Return the duration of a recording in seconds.

    streams: name of an input -> its stream. names: the inputs that are recorded. recording: name -> array. seconds:
    the duration, which must be given if, and only if, `names` is empty.

    Raises UnknownName for an array of an input that is not recorded, and SignalError for a recorded input without
    array, for arrays that end at different times, and for a missing, negative or superfluous `seconds`.
    """
    names = list(names)
    for name in recording:
        if name not in names:
            raise UnknownName(f"the performance takes no recording of '{name}'; {suggest(name, names)}")
    if missing := [name for name in names if name not in recording]:
        raise SignalError(
            f"the performance takes '{missing[0]}', {streams[missing[0]]}; it was not given: give its samples, or name "
            "it in `played`"
        )
    if not names:
        if seconds is None or to_fraction(seconds) < 0:
            raise SignalError("all inputs are controls or played: give `seconds`, how long the performance lasts")
        return to_fraction(seconds)
    if seconds is not None:
        raise SignalError(
            f"the recording of {', '.join(names)} says how long the performance lasts: leave out `seconds`"
        )
    counts = {name: len(streams[name].validate(recording[name], name, copy=False)) for name in names}
    end = min(streams[name].seconds(count) for name, count in counts.items())
    if any(count != streams[name].count(end) for name, count in counts.items()):
        lengths = ", ".join(f"'{name}' has {count} items of {streams[name]}" for name, count in counts.items())
        raise SignalError(f"the inputs end at different times: {lengths}: cut or extend one")
    return end


def finite_latency(graph: Graph) -> Fraction:
    """Return the latency of a graph in seconds.

    Raises RequestError if a node needs the whole signal or changes the tempo (see `Node.stretch`).
    """
    if name := graph.other_tempo():
        lasts = graph.durations[f"{name}.{graph.nodes[name].outputs[0].name}"]
        raise RequestError(
            f"'{name}' changes the tempo: its output lasts {lasts}; a graph that runs live keeps it: leave it out"
        )
    latency = graph.latency()
    if latency.seconds == math.inf:
        raise RequestError(
            f"a graph that runs live has a finite latency; {' -> '.join(latency.path)} needs the whole signal: take "
            "another variant of its slot"
        )
    return Fraction(latency.seconds)


def is_control(stream: Stream) -> bool:
    """Return whether an input is a control: frames of the kind "control", one number wide."""
    return isinstance(stream, Frames) and stream.kind == CONTROL and stream.width == 1


def _add_move(curve: Curve, event: Set) -> None:
    """Add a move to a control. Raises SessionError if the control has a later one, and the errors of `Curve.add`."""
    if curve.moves and curve.moves[-1][0] > time_of(event):
        raise SessionError(
            f"Set '{event.name}' at {float(time_of(event)):g} s: there is one at {float(curve.moves[-1][0]):g} s; add "
            "the events of a control in the order of their times"
        )
    curve.add(event)


def stamp(event: Event, at: Fraction) -> Event:
    """Return a copy of the event that takes effect at the time `at`, in seconds."""
    return replace(event, at=at)


def shown_part(part: Any) -> str:
    """Return a text for messages: the streams of the inputs or outputs of a graph (name -> stream), or its seed."""
    if not isinstance(part, Mapping):
        return str(part)
    return ", ".join(f"{name}: {stream} in {stream.dtype}" for name, stream in sorted(part.items()))
