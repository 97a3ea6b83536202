"""The laws of performances, checked against a reference that runs every node on its own, on whole arrays.

law 1  offline is live: events that are added just before their time have the same effect as events known from the start
law 2  the cut changes nothing: outputs are the same for any lengths of the blocks
law 3  nothing done, nothing changed: without events the outputs are those of the graph, delayed
law 4  what is new begins at T, the time of a swap: a node that the swap adds runs as in a signal that begins at the
       first period of the node that does not begin before T
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, zip_longest
from typing import Any

import numpy as np

from dspgraph.errors import DspgraphError
from dspgraph.graph import Graph
from dspgraph.live.curves import SOUND_FADE, Curve
from dspgraph.live.events import Event, Play, Set, Stop, Swap, time_of
from dspgraph.live.performance import Performance, is_control, perform, recorded_seconds, run_recording
from dspgraph.streams import Array, Audio, Stream, to_fraction

PERFORMANCE_CUTS: Sequence[Sequence[int]] = ((160,), (1, 7, 441, 4096, 33))
"""Lengths of blocks, in items of the input with the highest rate; each list is repeated."""


class PerformanceError(DspgraphError):
    """An error that says which law of performances was broken."""


def check_performance(
    graph: Graph,
    recording: Mapping[str, Array],
    events: Iterable[Event] = (),
    controls: Mapping[str, float] | None = None,
    latency: Any = None,
    cuts: Sequence[Sequence[int]] = PERFORMANCE_CUTS,
    played: Iterable[str] = (),
    seconds: Any = None,
) -> dict[str, Array]:
    """Check the four laws of a performance, bit for bit, and return its outputs: name -> array.

    Law 3 is left out if sounds are played into an input. graph, recording, events, controls, latency, played, seconds:
    as for `perform`. cuts: lengths of blocks, as in `PERFORMANCE_CUTS`. Raises PerformanceError that names the law, for
    laws 1 and 2 the cut, the output and the first item that differs, and the errors of `perform`.
    """
    events, controls = sorted(events, key=time_of), dict(controls or {})
    played = {*played, *(event.input for event in events if isinstance(event, Play | Stop))}
    found = perform(graph, recording, events, controls, latency, played=played, seconds=seconds)
    recorded = [name for name, stream in graph.inputs.items() if not is_control(stream) and name not in played]
    length = recorded_seconds(graph.inputs, recorded, recording, seconds)
    _same("law 4", found, _Reference(graph, recording, events, controls, latency, length).outputs())
    if not played:
        _check_rest(graph, recording, controls, latency, length, seconds)
    for sizes in cuts:
        known = Performance(graph, events, controls, played, latency)
        outputs = run_recording(known, recording, _spans(graph, sizes), seconds)
        _same(f"law 2, blocks of {list(sizes)}", outputs, found)
        live = Performance(graph, (), controls, played, latency)
        outputs = run_recording(live, recording, _adding(live, events, _spans(graph, sizes)), seconds)
        _same(f"law 1, blocks of {list(sizes)}", outputs, found)
    return found


def _check_rest(
    graph: Graph,
    recording: Mapping[str, Array],
    controls: Mapping[str, float],
    latency: Any,
    length: Fraction,
    seconds: Any,
) -> None:
    """Check law 3: without events, and with events that change nothing, the outputs are those of the graph, delayed.

    Events that change nothing set controls to their present values, and swap the graph for the same graph. length: the
    duration of the recording in seconds. seconds: this duration if there are no recorded inputs, otherwise None. The
    other arguments are those of `check_performance`.
    """
    performance = Performance(graph, (), controls, latency=latency)
    resting = {name: stream for name, stream in graph.inputs.items() if is_control(stream)}
    rest = {name: np.full((stream.count(length), 1), controls.get(name, 0.0)) for name, stream in resting.items()}
    whole = graph(**recording, **rest)
    late = {name: _late(whole[name], performance, name, length) for name in graph.outputs}
    nothing: list[Event] = [Set(name, controls.get(name, 0.0), at=length / 3) for name in rest]
    for events in ([], [*nothing, Swap(graph, at=length / 2)]):
        _same("law 3", perform(graph, recording, events, controls, latency, seconds=seconds), late)


def _late(whole: Array, performance: Performance, name: str, length: Fraction) -> Array:
    """Return what a performance gives for one output in `length` seconds: zeros for the delay, then items of `whole`.

    whole: all items that the graph gives for this output. name: the name of the output.
    """
    stream, lateness = performance.graph.outputs[name], performance.lateness(name)
    n = math.floor(length * stream.rate)
    silence = np.zeros((min(n, lateness), *stream.item_shape), stream.dtype)
    return np.concatenate((silence, whole[: max(0, n - lateness)]))


def _spans(graph: Graph, sizes: Sequence[int]) -> Iterator[Fraction]:
    rate = max(stream.rate for stream in graph.inputs.values())
    return (size / rate for size in cycle(sizes))


def _adding(performance: Performance, events: Sequence[Event], spans: Iterable[Fraction]) -> Iterator[Fraction]:
    """Yield the durations in `spans`. Before each span, add the events that take effect in it to the performance.

    events: in the order of their times. spans: in seconds.
    """
    waiting, end = list(events), Fraction(0)
    for span in spans:
        end += span
        while waiting and time_of(waiting[0]) < end:
            performance.add(waiting.pop(0))
        yield span


def _same(what: str, found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    for name, array in expected.items():
        if found[name].tobytes() == array.tobytes():
            continue
        if len(found[name]) != len(array):
            raise PerformanceError(f"{what}: '{name}' has {len(found[name])} items; {len(array)} are due")
        differ = (found[name] != array).reshape(len(array), -1).any(axis=1)
        raise PerformanceError(
            f"{what}: {int(differ.sum())} of {len(array)} items of '{name}' differ, the first is number "
            f"{int(np.argmax(differ))}"
        )


@dataclass(frozen=True)
class _Ran:
    """The outputs of one node, one array per output port, or the array of one input of the graph.

    begin: the time in seconds at which the node began; 0 for an input.
    """

    begin: Fraction
    arrays: tuple[Array, ...]


class _Reference:
    """A reference for a performance: it computes the outputs node by node, on whole arrays.

    events: in the order of their times. length: the duration of the performance in seconds. The other arguments are
    those of `check_performance`.
    """

    def __init__(
        self,
        graph: Graph,
        recording: Mapping[str, Array],
        events: Sequence[Event],
        controls: Mapping[str, float],
        latency: Any,
        length: Fraction,
    ) -> None:
        self.graph = graph
        self.performance = Performance(graph, latency=latency)
        self.length = length
        self.swaps = [event for event in events if isinstance(event, Swap)]
        self.running: dict[Any, _Ran] = {}
        for name, stream in graph.inputs.items():
            n = stream.count(self.length)
            if name in recording:
                array = np.asarray(recording[name], stream.dtype)[:n]
            elif is_control(stream):
                moves = [event for event in events if isinstance(event, Set) and event.name == name]
                array = _moved(moves, controls.get(name, 0.0), stream, n)
            else:
                sounds = [event for event in events if isinstance(event, Play | Stop) and event.input == name]
                array = _played(sounds, stream, n)
            self.running["input", name] = _Ran(Fraction(0), (array,))

    def outputs(self) -> dict[str, Array]:
        """Return the outputs of the whole performance: name -> array."""
        graph = self.graph
        self._run(graph, Fraction(0))
        outputs = {name: self._output(graph, name)[1] for name in graph.outputs}
        free = Fraction(0)
        for swap in self.swaps:
            at = max(time_of(swap), free)
            if at >= self.length:
                break
            reached = min(Fraction(stream.count(at)) / stream.rate for stream in graph.inputs.values())
            begins = self._run(swap.graph, reached)
            ends = [_key(swap.graph, _place(swap.graph, origin)[0]) for origin in swap.graph.origins.values()]
            begin = max([reached, *(begins[key] for key in ends if key in begins)]) + to_fraction(swap.settle)
            end = begin + to_fraction(swap.over)
            for name, stream in graph.outputs.items():
                outputs[name] = _crossed(outputs[name], *self._output(swap.graph, name), begin, end, stream)
            free = end + self.performance.latency + 2 * max(1 / stream.rate for stream in graph.outputs.values())
            kept = {_key(swap.graph, name) for name in (*swap.graph.inputs, *swap.graph.order)}
            self.running = {key: ran for key, ran in self.running.items() if key in kept}
        return {name: _late(array, self.performance, name, self.length) for name, array in outputs.items()}

    def _output(self, graph: Graph, name: str) -> tuple[int, Array]:
        """Return (number of the first item, counted from time 0; items) for an output of a graph that has run."""
        origin = graph.origins[name]
        source, port = _place(graph, origin)
        ran = self.running[_key(graph, source)]
        return int(ran.begin * graph.outputs[name].rate), ran.arrays[port]

    def _run(self, graph: Graph, at: Fraction) -> dict[Any, Fraction]:
        """Compute the outputs of all nodes of a graph that are not in `running` yet, and put them there.

        at: the earliest time at which such a node may begin, in seconds. Returns key (see `_key`) -> time at which the
        node begins, for these nodes only.
        """
        begins: dict[Any, Fraction] = {}
        for name in graph.order:
            key = _key(graph, name)
            if key in self.running:
                continue
            binding = graph.bindings[name]
            places = [_place(graph, origin) for _, origin in graph.sources(name)]
            sources = [(_key(graph, source), port) for source, port in places]
            begin = max([at, *(self.running[source].begin for source, _ in sources)])
            steps = [binding.period, *(1 / stream.rate for stream in binding.gives)]
            while any((begin / step).denominator != 1 for step in steps):
                begin = min(math.floor(begin / step + 1) * step for step in steps)
            arrays = []
            for (source, port), stream in zip(sources, binding.flat, strict=True):
                ran = self.running[source]
                arrays.append(ran.arrays[port][int((begin - ran.begin) * stream.rate) :])
            begins[key] = begin
            self.running[key] = _Ran(begin, _alone(graph, name, binding.flat, arrays))
        return begins


def _alone(graph: Graph, name: str, streams: Sequence[Stream], arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Run one node of a graph alone; return its outputs before `flush`, one array per port.

    streams, arrays: the stream and the array of each of its wires, in the order of `graph.sources(name)`.
    """
    node, inputs = graph.nodes[name], {f"x{k}": stream for k, stream in enumerate(streams)}
    wires: dict[str, list[str]] = {}
    for k, (port, _) in enumerate(graph.sources(name)):
        wires.setdefault(f"node.{port.name}", []).append(f"x{k}")
    outputs = {port.name: f"node.{port.name}" for port in node.outputs}
    own = Graph({"node": node}, wires, inputs, outputs, graph.seed, {"node": graph.noise_keys.get(name, name)})
    found = own.session().push(**{f"x{k}": array for k, array in enumerate(arrays)})
    return tuple(found[port.name] for port in node.outputs)


def _key(graph: Graph, name: str) -> Any:
    """Return a key of the input or node `name` of a graph: nodes with equal keys compute the same outputs.

    It has the parameters and the noise key of the node, and the keys of the inputs and nodes that the node takes from.
    """
    if name in graph.inputs:
        return "input", name
    node = graph.nodes[name]
    noise = graph.noise_keys.get(name, name) if "seed" in type(node).model_fields else ""
    places = ((port.name, *_place(graph, origin)) for port, origin in graph.sources(name))
    taken = tuple((port, _key(graph, source), number) for port, source, number in places)
    return type(node), node.model_dump_json(), noise, taken


def _place(graph: Graph, origin: str) -> tuple[str, int]:
    """Return (name of an input or node, number of its output port) for the origin of a wire.

    origin: the name of an input of the graph, or "node.port".
    """
    if origin in graph.inputs:
        return origin, 0
    name, _, port = origin.rpartition(".")
    return name, [one.name for one in graph.nodes[name].outputs].index(port)


def _crossed(old: Array, first: int, new: Array, begin: Fraction, end: Fraction, stream: Stream) -> Array:
    """Return items that go from `old` to `new`: old items, a fade from `begin` to `end` (seconds), then new items.

    first: the number of the first item in `new`, counted from time 0. Frames and symbols change at `begin`, without a
    fade.
    """
    start, stop = (math.ceil(time * stream.rate) for time in (begin, end))
    if not isinstance(stream, Audio):
        stop = start
    stop_there = min(stop, len(old), first + len(new))
    if stop_there < start:
        return old[:start]
    since = np.arange(stop_there - start) + float(start - begin * stream.rate)
    share = (since / float((end - begin) * stream.rate)).astype(old.dtype) if stop > start else since
    a, b = old[start:stop_there], new[start - first : stop_there - first]
    between = a + share.reshape(-1, *[1] * (a.ndim - 1)) * (b - a) if stop > start else a
    return np.concatenate((old[:start], between, new[stop - first :]))


def _moved(moves: Sequence[Event], value: float, stream: Stream, n: int) -> Array:
    """Return n items of a control, [n, 1].

    moves: its events `Set`, in the order of their times. value: its value before the first event.
    """
    curve = Curve(value)
    for move in moves:
        assert isinstance(move, Set)
        curve.add(move)
    return np.array([[curve.at(stream.seconds(k))] for k in range(n)], stream.dtype).reshape(n, 1)


def _played(sounds: Sequence[Event], stream: Stream, n: int) -> Array:
    """Return n samples of an input into which sounds are played; they are 0 where there is no sound.

    sounds: the events `Play` and `Stop` of this input, in the order of their times.
    """
    y: Array = np.zeros((n, *stream.item_shape), stream.dtype)
    times = np.arange(n)
    before: Fraction | None = Fraction(0)  # when the sound before ends; None: never
    for event, after in zip_longest(sounds, sounds[1:]):
        at = time_of(event)
        if not isinstance(event, Play):
            before = Fraction(0)
            continue
        sound = np.asarray(event.sound, stream.dtype)
        first = math.ceil(at * stream.rate)
        length = None if event.loops is None else event.loops * len(sound) - event.skip
        count = n - first if length is None else min(n - first, length)
        level = np.ones(n)
        if before is None or before > at:
            level *= _rise(times, at, stream.rate)
        if after is not None:
            level *= 1 - _rise(times, time_of(after), stream.rate)
        part = slice(first, first + max(0, count))
        each = np.resize(np.roll(sound, -event.skip, axis=0), (max(0, count), *sound.shape[1:]))
        y[part] += (each * level[part].reshape(-1, *[1] * (y.ndim - 1))).astype(y.dtype)
        before = None if length is None else at + length / stream.rate
    return y


def _rise(times: Array, at: Fraction, rate: Fraction) -> Array:
    first = math.floor(at * rate)
    return np.clip(((times - first) - float(at * rate - first)) / float(SOUND_FADE * rate), 0.0, 1.0)
