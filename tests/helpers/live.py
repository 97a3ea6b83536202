"""Live graphs in one process, on the fake device."""

import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

from dspgraph import Graph, LiveError
from dspgraph.live.device import OUT, DeviceRequest
from dspgraph.live.engine import Engine, Setup
from dspgraph.live.ports import DevicePort
from dspgraph.live.recorder import Recorder
from dspgraph.live.writing import header_line
from dspgraph.streams import Audio
from dspgraph.testing.devices import FakeDevice


def play(
    graph: Graph, device: FakeDevice, quantum: Any = "0.01", ahead: int = 2, record: Path | None = None, **setup: Any
) -> Engine:
    """Run a graph with one audio input and one output on a fake device; return the engine."""
    (name,) = [
        name for name in graph.inputs if name not in setup.get("played", ()) and isinstance(graph.inputs[name], Audio)
    ]
    (out,) = graph.outputs
    port, way = DevicePort("fake"), DevicePort("fake")
    setup = {"latency": Fraction(graph.latency().seconds), **setup}
    made = Setup(graph, {name: port}, {out: way}, Fraction(quantum), ahead, **setup)
    ports, streams = {name: port, OUT + out: way}, {name: graph.inputs[name], OUT + out: graph.outputs[out]}
    rate = graph.outputs[out].rate
    form = device.open(DeviceRequest(rate, Fraction(quantum), ports, streams))  # type: ignore[arg-type]
    recorder = None
    if record is not None:
        header = header_line(graph, made.latency, made.controls, made.played)
        recorder = Recorder(record, {name: graph.inputs[name]}, graph.outputs, header)
    engine = Engine(made, form, lambda *message: messages.append(message), recorder)
    messages: list[Any] = []
    engine.messages = messages  # type: ignore[attr-defined]
    try:
        device.run(engine, threading.Event())
    except LiveError as error:
        engine.hold(error)
    if recorder is not None:
        recorder.close({})
    return engine
