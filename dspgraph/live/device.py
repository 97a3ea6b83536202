"""The request of a live graph to a device, and the format that the device offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from dspgraph.live.ports import DevicePort
from dspgraph.streams import Audio

OUT = "out:"
"""The prefix of the name of an output in a mapping that has inputs and outputs."""


@dataclass(frozen=True)
class DeviceRequest:
    """The request of a live graph to a device.

    rate: the wanted sample rate, Hz: that of an audio stream of the graph, of one at the device if there is one; 16000
    for a graph without audio. quantum: the wanted duration of a quantum in seconds. ports: name -> the channels of a
    device, for each input of the graph that a device records, and each output that a device plays. The name of an
    output begins with OUT, so that it differs from that of an input. streams: the same names -> the streams of these
    inputs and outputs.
    """

    rate: Fraction
    quantum: Fraction
    ports: Mapping[str, DevicePort] = field(default_factory=dict)
    streams: Mapping[str, Audio] = field(default_factory=dict)

    def columns(self, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        """Return name of an input or output, as in `ports` -> the numbers of its channels of the device, from 0.

        inputs, outputs: how many channels the device records, and how many it plays. A mono output has two numbers if
        it names no channel and the device has two. Raises ParameterError for channels that the device does not have.
        """
        found = {}
        for name, port in self.ports.items():
            out = name.startswith(OUT)
            found[name] = port.columns(self.streams[name].channels, outputs if out else inputs, out)
        return found


@dataclass(frozen=True)
class SecondFormat:
    """The format of a recording device with a clock of its own.

    rate: its nominal rate in Hz; the true rate differs a little. channels: how many it records.
    """

    rate: Fraction
    channels: int


@dataclass(frozen=True)
class DeviceFormat:
    """The format in which a device runs.

    rate: samples per second. samples: the number of samples in a quantum. outputs: the number of channels that the
    device plays. columns: as `DeviceRequest.columns` returns them. about: the device in words. second: the format of
    the device that records, if this is another device than the one that plays; it then has a clock of its own.
    """

    rate: Fraction
    samples: int
    outputs: int
    columns: Mapping[str, tuple[int, ...]]
    about: str
    second: SecondFormat | None = None
