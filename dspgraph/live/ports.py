"""The sources of the inputs of a live graph, and the destinations of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np

from dspgraph.errors import FileError, ParameterError
from dspgraph.live.events import Play
from dspgraph.live.sounds import FileSound
from dspgraph.shown import shown
from dspgraph.streams import Array, Audio, Number, Stream, to_fraction


@dataclass(frozen=True)
class DevicePort:
    """Channels of a sound device.

    device: its name, a part of its name, or its number as text; "default" for the system's default device. channel: the
    number of the first channel, from 1. None: the first channel; a mono output is then played on two channels, if the
    device has two.
    """

    device: str = "default"
    channel: int | None = None

    @classmethod
    def parse(cls, text: str) -> DevicePort:
        """Return the port that a text NAME or NAME:CHANNEL stands for. An empty NAME is "default".

        If the text after the last colon is not a whole number, the colon belongs to NAME. Raises ParameterError for the
        channel 0.
        """
        name, colon, channel = text.rpartition(":")
        if not (colon and channel.isdecimal()):
            return cls(text or "default")
        if not int(channel):
            raise ParameterError(f"channels of a device are counted from 1; found {shown(text)}")
        return cls(name or "default", int(channel))

    def columns(self, wanted: int, channels: int, output: bool = False) -> tuple[int, ...]:
        """Return the numbers, counted from 0, of the channels of a device that a stream uses.

        There is one number for each channel of the stream; but two numbers for a mono output without `channel`, if the
        device has two channels. wanted: the number of channels of the stream. channels: the number of channels of the
        device. output: whether the device plays the stream. Raises ParameterError if the device has too few channels.
        """
        first = (self.channel or 1) - 1
        if first + wanted > channels:
            raise ParameterError(
                f"the device '{self.device}' has {channels} channels; {wanted} from channel {first + 1} on are needed: "
                "name other channels, or another device"
            )
        if output and self.channel is None and wanted == 1:
            return tuple(range(min(2, channels)))
        return tuple(range(first, first + wanted))


@dataclass(frozen=True)
class FileInput:
    """A sound file that is played into an input of a live graph.

    path: the file. start, end: the part that is played, in seconds of the file; end None: to its end. loops: how often
    it is played; None: without end. speed: 2 plays it in half the time, an octave higher. A part that sounds for up to
    60 s is read before it is played, a longer one while it is played. Raises ParameterError for a speed that is not
    above 0 and at most 1024, and for a time that is no number.
    """

    path: str | Path
    start: Number = 0
    end: Number | None = None
    loops: int | None = 1
    speed: Number = 1

    def __post_init__(self) -> None:
        for name in ("start", "end", "speed"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, to_fraction(value))
        if not 0 < to_fraction(self.speed) <= 1024:
            raise ParameterError(f"FileInput.speed is above 0 and at most 1024; found {shown(self.speed)}")

    def sound(self, stream: Audio) -> FileSound:
        """Return the part from `start` to `end`, at `speed`. stream: the stream of the input into which it is played.

        Only the header of the file is read yet. The samples get the rate, channels and dtype of the stream, and are
        rounded to float32, as a recording stores them. Raises FileError for a file that cannot be read, for channels
        that cannot be converted, and for a part that the file does not have.
        """
        start, end = to_fraction(self.start), None if self.end is None else to_fraction(self.end)
        if start < 0 or (end is not None and end <= start):
            raise FileError(f"{self.path}: a part begins at 0 or later, and before its end; found {start} to {end} s")
        duration = None if end is None else end - start
        return FileSound(Path(self.path), stream, start, duration, to_fraction(self.speed))

    def event(self, name: str, stream: Audio, position: Number | None = None, at: Number | None = None) -> Play:
        """Return the event that plays the file into the input `name`. stream: the stream of this input.

        position: where the first pass begins, in seconds of the file; None: at `start`. at: the time of the event, in
        seconds of the performance; None: as soon as possible, when the event is added. Raises ParameterError for a
        position outside of the part from `start` to `end`, and the errors of `sound`.
        """
        sound, skip = self.sound(stream), 0
        if position is not None:
            seconds = (to_fraction(position) - to_fraction(self.start)) / to_fraction(self.speed)
            skip = int(seconds * stream.rate)
            if not 0 <= seconds * stream.rate < len(sound):
                last = to_fraction(self.start) + len(sound) / stream.rate * to_fraction(self.speed)
                raise ParameterError(
                    f"{self.path} is played from {float(self.start):g} s to {float(last):g} s; found the position "
                    f"{float(to_fraction(position)):g} s"
                )
        return Play(name, sound, self.loops, at, skip)


@dataclass(frozen=True)
class FrameInput:
    """An input whose items the program pushes.

    limit: how many seconds of signal may wait for the graph; if the limit is shorter than a quantum, one quantum may
    wait. `push` waits until its items fit. If the live graph uses a device, zeros replace items that are not pushed in
    time; otherwise the graph waits for them.
    """

    limit: Fraction = Fraction(1, 2)


@dataclass(frozen=True)
class FrameOutput:
    """An output whose items the program pulls.

    limit: how many seconds of signal are kept for the program, at least one item. If the live graph uses a device,
    older items are dropped and counted; otherwise the graph waits until items are pulled.
    """

    limit: Fraction = Fraction(60)

    def most(self, stream: Stream) -> int:
        """Return the limit in items, rounded down, at least 1. stream: the stream of the output."""
        return max(1, int(self.limit * stream.rate))


InputPort: TypeAlias = DevicePort | FrameInput | FileInput
OutputPort: TypeAlias = DevicePort | FrameOutput


def rounded(samples: Array) -> Array:
    """Return a copy of samples in float32, the dtype of devices and recordings."""
    return samples.astype(np.float32)
