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

    rate: the sample rate of the graph, Hz. quantum: the duration of a quantum in seconds. ports, streams: for each
    input of the graph that the device records, by its name, and for each output that it plays, by OUT + its name, the
    channels and the stream.
    """

    rate: Fraction
    quantum: Fraction
    ports: Mapping[str, DevicePort] = field(default_factory=dict)
    streams: Mapping[str, Audio] = field(default_factory=dict)

    def columns(self, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        """Return name of a port -> the numbers of its channels, from 0. inputs, outputs: numbers of channels of the
        device.

        Raises ParameterError for channels that the device does not have.
        """
        found = {}
        for name, port in self.ports.items():
            out = name.startswith(OUT)
            found[name] = port.columns(self.streams[name].channels, outputs if out else inputs, out)
        return found


@dataclass(frozen=True)
class SecondFormat:
    """The format of a recording device with a clock of its own. rate: Hz, as it is said to be. channels: how many."""

    rate: Fraction
    channels: int


@dataclass(frozen=True)
class DeviceFormat:
    """The format in which a device runs.

    rate: samples per second. samples: the number of samples in a quantum. outputs: the number of channels that it
    plays. columns: as `DeviceRequest.columns` returns them. about: the device in words. second: the format of the
    device that records, if this is another device than the one that plays; it then has a clock of its own.
    """

    rate: Fraction
    samples: int
    outputs: int
    columns: Mapping[str, tuple[int, ...]]
    about: str
    second: SecondFormat | None = None
