"""What a live graph asks a device for, and what the device gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from dspgraph.live.ports import DevicePort
from dspgraph.streams import Audio

OUT = "out:"
"""What stands before the name of an output where inputs and outputs are in one mapping."""


@dataclass(frozen=True)
class DeviceRequest:
    """What a graph asks a device for. ports, streams: of inputs, by their names, and of outputs, by OUT + their names.

    rate: the samples per second that the graph takes or gives. quantum: seconds.
    """

    rate: Fraction
    quantum: Fraction
    ports: Mapping[str, DevicePort] = field(default_factory=dict)
    streams: Mapping[str, Audio] = field(default_factory=dict)

    def columns(self, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        """Return which channels each port has, from 0. inputs, outputs: channels of the device.

        Raises ParameterError for channels that the device does not have.
        """
        found = {}
        for name, port in self.ports.items():
            out = name.startswith(OUT)
            found[name] = port.columns(self.streams[name].channels, outputs if out else inputs, out)
        return found


@dataclass(frozen=True)
class DeviceFormat:
    """What a device gives. rate: samples per second. samples: in a quantum. outputs: channels that it plays.

    columns: as in `DeviceRequest.columns`. about: the device in words.
    """

    rate: Fraction
    samples: int
    outputs: int
    columns: Mapping[str, tuple[int, ...]]
    about: str
