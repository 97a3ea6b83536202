"""The interface of devices, what takes the place of a device in live graphs without one, and the engine's thread."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

import numpy as np

from dspgraph.live.device import DeviceFormat, DeviceRequest
from dspgraph.live.engine import Engine
from dspgraph.live.ports import FrameInput, FrameOutput

PRIORITY = 40
"""Priority of the engine's thread among those of real time (SCHED_FIFO), below that of the thread of the device."""

_PAUSE = 0.001
"""Seconds between two looks for items that were pushed or pulled."""


class Device(Protocol):
    """The interface of a device, or of a substitute: it decides when the engine computes a quantum.

    A device is pickled, and sent to the process of the live graph, which calls `open`, then `run`.
    """

    def open(self, request: DeviceRequest) -> DeviceFormat:
        """Return the format in which the device can run a request. Nothing runs yet.

        Raises LiveError if the device cannot be used, and ParameterError for channels that it does not have.
        """

    def run(self, engine: Engine, stop: threading.Event) -> None:
        """Run the engine until `stop` is set or the device ends. Call `engine.report("running", format)` when it runs.

        format: the result of `open`, which is `engine.form`. Raises LiveError if the device is lost.
        """


class NoDevice:
    """The substitute for a device, for live graphs that use none.

    If the graph has inputs whose items the program pushes, or outputs that it pulls, a quantum is computed as soon as
    all items that it needs have been pushed and no output has reached its limit. If the graph has neither, the quanta
    are computed in real time. After an error none is computed.
    """

    def open(self, request: DeviceRequest) -> DeviceFormat:
        """Return a format with the rate of the request, and without channels. The request must have no ports."""
        samples = max(1, round(request.quantum * request.rate))
        return DeviceFormat(request.rate, samples, 0, {}, "no device: the program pushes and pulls")

    def run(self, engine: Engine, stop: threading.Event) -> None:
        """Compute quanta, at the times that the docstring of the class states, until `stop` is set."""
        engine.report("running", engine.form)
        number, samples, begin = 0, engine.form.samples, time.monotonic()
        ports = [*engine.setup.inputs.values(), *engine.setup.outputs.values()]
        moved = any(isinstance(port, FrameInput | FrameOutput) for port in ports)
        while not stop.is_set():
            end = (number + 1) * samples / engine.form.rate
            lacks = any(queue.held() < engine.due(name, end) for name, queue in engine.queues.items())
            if engine.error is not None or lacks or engine.full():
                pause = _PAUSE
            else:
                pause = 0.0 if moved else begin + float(end) - time.monotonic()
            if pause > 0:
                engine.answer()
                stop.wait(pause)
                continue
            engine.exchange.swap(np.zeros((samples, 0), np.float32))
            engine.serve(engine.exchange.waiting(wait=False) or [])
            number += 1


class EngineThread(threading.Thread):
    """The thread that computes the quanta of a device, until the exchange ends. realtime: ask for a high priority."""

    def __init__(self, engine: Engine, realtime: bool) -> None:
        super().__init__(name="engine", daemon=True)
        self.engine, self.realtime = engine, realtime

    def run(self) -> None:
        """Compute the quanta that come through the exchange, until it ends.

        Quanta that wait together are computed in one call.
        """
        if self.realtime:
            self.engine.priority = ask_for_priority()
        while (quanta := self.engine.exchange.waiting()) is not None:
            self.engine.serve(quanta)


def ask_for_priority() -> str:
    """Ask the system for a priority of real time for the calling thread; return the priority that it has, in words.

    If the system refuses, the words say so; nothing is raised.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except AttributeError:
        return "normal: this system has no priorities of real time"
    except OSError as error:
        return f"normal: the system allows no priority of real time ({error.strerror})"
    return f"real time, SCHED_FIFO {PRIORITY}"
