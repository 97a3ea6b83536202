"""Live graphs in one process, on the fake device."""

import threading
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from dspgraph import Graph, LiveError
from dspgraph.live.engine import Engine, Setup
from dspgraph.live.ports import DevicePort
from dspgraph.live.process import device_request
from dspgraph.live.recorder import Recorder
from dspgraph.live.writing import header_line
from dspgraph.streams import Audio
from dspgraph.testing.devices import FakeDevice


def play(
    graph: Graph,
    device: FakeDevice,
    quantum: Any = "0.01",
    ahead: int = 2,
    record: Path | None = None,
    outputs: Mapping[str, DevicePort] | None = None,
    **setup: Any,
) -> Engine:
    """Run a graph on a fake device until the device ends; return the engine. Its attribute `messages` has its reports.

    If the device is lost, the LiveError is not raised, but kept in the attribute `error`. All audio inputs that are not
    in `played` come from the first channels of the device. quantum: seconds; ahead: how many quanta are computed in
    advance; record: the folder of a recording, by default none; outputs: where outputs go, by default all to the
    device; setup: further fields of `Setup`, such as `played`, the inputs into which sounds are played.
    """
    played = setup.get("played", ())
    inputs = {n: DevicePort() for n, one in graph.inputs.items() if isinstance(one, Audio) and n not in played}
    outputs = outputs or {name: DevicePort() for name in graph.outputs}
    setup = {"latency": Fraction(graph.latency().seconds), **setup}
    made = Setup(graph, inputs, outputs, Fraction(quantum), ahead, **setup)
    form = device.open(device_request(made))
    recorder = None
    if record is not None:
        header = header_line(graph, made.latency, made.controls, made.played)
        recorder = Recorder(record, {name: graph.inputs[name] for name in inputs}, graph.outputs, header)
    messages: list[Any] = []
    engine = Engine(made, form, lambda *message: messages.append(message), recorder)
    engine.messages = messages  # type: ignore[attr-defined]
    try:
        device.run(engine, threading.Event())
    except LiveError as error:
        engine.hold(error)
    if recorder is not None:
        recorder.close({})
    return engine
